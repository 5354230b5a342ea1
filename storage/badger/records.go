package badger

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/membership"
)

// records are those of a database, as they were read: good or not.
type records struct {
	// header and last are nil if there is none.
	headerValue, batchValue []byte
	header                  headerRecord
	batch                   batchRecord
	groups                  map[membership.GroupID]groupRecord
	// bad are the groups whose records cannot be decoded, and why.
	bad map[membership.GroupID]error
	// damaged are the groups that an earlier opening has found damaged, and what it
	// said of them; damagedWeight is what their records weigh.
	damaged       map[membership.GroupID]string
	damagedWeight uint64
}

// readRecords reads all records.
func readRecords(txn *badger.Txn) (r *records, err error) {
	defer catchFault(panicOnFault(), &err)
	r = &records{groups: make(map[membership.GroupID]groupRecord), bad: make(map[membership.GroupID]error), damaged: make(map[membership.GroupID]string)}
	if r.headerValue, err = value(txn, headerKey); err != nil {
		return nil, err
	}
	if r.batchValue, err = value(txn, batchKey); err != nil {
		return nil, err
	}
	if r.headerValue != nil {
		if r.header, err = decodeHeader(r.headerValue); err != nil {
			return nil, err
		}
	}
	if r.batchValue != nil {
		if r.batch, err = decodeBatch(r.batchValue); err != nil {
			return nil, err
		}
	}
	err = each(txn, prefixGroup, func(group membership.GroupID, key, value []byte) error {
		if g, err := decodeGroup(key, value); err == nil {
			r.groups[group] = g
		} else {
			r.bad[group] = err
		}
		return nil
	})
	if err == nil {
		err = each(txn, prefixDamage, func(group membership.GroupID, key, value []byte) (err error) {
			r.damagedWeight += weight(value)
			r.damaged[group], err = unsealText(key, value)
			return err
		})
	}
	return r, err
}

// each calls do for the records of all groups under a prefix.
func each(txn *badger.Txn, prefix byte, do func(group membership.GroupID, key, value []byte) error) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefix}})
	defer it.Close()
	for it.Rewind(); it.ValidForPrefix([]byte{prefix}); it.Next() {
		key := it.Item().KeyCopy(nil)
		group, ok := parseGroupKey(key)
		if !ok {
			return corrupt("key %q is none of this store", key)
		}
		if err := it.Item().Value(func(v []byte) error { return do(group, key, v) }); err != nil {
			return err
		}
	}
	return nil
}

// value returns a copy of what key holds, nil if there is none.
func value(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("badger: reading %q: %w", key, err)
	}
	v, err := item.ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("badger: reading %q: %w", key, err)
	}
	return v, nil
}

// none reports whether there is nothing at all. Something without a header or a last
// batch is an error.
func (r *records) none() (bool, error) {
	switch {
	case r.headerValue != nil && r.batchValue != nil:
		return false, nil
	case r.headerValue != nil || r.batchValue != nil:
		return false, corrupt("the header or the record of the last batch is lost")
	case len(r.groups)+len(r.bad)+len(r.damaged) > 0:
		return false, corrupt("there are groups and no header")
	}
	return true, nil
}

// judge compares the records with each other and with the watermark. What is lost, or
// is older than it was, concerns the groups that it returns, if the watermark can tell
// that all else is as it was: the rest of the store goes on. Otherwise all of the store
// is damaged.
//
// The digest in the record of the last batch covers the records of all groups, so that
// none of them can be older unnoticed. With the weights of the lost ones, which the
// watermark knows, it proves the others.
func (r *records) judge(mark *watermark) (lost map[membership.GroupID]string, _ error) {
	lost = make(map[membership.GroupID]string)
	if r.header.batch < mark.header {
		return nil, corrupt("the header is of batch %d, and batch %d has changed it", r.header.batch, mark.header)
	}
	// behind: the newest batches are lost, the others are as they were then.
	behind := r.batch.number < mark.number
	if behind && r.batch.number < mark.floor {
		return nil, mark.behind(r.batch.number)
	}
	digest, groups := weight(r.headerValue)+r.damagedWeight, uint64(len(r.groups))
	for _, g := range r.groups {
		digest += g.weight
	}
	for _, c := range mark.changes {
		g, there := r.groups[c.group]
		if _, known := r.damaged[c.group]; known || there && g.batch >= c.batch {
			continue
		}
		lost[c.group] = fmt.Sprintf("batch %d has changed it, and what is there of it is older", c.batch)
		if behind {
			continue // and so are the others
		}
		digest += c.weight - g.weight
		if !there {
			groups++
		}
	}
	for group, err := range r.bad {
		if _, known := r.damaged[group]; !known && (lost[group] == "" || behind) {
			return nil, err
		}
	}
	if digest != r.batch.digest || groups != r.batch.groups {
		return nil, corrupt("batch %d was written over other records than are there: something before it is lost", r.batch.number)
	}
	return lost, nil
}
