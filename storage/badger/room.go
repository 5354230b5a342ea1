package badger

import (
	"sync"
	"time"

	"github.com/trouperaft/troupe/storage"
)

// room guards the free space: badger cannot survive a full disk.
type room struct {
	dir     string
	options *Options

	mu sync.Mutex
	// spare is what was free beyond the limit at asked, and used what was
	// written since, in bytes.
	spare, used uint64
	asked       time.Time
}

const (
	// roomAskedEvery is how old an answer of the system may be.
	roomAskedEvery = 100 * time.Millisecond
	// roomShare of what is spare, as 1/roomShare, may be written without asking
	// again. Tables and their compaction write everything some times more.
	roomShare = 32
)

// take returns an error if too little is free for bytes to be written safely.
func (r *room) take(bytes int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used += uint64(bytes)
	if r.used < r.spare/roomShare && time.Since(r.asked) < roomAskedEvery {
		return nil
	}
	return r.askLocked()
}

// ask asks the system.
func (r *room) ask() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.askLocked()
}

func (r *room) askLocked() error {
	if r.options.FreeBytesMin < 0 {
		r.spare, r.used, r.asked = 1<<62, 0, time.Now()
		return nil
	}
	free, err := r.options.freeBytes(r.dir)
	if err != nil {
		return err
	}
	limit := uint64(r.options.FreeBytesMin)
	if free < limit {
		r.spare = 0
		return &storage.NoSpaceError{Store: r.dir, Free: free, Min: limit}
	}
	r.spare, r.used, r.asked = free-limit, 0, time.Now()
	return nil
}
