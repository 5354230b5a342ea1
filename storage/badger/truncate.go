package badger

import (
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// cut is what a truncation or a Reset takes off the end of a log.
type cut struct {
	// wanted is false if there is nothing to do.
	wanted bool
	// last is what the log ends with afterwards.
	last     core.LogID
	lastTime int64
	chain    uint32
	// keep are the entries of the chunk that the cut goes through, if it goes
	// through one; they follow an entry with checksum seed.
	keep []core.Entry
	seed uint32
	// keys of all that goes, the cut chunk included.
	keys [][]byte
}

// planCut says what op takes off a log with record r.
func (t *transaction) planCut(op *storage.Operation, r *groupRecord) (c cut, err error) {
	from := op.TruncateFrom
	switch {
	case op.Reset.Index != 0:
		c = cut{wanted: true, last: op.Reset, chain: chainStart(op.Group, op.Reset)}
		if op.Reset.Index < r.last.Index {
			c.keys, err = t.keysFrom(op.Group, op.Reset.Index+1)
		}
	case from == 0 || from > r.last.Index || from <= r.purged.Index:
	case from == r.purged.Index+1:
		c = cut{wanted: true, last: r.purged, chain: chainStart(op.Group, r.purged)}
		c.keys, err = t.keysFrom(op.Group, from)
	default:
		c, err = t.planTruncation(op.Group, from)
	}
	return c, err
}

// planTruncation cuts before from; the entry before it is in the log.
func (t *transaction) planTruncation(group membership.GroupID, from core.Index) (cut, error) {
	s, more, err := chunkAt(t.txn, group, from-1)
	if err != nil {
		return cut{}, err
	}
	if !more || s.header.first >= from {
		return cut{}, corrupt("group %d: entry %d is missing", group, from-1)
	}
	sums := chain{sum: s.header.seed}
	for i := range s.entries[:from-s.header.first] {
		sums.next(&s.entries[i])
	}
	c := cut{wanted: true, chain: sums.sum, seed: s.header.seed}
	before := &s.entries[from-1-s.header.first]
	c.last, c.lastTime = before.LogID, before.Time
	if s.header.last() >= from {
		c.keep = s.entries[:from-s.header.first]
	}
	c.keys, err = t.keysFrom(group, from)
	return c, err
}

// keysFrom returns the keys of the chunks that reach to from or beyond.
func (t *transaction) keysFrom(group membership.GroupID, from core.Index) (keys [][]byte, _ error) {
	s := scan(t.txn, group, from)
	defer s.close()
	for ; s.valid(); s.it.Next() {
		keys = append(keys, s.it.Item().KeyCopy(nil))
	}
	if len(keys) == 0 {
		return nil, corrupt("group %d: entry %d is missing", group, from)
	}
	return keys, nil
}

// shorten takes off the end of the log, in transactions of their own, what is
// too much for one. Each of them leaves a whole log.
func (t *transaction) shorten(group membership.GroupID, c *cut) error {
	for len(c.keys) > deletesMax {
		n := len(c.keys) - deletesMax
		for !beginsChunk(c.keys[n]) {
			n++
		}
		end, _, _ := parseLogKey(c.keys[n-1])
		s, more, err := chunkAt(t.txn, group, end)
		if err != nil {
			return err
		}
		if !more || s.header.last() != end {
			return corrupt("group %d: entry %d is missing", group, end)
		}
		last := &s.entries[len(s.entries)-1]
		step := cut{wanted: true, last: last.LogID, lastTime: last.Time, chain: s.chain, keys: c.keys[n:]}
		if err := t.cut(group, t.group(group), &step); err != nil {
			return err
		}
		if err := t.again(); err != nil {
			return err
		}
		c.keys = c.keys[:n]
	}
	return nil
}

func beginsChunk(key []byte) bool {
	_, part, _ := parseLogKey(key)
	return part == 0
}

// cut carries c out.
func (t *transaction) cut(group membership.GroupID, r *groupRecord, c *cut) error {
	if !c.wanted {
		return nil
	}
	for _, key := range c.keys {
		if err := t.delete(key); err != nil {
			return err
		}
	}
	r.last, r.lastTime, r.chain = c.last, c.lastTime, c.chain
	if len(c.keep) == 0 {
		return nil
	}
	r.chain = c.seed
	return t.putChunk(group, r, c.keep)
}
