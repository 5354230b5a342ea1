package storagetest

import (
	"bytes"
	"errors"
	"io"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

func removeBelow(a *album) {
	for i := core.Index(1); i <= 5; i++ {
		a.put(1, id(1, 10*i), 100)
	}
	a.put(2, id(1, 10), 100)
	if err := a.RemoveBelow(a.Context(), 1, 30); err != nil {
		a.Fatal(err)
	}
	for i := core.Index(1); i <= 5; i++ {
		_, _, err := a.read(1, id(1, 10*i))
		if gone := errors.Is(err, storage.ErrNotFound); gone != (i < 3) || !gone && err != nil {
			a.Errorf("snapshot %d: %v", 10*i, err)
		}
	}
	a.checkNewest(1, id(1, 50))
	a.checkNewest(2, id(1, 10))
}

func readAfterRemoval(a *album) {
	meta, data := a.put(1, id(1, 5), 1<<20)
	r, err := a.Open(a.Context(), 1, id(1, 5))
	if err != nil {
		a.Fatal(err)
	}
	head := make([]byte, 1000)
	if _, err := io.ReadFull(r, head); err != nil {
		a.Fatal(err)
	}
	a.put(1, id(1, 6), 10)
	if err := a.RemoveBelow(a.Context(), 1, 6); err != nil {
		a.Fatal(err)
	}
	if _, err := a.Open(a.Context(), 1, id(1, 5)); !errors.Is(err, storage.ErrNotFound) {
		a.Fatalf("Open after the removal: %v", err)
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		a.Fatal(err)
	}
	if !bytes.Equal(append(head, rest...), data) || r.Meta().LogID != meta.LogID {
		a.Fatal("other content after the removal")
	}
	if err := r.Close(); err != nil {
		a.Fatal(err)
	}
	a.checkNewest(1, id(1, 6))
}
