package simulation

import (
	"time"

	"github.com/trouperaft/troupe/core"
)

// event is something that happens at a virtual instant. An event of a life that
// has ended does not happen; one of a paused process waits for its end.
type event struct {
	at       core.Instant
	sequence uint64
	run      func()
	life     *life // nil: nobody's
	place    int   // in the heap, -1 if it is not there
}

// clock is the virtual time and the heap of what is to come. Events of one
// instant happen in the order in which they were made.
type clock struct {
	now      core.Instant
	sequence uint64
	heap     []*event
}

// after makes an event that happens d from now, a nanosecond at the least: an
// effect is later than its cause.
func (c *clock) after(d time.Duration, l *life, run func()) *event {
	e := &event{run: run, life: l, place: -1}
	c.arm(e, d)
	return e
}

// arm sets e, which is not in the heap, to d from now.
func (c *clock) arm(e *event, d time.Duration) {
	c.sequence++
	e.at, e.sequence = c.now.Add(max(d, 1)), c.sequence
	e.place = len(c.heap)
	c.heap = append(c.heap, e)
	c.up(e.place)
}

// cancel takes e out of the heap, if it is there.
func (c *clock) cancel(e *event) {
	if e.place < 0 {
		return
	}
	i, last := e.place, len(c.heap)-1
	c.swap(i, last)
	c.heap[last] = nil
	c.heap = c.heap[:last]
	e.place = -1
	if i < last {
		c.down(i)
		c.up(i)
	}
}

// next takes out the first event and moves the time to it, nil if there is
// none.
func (c *clock) next() *event {
	if len(c.heap) == 0 {
		return nil
	}
	e := c.heap[0]
	c.cancel(e)
	c.now = max(c.now, e.at)
	return e
}

func (c *clock) less(i, j int) bool {
	a, b := c.heap[i], c.heap[j]
	return a.at < b.at || a.at == b.at && a.sequence < b.sequence
}

func (c *clock) swap(i, j int) {
	c.heap[i], c.heap[j] = c.heap[j], c.heap[i]
	c.heap[i].place, c.heap[j].place = i, j
}

func (c *clock) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !c.less(i, parent) {
			return
		}
		c.swap(i, parent)
		i = parent
	}
}

func (c *clock) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(c.heap) {
			return
		}
		if child+1 < len(c.heap) && c.less(child+1, child) {
			child++
		}
		if !c.less(child, i) {
			return
		}
		c.swap(i, child)
		i = child
	}
}
