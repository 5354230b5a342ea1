package snapshots

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/fileset"
	"github.com/trouperaft/troupe/storage/memory"
)

// written makes files of these contents; those that begin with "s" are sealed.
func written(t *testing.T, contents ...string) (made []storage.File) {
	t.Helper()
	dir := t.TempDir()
	for i, content := range contents {
		f := storage.File{Name: fmt.Sprintf("dir/%05d", i), SizeBytes: uint64(len(content)), Sealed: strings.HasPrefix(content, "s"), Path: filepath.Join(dir, fmt.Sprint(i))}
		if err := os.WriteFile(f.Path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		made = append(made, f)
	}
	return made
}

func filesStore(t *testing.T) *files.Store {
	t.Helper()
	s, err := files.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestViewOfFilesIsBuilt: a store that keeps files gets them, and any other one stream,
// which are the same snapshot.
func TestViewOfFilesIsBuilt(t *testing.T) {
	sources := written(t, "s one", "two", "s three")
	var want bytes.Buffer
	if _, err := fileset.Write(&want, sources); err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]storage.SnapshotStore{"files": filesStore(t), "stream": memory.NewSnapshots()} {
		r := newSendingRig()
		jobs := r.group(t, 1, store)
		var built *core.SnapshotBuilt
		jobs.group.Core = func(ev core.Event) { built = ev.(*core.SnapshotBuilt) }
		jobs.group.Removal = NewRemoval(store, 1, nil)
		dir := filepath.Join(t.TempDir(), "view")
		view, err := fileset.NewView(dir, sources)
		if err != nil {
			t.Fatal(err)
		}
		at := core.LogID{Term: 2, Index: 9}
		jobs.Build(core.SnapshotMeta{LogID: at}, view)
		r.calls()
		if built == nil || built.Err != nil || built.Meta.SizeBytes != uint64(want.Len()) {
			t.Fatalf("%s: %+v", name, built)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the view is left: %v", name, err)
		}
		reader, err := store.Open(t.Context(), 1, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, byThemselves := reader.(storage.FileReader); byThemselves != (name == "files") {
			t.Errorf("%s: kept by themselves: %t", name, byThemselves)
		}
		if got, err := io.ReadAll(reader); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), want.Len(), err)
		}
		_ = reader.Close()
	}
}

// TestRestoreLinksUntilTheGroupEnds: what Restore is given links the sealed files of a store
// that keeps them, and as little as it reads when the group ends.
func TestRestoreLinksUntilTheGroupEnds(t *testing.T) {
	store, sources := filesStore(t), written(t, "s one", "two")
	meta, err := store.CreateFiles(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 2, Index: 9}}, sources)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := store.Open(t.Context(), 1, meta.LogID)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, end := context.WithCancel(t.Context())
	r := EndingReader(ctx, reader)
	got, err := fileset.Extract(ctx, r, filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range got {
		mine, err := os.Stat(sources[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		if theirs, err := os.Stat(f.Path); err != nil || os.SameFile(mine, theirs) != f.Sealed {
			t.Errorf("%s: linked is not %t, %v", f.Name, f.Sealed, err)
		}
	}
	end()
	if err := r.(endingFiles).Link(sources[0].Name, filepath.Join(t.TempDir(), "late")); !errors.Is(err, context.Canceled) {
		t.Errorf("a link after the end: %v", err)
	}
}

// between joins a sending side and a receiving one, as a network without a fault does.
type between struct {
	sending   *sendingRig
	sender    *Jobs
	receiving *receiverRig
	// delivered are the bytes of content that were, and pieces how many there were.
	delivered, pieces int
	// old: the receiver does not know of files.
	old bool
	// stop ends the delivery, if it says so of a piece.
	stop func(*core.SnapshotChunk) bool
}

func newBetween(t *testing.T, from, to storage.SnapshotStore, own ...storage.File) *between {
	b := &between{sending: newSendingRig(), receiving: newReceiverRig(t)}
	b.sender = b.sending.group(t, 1, from)
	b.sender.group.ChunkBytes = 1000
	b.receiving.jobs.group.Store = to
	b.receiving.jobs.group.OwnFiles = func() []storage.File { return own }
	return b
}

// run delivers what is sent, and the answers, until nothing more is.
func (b *between) run() {
	seen, answered := len(b.sending.sent), len(b.receiving.net.said)
	for {
		b.sending.calls()
		if seen == len(b.sending.sent) {
			return
		}
		m := *b.sending.sent[seen]
		seen++
		if b.stop != nil && b.stop(&m) {
			return
		}
		m.Data = bytes.Clone(m.Data)
		b.delivered, b.pieces = b.delivered+len(m.Data), b.pieces+1
		if b.old {
			m.HeadBytes = 0
		}
		b.receiving.jobs.Receive(&m)
		b.receiving.env.Settle()
		for b.receiving.env.Calls() > 0 {
			b.receiving.env.Finish()
		}
		for ; answered < len(b.receiving.net.said); answered++ {
			answer := *b.receiving.net.said[answered]
			answer.Header = core.Header{Group: 1, Cluster: core.ClusterID{7}, From: receiverOf.Identity}
			b.sender.Answered(&answer)
			b.sending.env.Settle()
		}
	}
}

func (b *between) ended(t *testing.T, to storage.SnapshotStore, want []byte) {
	t.Helper()
	if n := len(b.sending.ended); n == 0 || !b.sending.ended[n-1].OK {
		t.Fatalf("the transfer has ended as %+v", b.sending.ended)
	}
	if n := len(b.receiving.got); n == 0 {
		t.Fatal("no snapshot has arrived")
	}
	r, err := to.Open(t.Context(), 1, b.receiving.got[0].Meta.LogID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, or others: %v", len(got), len(want), err)
	}
}

// many are files of which every changed one is another than those of another call.
func many(t *testing.T, n, changed int, what string) []storage.File {
	var contents []string
	for i := range n {
		name := "sealed"
		if changed > 0 && i%(n/changed) == n/changed-1 {
			name = "sealed, " + what
		}
		contents = append(contents, strings.Repeat(fmt.Sprintf("%s %d.", name, i), 100))
	}
	return written(t, contents...)
}

// TestOnlyChangedFilesAreSent: what the receiver has it is not sent, whether in its own
// snapshot or in its machine, and what it has is told.
func TestOnlyChangedFilesAreSent(t *testing.T) {
	for _, test := range []struct {
		name            string
		old, keepsFiles bool
		has, own        bool
		spares          bool
	}{
		{name: "of its snapshot", keepsFiles: true, has: true, spares: true},
		{name: "of its machine", keepsFiles: true, own: true, spares: true},
		{name: "it has nothing", keepsFiles: true},
		{name: "it keeps streams", has: true},
		{name: "it is older", old: true, keepsFiles: true, has: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, files := filesStore(t), many(t, 60, 3, "new")
			at := core.SnapshotMeta{LogID: core.LogID{Term: 2, Index: 9}}
			meta, err := from.CreateFiles(t.Context(), 1, at, files)
			if err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			if _, err := fileset.Write(&want, files); err != nil {
				t.Fatal(err)
			}
			var to storage.SnapshotStore = memory.NewSnapshots()
			mine := many(t, 60, 3, "old")
			if test.keepsFiles {
				store := filesStore(t)
				to = store
				if test.has {
					if _, err := store.CreateFiles(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 4}}, mine); err != nil {
						t.Fatal(err)
					}
				}
			}
			b := newBetween(t, from, to)
			b.old = test.old
			if test.own {
				b.receiving.jobs.group.OwnFiles = func() []storage.File { return mine }
			}
			send(b.sender)
			text := ""
			b.sender.group.Core = func(ev core.Event) {
				sent := ev.(*core.SnapshotSent)
				b.sending.ended = append(b.sending.ended, sent)
				text, _ = b.sender.Ended(sent)
			}
			b.run()
			b.ended(t, to, want.Bytes())
			changed := int(meta.SizeBytes) - b.delivered
			switch {
			case !test.spares && (changed != 0 || text != ""):
				t.Errorf("%d bytes are not sent, %q", changed, text)
			case test.spares && (b.delivered > int(meta.SizeBytes)/8 || text != fmt.Sprintf("%d of %d bytes were there", changed, meta.SizeBytes)):
				t.Errorf("%d of %d bytes are sent, %q", b.delivered, meta.SizeBytes, text)
			}
			b.sender.Stop()
			b.receiving.jobs.Stop()
			b.sending.calls()
			b.receiving.env.Settle()
			for b.receiving.env.Calls() > 0 {
				b.receiving.env.Finish()
			}
		})
	}
}

// TestNothingLacks: a receiver that has all of the files is sent the list alone.
func TestNothingLacks(t *testing.T) {
	from, to, files := filesStore(t), filesStore(t), many(t, 20, 0, "")
	meta, err := from.CreateFiles(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 2, Index: 9}}, files)
	if err == nil {
		_, err = to.CreateFiles(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 4}}, files)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := newBetween(t, from, to)
	send(b.sender)
	b.run()
	var want bytes.Buffer
	if _, err := fileset.Write(&want, files); err != nil {
		t.Fatal(err)
	}
	b.ended(t, to, want.Bytes())
	if content := len(files) * int(files[0].SizeBytes); b.delivered > int(meta.SizeBytes)-content+100 {
		t.Errorf("%d bytes are sent, and the list has %d", b.delivered, int(meta.SizeBytes)-content)
	}
}

// TestTransferOfFilesGoesOn breaks a transfer at every piece, over a new life of the receiver
// too: it goes on where it was, while the sender makes and removes snapshots.
func TestTransferOfFilesGoesOn(t *testing.T) {
	files, mine := many(t, 60, 6, "new"), many(t, 60, 6, "old")
	var want bytes.Buffer
	if _, err := fileset.Write(&want, files); err != nil {
		t.Fatal(err)
	}
	for breaks := 0; ; breaks++ {
		from, to := filesStore(t), filesStore(t)
		if _, err := from.CreateFiles(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 2, Index: 9}}, files); err != nil {
			t.Fatal(err)
		}
		if _, err := to.CreateFiles(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 4}}, mine); err != nil {
			t.Fatal(err)
		}
		b := newBetween(t, from, to)
		b.stop = func(*core.SnapshotChunk) bool { return b.pieces == breaks }
		send(b.sender)
		b.run()
		if b.pieces < breaks || len(b.sending.ended) > 0 {
			if breaks < 12 {
				t.Fatalf("all has arrived in %d pieces", b.pieces)
			}
			return
		}
		before := b.delivered
		// The sender goes on to newer snapshots, of other files.
		if _, err := from.CreateFiles(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 2, Index: 20}}, written(t, "s later")); err != nil {
			t.Fatal(err)
		}
		if err := from.RemoveBelow(t.Context(), 1, 20); err != nil {
			t.Fatal(err)
		}
		b.sender.PeerDown(receiverOf.ID)
		b.sending.calls()
		// The receiver lives on, or is another that has what it has kept.
		if breaks%2 == 1 {
			b.receiving.jobs.Stop()
			b.receiving.env.Settle()
			for b.receiving.env.Calls() > 0 {
				b.receiving.env.Finish()
			}
			second := newBetween(t, memory.NewSnapshots(), to)
			b.receiving = second.receiving
		}
		b.stop = nil
		b.sender.Send(&core.SendSnapshot{Peer: receiverOf, Stream: 1, Term: 1, Resume: core.LogID{Term: 2, Index: 9}})
		b.run()
		if breaks < 2 { // the receiver was never reached, so the newest is sent
			continue
		}
		b.ended(t, to, want.Bytes())
		if again := b.delivered - before; before+again > want.Len()/4 {
			t.Errorf("broken after %d pieces: %d and %d bytes are sent of %d", breaks, before, again, want.Len())
		}
	}
}

// TestNonsenseOfWhatIsThere: a receiver that names parts that cannot be is cut off.
func TestNonsenseOfWhatIsThere(t *testing.T) {
	from := filesStore(t)
	meta, err := from.CreateFiles(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 2, Index: 9}}, many(t, 10, 0, ""))
	if err != nil {
		t.Fatal(err)
	}
	size := meta.SizeBytes
	for what, said := range map[string]struct {
		offset uint64
		had    []core.ByteRange
	}{
		"in the list":     {0, []core.ByteRange{{From: 0, To: size}}},
		"beyond the end":  {0, []core.ByteRange{{From: size - 1, To: size + 1}}},
		"empty":           {0, []core.ByteRange{{From: size - 1, To: size - 1}}},
		"backward":        {0, []core.ByteRange{{From: size - 1, To: size - 5}}},
		"out of order":    {0, []core.ByteRange{{From: size - 1, To: size}, {From: size - 5, To: size - 4}}},
		"over each other": {0, []core.ByteRange{{From: size - 9, To: size - 5}, {From: size - 6, To: size}}},
		"too many":        {0, make([]core.ByteRange, core.HadMax+1)},
		"elsewhere":       {7, nil},
	} {
		b := newBetween(t, from, memory.NewSnapshots())
		send(b.sender)
		b.sending.calls()
		b.sending.answerTo(b.sender, b.sending.sent[0], 0)
		b.sending.calls()
		list := b.sending.sent[len(b.sending.sent)-1]
		if n := len(b.sending.sent); n != 2 || list.Offset != 0 || uint64(len(list.Data)) != list.HeadBytes || list.HeadBytes == 0 {
			t.Fatalf("%d pieces are sent, the last of %d bytes at %d", n, len(list.Data), list.Offset)
		}
		b.sender.Answered(&core.SnapshotResponse{
			Header: core.Header{Group: 1, Cluster: core.ClusterID{7}, From: receiverOf.Identity}, Stream: 1,
			Transfer: list.Transfer, Offset: list.HeadBytes + said.offset, Had: said.had,
		})
		b.sending.calls()
		if n := len(b.sending.sent); n != 2 || len(b.sending.ended) != 1 || b.sending.ended[0].OK {
			t.Errorf("%s: %d pieces are sent, %+v", what, n, b.sending.ended)
		}
		b.sender.Stop()
		b.sending.calls()
	}
}

// TestWhatIsSparedIsNoSpeed: the rate is that of the bytes that move, and what is left of them
// is what comes.
func TestWhatIsSparedIsNoSpeed(t *testing.T) {
	var f figures
	now := stage.Instant(time.Hour)
	f.begin(now, receiverOf.Identity, &core.SnapshotMeta{SizeBytes: 2000}, 100, nil)
	h := had{{From: 200, To: 900}, {From: 1500, To: 1900}}
	f.put(1000, h)
	now += stage.Instant(time.Second)
	p, _ := f.measure(now)
	// 900 to 1000 and 100 to 200 have moved; 1000 to 1500 and 1900 to 2000 come.
	if p.BytesPerSecond != 200 || p.Left != 3*time.Second || p.SparedBytes != 1100 || p.Bytes != 1000 {
		t.Errorf("%+v", p)
	}
	if text := p.String(); !strings.Contains(text, "1100 bytes are not sent") {
		t.Error(text)
	}
	// A transfer that goes on.
	f.begin(now, receiverOf.Identity, &core.SnapshotMeta{SizeBytes: 2000}, 1000, h)
	f.put(1200, h)
	if p, _ := f.measure(now + stage.Instant(time.Second)); p.BytesPerSecond != 200 || p.Left != 2*time.Second {
		t.Errorf("%+v", p)
	}
}

// TestLongListLeavesASmallerWindow: both together take what a transfer may.
func TestLongListLeavesASmallerWindow(t *testing.T) {
	const most = 8 << 20
	for _, head := range []uint64{0, 1 << 10, 512 << 10, 1 << 20, fileset.HeadBytesMax} {
		s := &sender{head: head, group: &Group{ChunkBytes: 512 << 10}, inflight: []piece{{}}}
		if all := s.window() + 3*head; all > most || s.window() < windowBytesMin || head == 0 && s.window() != windowBytes {
			t.Errorf("a list of %d bytes leaves a window of %d", head, s.window())
		}
		s.inflightBytes = s.window() - 512<<10
		if !s.hasRoom() {
			t.Errorf("a list of %d bytes: no room for the last piece", head)
		}
		if s.inflightBytes++; s.hasRoom() {
			t.Errorf("a list of %d bytes: room beyond the window", head)
		}
	}
}
