package main

import (
	"bufio"
	"context"
	"io"
	"maps"
	"strings"
	"sync"

	"github.com/trouperaft/troupe"
)

// machine is what the cluster replicates: the latest value of each key. A
// command is "key=value"; one that comes twice does no harm, so that a write of
// unknown outcome can simply be written again. It keeps nothing over a restart:
// the log, or a snapshot, brings everything back.
type machine struct {
	troupe.Volatile

	mu     sync.Mutex // readers run beside Apply
	values map[string]string
}

func newMachine() *machine { return &machine{values: make(map[string]string)} }

// Apply implements troupe.StateMachine.
func (m *machine) Apply(_ context.Context, entries []troupe.Entry) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		if e.Kind == troupe.EntryCommand {
			key, value, _ := strings.Cut(string(e.Data), "=")
			m.values[key] = value
		}
	}
	return make([][]byte, len(entries)), nil
}

// value returns "" for a key that was never written.
func (m *machine) value(key string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key]
}

// View implements troupe.StateMachine.
func (m *machine) View() (troupe.SnapshotView, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return view(maps.Clone(m.values)), nil
}

// Restore implements troupe.StateMachine.
func (m *machine) Restore(_ context.Context, r io.Reader) error {
	values := make(map[string]string)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		values[key] = value
	}
	if err := lines.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values = values
	return nil
}

// view is a snapshot: a command on each line.
type view map[string]string

// WriteTo implements troupe.SnapshotView.
func (v view) WriteTo(w io.Writer) (int64, error) {
	var text strings.Builder
	for key, value := range v {
		text.WriteString(key + "=" + value + "\n")
	}
	n, err := io.WriteString(w, text.String())
	return int64(n), err
}

// Close implements troupe.SnapshotView.
func (view) Close() error { return nil }
