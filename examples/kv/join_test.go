//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// alone is a cluster of one process, node 1.
func alone(t *testing.T, flags ...string) *node {
	t.Helper()
	one := newNode(t, 1, flags...)
	one.start()
	one.mustKV("init", "--members", "1="+one.raftAddress)
	return one
}

// membersAre waits until a node sees these members, and no change is under way.
func (n *node) membersAre(want string) {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("node %d sees %s", n.id, want), func() error {
		var m api.Members
		if err := json.Unmarshal([]byte(n.mustKV("members")), &m); err != nil {
			return err
		}
		if got := membersText(m); got != want || m.Change.State != api.ChangeNone || m.Joint {
			return fmt.Errorf("%s, %+v", got, m.Change)
		}
		return nil
	})
}

// TestJoinByURL starts processes that ask to be let in: before there is anybody to ask, as a
// voter, as a learner; again, which changes nothing; after a removal, in vain without
// --rejoin; and with an emptied directory, which has to be replaced by hand.
func TestJoinByURL(t *testing.T) {
	flags := []string{"--election-timeout", "500ms", "--heartbeat", "50ms"}
	early := newNode(t, 2, append([]string{"--join", "http://127.0.0.1:1"}, flags...)...)
	early.start()
	eventually(t, "it says what it waits for", func() error {
		if s, err := early.status(); err != nil || !strings.Contains(s.Joining, "connection refused") || s.Role != "none" {
			return fmt.Errorf("%+v, %v", s, err)
		}
		return nil
	})
	early.says("this node was not let in yet, and asks again")
	early.terminate(syscall.SIGTERM)

	one := alone(t, flags...)
	joins := append([]string{"--join", "http://127.0.0.1:1,http://" + one.httpAddress}, flags...)
	early.flags = joins
	early.start()
	three := newNode(t, 3, joins...)
	three.start()
	four := newNode(t, 4, append([]string{"--as", "learner"}, joins...)...)
	four.start()
	const all = "1 voter, 2 voter, 3 voter, 4 learner"
	for _, n := range []*node{one, early, three, four} {
		n.membersAre(all)
		n.mustKV("put", fmt.Sprint("on ", n.id), "x")
	}
	at := one.changes(all, "set-tags", "1").Index
	four.kill()
	early.terminate(syscall.SIGTERM)
	for _, n := range []*node{early, four} {
		n.start()
		n.says("this node is a member")
	}
	if now := one.changes(all, "set-tags", "1").Index; now != at {
		t.Errorf("the configuration is that of %d, and was that of %d", now, at)
	}

	early.changes("1 voter, 2 voter, 3 voter", "remove", "4")
	four.says("this node was removed")
	four.terminate(syscall.SIGTERM)
	four.start()
	four.says("this node was removed, and does not ask to be let in again")
	four.terminate(syscall.SIGTERM)
	four.flags = append(four.flags, "--rejoin")
	four.start()
	four.membersAre(all)

	three.kill()
	if err := os.RemoveAll(three.dir); err != nil {
		t.Fatal(err)
	}
	three.start()
	three.says("use replace: kv members replace 3")
	one.membersAre(all)
	eventually(t, "it is replaced by hand", func() error {
		if r := kv(t, "members", "replace", "3", "--http", one.httpAddress); r.code != 0 {
			return fmt.Errorf("%s", r.stderr)
		}
		return nil
	})
	three.mustKV("put", "on the new 3", "x")
}

// TestJoinToAnotherCluster: a node that belongs to one is refused by the other, by name.
func TestJoinToAnotherCluster(t *testing.T) {
	one := alone(t)
	other := newNode(t, 2)
	other.start()
	other.mustKV("init", "--members", "2="+other.raftAddress)
	s, err := other.status()
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"id":2,"incarnation":%q,"address":%q,"cluster":%q}`, s.Incarnation, other.raftAddress, s.Cluster)
	if answer := wantCode(t, one, "POST", "/cluster/join", body, 400, api.BadRequest); !strings.Contains(answer, s.Cluster) || !strings.Contains(answer, "other_cluster") {
		t.Errorf("it answers %s", answer)
	}
	for _, body := range []string{`{}`, `{"id":2,"incarnation":"x","address":"h:1"}`, `{"id":2,"incarnation":"a"}`, `{"id":2,"incarnation":"a","address":"0.0.0.0:1"}`, `{"id":2,"incarnation":"a","address":"h:1","as":"king"}`} {
		wantCode(t, one, "POST", "/cluster/join", body, 400, api.BadRequest)
	}
}

// TestJoinFlags: what cannot be is refused before anything is opened.
func TestJoinFlags(t *testing.T) {
	for want, flags := range map[string][]string{
		"--advertise says where":        {"--join", "http://x:1", "--raft", "0.0.0.0:9001"},
		"nobody can be reached":         {"--join", "http://x:1", "--advertise", "0.0.0.0:9001"},
		"either formed or joined":       {"--join", "http://x:1", "--init", "1=h:1"},
		"is none of voter, learner":     {"--join", "http://x:1", "--as", "king"},
		"there is no --join":            {"--rejoin"},
		"is not the address of a":       {"--join", "ftp://x:1"},
		"VotersMin 0 is not between":    {"--autopilot", "--autopilot-voters-min", "300"},
		"DeadAfter 1s is less than two": {"--autopilot", "--autopilot-dead-after", "1s"},
	} {
		args := append([]string{"serve", "--id", "1", "--store", "memory", "--http", "127.0.0.1:0", "--raft", "127.0.0.1:0"}, flags...)
		if r := kv(t, args...); r.code != 1 || !strings.Contains(r.stderr, strings.ReplaceAll(want, "VotersMin 0", "VotersMin 300")) {
			t.Errorf("kv %q: %+v, want %s", flags, r, want)
		}
	}
}
