//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// votersOf is what members that all vote are, in few words.
func votersOf(nodes ...*node) string {
	var ids []string
	for _, n := range nodes {
		ids = append(ids, fmt.Sprint(n.id, " voter"))
	}
	slices.Sort(ids)
	return strings.Join(ids, ", ")
}

// tables are the files of the log of a node that was stopped, the largest first.
func (n *node) tables() []string {
	n.t.Helper()
	var names []string
	sizes := make(map[string]int64)
	err := filepath.WalkDir(filepath.Join(n.dir, "raft", "log"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".sst") {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				names, sizes[path] = append(names, path), info.Size()
			}
		}
		return err
	})
	if err != nil || len(names) == 0 {
		n.t.Fatalf("%d tables, %v", len(names), err)
	}
	slices.SortFunc(names, func(a, b string) int { return int(sizes[b] - sizes[a]) })
	return names
}

// TestDamagedLog: a flipped bit and a lost file of its log stop a node, which names the
// place. It comes back by one command each: its directory is set aside, and it is replaced.
func TestDamagedLog(t *testing.T) {
	flags := []string{"--election-timeout", "500ms", "--heartbeat", "50ms"}
	c := newCluster(t, flags...)
	c.complete()
	for i := range 20 {
		c.nodes[0].mustKV("put", fmt.Sprint("k", i), strings.Repeat("v", 1000))
	}
	for name, damage := range map[string]func(file string) error{
		"a flipped bit": func(file string) error {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			b[len(b)/3] ^= 4
			return os.WriteFile(file, b, 0o600)
		},
		"a lost file": os.Remove,
	} {
		leader := c.leader()
		c.caughtUp()
		bad := c.others(leader)[0]
		bad.terminate(os.Interrupt)
		file := bad.tables()[0]
		if err := damage(file); err != nil {
			t.Fatal(err)
		}
		bad.damaged(name, filepath.Base(file))
		bad.damaged(name+", once more", "damaged") // it stays so
		bad.setAside()
		if err := os.RemoveAll(bad.dir + ".set-aside"); err != nil {
			t.Fatal(err)
		}
		bad.start()
		leader.missed(bad)
		leader.changes(votersOf(c.nodes...), "replace", fmt.Sprint(bad.id))
		bad.mustKV("put", "after "+strings.ReplaceAll(name, " ", "-"), "x")
		c.caughtUp()
	}
}

// damaged wants the node to end at its start, and to name the place.
func (n *node) damaged(how string, place string) {
	n.t.Helper()
	err := n.startsUp(n.tryStart)
	if err == nil || !strings.Contains(err.Error(), "stored data is damaged") || !strings.Contains(err.Error(), place) {
		n.t.Fatalf("%s: %v", how, err)
	}
}

// TestWrongDirectories: two processes with one directory, the directory of another node, an
// old copy of one, a second node with the id, and a node of another cluster at a member's
// address are refused by name.
func TestWrongDirectories(t *testing.T) {
	flags := []string{"--election-timeout", "500ms", "--heartbeat", "50ms"}
	c := newCluster(t, flags...)
	leader := c.complete()
	c.caughtUp()
	a, b := c.others(leader)[0], c.others(leader)[1]
	other := func(id uint64, dir string) *node {
		n := newNode(t, id, flags...)
		if dir != "" {
			n.dir = dir
		}
		return n
	}
	wantRefused(t, other(a.id, a.dir), "in use")
	a.terminate(os.Interrupt)
	wantRefused(t, other(b.id, a.dir), fmt.Sprintf("belongs to node %d and was opened for node %d", a.id, b.id))

	copied := a.dir + ".copy"
	if err := os.CopyFS(copied, os.DirFS(a.dir)); err != nil {
		t.Fatal(err)
	}
	// The original lives once more and a second time: its counter is beyond the copy's.
	for range 2 {
		a.start()
		c.leader()
		c.caughtUp()
		a.terminate(os.Interrupt)
	}
	original := a.dir
	a.dir = copied
	a.start()
	a.says("copy of an old data directory")
	a.kill()
	wantRefused(t, a, "must not take part any more")
	a.dir = original

	// Another node has its id, and is at its address.
	second := other(a.id, "")
	second.raftAddress = a.raftAddress
	second.start()
	leader.says("has lost its data")
	second.kill()
	stranger := other(a.id, "")
	stranger.raftAddress = a.raftAddress
	stranger.start()
	stranger.mustKV("init", "--members", fmt.Sprintf("%d=%s", a.id, a.raftAddress))
	leader.says("a stranger to the cluster")
	stranger.kill()

	a.start()
	c.leader()
	c.caughtUp()
}

// wantRefused wants a node not to start, and to say why.
func wantRefused(t *testing.T, n *node, why string) {
	t.Helper()
	if err := n.startsUp(n.tryStart); err == nil || !strings.Contains(err.Error(), why) {
		t.Fatalf("node %d with %s: %v", n.id, n.dir, err)
	}
}
