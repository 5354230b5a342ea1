//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/membership"
)

// TestCommands takes three processes through what a user does with them.
func TestCommands(t *testing.T) {
	// Whoever is told to lead stays: no election is waited for.
	c := newNodes(t, "--election-timeout", "10s", "--heartbeat", "50ms", "--snapshot-entries", "10", "--keep-entries", "6", "--keep-bytes", "100000")
	one, two, three := c.nodes[0], c.nodes[1], c.nodes[2]

	// Before the cluster is formed.
	for _, n := range c.nodes {
		s := statusOf(t, n)
		if s.ID != n.id || s.Role != "none" || s.Cluster != "none" || s.Term != 0 || s.Leader != 0 || len(s.Members) != 0 || s.Joint {
			t.Fatalf("status before init: %+v", s)
		}
		wantCode(t, n, "GET", "/healthz", "", 200, "")
		wantCode(t, n, "GET", "/readyz", "", 503, api.NoCluster)
	}
	wantCode(t, one, "PUT", "/kv/early?timeout=100ms", "x", 503, api.NoCluster)
	wantCode(t, one, "GET", "/kv/early?timeout=100ms", "", 503, api.NoCluster)
	wantCode(t, one, "GET", "/kv/early?read=stale", "", 404, api.NotFound)

	one.mustKV("init", "--members", c.members())
	c.leader()
	for _, n := range c.nodes {
		s := statusOf(t, n)
		if len(s.Members) != 3 || s.Joint || s.UnknownToGroup || s.Fatal != "" || s.Cluster == "none" || s.Cluster != statusOf(t, one).Cluster {
			t.Fatalf("status after init: %+v", s)
		}
		for i, m := range s.Members {
			if want := (api.Member{ID: c.nodes[i].id, Address: c.nodes[i].raftAddress, Kind: "voter", Priority: 100}); m != want {
				t.Fatalf("member %+v, want %+v", m, want)
			}
		}
		wantCode(t, n, "GET", "/readyz", "", 200, "")
	}
	for _, n := range c.nodes {
		n.mustKV("init", "--members", c.members()) // again, and elsewhere
	}
	refused := kv(t, "init", "--members", "1="+one.raftAddress, "--http", one.httpAddress)
	if refused.code != 1 || !strings.Contains(refused.stderr, "bad_request") {
		t.Fatalf("another list: %+v", refused)
	}

	// Each node takes writes, and each then reads them. Flags stand anywhere.
	for i, n := range c.nodes {
		url := "http://" + n.httpAddress
		key, value := fmt.Sprintf("key/%d é", i), fmt.Sprintf("value %d", i)
		for _, args := range [][]string{
			{"put", key, "before", "--http", url},
			{"put", "--http", url, key, "between"},
			{"--http", url, "put", key, "in front"},
			{"put", "--http=" + url, "--timeout", "3s", key, "--", value},
		} {
			if r := kv(t, args...); r.code != 0 || !strings.HasPrefix(r.stdout, `{"term":`) {
				t.Fatalf("kv %q: %+v", args, r)
			}
		}
		for _, reader := range c.nodes {
			for _, read := range [][]string{nil, {"--read", "lease"}, {"--read", "stale", "--max-staleness", "1us"}} {
				if got := reader.mustKV(append([]string{"get", key}, read...)...); got != value {
					t.Fatalf("get %v: %q, want %q", read, got, value)
				}
			}
		}
	}
	two.mustKV("delete", "key/0 é")
	two.mustKV("delete", "key/0 é")
	if r := kv(t, "get", "key/0 é", "--http", three.httpAddress); r.code != 1 || !strings.Contains(r.stderr, "not_found") || r.stdout != "" {
		t.Fatalf("get of an absent key: %+v", r)
	}

	moves(t, c)
	swaps(t, three)
	purges(t, two)
	bodies(t, c)
	stop(t, c)
}

// moves hands the leadership round, and lets a node that leads end: the others have a
// leader at once.
func moves(t *testing.T, c *cluster) {
	t.Helper()
	for i, n := range c.nodes {
		to := c.nodes[(i+1)%3].id
		if statusOf(t, c.nodes[0]).Leader == to {
			continue
		}
		var l api.Leadership
		if err := json.Unmarshal([]byte(n.mustKV("transfer", "--to", fmt.Sprint(to))), &l); err != nil || l.Leader != to || l.Term == 0 {
			t.Fatalf("transfer to %d: %+v, %v", to, l, err)
		}
		if s := statusOf(t, n); s.Leader != to || s.Priority != 100 {
			t.Fatalf("after a transfer to %d: %+v", to, s)
		}
		if r := kv(t, "elect", "--http", "http://"+c.nodes[(i+2)%3].httpAddress); r.code != 1 || !strings.Contains(r.stderr, "election_failed") {
			t.Fatalf("elect under a leader: %+v", r)
		}
	}
	leader := c.leader()
	if got := leader.mustKV("elect"); !strings.Contains(got, fmt.Sprintf(`"leader":%d`, leader.id)) {
		t.Fatalf("elect on the leader: %s", got)
	}
	paused := c.others(leader)[0]
	if got := paused.mustKV("pause-elections"); got != `{"paused":true}`+"\n" || !statusOf(t, paused).ElectionsPaused {
		t.Fatalf("pause-elections: %s", got)
	}
	if r := kv(t, "transfer", "--to", fmt.Sprint(paused.id), "--http", "http://"+leader.httpAddress); r.code != 1 || !strings.Contains(r.stderr, "paused") {
		t.Fatalf("transfer to a node that is paused: %+v", r)
	}
	if got := paused.mustKV("resume-elections"); got != `{"paused":false}`+"\n" || statusOf(t, paused).ElectionsPaused {
		t.Fatalf("resume-elections: %s", got)
	}
	if r := kv(t, "transfer", "--to", "9", "--http", "http://"+leader.httpAddress); r.code != 1 || !strings.Contains(r.stderr, "transfer_failed") {
		t.Fatalf("transfer to nobody: %+v", r)
	}
}

// purges lets the beginning of one node's log go, and not more than its snapshot has.
func purges(t *testing.T, n *node) {
	t.Helper()
	eventually(t, "a record", func() error {
		if s := statusOf(t, n); s.RecordIndex < 10 || s.SnapshotIndex != 0 {
			return fmt.Errorf("record %d, snapshot %d", s.RecordIndex, s.SnapshotIndex)
		}
		return nil
	})
	var made api.Snapshot
	if err := json.Unmarshal([]byte(n.mustKV("snapshot")), &made); err != nil || made.Index < 10 || made.Term == 0 || made.Bytes == 0 {
		t.Fatalf("%+v, %v", made, err)
	}
	s := statusOf(t, n)
	var got api.Purged
	if err := json.Unmarshal([]byte(n.mustKV("purge", "--up-to", fmt.Sprint(s.SnapshotIndex-2))), &got); err != nil || got.FirstIndex < s.FirstIndex {
		t.Fatalf("%+v, %v", got, err)
	}
	if now := statusOf(t, n); now.FirstIndex < got.FirstIndex {
		t.Errorf("the log was said to begin at %d, and begins at %d", got.FirstIndex, now.FirstIndex)
	}
	if r := kv(t, "purge", "--up-to", "1000000000", "--http", "http://"+n.httpAddress); r.code != 1 || !strings.Contains(r.stderr, "bad_request") {
		t.Errorf("a purge beyond the snapshot: %+v", r)
	}
}

func swaps(t *testing.T, n *node) {
	t.Helper()
	for _, test := range []struct {
		args []string
		want bool
	}{
		{[]string{"cas", "c", "old", "new"}, false},
		{[]string{"cas", "c", "1", "--old-absent"}, true},
		{[]string{"cas", "c", "1", "2"}, true},
		{[]string{"cas", "c", "1", "3"}, false},
		{[]string{"cas", "--new-absent", "c", "2"}, true},
		{[]string{"cas", "c", "--old-absent", "--new-absent"}, true},
	} {
		if got := n.mustKV(test.args...); !strings.Contains(got, fmt.Sprintf(`"swapped":%v`, test.want)) {
			t.Fatalf("%q: %s", test.args, got)
		}
	}
}

// bodies sends what the command line cannot.
func bodies(t *testing.T, c *cluster) {
	t.Helper()
	large := strings.Repeat("\x00\xff", 1<<19)
	wantCode(t, c.nodes[0], "PUT", "/kv/a%2Fb", large, 200, "")
	for _, n := range c.nodes {
		if got := wantCode(t, n, "GET", "/kv/a%2Fb", "", 200, ""); got != large {
			t.Fatalf("node %d: a value of %d bytes, want %d", n.id, len(got), len(large))
		}
	}
	wantCode(t, c.nodes[1], "PUT", "/kv/a%2Fb", large+"x", 413, api.TooLarge)
	wantCode(t, c.nodes[1], "GET", "/nothing", "", 404, api.NotFound)
	wantCode(t, c.nodes[1], "PATCH", "/kv/a", "", 405, api.BadRequest)
	wantCode(t, c.nodes[1], "POST", "/kv/a/cas", "{", 400, api.BadRequest)
}

// stop ends the leader in order; the others go on, and it comes back with its
// data. Then it ends all.
func stop(t *testing.T, c *cluster) {
	t.Helper()
	leader := c.leader()
	leader.terminate(syscall.SIGTERM)
	rest := c.others(leader)
	c.leader(rest...)
	rest[0].mustKV("put", "while it was away", "x")
	leader.start()
	c.leader()
	c.caughtUp()
	if got := leader.mustKV("get", "while it was away", "--read", "stale"); got != "x" {
		t.Fatalf("it reads %q", got)
	}
	for i, n := range c.nodes {
		n.terminate([]os.Signal{syscall.SIGTERM, os.Interrupt, syscall.SIGTERM}[i])
	}
}

func statusOf(t *testing.T, n *node) api.Status {
	t.Helper()
	var s api.Status
	if err := json.Unmarshal([]byte(n.mustKV("status")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// wantCode sends a raw request and returns the body of the answer.
func wantCode(t *testing.T, n *node, method, target, body string, status int, code api.Code) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+n.httpAddress+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e api.Error
	if status != 200 {
		if err := json.Unmarshal(answer, &e); err != nil {
			t.Fatalf("%s %s: %s", method, target, answer)
		}
	}
	if response.StatusCode != status || e.Code != code {
		t.Fatalf("%s %s: %d %.200s, want %d %s", method, target, response.StatusCode, answer, status, code)
	}
	return string(answer)
}

// tooMany is a list of one member more than a cluster may have.
func tooMany() string {
	var list []string
	for id := 1; id <= membership.MembersMax+1; id++ {
		list = append(list, fmt.Sprintf("%d=h:%d", id, id))
	}
	return strings.Join(list, ",")
}

// TestRefusals wants each of these to end with exit code 1 and a word on what
// is wrong, and to leave the node that is already there alone.
func TestRefusals(t *testing.T) {
	there := newNode(t, 1)
	there.start()
	free := []string{"--http", "127.0.0.1:0", "--raft", "127.0.0.1:0"}
	serve := func(args ...string) []string { return append(append([]string{"serve"}, free...), args...) }
	data := func() string { return filepath.Join(t.TempDir(), "data") }
	notADirectory := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notADirectory, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	stopped := newNode(t, 7)
	stopped.start()
	stopped.terminate(syscall.SIGTERM)
	closed := closedPort(t)

	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"http port in use":        {serve("--id", "2", "--data", data(), "--http", there.httpAddress), "in use"},
		"raft port in use":        {serve("--id", "2", "--data", data(), "--raft", there.raftAddress), "in use"},
		"directory in use":        {serve("--id", "1", "--data", there.dir), there.dir},
		"another node's data":     {serve("--id", "8", "--data", stopped.dir), "node 7"},
		"not a directory":         {serve("--id", "2", "--data", notADirectory), notADirectory},
		"no id":                   {serve("--data", data()), `"id"`},
		"id 0":                    {serve("--id", "0", "--data", data()), "--id"},
		"id no number":            {serve("--id", "one", "--data", data()), "--id"},
		"no data":                 {serve("--id", "2"), "--data"},
		"unknown store":           {serve("--id", "2", "--data", data(), "--store", "paper"), "--store"},
		"bad http":                {serve("--id", "2", "--data", data(), "--http", "nowhere"), "--http"},
		"bad raft":                {serve("--id", "2", "--data", data(), "--raft", "127.0.0.1:99999"), "--raft"},
		"bad dial":                {serve("--id", "2", "--data", data(), "--dial", "2"), "--dial"},
		"dial twice":              {serve("--id", "2", "--data", data(), "--dial", "3=h:1", "--dial", "3=h:2"), "--dial"},
		"init without the node":   {serve("--id", "2", "--data", data(), "--init", "1=h:1,3=h:3"), "--init: node 2"},
		"init with an id twice":   {serve("--id", "2", "--data", data(), "--init", "1=h:1,2=h:2,1=h:3"), "--init: node 1"},
		"init with one address":   {serve("--id", "2", "--data", data(), "--init", "1=h:1,2=h:1"), "--init: nodes 1 and 2"},
		"init with port 0":        {serve("--id", "2", "--data", data(), "--init", "1=h:1,2=h:0"), "--init"},
		"init at any address":     {serve("--id", "2", "--data", data(), "--init", "1=[::]:1,2=h:2"), "--init"},
		"init of too many":        {serve("--id", "2", "--data", data(), "--init", tooMany()), "--init: 256 members"},
		"init malformed":          {serve("--id", "2", "--data", data(), "--init", "2"), "--init"},
		"peer is oneself":         {serve("--id", "2", "--data", data(), "--peer", "2=h:2"), "--peer: node 2 is this node itself"},
		"peer twice":              {serve("--id", "2", "--data", data(), "--peer", "3=h:2", "--peer", "3=h:3"), "--peer: node 3"},
		"peer without an address": {serve("--id", "2", "--data", data(), "--peer", "3="), "--peer"},
		"peer with port 0":        {serve("--id", "2", "--data", data(), "--peer", "3=h:0"), "--peer"},
		"peer without an id":      {serve("--id", "2", "--data", data(), "--peer", "h:1"), "--peer"},
		"advertise without host":  {serve("--id", "2", "--data", data(), "--advertise", ":9002"), "--advertise"},
		"advertise any address":   {serve("--id", "2", "--data", data(), "--advertise", "0.0.0.0:9002"), "--advertise"},
		"advertise malformed":     {serve("--id", "2", "--data", data(), "--advertise", "h"), "--advertise"},
		"bad time-out":            {serve("--id", "2", "--data", data(), "--election-timeout", "1"), "--election-timeout"},
		"heartbeat too slow":      {serve("--id", "2", "--data", data(), "--election-timeout", "1s", "--heartbeat", "1s"), "HeartbeatInterval"},
		"bad log level":           {serve("--id", "2", "--data", data(), "--log-level", "loud"), "--log-level"},
		"argument":                {serve("--id", "2", "--data", data(), "more"), "more"},
		"unknown flag":            {serve("--id", "2", "--data", data(), "--fast"), "--fast"},
		"unknown command":         {[]string{"push", "a", "b"}, "push"},
		"too few arguments":       {[]string{"put", "a"}, "arg"},
		"too many arguments":      {[]string{"get", "a", "b"}, "arg"},
		"cas without old":         {[]string{"cas", "a", "b"}, "cas takes 3"},
		"cas with both":           {[]string{"cas", "a", "b", "c", "--old-absent"}, "cas takes 2"},
		"init without list":       {[]string{"init"}, "members"},
		"init of one id twice":    {[]string{"init", "--members", "1=h:1,1=h:2"}, "--members: node 1"},
		"init with bad list":      {[]string{"init", "--members", "1:a"}, "--members"},
		"bad URL":                 {[]string{"status", "--http", "ftp://h"}, "ftp"},
		"nobody there":            {[]string{"status", "--http", closed}, "refused"},
		"bad read":                {[]string{"get", "a", "--read", "dirty", "--http", there.httpAddress}, "bad_request"},
		"bad key":                 {[]string{"get", "", "--http", there.httpAddress}, "bad_request"},
	} {
		t.Run(name, func(t *testing.T) {
			r := kv(t, test.args...)
			if r.code != 1 || !strings.Contains(r.stderr, test.want) || strings.Contains(r.stderr, "panic") || r.stdout != "" {
				t.Errorf("kv %q: %+v, want exit code 1 and %q", test.args, r, test.want)
			}
		})
	}
	if err := there.running(); err != nil {
		t.Fatal(err)
	}
	statusOf(t, there)
}

// closedPort is an address at which nobody listens, and nobody can: its port is
// bound.
func closedPort(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}

// TestEmptiedMember takes away a member's data: it must stay up, say that the
// group knows it as another, and help nobody to be elected.
func TestEmptiedMember(t *testing.T) {
	const electionTimeout = 500 * time.Millisecond
	for _, store := range []string{"badger", "memory"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "--store", store, "--election-timeout", electionTimeout.String())
			leader := c.leader()
			voter, emptied := c.others(leader)[0], c.others(leader)[1]
			leader.mustKV("put", "k", "1")

			emptied.kill()
			if err := os.RemoveAll(emptied.dir); err != nil {
				t.Fatal(err)
			}
			emptied.start()
			eventually(t, "its status says that it is unknown", func() error {
				s, err := emptied.status()
				if err != nil || s.UnknownToGroup {
					return err
				}
				return fmt.Errorf("status %+v", s)
			})
			if got := leader.mustKV("get", "k"); got != "1" {
				t.Fatalf("the leader reads %q", got)
			}

			// The voter and the emptied one are two of three, and no majority.
			leader.kill()
			eventually(t, "the voter misses its leader", func() error {
				s, err := voter.status()
				if err != nil || s.Leader == 0 {
					return err
				}
				return fmt.Errorf("status %+v", s)
			})
			during(t, "without a majority", 6*electionTimeout, func() error {
				for _, n := range []*node{voter, emptied} {
					if err := n.running(); err != nil {
						return err
					}
					s, err := n.client.Status(t.Context()) // on a busy machine it may take its time
					if err != nil {
						return err
					}
					if s.Role == "leader" || s.Leader != 0 || s.Fatal != "" {
						return fmt.Errorf("node %d: %+v", n.id, s)
					}
				}
				return nil
			})
			wantCode(t, voter, "PUT", "/kv/k?timeout=300ms", "2", 504, api.Timeout)
			wantCode(t, voter, "GET", "/kv/k?timeout=300ms", "", 504, api.Timeout)
			wantCode(t, voter, "GET", "/kv/k?read=lease&timeout=300ms", "", 504, api.Timeout)
			wantCode(t, voter, "GET", "/kv/k?read=stale&max_staleness=1ms&timeout=300ms", "", 503, api.TooStale)
			wantCode(t, voter, "GET", "/kv/k?read=stale&min_index=1", "", 200, "")
			wantCode(t, voter, "GET", "/kv/k?read=stale", "", 200, "")
			if store == "memory" {
				// The leader would come back emptied as well.
				return
			}

			leader.start()
			c.leader(leader, voter)
			if got := voter.mustKV("get", "k"); got != "1" {
				t.Fatalf("the voter reads %q", got)
			}
			leader.mustKV("put", "k", "3")
			if err := emptied.running(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestTerminatedLeaderHandsOver: with a time-out that nobody waits for, the others have
// a leader at once when theirs is told to end.
func TestTerminatedLeaderHandsOver(t *testing.T) {
	c := newNodes(t, "--election-timeout", "5m", "--heartbeat", "50ms")
	c.nodes[0].mustKV("init", "--members", c.members(), "--priority", "2=200")
	if leader := c.leader(); leader.id != 2 {
		// The best leads as soon as it may.
		eventually(t, "node 2 to lead", func() error {
			if s, err := c.nodes[1].status(); err != nil || s.Leader != 2 || s.Priority != 200 {
				return fmt.Errorf("node %d leads, %v", s.Leader, err)
			}
			return nil
		})
	}
	leader := c.leader()
	leader.terminate(syscall.SIGTERM)
	rest := c.others(leader)
	c.leader(rest...)
	rest[0].mustKV("put", "k", "v")
	if got := rest[1].mustKV("get", "k"); got != "v" {
		t.Errorf("it reads %q", got)
	}
}
