//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// membersText writes members in few words: "1 voter, 2 learner".
func membersText(m api.Members) string {
	var kinds []string
	for _, member := range m.Members {
		kinds = append(kinds, fmt.Sprintf("%d %s", member.ID, member.Kind))
	}
	return strings.Join(kinds, ", ")
}

// changes runs a command of members on a node, and wants these to come of it.
func (n *node) changes(want string, args ...string) api.Members {
	n.t.Helper()
	var m api.Members
	if err := json.Unmarshal([]byte(n.mustKV(append([]string{"members"}, args...)...)), &m); err != nil {
		n.t.Fatal(err)
	}
	if got := membersText(m); got != want || m.Joint || !m.Committed || m.ChangeID != "" || m.Change.State != api.ChangeNone {
		n.t.Fatalf("kv members %q: %+v, want %s", args, m, want)
	}
	return m
}

// TestMembers takes a fourth process in, lets it vote, takes it out and in again, and
// replaces one that was emptied and has moved.
func TestMembers(t *testing.T) {
	flags := []string{"--election-timeout", "500ms", "--heartbeat", "50ms"}
	c := newCluster(t, flags...)
	c.complete()
	one, two, three := c.nodes[0], c.nodes[1], c.nodes[2]
	const founders = "1 voter, 2 voter, 3 voter"
	one.mustKV("put", "k", "before")
	four := newNode(t, 4, flags...)
	four.start()
	at := "4=" + four.raftAddress

	first := two.changes(founders, "add", "2="+two.raftAddress) // which changes nothing
	two.changes(founders+", 4 learner", "add-learner", at, "--expected-index", fmt.Sprint(first.Index))
	three.changes(founders+", 4 voter", "promote", "4")
	eventually(t, "node 4 has it all", func() error {
		if r := kv(t, "get", "k", "--http", four.httpAddress); r.code != 0 || r.stdout != "before" {
			return errors.New(r.stderr + r.stdout)
		}
		return nil
	})
	four.changes(founders+", 4 voter", "set-tags", "4", "zone=d")
	wantCode(t, one, "POST", "/cluster/members", fmt.Sprintf(`{"changes":[{"op":"demote","id":4}],"expected_index":%d}`, first.Index), 409, api.ConfigurationChanged)
	wantCode(t, one, "POST", "/cluster/members", `{"changes":[{"op":"promote","id":4}]}`, 400, api.BadRequest)
	wantCode(t, one, "POST", "/cluster/members", `{"changes":[{"op":"add","id":5,"address":"0.0.0.0:1"}]}`, 400, api.BadRequest)
	wantCode(t, one, "POST", "/cluster/members", fmt.Sprintf(`{"changes":[{"op":"add","id":5,"address":%q}],"catch_up_limit":"100ms"}`, closedPort(t)), 409, api.NotCaughtUp)

	one.changes(founders, "remove", "4")
	eventually(t, "node 4 knows that it was removed", func() error {
		if s, err := four.status(); err != nil || !s.Removed {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
	wantCode(t, four, "PUT", "/kv/k", "x", 409, api.Removed)
	wantCode(t, four, "GET", "/cluster/members", "", 200, "")
	two.changes(founders+", 4 voter", "add", at)
	four.mustKV("put", "k", "back")
	two.changes(founders, "set-voters", "1", "2", "3")

	replaceEmptied(t, c, founders)
}

// missed waits until a leader has missed a member for two election time-outs.
func (n *node) missed(lost *node) {
	n.t.Helper()
	eventually(n.t, "the old incarnation is silent for long enough", func() error {
		s, err := n.status()
		for _, p := range s.Peers {
			if p.ID == lost.id && (p.LastContact == nil || *p.LastContact <= 1) {
				return fmt.Errorf("%+v", p)
			}
		}
		if err != nil || len(s.Peers) == 0 {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
}

// replaceEmptied takes a follower's data away, starts it elsewhere, and replaces it.
func replaceEmptied(t *testing.T, c *cluster, want string) {
	t.Helper()
	leader := c.leader()
	lost := c.others(leader)[0]
	lost.kill()
	if err := os.RemoveAll(lost.dir); err != nil {
		t.Fatal(err)
	}
	old := lost.raftAddress
	lost.raftAddress = freeAddress(t)
	lost.start()
	args := []string{"replace", fmt.Sprint(lost.id), "--address", lost.raftAddress}
	leader.missed(lost)
	m := c.others(lost)[1].changes(want, args...)
	for _, member := range m.Members {
		if member.ID == lost.id && (member.Address != lost.raftAddress || member.Address == old) {
			t.Errorf("it is %+v", member)
		}
	}
	c.leader()
	lost.mustKV("put", "k", "replaced")
	c.caughtUp()
}

// TestRemovedOverARestart: a node that was away when it was removed is told so when it comes
// back, and says it after every restart, also if nobody is left to tell it. It is added
// again with its directory.
func TestRemovedOverARestart(t *testing.T) {
	flags := []string{"--election-timeout", "300ms", "--heartbeat", "30ms"}
	c := newCluster(t, flags...)
	leader := c.complete()
	c.caughtUp()
	away := c.others(leader)[0]
	away.terminate(syscall.SIGTERM)
	rest := []*node{leader, c.others(leader)[1]}
	leader.changes(votersOf(rest...), "remove", fmt.Sprint(away.id))
	leader.mustKV("put", "k", "v")
	leader.mustKV("snapshot")
	isRemoved := func() error {
		s, err := away.status()
		if err != nil || !s.Removed {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	}
	away.start()
	eventually(t, "it is told", isRemoved)
	for _, n := range rest {
		n.terminate(syscall.SIGTERM)
	}
	away.terminate(syscall.SIGTERM)
	if r := kv(t, "inspect", "--data", away.dir, "--json"); r.code != 0 || !strings.Contains(r.stdout, `"removed":"`) {
		t.Errorf("kv inspect: exit code %d, %s%s", r.code, r.stdout, r.stderr)
	}
	away.start()
	if err := isRemoved(); err != nil {
		t.Error(err)
	}
	wantCode(t, away, "PUT", "/kv/k", "x", 409, api.Removed)
	startAll(t, rest)
	c.leader(rest...)
	leader.changes(votersOf(c.nodes...), "add", fmt.Sprintf("%d=%s", away.id, away.raftAddress))
	c.leader()
	c.caughtUp()
	if s, err := away.status(); err != nil || s.Removed {
		t.Errorf("%+v, %v", s, err)
	}
}
