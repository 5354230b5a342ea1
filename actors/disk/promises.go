package disk

import (
	"context"
	"sync"
	"time"

	"github.com/trouperaft/troupe/storage"
)

// Promises is the record of the longest promise that may be alive (rule 13), and
// keeps the store's one writer alone: the log actor writes, a promise is recorded
// where a group is started, and the keeper lowers it. Its methods block as long as the
// store does.
type Promises struct {
	store storage.LogStore
	mu    sync.Mutex
	// recorded is at most what the store has, longest the longest lease promise of
	// this life.
	recorded, longest time.Duration
}

// NewPromises returns the record of a store, whose header says recorded.
func NewPromises(store storage.LogStore, recorded time.Duration) *Promises {
	return &Promises{store: store, recorded: recorded}
}

// Exclusive runs a call of the store's writing side.
func (p *Promises) Exclusive(call func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return call()
}

// Raise records a promise before it can be given. If it fails the promise must not be
// given.
func (p *Promises) Raise(ctx context.Context, d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d > p.recorded {
		if err := p.store.RecordPromise(ctx, d); err != nil {
			return err
		}
		p.recorded = d
	}
	p.longest = max(p.longest, d)
	return nil
}

// lower records that of the promise of the life before only so much is left. What
// was promised in this life stays.
func (p *Promises) lower(left time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := max(left, p.longest)
	if d >= p.recorded {
		return nil
	}
	// A store that fails may have recorded it or not. So the lower one counts: the
	// next promise above it is recorded once more.
	p.recorded = d
	return p.store.RecordPromise(context.Background(), d)
}

// Alive returns for how long a promise may be alive that was given in this process.
func (p *Promises) Alive() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.recorded
}
