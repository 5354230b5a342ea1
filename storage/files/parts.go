package files

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/fileset"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// parts is the content of a snapshot that is made of files: the head, and then the files,
// one behind the other. One of them is open at a time.
type parts struct {
	store *Store
	group membership.GroupID
	head  []byte
	files []storage.File
	// ends is where each file ends in the content.
	ends []uint64

	file *os.File
	at   int // which one is open
	// sum is of what was read of it, nil if that is not all up to here.
	sum hash.Hash
	// damaged is the file that is not what it was.
	damaged *os.File
}

// newParts reads the list of a snapshot, which has exactly so many bytes.
func newParts(s *Store, group membership.GroupID, from io.Reader, bytes int64) (*parts, error) {
	head, files, err := fileset.ReadHead(io.LimitReader(from, bytes))
	var name *fileset.NameError
	switch {
	case errors.As(err, &name):
		return nil, corrupt("%v", err)
	case err != nil:
		return nil, err
	case int64(len(head)) != bytes:
		return nil, corrupt("there is something behind the list of files")
	}
	p := &parts{store: s, group: group, head: head, files: files}
	end := uint64(len(head))
	for i := range files {
		end += files[i].SizeBytes
		p.ends = append(p.ends, end)
	}
	return p, nil
}

func (p *parts) size() uint64 { return fileset.SizeBytes(p.head, p.files) }

// readAt reads what there is at a place of the content, up to the end of a file. It is told
// whether that goes on from the last reading.
func (p *parts) readAt(b []byte, at uint64, goesOn bool) (int, error) {
	if at < uint64(len(p.head)) {
		return copy(b, p.head[at:]), nil
	}
	i := sort.Search(len(p.ends), func(i int) bool { return p.ends[i] > at })
	f := &p.files[i]
	offset := at - (p.ends[i] - f.SizeBytes)
	if err := p.open(i, offset, goesOn); err != nil {
		return 0, err
	}
	b = b[:min(uint64(len(b)), p.ends[i]-at)]
	n, err := p.file.Read(b)
	if p.sum != nil {
		p.sum.Write(b[:n])
	}
	switch {
	case err == io.EOF:
		p.damaged = p.file
		return n, corrupt("%s, which is %s of the snapshot, is cut off", p.file.Name(), f.Name)
	case err != nil:
		return n, fmt.Errorf("files: %w", err)
	case at+uint64(n) == p.ends[i] && p.sum != nil && [sha256.Size]byte(p.sum.Sum(nil)) != f.SHA256:
		p.damaged = p.file
		return 0, corrupt("%s, which is %s of the snapshot, has a bad checksum", p.file.Name(), f.Name)
	}
	return n, nil
}

// open lets the file that comes next stand at an offset.
func (p *parts) open(i int, offset uint64, goesOn bool) error {
	if p.file != nil && p.at == i && goesOn {
		return nil
	}
	if err := p.close(); err != nil {
		return err
	}
	err := disk.Patiently(disk.Patience, func() (err error) {
		p.file, err = os.Open(p.store.contentPath(p.group, p.files[i].SHA256))
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.file = nil
		return corrupt("%s of the snapshot is not there", p.files[i].Name)
	case err != nil:
		p.file = nil
		return fmt.Errorf("files: %w", err)
	}
	p.at, p.sum = i, nil
	if offset == 0 {
		p.sum = sha256.New()
	} else if _, err := p.file.Seek(int64(offset), io.SeekStart); err != nil {
		return fmt.Errorf("files: %w", err)
	}
	if info, err := p.file.Stat(); err != nil {
		return fmt.Errorf("files: %w", err)
	} else if uint64(info.Size()) != p.files[i].SizeBytes {
		p.damaged = p.file
		return corrupt("%s, which is %s of the snapshot, has %d bytes, and should have %d", p.file.Name(), p.files[i].Name, info.Size(), p.files[i].SizeBytes)
	}
	return nil
}

func (p *parts) close() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	p.file = nil
	return err
}

// setAside moves the file away that was found damaged, so that nobody takes it for what it
// was.
func (p *parts) setAside(cause error) {
	if p.damaged == nil {
		return
	}
	if info, err := p.damaged.Stat(); err == nil {
		p.store.setAside(p.damaged.Name(), info, cause)
	}
	p.damaged = nil
}

// HeadBytes implements storage.FileReader.
func (r *partsReader) HeadBytes() uint64 { return uint64(len(r.parts.head)) }

// partsReader is the reader of a snapshot that is made of files.
type partsReader struct{ *reader }

var _ storage.FileReader = (*partsReader)(nil)

// errNotSealed: the store keeps a file that the machine is going to write to.
var errNotSealed = errors.New("files: only sealed files are linked")

// Link implements storage.FileReader.
func (r *partsReader) Link(file, path string) error {
	if r.closed {
		return storage.ErrClosed
	}
	p := r.parts
	i, found := slices.BinarySearchFunc(p.files, file, func(f storage.File, name string) int { return strings.Compare(f.Name, name) })
	switch {
	case !found:
		return fmt.Errorf("files: %w: %s is no file of snapshot %v", storage.ErrNotFound, file, r.meta.LogID)
	case !p.files[i].Sealed:
		return errNotSealed
	}
	if err := os.Link(p.store.contentPath(p.group, p.files[i].SHA256), path); err != nil {
		return fmt.Errorf("files: %w", err)
	}
	return nil
}
