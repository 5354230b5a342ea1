package machine

import (
	"context"
	"errors"
	"io"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/storage"
)

// View implements storage.StateMachine: a read transaction, which sees what
// was committed when it began and keeps it from being compacted away.
func (m *Badger) View() (storage.SnapshotView, error) {
	if !m.enter() {
		return nil, ErrClosed
	}
	return &badgerView{machine: m, txn: m.db.NewTransaction(false), state: m.state}, nil
}

type badgerView struct {
	machine *Badger
	txn     *badger.Txn
	state   state
}

// WriteTo implements storage.SnapshotView.
func (v *badgerView) WriteTo(w io.Writer) (int64, error) {
	p, err := newPairWriter(w, v.state.applied, v.state.pairs)
	if err != nil {
		return 0, err
	}
	prefix := generationKey(dataPrefix, v.state.generation, "")
	it := v.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 16})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()[len(prefix):]
		value, err := readValue(v.txn, item, v.state.generation, string(key))
		if err != nil {
			return p.written, err
		}
		if err := p.pair(key, value); err != nil {
			return p.written, err
		}
	}
	// An iterator of badger has no error: it ends where it cannot go on, and
	// the count tells.
	return p.finish()
}

// Close implements storage.SnapshotView.
func (v *badgerView) Close() error {
	v.txn.Discard()
	v.machine.open.RUnlock()
	return nil
}

// Restore implements storage.StateMachine. The pairs are written as another
// generation, unseen; the last transaction switches to it. A crash before that
// leaves the old state and rubbish that the next opening removes, a crash after
// it the new one.
func (m *Badger) Restore(ctx context.Context, r io.Reader) error {
	if !m.enter() {
		return ErrClosed
	}
	defer m.open.RUnlock()
	p, err := newPairReader(r)
	if err != nil {
		return err
	}
	if err := m.removeOthers(); err != nil {
		return err
	}
	next, err := m.writeGeneration(ctx, p)
	if err != nil {
		return err
	}
	if err := m.commit(&batch{txn: m.db.NewTransaction(true), state: next}); err != nil {
		return err
	}
	if err := m.removeOthers(); err != nil {
		// The state is the new one already; what is left over goes at the next
		// opening.
		m.logger.Warn("the state before the snapshot was not removed", "error", err)
	}
	return nil
}

// writeGeneration writes all pairs of a snapshot beside those in force, and
// returns the state that would put them in force.
func (m *Badger) writeGeneration(ctx context.Context, p *pairReader) (state, error) {
	next := state{generation: m.state.generation + 1}
	b := &batch{txn: m.db.NewTransaction(true), state: next}
	defer func() { b.txn.Discard() }()
	for {
		key, value, err := p.next()
		if errors.Is(err, io.EOF) {
			b.state.applied = p.applied
			return b.state, b.txn.Commit()
		}
		if err != nil {
			return state{}, err
		}
		if err := b.set(key, value); err != nil {
			return state{}, err
		}
		if b.bytes < transactionBytesMax && b.changes < transactionChangesMax {
			continue
		}
		if err := b.txn.Commit(); err != nil {
			return state{}, err
		}
		if err := ctx.Err(); err != nil {
			return state{}, err
		}
		b = &batch{txn: m.db.NewTransaction(true), state: b.state}
	}
}

// removeOthers removes what a Restore left of other generations. The keys are
// deleted one by one, because a view of the old generation may still be read:
// dropping a prefix would take it away.
func (m *Badger) removeOthers() error {
	for _, prefix := range []byte{dataPrefix, restPrefix} {
		for {
			keys := m.othersUnder(prefix)
			if len(keys) == 0 {
				break
			}
			b := m.begin()
			for _, key := range keys {
				if err := b.erase(key); err != nil {
					b.txn.Discard()
					return err
				}
			}
			if err := b.txn.Commit(); err != nil {
				return err
			}
		}
	}
	return nil
}

// othersUnder returns some keys of other generations, all of them if there are
// few.
func (m *Badger) othersUnder(prefix byte) [][]byte {
	txn := m.db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefix}})
	defer it.Close()
	current := generationKey(prefix, m.state.generation, "")
	behind := generationKey(prefix, m.state.generation+1, "")
	var keys [][]byte
	for it.Rewind(); it.Valid() && len(keys) < transactionChangesMax; {
		if it.ValidForPrefix(current) {
			it.Seek(behind)
			continue
		}
		keys = append(keys, it.Item().KeyCopy(nil))
		it.Next()
	}
	return keys
}

var _ = []Machine{(*Memory)(nil), (*Badger)(nil)}
