package main

import (
	"sync/atomic"
	"time"
)

// schedule says when each operation of an open loop is to begin: the k-th at k
// divided by the rate after the start, whatever became of those before it. A
// client that is free takes the next one. Latencies count from the intended
// begin: an operation that had to wait for a slow one, in the cluster or for a
// free client, shows it, and none is left out (no coordinated omission).
type schedule struct {
	rate    float64 // operations a second
	tickets chan time.Duration
	sleep   func(time.Duration)

	start time.Time
	// from and to are the measured time, in ns since the start; 0 while it is
	// not known. What was to begin in it is recorded.
	from, to atomic.Int64
	// abandoned: nobody waits any more, and what is left was not served.
	abandoned atomic.Bool
}

func newSchedule(rate float64) *schedule {
	return &schedule{rate: rate, tickets: make(chan time.Duration), sleep: sleepPrecisely, start: time.Now()}
}

// at returns when the k-th operation is to begin, since the start.
func (s *schedule) at(k uint64) time.Duration {
	return time.Duration(float64(k) / s.rate * float64(time.Second))
}

// measure makes the time from now on the measured one.
func (s *schedule) measure(d time.Duration) {
	from := time.Since(s.start)
	s.to.Store(int64(from + d))
	s.from.Store(int64(max(from, 1)))
}

// run hands out all operations that are to begin before the end of the measured
// time. It may be late, which the latencies show.
func (s *schedule) run() {
	defer close(s.tickets)
	for k := uint64(0); ; k++ {
		at := s.at(k)
		if early := at - time.Since(s.start); early > 0 && !s.abandoned.Load() {
			s.sleep(early)
		}
		if to := s.to.Load(); to != 0 && int64(at) >= to || to == 0 && s.abandoned.Load() {
			return
		}
		s.tickets <- at
	}
}

// measured reports whether an operation that is to begin at that time counts.
func (s *schedule) measured(at time.Duration) bool {
	from := s.from.Load()
	return from != 0 && int64(at) >= from && int64(at) < s.to.Load()
}

// openLoop carries out what the schedule hands out.
func (c *client) openLoop() {
	s := c.load.schedule
	for at := range s.tickets {
		command := c.next()
		counts := s.measured(at)
		if s.abandoned.Load() {
			c.unserve(command, at, counts)
			continue
		}
		lag := time.Since(s.start) - at
		switch done := c.do(command); {
		case !done && s.abandoned.Load():
			c.unserve(command, at, counts)
		case done && counts:
			c.lags.add(lag)
			c.record(command, time.Since(s.start)-at)
		}
	}
}

// unserve records an operation that was never answered with the time that it
// has waited, which is less than it would have taken.
func (c *client) unserve(command []byte, at time.Duration, counts bool) {
	if counts {
		c.unserved++
		c.record(command, time.Since(c.load.schedule.start)-at)
	}
}
