package badger

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/trouperaft/troupe/internal/badgerwal"
)

// walLimits are those of what the store writes.
var walLimits = badgerwal.Limits{KeyBytesMax: 64, ValueBytesMax: 1 << 20}

const walTransactionKey = "!badger!"

// ours reports whether a record's key is one that this store has badger write.
func ours(log []byte, from int) bool {
	b := log[from:]
	if len(b) < badgerwal.RecordHeaderMax+1 || b[1] != 0 {
		return false
	}
	at := 2
	for range 3 {
		_, size := binary.Uvarint(b[at:badgerwal.RecordHeaderMax])
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
	var records []badgerwal.Record
	ended := 0 // records up to the last that ends a transaction
	at := badgerwal.HeaderBytes
	for {
		r, good := walLimits.At(log, at)
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
		if at = r.End; r.Kind&badgerwal.EndsIt != 0 {
			ended = len(records)
		}
	}
	salvaged = make([]byte, badgerwal.HeaderBytes, len(log)+badgerwal.RecordHeaderMax)
	copy(salvaged, log)
	for _, r := range records[:ended] {
		if r.Kind&badgerwal.EndsIt != 0 {
			continue
		}
		// Without the mark of a transaction each record counts for itself.
		start := len(salvaged)
		salvaged = append(salvaged, log[r.From:r.End-4]...)
		salvaged[start] &^= badgerwal.OfTransaction
		salvaged = binary.BigEndian.AppendUint32(salvaged, crc32.Checksum(salvaged[start:], castagnoli))
	}
	// Badger looks for the next record behind the last one.
	return append(salvaged, make([]byte, badgerwal.RecordHeaderMax)...), true
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
	end := at + badgerwal.RecordHeaderMax
	return end <= unreadable && len(bytes.Trim(log[at:end], "\x00")) == 0
}

// nextRecord returns where the first record begins from an offset on, -1 if none does.
func nextRecord(log []byte, from int) int {
	for at := from; at < len(log); at++ {
		if !ours(log, at) {
			continue
		}
		if _, good := walLimits.At(log, at); good {
			return at
		}
	}
	return -1
}
