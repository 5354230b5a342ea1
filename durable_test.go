package troupe_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/storage"
)

// heldStore holds back the writes that carry an entry of a kind until it is told to let
// one go.
type heldStore struct {
	troupe.LogStore
	kind           troupe.EntryKind
	armed          atomic.Bool
	begun, release chan struct{}
}

func (s *heldStore) Write(ctx context.Context, batch *storage.Batch) error {
	carries := func(e troupe.Entry) bool { return e.Kind == s.kind }
	if s.armed.Load() && slices.ContainsFunc(batch.Operations, func(o storage.Operation) bool { return slices.ContainsFunc(o.Append, carries) }) {
		s.begun <- struct{}{}
		<-s.release
	}
	return s.LogStore.Write(ctx, batch)
}

// TestSingleNodeAcknowledgesOnlyWhatIsDurable: a node that decides alone has
// nobody else's disk to rely on. While its own write hangs, a command is neither
// acknowledged nor applied, even by a machine that keeps nothing.
func TestSingleNodeAcknowledgesOnlyWhatIsDurable(t *testing.T) {
	held := &heldStore{kind: troupe.EntryCommand, begun: make(chan struct{}), release: make(chan struct{})}
	c := formed(t, 1, config(), func(m *member) {
		m.log = func(s troupe.LogStore) troupe.LogStore {
			held.LogStore = s
			return held
		}
	})
	m := c.members[0]
	// Reads need an entry of the leader's own term to be committed, and none is
	// held back with the commands below.
	m.propose(t, "first")
	held.armed.Store(true)
	for _, command := range []string{"a", "b"} {
		answered := make(chan error, 1)
		go func() {
			_, err := m.raft.Propose(within(t, 20*time.Second), []byte(command))
			answered <- err
		}()
		<-held.begun
		// The write is under way. Reads are still served, from what is durable.
		if got := m.read(t); slices.Contains(got, command) {
			t.Errorf("%q is applied before it is durable", command)
		}
		if s := m.raft.Status(); s.Committed >= s.Last || s.Applied > s.Flushed {
			t.Errorf("committed %d, applied %d and flushed %d of %d while the write hangs", s.Committed, s.Applied, s.Flushed, s.Last)
		}
		select {
		case err := <-answered:
			t.Fatalf("%q was answered before it is durable: %v", command, err)
		default:
		}
		held.release <- struct{}{}
		if err := <-answered; err != nil {
			t.Errorf("%q: %v", command, err)
		}
	}
	if got := m.read(t); !slices.Equal(got, []string{"first", "a", "b"}) {
		t.Errorf("the machine holds %q", got)
	}
}
