//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

const (
	loadClients  = 6
	loadCounters = 3
)

// load is what the clients do and have seen. Each client reads and swaps shared
// counters, puts keys of its own and reads what any client did, through any node and in
// every mode. Checked are:
//
//   - every acknowledged put is there from then on, and at the end on every node;
//   - a counter's step from n to n+1 is acknowledged to one client only;
//   - a linearizable read, or one by the lease, never returns less than what was
//     acknowledged or read before it began;
//   - a stale read with a bound never returns less than what was acknowledged or read
//     so long before it began;
//   - a read with a min_index never returns less than the write of that index.
type load struct {
	cluster  *cluster
	counters [loadCounters]counter
	acks     acks
	// think is what each client waits between two requests at least.
	think time.Duration
	// excused, if set, knows of answers that a fault explains: that of a node to a
	// request that began at a time.
	excused func(n *node, begun time.Time, code api.Code) bool

	ctx     context.Context
	cancel  context.CancelFunc
	clients sync.WaitGroup

	mu    sync.Mutex
	puts  []put
	reads map[string]int // that were checked, of each kind
	err   error
}

// put is one that was acknowledged: of a key, set to its own name.
type put struct {
	key   string
	index uint64
	at    time.Time
}

func newLoad(c *cluster) *load {
	l := &load{cluster: c, think: 5 * time.Millisecond, reads: make(map[string]int)}
	for i := range l.counters {
		l.counters[i] = counter{key: fmt.Sprintf("counter-%d", i), winners: make(map[int]int)}
	}
	l.ctx, l.cancel = context.WithCancel(c.t.Context())
	return l
}

func (l *load) start() {
	for id := range loadClients {
		l.clients.Go(func() { l.client(id) })
	}
}

func (l *load) stop() {
	l.cancel()
	l.clients.Wait()
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
}

func (l *load) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// flows waits until so many writes that began from now on are acknowledged.
func (l *load) flows(t *testing.T, writes int) {
	t.Helper()
	since := time.Now()
	eventually(t, "writes are acknowledged", func() error {
		if n := l.acks.begunSince(since); n < writes && l.failure() == nil {
			return fmt.Errorf("%d of %d", n, writes)
		}
		return nil
	})
}

func (l *load) client(id int) {
	tick := time.NewTicker(l.think)
	defer tick.Stop()
	for i := 0; l.ctx.Err() == nil; i++ {
		n := l.cluster.nodes[rand.IntN(len(l.cluster.nodes))]
		switch i % 6 {
		case 0, 3:
			l.put(n, fmt.Sprintf("put-%d-%d", id, i))
		case 1:
			l.step(n, &l.counters[rand.IntN(loadCounters)], id)
		default:
			l.check(n, drawRead())
		}
		select {
		case <-tick.C:
		case <-l.ctx.Done():
		}
	}
}

// put sets a key to its own name. Now and then its client wants to see it at once, on
// any node.
func (l *load) put(n *node, key string) {
	begun := time.Now()
	written, err := n.client.Put(l.ctx, key, []byte(key))
	if err != nil {
		l.judge(n, begun, err)
		return
	}
	l.acks.add(begun)
	l.mu.Lock()
	p := put{key, written.Index, time.Now()}
	l.puts = append(l.puts, p)
	l.mu.Unlock()
	if rand.IntN(4) == 0 {
		l.sees(l.cluster.nodes[rand.IntN(len(l.cluster.nodes))], ownWrite, p)
	}
}

// acknowledged are the acknowledged puts, in that order.
func (l *load) acknowledged() []put {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.puts[:len(l.puts):len(l.puts)]
}

// step reads a counter and tries to raise it by one.
func (l *load) step(n *node, c *counter, id int) {
	have, absent, ok := l.readCounter(n, c, pick(linearizable, byLease))
	if !ok {
		return
	}
	var swap api.Swap
	if !absent {
		swap.Old = new(strconv.Itoa(have))
	}
	swap.New = new(strconv.Itoa(have + 1))
	c.tries(have + 1)
	begun := time.Now()
	result, err := n.client.Swap(l.ctx, c.key, swap)
	if err != nil {
		l.judge(n, begun, err)
		return
	}
	l.acks.add(begun)
	if result.Swapped {
		if err := c.won(have+1, id, result.Index); err != nil {
			l.fail(err)
		}
	}
}

// judge sorts out errors that no killed node explains.
func (l *load) judge(n *node, begun time.Time, err error) {
	var answer *api.Error
	if !errors.As(err, &answer) {
		return
	}
	switch answer.Code {
	case api.UnknownOutcome, api.Timeout, api.NoLeader, api.Overloaded, api.Stopped:
	default:
		if l.excused == nil || !l.excused(n, begun, answer.Code) {
			l.fail(fmt.Errorf("unexpected answer of node %d: %w", n.id, err))
		}
	}
	if answer.MayHaveHappened != (answer.Code == api.UnknownOutcome) {
		l.fail(fmt.Errorf("node %d: may_have_happened is %v: %w", n.id, answer.MayHaveHappened, err))
	}
}

func (l *load) swaps() int {
	n := 0
	for i := range l.counters {
		c := &l.counters[i]
		c.mu.Lock()
		n += len(c.winners)
		c.mu.Unlock()
	}
	return n
}

// verify reads all back, from each node without asking the others, and returns
// the number of puts.
func (l *load) verify(t *testing.T) int {
	t.Helper()
	puts := l.acknowledged()
	for _, n := range l.cluster.nodes {
		err := l.has(n, puts, "stale")
		for _, read := range []string{"linearizable", "stale"} {
			err = errors.Join(err, l.counts(n, read))
		}
		if err != nil {
			t.Errorf("node %d: %v", n.id, err)
		}
	}
	return len(puts)
}

// has reads through a node what was put. What the
// node has not is a failure of the load, too: no later answer can mend it.
func (l *load) has(n *node, puts []put, read string) error {
	const readers = 8
	errs := make([]error, readers)
	var done sync.WaitGroup
	for i := range readers {
		done.Go(func() {
			for at := i; at < len(puts) && errs[i] == nil; at += readers {
				key := puts[at].key
				value, err := n.client.Get(l.cluster.t.Context(), key, client.Read{Mode: read})
				if err == nil && string(value) != key || notFound(err) {
					l.fail(fmt.Errorf("node %d has lost the acknowledged put of %s: it reads %.100q, %v", n.id, key, value, err))
				}
				if err != nil || string(value) != key {
					errs[i] = fmt.Errorf("%s read of the acknowledged put of %s: %.100q, %v", read, key, value, err)
				}
			}
		})
	}
	done.Wait()
	return errors.Join(errs...)
}

// counts reads the counters through a node.
func (l *load) counts(n *node, read string) error {
	var errs []error
	for i := range l.counters {
		c := &l.counters[i]
		floor := c.known()
		value, err := n.client.Get(l.cluster.t.Context(), c.key, client.Read{Mode: read})
		if floor == 0 && notFound(err) {
			continue
		}
		have, notNumber := strconv.Atoi(string(value))
		if err == nil {
			if err = errors.Join(notNumber, c.saw(have, floor)); err != nil {
				l.fail(fmt.Errorf("node %d, %s read: %w", n.id, read, err))
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s read: %w", read, err))
		}
	}
	return errors.Join(errs...)
}
