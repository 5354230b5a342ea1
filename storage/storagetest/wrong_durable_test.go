package storagetest_test

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
	"github.com/trouperaft/troupe/storage/storagetest"
)

const durableFault = "TROUPE_WRONG_DURABLE"

// TestWrongDurable is the suite for the one fault that the environment names.
func TestWrongDurable(t *testing.T) {
	late := named(t, durableFault, durableFaults)
	open := func(dir string, node membership.NodeID) (storage.LogStore, error) {
		j, err := openJournal(dir, node)
		if err == nil && late != nil {
			j.late = late
		}
		return j, err
	}
	storagetest.DurableLogStore(t, open, 1)
}

func TestSuiteCatchesWrongDurables(t *testing.T) {
	catches(t, "TestWrongDurable", durableFault, durableFaults)
}

// durableFaults hold back an operation that comes alone until something else is
// written or the store is closed: only a crash shows them.
var durableFaults = []fault[func(*storage.Operation) bool]{
	{"keeps a commit that comes alone in memory until it is closed", "CopiedAfterEach", `after a commit: .* commit 0, want 1`,
		func(op *storage.Operation) bool {
			return op.HardState == nil && len(op.Append) == 0 && op.Purge.Index == 0
		}},
	{"keeps a purge that comes alone in memory until it is closed", "CopiedAfterEach", `after a purge: .* log \(0.0, 1.3\], want \(1.1, 1.3\]`,
		func(op *storage.Operation) bool { return op.Purge.Index != 0 }},
	{"keeps entries in memory until it is closed", "CopiedAfterEach", `after entries: .* log \(0.0, 0.0\], want \(0.0, 1.3\]`,
		func(op *storage.Operation) bool { return len(op.Append) > 0 }},
	{"keeps a grant in memory until it is closed", "CopiedAfterEach", `after a grant: .* hard state`,
		func(op *storage.Operation) bool { return op.HardState != nil }},
}

// journal is a durable store of the simplest kind: storage/memory, and a file
// of all that was written to it. It detects no damage.
type journal struct {
	*memory.Store
	file    *os.File
	late    func(*storage.Operation) bool
	waiting []*storage.Batch
}

// record is one of the file: one of its parts.
type record struct {
	Opened   membership.Incarnation
	Batch    *storage.Batch
	Promised bool
	Promise  time.Duration
	Peer     *storage.Peer
}

func openJournal(dir string, node membership.NodeID) (*journal, error) {
	file, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file, late: func(*storage.Operation) bool { return false }}
	if err := j.replay(node); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

func (j *journal) replay(node membership.NodeID) error {
	var records []record
	opened := uint64(0)
	for file := bufio.NewReader(j.file); ; {
		var r record
		err := gob.NewDecoder(file).Decode(&r)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		records = append(records, r)
		if r.Opened != 0 {
			opened++
		}
	}
	if len(records) == 0 {
		j.Store = memory.New(node)
		return j.write(record{Opened: j.Header().Incarnation})
	}
	s := memory.New(node, memory.WithIncarnation(records[0].Opened), memory.WithStartCounter(opened))
	for _, r := range records {
		var err error
		switch {
		case r.Batch != nil:
			err = s.Write(context.Background(), r.Batch)
		case r.Promised:
			err = s.RecordPromise(context.Background(), r.Promise)
		case r.Peer != nil:
			err = s.KeepPeer(context.Background(), *r.Peer)
		}
		if err != nil {
			return err
		}
	}
	// The header tells what is recorded from the next opening on.
	if err := errors.Join(s.Close(), s.Reopen()); err != nil {
		return err
	}
	j.Store = s
	return j.write(record{Opened: records[0].Opened})
}

func (j *journal) write(r record) error { return gob.NewEncoder(j.file).Encode(r) }

func (j *journal) Write(ctx context.Context, b *storage.Batch) error {
	if err := j.Store.Write(ctx, b); err != nil {
		return err
	}
	if len(b.Operations) == 1 && j.late(&b.Operations[0]) {
		j.waiting = append(j.waiting, b)
		return nil
	}
	return errors.Join(j.flush(), j.write(record{Batch: b}))
}

func (j *journal) flush() (err error) {
	for _, b := range j.waiting {
		err = errors.Join(err, j.write(record{Batch: b}))
	}
	j.waiting = nil
	return err
}

func (j *journal) RecordPromise(ctx context.Context, d time.Duration) error {
	return errors.Join(j.Store.RecordPromise(ctx, d), j.flush(), j.write(record{Promised: true, Promise: d}))
}

func (j *journal) KeepPeer(ctx context.Context, p storage.Peer) error {
	return errors.Join(j.Store.KeepPeer(ctx, p), j.flush(), j.write(record{Peer: &p}))
}

func (j *journal) Close() error { return errors.Join(j.flush(), j.Store.Close(), j.file.Close()) }
