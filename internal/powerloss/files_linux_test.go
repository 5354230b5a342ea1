package powerloss

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/fileset"
)

// The snapshots of an album are of kinds, by their steps: one stream, files of a machine, or
// files that arrive.
const (
	kindStream = iota
	kindFiles
	kindArrival
	kinds
)

const partBytes = 48 << 10

// partsOf are the files of the snapshot of a step. The first is in all of them.
func partsOf(step int) (files []storage.File, contents [][]byte) {
	contents = append(contents, picture(1))
	for rest := picture(step); len(rest) > 0; {
		n := min(len(rest), partBytes)
		contents, rest = append(contents, rest[:n]), rest[n:]
	}
	for i, content := range contents {
		files = append(files, storage.File{Name: fmt.Sprintf("part-%03d", i), SizeBytes: uint64(len(content)), SHA256: sha256.Sum256(content), Sealed: i < len(contents)-1})
	}
	return files, contents
}

// contentOf is what the snapshot of a step holds.
func contentOf(step int) []byte {
	if step%kinds == kindStream {
		return picture(step)
	}
	files, contents := partsOf(step)
	content, err := fileset.Head(files)
	if err != nil {
		panic(err)
	}
	for _, part := range contents {
		content = append(content, part...)
	}
	return content
}

// takeFiles makes a snapshot of the files of a machine, which has synced none, and removes
// them.
func (a *album) takeFiles(store storage.FileStore, meta core.SnapshotMeta) error {
	dir := filepath.Join(a.dir, "machine")
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return err
	}
	files, contents := partsOf(int(meta.Index))
	for i := range files {
		files[i].Path = filepath.Join(dir, files[i].Name)
		if err := os.WriteFile(files[i].Path, contents[i], 0o600); err != nil {
			return err
		}
	}
	_, err := store.CreateFiles(context.Background(), 1, meta, files)
	return errors.Join(err, os.RemoveAll(dir))
}

// arrive lets a snapshot arrive of which the store may have a part.
func (a *album) arrive(store storage.FileStore, meta core.SnapshotMeta) error {
	content := contentOf(int(meta.Index))
	files, _ := partsOf(int(meta.Index))
	head, err := fileset.Head(files)
	if err != nil {
		return err
	}
	meta.SizeBytes, meta.Checksum = uint64(len(content)), crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
	w, _, err := store.ResumeFiles(context.Background(), 1, meta, uint64(len(head)), nil)
	if err != nil {
		return err
	}
	for at := w.At(); at < meta.SizeBytes; at = w.At() {
		to := min(at+10_000, meta.SizeBytes)
		if at < uint64(len(head)) {
			to = min(to, uint64(len(head)))
		}
		for _, part := range w.Had() {
			if part.From > at {
				to = min(to, part.From)
				break
			}
		}
		if _, err := w.Write(content[at:to]); err != nil {
			return errors.Join(err, w.Abort())
		}
	}
	_, err = w.Commit(meta)
	return err
}
