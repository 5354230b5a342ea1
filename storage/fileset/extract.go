package fileset

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// Extract makes the files of a snapshot in the directory dir, which must not be there, and
// returns them with their paths, durable. So it is what a machine's Restore begins with,
// which then lets the directory take the place of its old one in one step: a file that names
// the one that counts, renamed, will do.
//
// r is what Restore is given. Sealed files become links to those of the snapshot store, where
// it keeps them by themselves and the file system can. Others are written anew, so that the
// machine may write to them. All is read, and each file's checksum compared: damage wraps
// core.ErrCorrupt. Names that no node may make are a *NameError, before anything is made.
// After an error nothing is left of dir.
func Extract(ctx context.Context, r io.Reader, dir string) ([]storage.File, error) {
	_, files, err := ReadHead(r)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	if err := extract(ctx, r, dir, files); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return files, nil
}

func extract(ctx context.Context, r io.Reader, dir string, files []storage.File) error {
	directories := map[string]bool{dir: true}
	order := []string{dir}
	for i := range files {
		f := &files[i]
		f.Path = filepath.Join(dir, filepath.FromSlash(f.Name))
		for d := filepath.Dir(f.Path); !directories[d]; d = filepath.Dir(d) {
			directories[d] = true
			order = append(order, d)
		}
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
			return fmt.Errorf("fileset: %w", err)
		}
		if err := extractFile(ctx, r, f); err != nil {
			return err
		}
	}
	var one [1]byte
	if n, err := r.Read(one[:]); n > 0 {
		return corrupt("there is something behind the last file")
	} else if err != nil && err != io.EOF {
		return err
	}
	for _, d := range append(order, filepath.Dir(dir)) {
		if err := disk.SyncDir(d); err != nil {
			return fmt.Errorf("fileset: %w", err)
		}
	}
	return nil
}

// extractFile links a file, or writes it. What is linked is read all the same.
func extractFile(ctx context.Context, r io.Reader, f *storage.File) error {
	hash := sha256.New()
	linker, links := r.(interface{ Link(file, path string) error })
	if f.Sealed && links && linker.Link(f.Name, f.Path) == nil {
		if err := copyOut(ctx, hash, r, f); err != nil {
			return err
		}
	} else if err := writeOut(ctx, hash, r, f); err != nil {
		return err
	}
	if [sha256.Size]byte(hash.Sum(nil)) != f.SHA256 {
		return corrupt("%s has a bad checksum", f.Name)
	}
	return nil
}

func writeOut(ctx context.Context, hash io.Writer, r io.Reader, f *storage.File) error {
	file, err := os.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("fileset: %w", err)
	}
	if err := copyOut(ctx, io.MultiWriter(hash, file), r, f); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("fileset: %w", err)
	}
	return nil
}

func copyOut(ctx context.Context, to io.Writer, r io.Reader, f *storage.File) error {
	for left := int64(f.SizeBytes); left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(to, r, min(left, 1<<20))
		if left -= n; err != nil {
			return cutOff(err)
		}
	}
	return nil
}
