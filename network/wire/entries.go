package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/trouperaft/troupe/core"
)

// A block of entries is one version byte, then numbers as varints:
//
//	count, then for each entry:
//	  the term less that of the entry before (of the first: less Prev's)
//	  the kind
//	  the version of the state machine that it needs, in a block of version 2
//	  the time less that of the entry before (of the first: as it is), zigzag
//	  the length of the data, the data
//
// Indexes are not written: they follow Prev's, so a block cannot have a hole.
// A block ends with its last entry. One in which no entry needs a version of the state
// machine is of version 1, which all builds read.
const (
	entriesVersion = 1
	// versionedEntries is the version of a block whose entries tell which version of the state
	// machine they need.
	versionedEntries = 2
	// entryBytesMin is the least that an entry takes in a block.
	entryBytesMin = 4
)

// ItemsMax is how many entries, proposals or results a message may carry.
const ItemsMax = 1 << 17

// checkEntries refuses what a block cannot hold.
func checkEntries(prev core.LogID, entries []core.Entry) error {
	if len(entries) > ItemsMax {
		return fmt.Errorf("wire: %d entries in a message, at most %d", len(entries), ItemsMax)
	}
	for i := range entries {
		e := &entries[i]
		if e.Index != prev.Index+1 || e.Term < prev.Term || e.Term == 0 || e.Index == 0 {
			return fmt.Errorf("wire: entry %v after %v", e.LogID, prev)
		}
		if !knownKind(e.Kind) {
			return fmt.Errorf("wire: entry %v is of %v", e.LogID, e.Kind)
		}
		prev = e.LogID
	}
	return nil
}

func knownKind(k core.EntryKind) bool {
	return k >= core.EntryBlank && k <= core.EntryConfiguration
}

// appendEntriesBlock appends entries that checkEntries has passed.
func appendEntriesBlock(b []byte, prev core.LogID, entries []core.Entry) []byte {
	version := blockVersion(entries)
	b = append(b, version)
	b = binary.AppendUvarint(b, uint64(len(entries)))
	term, time := prev.Term, int64(0)
	for i := range entries {
		e := &entries[i]
		b = binary.AppendUvarint(b, uint64(e.Term-term))
		b = append(b, byte(e.Kind))
		if version == versionedEntries {
			b = binary.AppendUvarint(b, e.Version)
		}
		// The difference wraps like the sum that undoes it.
		b = binary.AppendVarint(b, e.Time-time)
		b = binary.AppendUvarint(b, uint64(len(e.Data)))
		b = append(b, e.Data...)
		term, time = e.Term, e.Time
	}
	return b
}

// entriesBlockSize is the exact length of the block.
func entriesBlockSize(prev core.LogID, entries []core.Entry) int {
	n, version := 1+sizeUvarint(uint64(len(entries))), blockVersion(entries)
	term, time := prev.Term, int64(0)
	for i := range entries {
		e := &entries[i]
		n += sizeUvarint(uint64(e.Term-term)) + 1 + sizeVarint(e.Time-time) + sizeUvarint(uint64(len(e.Data))) + len(e.Data)
		if version == versionedEntries {
			n += sizeUvarint(e.Version)
		}
		term, time = e.Term, e.Time
	}
	return n
}

func blockVersion(entries []core.Entry) byte {
	for i := range entries {
		if entries[i].Version != 0 {
			return versionedEntries
		}
	}
	return entriesVersion
}

// decodeEntriesBlock returns entries whose data are parts of b.
func decodeEntriesBlock(b []byte, prev core.LogID) ([]core.Entry, error) {
	if len(b) == 0 || b[0] != entriesVersion && b[0] != versionedEntries {
		return nil, malformed("a block of entries of an unknown version")
	}
	versioned := b[0] == versionedEntries
	b = b[1:]
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)-n)/entryBytesMin {
		return nil, malformed("a truncated block of entries")
	}
	b = b[n:]
	if count > ItemsMax || count > math.MaxUint64-uint64(prev.Index) {
		return nil, malformed("%d entries after %v", count, prev)
	}
	if count == 0 {
		if len(b) > 0 {
			return nil, malformed("%d bytes after the last entry", len(b))
		}
		return nil, nil
	}
	entries := make([]core.Entry, count)
	at := core.Entry{LogID: prev}
	for i := range entries {
		var ok bool
		if b, ok = decodeEntry(b, &at, versioned); !ok {
			return nil, malformed("entry %d of a block", i)
		}
		entries[i] = at
	}
	if len(b) > 0 {
		return nil, malformed("%d bytes after the last entry", len(b))
	}
	return entries, nil
}

// decodeEntry turns e, the entry before, into the next one.
func decodeEntry(b []byte, e *core.Entry, versioned bool) (rest []byte, ok bool) {
	term, n := binary.Uvarint(b)
	if n <= 0 || n == len(b) || term > math.MaxUint64-uint64(e.Term) {
		return nil, false
	}
	kind := core.EntryKind(b[n])
	b = b[n+1:]
	e.Version = 0
	if versioned {
		if e.Version, n = binary.Uvarint(b); n <= 0 {
			return nil, false
		}
		b = b[n:]
	}
	time, n := binary.Varint(b)
	if n <= 0 {
		return nil, false
	}
	b = b[n:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, false
	}
	b = b[n:]
	e.Index++
	e.Term += core.Term(term)
	e.Kind = kind
	e.Time += time
	e.Data = nil
	if size > 0 {
		e.Data = b[:size:size]
	}
	return b[size:], e.Term > 0 && knownKind(kind)
}

func sizeUvarint(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

func sizeVarint(v int64) int { return sizeUvarint(uint64(v)<<1 ^ uint64(v>>63)) }
