package memory_test

import (
	"testing"

	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
	"github.com/trouperaft/troupe/storage/storagetest"
)

func TestSnapshotStore(t *testing.T) {
	storagetest.SnapshotStore(t, func(string) (storage.SnapshotStore, error) { return memory.NewSnapshots(), nil }, false)
}
