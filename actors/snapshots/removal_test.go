package snapshots

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
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
