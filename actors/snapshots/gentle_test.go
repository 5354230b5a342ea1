package snapshots

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// slowFile is where a snapshot is written, whose syncs take a time, and the clock beside it.
type slowFile struct {
	stage.Environment
	now    stage.Instant
	slept  time.Duration
	asleep func()

	sync                     time.Duration
	err                      error
	written, unsynced, syncs int
	pieceMost, unsyncedMost  int
	storage.SnapshotWriter
}

func (f *slowFile) Now() stage.Instant { return f.now }

func (f *slowFile) Sleep(d time.Duration, _ <-chan struct{}) {
	f.now += stage.Instant(d)
	f.slept += d
	if f.asleep != nil {
		f.asleep()
	}
}

func (f *slowFile) Write(p []byte) (int, error) {
	f.written += len(p)
	f.unsynced += len(p)
	f.pieceMost, f.unsyncedMost = max(f.pieceMost, len(p)), max(f.unsyncedMost, f.unsynced)
	return len(p), nil
}

func (f *slowFile) Sync() error {
	f.now += stage.Instant(f.sync)
	f.unsynced = 0
	f.syncs++
	return f.err
}

// build writes so much, in parts of a size, and returns at what rate.
func (f *slowFile) build(t *testing.T, p *pace, bytes, part int) (perSecond float64) {
	t.Helper()
	begun, w := f.now, newGentleWriter(t.Context(), f, p, f)
	for content := make([]byte, part); f.written < bytes; {
		if n, err := w.Write(content); n != part || err != nil {
			t.Fatalf("%d of %d bytes, %v", n, part, err)
		}
	}
	return float64(f.written) / f.now.Sub(begun).Seconds()
}

// besideWrites is the pace of builds while entries are written all the time.
func (f *slowFile) besideWrites() *pace {
	return &NewGate(f, Limits{Written: f.Now}).builds
}

func (f *slowFile) Rand() uint64 { return 1 }

// TestBuiltInPiecesBesideWrites: while entries are written a snapshot goes at its pace, in
// pieces that are synced one by one, whatever the view writes at once; a slow disk has
// larger ones instead of a lower rate.
func TestBuiltInPiecesBesideWrites(t *testing.T) {
	const bytes = 256 << 20
	for name, test := range map[string]struct {
		part         int
		sync         time.Duration
		unsyncedMost int
	}{
		"small parts":       {1000, time.Millisecond, 2 * buildPieceBytes},
		"all at once":       {bytes, time.Millisecond, 2 * buildPieceBytes},
		"syncs take longer": {1 << 20, 10 * time.Millisecond, 1 << 20},
		"slow syncs":        {1 << 20, 50 * time.Millisecond, 4 << 20},
	} {
		f := &slowFile{now: stage.Instant(time.Hour), sync: test.sync}
		rate := f.build(t, f.besideWrites(), bytes, test.part) / gentleBuildBytesPerSecond
		if rate < 0.9 || rate > 1.05 || f.pieceMost > buildPieceBytes || f.unsyncedMost > test.unsyncedMost {
			t.Errorf("%s: at %.2f of the pace, %d bytes at once, %d synced at once", name, rate, f.pieceMost, f.unsyncedMost)
		}
	}
}

// TestBuiltFreelyOnAnIdleNode: where nobody writes nothing is waited for.
func TestBuiltFreelyOnAnIdleNode(t *testing.T) {
	f := &slowFile{now: stage.Instant(time.Hour)}
	f.besideWrites().take(f.now, 1<<40, 0)
	for name, written := range map[string]func() stage.Instant{
		"never": func() stage.Instant { return 0 }, "once": func() stage.Instant { return f.now - stage.Instant(writesFor) - 1 }, "nobody says": nil,
	} {
		g := NewGate(f, Limits{Written: written, BytesPerSecond: 1})
		w := newGentleWriter(t.Context(), f, &g.builds, f)
		if _, err := w.Write(make([]byte, 64<<20)); err != nil || f.slept != 0 || f.syncs != 0 {
			t.Errorf("%s: it waited for %v and synced %d times, %v", name, f.slept, f.syncs, err)
		}
	}
}

// TestLargeSnapshotIsBuiltFaster: the more is written, the faster it goes on.
func TestLargeSnapshotIsBuiltFaster(t *testing.T) {
	p := (&slowFile{}).besideWrites()
	p.written = func() stage.Instant { return 1 }
	for size, want := range map[uint64]uint64{0: 64 << 20, 1 << 30: 64 << 20, 60 << 30: 1 << 30} {
		if got := p.limit(1, size); got != want {
			t.Errorf("after %d bytes %d a second, want %d", size, got, want)
		}
	}
}

// TestBuildsShareThePace: several builds of a node go no faster together than one.
func TestBuildsShareThePace(t *testing.T) {
	f := &slowFile{now: stage.Instant(time.Hour)}
	p, begun := f.besideWrites(), f.now
	writers := []*gentleWriter{newGentleWriter(t.Context(), f, p, f), newGentleWriter(t.Context(), f, p, f)}
	for range 256 {
		for _, w := range writers {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if rate := float64(f.written) / f.now.Sub(begun).Seconds() / gentleBuildBytesPerSecond; rate > 1.2 {
		t.Errorf("together they went at %.2f of the pace", rate)
	}
}

// TestSmallSnapshotsDoNotWait: not even for each other.
func TestSmallSnapshotsDoNotWait(t *testing.T) {
	f := &slowFile{now: stage.Instant(time.Hour)}
	p := f.besideWrites()
	for range 1000 {
		if _, err := newGentleWriter(t.Context(), f, p, f).Write(make([]byte, buildPieceBytes)); err != nil || f.slept != 0 {
			t.Fatalf("%v slept, %v", f.slept, err)
		}
	}
}

// TestBuildEndsWithItsGroup: also while it waits within one large write, and a sync that
// fails fails it.
func TestBuildEndsWithItsGroup(t *testing.T) {
	f := &slowFile{now: stage.Instant(time.Hour)}
	ctx, end := context.WithCancel(t.Context())
	f.asleep = end
	w := newGentleWriter(ctx, f, f.besideWrites(), f)
	if n, err := w.Write(make([]byte, 64<<20)); !errors.Is(err, context.Canceled) || n != f.written || n >= 16<<20 {
		t.Errorf("%d bytes were written after the end, %v", n, err)
	}
	broken := errors.New("no")
	f = &slowFile{now: stage.Instant(time.Hour), err: broken}
	w = newGentleWriter(t.Context(), f, f.besideWrites(), f)
	if _, err := w.Write(make([]byte, 64<<20)); !errors.Is(err, broken) {
		t.Errorf("a sync that fails: %v", err)
	}
}

// zeros is a view of so many bytes.
type zeros int

func (z zeros) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(make([]byte, z))
	return int64(n), err
}

func (zeros) Close() error { return nil }

// TestBuilderKeepsThePace: it is the pace of the node by which a builder writes.
func TestBuilderKeepsThePace(t *testing.T) {
	r, store := newSendingRig(), memory.NewSnapshots()
	jobs := r.group(t, 1, store)
	var built *core.SnapshotBuilt
	jobs.group.Core = func(ev core.Event) { built = ev.(*core.SnapshotBuilt) }
	jobs.group.Removal = NewRemoval(store, 1, nil)
	p := &jobs.group.Gate.builds
	begun := r.env.Now()
	p.written = r.env.Now
	jobs.Build(core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 9}}, zeros(3*buildPieceBytes))
	r.calls()
	if built == nil || built.Err != nil || p.due < begun+stage.Instant(time.Millisecond) {
		t.Errorf("it gave %+v, and took %v of the pace", built, p.due.Sub(begun))
	}
	jobs.Stop()
	r.calls()
}
