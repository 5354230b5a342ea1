package files

import (
	"testing"

	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/storagetest"
)

func TestSnapshotStore(t *testing.T) {
	storagetest.SnapshotStore(t, func(dir string) (storage.SnapshotStore, error) { return Open(dir, nil) }, true)
}

func TestFileStore(t *testing.T) {
	storagetest.FileStore(t, func(dir string) (storage.SnapshotStore, error) { return Open(dir, nil) })
}
