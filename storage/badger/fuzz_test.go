package badger

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/peers"
)

// FuzzRecords decodes anything as each of the records. What is accepted must be
// written again as it was.
func FuzzRecords(f *testing.F) {
	header := headerRecord{Header: storage.Header{Node: 1, Incarnation: 2, StartCounter: 3, Promise: 4}, batch: 5}
	batch := batchRecord{number: 1, digest: 2, groups: 3}
	key := groupKey(7)
	group := groupRecord{hardState: core.HardState{Term: 3, Vote: membership.Identity{ID: 1, Incarnation: 2}}, last: core.LogID{Term: 3, Index: 9}, batch: 4}
	refused := header
	refused.Refused = "an old copy"
	mark := watermark{node: 1, incarnation: 2, number: 3}
	kept := peersFile{node: 1, incarnation: 2}
	known := kept.encode(peers.List{peerOf(2, 7), peerOf(3, 1)})
	for _, b := range [][]byte{nil, {1}, header.encode(), refused.encode(), kept.encode(nil), known, batch.append(nil), group.append(nil, key), mark.encode()} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeHeader(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Errorf("header %+v", r)
		}
		if r, err := decodeBatch(b); err == nil && !bytes.Equal(r.append(nil), b) {
			t.Errorf("batch %+v", r)
		}
		if r, err := decodeGroup(key, b); err == nil && !bytes.Equal(r.append(nil, key), b) {
			t.Errorf("group %+v", r)
		}
		if w, err := decodeWatermark(b); err == nil && !bytes.Equal(w.encode(), b) {
			t.Errorf("watermark %+v", w)
		}
		if l, err := kept.decode(b); err == nil && !bytes.Equal(kept.encode(l), b) {
			t.Errorf("peers %+v", l)
		}
		_ = weight(b)
	})
}

// FuzzChunk decodes anything as a chunk.
func FuzzChunk(f *testing.F) {
	one, some := chunkOf(3, 0, entries(1, 1, 1, 0)), chunkOf(3, 77, entries(9, 1<<40, 5, 33))
	for _, b := range [][]byte{nil, one, some, some[:len(some)-1]} {
		f.Add(b, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) >= chunkHeaderBytes {
			// Get past the header's checksum, into the entries.
			b = mended(b)
		}
		h, err := decodeChunkHeader(3, b)
		if err != nil {
			return
		}
		es, sum, err := decodeEntries(nil, 3, &h, b[chunkHeaderBytes:])
		if err != nil {
			return
		}
		sums := chain{sum: h.seed}
		again := appendChunk(nil, 3, &sums, es)
		if sums.sum != sum || len(es) != h.entries {
			t.Errorf("checksum %x, want %x", sums.sum, sum)
		}
		if h2, err := decodeChunkHeader(3, again); err != nil || h2.last() != h.last() {
			t.Errorf("header %+v, want %+v: %v", h2, h, err)
		}
	})
}

// FuzzKeys parses anything as a key.
func FuzzKeys(f *testing.F) {
	f.Add(logKey(1, 2, 3))
	f.Add(groupKey(4))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, k []byte) {
		if last, part, ok := parseLogKey(k); ok {
			group, _ := parseGroupKey(append([]byte{prefixGroup}, k[1:9]...))
			if !bytes.Equal(logKey(group, last, part), k) {
				t.Errorf("key %x", k)
			}
		}
		if group, ok := parseGroupKey(k); ok && !bytes.Equal(groupKey(group), k) {
			t.Errorf("key %x", k)
		}
	})
}

// chunkOf makes a chunk that follows an entry with checksum seed.
func chunkOf(group membership.GroupID, seed uint32, es []core.Entry) []byte {
	return appendChunk(nil, group, &chain{sum: seed}, es)
}

// mended returns b as a chunk whose header has the checksum it needs.
func mended(b []byte) []byte {
	b = bytes.Clone(b)
	b[0], b[1] = chunkVersion, 0
	binary.LittleEndian.PutUint16(b[2:], uint16((len(b)+pieceBytesMax-1)/pieceBytesMax))
	binary.LittleEndian.PutUint32(b[20:], uint32(len(b)-chunkHeaderBytes))
	binary.LittleEndian.PutUint32(b[24:], crc32.Update(crc32.Checksum([]byte{3, 0, 0, 0, 0, 0, 0, 0}, castagnoli), castagnoli, b[:24]))
	return b
}
