package badger

import (
	"encoding/binary"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// The keys, all numbers big endian so that they sort:
//
//	h                          the header of the store
//	b                          the last batch
//	m group                    the record of a group
//	d group                    what was lost of a group that is damaged
//	l group last part          a chunk of a group's log that ends with entry last
//
// A chunk is found by the first key that is not below an index in it, and the
// chunks that end at or below a purge point are those with such keys.
const (
	prefixHeader = 'h'
	prefixBatch  = 'b'
	prefixGroup  = 'm'
	prefixDamage = 'd'
	prefixLog    = 'l'
)

const (
	groupKeyBytes = 1 + 8
	logKeyBytes   = 1 + 8 + 8 + 2
)

var (
	headerKey = []byte{prefixHeader}
	batchKey  = []byte{prefixBatch}
)

func groupKey(group membership.GroupID) []byte {
	return appendGroupKey(make([]byte, 0, groupKeyBytes), group)
}

func appendGroupKey(b []byte, group membership.GroupID) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefixGroup), uint64(group))
}

func damageKey(group membership.GroupID) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixDamage}, uint64(group))
}

func logPrefix(group membership.GroupID) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixLog}, uint64(group))
}

func logKey(group membership.GroupID, last core.Index, part int) []byte {
	return appendLogKey(make([]byte, 0, logKeyBytes), group, last, part)
}

func appendLogKey(b []byte, group membership.GroupID, last core.Index, part int) []byte {
	b = binary.BigEndian.AppendUint64(append(b, prefixLog), uint64(group))
	b = binary.BigEndian.AppendUint64(b, uint64(last))
	return binary.BigEndian.AppendUint16(b, uint16(part))
}

// parseLogKey returns the last index and the part that a key of a chunk names.
func parseLogKey(k []byte) (last core.Index, part int, ok bool) {
	if len(k) != logKeyBytes || k[0] != prefixLog {
		return 0, 0, false
	}
	return core.Index(binary.BigEndian.Uint64(k[9:])), int(binary.BigEndian.Uint16(k[17:])), true
}

// parseGroupKey returns the group that the key of a group's record, or of its damage,
// names.
func parseGroupKey(k []byte) (membership.GroupID, bool) {
	if len(k) != groupKeyBytes || k[0] != prefixGroup && k[0] != prefixDamage {
		return 0, false
	}
	return membership.GroupID(binary.BigEndian.Uint64(k[1:])), true
}
