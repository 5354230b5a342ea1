package badger

import (
	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// scanner reads the chunks of a group's log one after the other, and verifies
// that they belong together.
type scanner struct {
	group  membership.GroupID
	it     *badger.Iterator
	prefix []byte
	// first is where the scan begins, once it has begun.
	first core.Index
	begun bool

	// header and entries are those of the chunk read last; entries' data lies
	// in memory that the next chunk overwrites.
	header  chunkHeader
	entries []core.Entry
	// keys are those of the chunk.
	keys  [][]byte
	chain uint32

	body []byte
	next core.Index // the first index of the chunk that must follow, 0: any
}

// scan begins with the chunk that holds first, or the next one if none does.
// The caller closes the scanner, whatever happens: what it reads may not be readable.
func scan(txn *badger.Txn, group membership.GroupID, first core.Index) *scanner {
	s := &scanner{group: group, prefix: logPrefix(group), first: first}
	s.it = txn.NewIterator(badger.IteratorOptions{Prefix: s.prefix})
	return s
}

// chunkAt reads the chunk that holds an index, or the next one if none does. The
// scanner reads no more, so that what it has read stays.
func chunkAt(txn *badger.Txn, group membership.GroupID, index core.Index) (s *scanner, more bool, err error) {
	s = scan(txn, group, index)
	defer s.close()
	more, err = s.read()
	return s, more, err
}

func (s *scanner) close() { s.it.Close() }

// valid reports whether the iterator stands at a key of the group's log.
func (s *scanner) valid() bool {
	if !s.begun {
		s.begun = true
		s.it.Seek(logKey(s.group, s.first, 0))
	}
	return s.it.ValidForPrefix(s.prefix)
}

// read reads the next chunk; more is false at the end of the log.
func (s *scanner) read() (more bool, err error) {
	s.keys, s.entries, s.body = s.keys[:0], s.entries[:0], s.body[:0]
	if !s.valid() {
		return false, nil
	}
	last, part, ok := parseLogKey(s.it.Item().Key())
	if !ok || part != 0 {
		return false, corrupt("group %d: key %x does not begin a chunk", s.group, s.it.Item().Key())
	}
	if err := s.piece(); err != nil {
		return false, err
	}
	if s.header, err = decodeChunkHeader(s.group, s.body); err != nil {
		return false, err
	}
	if s.header.last() != last {
		return false, corrupt("group %d: the chunk that ends with %d lies where %d should end", s.group, s.header.last(), last)
	}
	if s.next != 0 && (s.header.first != s.next || s.header.seed != s.chain) {
		return false, corrupt("group %d: the chunk from %d on does not follow entry %d", s.group, s.header.first, s.next-1)
	}
	for want := 1; want < s.header.pieces; want++ {
		if !s.valid() {
			return false, corrupt("group %d: entry %d is cut off", s.group, last)
		}
		l, part, ok := parseLogKey(s.it.Item().Key())
		if !ok || l != last || part != want {
			return false, corrupt("group %d: part %d of entry %d is missing", s.group, want, last)
		}
		if err := s.piece(); err != nil {
			return false, err
		}
	}
	s.entries, s.chain, err = decodeEntries(s.entries, s.group, &s.header, s.body[chunkHeaderBytes:])
	s.next = last + 1
	return err == nil, err
}

// piece takes the value that the iterator stands at.
func (s *scanner) piece() error {
	item := s.it.Item()
	s.keys = append(s.keys, item.KeyCopy(nil))
	err := item.Value(func(v []byte) error {
		s.body = append(s.body, v...)
		return nil
	})
	if err != nil {
		return corrupt("group %d: key %x: %v", s.group, item.Key(), err)
	}
	s.it.Next()
	return nil
}
