package troupe_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/metrics"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/fileset"
)

// shelf is a state machine that keeps each command in a file of its own.
type shelf struct {
	troupe.Volatile
	dir string

	mu    sync.Mutex
	files []storage.File
	made  int // names of directories, and of files
}

func (s *shelf) next(what string) string {
	s.made++
	return filepath.Join(s.dir, fmt.Sprintf("%s-%d", what, s.made))
}

// Apply implements troupe.StateMachine.
func (s *shelf) Apply(_ context.Context, entries []troupe.Entry) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		if e.Kind != troupe.EntryCommand {
			continue
		}
		content := strings.Repeat(string(e.Data), 1+1000/len(e.Data))
		f := storage.File{Name: fmt.Sprintf("%06d", len(s.files)), SizeBytes: uint64(len(content)), Sealed: true, Path: s.next("file")}
		if err := os.WriteFile(f.Path, []byte(content), 0o600); err != nil {
			return nil, err
		}
		s.files = append(s.files, f)
	}
	return nil, nil
}

// View implements troupe.StateMachine.
func (s *shelf) View() (troupe.SnapshotView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fileset.NewView(s.next("view"), s.files)
}

// Restore implements troupe.StateMachine.
func (s *shelf) Restore(ctx context.Context, r io.Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, err := fileset.Extract(ctx, r, s.next("restored"))
	if err == nil {
		s.files = files
	}
	return err
}

// SealedFiles implements storage.FileMachine.
func (s *shelf) SealedFiles() []storage.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]storage.File(nil), s.files...)
}

// content is all of it.
func (s *shelf) content(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, f := range s.SealedFiles() {
		b, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// TestWhatIsNotSentIsTold: a member that was away has most files of the snapshot in its own
// older one. What it was spared stands in the event, the metric and the span.
func TestWhatIsNotSentIsTold(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = 3 * time.Second // who sends it leads until it hears that it has come
	settings.SnapshotEntries, settings.KeepEntries, settings.HoldBytesMax = troupe.Never, 1, troupe.Never
	settings.CommandBytesMax, settings.LogCacheBytesMax = 256, 512 // memory does not make up for the log
	readers, shelves := make(map[troupe.NodeID]*metric.ManualReader), make(map[troupe.NodeID]*shelf)
	c := newTraced(t, 3, settings, nobody, func(m *member) {
		store, err := files.Open(t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		reader := metric.NewManualReader()
		readers[m.id] = reader
		m.keeps, m.meter = store, metric.NewMeterProvider(metric.WithReader(reader))
		m.machineOf = func() troupe.StateMachine {
			shelves[m.id] = &shelf{dir: t.TempDir()}
			return shelves[m.id]
		}
	})
	c.form(t)
	leader, away := c.leader(), c.follower()
	for i := range 40 {
		leader.propose(t, fmt.Sprint("write ", i))
	}
	c.settle(t)
	if _, err := away.raft.Snapshot(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	away.raft.Kill()
	for i := range 5 {
		leader.propose(t, fmt.Sprint("another write ", i, strings.Repeat("!", 200)))
	}
	// Any of the others may lead by the time it is back.
	c.settle(t)
	told := make(chan string, 2)
	var meta troupe.SnapshotMeta
	for _, m := range c.running() {
		var err error
		if meta, err = m.raft.Snapshot(within(t, 20*time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := m.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Purged+1 >= meta.Index }); err != nil {
			t.Fatal(err)
		}
		events := m.raft.Events(within(t, 60*time.Second))
		go func() {
			for e := range events {
				if e.Kind == troupe.EventSnapshotSent {
					told <- e.Text
					return
				}
			}
		}()
	}
	c.restart(away, settings)
	if err := away.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Applied >= meta.Index }); err != nil {
		t.Fatal(err)
	}
	spared := int64(0)
	for _, reader := range readers {
		spared += sumOf(t, reader, metrics.SnapshotSpared)
	}
	if spared < int64(meta.SizeBytes)/2 { // a transfer that begins anew counts again
		t.Errorf("%d bytes of %d were spared", spared, meta.SizeBytes)
	}
	select {
	case text := <-told:
		// It may have failed before: the member restores its own at first.
		if want := fmt.Sprintf(" of %d bytes were there", meta.SizeBytes); !strings.Contains(text, want) {
			t.Errorf("the event says %q, want %q", text, want)
		}
	case <-time.After(20 * time.Second):
		t.Error("no event says that the snapshot was sent")
	}
	if got, want := shelves[away.id].content(t), shelves[leader.id].content(t); got != want || want == "" {
		t.Errorf("it holds %d bytes, and the leader %d", len(got), len(want))
	}
	said := false
	for _, s := range c.stop(t) {
		if s.Name == "raft.snapshot.send" {
			n, ok := s.Attributes["raft.snapshot.spared"].(int64)
			said = said || ok && n > int64(meta.SizeBytes)/2 && n <= spared
		}
	}
	if !said {
		t.Errorf("no span says what was spared of %d bytes", meta.SizeBytes)
	}
}

// sumOf is the sum of a counter of a node.
func sumOf(t *testing.T, reader metric.Reader, id metrics.ID) (sum int64) {
	t.Helper()
	var shown metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &shown); err != nil {
		t.Fatal(err)
	}
	for _, scope := range shown.ScopeMetrics {
		for _, m := range scope.Metrics {
			if data, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == string(id) {
				for _, p := range data.DataPoints {
					sum += p.Value
				}
			}
		}
	}
	return sum
}
