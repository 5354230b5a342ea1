package storagetest

import (
	"bytes"
	"io"
	"math"
	"testing/iotest"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// largeContent writes a snapshot that is longer than what stores and networks
// like to take as a piece.
func largeContent(a *album) {
	at := id(1, 5)
	data := content(at, 9<<20+1)
	meta := a.putPieces(1, snapshotMeta(at), data, 1<<20-1)
	a.checkRead(1, meta, data)
	a.checkNewestMeta(1, meta)
}

// piecesOfEverySize writes one content in pieces of several sizes, the whole of
// it at once among them, and reads it in such pieces.
func piecesOfEverySize(a *album) {
	const size = 300_000
	data := content(id(1, 1), size)
	for i, piece := range []int{7, 4096, 65_537, size} {
		at := id(1, core.Index(i+1))
		a.checkRead(1, a.putPieces(1, snapshotMeta(at), data, piece), data)
		r, err := a.Open(a.Context(), 1, at)
		if err != nil {
			a.Fatal(err)
		}
		b, read := make([]byte, piece), []byte(nil)
		for err == nil {
			var n int
			n, err = r.Read(b)
			read = append(read, b[:n]...)
		}
		if err != io.EOF {
			a.Fatalf("read in pieces of %d bytes: %v", piece, err)
		}
		if err := sameContent(read, data); err != nil {
			a.Fatalf("read in pieces of %d bytes: %v", piece, err)
		}
		if err := r.Close(); err != nil {
			a.Fatal(err)
		}
	}
	meta, small := a.put(1, id(2, 1), 100)
	r, err := a.Open(a.Context(), 1, meta.LogID)
	if err != nil {
		a.Fatal(err)
	}
	if err := iotest.TestReader(struct{ io.Reader }{r}, small); err != nil {
		a.Fatal(err)
	}
	if err := r.Close(); err != nil {
		a.Fatal(err)
	}
}

// everyFieldOfTheMeta writes numbers of every size. Rule 32: terms and indexes go
// up to 2^62.
func everyFieldOfTheMeta(a *album) {
	for i, n := range []uint64{1, 1<<8 + 1, 1<<16 + 2, 1<<32 + 3, 1<<53 + 1, 1 << 62} {
		meta := snapshotMeta(id(core.Term(n), core.Index(n)))
		meta.Time = []int64{math.MinInt64, -1, 999_999, 1<<32 + 1, 1<<53 + 1, math.MaxInt64}[i]
		meta.Cluster = cluster(n)
		meta.Configuration.LogID = id(core.Term(n), core.Index(n))
		meta = a.putPieces(1, meta, content(meta.LogID, 20), 20)
		a.checkRead(1, meta, content(meta.LogID, 20))
		a.checkNewestMeta(1, meta)
	}
}

// snapshotOfALargeConfiguration: all members, and all that they have. A node that
// was restored from a snapshot knows no others.
func snapshotOfALargeConfiguration(a *album) {
	for i, n := range []int{2, 16, 17, membership.MembersMax} {
		meta := snapshotMeta(id(1, core.Index(i+5)))
		c, err := membership.Decode(fullConfiguration(id(1, 2), n).Data)
		if err != nil {
			a.Fatal(err)
		}
		meta.Configuration.Configuration = c
		meta = a.putPieces(1, meta, []byte("some content"), 12)
		a.checkRead(1, meta, []byte("some content"))
		a.checkNewestMeta(1, meta)
	}
}

// manySnapshots: a store keeps them until they are removed.
func manySnapshots(a *album) {
	const n = 20
	var metas []core.SnapshotMeta
	for i := core.Index(1); i <= n; i++ {
		meta, _ := a.put(1, id(1, i), 10)
		metas = append(metas, meta)
	}
	for _, meta := range metas {
		a.checkRead(1, meta, content(meta.LogID, 10))
	}
	a.checkNewest(1, id(1, n))
}

// readersAtOnce reads one snapshot, and another one, by turns.
func readersAtOnce(a *album) {
	metas, datas := make([]core.SnapshotMeta, 3), make([][]byte, 3)
	metas[0], datas[0] = a.put(1, id(1, 5), 50_000)
	metas[1], datas[1] = metas[0], datas[0]
	metas[2], datas[2] = a.put(1, id(1, 6), 50_000)
	readers := make([]io.ReadCloser, len(metas))
	read := make([]bytes.Buffer, len(metas))
	for i := range readers {
		r, err := a.Open(a.Context(), 1, metas[i].LogID)
		if err != nil {
			a.Fatal(err)
		}
		readers[i] = r
	}
	for range 50 {
		for i, r := range readers {
			if _, err := io.CopyN(&read[i], r, 1000); err != nil {
				a.Fatalf("reader %d of %d: %v", i+1, len(readers), err)
			}
		}
	}
	for i, r := range readers {
		rest, err := io.ReadAll(r)
		if err != nil || len(rest) > 0 {
			a.Fatalf("reader %d of %d, after all of it: %d bytes, %v", i+1, len(readers), len(rest), err)
		}
		if err := sameContent(read[i].Bytes(), datas[i]); err != nil {
			a.Fatalf("reader %d of %d: %v", i+1, len(readers), err)
		}
		if err := r.Close(); err != nil {
			a.Fatal(err)
		}
	}
}

// syncedInPieces: what a writer was asked to make durable is not visible, and goes on.
func syncedInPieces(a *album) {
	meta, data := snapshotMeta(id(1, 9)), content(id(1, 9), 1_000_000)
	w, err := a.Create(a.Context(), 1, meta)
	if err != nil {
		a.Fatal(err)
	}
	pieces, syncs := w.(storage.PiecewiseWriter)
	for rest := data; len(rest) > 0 && err == nil; rest = rest[100_000:] {
		if _, err = w.Write(rest[:100_000]); err == nil && syncs {
			err = pieces.Sync()
		}
		a.checkNewest(1, core.LogID{})
	}
	if err != nil {
		a.Fatal(err)
	}
	if meta, err = w.Commit(core.SnapshotMeta{}); err != nil {
		a.Fatal(err)
	}
	a.checkRead(1, meta, data)
}
