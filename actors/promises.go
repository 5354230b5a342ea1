package actors

import (
	"context"
	"sync"
	"time"

	"github.com/trouperaft/troupe/storage"
)

// promises is the record of the longest promise that may be alive (rule 13), and
// keeps the store's one writer alone: the log actor writes, a promise is recorded
// where a group is started, and the keeper lowers it.
type promises struct {
	store storage.LogStore
	mu    sync.Mutex
	// recorded is at most what the store has, longest the longest lease promise of
	// this life.
	recorded, longest time.Duration
}

// exclusive runs a call of the store's writing side.
func (p *promises) exclusive(call func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return call()
}

// raise records a promise before it can be given.
func (p *promises) raise(ctx context.Context, d time.Duration) error {
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
func (p *promises) lower(left time.Duration) error {
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

// alive returns for how long a promise may be alive that was given in this process.
func (p *promises) alive() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.recorded
}
