package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"github.com/trouperaft/troupe/storage/internal/disk"
)

// part is a file of a snapshot that arrives. Until it is whole it has the name that it will
// have, and a suffix; its marks say how much of it is durable.
type part struct {
	name        string // without the suffix
	file, marks *os.File
	at          int64 // where the next mark goes
	bytes       uint64
	// marked is how much of it has a mark.
	marked uint64
	sum    hash.Hash
	crc    uint32
}

// beginningOf reads what there is of a file that was not whole, at most so many bytes, and
// returns how much agrees with its marks.
func beginningOf(ctx context.Context, name string, most uint64) (uint64, error) {
	file, err := os.Open(name + partSuffix)
	if err != nil {
		return 0, nil // what cannot be read is not there
	}
	defer file.Close()
	marks, err := os.Open(name + marksSuffix)
	if err != nil {
		return 0, nil
	}
	defer marks.Close()
	have, _, _, err := agreed(ctx, file, marks, 0, most-1)
	return have, err
}

// openPart begins a file, or goes on with one of which so many bytes are there.
func openPart(ctx context.Context, name string, bytes uint64) (p *part, err error) {
	p = &part{name: name, sum: sha256.New()}
	err = patiently(ctx, func() (err error) {
		if p.file == nil {
			if p.file, err = os.OpenFile(name+partSuffix, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
				return err
			}
		}
		p.marks, err = os.OpenFile(name+marksSuffix, os.O_RDWR|os.O_CREATE, 0o600)
		return err
	})
	if err == nil {
		err = p.begin(ctx, bytes)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *part) begin(ctx context.Context, bytes uint64) (err error) {
	if bytes > 0 {
		if p.bytes, p.crc, p.at, err = agreed(ctx, p.file, p.marks, 0, bytes); err != nil {
			return err
		}
		if p.bytes != bytes {
			return errors.New("what was there of a file is not there any more")
		}
		if _, err := io.Copy(p.sum, io.NewSectionReader(p.file, 0, int64(bytes))); err != nil {
			return err
		}
	}
	p.marked = bytes
	if err := errors.Join(p.file.Truncate(int64(bytes)), p.marks.Truncate(p.at)); err != nil {
		return err
	}
	_, err = p.file.Seek(int64(bytes), io.SeekStart)
	return err
}

// write writes what comes next, and makes it durable in pieces.
func (p *part) write(b []byte) error {
	if _, err := p.file.Write(b); err != nil {
		return err
	}
	p.sum.Write(b)
	p.crc = crc32.Update(p.crc, castagnoli, b)
	if p.bytes += uint64(len(b)); p.bytes-p.marked >= syncBytes {
		return p.mark()
	}
	return nil
}

// mark makes durable what was written, and then says so.
func (p *part) mark() error {
	if err := disk.SyncData(p.file); err != nil {
		return err
	}
	if _, err := p.marks.WriteAt(markOf(p.bytes, p.crc), p.at); err != nil {
		return err
	}
	p.at, p.marked = p.at+markBytes, p.bytes
	return nil
}

// finish gives the whole file its name, if it is what it should be; else it is removed.
func (p *part) finish(want [sha256.Size]byte) error {
	if [sha256.Size]byte(p.sum.Sum(nil)) != want {
		return errors.Join(corrupt("a file has arrived with another checksum than the list says"), p.remove())
	}
	err := p.file.Sync()
	if err = errors.Join(err, p.close()); err == nil {
		err = os.Rename(p.name+partSuffix, p.name)
	}
	if err != nil {
		return errors.Join(err, p.remove())
	}
	return os.Remove(p.name + marksSuffix)
}

// suspend keeps what is there.
func (p *part) suspend() error {
	var err error
	if p.bytes > p.marked {
		err = p.mark()
	}
	if err == nil {
		err = disk.SyncData(p.marks)
	}
	return errors.Join(err, p.close())
}

func (p *part) remove() error {
	err := p.close()
	for _, suffix := range []string{partSuffix, marksSuffix} {
		if e := os.Remove(p.name + suffix); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (p *part) close() (err error) {
	if p.file != nil {
		err = p.file.Close()
	}
	if p.marks != nil {
		err = errors.Join(err, p.marks.Close())
	}
	p.file, p.marks = nil, nil
	return err
}
