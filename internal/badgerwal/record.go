package badgerwal

import (
	"encoding/binary"
	"hash/crc32"
)

// The write-ahead log of a memory table is a list of records:
//
//	header  of no concern here 20
//	record  kind 1, of no concern 1, length of the key, length of the value, time, key, value, CRC-32C of all that 4
//
// Lengths and times are uvarints, the checksum is big endian. The records of one
// transaction stand one behind the other, and one that ends it comes last. Behind the
// last record the log is zero.
const (
	HeaderBytes     = 20
	RecordHeaderMax = 22

	// OfTransaction and EndsIt are marks in the kind of a record.
	OfTransaction = 1 << 6
	EndsIt        = 1 << 7

	keyVersionBytes = 8 // behind the key
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Limits are those of what a database holds: what is longer is no record of it.
type Limits struct{ KeyBytesMax, ValueBytesMax uint64 }

// Record is one: where it stands, and what it is.
type Record struct {
	From, End int
	Kind      byte
}

// At reads the record at an offset.
func (l Limits) At(log []byte, from int) (r Record, ok bool) {
	if from+2 > len(log) {
		return r, false
	}
	b := log[from:]
	var n [3]uint64
	at := 2
	for i := range n {
		var size int
		if n[i], size = binary.Uvarint(b[at:min(at+binary.MaxVarintLen64, len(b))]); size <= 0 {
			return r, false
		}
		at += size
	}
	key, value := n[0], n[1]
	if key <= keyVersionBytes || key > l.KeyBytesMax || value > l.ValueBytesMax || uint64(len(b)-at) < key+value+4 {
		return r, false
	}
	end := at + int(key+value)
	if crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return r, false
	}
	return Record{from, from + end + 4, b[0]}, true
}

// End returns where the last transaction of a log ends: what stands behind it badger
// would cut off.
func (l Limits) End(log []byte) int {
	end, under := HeaderBytes, false
	for at := HeaderBytes; ; {
		r, good := l.At(log, at)
		if !good {
			return end
		}
		at = r.End
		switch {
		case r.Kind&OfTransaction != 0:
			under = true
		case r.Kind&EndsIt != 0 && under:
			end, under = at, false
		case under || r.Kind&EndsIt != 0:
			return end
		default:
			end = at
		}
	}
}
