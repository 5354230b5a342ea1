package memory_test

import (
	"sync"
	"testing"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
	"github.com/trouperaft/troupe/storage/storagetest"
)

// shelf keeps stores under the names of directories.
type shelf struct {
	mu     sync.Mutex
	stores map[string]*memory.Store
}

func (f *shelf) open(dir string, node membership.NodeID) (storage.LogStore, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stores[dir]
	if s == nil {
		s = memory.New(node)
		f.stores[dir] = s
		return s, nil
	}
	if owner := s.Header().Node; owner != node {
		return nil, &storage.WrongNodeError{Store: dir, Node: node, Owner: owner}
	}
	return s, s.Reopen()
}

func (f *shelf) inspect(dir string, node membership.NodeID) (storage.LogStore, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stores[dir]
	if s == nil {
		return nil, storage.ErrNotFound
	}
	if owner := s.Header().Node; owner != node {
		return nil, &storage.WrongNodeError{Store: dir, Node: node, Owner: owner}
	}
	return s, s.Inspect()
}

func newShelf() *shelf { return &shelf{stores: make(map[string]*memory.Store)} }

func TestLogStore(t *testing.T) { storagetest.LogStore(t, newShelf().open) }

func TestInspectLogStore(t *testing.T) {
	f := newShelf()
	storagetest.InspectLogStore(t, f.open, f.inspect)
}

// TestOpenTwice: a store that is open is not opened again, in no way.
func TestOpenTwice(t *testing.T) {
	s := memory.New(1)
	if s.Reopen() == nil || s.Inspect() == nil {
		t.Error("an open store was opened")
	}
	if n := s.Header().StartCounter; n != 1 {
		t.Errorf("start counter %d", n)
	}
}

func BenchmarkLogStore(b *testing.B) { storagetest.BenchmarkLogStore(b, newShelf().open) }
