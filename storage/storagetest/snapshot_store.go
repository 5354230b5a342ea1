package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// OpenSnapshots opens the store in a directory, and makes it if there is none.
type OpenSnapshots func(dir string) (storage.SnapshotStore, error)

// SnapshotStore runs the suite of snapshot stores. A durable one keeps
// everything in its directory, where the suite damages it.
func SnapshotStore(t *testing.T, open OpenSnapshots, durable bool) {
	cases := []struct {
		name    string
		durable bool
		run     func(*album)
	}{
		{"Empty", false, noSnapshot},
		{"WriteAndRead", false, writeAndRead},
		{"EmptyContent", false, emptyContent},
		{"LargeContent", false, largeContent},
		{"PiecesOfEverySize", false, piecesOfEverySize},
		{"EveryFieldOfTheMeta", false, everyFieldOfTheMeta},
		{"SnapshotOfALargeConfiguration", false, snapshotOfALargeConfiguration},
		{"InvisibleUntilCommitted", false, invisibleUntilCommitted},
		{"SyncedInPieces", false, syncedInPieces},
		{"Abort", false, abort},
		{"CommitAsWanted", false, commitAsWanted},
		{"CommitOfAnother", false, commitOfAnother},
		{"CommitTwice", false, commitTwice},
		{"SameAgain", false, sameAgain},
		{"AgainForAnotherCluster", false, againForAnotherCluster},
		{"NewestWins", false, newestWins},
		{"OpenByID", false, openByID},
		{"RemoveBelow", false, removeBelow},
		{"ManySnapshots", false, manySnapshots},
		{"ReadersAtOnce", false, readersAtOnce},
		{"ReadAfterRemoval", false, readAfterRemoval},
		{"GroupsApart", false, groupsApart},
		{"GroupsAtOnce", false, groupsAtOnce},
		{"SnapshotContextCancelled", false, snapshotContextCancelled},
		{"Recorded", false, recorded},
		{"RecordRemoved", false, recordRemoved},
		{"Reopen", true, reopenSnapshots},
		{"ReopenRecord", true, reopenRecord},
		{"RecordDamagedAnywhere", true, recordDamagedAnywhere},
		{"LeftoversRemoved", true, leftoversRemoved},
		{"DamagedPassedOver", true, damagedPassedOver},
		{"OnlyDamaged", true, onlyDamaged},
		{"DamageAnywhere", true, damageAnywhere},
	}
	for _, c := range cases {
		if c.durable && !durable {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			a := &album{T: t, opener: open, dir: t.TempDir()}
			a.reopen()
			c.run(a)
			a.close()
		})
	}
}

// album is a snapshot store under test.
type album struct {
	*testing.T
	opener OpenSnapshots
	dir    string
	storage.SnapshotStore
}

// reopen opens the store in the directory, and closes what was open.
func (a *album) reopen() {
	a.Helper()
	a.close()
	s, err := a.opener(a.dir)
	if err != nil {
		a.Fatal(err)
	}
	a.SnapshotStore = s
}

// close closes the store, if it is one to be closed.
func (a *album) close() {
	a.Helper()
	if c, ok := a.SnapshotStore.(io.Closer); ok {
		if err := c.Close(); err != nil {
			a.Fatal(err)
		}
	}
	a.SnapshotStore = nil
}

func snapshotMeta(at core.LogID) core.SnapshotMeta {
	c, err := membership.Decode(configuration(at, 3).Data)
	if err != nil {
		panic(err)
	}
	return core.SnapshotMeta{LogID: at, Time: int64(at.Index) * 10, Cluster: cluster(1<<64 - 5), Version: versionOf(at),
		Configuration: core.ConfigurationAt{LogID: id(1, 2), Configuration: c}}
}

func sameMeta(got, want core.SnapshotMeta) error {
	switch {
	case got.LogID != want.LogID:
		return fmt.Errorf("%w: snapshot %v, want %v", errDiffers, got.LogID, want.LogID)
	case got.SizeBytes != want.SizeBytes || got.Checksum != want.Checksum:
		return fmt.Errorf("%w: snapshot %v of %d bytes, checksum %x, want %d, %x", errDiffers, got.LogID,
			got.SizeBytes, got.Checksum, want.SizeBytes, want.Checksum)
	case got.Time != want.Time:
		return fmt.Errorf("%w: snapshot %v with time %d, want %d", errDiffers, got.LogID, got.Time, want.Time)
	case got.Version != want.Version:
		return fmt.Errorf("%w: snapshot %v with version %d, want %d", errDiffers, got.LogID, got.Version, want.Version)
	case got.Cluster != want.Cluster:
		return fmt.Errorf("%w: snapshot %v with cluster %x, want %x", errDiffers, got.LogID, got.Cluster, want.Cluster)
	}
	if err := sameConfiguration(&got.Configuration, &want.Configuration); err != nil {
		return fmt.Errorf("snapshot %v: %w", got.LogID, err)
	}
	return nil
}

// put writes a snapshot in pieces of 1,000 bytes and returns its meta and
// content.
func (a *album) put(group membership.GroupID, at core.LogID, size int) (core.SnapshotMeta, []byte) {
	a.Helper()
	data := content(at, size)
	return a.putPieces(group, snapshotMeta(at), data, 1000), data
}

// putPieces writes a snapshot with pieces of one size, and returns its meta.
func (a *album) putPieces(group membership.GroupID, meta core.SnapshotMeta, data []byte, size int) core.SnapshotMeta {
	a.Helper()
	w, err := a.Create(a.Context(), group, meta)
	if err != nil {
		a.Fatal(err)
	}
	piece := make([]byte, min(size, len(data)))
	for rest := data; len(rest) > 0; {
		n := copy(piece, rest)
		if k, err := w.Write(piece[:n]); k != n || err != nil {
			a.Fatalf("Write: %d of %d bytes, %v", k, n, err)
		}
		clear(piece) // it belongs to the caller again
		rest = rest[n:]
	}
	meta.SizeBytes, meta.Checksum = uint64(len(data)), crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	got, err := w.Commit(core.SnapshotMeta{})
	if err != nil {
		a.Fatal(err)
	}
	if err := sameMeta(got, meta); err != nil {
		a.Fatalf("Commit: %v", err)
	}
	return meta
}

// read reads a snapshot to its end.
func (a *album) read(group membership.GroupID, at core.LogID) (core.SnapshotMeta, []byte, error) {
	r, err := a.Open(a.Context(), group, at)
	if err != nil {
		return core.SnapshotMeta{}, nil, err
	}
	data, err := io.ReadAll(r)
	return r.Meta(), data, errors.Join(err, r.Close())
}

func (a *album) checkRead(group membership.GroupID, meta core.SnapshotMeta, data []byte) {
	a.Helper()
	got, read, err := a.read(group, meta.LogID)
	if err != nil {
		a.Fatal(err)
	}
	if err := sameMeta(got, meta); err != nil {
		a.Fatal(err)
	}
	if err := sameContent(read, data); err != nil {
		a.Fatalf("read of snapshot %v: %v", meta.LogID, err)
	}
}

// sameContent compares what a reader gave until it said io.EOF.
func sameContent(got, want []byte) error {
	switch {
	case len(got) != len(want):
		return fmt.Errorf("%w: the reader ended after %d bytes without an error, want %d", errDiffers, len(got), len(want))
	case !bytes.Equal(got, want):
		return fmt.Errorf("%w: the reader gave other bytes than were written, %d of them", errDiffers, len(got))
	}
	return nil
}

func (a *album) checkNewest(group membership.GroupID, at core.LogID) {
	a.Helper()
	meta, err := a.Newest(a.Context(), group)
	if err != nil {
		a.Fatal(err)
	}
	if meta.LogID != at {
		a.Fatalf("newest %v, want %v", meta.LogID, at)
	}
}

// checkNewestMeta compares all that Newest tells.
func (a *album) checkNewestMeta(group membership.GroupID, meta core.SnapshotMeta) {
	a.Helper()
	got, err := a.Newest(a.Context(), group)
	if err != nil {
		a.Fatal(err)
	}
	if err := sameMeta(got, meta); err != nil {
		a.Fatalf("Newest: %v", err)
	}
}

func noSnapshot(a *album) {
	meta, err := a.Newest(a.Context(), 1)
	if err != nil {
		a.Fatal(err)
	}
	if err := sameMeta(meta, core.SnapshotMeta{}); err != nil {
		a.Fatal(err)
	}
	if _, err := a.Open(a.Context(), 1, id(1, 1)); !errors.Is(err, storage.ErrNotFound) {
		a.Fatalf("Open: %v", err)
	}
	if err := a.RemoveBelow(a.Context(), 1, 10); err != nil {
		a.Fatal(err)
	}
}

func writeAndRead(a *album) {
	for i, size := range []int{1, 999, 1000, 100_000, 3 << 20} {
		meta, data := a.put(1, id(2, core.Index(10+i)), size)
		a.checkRead(1, meta, data)
		a.checkNewestMeta(1, meta)
	}
}

func emptyContent(a *album) {
	meta, data := a.put(1, id(1, 1), 0)
	a.checkRead(1, meta, data)
	// A snapshot without a configuration, as of a group that never had one.
	w, err := a.Create(a.Context(), 1, core.SnapshotMeta{LogID: id(1, 2)})
	if err != nil {
		a.Fatal(err)
	}
	if meta, err = w.Commit(core.SnapshotMeta{}); err != nil {
		a.Fatal(err)
	}
	a.checkRead(1, meta, nil)
}

func invisibleUntilCommitted(a *album) {
	a.put(1, id(1, 5), 10)
	w, err := a.Create(a.Context(), 1, snapshotMeta(id(1, 9)))
	if err != nil {
		a.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		a.Fatal(err)
	}
	a.checkNewest(1, id(1, 5))
	if _, _, err := a.read(1, id(1, 9)); !errors.Is(err, storage.ErrNotFound) {
		a.Fatalf("read of an uncommitted snapshot: %v", err)
	}
	// What is being written is no leftover of a crash.
	if err := a.RemoveBelow(a.Context(), 1, 100); err != nil {
		a.Fatal(err)
	}
	if _, err := w.Commit(core.SnapshotMeta{}); err != nil {
		a.Fatal(err)
	}
	a.checkNewest(1, id(1, 9))
}

func abort(a *album) {
	w, err := a.Create(a.Context(), 1, snapshotMeta(id(1, 9)))
	if err != nil {
		a.Fatal(err)
	}
	if _, err := w.Write([]byte("nothing")); err != nil {
		a.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		a.Fatal(err)
	}
	noSnapshot(a)
}

func commitAsWanted(a *album) {
	for _, test := range []struct {
		name string
		turn func(*core.SnapshotMeta)
		ok   bool
	}{
		{"the same", func(*core.SnapshotMeta) {}, true},
		{"other size", func(m *core.SnapshotMeta) { m.SizeBytes++ }, false},
		{"other checksum", func(m *core.SnapshotMeta) { m.Checksum++ }, false},
	} {
		a.Run(test.name, func(t *testing.T) {
			a := &album{T: t, opener: a.opener, dir: t.TempDir()}
			a.reopen()
			data := []byte("some content")
			want := snapshotMeta(id(1, 9))
			want.SizeBytes, want.Checksum = uint64(len(data)), crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
			test.turn(&want)
			// What the meta says of the content is ignored here.
			w, err := a.Create(a.Context(), 1, want)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
			got, err := w.Commit(want)
			if test.ok {
				if err != nil {
					t.Fatal(err)
				}
				a.checkRead(1, got, data)
				return
			}
			if !errors.Is(err, core.ErrCorrupt) {
				t.Fatalf("Commit: %v", err)
			}
			noSnapshot(a)
		})
	}
}

func commitOfAnother(a *album) {
	before, data := a.put(1, id(1, 3), 50)
	w, err := a.Create(a.Context(), 1, snapshotMeta(id(1, 4)))
	if err != nil {
		a.Fatal(err)
	}
	if _, err := w.Commit(before); !errors.Is(err, core.ErrCorrupt) {
		a.Fatalf("Commit: %v", err)
	}
	a.checkRead(1, before, data)
	a.checkNewest(1, id(1, 3))
}

func commitTwice(a *album) {
	w, err := a.Create(a.Context(), 1, snapshotMeta(id(1, 4)))
	if err != nil {
		a.Fatal(err)
	}
	if _, err := w.Commit(core.SnapshotMeta{}); err != nil {
		a.Fatal(err)
	}
	if _, err := w.Write([]byte("more")); err == nil {
		a.Error("Write after Commit")
	}
	if _, err := w.Commit(core.SnapshotMeta{}); err == nil {
		a.Error("a second Commit")
	}
	a.checkNewest(1, id(1, 4))
}

func sameAgain(a *album) {
	a.put(1, id(1, 4), 100)
	meta, data := a.put(1, id(1, 4), 100)
	a.checkRead(1, meta, data)
}

// againForAnotherCluster: a snapshot is written again, with the id of another cluster, and
// takes the place of the first.
func againForAnotherCluster(a *album) {
	meta, data := a.put(1, id(1, 4), 100)
	meta.Cluster = cluster(77)
	a.putPieces(1, meta, data, 1000)
	a.checkRead(1, meta, data)
	a.checkNewest(1, meta.LogID)
}

func newestWins(a *album) {
	for _, at := range []core.LogID{id(2, 20), id(1, 3), id(9, 19), id(3, 100), id(3, 21)} {
		a.put(1, at, 100)
	}
	a.checkNewest(1, id(3, 100))
}

func openByID(a *album) {
	first, data := a.put(1, id(1, 5), 100)
	second, more := a.put(1, id(2, 5), 200)
	a.checkRead(1, first, data)
	a.checkRead(1, second, more)
	for _, at := range []core.LogID{id(3, 5), id(1, 6), id(2, 4)} {
		if _, err := a.Open(a.Context(), 1, at); !errors.Is(err, storage.ErrNotFound) {
			a.Fatalf("Open of %v: %v", at, err)
		}
	}
}

func groupsApart(a *album) {
	a.put(1, id(1, 5), 100)
	a.put(1<<64-1, id(1, 7), 100)
	a.checkNewest(1, id(1, 5))
	a.checkNewest(1<<64-1, id(1, 7))
	a.checkNewest(2, core.LogID{})
	if _, err := a.Open(a.Context(), 2, id(1, 5)); !errors.Is(err, storage.ErrNotFound) {
		a.Fatalf("Open in another group: %v", err)
	}
	if err := a.RemoveBelow(a.Context(), 2, 100); err != nil {
		a.Fatal(err)
	}
	a.checkNewest(1, id(1, 5))
}

func groupsAtOnce(a *album) {
	var writers sync.WaitGroup
	for group := membership.GroupID(1); group <= 4; group++ {
		writers.Go(func() {
			for i := core.Index(1); i <= 5; i++ {
				w, err := a.Create(a.Context(), group, snapshotMeta(id(1, i)))
				if err != nil {
					a.Error(err)
					return
				}
				_, err = w.Write(content(id(core.Term(group), i), 10_000))
				if err == nil {
					_, err = w.Commit(core.SnapshotMeta{})
				}
				if err == nil {
					err = a.RemoveBelow(a.Context(), group, i)
				}
				if err != nil {
					a.Error(err)
				}
			}
		})
	}
	writers.Wait()
	for group := membership.GroupID(1); group <= 4; group++ {
		_, data, err := a.read(group, id(1, 5))
		if err != nil || !bytes.Equal(data, content(id(core.Term(group), 5), 10_000)) {
			a.Errorf("group %d: %d bytes, %v", group, len(data), err)
		}
	}
}

func snapshotContextCancelled(a *album) {
	a.put(1, id(1, 5), 100)
	ctx, cancel := context.WithCancel(a.Context())
	cancel()
	_, err1 := a.Create(ctx, 1, snapshotMeta(id(1, 6)))
	_, err2 := a.Newest(ctx, 1)
	_, err3 := a.Open(ctx, 1, id(1, 5))
	err4 := a.RemoveBelow(ctx, 1, 100)
	for _, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, context.Canceled) {
			a.Errorf("%v", err)
		}
	}
	a.checkNewest(1, id(1, 5))
}

func reopenSnapshots(a *album) {
	first, data := a.put(1, id(1, 5), 5000)
	second, more := a.put(1, id(2, 7), 0)
	a.reopen()
	a.checkNewestMeta(1, second)
	a.checkRead(1, first, data)
	a.checkRead(1, second, more)
}

func leftoversRemoved(a *album) {
	a.put(1, id(1, 5), 100)
	before := takeImage(a.T, a.dir)
	w, err := a.Create(a.Context(), 1, snapshotMeta(id(1, 6)))
	if err != nil {
		a.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		a.Fatal(err)
	}
	a.dir = takeImage(a.T, a.dir).restore(a.T) // a crash
	if err := w.Abort(); err != nil {
		a.Fatal(err)
	}
	a.reopen()
	a.checkNewest(1, id(1, 5))
	if err := a.RemoveBelow(a.Context(), 1, 5); err != nil {
		a.Fatal(err)
	}
	if after := takeImage(a.T, a.dir); len(after) != len(before) {
		a.Fatalf("%d files are left, want %d", len(after), len(before))
	}
	a.checkNewest(1, id(1, 5))
}

// damaged damages the one file that is not in before.
func (a *album) damaged(before image, damage func(*imageFile)) {
	a.Helper()
	im := takeImage(a.T, a.dir)
	for name, f := range im {
		if before[name] == nil {
			damage(f)
		}
	}
	a.dir = im.restore(a.T)
	a.reopen()
}

func damagedPassedOver(a *album) {
	meta, data := a.put(1, id(1, 5), 1000)
	before := takeImage(a.T, a.dir)
	a.put(1, id(1, 6), 1000)
	a.damaged(before, func(f *imageFile) { f.flip(f.size/2, 4) })
	if _, _, err := a.read(1, id(1, 6)); !errors.Is(err, core.ErrCorrupt) {
		a.Fatalf("read of a damaged snapshot: %v", err)
	}
	a.checkNewest(1, id(1, 5))
	a.checkRead(1, meta, data)
	if _, _, err := a.read(1, id(1, 6)); !errors.Is(err, core.ErrCorrupt) && !errors.Is(err, storage.ErrNotFound) {
		a.Fatalf("read again of a damaged snapshot: %v", err)
	}
	a.put(1, id(1, 7), 1000)
	a.checkNewest(1, id(1, 7))
	if err := a.RemoveBelow(a.Context(), 1, 7); err != nil {
		a.Fatal(err)
	}
	if _, _, err := a.read(1, id(1, 6)); !errors.Is(err, storage.ErrNotFound) {
		a.Fatalf("read of a removed damaged snapshot: %v", err)
	}
}

func onlyDamaged(a *album) {
	before := takeImage(a.T, a.dir)
	a.put(1, id(1, 6), 1000)
	a.damaged(before, func(f *imageFile) { f.cut(f.size - 1) })
	if _, err := a.Newest(a.Context(), 1); !errors.Is(err, core.ErrCorrupt) {
		a.Fatalf("Newest: %v", err)
	}
}

// damageAnywhere flips and cuts a small snapshot everywhere.
func damageAnywhere(a *album) {
	before := takeImage(a.T, a.dir)
	a.put(1, id(1, 6), 100)
	whole := takeImage(a.T, a.dir)
	random := rand.New(rand.NewPCG(3, 4))
	for name, f := range whole {
		if before[name] != nil {
			continue
		}
		for at := range f.size {
			for _, cut := range []bool{false, true} {
				bad := whole.clone()
				if cut {
					bad[name].cut(at)
				} else {
					bad[name].flip(at, byte(1<<random.IntN(8)))
				}
				b := &album{T: a.T, opener: a.opener, dir: bad.restore(a.T)}
				b.reopen()
				_, _, err := b.read(1, id(1, 6))
				_, err2 := b.Newest(a.Context(), 1)
				b.close()
				if !errors.Is(err, core.ErrCorrupt) || !errors.Is(err2, core.ErrCorrupt) {
					a.Fatalf("byte %d of %d, cut %t: read %v, Newest %v", at, f.size, cut, err, err2)
				}
			}
		}
	}
}
