package snapshots

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage/memory"
)

// reluctant is a snapshot store that removes what it can, and says what it cannot.
type reluctant struct {
	*memory.Snapshots
	err   error
	below []core.Index
}

func (r *reluctant) RemoveBelow(_ context.Context, _ membership.GroupID, index core.Index) error {
	r.below = append(r.below, index)
	return r.err
}

// TestRemovalTellsOnce: what cannot be removed is told once, tried again each time, and
// told again after a time without an error.
func TestRemovalTellsOnce(t *testing.T) {
	var out bytes.Buffer
	node, err := observe.New(observe.Config{Environment: stage.Production(), Node: 1, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	store := &reluctant{}
	r := NewRemoval(store, 1, node.Group(1))
	stubborn := errors.New("somebody's directory")
	for i, err := range []error{stubborn, stubborn, nil, stubborn, stubborn} {
		store.err = err
		r.Below(t.Context(), core.Index(i))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	store.err = nil
	r.Below(t.Context(), 9)
	store.err = ended.Err()
	r.Below(ended, 10)
	closed := make(chan struct{})
	node.Close(func() { close(closed) })
	<-closed
	if n := strings.Count(out.String(), stubborn.Error()); n != 2 || len(store.below) != 7 || strings.Contains(out.String(), "canceled") {
		t.Errorf("told %d times in %d attempts:\n%s", n, len(store.below), out.String())
	}
}

// TestRemovalOfWhatTheLogHasPassed: records remove the snapshots below the beginning of the
// log, those of an earlier life too, and trouble the store only when there may be some.
func TestRemovalOfWhatTheLogHasPassed(t *testing.T) {
	store := &reluctant{}
	r := NewRemoval(store, 1, nil)
	r.Keep(2, 7)
	for _, purged := range []core.Index{3, 5, 7, 8, 9} {
		r.Unneeded(t.Context(), purged)
	}
	r.Below(t.Context(), 20)
	r.Unneeded(t.Context(), 15)
	r.Below(t.Context(), 30)
	r.Unneeded(t.Context(), 31)
	r.Unneeded(t.Context(), 40)
	if want := []core.Index{3, 8, 20, 20, 31}; !slices.Equal(store.below, want) {
		t.Errorf("removed below %v, want %v", store.below, want)
	}
	store.err = errors.New("somebody's directory")
	r = NewRemoval(store, 1, observed(t))
	r.Unneeded(t.Context(), 1)
	r.Unneeded(t.Context(), 2)
	if n := len(store.below); n != 7 {
		t.Errorf("one that failed was tried %d times", n-5)
	}
}

// observed is a group's watch that tells nobody.
func observed(t *testing.T) *observe.Watch {
	t.Helper()
	node, err := observe.New(observe.Config{Environment: stage.Production(), Node: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		node.Close(func() { close(closed) })
		<-closed
	})
	return node.Group(1)
}

// TestRemovalKeeps: the newest ones stay, over a start too, and one that is built again
// counts once.
func TestRemovalKeeps(t *testing.T) {
	for _, keep := range []int{0, 1, 2, 3} {
		store := &reluctant{}
		r := NewRemoval(store, 1, nil)
		r.Keep(keep, 10)
		for _, index := range []core.Index{20, 20, 30, 40, 40, 50} {
			r.Below(t.Context(), index)
		}
		want := map[int][]core.Index{
			0: {20, 20, 30, 40, 40, 50}, 1: {20, 20, 30, 40, 40, 50}, 2: {10, 10, 20, 30, 30, 40}, 3: {10, 10, 10, 20, 20, 30},
		}[keep]
		if !slices.Equal(store.below, want) {
			t.Errorf("of %d kept, those below %v are removed, want %v", keep, store.below, want)
		}
	}
}
