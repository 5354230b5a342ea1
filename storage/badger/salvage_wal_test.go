package badger

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/badgerwal"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// logged makes a store whose log holds batches of groups 1 to 3, and returns what a
// killed process leaves of it, and the name and content of its log. No data stands there
// twice.
func logged(t *testing.T) (dir, name string, log []byte) {
	t.Helper()
	o := small(1)
	s := mustOpen(t, t.TempDir(), o)
	defer mustClose(t, s)
	random := rand.NewChaCha8([32]byte{5})
	for i := core.Index(1); i <= 20; i++ {
		var operations []storage.Operation
		for group := range membership.GroupID(3) {
			data := make([]byte, 6000)
			_, _ = random.Read(data)
			e := core.Entry{LogID: core.LogID{Term: 1, Index: i}, Kind: core.EntryCommand, Data: data}
			operations = append(operations, storage.Operation{Group: group + 1, HardState: &core.HardState{Term: 1}, Append: []core.Entry{e}})
		}
		mustWrite(t, s, operations...)
	}
	dir = leftBehind(t, s)
	name = filepath.Join(dir, logDir, filepath.Base(newestWAL(t, s)))
	log, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return dir, name, log
}

// without returns the log without some of its pieces.
func without(log []byte, pieces ...int) []byte {
	log = bytes.Clone(log)
	for _, piece := range pieces {
		clear(log[piece:min(piece+pieceBytes, len(log))])
	}
	return log
}

// TestSalvageLog: of a log with pieces that cannot be read, those groups come back whole
// whose records can, and the others are damaged.
func TestSalvageLog(t *testing.T) {
	dir, name, log := logged(t)
	end := walLimits.End(log)
	whole := 0
	// The first piece holds the store's header.
	for piece := pieceBytes; piece < end; piece += 7 * pieceBytes {
		salvaged, ok := salvageLog(without(log, piece), []int{piece})
		if !ok {
			if piece < end-16*pieceBytes {
				t.Errorf("piece at %d of %d: nobody knows where the log ends", piece, end)
			}
			continue
		}
		again := t.TempDir()
		if err := os.CopyFS(again, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(again+name[len(dir):], salvaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, again, small(1))
		good := 0
		for group := range membership.GroupID(3) {
			state, err := s.Load(t.Context(), group+1)
			switch {
			case err == nil && state.Last.Index == 20:
				good++
			case !errors.Is(err, core.ErrCorrupt):
				t.Errorf("piece at %d: group %d ends with %v, %v", piece, group+1, state.Last, err)
			}
		}
		if good == 0 || good == 3 {
			t.Errorf("piece at %d: %d groups are whole", piece, good)
		}
		whole += good
		mustClose(t, s)
	}
	if whole < 10 {
		t.Errorf("%d groups were whole in all", whole)
	}
}

// TestSalvageOfTheEnd: pieces behind the end of the log are of no concern, and without
// the last ones nobody knows where it was.
func TestSalvageOfTheEnd(t *testing.T) {
	_, _, log := logged(t)
	end := walLimits.End(log)
	last := (end - 1) / pieceBytes * pieceBytes
	behind := last + 3*pieceBytes
	if salvaged, ok := salvageLog(log, []int{behind}); !ok || len(salvaged) < end*9/10 {
		t.Errorf("%d bytes of %d, %v", len(salvaged), end, ok)
	}
	if _, ok := salvageLog(without(log, last), []int{last}); ok {
		t.Error("it is not missed that the end cannot be read")
	}
	if salvaged, ok := salvageLog(log[:end-1], nil); !ok || len(salvaged) >= end {
		t.Errorf("a transaction that has not ended is kept, %v", ok)
	}
	if salvaged, ok := salvageLog(make([]byte, 3*pieceBytes), []int{2 * pieceBytes}); !ok || len(salvaged) != badgerwal.HeaderBytes+badgerwal.RecordHeaderMax {
		t.Errorf("of an empty log %d bytes are kept, %v", len(salvaged), ok)
	}
}

// FuzzSalvageLog salvages anything: what comes of it is a log.
func FuzzSalvageLog(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(make([]byte, 3*pieceBytes), pieceBytes)
	f.Fuzz(func(t *testing.T, log []byte, piece int) {
		var bad []int
		if piece >= 0 && piece < len(log) {
			bad = []int{piece / pieceBytes * pieceBytes}
		}
		salvaged, ok := salvageLog(log, bad)
		if !ok {
			return
		}
		if again, ok := salvageLog(salvaged, nil); !ok || len(again) > len(salvaged) {
			t.Errorf("%d bytes of %d, %v", len(again), len(salvaged), ok)
		}
	})
}
