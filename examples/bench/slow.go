package main

import (
	"context"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/storage"
)

// slowness is by how many times a node is slower than the others; 1 is as fast.
type slowness int

// slow lets what begins now take as many times as long, when it has ended.
func (s slowness) slow(begun time.Time) {
	if s > 1 {
		time.Sleep(time.Duration(s-1) * time.Since(begun))
	}
}

// slowStore is a log store on a slow disk.
type slowStore struct {
	troupe.LogStore
	slowness
}

// Write implements troupe.LogStore.
func (s slowStore) Write(ctx context.Context, b *storage.Batch) error {
	defer s.slow(time.Now())
	return s.LogStore.Write(ctx, b)
}

// Read implements troupe.LogStore.
func (s slowStore) Read(ctx context.Context, group troupe.GroupID, first, last troupe.Index, bytesMax int) ([]troupe.Entry, error) {
	defer s.slow(time.Now())
	return s.LogStore.Read(ctx, group, first, last, bytesMax)
}

// slowMachine is a slow state machine.
type slowMachine struct {
	*machine
	slowness
}

// Apply implements troupe.StateMachine.
func (m slowMachine) Apply(ctx context.Context, entries []troupe.Entry) ([][]byte, error) {
	defer m.slow(time.Now())
	return m.machine.Apply(ctx, entries)
}
