package snapshots

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
)

// pace bounds what a node sends of all snapshots together, or builds, in bytes a second. Who
// wants to send takes a place in the queue of bytes and is told for how long to wait: nobody
// holds anybody up who has enough.
type pace struct {
	rate atomic.Uint64 // 0: no limit, but the gentle one beside writes
	// gentle is the limit beside writes, in bytes a second, and lag for how long who comes
	// late may make up for it.
	gentle uint64
	lag    time.Duration
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
	// gentleSendBytesPerSecond is what is sent beside writes where no limit is set, or more
	// of a snapshot that would take longer than gentleSeconds. Somebody waits for each
	// write, and for the transfer nobody does: it takes from the processor, the network and
	// the disk what the writes need. But the log that it is to be followed by must not grow
	// for too long.
	gentleSendBytesPerSecond = 16 << 20
	gentleSeconds            = 60
	// gentleBuildBytesPerSecond is what is built beside writes. How large the snapshot will
	// be nobody knows: it goes faster when as much is written as that would take
	// gentleSeconds for, and the faster the more is.
	gentleBuildBytesPerSecond = 64 << 20
	// buildPieceBytes is how much is built at once. On ext4 a sync of the log may wait for
	// all that the disk has to write of other files: with 4 MiB the slowest writes waited
	// half as long again as with 256 KiB.
	buildPieceBytes = 256 << 10
	// buildLag lets a disk whose syncs are slow have larger pieces, rather than a lower rate.
	buildLag = 64 * time.Millisecond
	// writesFor is for how long after commands were written more are expected. Where the
	// processor is scarce writes stand still for that long, and need it the more.
	writesFor = 500 * time.Millisecond
)

// limit is the rate that counts now for a snapshot of a size, as far as it is known, 0 if
// none does.
func (p *pace) limit(now stage.Instant, size uint64) uint64 {
	rate := p.rate.Load()
	if rate > 0 || p.written == nil {
		return rate
	}
	if at := p.written(); at != 0 && now.Sub(at) <= writesFor {
		return max(p.gentle, size/gentleSeconds)
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
	p.due = max(p.due, now-stage.Instant(p.lag))
	wait := max(p.due.Sub(now), 0)
	p.due += stage.Instant(float64(bytes) / float64(rate) * float64(time.Second))
	return wait
}

// begin: who begins now is not late.
func (p *pace) begin(now stage.Instant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = max(p.due, now)
}

// set changes the limit. Whoever waits asks again.
func (p *pace) set(rate uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate.Store(rate)
	p.due = 0
}
