//go:build unix

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// setAside moves the node's directory away: it comes back as another incarnation.
func (n *node) setAside() {
	n.t.Helper()
	if err := os.Rename(n.dir, n.dir+".set-aside"); err != nil {
		n.t.Fatal(err)
	}
}

// refuses wants a command to end with exit code 1, and to say these.
func refuses(t *testing.T, r result, says ...string) {
	t.Helper()
	for _, text := range says {
		if r.code != 1 || !strings.Contains(r.stdout+r.stderr, text) {
			t.Fatalf("exit code %d; it does not say %q: %s%s", r.code, text, r.stdout, r.stderr)
		}
	}
}

// fingerprint is what there is in a directory: names, times and hashes.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if !d.IsDir() {
			if content, err = os.ReadFile(name); err != nil {
				return err
			}
		}
		fmt.Fprintf(&text, "%s %v %d %x\n", name, info.Mode(), info.ModTime().UnixNano(), sha256.Sum256(content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestRecover is the runbook: the majority is lost, a survivor goes on alone, and the
// others come in with clean directories. On the way the old majority comes back.
func TestRecover(t *testing.T) {
	flags := []string{"--election-timeout", "500ms", "--heartbeat", "50ms"}
	c := newCluster(t, flags...)
	leader := c.complete()
	leader.mustKV("put", "k", "before")
	c.caughtUp()
	for _, n := range c.nodes {
		n.mustKV("snapshot")
	}
	survivor := c.others(leader)[0]
	lost := c.others(survivor)
	command := []string{"recover", "--data", survivor.dir, "--members", fmt.Sprintf("%d=%s", survivor.id, survivor.raftAddress), "--ask", "2s"}
	yes := append(command[:len(command):len(command)], "--yes")

	refuses(t, kv(t, yes...), "in use")
	survivor.kill()
	lost[0].kill()
	refuses(t, kv(t, yes...), fmt.Sprintf("node %d is alive", lost[1].id))
	lost[1].kill()
	unfinished := filepath.Join(survivor.dir, "snapshots", "1", "what-a-crash-left.tmp")
	if err := errors.Join(os.MkdirAll(filepath.Dir(unfinished), 0o700), os.WriteFile(unfinished, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, survivor.dir)
	plan := kv(t, command...)
	if after := fingerprint(t, survivor.dir); after != before {
		t.Errorf("without --yes it has changed the directory: before\n%safter\n%s", before, after)
	}
	refuses(t, plan, "last term", "last index", "may be lost", "may appear", "cannot be reached", "becomes cluster", "repeat it with --yes")
	if strings.Contains(plan.stdout, "has become") {
		t.Errorf("without --yes it says: %s", plan.stdout)
	}
	refuses(t, kv(t, "recover", "--data", survivor.dir, "--members", "9=h:1"), "belongs to node")
	refuses(t, kv(t, "recover", "--data", survivor.dir+"-none", "--members", "9=h:1"), "no node's data")
	refuses(t, kv(t, "recover", "--data", survivor.dir, "--members", "1=h:1,2=h:2"), "name the survivor alone")
	if r := kv(t, yes...); r.code != 0 || !strings.Contains(r.stdout, "has become cluster") {
		t.Fatalf("%+v", r)
	}
	if r := kv(t, yes...); r.code != 0 || !strings.Contains(r.stdout, "decides alone already") {
		t.Fatalf("a second time: %+v", r)
	}
	survivor.start()
	survivor.mustKV("put", "k", "of the survivor")

	startAll(t, lost)
	old := c.leader(lost...)
	if got := old.mustKV("get", "k"); got != "before" {
		t.Errorf("the old majority has %q", got)
	}
	old.mustKV("put", "k", "of the old majority")
	old.says("recovered without this node")
	if got := survivor.mustKV("get", "k"); got != "of the survivor" {
		t.Errorf("the survivor has %q", got)
	}
	for i, n := range lost {
		n.kill()
		n.setAside()
		n.start()
		m := survivor.changes(votersOf(append(lost[:i+1:i+1], survivor)...), "add", fmt.Sprintf("%d=%s", n.id, n.raftAddress))
		if len(m.Members) != i+2 {
			t.Errorf("%+v", m)
		}
	}
	c.leader()
	for _, n := range lost {
		if got := n.mustKV("get", "k"); got != "of the survivor" {
			t.Errorf("node %d has %q", n.id, got)
		}
	}
	c.caughtUp()
}
