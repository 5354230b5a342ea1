package badger

import (
	"context"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/outline"
)

// Write implements storage.LogStore. A batch within Limits is one badger
// transaction unless it removes very much or has very many operations: then
// each transaction holds whole operations.
func (s *Store) Write(ctx context.Context, batch *storage.Batch) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.RUnlock()
	s.write.Lock()
	defer s.write.Unlock()
	if s.failed != nil {
		return s.failed
	}
	if err := outline.CheckLimits(batch, s.limits); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	if err := s.space(); err != nil {
		return err
	}
	t := s.begin()
	defer func() { t.txn.Discard() }()
	for i := range batch.Operations {
		op := &batch.Operations[i]
		if err := t.operation(op); err != nil {
			return fmt.Errorf("badger: group %d: %w", op.Group, err)
		}
	}
	return t.commit()
}

func (s *Store) writeHeader() error {
	if err := s.space(); err != nil {
		return err
	}
	t := s.begin()
	defer func() { t.txn.Discard() }()
	t.header, t.atOnce = true, true
	return t.commit()
}

// transaction is one that is being made.
type transaction struct {
	store  *Store
	txn    *badger.Txn
	groups map[membership.GroupID]*groupRecord
	// header: the header's record is written as well.
	header bool
	// atOnce: the watermark may not be late.
	atOnce bool
	// bytes and keys of what is in txn, as badger counts them.
	bytes, keys int64
	// purges are begun when the transaction is durable.
	purges []span
}

func (s *Store) begin() *transaction {
	if cap(s.buffer) > 16<<20 {
		s.buffer = nil
	}
	s.buffer = s.buffer[:0]
	return &transaction{store: s, txn: s.db.NewTransaction(true), groups: make(map[membership.GroupID]*groupRecord)}
}

// group returns the group's record, as the operations so far have left it.
func (t *transaction) group(id membership.GroupID) *groupRecord {
	r := t.groups[id]
	if r == nil {
		r = new(groupRecord)
		var found bool
		if *r, found = t.store.groups[id]; !found {
			r.chain = chainStart(id, core.LogID{})
		}
		t.groups[id] = r
		t.count(groupKeyBytes, 128)
	}
	return r
}

// count what badger counts for a pair.
func (t *transaction) count(key, value int) {
	t.bytes += int64(key + value + 12)
	t.keys++
}

func (t *transaction) set(key, value []byte) error {
	t.count(len(key), len(value))
	return t.txn.Set(key, value)
}

func (t *transaction) delete(key []byte) error {
	t.count(len(key), 0)
	return t.txn.Delete(key)
}

// operation carries out op in the transaction. It begins another one before if
// op would not fit into this one.
func (t *transaction) operation(op *storage.Operation) error {
	r := t.group(op.Group)
	cut, err := t.planCut(op, r)
	if err != nil {
		return err
	}
	err = outline.CheckOperation(op, r.purged, r.last, func(core.Index) core.LogID { return cut.last })
	if err != nil {
		return err
	}
	if err := t.makeRoom(op, len(cut.keys)); err != nil {
		return err
	}
	if err := t.shorten(op.Group, &cut); err != nil {
		return err
	}
	r = t.group(op.Group)
	if op.HardState != nil {
		r.hardState = *op.HardState
		t.atOnce = true
	}
	if op.Reset.Index != 0 {
		t.purges = append(t.purges, span{op.Group, r.purged.Index, op.Reset.Index})
		r.purged = op.Reset
	}
	if err := t.cut(op.Group, r, &cut); err != nil {
		return err
	}
	if err := t.append(op.Group, r, op.Append); err != nil {
		return err
	}
	if op.Purge.Index > r.purged.Index {
		t.purges = append(t.purges, span{op.Group, r.purged.Index, op.Purge.Index})
		r.purged = op.Purge
		if op.Purge.Index >= r.last.Index {
			r.last, r.lastTime, r.chain = op.Purge, 0, chainStart(op.Group, op.Purge)
		}
	}
	if op.Commit != 0 {
		r.commit = op.Commit
	}
	return nil
}

// makeRoom commits what is there so far if op does not fit beside it.
func (t *transaction) makeRoom(op *storage.Operation, deletes int) error {
	bytes := int64(core.SizeOf(op.Append) + chunkBytesMax + min(deletes, deletesMax)*(logKeyBytes+12) + 64<<10)
	keys := int64(min(deletes, deletesMax) + core.SizeOf(op.Append)/(chunkBytesMax/2) + 16)
	db := t.store.db
	if t.bytes+bytes < db.MaxBatchSize() && t.keys+keys < db.MaxBatchCount() {
		return nil
	}
	if t.keys <= 1 {
		return nil // nothing but this operation's group is in it
	}
	return t.again()
}

// again commits and begins another transaction.
func (t *transaction) again() error {
	if err := t.commit(); err != nil {
		return err
	}
	*t = *t.store.begin()
	return nil
}

// append packs entries into chunks.
func (t *transaction) append(group membership.GroupID, r *groupRecord, entries []core.Entry) error {
	for len(entries) > 0 {
		n, bytes := 1, entries[0].Size()
		for n < len(entries) && bytes+entries[n].Size() <= chunkBytesMax {
			bytes += entries[n].Size()
			n++
		}
		if err := t.putChunk(group, r, entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

func (t *transaction) putChunk(group membership.GroupID, r *groupRecord, entries []core.Entry) error {
	s := t.store
	start := len(s.buffer)
	s.buffer, r.chain = appendChunk(s.buffer, group, r.chain, entries)
	chunk := s.buffer[start:]
	last := &entries[len(entries)-1]
	r.last, r.lastTime = last.LogID, last.Time
	for part := 0; len(chunk) > 0; part++ {
		n := min(len(chunk), pieceBytesMax)
		if err := t.set(logKey(group, last.Index, part), chunk[:n:n]); err != nil {
			return err
		}
		chunk = chunk[n:]
	}
	return nil
}

// commit makes the transaction durable, and then the store's memory and the
// watermark say what it says. An error is final for the store.
func (t *transaction) commit() error {
	s := t.store
	if len(t.groups) == 0 && !t.header {
		return nil
	}
	next := s.batch
	next.number++
	header := s.headerValue
	if t.header {
		record := s.record
		record.batch = next.number
		header = record.encode()
		next.digest += weight(header) - weight(s.headerValue)
		if err := t.set(headerKey, header); err != nil {
			return s.fail(err)
		}
	}
	for group, r := range t.groups {
		if r.batch == 0 {
			next.groups++
		}
		r.batch = next.number
		key := groupKey(group)
		v := r.encode(key)
		next.digest += weight(v) - r.weight
		r.weight = weight(v)
		if err := t.set(key, v); err != nil {
			return s.fail(err)
		}
	}
	if err := t.set(batchKey, next.encode()); err != nil {
		return s.fail(err)
	}
	if err := t.txn.Commit(); err != nil {
		return s.fail(err)
	}
	if err := s.names.sync(); err != nil {
		return s.fail(err)
	}
	if err := s.marker.durable(next.number, t.atOnce); err != nil {
		return s.fail(err)
	}
	s.batch, s.headerValue = next, header
	for group, r := range t.groups {
		s.groups[group] = *r
	}
	s.purger.add(t.purges)
	return nil
}

// fail makes err final: after a failed sync nobody knows what the disk holds.
func (s *Store) fail(err error) error {
	s.failed = fmt.Errorf("badger: writing to %s: %w", s.dir, err)
	return s.failed
}
