package powerloss

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

// logStores are all durable log stores: how each is opened in a directory. A store is
// small here, so that its files come and go.
var logStores = map[string]func(dir string) (storage.LogStore, error){
	"badger": func(dir string) (storage.LogStore, error) {
		return badger.Open(dir, badger.Options{Node: 1, FreeBytesMin: -1, MemTableBytes: 8 << 20})
	},
}

// snapshotStores are all durable snapshot stores.
var snapshotStores = map[string]func(dir string) (storage.SnapshotStore, error){
	"files": func(dir string) (storage.SnapshotStore, error) { return files.Open(dir, nil) },
}

// album is a snapshot store that holds a snapshot after so many steps, again and again,
// and only the newest.
type album struct {
	storage.SnapshotStore
	dir    string
	newest int
}

// albumEvery is how many steps lie between two snapshots.
const albumEvery = 150

// openAlbum opens the store in dir. Its newest snapshot must be that of step low, or a
// later one up to high, and whole.
func openAlbum(kind, dir string, low, high int) (*album, error) {
	s, err := snapshotStores[kind](filepath.Join(dir, "snapshots"))
	if err != nil {
		return nil, err
	}
	meta, err := s.Newest(context.Background(), 1)
	if err != nil {
		return nil, err
	}
	a := &album{s, dir, int(meta.Index)}
	if a.newest < low || a.newest > high {
		return nil, fmt.Errorf("the newest snapshot is that of step %d, and that of %d was committed", a.newest, low)
	}
	if a.newest == 0 {
		return a, nil
	}
	r, err := s.Open(context.Background(), 1, meta.LogID)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err == nil && !bytes.Equal(got, contentOf(a.newest)) {
		err = fmt.Errorf("the snapshot of step %d holds something else", a.newest)
	}
	return a, err
}

// picture is what the snapshot of a step holds.
func picture(step int) []byte {
	b := make([]byte, 0, 400<<10)
	for n := uint64(step); len(b) < 40<<10+step*8_191%(300<<10); n += 0x9e3779b97f4a7c15 {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

// take makes a snapshot of a step if one is due.
func (a *album) take(step int) (taken bool, err error) {
	if step < a.newest+albumEvery {
		return false, nil
	}
	meta := core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: core.Index(step)}}
	switch store, keepsFiles := a.SnapshotStore.(storage.FileStore); {
	case keepsFiles && step%kinds == kindFiles:
		err = a.takeFiles(store, meta)
	case keepsFiles && step%kinds == kindArrival:
		err = a.arrive(store, meta)
	default:
		err = a.write(meta, contentOf(step))
	}
	if err != nil {
		return false, err
	}
	a.newest = step
	return true, nil
}

func (a *album) write(meta core.SnapshotMeta, content []byte) error {
	w, err := a.Create(context.Background(), 1, meta)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return errors.Join(err, w.Abort())
	}
	_, err = w.Commit(core.SnapshotMeta{})
	return err
}

// tidy removes the older ones.
func (a *album) tidy() error {
	return a.RemoveBelow(context.Background(), 1, core.Index(a.newest))
}

// close lets go of the directory.
func (a *album) close() error {
	if c, is := a.SnapshotStore.(io.Closer); is {
		return c.Close()
	}
	return nil
}
