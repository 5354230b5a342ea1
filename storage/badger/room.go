package badger

import (
	"sync"
	"sync/atomic"
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
	// low: less was free at asked than lowTimes the limit.
	low atomic.Bool
}

const (
	// roomAskedEvery is how old an answer of the system may be.
	roomAskedEvery = 100 * time.Millisecond
	// roomShare of what is spare, as 1/roomShare, may be written without asking
	// again. Tables and their compaction write everything some times more.
	roomShare = 32
	// lowShare: how much of the limit must be free, as 1/lowShare, for what writes
	// little and is needed to get room. By default that is twice a memory table.
	lowShare = 4
	// lowTimes of the limit is what is nearly full: whoever makes room has a limit's
	// length for it before writes are refused.
	lowTimes = 2
)

// take returns an error if too little is free for bytes to be written safely.
func (r *room) take(bytes int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used += uint64(bytes)
	if r.used < r.spare/roomShare && time.Since(r.asked) < roomAskedEvery {
		return nil
	}
	return r.ask(1)
}

// takeLow is take for what is needed to get room: an opening, a header, a purge.
func (r *room) takeLow() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ask(lowShare)
}

// ask asks the system whether a share of the limit, as 1/share, is free. The caller
// holds mu.
func (r *room) ask(share uint64) error {
	if r.options.FreeBytesMin < 0 {
		r.spare, r.used, r.asked = 1<<62, 0, time.Now()
		return nil
	}
	free, err := r.options.freeBytes(r.dir)
	if err != nil {
		return err
	}
	limit := uint64(r.options.FreeBytesMin)
	r.spare, r.used, r.asked = free-min(free, limit), 0, time.Now()
	r.low.Store(free < lowTimes*limit)
	if least := limit / share; free < least {
		return &storage.NoSpaceError{Store: r.dir, Free: free, Min: least}
	}
	return nil
}
