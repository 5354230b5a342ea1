package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/storagetest"
)

func opened(t *testing.T, dir string, segmentBytes int64) *machine {
	t.Helper()
	m, err := openMachine(t.Context(), dir, segmentBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.close() })
	return m
}

// content is all that a machine holds.
func content(t *testing.T, m *machine) string {
	t.Helper()
	var all []string
	for key := range m.keys {
		value, there, err := m.Get(key)
		if err != nil || !there {
			t.Fatalf("%s: %t, %v", key, there, err)
		}
		all = append(all, fmt.Sprintf("%s=%s", key, value))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// TestMachine runs the suite of state machines.
func TestMachine(t *testing.T) {
	storagetest.StateMachine(t, storagetest.Machine{
		New: func(t *testing.T) storage.StateMachine { return opened(t, t.TempDir(), 200) },
		// Each key is written again and again, so that segments are compacted.
		Command: func(i int) []byte { return put(fmt.Sprintf("key %d", i%7), fmt.Appendf(nil, "value %d", i)) },
		Content: func(t *testing.T, m storage.StateMachine) string { return content(t, m.(*machine)) },
		Reopen: func(t *testing.T, m storage.StateMachine) storage.StateMachine {
			if err := m.(*machine).close(); err != nil {
				t.Fatal(err)
			}
			return opened(t, m.(*machine).dir, 200)
		},
	})
}

// entries are puts of some keys.
func entries(first, last, keys int) (all []troupe.Entry) {
	for i := first; i <= last; i++ {
		e := troupe.Entry{LogID: troupe.LogID{Term: 1, Index: troupe.Index(i)}, Kind: troupe.EntryCommand, Data: put(fmt.Sprintf("key %d", i%keys), fmt.Appendf(nil, "value %d", i))}
		if i%11 == 0 {
			e.Kind, e.Data = troupe.EntryBlank, nil
		}
		all = append(all, e)
	}
	return all
}

func apply(t *testing.T, m *machine, all []troupe.Entry, batch int) {
	t.Helper()
	for some := range slices.Chunk(all, batch) {
		if _, err := m.Apply(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFilesAreAFunctionOfTheLog: whatever the batches were, and however often it was opened.
func TestFilesAreAFunctionOfTheLog(t *testing.T) {
	var want []storage.File
	for _, batch := range []int{1, 7, 1000} {
		dir := t.TempDir()
		m := opened(t, dir, 300)
		apply(t, m, entries(1, 300, 13), batch)
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
		m = opened(t, dir, 300)
		apply(t, m, entries(301, 600, 13), batch)
		if m.removed == 0 || len(m.segments) < 3 {
			t.Fatalf("%d segments were removed of %d", m.removed, len(m.segments))
		}
		got := m.files()
		for i := range got {
			got[i].Path = ""
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("in batches of %d: %v, want %v", batch, got, want)
		}
	}
}

// snapshot is one as a stream.
func snapshot(t *testing.T, m *machine) []byte {
	t.Helper()
	v, err := m.View()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := v.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	return b.Bytes()
}

// TestKilledInRestore kills the process at each step of the switch: the machine holds what it
// held, or what was restored, and nothing else is left.
func TestKilledInRestore(t *testing.T) {
	source := opened(t, t.TempDir(), 300)
	apply(t, source, entries(1, 500, 13), 50)
	stream, restored := snapshot(t, source), content(t, source)
	dir := t.TempDir()
	m := opened(t, dir, 300)
	apply(t, m, entries(1, 200, 17), 50)
	before := content(t, m)
	var steps, left []string
	m.onStep = func(step string) {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		steps, left = append(steps, step), append(left, copied)
	}
	if err := m.Restore(t.Context(), bytes.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"extracted", "loaded", "written", "counts", "removed"}; !slices.Equal(steps, want) {
		t.Fatalf("the steps are %v, want %v", steps, want)
	}
	for i, step := range steps {
		after := opened(t, left[i], 300)
		want, at := before, troupe.Index(200)
		if i >= slices.Index(steps, "counts") {
			want, at = restored, 500
		}
		if got := content(t, after); got != want || after.last.Index != at {
			t.Errorf("%s: it stands at %v, want %d", step, after.last, at)
		}
		names, err := os.ReadDir(left[i])
		if states := slices.DeleteFunc(names, func(d os.DirEntry) bool { return !d.IsDir() }); err != nil || len(states) != 1 {
			t.Errorf("%s: %v are left, %v", step, states, err)
		}
		// It is restored again, and goes on.
		if err := after.Restore(t.Context(), bytes.NewReader(stream)); err != nil {
			t.Fatal(err)
		}
		apply(t, after, entries(501, 600, 13), 10)
	}
}

// TestKilledInApply cuts what was written last at every byte: what was durable is there, and
// the rest is applied again.
func TestKilledInApply(t *testing.T) {
	dir := t.TempDir()
	m := opened(t, dir, 1<<20)
	apply(t, m, entries(1, 20, 5), 20)
	durable := m.segments[0].bytes
	apply(t, m, entries(21, 23, 5), 3)
	want, all := content(t, m), m.segments[0].bytes
	for cut := durable; cut < all; cut++ {
		copied := t.TempDir()
		if err := errors.Join(os.CopyFS(copied, os.DirFS(dir)), os.Truncate(filepath.Join(copied, statePrefix+"1", segmentName(1)), cut)); err != nil {
			t.Fatal(err)
		}
		after := opened(t, copied, 1<<20)
		if after.last.Index < 20 || after.last.Index > 22 {
			t.Fatalf("cut to %d of %d bytes it stands at %v", cut, all, after.last)
		}
		apply(t, after, entries(int(after.last.Index)+1, 23, 5), 3)
		if got := content(t, after); got != want {
			t.Fatalf("cut to %d of %d bytes it holds %q, want %q", cut, all, got, want)
		}
	}
}

// TestDamagedSegmentIsFound: when a machine is opened, or a snapshot made.
func TestDamagedSegmentIsFound(t *testing.T) {
	dir := t.TempDir()
	m := opened(t, dir, 300)
	apply(t, m, entries(1, 100, 50), 10)
	name := m.segments[0].path
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[40] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := m.View()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.WriteTo(io.Discard); !errors.Is(err, troupe.ErrCorrupt) {
		t.Errorf("a snapshot: %v", err)
	}
	_ = v.Close()
	if _, err := openMachine(context.Background(), dir, 300); !errors.Is(err, troupe.ErrCorrupt) {
		t.Errorf("opened: %v", err)
	}
}
