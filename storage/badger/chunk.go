package badger

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// A chunk holds consecutive entries of a group:
//
//	header  version 1 byte, flags 1, pieces 2, entries 4, first index 8, seed 4, body bytes 4, CRC-32C of the group
//	        and of the header so far 4
//	entry   CRC-32C 4, kind 1, version uvarint if the flag chunkVersions is set, term uvarint, time varint, data length uvarint, data
//
// All numbers are little endian. The checksum of an entry covers the checksum
// of the entry before it (the seed, for the first), its index and everything
// about it, so that entries can neither be exchanged nor be left out. A chunk
// longer than pieceBytesMax is cut into pieces under keys of their own.
const (
	chunkVersion     = 1
	chunkHeaderBytes = 28
	entryBytesMin    = 4 + 1 + 1 + 1 + 1

	// chunkVersions: some entries need a version of the state machine, and each tells which.
	chunkVersions = 1
)

type chunkHeader struct {
	pieces    int
	entries   int
	versions  bool
	first     core.Index
	seed      uint32
	bodyBytes int
}

// last returns the index of the chunk's last entry.
func (h *chunkHeader) last() core.Index { return h.first + core.Index(h.entries) - 1 }

// chainStart is the checksum that the chain of a group's log begins with after
// id, which was purged or is zero.
func chainStart(group membership.GroupID, id core.LogID) uint32 {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], uint64(group))
	binary.LittleEndian.PutUint64(b[8:], uint64(id.Term))
	binary.LittleEndian.PutUint64(b[16:], uint64(id.Index))
	return crc32.Checksum(b[:], castagnoli)
}

// chain computes the checksums of consecutive entries, each over the one before.
type chain struct {
	sum     uint32
	scratch [41]byte
}

// next returns the checksum of e, which comes next.
func (c *chain) next(e *core.Entry) uint32 {
	b := c.scratch[:33]
	binary.LittleEndian.PutUint32(b[0:], c.sum)
	binary.LittleEndian.PutUint64(b[4:], uint64(e.Index))
	binary.LittleEndian.PutUint64(b[12:], uint64(e.Term))
	binary.LittleEndian.PutUint64(b[20:], uint64(e.Time))
	binary.LittleEndian.PutUint32(b[28:], uint32(len(e.Data)))
	b[32] = byte(e.Kind)
	if e.Version != 0 {
		b = binary.LittleEndian.AppendUint64(b, e.Version)
	}
	c.sum = crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, e.Data)
	return c.sum
}

// appendChunk appends a chunk of entries, of which there must be some. They
// follow the entry whose checksum c holds, which is that of the last afterwards.
func appendChunk(b []byte, group membership.GroupID, c *chain, entries []core.Entry) []byte {
	start, seed := len(b), c.sum
	versions := false
	for i := range entries {
		versions = versions || entries[i].Version != 0
	}
	b = append(b, make([]byte, chunkHeaderBytes)...)
	for i := range entries {
		e := &entries[i]
		b = binary.LittleEndian.AppendUint32(b, c.next(e))
		b = append(b, byte(e.Kind))
		if versions {
			b = binary.AppendUvarint(b, e.Version)
		}
		b = binary.AppendUvarint(b, uint64(e.Term))
		b = binary.AppendVarint(b, e.Time)
		b = binary.AppendUvarint(b, uint64(len(e.Data)))
		b = append(b, e.Data...)
	}
	size := len(b) - start
	h := b[start:]
	if h[0] = chunkVersion; versions {
		h[1] = chunkVersions
	}
	binary.LittleEndian.PutUint16(h[2:], uint16((size+pieceBytesMax-1)/pieceBytesMax))
	binary.LittleEndian.PutUint32(h[4:], uint32(len(entries)))
	binary.LittleEndian.PutUint64(h[8:], uint64(entries[0].Index))
	binary.LittleEndian.PutUint32(h[16:], seed)
	binary.LittleEndian.PutUint32(h[20:], uint32(size-chunkHeaderBytes))
	binary.LittleEndian.PutUint32(h[24:], crc32.Update(groupSum(group), castagnoli, h[:24]))
	return b
}

func groupSum(group membership.GroupID) uint32 {
	// As crc32.Checksum of its eight bytes, which would have to allocate them.
	sum := ^uint32(0)
	for range 8 {
		sum = castagnoli[byte(sum)^byte(group)] ^ sum>>8
		group >>= 8
	}
	return ^sum
}

func decodeChunkHeader(group membership.GroupID, b []byte) (chunkHeader, error) {
	if len(b) < chunkHeaderBytes {
		return chunkHeader{}, corrupt("group %d: a chunk of %d bytes", group, len(b))
	}
	if crc32.Update(groupSum(group), castagnoli, b[:24]) != binary.LittleEndian.Uint32(b[24:]) {
		return chunkHeader{}, corrupt("group %d: a chunk's header has a bad checksum", group)
	}
	if b[0] != chunkVersion || b[1]&^chunkVersions != 0 {
		return chunkHeader{}, corrupt("group %d: a chunk of version %d, flags %x: only %d, 0 or 1 is known", group, b[0], b[1], chunkVersion)
	}
	h := chunkHeader{
		pieces:    int(binary.LittleEndian.Uint16(b[2:])),
		entries:   int(binary.LittleEndian.Uint32(b[4:])),
		versions:  b[1]&chunkVersions != 0,
		first:     core.Index(binary.LittleEndian.Uint64(b[8:])),
		seed:      binary.LittleEndian.Uint32(b[16:]),
		bodyBytes: int(binary.LittleEndian.Uint32(b[20:])),
	}
	size := chunkHeaderBytes + h.bodyBytes
	if h.pieces != (size+pieceBytesMax-1)/pieceBytesMax || h.entries < 1 || h.first < 1 || h.entries > h.bodyBytes/entryBytesMin {
		return chunkHeader{}, corrupt("group %d: the chunk from %d on contradicts itself", group, h.first)
	}
	return h, nil
}

// decodeEntries appends the entries of a chunk to entries and returns the
// checksum of the last. Their data lies in body.
func decodeEntries(entries []core.Entry, group membership.GroupID, h *chunkHeader, body []byte) ([]core.Entry, uint32, error) {
	bad := func(i core.Index, what string) ([]core.Entry, uint32, error) {
		return nil, 0, corrupt("group %d: entry %d %s", group, i, what)
	}
	if len(body) != h.bodyBytes {
		return bad(h.first, "is cut off")
	}
	c := chain{sum: h.seed}
	for i := range h.entries {
		e := core.Entry{LogID: core.LogID{Index: h.first + core.Index(i)}}
		if len(body) < entryBytesMin {
			return bad(e.Index, "is cut off")
		}
		sum := binary.LittleEndian.Uint32(body)
		e.Kind = core.EntryKind(body[4])
		body = body[5:]
		if h.versions {
			version, n := binary.Uvarint(body)
			if n <= 0 {
				return bad(e.Index, "cannot be decoded")
			}
			e.Version, body = version, body[n:]
		}
		term, n := binary.Uvarint(body)
		if n <= 0 {
			return bad(e.Index, "cannot be decoded")
		}
		body = body[n:]
		e.Term = core.Term(term)
		if e.Time, n = binary.Varint(body); n <= 0 {
			return bad(e.Index, "cannot be decoded")
		}
		body = body[n:]
		size, n := binary.Uvarint(body)
		if n <= 0 || size > uint64(len(body)-n) {
			return bad(e.Index, "cannot be decoded")
		}
		if size > 0 {
			e.Data = body[n : n+int(size) : n+int(size)]
		}
		body = body[n+int(size):]
		if c.next(&e) != sum {
			return bad(e.Index, "has a bad checksum")
		}
		entries = append(entries, e)
	}
	if len(body) != 0 {
		return bad(h.last(), "is followed by something else")
	}
	return entries, c.sum, nil
}
