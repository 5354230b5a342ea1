package disk

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe/storage/memory"
)

// fickleStore notes the promises that it records, and may say that it has not.
type fickleStore struct {
	*memory.Store
	fails    bool
	recorded []time.Duration
}

func (s *fickleStore) RecordPromise(ctx context.Context, d time.Duration) error {
	s.recorded = append(s.recorded, d)
	if err := s.Store.RecordPromise(ctx, d); err != nil || !s.fails {
		return err
	}
	return errors.New("no room")
}

// TestPromiseOfThisLifeStays: what was promised in this life is never lowered.
func TestPromiseOfThisLifeStays(t *testing.T) {
	store := &fickleStore{Store: memory.New(1)}
	if err := store.Store.RecordPromise(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	p := NewPromises(store, time.Hour)
	if err := p.Raise(t.Context(), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, left := range []time.Duration{time.Hour, 10 * time.Minute, time.Minute, 0} {
		if err := p.lower(left); err != nil {
			t.Fatal(err)
		}
	}
	if want := []time.Duration{10 * time.Minute, 3 * time.Minute}; !slices.Equal(store.recorded, want) {
		t.Errorf("recorded %v, want %v", store.recorded, want)
	}
}

// TestPromiseAfterAFailedLowering: rule 13: a store that fails may have recorded the
// lower promise. One that lies between is recorded before it is given.
func TestPromiseAfterAFailedLowering(t *testing.T) {
	store := &fickleStore{Store: memory.New(1)}
	p := NewPromises(store, time.Hour)
	store.fails = true
	if err := p.lower(time.Minute); err == nil {
		t.Fatal("the failure is not told")
	}
	store.fails = false
	if err := p.Raise(t.Context(), 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{time.Minute, 10 * time.Minute}; !slices.Equal(store.recorded, want) {
		t.Errorf("recorded %v, want %v", store.recorded, want)
	}
}
