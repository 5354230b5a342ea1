// Package memory keeps logs, hard states and snapshots in the process. It is
// for tests, and for clusters that may lose a node's data: when the process
// ends, everything is lost, and the node comes back under another incarnation.
package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/claim"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/outline"
	"github.com/trouperaft/troupe/storage/internal/peers"
)

// Limits of a Store.
const (
	EntryBytesMax   = 8 << 20
	BatchBytesMax   = 16 << 20
	BatchEntriesMax = 1 << 16
)

// Store is a storage.LogStore. What it is given it keeps as it is: the data of
// entries is never copied.
//
// A closed Store keeps its data; Reopen opens it again, so that a test can
// restart a node on it, and Inspect opens it for reading only. It detects no
// damage, since there can be none.
type Store struct {
	mu      sync.RWMutex
	closed  bool
	inspect bool
	// header is what the opening found, promised and refused what is recorded.
	header   storage.Header
	promised time.Duration
	refused  string
	peers    peers.List
	groups   map[membership.GroupID]*group
}

type group struct {
	outline   outline.Outline
	hardState core.HardState
	commit    core.Index
	entries   entryLog // from outline.Purged.Index+1 on
}

// Option sets what New would draw or count itself.
type Option func(*Store)

// WithIncarnation sets the incarnation. It must not be 0.
func WithIncarnation(i membership.Incarnation) Option {
	return func(s *Store) { s.header.Incarnation = i }
}

// WithStartCounter sets the start counter of the first opening.
func WithStartCounter(n uint64) Option {
	return func(s *Store) { s.header.StartCounter = n }
}

// New makes an empty store for node, with a random incarnation, and opens it.
func New(node membership.NodeID, options ...Option) *Store {
	s := &Store{groups: make(map[membership.GroupID]*group)}
	s.header = storage.Header{Node: node, Incarnation: membership.Incarnation(rand.Uint64() | 1), StartCounter: 1}
	for _, o := range options {
		o(s)
	}
	return s
}

// Reopen opens a closed store again: the start counter rises by one. A store that
// was refused stays closed, with *storage.RefusedError.
func (s *Store) Reopen() error { return s.open(false) }

// Inspect opens a closed store, refused or not, for inspection only: nothing
// that it holds is changed, the start counter included.
func (s *Store) Inspect() error { return s.open(true) }

func (s *Store) open(inspect bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		return fmt.Errorf("memory: a store is opened that is open")
	}
	if !inspect {
		// Rule 17: a refused store does not even count the attempt.
		if s.refused != "" {
			return s.refusal()
		}
		s.header.StartCounter++
	}
	s.closed, s.inspect = false, inspect
	s.header.Promise, s.header.Refused = s.promised, s.refused
	return nil
}

// Close implements storage.LogStore. The data stays.
func (s *Store) Close() error {
	if err := claim.Held(s); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	s.closed = true
	return nil
}

// Header implements storage.LogStore.
func (s *Store) Header() storage.Header {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.header
}

// Limits implements storage.LogStore.
func (s *Store) Limits() storage.Limits {
	return storage.Limits{EntryBytesMax: EntryBytesMax, BatchBytesMax: BatchBytesMax, BatchEntriesMax: BatchEntriesMax}
}

// RecordPromise implements storage.LogStore.
func (s *Store) RecordPromise(ctx context.Context, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("memory: a promise of %v", d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(ctx); err != nil {
		return err
	}
	s.promised = d
	return nil
}

// Refuse implements storage.LogStore. It keeps the whole reason.
func (s *Store) Refuse(ctx context.Context, reason string) error {
	if reason == "" {
		return errors.New("memory: a refusal without a reason")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.writable(ctx)
	var refused *storage.RefusedError
	if errors.As(err, &refused) {
		return nil // the first reason stays
	}
	if err == nil {
		s.refused = reason
	}
	return err
}

// Peers implements storage.LogStore.
func (s *Store) Peers() []storage.Peer {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.peers.Sorted()
}

// KeepPeer implements storage.LogStore. It keeps 1,024 peers.
func (s *Store) KeepPeer(ctx context.Context, p storage.Peer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if s.inspect {
		return storage.ErrInspection
	}
	list, _, err := s.peers.Keep(p)
	if err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	s.peers = list
	return nil
}

// Groups implements storage.GroupLister.
func (s *Store) Groups(ctx context.Context) ([]membership.GroupID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(s.groups)), nil
}

// Load implements storage.LogStore.
func (s *Store) Load(ctx context.Context, id membership.GroupID) (storage.State, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return storage.State{}, err
	}
	g := s.groups[id]
	if g == nil {
		return storage.State{}, nil
	}
	state := storage.State{HardState: g.hardState, Commit: g.commit}
	g.outline.Fill(&state)
	state.Sizes.Reset(state.Purged.Index)
	for _, chunk := range g.entries.chunks {
		state.Sizes.Append(chunk)
	}
	return state, nil
}

// Write implements storage.LogStore.
func (s *Store) Write(ctx context.Context, batch *storage.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(ctx); err != nil {
		return err
	}
	if err := outline.CheckLimits(batch, s.Limits()); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	for i := range batch.Operations {
		op := &batch.Operations[i]
		g := s.groups[op.Group]
		if g == nil {
			g = &group{}
			s.groups[op.Group] = g
		}
		if err := g.write(op); err != nil {
			return fmt.Errorf("memory: group %d: %w", op.Group, err)
		}
	}
	return nil
}

// Read implements storage.LogStore. The entries are the store's own.
func (s *Store) Read(ctx context.Context, id membership.GroupID, first, last core.Index, bytesMax int) ([]core.Entry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	g := s.groups[id]
	if g == nil || first <= g.outline.Purged.Index || last > g.outline.Last.Index || first > last {
		return nil, storage.ErrNotFound
	}
	return g.entries.read(first, last, bytesMax), nil
}

func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return storage.ErrClosed
	}
	return ctx.Err()
}

// writable says why nothing is written.
func (s *Store) writable(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	switch {
	case s.inspect:
		return storage.ErrInspection
	case s.refused != "":
		return s.refusal()
	}
	return nil
}

func (s *Store) refusal() error {
	return &storage.RefusedError{Store: fmt.Sprintf("the store of node %d in memory", s.header.Node), Reason: s.refused}
}

// write carries out one operation, or nothing of it.
func (g *group) write(op *storage.Operation) error {
	if err := outline.CheckOperation(op, g.outline.Purged, g.outline.Last, g.id); err != nil {
		return err
	}
	if op.HardState != nil {
		g.hardState = *op.HardState
	}
	if op.Reset.Index != 0 {
		g.outline.Reset(op.Reset)
		g.entries = entryLog{}
	}
	if op.TruncateFrom != 0 && op.TruncateFrom <= g.outline.Last.Index {
		g.outline.Truncate(g.id(op.TruncateFrom-1), g.time(op.TruncateFrom-1))
		g.entries.truncate(op.TruncateFrom)
	}
	if err := g.outline.Append(op.Append); err != nil {
		return err
	}
	g.entries.append(op.Append)
	if op.Purge.Index > g.outline.Purged.Index {
		g.outline.Purge(op.Purge)
		g.entries.purge(op.Purge.Index)
	}
	if op.Commit != 0 {
		g.commit = op.Commit
	}
	return nil
}

// id returns the id of the entry at i, which is in the log or the purged one.
func (g *group) id(i core.Index) core.LogID {
	if i == g.outline.Purged.Index {
		return g.outline.Purged
	}
	return g.entries.at(i).LogID
}

func (g *group) time(i core.Index) int64 {
	if i == g.outline.Purged.Index {
		return 0
	}
	return g.entries.at(i).Time
}
