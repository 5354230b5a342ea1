package troupe_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

// This file takes a copy of a node's directory between all calls of its stores
// while a snapshot is built, received and installed, and the log purged: what a process
// that is killed there leaves. Each copy has to start. TestCrashAtEveryStep of package
// actors lets nodes go on from such moments, in a cluster.

// images are the copies, taken while nothing else goes to the stores.
type images struct {
	dir *directory
	// known is how many commands are acknowledged or applied at least.
	known func() int

	mu    sync.Mutex
	on    bool
	taken []image
}

type image struct {
	what, dir string
	known     int
}

// at carries a call out, and takes a copy behind it: before the next one nothing changes.
func (i *images) at(what string, call func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.taken) == 0 {
		i.take("before " + what)
	}
	call()
	i.take("behind " + what)
}

func (i *images) take(what string) {
	if !i.on {
		return
	}
	known := i.known()
	dir := i.dir.TempDir()
	if err := os.CopyFS(dir, os.DirFS(i.dir.dir)); err != nil {
		i.dir.Errorf("%s: %v", what, err)
	}
	i.taken = append(i.taken, image{fmt.Sprintf("%d, %s", len(i.taken), what), dir, known})
}

func (i *images) turn(on bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.on = on
}

type imagedLog struct {
	*badger.Store
	images *images
}

func (l imagedLog) Write(ctx context.Context, b *storage.Batch) (err error) {
	l.images.at("a write of the log", func() { err = l.Store.Write(ctx, b) })
	return err
}

type imagedSnapshots struct {
	*files.Store
	images *images
}

func (s imagedSnapshots) Create(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (w storage.SnapshotWriter, err error) {
	s.images.at("the making of a snapshot", func() { w, err = s.Store.Create(ctx, group, meta) })
	return imagedWriter{w, s.images}, err
}

func (s imagedSnapshots) Resume(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (w storage.SnapshotWriter, have uint64, err error) {
	s.images.at("the beginning of a transfer", func() { w, have, err = s.Store.Resume(ctx, group, meta) })
	if err != nil {
		return nil, 0, err
	}
	return imagedPart{imagedWriter{w, s.images}, w.(storage.SuspendableWriter)}, have, nil
}

func (s imagedSnapshots) RemoveBelow(ctx context.Context, group membership.GroupID, index core.Index) (err error) {
	s.images.at("the removal of old snapshots", func() { err = s.Store.RemoveBelow(ctx, group, index) })
	return err
}

type imagedWriter struct {
	storage.SnapshotWriter
	images *images
}

func (w imagedWriter) Write(b []byte) (n int, err error) {
	w.images.at("a piece of a snapshot", func() { n, err = w.SnapshotWriter.Write(b) })
	return n, err
}

func (w imagedWriter) Commit(want core.SnapshotMeta) (meta core.SnapshotMeta, err error) {
	w.images.at("the end of a snapshot", func() { meta, err = w.SnapshotWriter.Commit(want) })
	return meta, err
}

type imagedPart struct {
	imagedWriter
	part storage.SuspendableWriter
}

func (p imagedPart) Suspend() (err error) {
	p.images.at("the suspension of a transfer", func() { err = p.part.Suspend() })
	return err
}

// startOn starts node 1 on a directory, whose stores are instrumented if images is not
// nil.
func startOn(d *directory, hub *inproc.Hub, i *images, settings troupe.Config) (*troupe.Raft, error) {
	config := troupe.NodeConfig{ID: 1, Network: hub.Network(address(1)), Log: d.log, Snapshots: d.snapshots, CheckInvariants: true}
	if i != nil {
		config.Log, config.Snapshots = imagedLog{d.log, i}, imagedSnapshots{d.snapshots, i}
	}
	return troupe.Start(d.Context(), config, settings)
}

func imageSettings(machine *ledger) troupe.Config {
	settings := config()
	settings.StateMachine, settings.SnapshotChunkBytes, settings.KeepEntries, settings.HoldBytesMax = machine, 300, 1, troupe.Never
	settings.LogCacheBytesMax, settings.CommandBytesMax, settings.MessageBytesMax = 1000, 500, 600
	return settings
}

func imageCommands(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("%60d", i))
	}
	return all
}

// check starts what a crash has left, hands it to is, and looks for what nobody removes.
func (i *image) check(t *testing.T, is func(raft *troupe.Raft, machine *ledger)) {
	t.Helper()
	d := openDirectory(t, i.dir, 1)
	defer d.close()
	machine := &ledger{}
	raft, err := startOn(d, inproc.NewHub(), nil, imageSettings(machine))
	if err != nil {
		t.Errorf("%s: it does not start: %v", i.what, err)
		return
	}
	is(raft, machine)
	if err := raft.Err(); err != nil {
		t.Errorf("%s: %v", i.what, err)
	}
	raft.Kill()
	left, err := filepath.Glob(filepath.Join(i.dir, "snapshots", "*", "*.tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("%s: %v is left, %v", i.what, left, err)
	}
}

// seenOf asserts that each of some calls was made.
func (i *images) seenOf(t *testing.T, calls ...string) {
	t.Helper()
	for _, call := range calls {
		if !slices.ContainsFunc(i.taken, func(at image) bool { return strings.HasSuffix(at.what, call) }) {
			t.Errorf("there is no image of %s", call)
		}
	}
	t.Logf("%d images", len(i.taken))
}

// TestCrashImagesOfBuildAndPurge: whatever a crash leaves, a sole voter has all that was
// acknowledged.
func TestCrashImagesOfBuildAndPurge(t *testing.T) {
	d := openDirectory(t, t.TempDir(), 1)
	defer d.close()
	acknowledged := 0
	i := &images{dir: d, known: func() int { return acknowledged }}
	raft, err := startOn(d, inproc.NewHub(), i, imageSettings(&ledger{}))
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 60*time.Second)
	if err := raft.Bootstrap(ctx, troupe.At(1, address(1))); err != nil {
		t.Fatal(err)
	}
	all := imageCommands(0, 60)
	for round := range 3 {
		i.turn(false)
		for n := range 18 {
			if _, err := raft.Propose(ctx, []byte(all[round*20+n])); err != nil {
				t.Fatal(err)
			}
			i.mu.Lock()
			acknowledged++
			i.mu.Unlock()
		}
		i.turn(round > 0)
		meta, err := raft.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raft.Purge(ctx, meta.Index); err != nil {
			t.Fatal(err)
		}
		for n := 18; n < 20; n++ {
			if _, err := raft.Propose(ctx, []byte(all[round*20+n])); err != nil {
				t.Fatal(err)
			}
			i.mu.Lock()
			acknowledged++
			i.mu.Unlock()
		}
	}
	i.turn(false)
	raft.Kill()
	i.seenOf(t, "a write of the log", "the making of a snapshot", "a piece of a snapshot", "the end of a snapshot", "the removal of old snapshots")
	for n := range i.taken {
		at := &i.taken[n]
		at.check(t, func(raft *troupe.Raft, machine *ledger) {
			if _, err := raft.Propose(within(t, 20*time.Second), []byte("after")); err != nil {
				t.Errorf("%s: %v", at.what, err)
			}
			got := machine.content()
			if len(got) == 0 || got[len(got)-1] != "after" || len(got)-1 < at.known || !slices.Equal(got[:len(got)-1], all[:len(got)-1]) {
				t.Errorf("%s: it has %d commands, and %d were acknowledged", at.what, len(got)-1, at.known)
			}
		})
	}
}

// TestCrashImagesOfAnInstall: whatever a crash leaves of a transfer and an installation,
// the node starts with what it had or with the snapshot.
func TestCrashImagesOfAnInstall(t *testing.T) {
	all := imageCommands(0, 80)
	c := &cluster{t: t, hub: inproc.NewHub()}
	d := openDirectory(t, t.TempDir(), 1)
	machine := &ledger{}
	steady := func(machine *ledger) troupe.Config {
		settings := imageSettings(machine)
		settings.ElectionTimeout = 3 * time.Second // a transfer ends with its leader, and each term is more to copy
		return settings
	}
	first, err := startOn(d, c.hub, nil, steady(machine))
	if err != nil {
		t.Fatal(err)
	}
	settings := steady(nil)
	settings.StateMachine = nil
	for id := troupe.NodeID(2); id <= 3; id++ {
		m := newMember(id)
		c.start(m, settings)
		c.members = append(c.members, m)
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			m.raft.Kill()
		}
	})
	ctx := within(t, 60*time.Second)
	list := append([]troupe.Member{troupe.At(1, address(1))}, c.list()...)
	if err := c.members[0].raft.Bootstrap(ctx, list...); err != nil {
		t.Fatal(err)
	}
	propose := func(commands []string) {
		t.Helper()
		for _, command := range commands {
			c.members[0].propose(t, command)
		}
	}
	propose(all[:20])
	if err := first.Wait(ctx, func(s troupe.Status) bool { return len(machine.content()) == 20 }); err != nil {
		t.Fatal(err)
	}
	first.Kill()
	d.close()
	propose(all[20:])
	for _, m := range c.members {
		if got := m.read(t); len(got) != len(all) { // a follower may be behind
			t.Fatalf("node %d has %d commands", m.id, len(got))
		}
		meta, err := m.raft.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.raft.Purge(ctx, meta.Index); err != nil {
			t.Fatal(err)
		}
	}
	d = openDirectory(t, d.dir, 1)
	defer d.close()
	i := &images{dir: d, known: func() int { return 0 }, on: true}
	machine = &ledger{}
	again, err := startOn(d, c.hub, i, steady(machine))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Kill()
	if err := again.Wait(within(t, 2*time.Minute), func(s troupe.Status) bool { return len(machine.content()) == len(all) && s.SnapshotIndex > 20 }); err != nil {
		t.Fatalf("%v: %+v", err, again.Status())
	}
	i.turn(false)
	again.Kill()
	i.seenOf(t, "a write of the log", "the beginning of a transfer", "a piece of a snapshot", "the end of a snapshot", "the removal of old snapshots")
	old, installed := 0, 0
	for n := range i.taken {
		at := &i.taken[n]
		at.check(t, func(raft *troupe.Raft, machine *ledger) {
			// Alone it applies only what it knows to be committed, or has of a snapshot.
			ctx := within(t, 20*time.Second)
			settled := func(s troupe.Status) bool { return s.Applied == s.Committed && s.Unfit != troupe.UnfitInstalling }
			if err := raft.Wait(ctx, settled); err != nil {
				t.Errorf("%s: %v: %+v", at.what, err, raft.Status())
			}
			got := machine.content()
			if !slices.Equal(got, all[:len(got)]) {
				t.Errorf("%s: it has %q", at.what, got)
			}
			switch s := raft.Status(); {
			case len(got) == len(all) && s.FirstIndex > 20:
				installed++
			case len(got) <= 20 && s.FirstIndex <= 20:
				old++
			default:
				t.Errorf("%s: it has %d commands, and its log begins at %d", at.what, len(got), s.FirstIndex)
			}
		})
	}
	if old == 0 || installed == 0 {
		t.Errorf("%d images are of before, %d of the snapshot", old, installed)
	}
}
