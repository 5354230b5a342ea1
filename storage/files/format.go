package files

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// A file is a header, the content and a trailer; all numbers are little endian.
//
//	header   magic 8, version 1 (and machineVersion 1), length of the rest without the checksum 4, group 8, term 8, index 8, time 8, cluster 16,
//	         term 8 and index 8 of the configuration, the version of the state machine 8 if machineVersion is set, the
//	         configuration, CRC-32C 4
//	trailer  length of the content 8, CRC-32C of the content 4, CRC-32C of the header and of the trailer so far 4
//
// Version 2 has the content. In version 3, of a snapshot that is made of files, the list of
// these stands in its place, and the trailer is that of all of the content. A record is a
// header alone, of a magic and versions of its own. A later version may only be read by
// those who know it.
const (
	magic           = "troupeSN"
	version         = 2
	versionOfFiles  = 3
	versionOfRecord = 1
	prefixBytes     = 8 + 1 + 4
	metaBytes       = 8 * 8
	// machineVersion is a bit beside the version: the snapshot names that of the state machine.
	machineVersion = 0x80
	trailerBytes   = 8 + 4 + 4
	headerBytesMax = 32 << 20
	checksumBytes  = 4
)

// kind is what a header is of.
type kind struct {
	name, magic string
	first, last byte // of its versions
}

var (
	kindSnapshot = kind{"snapshot", magic, version, versionOfFiles}
	kindRecord   = kind{"record", "troupeRC", versionOfRecord, versionOfRecord}
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("files: %w: %s", core.ErrCorrupt, fmt.Sprintf(format, args...))
}

// cutOff sorts an error of reading what should be there. What the disk does not give is
// no damage yet.
func cutOff(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt("%s is cut off", what)
	}
	return fmt.Errorf("files: %s cannot be read: %w", what, err)
}

// header is what a snapshot begins with.
type header struct {
	version byte
	group   membership.GroupID
	meta    core.SnapshotMeta // without size and checksum
	// bytes is how long it is, and sum its checksum.
	bytes int
	sum   uint32
}

// encodeHeader writes the header. SizeBytes and Checksum of meta are not in it.
func encodeHeader(version byte, group membership.GroupID, meta *core.SnapshotMeta) []byte {
	return kindSnapshot.encode(version, group, meta)
}

func (k *kind) encode(version byte, group membership.GroupID, meta *core.SnapshotMeta) []byte {
	var configuration []byte
	if !meta.Configuration.Configuration.IsZero() {
		configuration = meta.Configuration.Configuration.Encode()
	}
	b := append([]byte(k.magic), version)
	var of []byte
	if meta.Version != 0 {
		b[len(k.magic)] |= machineVersion
		of = binary.LittleEndian.AppendUint64(nil, meta.Version)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(metaBytes+len(of)+len(configuration)))
	for _, n := range []uint64{uint64(group), uint64(meta.Term), uint64(meta.Index), uint64(meta.Time),
		binary.LittleEndian.Uint64(meta.Cluster[:8]), binary.LittleEndian.Uint64(meta.Cluster[8:]), uint64(meta.Configuration.Term), uint64(meta.Configuration.Index)} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = append(append(b, of...), configuration...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readHeader reads a header from r. It reads little more than headerBytesMax of anything.
func readHeader(r io.Reader) (header, error) { return kindSnapshot.read(r) }

func (k *kind) read(r io.Reader) (h header, err error) {
	b := make([]byte, prefixBytes)
	if _, err := io.ReadFull(r, b); err != nil {
		return h, cutOff("the header", err)
	}
	if string(b[:8]) != k.magic {
		return h, corrupt("not a %s", k.name)
	}
	rest := binary.LittleEndian.Uint32(b[9:])
	if rest < metaBytes || rest > headerBytesMax {
		return h, corrupt("a header of %d bytes", rest)
	}
	b = append(b, make([]byte, rest+checksumBytes)...)
	if _, err := io.ReadFull(r, b[prefixBytes:]); err != nil {
		return h, cutOff("the header", err)
	}
	body := b[:len(b)-checksumBytes]
	sum := binary.LittleEndian.Uint32(b[len(body):])
	if crc32.Checksum(body, castagnoli) != sum {
		return h, corrupt("the header has a bad checksum")
	}
	if v := b[8] &^ machineVersion; v < k.first || v > k.last {
		return h, fmt.Errorf("files: a %s of version %d: only %d to %d are known", k.name, v, k.first, k.last)
	}
	var n [8]uint64
	for i := range n {
		n[i] = binary.LittleEndian.Uint64(body[prefixBytes+8*i:])
	}
	h = header{version: b[8] &^ machineVersion, group: membership.GroupID(n[0]), bytes: len(b), sum: sum}
	h.meta = core.SnapshotMeta{LogID: core.LogID{Term: core.Term(n[1]), Index: core.Index(n[2])}, Time: int64(n[3])}
	binary.LittleEndian.PutUint64(h.meta.Cluster[:8], n[4])
	binary.LittleEndian.PutUint64(h.meta.Cluster[8:], n[5])
	h.meta.Configuration.LogID = core.LogID{Term: core.Term(n[6]), Index: core.Index(n[7])}
	c := body[prefixBytes+metaBytes:]
	if b[8]&machineVersion != 0 {
		if len(c) < 8 {
			return header{}, corrupt("a header of %d bytes", rest)
		}
		h.meta.Version, c = binary.LittleEndian.Uint64(c), c[8:]
	}
	if len(c) > 0 {
		if h.meta.Configuration.Configuration, err = membership.Decode(c); err != nil {
			return header{}, corrupt("%v", err)
		}
	}
	return h, nil
}

func encodeTrailer(header uint32, size uint64, sum uint32) []byte {
	b := binary.LittleEndian.AppendUint64(nil, size)
	b = binary.LittleEndian.AppendUint32(b, sum)
	return binary.LittleEndian.AppendUint32(b, trailerSum(header, b))
}

// decodeTrailer reads a trailer of trailerBytes.
func decodeTrailer(header uint32, b []byte) (size uint64, sum uint32, err error) {
	if len(b) != trailerBytes || binary.LittleEndian.Uint32(b[12:]) != trailerSum(header, b[:12]) {
		return 0, 0, corrupt("the trailer is damaged")
	}
	return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:]), nil
}

func trailerSum(header uint32, b []byte) uint32 {
	return crc32.Update(header, castagnoli, b)
}
