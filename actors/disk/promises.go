package disk

import (
	"context"
	"sync"
	"time"

	"github.com/trouperaft/troupe/storage"
)

// Promises is the record of the longest promise that may be alive (rule 13), and
// keeps the store's one writer alone: the log actor writes, a promise is recorded
// where a group is started, and the keeper lowers it. Exclusive, Raise and lower block as
// long as the store does, and as long as another of them does.
type Promises struct {
	store storage.LogStore
	// writer holds a token while somebody writes.
	writer chan struct{}

	mu sync.Mutex
	// recorded is at most what the store has, longest the longest lease promise of
	// this life.
	recorded, longest time.Duration
}

// NewPromises returns the record of a store, whose header says recorded.
func NewPromises(store storage.LogStore, recorded time.Duration) *Promises {
	return &Promises{store: store, recorded: recorded, writer: make(chan struct{}, 1)}
}

// Exclusive runs a call of the store's writing side.
func (p *Promises) Exclusive(call func() error) error {
	p.writer <- struct{}{}
	defer p.leave()
	return call()
}

func (p *Promises) leave() { <-p.writer }

// Raise records a promise before it can be given. If it fails the promise must not be
// given. It waits for no writer if so long a promise is recorded already, and for
// another one no longer than ctx lasts.
func (p *Promises) Raise(ctx context.Context, d time.Duration) error {
	if p.stands(d) {
		return nil
	}
	select {
	case p.writer <- struct{}{}:
		defer p.leave()
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.stands(d) {
		return nil // another group's
	}
	if err := p.store.RecordPromise(ctx, d); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recorded, p.longest = d, max(p.longest, d)
	return nil
}

// stands reports whether a promise is recorded, and lets it be given if so.
func (p *Promises) stands(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d > p.recorded {
		return false
	}
	p.longest = max(p.longest, d)
	return true
}

// lower records that of the promise of the life before only so much is left. What
// was promised in this life stays.
func (p *Promises) lower(left time.Duration) error {
	p.writer <- struct{}{}
	defer p.leave()
	d, lower := p.toRecord(left)
	if !lower {
		return nil
	}
	return p.store.RecordPromise(context.Background(), d)
}

// toRecord returns what a lowering has to record. A store that fails may have recorded
// it or not. So the lower one counts at once: the next promise above it is recorded once
// more.
func (p *Promises) toRecord(left time.Duration) (d time.Duration, lower bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d = max(left, p.longest)
	if d >= p.recorded {
		return 0, false
	}
	p.recorded = d
	return d, true
}

// Alive returns for how long a promise may be alive that was given in this process.
func (p *Promises) Alive() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.recorded
}
