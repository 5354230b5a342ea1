package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe"
)

// machine is the state machine of one group on one node, the same work as the
// peers': the last number of each client, and a counter. A command begins with
// client<<32 | number, little endian.
type machine struct {
	troupe.Volatile

	count atomic.Uint64
	// mayLag: it is slow on purpose, and nobody waits for it.
	mayLag bool

	// shared says that clients read beside Apply, which has to lock then.
	shared bool
	mu     sync.RWMutex
	last   map[uint32]uint32
}

func newMachine(shared bool) *machine {
	return &machine{shared: shared, last: make(map[uint32]uint32)}
}

// Apply implements troupe.StateMachine.
func (m *machine) Apply(_ context.Context, entries []troupe.Entry) ([][]byte, error) {
	if m.shared {
		m.mu.Lock()
		defer m.mu.Unlock()
	}
	for i := range entries {
		if entries[i].Kind == troupe.EntryCommand {
			id := binary.LittleEndian.Uint64(entries[i].Data)
			m.last[uint32(id>>32)] = uint32(id)
			m.count.Add(1)
		}
	}
	return nil, nil
}

// lastOf returns the last number that a client has written.
func (m *machine) lastOf(client uint32) uint32 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.last[client]
}

// View implements troupe.StateMachine.
func (m *machine) View() (troupe.SnapshotView, error) {
	return view{count: m.count.Load(), last: maps.Clone(m.last)}, nil
}

// Restore implements troupe.StateMachine.
func (m *machine) Restore(_ context.Context, r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if len(content)%8 != 0 || len(content) == 0 {
		return fmt.Errorf("a snapshot of %d bytes", len(content))
	}
	last := make(map[uint32]uint32)
	for rest := content[8:]; len(rest) > 0; rest = rest[8:] {
		id := binary.LittleEndian.Uint64(rest)
		last[uint32(id>>32)] = uint32(id)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = last
	m.count.Store(binary.LittleEndian.Uint64(content))
	return nil
}

// view is a snapshot: the counter, then client<<32 | number for each client.
type view struct {
	count uint64
	last  map[uint32]uint32
}

// WriteTo implements troupe.SnapshotView.
func (v view) WriteTo(w io.Writer) (int64, error) {
	content := binary.LittleEndian.AppendUint64(nil, v.count)
	for client, number := range v.last {
		content = binary.LittleEndian.AppendUint64(content, uint64(client)<<32|uint64(number))
	}
	n, err := w.Write(content)
	return int64(n), err
}

// Close implements troupe.SnapshotView.
func (view) Close() error { return nil }
