package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trouperaft/troupe"
)

// A segment is a file of records. All numbers are little endian.
//
//	CRC-32C of the rest 4, length of the payload 4, kind 1, term 8, index 8, payload
//
// The payload of a put and of a moved record is the length of the key 2, the key and the
// value. A mark is of an entry that holds no command, and has none.
const (
	recordBytes = 4 + 4 + 1 + 8 + 8

	kindPut   = 1 // the entry's own
	kindMark  = 2
	kindMoved = 3 // a put of before, out of a segment that goes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is one of the files of the state. Only the newest is written to.
type segment struct {
	number int
	path   string
	bytes  int64
	// live is how much of it holds the present values of keys.
	live int64
	// hash is of all that was written.
	hash hash.Hash
}

// location is where the record of a key's present value is.
type location struct {
	segment       int
	offset, bytes int64
}

func segmentName(number int) string { return fmt.Sprintf("seg-%08d", number) }

// parseSegment reads the name of a segment.
func parseSegment(name string) (number int, ok bool) {
	digits, ok := strings.CutPrefix(name, "seg-")
	number, err := strconv.Atoi(digits)
	return number, ok && err == nil && number > 0 && segmentName(number) == name
}

func encodeRecord(kind byte, id troupe.LogID, payload []byte) []byte {
	b := make([]byte, 4, recordBytes+len(payload))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint64(b, uint64(id.Term))
	b = binary.LittleEndian.AppendUint64(b, uint64(id.Index))
	b = append(b, payload...)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

// record is one that was read.
type record struct {
	kind    byte
	id      troupe.LogID
	key     string
	payload []byte
	bytes   int64
}

// errTorn: the file does not go on with a whole record.
var errTorn = errors.New("a record is not whole")

// readRecord reads the next record: io.EOF at the end, errTorn if there is a part of one.
func readRecord(r io.Reader) (record, error) {
	var head [recordBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return record{}, torn(err)
	}
	length := binary.LittleEndian.Uint32(head[4:])
	if length > commandBytesMax {
		return record{}, errTorn
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil && length > 0 {
		return record{}, torn(errors.Join(err, io.ErrUnexpectedEOF))
	}
	if crc32.Update(crc32.Checksum(head[4:], castagnoli), castagnoli, payload) != binary.LittleEndian.Uint32(head[:]) {
		return record{}, errTorn
	}
	rec := record{kind: head[8], payload: payload, bytes: recordBytes + int64(length)}
	rec.id.Term = troupe.Term(binary.LittleEndian.Uint64(head[9:]))
	rec.id.Index = troupe.Index(binary.LittleEndian.Uint64(head[17:]))
	if rec.kind != kindMark {
		key, _, ok := splitPut(payload)
		if !ok {
			return record{}, errTorn
		}
		rec.key = key
	}
	return rec, nil
}

func torn(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

// commandBytesMax is how long a command may be.
const commandBytesMax = 1 << 20

// put is the command that gives a key a value.
func put(key string, value []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(len(key)))
	return append(append(b, key...), value...)
}

// splitPut takes a command apart.
func splitPut(b []byte) (key string, value []byte, ok bool) {
	if len(b) < 2 || len(b) > commandBytesMax {
		return "", nil, false
	}
	n := int(binary.LittleEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}

// openSegment makes a segment, whose name is durable then.
func openSegment(dir string, number int) (*segment, *os.File, error) {
	s := &segment{number: number, path: filepath.Join(dir, segmentName(number)), hash: sha256.New()}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = syncDir(dir)
	}
	return s, f, err
}
