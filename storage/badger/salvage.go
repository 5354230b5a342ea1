package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"

	"github.com/trouperaft/troupe/storage/internal/disk"
)

// A table of badger's is a list of blocks and an index of them:
//
//	table  blocks, index, its length 4, checksum, its length 4
//	block  entries, where each of them begins 4, their number 4, checksum, its length 4
//	entry  bytes of the key that are those of the block's first key 2, length of the others 2, these, value
//
// Lengths are big endian, what stands in a block as the machine has it.

// pair is a key and its value, as badger keeps them.
type pair struct {
	key   []byte
	value y.ValueStruct
}

// salvage returns what a table holds in blocks that can be read and are good, in order,
// and how many blocks are not. Without a good index it is nothing.
func salvage(content []byte) (pairs []pair, bad int, err error) {
	index, err := tableIndex(content)
	if err != nil {
		return nil, 0, err
	}
	var at fb.BlockOffset
	for i := range index.OffsetsLength() {
		if !index.Offsets(&at, i) {
			return nil, 0, errors.New("the index ends early")
		}
		found, err := blockPairs(content, int(at.Offset()), int(at.Len()))
		if err != nil {
			bad++
			continue
		}
		pairs = append(pairs, found...)
	}
	return pairs, bad, nil
}

// tail cuts off what stands before its length at the end of b.
func tail(b []byte) (rest, part []byte, err error) {
	end := len(b) - 4
	if end < 0 {
		return nil, nil, io.ErrUnexpectedEOF
	}
	n := int(binary.BigEndian.Uint32(b[end:]))
	if n > end {
		return nil, nil, io.ErrUnexpectedEOF
	}
	return b[:end-n], b[end-n : end], nil
}

// checked is tail for a checksum of what is before it.
func checked(b []byte, of func(rest []byte) []byte) (rest []byte, err error) {
	rest, sum, err := tail(b)
	if err != nil {
		return nil, err
	}
	want := &pb.Checksum{}
	if err := proto.Unmarshal(sum, want); err != nil {
		return nil, err
	}
	return rest, y.VerifyChecksum(of(rest), want)
}

func tableIndex(content []byte) (index *fb.TableIndex, err error) {
	defer recovered("the index", &err)
	var raw []byte
	_, err = checked(content, func(rest []byte) []byte {
		_, raw, err = tail(rest)
		return raw
	})
	if err != nil || len(raw) == 0 {
		return nil, errors.Join(err, errors.New("the index is damaged"))
	}
	return fb.GetRootAsTableIndex(raw, 0), nil
}

// blockPairs returns copies of what is in a block.
func blockPairs(content []byte, offset, length int) (pairs []pair, err error) {
	defer recovered("a block", &err)
	block, err := checked(content[offset:offset+length], func(rest []byte) []byte { return rest })
	if err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(block[len(block)-4:]))
	entries := block[:len(block)-4-4*n]
	begins := block[len(entries):]
	var first []byte
	for i := range n {
		end := len(entries)
		if i+1 < n {
			end = int(binary.NativeEndian.Uint32(begins[4*(i+1):]))
		}
		e := entries[binary.NativeEndian.Uint32(begins[4*i:]):end]
		overlap, others := int(binary.NativeEndian.Uint16(e)), int(binary.NativeEndian.Uint16(e[2:]))
		p := pair{key: append(append([]byte{}, first[:overlap]...), e[4:4+others]...)}
		if i == 0 {
			first = p.key
		}
		p.value.Decode(append([]byte{}, e[4+others:]...))
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// tableOf makes a table of pairs. One of nothing holds a mark of a deletion under a key
// of no concern, with its number so that no two of a level overlap: badger has no empty
// tables.
func tableOf(id uint64, pairs []pair) []byte {
	if len(pairs) == 0 {
		const deleted = 1
		key := binary.BigEndian.AppendUint64([]byte{0xff}, id)
		pairs = []pair{{key: y.KeyWithTs(key, 1), value: y.ValueStruct{Meta: deleted}}}
	}
	o := table.Options{BlockSize: 4 << 10, TableSize: 2 << 20, BloomFalsePositive: 0.01, Compression: options.None}
	b := table.NewTableBuilder(o)
	defer b.Close()
	for _, p := range pairs {
		b.Add(p.key, p.value, 0)
	}
	return b.Finish()
}

// Bounds of the attempts to read a piece of a file.
const (
	pieceBytes    = disk.DirectBytes
	attempts      = 3
	attemptPause  = 20 * time.Millisecond
	attemptsTotal = 300
)

// readable is a file that may not be readable everywhere.
type readable interface {
	io.ReaderAt
	Stat() (os.FileInfo, error)
}

// readPieces reads a file piece by piece. What cannot be read, after some attempts, is
// zero; bad are the offsets of such pieces.
func readPieces(f readable) (content []byte, bad []int, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	content = make([]byte, info.Size())
	left := attemptsTotal
	piece := disk.Aligned(pieceBytes)
	for at := 0; at < len(content); at += pieceBytes {
		want := min(pieceBytes, len(content)-at)
		for attempt := 1; ; attempt++ {
			n, err := f.ReadAt(piece, int64(at))
			if n >= want {
				copy(content[at:], piece[:want])
				break
			}
			if err == io.EOF || !errors.Is(err, syscall.EIO) {
				return nil, nil, fmt.Errorf("read at %d: %w", at, err)
			}
			if left--; attempt >= attempts || left <= 0 {
				bad = append(bad, at)
				break
			}
			time.Sleep(attemptPause)
		}
	}
	return content, bad, nil
}

// damagedSuffix ends the name under which a file is kept as it was found.
const damagedSuffix = ".damaged"

// keepDamaged gives a file another name beside its own, under which it stays.
func keepDamaged(name string) (kept string, err error) {
	for n := 1; ; n++ {
		kept = name + damagedSuffix
		if n > 1 {
			kept = fmt.Sprintf("%s.%d%s", name, n, damagedSuffix)
		}
		if err := os.Link(name, kept); !errors.Is(err, os.ErrExist) {
			return kept, err
		}
	}
}

// keptFiles are those that were found damaged once.
func keptFiles(dir string) []string {
	names, _ := filepath.Glob(filepath.Join(dir, "*"+damagedSuffix))
	return names
}
