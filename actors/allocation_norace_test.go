//go:build !race

package actors

import (
	"testing"

	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
	"github.com/trouperaft/troupe/membership"
)

// TestPublishAllocatesNothing asserts that a burst's state is put up for nothing
// while nobody watches.
func TestPublishAllocatesNothing(t *testing.T) {
	var b publishedStatus
	var g memlog.AppendTimes
	s := core.EngineStatus{Role: core.RoleLeader, Term: 1, WaitsFor: make([]core.Waiting, 1), Peers: make([]core.PeerStatus, 4)}
	fill := func(into *core.EngineStatus) {
		waitsFor, peers := into.WaitsFor[:0], into.Peers[:0]
		*into = s
		into.WaitsFor, into.Peers = append(waitsFor, s.WaitsFor...), append(peers, s.Peers...)
	}
	now := core.Instant(0)
	b.put(fill)
	burst := func() {
		s.Last++
		now += 2_000_000
		before, after := b.put(fill)
		g.Note(before, after, now)
	}
	for range 2000 { // more than there are marks: they are thinned out
		burst()
	}
	if n := testing.AllocsPerRun(1000, burst); n != 0 {
		t.Errorf("%v allocations for a burst", n)
	}
}

// TestEngineStatusAllocatesNothing asserts the same of what a leader's engine
// writes.
func TestEngineStatusAllocatesNothing(t *testing.T) {
	id := membership.Identity{ID: 1, Incarnation: 1}
	engine, err := core.NewEngine(core.Config{
		Group: 1, Self: id, Settings: core.Settings{ElectionTimeout: 1e9, HeartbeatInterval: 1e8, HungLimit: 1e10, UncommittedBytesMax: 1 << 20},
	}, core.State{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var s core.EngineStatus
	engine.StatusInto(&s)
	if n := testing.AllocsPerRun(100, func() { engine.StatusInto(&s) }); n != 0 {
		t.Errorf("%v allocations for a status", n)
	}
}

// TestNoWitnessAllocatesNothing asserts that a group without a witness, which is every
// group in production, pays nothing for the steps that nobody sees.
func TestNoWitnessAllocatesNothing(t *testing.T) {
	r, s := newCoreRig(t), newStreamRig(t)
	r.core.cfg.Witness, s.actor.cfg.Witness = nil, nil
	flushed, grown := &core.Flushed{}, &stream.Grown{}
	if n := testing.AllocsPerRun(1000, func() { r.core.stepEngine(flushed) }); n != 0 {
		t.Errorf("%v allocations for a step of the engine", n)
	}
	if n := testing.AllocsPerRun(1000, func() { s.actor.pump(grown) }); n != 0 {
		t.Errorf("%v allocations for a step of a stream", n)
	}
}
