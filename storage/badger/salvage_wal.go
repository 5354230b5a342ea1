package badger

import (
	"bytes"
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
	walHeaderBytes  = 20
	recordHeaderMax = 22

	walOfTransaction  = 1 << 6
	walEndsIt         = 1 << 7
	walKeyBytesMax    = 64
	walValueBytesMax  = 1 << 20
	walKeyVersion     = 8 // bytes of it, behind the key
	walTransactionKey = "!badger!"
)

// walRecord is one: where it stands, and what it is.
type walRecord struct {
	from, end int
	kind      byte
}

// recordAt reads the record at an offset.
func recordAt(log []byte, from int) (r walRecord, ok bool) {
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
	if key <= walKeyVersion || key > walKeyBytesMax || value > walValueBytesMax || uint64(len(b)-at) < key+value+4 {
		return r, false
	}
	end := at + int(key+value)
	if crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return r, false
	}
	return walRecord{from, from + end + 4, b[0]}, true
}

// ours reports whether a record's key is one that this store has badger write.
func ours(log []byte, from int) bool {
	b := log[from:]
	if len(b) < recordHeaderMax+1 || b[1] != 0 {
		return false
	}
	at := 2
	for range 3 {
		_, size := binary.Uvarint(b[at:recordHeaderMax])
		if size <= 0 {
			return false
		}
		at += size
	}
	return bytes.IndexByte([]byte{prefixHeader, prefixBatch, prefixGroup, prefixDamage, prefixLog, walTransactionKey[0]}, b[at]) >= 0
}

// salvageLog returns a log of those records that can be read, of one of which some
// pieces cannot: their offsets are given, and they are zero. Transactions that had not
// ended are left out, as always. ok is false if nobody can tell where the log ended, so
// that something may lack of which nothing tells.
func salvageLog(log []byte, unreadable []int) (salvaged []byte, ok bool) {
	var records []walRecord
	ended := 0 // records up to the last that ends a transaction
	at := walHeaderBytes
	for {
		r, good := recordAt(log, at)
		if !good {
			bad := nextPiece(unreadable, at)
			if bad < 0 || endsAt(log, at, bad) {
				break
			}
			if at = nextRecord(log, bad+pieceBytes); at < 0 {
				return nil, false
			}
			continue
		}
		records = append(records, r)
		if at = r.end; r.kind&walEndsIt != 0 {
			ended = len(records)
		}
	}
	salvaged = make([]byte, walHeaderBytes, len(log)+recordHeaderMax)
	copy(salvaged, log)
	for _, r := range records[:ended] {
		if r.kind&walEndsIt != 0 {
			continue
		}
		// Without the mark of a transaction each record counts for itself.
		start := len(salvaged)
		salvaged = append(salvaged, log[r.from:r.end-4]...)
		salvaged[start] &^= walOfTransaction
		salvaged = binary.BigEndian.AppendUint32(salvaged, crc32.Checksum(salvaged[start:], castagnoli))
	}
	// Badger looks for the next record behind the last one.
	return append(salvaged, make([]byte, recordHeaderMax)...), true
}

// nextPiece returns the offset of the first unreadable piece that reaches beyond at, -1
// if there is none.
func nextPiece(unreadable []int, at int) int {
	for _, piece := range unreadable {
		if piece+pieceBytes > at {
			return piece
		}
	}
	return -1
}

// endsAt reports whether the log ends at an offset: it is zero there, and that can be
// read.
func endsAt(log []byte, at, unreadable int) bool {
	end := at + recordHeaderMax
	return end <= unreadable && len(bytes.Trim(log[at:end], "\x00")) == 0
}

// nextRecord returns where the first record begins from an offset on, -1 if none does.
func nextRecord(log []byte, from int) int {
	for at := from; at < len(log); at++ {
		if !ours(log, at) {
			continue
		}
		if _, good := recordAt(log, at); good {
			return at
		}
	}
	return -1
}
