package fileset

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// NewView makes a view of files, which may be written and removed as soon as it returns. So
// it is what a machine's View returns. It makes the directory dir, which must not be there
// and be on the file system of the files, and removes it when the view is closed. A machine
// that starts removes what a crash has left there.
//
// Sealed files are linked into dir. Others are copied, exactly SizeBytes of them, as are
// sealed ones where there can be no link: that happens inside the machine's View. Names that
// no node may make are a *NameError, and what is not a regular file of at least SizeBytes,
// exactly SizeBytes if it is sealed, is an error: then nothing is left of dir. Symbolic links
// are not followed.
func NewView(dir string, files []storage.File) (storage.FileView, error) {
	if err := CheckNames(files); err != nil {
		return nil, err
	}
	if len(files) > FilesMax {
		return nil, fmt.Errorf("fileset: %d files: at most %d can be one snapshot", len(files), FilesMax)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	v := &view{dir: dir, files: Sorted(files)}
	for i := range v.files {
		f := &v.files[i]
		path := filepath.Join(dir, strconv.Itoa(i))
		if err := take(f, path); err != nil {
			return nil, errors.Join(fmt.Errorf("fileset: %s: %w", f.Name, err), os.RemoveAll(dir))
		}
		f.Path = path
	}
	return v, nil
}

// take links or copies a file.
func take(f *storage.File, path string) error {
	info, err := os.Lstat(f.Path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case uint64(info.Size()) < f.SizeBytes || f.Sealed && uint64(info.Size()) != f.SizeBytes:
		return fmt.Errorf("it has %d bytes, and should have %d", info.Size(), f.SizeBytes)
	}
	if f.Sealed && os.Link(f.Path, path) == nil {
		return nil
	}
	from, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(to, from, int64(f.SizeBytes))
	return errors.Join(err, to.Close())
}

// view is a directory of links and copies.
type view struct {
	dir   string
	files []storage.File
}

// Files implements storage.FileView.
func (v *view) Files() []storage.File { return v.files }

// WriteTo implements storage.SnapshotView. It reads the files whose checksum is not known
// twice.
func (v *view) WriteTo(w io.Writer) (int64, error) { return Write(w, v.files) }

// Close implements storage.SnapshotView.
func (v *view) Close() error {
	if err := os.RemoveAll(v.dir); err != nil {
		return fmt.Errorf("fileset: %w", err)
	}
	return nil
}

// Write writes the content of a snapshot that is made of files, as one stream. They must not
// change meanwhile. A file that has another size or checksum than it should wraps
// core.ErrCorrupt.
func Write(w io.Writer, files []storage.File) (written int64, err error) {
	files = Sorted(files)
	for i := range files {
		if f := &files[i]; f.SHA256 == ([sha256.Size]byte{}) {
			if f.SHA256, err = copyFile(io.Discard, f); err != nil {
				return 0, err
			}
		}
	}
	head, err := Head(files)
	if err != nil {
		return 0, err
	}
	n, err := w.Write(head)
	written = int64(n)
	for i := 0; i < len(files) && err == nil; i++ {
		f := &files[i]
		var sum [sha256.Size]byte
		if sum, err = copyFile(w, f); err == nil {
			written += int64(f.SizeBytes)
			if sum != f.SHA256 {
				err = corrupt("%s has another checksum than it should", f.Name)
			}
		}
	}
	return written, err
}

// copyFile writes exactly what a file should have, and returns its checksum.
func copyFile(w io.Writer, f *storage.File) (sum [sha256.Size]byte, err error) {
	from, err := os.Open(f.Path)
	if err != nil {
		return sum, fmt.Errorf("fileset: %w", err)
	}
	defer from.Close()
	hash := sha256.New()
	n, err := io.CopyN(io.MultiWriter(w, hash), from, int64(f.SizeBytes))
	switch {
	case errors.Is(err, io.EOF):
		return sum, fmt.Errorf("fileset: %w: %s has %d bytes, and should have %d", core.ErrCorrupt, f.Name, n, f.SizeBytes)
	case err != nil:
		return sum, fmt.Errorf("fileset: %s: %w", f.Name, err)
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}
