//go:build unix

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// upgrade starts a node again, as a build whose machine is of a version and whose commands
// need one.
func (n *node) upgrade(version, needs int) {
	n.t.Helper()
	if n.process != nil {
		n.terminate(syscall.SIGTERM)
	}
	n.environment = []string{fmt.Sprintf("KV_MACHINE_VERSION=%d", version), fmt.Sprintf("KV_NEEDS_VERSION=%d", needs)}
	n.start()
}

// shows waits until the status of a node is as it should be.
func (n *node) shows(what string, is func(s api.Status) bool) {
	n.t.Helper()
	eventually(n.t, what, func() error {
		if s, err := n.status(); err != nil || !is(s) {
			return fmt.Errorf("node %d: %+v, %v", n.id, s, err)
		}
		return nil
	})
}

// TestRollingUpgrade: the binaries are exchanged one by one while the cluster works. Then a
// version is used before all have it: the one that is too old votes and acknowledges,
// applies nothing more and says so, and has everything when it is exchanged.
func TestRollingUpgrade(t *testing.T) {
	build := filepath.Join(t.TempDir(), "kv")
	if out, err := exec.Command("go", "build", "-tags", "hang", "-o", build, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var nodes []*node
	var members []string
	for id := range uint64(3) {
		n := newNode(t, id+1, "--election-timeout", "500ms")
		n.binary = build
		n.upgrade(1, 0)
		nodes = append(nodes, n)
		members = append(members, fmt.Sprintf("%d=%s", n.id, n.raftAddress))
	}
	nodes[0].mustKV("init", "--members", strings.Join(members, ","))
	all := map[string]string{}
	put := func(n *node, key string) {
		t.Helper()
		n.mustKV("put", key, "value of "+key)
		all[key] = "value of " + key
	}
	for i, n := range nodes {
		put(nodes[(i+1)%3], fmt.Sprint("before ", n.id))
		n.upgrade(2, 0)
		put(n, fmt.Sprint("behind ", n.id))
	}
	for _, n := range nodes {
		n.shows("all to have version 2", func(s api.Status) bool { return s.MachineVersion == 2 && s.MachineVersionMin == 2 })
	}
	// Version 3 is used too early.
	nodes[0].upgrade(3, 3)
	nodes[1].upgrade(3, 0)
	old := nodes[2]
	old.mustKV("transfer", "--to", "1")
	put(nodes[0], "too early")
	put(nodes[1], "and on")
	old.shows("the old one to say so", func(s api.Status) bool {
		return strings.Contains(s.TooOld, "needs version 3") && s.AppliedIndex+2 <= s.CommitIndex && s.MachineVersionMin == 2
	})
	if r := kv(t, "get", "and on", "--http", "http://"+old.httpAddress); r.code == 0 || !strings.Contains(r.stderr, string(api.MachineTooOld)) {
		t.Errorf("a read of it: %+v", r)
	}
	nodes[1].kill()
	put(nodes[0], "acknowledged by the old one")
	nodes[1].start()
	old.upgrade(3, 0)
	for _, n := range nodes {
		n.shows("all to have version 3", func(s api.Status) bool { return s.MachineVersionMin == 3 && s.TooOld == "" })
		for key, want := range all {
			if got := n.mustKV("get", key); got != want {
				t.Errorf("node %d: %s is %q, want %q", n.id, key, got, want)
			}
		}
	}
	for _, n := range nodes {
		n.terminate(syscall.SIGTERM)
	}
}
