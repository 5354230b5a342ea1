//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// snapshotFiles are the snapshots that a node has on its disk.
func (n *node) snapshotFiles() []string {
	n.t.Helper()
	names, err := filepath.Glob(filepath.Join(n.dir, "snapshots", "1", "*.snap"))
	if err != nil {
		n.t.Fatal(err)
	}
	return names
}

// inspected is what inspect finds of records and snapshots on a node that is
// stopped.
func (n *node) inspected() (records, snapshots int) {
	n.t.Helper()
	r := kv(n.t, "inspect", "--data", n.dir, "--json")
	var found struct {
		Snapshots []struct {
			Record   bool   `json:"record"`
			Index    uint64 `json:"index"`
			Verified bool   `json:"verified"`
			Members  string `json:"members"`
		} `json:"snapshots"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &found); err != nil || r.code != 0 {
		n.t.Fatalf("inspect: %+v, %v", r, err)
	}
	for _, s := range found.Snapshots {
		switch {
		case !s.Record:
			snapshots++
		case s.Verified && s.Index > 0 && s.Members != "":
			records++
		}
	}
	return records, snapshots
}

// TestLongRunMakesNoSnapshot: under load the logs stay bounded, and no node copies its
// pairs. One that was away gets a snapshot, which is made for it; so does one that has lost
// its machine's database and kept its log.
func TestLongRunMakesNoSnapshot(t *testing.T) {
	const keep = 20
	c := newCluster(t, "--election-timeout", "200ms", "--heartbeat", "20ms", "--snapshot-entries", "50", "--keep-entries", fmt.Sprint(keep))
	c.complete()
	leader := c.leader()
	away := c.others(leader)[0]
	stays := []*node{leader, c.others(leader)[1]}
	written := 0
	write := func(n int) {
		t.Helper()
		for end := written + n; written < end; written++ {
			key := fmt.Sprint("key ", written%100)
			eventually(t, "a write", func() error {
				_, err := stays[0].client.Put(t.Context(), key, []byte(fmt.Sprint("value ", written)))
				return err
			})
		}
	}
	write(100)
	eventually(t, "the one that will be away has a record", func() error {
		if s := statusOf(t, away); s.RecordIndex == 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	away.kill()
	had := 0
	write(400)
	// For a while the log is kept for the one that is away.
	eventually(t, "the logs are bounded", func() error {
		for _, n := range stays {
			s := statusOf(t, n)
			if s.SnapshotIndex != 0 || s.RecordIndex < 450 || s.FirstIndex+keep < s.RecordIndex {
				return fmt.Errorf("node %d: the log begins at %d, record %d, snapshot %d", n.id, s.FirstIndex, s.RecordIndex, s.SnapshotIndex)
			}
		}
		return nil
	})
	for _, n := range c.nodes {
		had += len(n.snapshotFiles())
	}
	if had != 0 {
		t.Fatalf("%d snapshots, and nobody has asked for one", had)
	}
	if records, snapshots := away.inspected(); records != 1 || snapshots != 0 {
		t.Errorf("the one that is away has %d records and %d snapshots", records, snapshots)
	}
	if r := kv(t, "inspect", "--data", away.dir); !strings.Contains(r.stdout, "record      ") || !strings.Contains(r.stdout, "the machine was durable up to ") {
		t.Errorf("inspect says %s", r.stdout)
	}

	// What is in their memory would do for the one that is away.
	for _, n := range stays {
		n.terminate(os.Interrupt)
		n.start()
		c.leader(stays...)
	}
	away.start()
	c.caughtUp()
	if len(away.snapshotFiles()) == 0 || statusOf(t, away).SnapshotIndex == 0 {
		t.Errorf("it caught up without a snapshot: %+v", statusOf(t, away))
	}
	if got := away.mustKV("get", "key 99"); got != "value 499" {
		t.Errorf("it holds %q", got)
	}

	// The others go on, and the snapshot goes when the log has left it behind.
	begun := time.Now()
	eventually(t, "the snapshot goes", func() error {
		write(20)
		for _, n := range c.nodes {
			if left := n.snapshotFiles(); len(left) > 0 {
				return fmt.Errorf("after %v and %d writes: %v", time.Since(begun), written, left)
			}
		}
		return nil
	})

	c.caughtUp()
	away.terminate(os.Interrupt)
	if err := os.RemoveAll(filepath.Join(away.dir, "machine")); err != nil {
		t.Fatal(err)
	}
	if r := kv(t, "inspect", "--data", away.dir); r.code != 3 {
		t.Errorf("inspect of a node without its database: %+v", r)
	}
	away.start()
	c.caughtUp()
	if s := statusOf(t, away); s.LacksMachine || len(away.snapshotFiles()) == 0 {
		t.Errorf("after the loss of its database: %+v", s)
	}
	if text := away.process.log.String(); !strings.Contains(text, "this node waits for a snapshot of its leader") {
		t.Errorf("its log does not say that it waits: %s", text)
	}
	last := fmt.Sprint("value ", written-1)
	if got := away.mustKV("get", fmt.Sprint("key ", (written-1)%100)); got != last {
		t.Errorf("it holds %q, want %q", got, last)
	}
}
