package main

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/trouperaft/troupe"
)

// machine is what the cluster replicates: the set of the commands that were
// applied. A set does not mind a command that comes twice, so that a write of
// unknown outcome can simply be written again. It keeps nothing over a restart:
// the log, or a snapshot, brings everything back.
type machine struct {
	troupe.Volatile

	mu       sync.Mutex // readers run beside Apply
	commands map[string]bool
}

func newMachine() *machine { return &machine{commands: make(map[string]bool)} }

// Apply implements troupe.StateMachine.
func (m *machine) Apply(_ context.Context, entries []troupe.Entry) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		if e.Kind == troupe.EntryCommand {
			m.commands[string(e.Data)] = true
		}
	}
	return make([][]byte, len(entries)), nil
}

// content returns all commands in order.
func (m *machine) content() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]string, 0, len(m.commands))
	for command := range m.commands {
		all = append(all, command)
	}
	slices.Sort(all)
	return all
}

// View implements troupe.StateMachine.
func (m *machine) View() (troupe.SnapshotView, error) { return view(m.content()), nil }

// Restore implements troupe.StateMachine.
func (m *machine) Restore(_ context.Context, r io.Reader) error {
	commands := make(map[string]bool)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		commands[lines.Text()] = true
	}
	if err := lines.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commands = commands
	return nil
}

// view is a snapshot: a command on each line.
type view []string

// WriteTo implements troupe.SnapshotView.
func (v view) WriteTo(w io.Writer) (int64, error) {
	if len(v) == 0 {
		return 0, nil
	}
	n, err := io.WriteString(w, strings.Join(v, "\n")+"\n")
	return int64(n), err
}

// Close implements troupe.SnapshotView.
func (view) Close() error { return nil }
