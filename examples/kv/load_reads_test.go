//go:build unix

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strconv"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

// checkedRead is a kind of read, with what it has to see.
type checkedRead struct {
	client.Read
	// byIndex: it names the index of a write, and has to see that. Any other has to see
	// what was acknowledged MaxStaleness before it began.
	byIndex bool
}

var (
	linearizable = checkedRead{Read: client.Read{Mode: "linearizable"}}
	byLease      = checkedRead{Read: client.Read{Mode: "lease"}}
	ownWrite     = checkedRead{Read: client.Read{Mode: "stale"}, byIndex: true}
)

func (r checkedRead) String() string {
	switch {
	case r.byIndex:
		return r.Mode + " read with a min_index"
	case r.MaxStaleness > 0:
		return r.Mode + " read with a bound"
	}
	return r.Mode + " read"
}

func pick[T any](choices ...T) T { return choices[rand.IntN(len(choices))] }

// drawRead draws one of all kinds.
func drawRead() checkedRead {
	stale := checkedRead{Read: client.Read{Mode: "stale", MaxStaleness: pick(time.Millisecond, 20*time.Millisecond, 300*time.Millisecond, 2*time.Second)}}
	byIndex := checkedRead{Read: client.Read{Mode: pick("stale", "stale", "lease", "linearizable")}, byIndex: true}
	return pick(linearizable, byLease, stale, byIndex)
}

// check carries out a read, of a put or of a counter.
func (l *load) check(n *node, r checkedRead) {
	if rand.IntN(2) == 0 {
		l.readPut(n, r)
	} else {
		_, _, _ = l.readCounter(n, &l.counters[rand.IntN(loadCounters)], r)
	}
}

// checked counts a read that has returned.
func (l *load) checked(r checkedRead) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads[r.String()]++
}

// readPut reads one of the keys that the read has to see, one of the last as often as
// not.
func (l *load) readPut(n *node, r checkedRead) {
	all, limit := l.acknowledged(), time.Now().Add(-r.MaxStaleness)
	due := sort.Search(len(all), func(i int) bool { return all[i].at.After(limit) })
	if due == 0 {
		return
	}
	first := pick(0, max(0, due-8))
	l.sees(n, r, all[first+rand.IntN(due-first)])
}

// sees reads a key that the read has to see.
func (l *load) sees(n *node, r checkedRead, p put) {
	begun := time.Now()
	if r.byIndex {
		r.MinIndex = p.index
	}
	value, err := n.client.Get(l.ctx, p.key, r.Read)
	switch {
	case notFound(err):
		l.fail(fmt.Errorf("stale read: node %d has no %s, whose put was acknowledged %v before a %v (%+v) began", n.id, p.key, begun.Sub(p.at), r, r.Read))
	case err != nil:
		l.judgeRead(n, begun, r, err)
	case string(value) != p.key:
		l.fail(fmt.Errorf("node %d: %s is %.100q", n.id, p.key, value))
	default:
		l.checked(r)
	}
}

// readCounter reads a counter, if the read has to see anything of it. ok: it was read,
// and is what it may be.
func (l *load) readCounter(n *node, c *counter, r checkedRead) (value int, absent, ok bool) {
	begun := time.Now()
	floor := c.knownAt(begun.Add(-r.MaxStaleness))
	if r.byIndex {
		if floor, r.MinIndex = c.lastWon(); floor == 0 {
			return 0, false, false
		}
	}
	text, err := n.client.Get(l.ctx, c.key, r.Read)
	absent = notFound(err)
	if err != nil && !absent {
		l.judgeRead(n, begun, r, err)
		return 0, false, false
	}
	if !absent {
		if value, err = strconv.Atoi(string(text)); err != nil {
			l.fail(fmt.Errorf("%s is %.100q", c.key, text))
			return 0, false, false
		}
	}
	if err := c.saw(value, floor); err != nil {
		l.fail(fmt.Errorf("%v (%+v) through node %d: %w", r, r.Read, n.id, err))
		return 0, false, false
	}
	l.checked(r)
	return value, absent, true
}

func notFound(err error) bool {
	var answer *api.Error
	return errors.As(err, &answer) && answer.Code == api.NotFound
}

// judgeRead is judge: a bound on its age may be what a read fails for.
func (l *load) judgeRead(n *node, begun time.Time, r checkedRead, err error) {
	var answer *api.Error
	if errors.As(err, &answer) && answer.Code == api.TooStale && r.MaxStaleness > 0 {
		return
	}
	l.judge(n, begun, err)
}
