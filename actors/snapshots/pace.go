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
	rate atomic.Uint64 // 0: no limit

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

// piece is how large a piece of at most so many bytes is to be.
func (p *pace) piece(bytes uint64) uint64 {
	if rate := p.rate.Load(); rate > 0 {
		return min(bytes, max(rate/pieceShare, pieceBytesLeast))
	}
	return bytes
}

// take takes bytes, and returns after what time they may leave.
func (p *pace) take(now stage.Instant, bytes uint64) time.Duration {
	rate := p.rate.Load()
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
