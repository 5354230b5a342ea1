package core

import (
	"fmt"
	"time"
)

// This file is about Entry.Time. The leader of the moment stamps entries with its wall
// clock, which may be wrong, and jump. What stands in the log stays: a time that is years
// ahead would be the group's until that year has come.

// WallClock is what a wall clock, in nanoseconds since 1970 UTC, and a clock that never
// jumps read at the same moment. The zero value is that of a process without one.
type WallClock struct {
	Time int64
	At   Instant
}

// jumpMax is by how much a wall clock may run ahead of the clock that never jumps within
// one life of a process: what is set right by hand or after a suspension. Jumps of more
// are told.
const jumpMax = time.Hour

// entryTimes makes the times of a group's entries, which never decrease.
type entryTimes struct {
	// last is the time of the last entry, and at when it was appended here.
	last int64
	at   Instant
	// wall is what the wall clock is measured against, unless it is free.
	wall WallClock
	free bool
	// held: the wall clock is ahead of what it may say; ahead: the group's time is ahead
	// of it by more than an hour. Both were told.
	held, ahead bool
	// jumps counts what was told.
	jumps uint64
}

func (t *entryTimes) start(last int64, cfg *Config, now Instant) {
	t.last, t.at, t.wall = last, now, cfg.Wall
	t.free = cfg.ClockStops || cfg.Wall == WallClock{}
}

// took takes the time of an entry that came from elsewhere.
func (t *entryTimes) took(time int64, now Instant) {
	if time > t.last {
		t.last, t.at = time, now
	}
}

// believed is what counts of a reading of the wall clock: within one life of a process it
// moves no faster than the other clock, but for an allowance. At the beginning of a life
// nothing tells a wrong clock from a long pause, and it is taken as it is; so it is always
// where the other clock stands still while the machine is suspended.
func (t *entryTimes) believed(wall int64, now Instant) int64 {
	if t.free {
		return wall
	}
	return min(wall, t.wall.Time+int64(now.Sub(t.wall.At)+jumpMax))
}

// next is the time of an entry that is appended now. While the group's time is ahead of
// the clock it goes on at half speed, so that what waits for a time does not wait for
// ever, and the clock catches up.
func (t *entryTimes) next(wall int64, now Instant) int64 {
	return max(wall, t.last+max(int64(now.Sub(t.at)/2), 0))
}

// stamp gives the leader's own entries their time. Those of one batch have the same.
// Entries of the engine's own come without a reading of the wall clock.
func (e *Engine) stamp(entries []Entry) {
	t := &e.times
	wall := entries[0].Time
	at := t.last
	if wall != 0 {
		believed := t.believed(wall, e.now)
		at = t.next(believed, e.now)
		e.tellOfClock(wall, believed, at)
	}
	for i := range entries {
		entries[i].Time = max(at, t.last)
	}
	if at > t.last {
		t.last, t.at = at, e.now
	}
}

// tellOfClock tells once of each jump of more than an hour.
func (e *Engine) tellOfClock(wall, believed, at int64) {
	t := &e.times
	held, ahead := believed < wall, at-wall > int64(jumpMax)
	leap := time.Duration(at-t.last) - e.now.Sub(t.at)
	switch {
	case held && !t.held:
		e.noticeClock("the clock of this node has jumped ahead to %v: it counts only as far as the time of its process has moved, and an hour", written(wall))
	case ahead && !t.ahead:
		e.noticeClock("the group's time is %v, and the clock of this node says %v: the group's goes on at half speed until the clock has caught up", written(at), written(wall))
	case !held && t.held || !ahead && t.ahead:
		e.noticeClock("the clock of this node, %v, counts again", written(wall))
	case t.last > 0 && leap > jumpMax:
		e.noticeClock("the group's time goes from %v to %v: nothing was written for so long, or a clock is wrong", written(t.last), written(at))
	}
	t.held, t.ahead = held, ahead
}

func (e *Engine) noticeClock(text string, arguments ...any) {
	e.times.jumps++
	e.out.add(&Notice{Kind: NoticeClock, Peer: e.cfg.Self, Term: e.hard.Term, Text: fmt.Sprintf(text, arguments...)})
}

func written(wall int64) string { return time.Unix(0, wall).UTC().Format(time.RFC3339) }
