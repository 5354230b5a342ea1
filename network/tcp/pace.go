package tcp

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	// pieceBytes is how much is written under one deadline. Larger pieces wake the other side
	// less often: a transfer on loopback takes a tenth less of the processor than with 64 KiB.
	pieceBytes = 256 << 10
	// pieceWait is how often a write that gets stuck looks what has left.
	pieceWait = 250 * time.Millisecond
)

// epoch is where clock begins.
var epoch = time.Now()

// clock is a time that atomics can hold. It is never 0.
func clock() time.Duration { return time.Since(epoch) + 1 }

// paced is a connection below TLS and frames that knows slow from silent: only
// while no byte comes in, or none leaves, time counts against the peer. It does
// nothing before begin, so that a handshake has its own deadline.
type paced struct {
	net.Conn
	active     bool
	silenceMax time.Duration
	// answers is after what time an answer is missed, 0 if none is due here.
	answers time.Duration
	// written counts all bytes that left, heard all reads that brought any.
	written, heard atomic.Uint64
	// due is since when an answer is due, 0 if none is.
	due atomic.Int64
	// counter, if set by the writer, counts what it writes. TLS may have to say
	// something in between.
	counter atomic.Pointer[atomic.Uint64]
	// quietSince is when something was heard last; acked is what the peer's side
	// had taken at the last look, which was while the answer of ackedFor was due.
	// All are the reader's.
	quietSince, ackedFor time.Duration
	acked                uint64
	// missed: the peer's time is over, and one more read decides.
	missed bool
}

// begin is called when the handshake is over, before anything runs.
func (p *paced) begin(silenceMax, answers time.Duration) {
	p.active, p.silenceMax, p.answers = true, silenceMax, answers
	p.quietSince = clock()
}

// Read reads, and gives up on a peer that is silent for too long.
func (p *paced) Read(b []byte) (int, error) {
	if !p.active {
		return p.Conn.Read(b)
	}
	wait := p.silenceMax
	if p.answers > 0 {
		wait = min(wait, p.answers/4)
	}
	for {
		if p.missed {
			wait = min(wait, pieceWait)
		}
		until := clock() + wait
		if err := p.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return 0, err
		}
		n, err := p.Conn.Read(b)
		if n > 0 {
			p.quietSince, p.missed = clock(), false
			p.heard.Add(1)
			p.due.Store(0)
			return n, err
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := p.quiet(until, wait); err != nil {
			return 0, err
		}
	}
}

// quiet is called when nothing came until a moment, and says whether that is
// too long.
func (p *paced) quiet(until, wait time.Duration) error {
	now, due := clock(), time.Duration(p.due.Load())
	if now-until > wait/2 {
		// This process was held up itself: what came meanwhile is still to be
		// read, and the peer has its time anew (rule 15).
		p.quietSince, p.missed = now, false
		p.due.CompareAndSwap(int64(due), int64(now))
		return nil
	}
	silent := now-p.quietSince >= p.silenceMax
	if p.answers > 0 && due != 0 && p.progressed(due) {
		// The request is still on its way: a slow path is not a dead one.
		p.due.CompareAndSwap(int64(due), int64(now))
		p.ackedFor, due = now, now
	}
	unanswered := p.answers > 0 && due != 0 && now-due >= p.answers
	switch {
	case !silent && !unanswered:
		return nil
	case !p.missed:
		// A deadline that has passed keeps what is there from being read.
		p.missed = true
		return nil
	case silent:
		return os.ErrDeadlineExceeded
	}
	return ErrUnanswered
}

// progressed reports whether the other side has taken more since the last look,
// and has not taken all.
func (p *paced) progressed(due time.Duration) bool {
	acked, waiting := p.taken()
	more := waiting && acked > p.acked && p.ackedFor == due
	p.acked, p.ackedFor = acked, due
	return more
}

// taken returns how many of the written bytes the peer's side has acknowledged,
// and whether any are not. Where the system does not tell, all are.
func (p *paced) taken() (acked uint64, waiting bool) {
	written := p.written.Load()
	unacknowledged := unacknowledgedBytes(p.Conn)
	return written - min(written, unacknowledged), unacknowledged > 0
}

// expectAnswer is called before a request is written, and after it with what
// it returned: the time to answer begins when the request has left, and an
// answer that came already counts.
func (p *paced) expectAnswer() (since time.Duration) {
	now := clock()
	if p.due.CompareAndSwap(0, int64(now)) {
		return now
	}
	return 0
}

func (p *paced) requestLeft(since time.Duration) {
	if since != 0 {
		p.due.CompareAndSwap(int64(since), int64(clock()))
	}
}

// Write writes all of b, however long it takes, as long as bytes leave. A
// deadline for the whole would take a slow peer for a silent one.
func (p *paced) Write(b []byte) (n int, err error) {
	if !p.active {
		return p.Conn.Write(b)
	}
	wait := max(min(pieceWait, p.silenceMax/4), time.Millisecond)
	leftAt := clock()
	for n < len(b) {
		until := clock() + wait
		if err := p.SetWriteDeadline(time.Now().Add(wait)); err != nil {
			return n, err
		}
		left, err := p.Conn.Write(b[n:min(len(b), n+pieceBytes)])
		n += left
		p.written.Add(uint64(left))
		if counter := p.counter.Load(); counter != nil {
			counter.Add(uint64(left))
		}
		now := clock()
		if left > 0 {
			leftAt = now
		}
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return n, err
		case now-until > wait/2:
			// This process was held up itself.
			leftAt += now - until
		case now-leftAt >= p.silenceMax:
			return n, err
		}
	}
	return n, nil
}
