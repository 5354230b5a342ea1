package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun: of a thousand files ten have changed, and less than a twentieth of the bytes is
// sent, while the sender compacts and removes.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	r, err := run(t.Context(), &out, t.TempDir(), 1000)
	if err != nil {
		t.Fatalf("%v after:\n%s", err, &out)
	}
	t.Logf("%+v", r)
	if r.segments < 1000 || r.changed < 10 || r.changed > 15 || r.removed < 1 {
		t.Errorf("%d files, %d have changed, %d were removed meanwhile", r.segments, r.changed, r.removed)
	}
	// What is new has to be sent, and the list.
	if least := int64(rewritten * segmentBytes); r.sent < least || r.sent > r.bytes/20 {
		t.Errorf("%d bytes of %d were sent", r.sent, r.bytes)
	}
	if !strings.HasSuffix(out.String(), "OK: all nodes have the same content\n") {
		t.Errorf("it ends without success:\n%s", &out)
	}
}

func TestCommandRefuses(t *testing.T) {
	for _, arguments := range [][]string{{"-segments", "1"}, {"more"}, {"-no"}} {
		if err := command(arguments, io.Discard); err == nil {
			t.Errorf("%q is taken", arguments)
		}
	}
}

// TestBackupRestores: a backup of a machine whose state is in files is one stream, of which a
// new cluster makes files again.
func TestBackupRestores(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	c, err := openCluster(ctx, dir, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	leader, err := c.leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	value := func(key int) []byte { return bytes.Repeat([]byte{byte(key)}, 100) }
	if err := write(ctx, leader, 0, 100, value); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if _, err := c.nodes[int(leader.id)%nodes].raft.Backup(ctx, &backup); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}

	n := &node{id: 7, dir: filepath.Join(dir, "restored"), segmentBytes: 1000, hub: inproc.NewHub()}
	log, err := badger.Open(filepath.Join(n.dir, "log"), badger.Options{Node: n.id})
	if err != nil {
		t.Fatal(err)
	}
	snapshots, err := files.Open(filepath.Join(n.dir, "snapshots"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := troupe.Restore(ctx, &backup, troupe.RestoreConfig{Address: address(n.id), Log: log, Snapshots: snapshots}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := snapshots.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.start(ctx); err != nil {
		t.Fatal(err)
	}
	defer n.kill()
	if _, err := n.raft.ReadIndex(ctx, troupe.Linearizable); err != nil {
		t.Fatal(err)
	}
	for key := range 100 {
		if got, there, err := n.machine.Get(keyName(key)); err != nil || !there || !bytes.Equal(got, value(key)) {
			t.Fatalf("%s: %d bytes, %t, %v", keyName(key), len(got), there, err)
		}
	}
	if segments, _ := n.machine.figures(); segments < 5 {
		t.Errorf("%d files", segments)
	}
	// It makes snapshots of its files now.
	if err := write(ctx, n, 100, 110, value); err != nil {
		t.Fatal(err)
	}
	if _, err := n.raft.Snapshot(ctx); err != nil {
		t.Fatal(err)
	}
}
