//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

var (
	rounds              = flag.Int("rounds", 3, "how often TestKillLeader kills the leader")
	killElectionTimeout = flag.Duration("election-timeout", time.Second, "election time-out of TestKillLeader's nodes")
)

// TestKillLeader kills the leader under load and starts it again, -rounds
// times. Each client reads and swaps shared counters, puts keys of its own and
// reads back what any client put, through any node. Checked are:
//
//   - every acknowledged put is there from then on, and at the end on every node;
//   - a counter's step from n to n+1 is acknowledged to one client only;
//   - a linearizable read, or one by the lease, never returns less than what was
//     acknowledged or read before it began;
//   - writes are acknowledged again before ten election time-outs are over.
func TestKillLeader(t *testing.T) {
	c := newCluster(t, "--election-timeout", killElectionTimeout.String(), "--snapshot-entries", "500")
	l := newLoad(c)
	l.start()
	defer l.stop()

	var outages []time.Duration
	for round := range *rounds {
		l.flows(t, 100)
		leader := c.leader()
		l.acks.mark()
		leader.kill()
		l.flows(t, 50)
		outage := l.acks.worstGap()
		outages = append(outages, outage)
		t.Logf("round %d: killed node %d, %v without writes", round+1, leader.id, outage.Round(time.Millisecond))
		leader.start()
		c.leader()
		c.following(leader)
		if err := l.failure(); err != nil {
			t.Fatal(err)
		}
	}
	l.stop()
	if err := l.failure(); err != nil {
		t.Fatal(err)
	}
	c.caughtUp()
	acknowledged := l.verify(t)

	slices.Sort(outages)
	median, worst := outages[len(outages)/2], outages[len(outages)-1]
	t.Logf("%d rounds, %d puts and %d swaps acknowledged and looked for; without writes: median %v, worst %v; election time-out %v",
		*rounds, acknowledged, l.swaps(), median.Round(time.Millisecond), worst.Round(time.Millisecond), *killElectionTimeout)
	if worst >= 10**killElectionTimeout {
		t.Errorf("%v without writes: ten election time-outs or more", worst)
	}
}

// following waits until the node has applied what the others had committed
// when it was asked.
func (c *cluster) following(n *node) {
	c.t.Helper()
	ahead, err := c.others(n)[0].status()
	if err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, "it has caught up", func() error {
		s, err := n.status()
		if err != nil || s.AppliedIndex >= ahead.CommitIndex {
			return err
		}
		return fmt.Errorf("applied %d of %d", s.AppliedIndex, ahead.CommitIndex)
	})
}

const (
	loadClients  = 6
	loadCounters = 3
)

// load is what the clients do and have seen.
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

	mu   sync.Mutex
	puts []string
	err  error
}

func newLoad(c *cluster) *load {
	l := &load{cluster: c, think: 5 * time.Millisecond}
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
		switch i % 4 {
		case 0, 2:
			l.put(n, fmt.Sprintf("put-%d-%d", id, i))
		case 1:
			l.step(n, &l.counters[rand.IntN(loadCounters)], id)
		case 3:
			l.readBack(n)
		}
		select {
		case <-tick.C:
		case <-l.ctx.Done():
		}
	}
}

// put sets a key to its own name.
func (l *load) put(n *node, key string) {
	begun := time.Now()
	if _, err := n.client.Put(l.ctx, key, []byte(key)); err != nil {
		l.judge(n, begun, err)
		return
	}
	l.acks.add(begun)
	l.mu.Lock()
	l.puts = append(l.puts, key)
	l.mu.Unlock()
}

// fresh is how the clients read: by a round of heartbeats, or by the lease.
func fresh() client.Read {
	return client.Read{Mode: []string{"linearizable", "lease"}[rand.IntN(2)]}
}

// readBack reads one of the keys whose put was acknowledged.
func (l *load) readBack(n *node) {
	keys := l.acknowledged()
	if len(keys) == 0 {
		return
	}
	key, begun := keys[rand.IntN(len(keys))], time.Now()
	value, err := n.client.Get(l.ctx, key, fresh())
	var answer *api.Error
	switch {
	case errors.As(err, &answer) && answer.Code == api.NotFound:
		l.fail(fmt.Errorf("stale read: node %d has no %s, and its put was acknowledged before the read began", n.id, key))
	case err != nil:
		l.judge(n, begun, err)
	case string(value) != key:
		l.fail(fmt.Errorf("node %d: %s is %.100q", n.id, key, value))
	}
}

// acknowledged are the keys whose puts were acknowledged, in that order.
func (l *load) acknowledged() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.puts[:len(l.puts):len(l.puts)]
}

// step reads a counter and tries to raise it by one.
func (l *load) step(n *node, c *counter, id int) {
	floor, begun := c.known(), time.Now()
	value, err := n.client.Get(l.ctx, c.key, fresh())
	var answer *api.Error
	absent := errors.As(err, &answer) && answer.Code == api.NotFound
	if err != nil && !absent {
		l.judge(n, begun, err)
		return
	}
	have := 0
	var swap api.Swap
	if !absent {
		text := string(value)
		if have, err = strconv.Atoi(text); err != nil {
			l.fail(fmt.Errorf("%s is %q", c.key, text))
			return
		}
		swap.Old = &text
	}
	if err := c.saw(have, floor); err != nil {
		l.fail(err)
		return
	}
	next := strconv.Itoa(have + 1)
	swap.New = &next
	c.tries(have + 1)
	begun = time.Now()
	result, err := n.client.Swap(l.ctx, c.key, swap)
	if err != nil {
		l.judge(n, begun, err)
		return
	}
	l.acks.add(begun)
	if result.Swapped {
		if err := c.won(have+1, id); err != nil {
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
	keys := l.acknowledged()
	for _, n := range l.cluster.nodes {
		err := l.has(n, keys, "stale")
		for _, read := range []string{"linearizable", "stale"} {
			err = errors.Join(err, l.counts(n, read))
		}
		if err != nil {
			t.Errorf("node %d: %v", n.id, err)
		}
	}
	return len(keys)
}

// has reads keys through a node, each of which was set to its own name. What the
// node has not is a failure of the load, too: no later answer can mend it.
func (l *load) has(n *node, keys []string, read string) error {
	const readers = 8
	errs := make([]error, readers)
	var done sync.WaitGroup
	for i := range readers {
		done.Go(func() {
			for at := i; at < len(keys) && errs[i] == nil; at += readers {
				value, err := n.client.Get(l.cluster.t.Context(), keys[at], client.Read{Mode: read})
				var answer *api.Error
				if err == nil && string(value) != keys[at] || errors.As(err, &answer) && answer.Code == api.NotFound {
					l.fail(fmt.Errorf("node %d has lost the acknowledged put of %s: it reads %.100q, %v", n.id, keys[at], value, err))
				}
				if err != nil || string(value) != keys[at] {
					errs[i] = fmt.Errorf("%s read of the acknowledged put of %s: %.100q, %v", read, keys[at], value, err)
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
		var answer *api.Error
		if floor == 0 && errors.As(err, &answer) && answer.Code == api.NotFound {
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

// counter is a register that only ever goes from n to n+1, whatever swaps were
// tried, repeated or late. Then a history is linearizable if reads never go
// back and no step has two winners.
type counter struct {
	key string

	mu sync.Mutex
	// floor is the highest value that was read or acknowledged, ceiling the
	// highest that was tried.
	floor, ceiling int
	winners        map[int]int
}

// known is the least that a read that begins now may return.
func (c *counter) known() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.floor
}

// saw judges what a read returned that began when floor was known.
func (c *counter) saw(value, floor int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case value < floor:
		return fmt.Errorf("stale read: %s is %d, and was %d before the read began", c.key, value, floor)
	case value > c.ceiling:
		return fmt.Errorf("%s is %d, and nobody tried more than %d", c.key, value, c.ceiling)
	}
	c.floor = max(c.floor, value)
	return nil
}

func (c *counter) tries(value int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ceiling = max(c.ceiling, value)
}

func (c *counter) won(value, client int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, taken := c.winners[value]; taken {
		return fmt.Errorf("%s: clients %d and %d both made it %d", c.key, other, client, value)
	}
	c.winners[value] = client
	c.floor = max(c.floor, value)
	return nil
}

// acks notes when writes were acknowledged.
type acks struct {
	mu    sync.Mutex
	begun []time.Time // in order of acknowledgement
	last  time.Time
	worst time.Duration
}

func (a *acks) add(begun time.Time) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = append(a.begun, begun)
	a.worst = max(a.worst, now.Sub(a.last))
	a.last = now
}

// mark begins to measure from now on.
func (a *acks) mark() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun, a.worst, a.last = a.begun[:0], 0, time.Now()
}

// worstGap is the longest time without an acknowledgement since mark.
func (a *acks) worstGap() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.worst, time.Since(a.last))
}

func (a *acks) begunSince(since time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, begun := range a.begun {
		if begun.After(since) {
			n++
		}
	}
	return n
}
