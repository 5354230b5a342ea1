package badger

import (
	"context"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/badgerwal"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/outline"
)

// Write implements storage.LogStore. A batch within Limits is one badger
// transaction unless it removes very much or has very many operations: then
// each transaction holds whole operations.
func (s *Store) Write(ctx context.Context, batch *storage.Batch) (err error) {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.life.RUnlock()
	defer catchFault(panicOnFault(), &err)
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	if err := outline.CheckLimits(batch, s.limits); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	if err := s.admit(batch); err != nil {
		return err
	}
	t := s.begin()
	defer t.end()
	for i := range batch.Operations {
		op := &batch.Operations[i]
		if err := t.operation(op); err != nil {
			return fmt.Errorf("badger: group %d: %w", op.Group, err)
		}
	}
	return t.commit()
}

// admit returns an error if there is too little room for a batch. One that does nothing
// but purge makes room, so that it needs little.
func (s *Store) admit(batch *storage.Batch) error {
	bytes, purges := 0, len(batch.Operations) > 0
	for i := range batch.Operations {
		op := &batch.Operations[i]
		bytes += core.SizeOf(op.Append)
		purges = purges && len(op.Append) == 0 && (op.Purge.Index != 0 || op.Reset.Index != 0)
	}
	if purges {
		return s.room.takeLow()
	}
	return s.room.take(bytes)
}

// groupState is what the writer knows of a group.
type groupState struct {
	group membership.GroupID
	// record is durable. A group that was only looked at has that of an empty
	// one, of batch 0.
	record groupRecord
	// next is what the transaction under way makes of it, if it is touched.
	next    groupRecord
	touched bool
}

// transaction is the one that is being made. What it has grown is used again by
// the next.
type transaction struct {
	store *Store
	txn   *badger.Txn
	// groups are those that are touched.
	groups []*groupState
	// header: the header's record is written as well.
	header bool
	// atOnce: the watermark may not be late.
	atOnce bool
	// bytes and keys of what is in txn, as badger counts them.
	bytes, keys int64
	// purges are begun when the transaction is durable.
	purges []span

	// pairs are what badger holds until it is committed; their keys and values
	// lie in buffer.
	pairs  []badger.Entry
	buffer []byte
	sums   chain
}

// Bounds of what one transaction leaves to the next.
const (
	keptBufferBytesMax = 16 << 20
	keptPairsMax       = 4096
)

// begin begins the store's only transaction.
func (s *Store) begin() *transaction {
	t := &s.transaction
	t.store, t.txn = s, s.versions.write()
	t.header, t.atOnce = false, false
	t.bytes, t.keys = 0, 0
	return t
}

// end forgets what was not committed, and is due in any case.
func (t *transaction) end() {
	t.txn.Discard()
	for _, g := range t.groups {
		g.touched = false
	}
	clear(t.groups)
	t.groups, t.purges = t.groups[:0], t.purges[:0]
	clear(t.pairs)
	t.pairs, t.buffer = t.pairs[:0], t.buffer[:0]
	if cap(t.pairs) > keptPairsMax {
		t.pairs, t.groups = nil, nil
	}
	if cap(t.buffer) > keptBufferBytesMax {
		t.buffer = nil
	}
}

// group returns the group's record, as the operations so far have left it.
func (t *transaction) group(id membership.GroupID) *groupRecord {
	g := t.store.groups[id]
	if g == nil {
		g = &groupState{group: id}
		g.record.chain = chainStart(id, core.LogID{})
		t.store.groups[id] = g
	}
	if !g.touched {
		g.next, g.touched = g.record, true
		t.groups = append(t.groups, g)
		t.count(groupKeyBytes, 128)
	}
	return &g.next
}

// count what badger counts for a pair.
func (t *transaction) count(key, value int) {
	t.bytes += int64(key + value + 12)
	t.keys++
}

// set takes a pair whose key and value stay as they are until the commit.
func (t *transaction) set(key, value []byte) error {
	t.count(len(key), len(value))
	t.pairs = append(t.pairs, badger.Entry{Key: key, Value: value})
	return t.txn.SetEntry(&t.pairs[len(t.pairs)-1])
}

func (t *transaction) delete(key []byte) error {
	t.count(len(key), 0)
	return t.txn.Delete(key)
}

// since returns what was appended to the buffer since it was start bytes long.
func (t *transaction) since(start int) []byte {
	end := len(t.buffer)
	return t.buffer[start:end:end]
}

// operation carries out op in the transaction. It begins another one before if
// op would not fit into this one.
func (t *transaction) operation(op *storage.Operation) error {
	if err := t.store.damage(op.Group); err != nil {
		return err
	}
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
	t.end()
	t.store.begin()
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
	start := len(t.buffer)
	t.sums.sum = r.chain
	t.buffer = appendChunk(t.buffer, group, &t.sums, entries)
	chunk := t.since(start)
	last := &entries[len(entries)-1]
	r.last, r.lastTime, r.chain = last.LogID, last.Time, t.sums.sum
	for part := 0; len(chunk) > 0; part++ {
		n := min(len(chunk), pieceBytesMax)
		start := len(t.buffer)
		t.buffer = appendLogKey(t.buffer, group, last.Index, part)
		if err := t.set(t.since(start), chunk[:n:n]); err != nil {
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
		for _, group := range s.unrecorded {
			key := damageKey(group)
			value := sealText(nil, key, s.damaged[group])
			next.digest += weight(value)
			if err := t.set(key, value); err != nil {
				return s.fail(err)
			}
		}
	}
	for _, g := range t.groups {
		if err := t.putRecord(g, &next); err != nil {
			return s.fail(err)
		}
	}
	start := len(t.buffer)
	t.buffer = next.append(t.buffer)
	if err := t.set(batchKey, t.since(start)); err != nil {
		return s.fail(err)
	}
	if err := s.wal.before(t.keys, t.bytes); err != nil {
		return s.fail(err)
	}
	version, err := s.versions.commit(t.txn)
	if err != nil {
		return s.fail(err)
	}
	if err := s.wal.sync(); err != nil {
		return s.fail(err)
	}
	if err := s.marker.durable(next.number, t.header, t.groups, t.atOnce); err != nil {
		return s.fail(err)
	}
	s.versions.advance(version)
	s.batch, s.headerValue = next, header
	if t.header {
		s.unrecorded = nil
	}
	for _, g := range t.groups {
		g.record = g.next
	}
	if len(t.purges) > 0 {
		s.purger.add(t.purges)
	}
	return nil
}

// putRecord writes the record of a group that is touched, and says so in that
// of the batch.
func (t *transaction) putRecord(g *groupState, batch *batchRecord) error {
	r := &g.next
	if r.batch == 0 {
		batch.groups++
	}
	r.batch = batch.number
	start := len(t.buffer)
	t.buffer = appendGroupKey(t.buffer, g.group)
	key := t.since(start)
	start = len(t.buffer)
	t.buffer = r.append(t.buffer, key)
	value := t.since(start)
	batch.digest += weight(value) - r.weight
	r.weight = weight(value)
	return t.set(key, value)
}

// fail makes err final: after a failed sync nobody knows what the disk holds.
func (s *Store) fail(err error) error {
	err, _ = badgerwal.Refusal(err)
	s.failed = fmt.Errorf("badger: writing to %s: %w", s.dir, err)
	return s.failed
}
