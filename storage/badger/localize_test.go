package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// three makes a store of groups 1 to 3, and leaves it open.
func three(t *testing.T, dir string) *Store {
	t.Helper()
	o := small(1)
	o.WatermarkDelay = time.Hour
	s := mustOpen(t, dir, o)
	for i := core.Index(1); i <= 3; i++ {
		for group := range membership.GroupID(3) {
			mustWrite(t, s, storage.Operation{Group: group + 1, HardState: &core.HardState{Term: core.Term(i)}, Append: entries(1, i, 1, 20)})
		}
	}
	return s
}

// leftBehind copies the directory of an open store, as a killed process leaves it.
func leftBehind(t *testing.T, s *Store) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// withWatermarkOf puts the watermark file of another directory into dir.
func withWatermarkOf(t *testing.T, dir, other string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(other, watermarkName))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, watermarkName), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkDamaged opens the store and expects that the groups named are damaged and that
// the others, of 1 to 3, end with an entry and take another one.
func checkDamaged(t *testing.T, dir string, last core.Index, damaged ...membership.GroupID) {
	t.Helper()
	s, err := Open(dir, small(1))
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s)
	is := make(map[membership.GroupID]bool)
	for _, group := range damaged {
		is[group] = true
	}
	for group := membership.GroupID(1); group <= 3; group++ {
		state, err := s.Load(t.Context(), group)
		_, readErr := s.Read(t.Context(), group, 1, 1, 1)
		if !is[group] {
			if err != nil || readErr != nil || state.Last.Index != last {
				t.Errorf("group %d: last %v, %v, %v", group, state.Last, err, readErr)
			}
			mustWrite(t, s, storage.Operation{Group: group, Append: entries(1, last+1, 1, 20)})
			continue
		}
		for _, err := range []error{err, readErr} {
			if !errors.Is(err, core.ErrCorrupt) || !strings.Contains(err.Error(), fmt.Sprintf("group %d:", group)) {
				t.Errorf("group %d: %v", group, err)
			}
		}
		batch := &storage.Batch{Operations: []storage.Operation{{Group: group, Append: entries(1, last+1, 1, 20)}}}
		if err := s.Write(t.Context(), batch); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("group %d: Write: %v", group, err)
		}
	}
}

// TestLastBatchLost: batches before the watermark are lost with the end of the log.
// Their groups are damaged, and stay so; the others go on.
func TestLastBatchLost(t *testing.T) {
	dir := t.TempDir()
	s := three(t, dir)
	left := leftBehind(t, s)
	mustWrite(t, s,
		storage.Operation{Group: 2, HardState: &core.HardState{Term: 7}},
		storage.Operation{Group: 3, HardState: &core.HardState{Term: 7}})
	withWatermarkOf(t, left, dir)
	mustClose(t, s)
	for i := range core.Index(3) {
		checkDamaged(t, left, 3+i, 2, 3)
	}
	// Nor does it matter whether the watermark tells of the opening that found it.
	withWatermarkOf(t, left, dir)
	checkDamaged(t, left, 6, 2, 3)
}

// TestOneGroupDamaged: what is lost in the middle is lost for its group.
func TestOneGroupDamaged(t *testing.T) {
	for name, change := range map[string]func(before []byte) func(*badger.Txn) error{
		"its record is gone": func([]byte) func(*badger.Txn) error {
			return func(txn *badger.Txn) error { return txn.Delete(groupKey(2)) }
		},
		"its record is older": func(before []byte) func(*badger.Txn) error {
			return func(txn *badger.Txn) error { return txn.Set(groupKey(2), before) }
		},
		"its record cannot be read": func([]byte) func(*badger.Txn) error {
			return func(txn *badger.Txn) error { return txn.Set(groupKey(2), []byte("no record")) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := three(t, dir)
			txn := s.versions.read()
			before, err := value(txn, groupKey(2))
			s.versions.done(txn)
			if err != nil {
				t.Fatal(err)
			}
			for group := range membership.GroupID(3) {
				mustWrite(t, s, storage.Operation{Group: group + 1, HardState: &core.HardState{Term: 9}})
			}
			mustClose(t, s)
			tamper(t, dir, change(before))
			mark, err := os.ReadFile(filepath.Join(dir, watermarkName))
			if err != nil {
				t.Fatal(err)
			}
			checkDamaged(t, dir, 3, 2)
			checkDamaged(t, dir, 4, 2)
			if err := os.WriteFile(filepath.Join(dir, watermarkName), mark, 0o600); err != nil {
				t.Fatal(err)
			}
			checkDamaged(t, dir, 5, 2)
		})
	}
}

// TestDamageOfUnknownGroups: where nobody knows whose a lost batch was, all of the
// store is damaged.
func TestDamageOfUnknownGroups(t *testing.T) {
	t.Run("too many groups", func(t *testing.T) {
		dir := t.TempDir()
		s := three(t, dir)
		left := leftBehind(t, s)
		mustWrite(t, s, storage.Operation{Group: 2, Append: entries(1, 4, 1, 20)})
		for group := range membership.GroupID(recentMax) {
			mustWrite(t, s, storage.Operation{Group: 100 + group, Append: entries(1, 1, 1, 20)})
		}
		mustClose(t, s)
		withWatermarkOf(t, left, dir)
		if s, err := Open(left, small(1)); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("Open: %v", err)
			mustClose(t, s)
		}
		tamper(t, dir, func(txn *badger.Txn) error { return txn.Delete(groupKey(2)) })
		if s, err := Open(dir, small(1)); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("Open without a record: %v", err)
			mustClose(t, s)
		}
	})
	t.Run("a watermark of the first version", func(t *testing.T) {
		dir := t.TempDir()
		s := three(t, dir)
		left := leftBehind(t, s)
		mustWrite(t, s, storage.Operation{Group: 2, HardState: &core.HardState{Term: 7}})
		mustClose(t, s)
		for _, dir := range []string{dir, left} {
			h := s.Header()
			mark := watermark{node: h.Node, incarnation: h.Incarnation, number: s.batch.number}
			if err := os.WriteFile(filepath.Join(dir, watermarkName), mark.encodeOld(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		checkDamaged(t, dir, 3)
		if s, err := Open(left, small(1)); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("Open: %v", err)
			mustClose(t, s)
		}
	})
	t.Run("the header", func(t *testing.T) {
		dir := t.TempDir()
		s := three(t, dir)
		left := leftBehind(t, s)
		if err := s.RecordPromise(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
		withWatermarkOf(t, left, dir)
		if s, err := Open(left, small(1)); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("Open: %v", err)
			mustClose(t, s)
		}
	})
}

// encodeOld writes w as the first version did.
func (w *watermark) encodeOld() []byte {
	b := append([]byte(watermarkMagic), 1)
	for _, n := range []uint64{uint64(w.node), uint64(w.incarnation), w.number} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// TestDamageIsLeftAsItWas: nothing is deleted of a damaged group, and looking at the
// store changes nothing.
func TestDamageIsLeftAsItWas(t *testing.T) {
	dir := t.TempDir()
	o := small(1)
	o.PurgeDelay = time.Hour
	s := mustOpen(t, dir, o)
	for i := core.Index(1); i <= 3; i++ {
		mustWrite(t, s, storage.Operation{Group: 2, Append: entries(1, i, 1, 20)})
	}
	mustWrite(t, s, storage.Operation{Group: 2, Purge: core.LogID{Term: 1, Index: 2}})
	left := leftBehind(t, s)
	mustWrite(t, s, storage.Operation{Group: 2, HardState: &core.HardState{Term: 9}})
	mustClose(t, s)
	withWatermarkOf(t, left, dir)
	for range 2 {
		s = mustOpen(t, left, inspecting())
		if _, err := s.Load(t.Context(), 2); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("Load: %v", err)
		}
		if len(s.unrecorded) != 1 {
			t.Error("the inspection has recorded the damage")
		}
		mustClose(t, s)
	}
	o.PurgeDelay = time.Nanosecond
	s = mustOpen(t, left, o)
	defer mustClose(t, s)
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 2, 20)})
	mustWrite(t, s, storage.Operation{Group: 1, Purge: core.LogID{Term: 1, Index: 2}})
	until(t, "the purger has run", func() bool { return len(chunkKeys(t, s, 1)) == 0 })
	if n := len(chunkKeys(t, s, 2)); n != 3 {
		t.Errorf("%d chunks of the damaged group are left of 3", n)
	}
}

// TestRecentOverAnOpening: what the watermark tells of groups goes on from what an
// opening has found.
func TestRecentOverAnOpening(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, three(t, dir))
	s := mustOpen(t, dir, small(1))
	for _, group := range []membership.GroupID{1, 3, 1} {
		mustWrite(t, s, storage.Operation{Group: group, HardState: &core.HardState{Term: 9}})
	}
	mustClose(t, s)
	mark, _, err := readWatermark(dir)
	if err != nil {
		t.Fatal(err)
	}
	var order []membership.GroupID
	for _, c := range mark.changes {
		order = append(order, c.group)
		if r := s.groups[c.group].record; c.batch != r.batch || c.weight != r.weight {
			t.Errorf("%+v, and the record is of batch %d", c, r.batch)
		}
	}
	if !slices.Equal(order, []membership.GroupID{1, 3, 2}) || mark.floor != 0 || mark.header == 0 {
		t.Errorf("groups %v, floor %d, header %d", order, mark.floor, mark.header)
	}
}

// TestRecent asserts what is known of the groups that were changed last.
func TestRecent(t *testing.T) {
	var r recent
	for batch := uint64(1); batch <= recentMax+10; batch++ {
		r.touch(change{membership.GroupID(batch), batch, 2 * batch})
	}
	r.touch(change{20, recentMax + 11, 7})
	changes := r.changes()
	if len(changes) != recentMax || changes[0] != (change{20, recentMax + 11, 7}) || changes[1].batch != recentMax+10 || r.floor != 10 {
		t.Errorf("%d changes from %+v on, floor %d", len(changes), changes[:2], r.floor)
	}
	for _, c := range changes[1:] {
		if c.group == 20 || c.batch <= r.floor {
			t.Errorf("%+v is there", c)
		}
	}
}
