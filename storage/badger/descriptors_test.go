package badger

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/exhaust"
)

// TestWatermarkWaitsForDescriptors: the file that says what is durable is not the log:
// a lack of descriptors that passes fails nothing.
func TestWatermarkWaitsForDescriptors(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		dir := t.TempDir()
		s := mustOpen(t, dir, small(1))
		defer mustClose(t, s)
		exhaust.ForAMoment(t)
		mustWrite(t, s, storage.Operation{Group: 1, HardState: &core.HardState{Term: 1}})
		if mark, _, err := readWatermark(dir); err != nil || mark.number != s.batch.number {
			t.Errorf("watermark %d of %d, %v", mark.number, s.batch.number, err)
		}
	})
	t.Run("late", func(t *testing.T) {
		dir := t.TempDir()
		o := small(1)
		o.WatermarkDelay = time.Millisecond
		s := mustOpen(t, dir, o)
		defer mustClose(t, s)
		behind := func() bool {
			s.marker.mu.Lock()
			defer s.marker.mu.Unlock()
			return !s.marker.behind.IsZero()
		}
		free := exhaust.Descriptors(t, 0)
		mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 1, 10)})
		until(t, "the watermark is late", behind)
		mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 2, 1, 10)})
		free()
		until(t, "the watermark is there", func() bool {
			mark, _, err := readWatermark(dir)
			return err == nil && mark.number == s.batch.number
		})
		if behind() {
			t.Error("the watermark is still called late")
		}
		mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 3, 1, 10)})
	})
}

// TestLogWithoutDescriptors: the log is synced without a descriptor of the store's own,
// and a memory table is begun when there is one.
func TestLogWithoutDescriptors(t *testing.T) {
	o := small(1)
	o.WatermarkDelay = time.Hour
	s := mustOpen(t, t.TempDir(), o)
	defer mustClose(t, s)
	free := exhaust.Descriptors(t, 0)
	if err := s.wal.closeFile(); err != nil {
		t.Fatal(err)
	}
	freeToo := exhaust.Descriptors(t, 0)
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 1, 10)})
	if s.wal.file != nil {
		t.Error("there was a descriptor")
	}
	freeToo()
	free()
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 2, 1, 10)})
	if s.wal.file == nil {
		t.Error("the file was not opened again")
	}
	exhaust.ForAMoment(t)
	for i := core.Index(3); i < 30; i++ { // more than a memory table
		mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, i, 1, 400<<10)})
	}
}

// TestFatalLackIsNamed: what the system refused is found in the error of a write that
// could not be carried out.
func TestFatalLackIsNamed(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small(1))
	defer mustClose(t, s)
	s.wal.flush = func() error { return errors.New("sync 00001.mem err: input/output error") }
	err := s.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{{Group: 1, Append: entries(1, 1, 1, 10)}}})
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("Write: %v", err)
	}
}

// until waits for what comes by itself.
func until(t *testing.T, what string, there func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !there(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s", what)
		}
	}
}
