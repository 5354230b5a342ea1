package powerloss

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
)

// Sizes of what a disk writes whole, and of what a file system reads at once.
const (
	sectorBytes = 512
	blockBytes  = 4 << 10
)

// note is what was known at one moment of a recording. It is told by the process that
// writes, before it goes on.
type note struct {
	// Acknowledged steps of the workload must be there from now on, and none may be
	// that comes after the Begun.
	Acknowledged, Begun int
	// Snapshot is the newest that was committed, by how many steps it is of.
	Snapshot int
	// StartCounter and Incarnation are what the store said of itself.
	StartCounter, Incarnation uint64
}

// event is a write, a flush or a note.
type event struct {
	at    int64
	data  []byte // of a write
	flush bool
	note  *note
}

// disk is a file that stands for one, with all that was done to it.
type disk struct {
	file *os.File
	size int64

	mu        sync.Mutex
	recording bool
	events    []event
	written   int64
	// unreadable are blocks, by their offsets, that cannot be read any more.
	unreadable map[int64]bool
	// refuses says of a write whether it fails: the first of which it does is refused.
	refuses func(at int64, data []byte) bool
	refused int
}

func newDisk(name string, size int64) (*disk, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &disk{file: f, size: size, recording: true, unreadable: make(map[int64]bool)}, nil
}

var errRefused = errors.New("the disk says no")

// read is what the file system asks for.
func (d *disk) read(b []byte, at int64) (int, error) {
	d.mu.Lock()
	bad := false
	for block := at / blockBytes * blockBytes; block < at+int64(len(b)); block += blockBytes {
		bad = bad || d.unreadable[block]
	}
	d.mu.Unlock()
	if bad {
		return 0, errRefused
	}
	n, err := d.file.ReadAt(b, at)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (d *disk) write(b []byte, at int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuses != nil && d.refuses(at, b) {
		d.refuses = nil // once
		d.refused++
		return errRefused
	}
	if d.recording {
		d.events = append(d.events, event{at: at, data: bytes.Clone(b)})
		d.written += int64(len(b))
	}
	for block := (at + blockBytes - 1) / blockBytes * blockBytes; block+blockBytes <= at+int64(len(b)); block += blockBytes {
		delete(d.unreadable, block) // a disk gives another place to what is written again
	}
	_, err := d.file.WriteAt(b, at)
	return err
}

func (d *disk) flush() { d.record(event{flush: true}) }

func (d *disk) record(e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.recording {
		d.events = append(d.events, e)
	}
}

// position is how many events there are.
func (d *disk) position() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.events)
}

// stop ends the recording, and returns it.
func (d *disk) stop() []event {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recording = false
	return d.events
}

// refuse lets the next write fail of which f says so, unless another is waited for.
func (d *disk) refuse(f func(at int64, data []byte) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuses == nil {
		d.refuses = f
	}
}

// allow lets nothing fail any more. It returns how many writes have failed since it was
// called last.
func (d *disk) allow() (refused int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	refused = d.refused
	d.refuses, d.refused = nil, 0
	return refused
}

// spoil makes every block unreadable in which some sector of content stands, and
// returns how many these are.
func (d *disk) spoil(content []byte) (spoiled int, err error) {
	sectors := make(map[string]bool)
	for at := 0; at+sectorBytes <= len(content); at += sectorBytes {
		sectors[string(content[at:at+sectorBytes])] = true
	}
	block := make([]byte, blockBytes)
	for at := int64(0); at < d.size; at += blockBytes {
		n, err := d.file.ReadAt(block, at)
		if err != nil && err != io.EOF {
			return spoiled, err
		}
		if n < blockBytes || bytes.Count(block, []byte{0}) == blockBytes {
			continue
		}
		for sector := range sectors {
			if bytes.Contains(block, []byte(sector)) {
				d.mu.Lock()
				d.unreadable[at] = true
				d.mu.Unlock()
				spoiled++
				break
			}
		}
	}
	return spoiled, nil
}
