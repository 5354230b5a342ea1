package storagetest

import (
	"bytes"
	"errors"
	"os"
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/fileset"
)

// sending makes a snapshot of files in another group, and returns its meta, its content and
// how long the list of its files is.
func (a *album) sending(at core.LogID, files []storage.File) (meta core.SnapshotMeta, content []byte, head uint64) {
	a.Helper()
	meta, err := a.files().CreateFiles(a.Context(), 9, snapshotMeta(at), files)
	if err != nil {
		a.Fatal(err)
	}
	if _, content, err = a.read(9, at); err != nil {
		a.Fatal(err)
	}
	list, _, err := fileset.ReadHead(bytes.NewReader(content))
	if err != nil {
		a.Fatal(err)
	}
	return meta, content, uint64(len(list))
}

// arrive writes what a receiver wants up to an offset, and returns how much that was.
func (a *album) arrive(w storage.FileWriter, content []byte, head, upTo uint64) (sent uint64) {
	a.Helper()
	for w.At() < upTo {
		from := w.At()
		to := min(from+777, upTo)
		if from < head {
			to = min(to, head)
			if w.Had() != nil {
				a.Fatal("parts are there before the list is")
			}
		}
		last := head
		for _, part := range w.Had() {
			if part.From < last || part.To <= part.From || part.To > uint64(len(content)) || part.From <= from && from < part.To {
				a.Fatalf("at %d, %v is there", from, w.Had())
			}
			if last = part.To; part.From > from {
				to = min(to, part.From)
			}
		}
		if n, err := w.Write(content[from:to]); err != nil || uint64(n) != to-from || w.At() < to {
			a.Fatalf("%d of %d bytes at %d, and it goes on at %d: %v", n, to-from, from, w.At(), err)
		}
		sent += to - from
	}
	return sent
}

func (a *album) resumeFiles(meta core.SnapshotMeta, head uint64, own []storage.File) storage.FileWriter {
	a.Helper()
	w, have, err := a.files().ResumeFiles(a.Context(), 1, meta, head, func() []storage.File { return own })
	if err != nil {
		a.Fatal(err)
	}
	if have != w.At() {
		a.Fatalf("it has %d bytes, and goes on at %d", have, w.At())
	}
	return w
}

func (a *album) commitFiles(w storage.FileWriter, meta core.SnapshotMeta, content []byte) {
	a.Helper()
	got, err := w.Commit(meta)
	if err != nil {
		a.Fatal(err)
	}
	if err := sameMeta(got, meta); err != nil {
		a.Fatal(err)
	}
	a.checkRead(1, meta, content)
}

// filesArrive: only what the receiver lacks arrives, in whatever snapshot or file of its
// machine it has the rest; and what is damaged there arrives, too.
func filesArrive(a *album, _ storage.FileStore) {
	files := a.sources(12, "some")
	old, oldContent := a.putFiles(id(1, 5), files)
	files[11] = a.sources(12, "other")[11] // the largest
	files[11].SHA256 = [32]byte{}
	mine := a.sources(9, "own")
	for i := range mine {
		mine[i].Name, mine[i].Sealed = "own/"+mine[i].Name, true
	}
	meta, content, head := a.sending(id(1, 6), append(slices.Clone(files), mine...))
	// One of the machine's own is another by now.
	own := slices.Clone(mine)
	own[8].Path = a.sources(9, "nwo")[8].Path
	before := head + files[11].SizeBytes + mine[8].SizeBytes
	w := a.resumeFiles(meta, head, own)
	if sent := a.arrive(w, content, head, uint64(len(content))); sent != before {
		a.Errorf("%d bytes have arrived, and %d were wanted", sent, before)
	}
	a.commitFiles(w, meta, content)
	a.checkRead(1, old, oldContent)
	a.checkNewestMeta(1, meta)
	// What the machine does with its files afterwards is its own affair.
	for _, f := range mine {
		if err := os.Remove(f.Path); err != nil {
			a.Fatal(err)
		}
	}
	a.checkRead(1, meta, content)
}

// filesArriveOverARestart: what was let go of goes on, also in another life of the store.
func filesArriveOverARestart(a *album, _ storage.FileStore) {
	meta, content, head := a.sending(id(1, 6), a.sources(12, "some"))
	size := uint64(len(content))
	for _, upTo := range []uint64{head / 2, head, head + 1, size / 2, size - 1, size} {
		w := a.resumeFiles(meta, head, nil)
		if w.At() > upTo {
			a.Fatalf("it goes on at %d", w.At())
		}
		a.arrive(w, content, head, upTo)
		if err := w.Suspend(); err != nil {
			a.Fatal(err)
		}
		a.reopen()
		a.checkNewest(1, core.LogID{})
		w = a.resumeFiles(meta, head, nil)
		if upTo >= head && w.At() < upTo {
			a.Errorf("of %d bytes %d are there", upTo, w.At())
		}
		if err := w.Suspend(); err != nil {
			a.Fatal(err)
		}
	}
	w := a.resumeFiles(meta, head, nil)
	a.arrive(w, content, head, size)
	a.commitFiles(w, meta, content)
	a.reopen()
	a.checkNewestMeta(1, meta)
	a.checkRead(1, meta, content)
}

// arrivalRefused: what is not what its meta says is no snapshot.
func arrivalRefused(a *album, _ storage.FileStore) {
	meta, content, head := a.sending(id(1, 6), a.sources(5, "some"))
	w := a.resumeFiles(meta, head, nil)
	if _, _, err := a.files().ResumeFiles(a.Context(), 1, meta, head, nil); err == nil {
		a.Error("it arrives twice at a time")
	}
	a.arrive(w, content, head, head)
	bad := bytes.Clone(content[head:])
	bad[len(bad)-1] ^= 1
	for w.At() < uint64(len(content)) {
		if _, err := w.Write(bad[w.At()-head:]); err != nil {
			if !errors.Is(err, core.ErrCorrupt) {
				a.Errorf("another byte: %v", err)
			}
			break
		}
	}
	if w.At() == uint64(len(content)) {
		if _, err := w.Commit(meta); !errors.Is(err, core.ErrCorrupt) {
			a.Errorf("another byte: %v", err)
		}
	} else if err := w.Abort(); err != nil {
		a.Error(err)
	}
	other := meta
	other.Checksum ^= 1
	w = a.resumeFiles(other, head, nil)
	a.arrive(w, content, head, uint64(len(content)))
	if _, err := w.Commit(other); !errors.Is(err, core.ErrCorrupt) {
		a.Errorf("another checksum: %v", err)
	}
	a.checkNewest(1, core.LogID{})
	w = a.resumeFiles(meta, head, nil)
	a.arrive(w, content, head, uint64(len(content)))
	a.commitFiles(w, meta, content)
}
