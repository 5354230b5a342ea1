package badger

import (
	"errors"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// purgeKeysMax is how many keys one transaction of the purger deletes: few, so
// that a batch never waits long behind it.
const purgeKeysMax = 1000

// span of purged entries: those after `after`, up to upTo. What is before was
// deleted already.
type span struct {
	group       membership.GroupID
	after, upTo core.Index
}

// purger deletes purged chunks in the background. Their entries have been out
// of sight since the group's record says so, and no batch writes under their
// keys again. Chunks that a crash brings back are deleted after the next
// opening.
type purger struct {
	store  *Store
	wakeUp chan struct{}
	quit   chan struct{}
	ended  chan struct{}

	mu      sync.Mutex
	pending map[membership.GroupID]span

	// told: an error was told since the last purge that had none.
	told bool
}

func (p *purger) start(s *Store) {
	p.store = s
	p.wakeUp, p.quit, p.ended = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	p.pending = make(map[membership.GroupID]span)
	var leftovers []span
	for group, g := range s.groups {
		if s.damage(group) != nil {
			continue // it stays as it was found
		}
		leftovers = append(leftovers, span{group, 0, g.record.purged.Index})
	}
	p.add(leftovers)
	go p.run()
}

func (p *purger) stop() {
	close(p.quit)
	<-p.ended
}

func (p *purger) add(spans []span) {
	if p.keep(spans) {
		p.wake()
	}
}

// keep takes spans into what is pending, and reports whether there was one.
func (p *purger) keep(spans []span) (any bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range spans {
		if s.upTo <= s.after {
			continue
		}
		if old, found := p.pending[s.group]; found {
			s.after, s.upTo = min(s.after, old.after), max(s.upTo, old.upTo)
		}
		p.pending[s.group] = s
		any = true
	}
	return any
}

func (p *purger) wake() {
	select {
	case p.wakeUp <- struct{}{}:
	default:
	}
}

func (p *purger) run() {
	defer close(p.ended)
	delay := time.NewTimer(0)
	defer delay.Stop()
	for {
		select {
		case <-p.wakeUp:
		case <-p.quit:
			return
		}
		delay.Reset(p.store.options.PurgeDelay)
		select {
		case <-delay.C:
		case <-p.quit:
			return
		}
		p.mu.Lock()
		pending := p.pending
		p.pending = make(map[membership.GroupID]span)
		p.mu.Unlock()
		for _, s := range pending {
			p.settle(p.purge(s))
		}
	}
}

// settle keeps what is left of a span. Nothing fails by it: it is tried again when there
// may be room, else with the next.
func (p *purger) settle(left span, err error) {
	p.keep([]span{left})
	var full *storage.NoSpaceError
	switch {
	case err == nil:
		p.told = false
	case errors.As(err, &full):
		p.wake()
	case !p.told:
		p.told = true
		p.store.logger.Error("badger: purged entries cannot be deleted, and are tried again with the next", "group", uint64(left.group), "error", err)
	}
}

// purge deletes the chunks of a span, and returns what is left of it. A purge point
// beyond the log's end is fine: no batch writes below it.
func (p *purger) purge(s span) (left span, err error) {
	defer catchFault(panicOnFault(), &err)
	for left = s; ; {
		select {
		case <-p.quit:
			return left, nil
		default:
		}
		if err := p.store.room.takeLow(); err != nil {
			return left, err
		}
		keys := p.keys(s.group, left.after+1, s.upTo)
		if len(keys) == 0 {
			return span{}, nil
		}
		if err := p.delete(keys); err != nil {
			return left, err
		}
		// Some parts of the last chunk may be left.
		last, _, _ := parseLogKey(keys[len(keys)-1])
		left.after = last - 1
	}
}

// delete deletes keys in a transaction between two of the writer. It need not be
// durable: what a crash brings back is deleted again. An error is final for the
// store as one of the writer is.
func (p *purger) delete(keys [][]byte) error {
	s := p.store
	s.write.Lock()
	defer s.write.Unlock()
	if s.failed != nil {
		return s.failed
	}
	txn := s.versions.write()
	defer txn.Discard()
	for _, k := range keys {
		if err := txn.Delete(k); err != nil {
			return err
		}
	}
	if err := s.wal.before(int64(len(keys)), int64(len(keys)*logKeyBytes)); err != nil {
		return err // nothing was written
	}
	version, err := s.versions.commit(txn)
	if err == nil {
		err = s.wal.follow()
	}
	if err != nil {
		return s.fail(err)
	}
	s.versions.advance(version)
	return nil
}

// keys returns the first keys of chunks that end between from and upTo.
func (p *purger) keys(group membership.GroupID, from, upTo core.Index) (keys [][]byte) {
	txn := p.store.versions.read()
	defer p.store.versions.done(txn)
	prefix := logPrefix(group)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Seek(logKey(group, from, 0)); it.ValidForPrefix(prefix) && len(keys) < purgeKeysMax; it.Next() {
		last, _, ok := parseLogKey(it.Item().Key())
		if !ok || last > upTo {
			break
		}
		keys = append(keys, it.Item().KeyCopy(nil))
	}
	return keys
}
