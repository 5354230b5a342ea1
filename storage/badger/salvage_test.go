package badger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/dgraph-io/badger/v4/y"
)

// tablePairs are enough of pairs for a number of blocks, with some that were deleted.
func tablePairs(n int) (pairs []pair) {
	for i := range n {
		value := y.ValueStruct{Value: bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 300)}
		if i%7 == 0 {
			value = y.ValueStruct{Meta: 1}
		}
		pairs = append(pairs, pair{y.KeyWithTs(fmt.Appendf(nil, "key%08d", i), uint64(i)), value})
	}
	return pairs
}

// TestSalvage: a table gives what stands in its good blocks, and nothing that is not
// as it was.
func TestSalvage(t *testing.T) {
	const n = 200
	want := tablePairs(n)
	content := tableOf(7, want)
	same := func(got []pair) (missing int) {
		t.Helper()
		next := 0
		for _, p := range got {
			for next < n && !bytes.Equal(want[next].key, p.key) {
				next++
			}
			if next == n || !bytes.Equal(want[next].value.Value, p.value.Value) || want[next].value.Meta != p.value.Meta {
				t.Fatalf("%q is none of the pairs, or not in its place", p.key)
			}
			next++
		}
		return n - len(got)
	}
	got, bad, err := salvage(content)
	if err != nil || bad != 0 || same(got) != 0 {
		t.Fatalf("a good table: %d pairs, %d bad blocks, %v", len(got), bad, err)
	}
	for at := 0; at < len(content); at += 997 {
		damaged := bytes.Clone(content)
		damaged[at] ^= 4
		got, bad, err := salvage(damaged)
		if err != nil {
			continue // the index
		}
		if missing := same(got); bad != 1 || missing == 0 || missing > 20 {
			t.Errorf("byte %d: %d pairs are missing, %d blocks are bad", at, missing, bad)
		}
	}
	for _, cut := range []int{0, 3, 10, len(content) / 2, len(content) - 1} {
		if got, _, err := salvage(content[:cut]); err == nil {
			t.Errorf("cut to %d bytes it gives %d pairs", cut, len(got))
		}
	}
}

// TestTableOfNothing is one that badger takes, and that holds no key of the store's.
func TestTableOfNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "000007.sst")
	if err := os.WriteFile(name, tableOf(7, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := verifyTable(name); err != nil {
		t.Error(err)
	}
}

// patchy is a file of which some pieces cannot be read, or not at first.
type patchy struct {
	content []byte
	// refusals of the pieces that begin at an offset; -1 for ever.
	refusals map[int64]int
}

type patchyInfo struct {
	fs.FileInfo
	size int64
}

func (i patchyInfo) Size() int64 { return i.size }

func (p *patchy) Stat() (os.FileInfo, error) { return patchyInfo{size: int64(len(p.content))}, nil }

func (p *patchy) ReadAt(b []byte, at int64) (int, error) {
	if left := p.refusals[at]; left != 0 {
		p.refusals[at] = left - 1
		return 0, &os.PathError{Op: "read", Path: "patchy", Err: syscall.EIO}
	}
	n := copy(b, p.content[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// TestReadPieces: what can be read at the second attempt is read, and what cannot is
// missing alone.
func TestReadPieces(t *testing.T) {
	content := bytes.Repeat([]byte("troupe"), 5000)
	f := &patchy{content: content, refusals: map[int64]int{pieceBytes: 1, 3 * pieceBytes: -1}}
	got, bad, err := readPieces(f)
	want := bytes.Clone(content)
	clear(want[3*pieceBytes : 4*pieceBytes])
	if err != nil || !slices.Equal(bad, []int{3 * pieceBytes}) || !bytes.Equal(got, want) {
		t.Errorf("bad pieces at %v, %v", bad, err)
	}
	f.refusals = map[int64]int{}
	for at := int64(0); at < int64(len(content)); at += pieceBytes {
		f.refusals[at] = -1
	}
	if _, bad, err := readPieces(f); err != nil || len(bad) != (len(content)+pieceBytes-1)/pieceBytes {
		t.Errorf("of a file that cannot be read at all %d pieces are bad, %v", len(bad), err)
	}
	short := &patchy{content: content}
	if _, _, err := readPieces(tooLong{short}); !errors.Is(err, io.EOF) {
		t.Errorf("a file that was cut: %v", err)
	}
}

type tooLong struct{ *patchy }

func (p tooLong) Stat() (os.FileInfo, error) { return patchyInfo{size: int64(len(p.content)) + 1}, nil }
