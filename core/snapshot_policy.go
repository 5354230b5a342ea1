package core

import (
	"errors"
	"time"
)

// This file is about when a snapshot of this node's state machine is made: by policy, by
// hand, or because a peer needs one.

// SnapshotPolicy says when a node makes a snapshot, and what its log keeps below one.
type SnapshotPolicy struct {
	// Entries and LogBytes: when so much was applied since the last one, in entries and
	// in bytes of entries. 0 turns that rule off.
	Entries, LogBytes uint64
	// Interval: when so long ago something was applied that the last one lacks, with a
	// quarter of it more or less. 0 turns that rule off.
	Interval time.Duration
	// KeepEntries and KeepBytes: at most so much stays below it, whichever is less.
	// KeepBytes 0 turns that rule off.
	KeepEntries, KeepBytes uint64
}

func (e *Engine) onSetSnapshotPolicy(ev *SetSnapshotPolicy) {
	p, c := &ev.Policy, &e.cfg.Settings
	c.SnapshotEntries, c.SnapshotLogBytes, c.KeepEntries, c.KeepBytes = p.Entries, p.LogBytes, p.KeepEntries, p.KeepBytes
	if c.SnapshotInterval != p.Interval {
		c.SnapshotInterval = p.Interval
		e.setSnapshotInterval()
	}
	e.buildWhenDue()
	e.purge()
}

// buildWhenDue asks for a snapshot by policy.
func (e *Engine) buildWhenDue() {
	s := &e.snapshots
	since := max(s.base.Index, s.triedAt)
	if s.building || s.installing != nil || s.lacks || e.applied <= since {
		return
	}
	entries := uint64(e.applied - since)
	if byCount := e.cfg.SnapshotEntries; byCount > 0 && entries >= byCount {
		e.build(false)
	} else if byBytes := e.cfg.SnapshotLogBytes; byBytes > 0 && e.sizes.Between(since, e.applied) >= byBytes {
		e.build(false)
	}
}

// build asks for a snapshot, a whole one or what is enough for the log to be purged.
func (e *Engine) build(whole bool) {
	s := &e.snapshots
	s.building, s.whole, s.triedAt = true, whole || !e.cfg.Records, e.applied
	if s.whole {
		s.wanted = false
		e.out.add(&BuildSnapshot{})
		return
	}
	e.out.add(&BuildSnapshot{Record: true, Above: s.base.Index, Unneeded: e.log.purged.Index})
}

// buildWhole asks for a whole snapshot, as soon as a record that is being made is there.
func (e *Engine) buildWhole() {
	s := &e.snapshots
	if !s.building {
		e.build(true)
	} else if !s.whole {
		s.wanted = true
	}
}

// setSnapshotInterval begins the wait for the next snapshot by time. Members that were
// started together are not to build together.
func (e *Engine) setSnapshotInterval() {
	d := &e.snapshots.interval
	e.cancel(d, TimerSnapshotInterval)
	if whole := e.cfg.SnapshotInterval; whole > 0 {
		e.set(d, TimerSnapshotInterval, e.now.Add(whole*3/4+time.Duration(e.rand.Int64N(int64(whole/2)+1))))
	}
}

func (e *Engine) onSnapshotInterval() {
	s := &e.snapshots
	s.interval.at = 0
	if !s.building && s.installing == nil && !s.lacks && e.applied > s.base.Index && s.failures == 0 {
		e.build(false)
	}
	e.setSnapshotInterval()
}

// Bounds of the waits before a snapshot is tried again, in election time-outs. They
// double with each try: after a build that failed, and where the machine said that it is
// not the time.
const (
	buildPauseMin = 10
	notNowMin     = 1
	buildPauseMax = 640
)

// buildAgain has a build repeated, also where nothing more is applied.
func (e *Engine) buildAgain(after error) {
	pause := time.Duration(buildPauseMin)
	if errors.Is(after, ErrNotNow) {
		pause = notNowMin
	}
	pause = min(pause<<min(e.snapshots.failures, 10), buildPauseMax)
	e.snapshots.failures++
	e.snapshots.againWhole = e.snapshots.againWhole || e.snapshots.whole
	e.set(&e.snapshots.again, TimerSnapshot, e.now.Add(pause*e.cfg.ElectionTimeout))
}

// buildNoMore forgets the builds that have failed.
func (e *Engine) buildNoMore() {
	e.snapshots.failures, e.snapshots.againWhole = 0, false
	e.cancel(&e.snapshots.again, TimerSnapshot)
}

func (e *Engine) onSnapshotTimer() {
	s := &e.snapshots
	s.again.at = 0
	if !s.building && s.installing == nil && !s.lacks && (e.applied > s.base.Index || (!s.based || s.againWhole) && e.applied > 0) {
		e.build(s.againWhole)
	}
}

// onMakeSnapshot makes one by hand, or joins the one that is being made. With nothing new
// the newest is the answer.
func (e *Engine) onMakeSnapshot(ev *MakeSnapshot) {
	s := &e.snapshots
	s.asked = append(s.asked, ev.ID)
	switch {
	case s.building && s.whole || s.installing != nil || s.lacks: // one comes, from the leader
	case e.applied == 0:
		e.snapshotMade(ErrNoCluster)
	case s.usable && s.newest.Index >= e.applied:
		e.snapshotMade(nil)
	default:
		e.buildWhole()
	}
}

// snapshotMade answers those who wait for a snapshot by hand: with the newest, if err is
// nil.
func (e *Engine) snapshotMade(err error) {
	for _, id := range e.snapshots.asked {
		c := &SnapshotMade{ID: id, Err: err}
		if err == nil {
			c.Meta = e.snapshots.newest
		}
		e.out.add(c)
	}
	e.snapshots.asked = nil
}

func (e *Engine) onSnapshotBuilt(ev *SnapshotBuilt) {
	s := &e.snapshots
	s.building = false
	switch {
	case ev.Err != nil:
		if s.whole {
			e.snapshotMade(ev.Err)
		}
		e.buildAgain(ev.Err)
	default:
		if !ev.Record || !s.againWhole {
			e.buildNoMore()
		}
		e.takeBuilt(ev)
		if !ev.Record && s.installing == nil { // else its end answers
			s.wanted = false
			e.snapshotMade(nil)
		}
	}
	if s.wanted && s.installing == nil && !s.lacks {
		e.build(true)
		return
	}
	// What was applied meanwhile may be enough for the next one.
	e.buildWhenDue()
}

// takeBuilt takes a snapshot that was built, or a record, for the newest one.
func (e *Engine) takeBuilt(ev *SnapshotBuilt) {
	s, id := &e.snapshots, ev.Meta.LogID
	if !e.log.holds(id) {
		return // the log was reset meanwhile
	}
	// One takes the place of the same that is rotten.
	if !ev.Record && (id.Index > s.newest.Index || !s.usable && id == s.newest.LogID) {
		s.newest, s.usable = ev.Meta, true
		e.keepForWaiting()
	}
	if id.Index <= s.base.Index && (s.based || id != s.base) {
		return
	}
	s.base, s.based, s.recorded = id, true, 0
	if ev.Record {
		s.recorded = id.Index
	}
	e.purge()
	e.wasMember = e.wasMember || e.configs.everHad(e.cfg.Self)
	e.configs.forget(min(s.base.Index, e.commit))
	e.setSnapshotInterval()
}
