package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/fileset"
)

// machine is a key-value store in append-only files, of which each but the newest is never
// written again. Its directory has
//
//	CURRENT     the name of the directory that counts
//	state-N/    the segments
//	view-N/     links to them, for a snapshot that is being made
//
// Apply compacts: it moves what lives of a segment that is mostly dead, and removes it.
type machine struct {
	dir          string
	segmentBytes int64
	// onStep, of tests, is called at each step of Restore.
	onStep func(string)

	mu sync.RWMutex // readers run beside Apply
	*state
	// number is that of the directory that counts; views counts the views.
	number, views int
}

var _ storage.FileMachine = (*machine)(nil)

const (
	currentName = "CURRENT"
	statePrefix = "state-"
	viewPrefix  = "view-"
)

// openMachine opens a machine, and removes what a crash has left in its directory.
func openMachine(ctx context.Context, dir string, segmentBytes int64) (*machine, error) {
	m := &machine{dir: dir, segmentBytes: segmentBytes}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	name, err := os.ReadFile(filepath.Join(dir, currentName))
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if _, err := fmt.Sscanf(string(name), statePrefix+"%d", &m.number); err != nil {
			return nil, fmt.Errorf("%s: %q is no directory of segments", dir, name)
		}
	}
	if err := m.removeOthers(); err != nil {
		return nil, err
	}
	if m.number == 0 {
		if err := os.Mkdir(m.stateDir(1), 0o700); err != nil {
			return nil, err
		}
		if err := m.count(1); err != nil {
			return nil, err
		}
	}
	m.state, err = load(ctx, m.stateDir(m.number), segmentBytes)
	return m, err
}

func (m *machine) stateDir(number int) string {
	return filepath.Join(m.dir, fmt.Sprintf("%s%d", statePrefix, number))
}

// removeOthers removes what does not count.
func (m *machine) removeOthers() error {
	entries, err := os.ReadDir(m.dir)
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, viewPrefix) || strings.HasPrefix(name, statePrefix) && filepath.Join(m.dir, name) != m.stateDir(m.number) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(m.dir, name)))
		}
	}
	return err
}

// count lets another directory count, in one step.
func (m *machine) count(number int) error {
	aside := filepath.Join(m.dir, currentName+".tmp")
	f, err := os.Create(aside)
	if err != nil {
		return err
	}
	_, err = f.WriteString(filepath.Base(m.stateDir(number)))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	m.step("written")
	if err := os.Rename(aside, filepath.Join(m.dir, currentName)); err != nil {
		return err
	}
	m.step("counts")
	m.number = number
	return syncDir(m.dir)
}

func (m *machine) step(name string) {
	if m.onStep != nil {
		m.onStep(name)
	}
}

// close closes the files.
func (m *machine) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tail.Close()
}

// Apply implements troupe.StateMachine. Each entry has one record, and is durable when it
// returns.
func (m *machine) Apply(ctx context.Context, entries []troupe.Entry) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := m.compact(); err != nil {
			return nil, err
		}
		e := &entries[i]
		rec := &record{kind: kindMark, id: e.LogID}
		if key, _, ok := splitPut(e.Data); ok && e.Kind == troupe.EntryCommand {
			rec.kind, rec.key, rec.payload = kindPut, key, e.Data
		}
		if err := m.write(rec); err != nil {
			return nil, err
		}
	}
	return nil, m.tail.Sync()
}

// Applied implements troupe.StateMachine: each record says of which entry it is.
func (m *machine) Applied() (troupe.LogID, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.last, nil
}

// View implements troupe.StateMachine.
func (m *machine) View() (troupe.SnapshotView, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.views++
	return fileset.NewView(filepath.Join(m.dir, fmt.Sprintf("%s%d", viewPrefix, m.views)), m.files())
}

// SealedFiles implements storage.FileMachine.
func (m *machine) SealedFiles() []storage.File {
	m.mu.RLock()
	defer m.mu.RUnlock()
	files := m.files()
	return files[:len(files)-1]
}

// Restore implements troupe.StateMachine.
func (m *machine) Restore(ctx context.Context, r io.Reader) error {
	next := m.number + 1
	dir := m.stateDir(next)
	if _, err := fileset.Extract(ctx, r, dir); err != nil {
		return err
	}
	m.step("extracted")
	s, err := load(ctx, dir, m.segmentBytes)
	if err != nil {
		if s != nil && s.tail != nil {
			err = errors.Join(err, s.tail.Close())
		}
		return errors.Join(err, os.RemoveAll(dir))
	}
	m.step("loaded")
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.state
	if err := m.count(next); err != nil {
		return errors.Join(err, s.tail.Close())
	}
	s.removed = old.removed
	m.state = s
	err = errors.Join(old.tail.Close(), os.RemoveAll(old.dir))
	m.step("removed")
	return err
}

// Get reads the present value of a key.
func (m *machine) Get(key string) (value []byte, there bool, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.get(key)
}

// figures says how many segments there are, and how many were removed.
func (m *machine) figures() (segments, removed int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.segments), m.removed
}
