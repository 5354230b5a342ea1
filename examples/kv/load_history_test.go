//go:build unix

package main

import (
	"fmt"
	"sort"
	"sync"
	"time"
)

// counter is a register that only ever goes from n to n+1, whatever swaps were
// tried, repeated or late. Then a history is linearizable if reads never go
// back and no step has two winners.
type counter struct {
	key string

	mu sync.Mutex
	// floors are the highest values that were read or acknowledged, and when; ceiling
	// is the highest that was tried.
	floors  []floor
	ceiling int
	winners map[int]int
	// last is the highest value whose write was acknowledged, index that of the write.
	last  int
	index uint64
}

type floor struct {
	value int
	at    time.Time
}

// known is the least that a read that begins now may return.
func (c *counter) known() int { return c.knownAt(time.Now()) }

// knownAt is what was read or acknowledged by a time.
func (c *counter) knownAt(at time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := sort.Search(len(c.floors), func(i int) bool { return c.floors[i].at.After(at) }); n > 0 {
		return c.floors[n-1].value
	}
	return 0
}

// raise takes a value that is known from now on. The caller holds the lock.
func (c *counter) raise(value int) {
	if n := len(c.floors); value > 0 && (n == 0 || value > c.floors[n-1].value) {
		c.floors = append(c.floors, floor{value, time.Now()})
	}
}

// lastWon is the last value whose write was acknowledged, and its index.
func (c *counter) lastWon() (value int, index uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.index
}

// saw judges what a read returned that began when floor was known.
func (c *counter) saw(value, floor int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case value < floor:
		return fmt.Errorf("stale read: %s is %d, and the read had to see %d", c.key, value, floor)
	case value > c.ceiling:
		return fmt.Errorf("%s is %d, and nobody tried more than %d", c.key, value, c.ceiling)
	}
	c.raise(value)
	return nil
}

func (c *counter) tries(value int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ceiling = max(c.ceiling, value)
}

func (c *counter) won(value, client int, index uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, taken := c.winners[value]; taken {
		return fmt.Errorf("%s: clients %d and %d both made it %d", c.key, other, client, value)
	}
	c.winners[value] = client
	c.raise(value)
	if value > c.last {
		c.last, c.index = value, index
	}
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
