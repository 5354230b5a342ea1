package machine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/trouperaft/troupe/core"
)

// A snapshot is
//
//	"TRKV" version(1)  term(8) index(8) pairs(8)      numbers big-endian
//	pairs times:       length(uvarint) key  length(uvarint) value
//	CRC-32C of all before (4)
//
// with the keys in strictly rising order of their bytes. term and index are the
// last applied entry.
const (
	snapshotMagic   = "TRKV"
	snapshotVersion = 1
	snapshotHeader  = len(snapshotMagic) + 1 + 3*8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errSnapshot is wrapped by every error that says that a snapshot is not one.
var errSnapshot = fmt.Errorf("machine: not a snapshot of this store: %w", core.ErrCorrupt)

// pairWriter writes a snapshot of a known number of pairs.
type pairWriter struct {
	buffered *bufio.Writer
	checksum uint32
	written  int64
	want     uint64
	have     uint64
	scratch  []byte
}

func newPairWriter(w io.Writer, applied core.LogID, pairs uint64) (*pairWriter, error) {
	p := &pairWriter{buffered: bufio.NewWriterSize(w, 64<<10), want: pairs}
	b := append(make([]byte, 0, snapshotHeader), snapshotMagic...)
	b = append(b, snapshotVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(applied.Term))
	b = binary.BigEndian.AppendUint64(b, uint64(applied.Index))
	return p, p.write(binary.BigEndian.AppendUint64(b, pairs))
}

func (p *pairWriter) write(b []byte) error {
	p.checksum = crc32.Update(p.checksum, castagnoli, b)
	n, err := p.buffered.Write(b)
	p.written += int64(n)
	return err
}

func (p *pairWriter) pair(key, value []byte) error {
	p.have++
	p.scratch = binary.AppendUvarint(p.scratch[:0], uint64(len(key)))
	p.scratch = append(p.scratch, key...)
	p.scratch = binary.AppendUvarint(p.scratch, uint64(len(value)))
	if err := p.write(p.scratch); err != nil {
		return err
	}
	return p.write(value)
}

// finish ends the snapshot. A count that differs from the announced one is an
// error: the source lost pairs on the way.
func (p *pairWriter) finish() (int64, error) {
	if p.have != p.want {
		return p.written, fmt.Errorf("machine: the snapshot has %d pairs instead of %d: %w", p.have, p.want, core.ErrCorrupt)
	}
	if err := p.write(binary.BigEndian.AppendUint32(nil, p.checksum)); err != nil {
		return p.written, err
	}
	return p.written, p.buffered.Flush()
}

// pairReader reads a snapshot.
type pairReader struct {
	r        *bufio.Reader
	checksum uint32
	applied  core.LogID
	pairs    uint64
	left     uint64
	key      []byte
}

func newPairReader(r io.Reader) (*pairReader, error) {
	p := &pairReader{r: bufio.NewReaderSize(r, 64<<10)}
	var b [snapshotHeader]byte
	if err := p.read(b[:]); err != nil {
		return nil, err
	}
	numbers := b[len(snapshotMagic)+1:]
	switch {
	case string(b[:len(snapshotMagic)]) != snapshotMagic:
		return nil, fmt.Errorf("%w: it begins with %q", errSnapshot, b[:len(snapshotMagic)])
	case b[len(snapshotMagic)] != snapshotVersion:
		return nil, fmt.Errorf("%w: version %d", errSnapshot, b[len(snapshotMagic)])
	}
	p.applied.Term = core.Term(binary.BigEndian.Uint64(numbers))
	p.applied.Index = core.Index(binary.BigEndian.Uint64(numbers[8:]))
	p.pairs = binary.BigEndian.Uint64(numbers[16:])
	p.left = p.pairs
	return p, nil
}

// next returns the next pair, which stays the caller's. After the last it
// returns io.EOF, and only if the snapshot is whole and nothing follows it.
func (p *pairReader) next() (key string, value []byte, err error) {
	if p.left == 0 {
		return "", nil, p.end()
	}
	p.left--
	k, err := p.part(KeyBytesMax)
	if err != nil {
		return "", nil, err
	}
	if len(k) == 0 || bytes.Compare(k, p.key) <= 0 {
		return "", nil, fmt.Errorf("%w: key %q after %q", errSnapshot, k, p.key)
	}
	p.key = k
	value, err = p.part(ValueBytesMax)
	return string(k), value, err
}

func (p *pairReader) end() error {
	want := p.checksum
	var b [4]byte
	if err := p.read(b[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(b[:]) != want {
		return fmt.Errorf("%w: bad checksum", errSnapshot)
	}
	// The reader below verifies its own checksum when it is read to its end.
	switch _, err := p.r.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: bytes behind its end", errSnapshot)
	default:
		return err
	}
}

func (p *pairReader) part(bytesMax uint64) ([]byte, error) {
	size, err := binary.ReadUvarint(byteReader{p})
	if err != nil {
		return nil, err
	}
	if size > bytesMax {
		return nil, fmt.Errorf("%w: a part of %d bytes, at most %d", errSnapshot, size, bytesMax)
	}
	b := make([]byte, size)
	return b, p.read(b)
}

func (p *pairReader) read(b []byte) error {
	if _, err := io.ReadFull(p.r, b); err != nil {
		return truncated(err)
	}
	p.checksum = crc32.Update(p.checksum, castagnoli, b)
	return nil
}

type byteReader struct{ p *pairReader }

// ReadByte implements io.ByteReader.
func (r byteReader) ReadByte() (byte, error) {
	var b [1]byte
	err := r.p.read(b[:])
	return b[0], err
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: truncated", errSnapshot)
	}
	return err
}
