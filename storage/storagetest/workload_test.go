package storagetest_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
	"github.com/trouperaft/troupe/storage/storagetest"
)

// TestWorkloadIsFound: another process finds after which step a store was left, and
// nothing else passes for it.
func TestWorkloadIsFound(t *testing.T) {
	const seed, steps = 3, 400
	s := memory.New(1)
	w := storagetest.NewWorkload(seed)
	random := rand.New(rand.NewPCG(1, 1))
	begun := 0
	for w.Steps() < steps {
		acknowledged := w.Steps()
		if err := w.Write(t.Context(), s, 1+random.IntN(4), func(*storage.Batch) error { begun = w.Steps(); return nil }); err != nil {
			t.Fatal(err)
		}
		if begun != w.Steps() || begun <= acknowledged {
			t.Fatalf("%d steps were said to be begun, and %d are taken", begun, w.Steps())
		}
	}
	if err := errors.Join(s.Close(), s.Reopen()); err != nil { // the header tells the promise
		t.Fatal(err)
	}
	n := w.Steps()
	if found, err := storagetest.Find(t.Context(), s, seed, n-5, n+5); err != nil || found.Steps() != n {
		t.Fatalf("found %v, %v, want %d steps", found, err, n)
	}
	for _, bounds := range [][2]int{{0, n - 1}, {n + 1, n + 10}} {
		if found, err := storagetest.Find(t.Context(), s, seed, bounds[0], bounds[1]); !storagetest.Differs(err) {
			t.Errorf("found %v between %v, %v", found, bounds, err)
		}
	}
	if _, err := storagetest.Find(t.Context(), s, seed+1, 0, n); !storagetest.Differs(err) {
		t.Errorf("another seed: %v", err)
	}
	if err := s.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{{Group: 1, HardState: &core.HardState{Term: 99_999}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := storagetest.Find(t.Context(), s, seed, 0, n); !storagetest.Differs(err) {
		t.Errorf("a write of somebody else: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := storagetest.Find(t.Context(), s, seed, 0, n); err == nil || storagetest.Differs(err) {
		t.Errorf("a closed store: %v", err)
	}
}
