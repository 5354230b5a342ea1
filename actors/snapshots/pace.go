package snapshots

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
)

// pace bounds what a node sends of all snapshots together, in bytes a second. Who wants to
// send takes a place in the queue of bytes and is told for how long to wait: nobody holds
// anybody up who has enough.
type pace struct {
	rate atomic.Uint64 // 0: no limit, but a gentle one beside writes
	// written is when the node wrote commands last, nil if nobody tells.
	written func() stage.Instant

	mu sync.Mutex
	// due is when all that was taken has left.
	due stage.Instant
}

const (
	// pieceShare: at a limit a piece is what a second lets through, divided by it, so that
	// many transfers go by turns; but not less than pieceBytesLeast.
	pieceShare      = 16
	pieceBytesLeast = 4 << 10
)

const (
	// gentleBytesPerSecond is what is sent beside writes where no limit is set, or more of
	// a snapshot that would take longer than gentleSeconds. Somebody waits for each write,
	// and for the transfer nobody does: it takes from the processor, the network and the
	// disk what the writes need. But the log that it is to be followed by must not grow for
	// too long.
	gentleBytesPerSecond = 16 << 20
	gentleSeconds        = 60
	// writesFor is for how long after commands were written more are expected. Where the
	// processor is scarce writes stand still for that long, and need it the more.
	writesFor = 500 * time.Millisecond
)

// limit is the rate that counts now for a snapshot of a size, 0 if none does.
func (p *pace) limit(now stage.Instant, size uint64) uint64 {
	rate := p.rate.Load()
	if rate > 0 || p.written == nil {
		return rate
	}
	if at := p.written(); at != 0 && now.Sub(at) <= writesFor {
		return max(gentleBytesPerSecond, size/gentleSeconds)
	}
	return 0
}

// piece is how large a piece of at most so many bytes is to be, of a snapshot of a size.
func (p *pace) piece(now stage.Instant, bytes, size uint64) uint64 {
	if rate := p.limit(now, size); rate > 0 {
		return min(bytes, max(rate/pieceShare, pieceBytesLeast))
	}
	return bytes
}

// take takes bytes of a snapshot of a size, and returns after what time they may leave.
func (p *pace) take(now stage.Instant, bytes, size uint64) time.Duration {
	rate := p.limit(now, size)
	if rate == 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = max(p.due, now)
	wait := p.due.Sub(now)
	p.due += stage.Instant(float64(bytes) / float64(rate) * float64(time.Second))
	return wait
}

// set changes the limit. Whoever waits asks again.
func (p *pace) set(rate uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate.Store(rate)
	p.due = 0
}
