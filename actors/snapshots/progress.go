package snapshots

import (
	"fmt"
	"sync"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// Progress is how far a transfer has come.
type Progress struct {
	// Snapshot is what is transferred, and Peer to whom, or from whom.
	Snapshot core.LogID
	Peer     core.Identity
	// Bytes of TotalBytes are there. Total is 0 while that is not known. SparedBytes are not
	// sent, because the receiver had them.
	Bytes, TotalBytes, SparedBytes uint64
	// BytesPerSecond is how fast it has gone of late. Left is how long the rest takes if
	// it goes on so; -1 while nothing moves.
	BytesPerSecond uint64
	Left           time.Duration
}

// String writes it for people.
func (p Progress) String() string {
	text := fmt.Sprintf("%d of %d bytes, %d bytes/s", p.Bytes, p.TotalBytes, p.BytesPerSecond)
	if p.SparedBytes > 0 {
		text += fmt.Sprintf(", %d bytes are not sent", p.SparedBytes)
	}
	if p.Left >= 0 {
		text += fmt.Sprintf(", %v left", p.Left.Round(time.Second))
	}
	return text
}

// figures are how far a transfer has come. Its actor writes them, anybody reads.
type figures struct {
	mu   sync.Mutex
	now  Progress
	rate float64
	// skipped of the bytes that are there were not sent, and the rate is of the others: from
	// of these were there at since, where it was measured last, or the transfer began.
	skipped  uint64
	from     uint64
	since    stage.Instant
	measured bool
	// told are the quarters that were told.
	told uint64
}

const (
	// rateKept is how much of a rate that was measured is kept at the next measurement.
	rateKept = 0.7
	// quarters is in how many parts the progress of a transfer is told.
	quarters = 4
)

// begin begins to measure a transfer of which some bytes are there, or are not sent.
func (f *figures) begin(at stage.Instant, peer core.Identity, meta *core.SnapshotMeta, bytes uint64, h had) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = Progress{Snapshot: meta.LogID, Peer: peer, Bytes: bytes, TotalBytes: meta.SizeBytes, SparedBytes: h.bytes()}
	f.skipped = h.before(bytes)
	f.rate, f.from, f.since, f.measured = 0, bytes-f.skipped, at, false
	f.told = f.quarter()
}

// put notes how much is there.
func (f *figures) put(bytes uint64, h had) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.Bytes, f.now.SparedBytes, f.skipped = bytes, h.bytes(), h.before(bytes)
}

// moved is how much has moved since the rate was measured.
func (f *figures) moved() float64 {
	now := f.now.Bytes - f.skipped
	return float64(now - min(f.from, now))
}

// measure takes the rate since it was measured last. news is a progress that is worth to
// be told: there is another quarter.
func (f *figures) measure(at stage.Instant) (p Progress, news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if passed := at.Sub(f.since); passed > 0 {
		rate := f.moved() / passed.Seconds()
		if f.measured {
			rate = rateKept*f.rate + (1-rateKept)*rate
		}
		f.rate, f.from, f.since, f.measured = rate, f.now.Bytes-f.skipped, at, true
	}
	if q := f.quarter(); q > f.told && q < quarters {
		f.told, news = q, true
	}
	return f.progress(at), news
}

func (f *figures) quarter() uint64 {
	if f.now.TotalBytes == 0 {
		return 0
	}
	return uint64(float64(f.now.Bytes) / float64(f.now.TotalBytes) * quarters)
}

// read returns how far the transfer is.
func (f *figures) read(at stage.Instant) Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.progress(at)
}

// progress puts it together. The lock is held.
func (f *figures) progress(at stage.Instant) Progress {
	p, rate := f.now, f.rate
	if passed := at.Sub(f.since); !f.measured && passed > 0 {
		rate = f.moved() / passed.Seconds()
	}
	p.BytesPerSecond, p.Left = uint64(rate), -1
	if rate >= 1 && p.TotalBytes > 0 {
		coming := p.TotalBytes - min(p.Bytes+p.SparedBytes-f.skipped, p.TotalBytes)
		p.Left = time.Duration(min(float64(coming)/rate, 1<<30) * float64(time.Second))
	}
	return p
}
