package memory_test

import (
	"sync"
	"testing"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
	"github.com/trouperaft/troupe/storage/storagetest"
)

// opener keeps stores under the names of directories.
func opener() storagetest.OpenLog {
	var mu sync.Mutex
	stores := make(map[string]*memory.Store)
	return func(dir string, node membership.NodeID) (storage.LogStore, error) {
		mu.Lock()
		defer mu.Unlock()
		s := stores[dir]
		if s == nil {
			s = memory.New(node)
			stores[dir] = s
			return s, nil
		}
		if owner := s.Header().Node; owner != node {
			return nil, &storage.WrongNodeError{Store: dir, Node: node, Owner: owner}
		}
		return s, s.Reopen()
	}
}

func TestLogStore(t *testing.T) { storagetest.LogStore(t, opener()) }

func BenchmarkLogStore(b *testing.B) { storagetest.BenchmarkLogStore(b, opener()) }
