package badger

import (
	"context"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/outline"
)

// recordOf returns the record of a group as txn sees it.
func recordOf(txn *badger.Txn, group membership.GroupID) (r groupRecord, found bool, err error) {
	key := groupKey(group)
	v, err := value(txn, key)
	if err != nil || v == nil {
		return groupRecord{}, false, err
	}
	r, err = decodeGroup(key, v)
	return r, true, err
}

// Read implements storage.LogStore. What it returns is a copy.
func (s *Store) Read(ctx context.Context, group membership.GroupID, first, last core.Index, bytesMax int) (entries []core.Entry, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.life.RUnlock()
	defer s.nameKept(&err)
	defer catchFault(panicOnFault(), &err)
	if err := s.damage(group); err != nil {
		return nil, err
	}
	// One transaction sees the record and the entries that belong to it,
	// whatever is written or purged meanwhile.
	txn := s.versions.read()
	defer s.versions.done(txn)
	r, found, err := recordOf(txn, group)
	if err != nil {
		return nil, err
	}
	if !found || first <= r.purged.Index || last > r.last.Index || first > last {
		return nil, storage.ErrNotFound
	}
	sc := scan(txn, group, first)
	defer sc.close()
	for bytes, next := 0, first; next <= last; {
		more, err := sc.read()
		if err != nil {
			return nil, err
		}
		if !more || sc.header.first > next {
			return nil, corrupt("group %d: entry %d is missing", group, next)
		}
		part := sc.entries[next-sc.header.first:]
		part = part[:min(core.Index(len(part)), last-next+1)]
		n := 0
		for n < len(part) && (bytes+part[n].Size() <= bytesMax || bytes == 0) {
			bytes += part[n].Size()
			n++
		}
		entries = appendCopies(entries, part[:n])
		if n < len(part) {
			break
		}
		next += core.Index(n)
	}
	return entries, nil
}

// appendCopies appends entries with data of their own, in one piece of memory.
func appendCopies(to, entries []core.Entry) []core.Entry {
	data := make([]byte, 0, core.SizeOf(entries)-len(entries)*core.EntryOverheadBytes)
	for _, e := range entries {
		if start := len(data); len(e.Data) > 0 {
			data = append(data, e.Data...)
			e.Data = data[start:len(data):len(data)]
		}
		to = append(to, e)
	}
	return to
}

// Load implements storage.LogStore. It reads the whole log of the group.
func (s *Store) Load(ctx context.Context, group membership.GroupID) (state storage.State, err error) {
	if err := s.enter(ctx); err != nil {
		return storage.State{}, err
	}
	defer s.life.RUnlock()
	defer s.nameKept(&err)
	defer catchFault(panicOnFault(), &err)
	if err := s.damage(group); err != nil {
		return storage.State{}, err
	}
	txn := s.versions.read()
	defer s.versions.done(txn)
	r, found, err := recordOf(txn, group)
	if err != nil {
		return storage.State{}, err
	}
	o, sizes, err := verifyLog(ctx, txn, group, &r)
	if err != nil {
		s.logger.Error("badger: a group's log cannot be read", "group", uint64(group), "error", err)
		return storage.State{}, err
	}
	if !found {
		return storage.State{}, nil
	}
	state = storage.State{HardState: r.hardState, Commit: r.commit, Sizes: sizes}
	o.Fill(&state)
	return state, nil
}

// verifyLog reads the log of a group with record r from its beginning, past its
// end.
func verifyLog(ctx context.Context, txn *badger.Txn, group membership.GroupID, r *groupRecord) (*outline.Outline, core.LogSizes, error) {
	var o outline.Outline
	var sizes core.LogSizes
	o.Reset(r.purged)
	sizes.Reset(r.purged.Index)
	sc := scan(txn, group, r.purged.Index+1)
	defer sc.close()
	for ctx.Err() == nil {
		more, err := sc.read()
		if err != nil {
			return nil, sizes, err
		}
		if !more {
			break
		}
		entries := sc.entries
		if o.Last == r.purged && sc.header.first <= r.purged.Index {
			// Purged in the middle of a chunk.
			entries = entries[r.purged.Index+1-sc.header.first:]
		}
		if err := o.Append(entries); err != nil {
			return nil, sizes, corrupt("group %d: %v", group, err)
		}
		sizes.Append(entries)
	}
	if err := ctx.Err(); err != nil {
		return nil, sizes, err
	}
	if o.Last != r.last || o.LastTime != r.lastTime || o.Last != r.purged && sc.chain != r.chain {
		return nil, sizes, corrupt("group %d: the log ends with %v, and %v was written", group, o.Last, r.last)
	}
	return &o, sizes, nil
}
