//go:build !race

package actors

import (
	"testing"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// TestPublishAllocatesNothing asserts that a burst's state is put up for nothing
// while nobody watches.
func TestPublishAllocatesNothing(t *testing.T) {
	var b board
	var g growth
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
		g.note(before, after, now)
	}
	for range 3 * growthMarksMax {
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
		Group: 1, Self: id, ElectionTimeout: 1e9, HeartbeatInterval: 1e8, HungLimit: 1e10, UncommittedBytesMax: 1 << 20,
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

// TestMeasuringAllocatesNothing asserts that what a batch records on its way
// allocates nothing.
func TestMeasuringAllocatesNothing(t *testing.T) {
	hosts, _ := newMeteredCluster(t, 1, calm)
	g := hosts[0].group
	m := newGroupMeter(g, g.core.engine)
	stream, box := m.stream(g.node.identity), m.inbox(meteredCore)
	entries := make([]core.Entry, 8)
	message := &core.AppendEntries{Entries: entries}
	log := &groupLog{}
	write := &core.Write{Append: entries, Submitted: 1}
	p, now := m.before, core.Instant(0)
	batch := func() {
		now++
		box.Rang()
		box.Swapped()
		box.Took(8)
		m.writes(log, write)
		p.Role = core.RoleLeader
		p.Last += 8
		p.Committed = p.Last
		p.AppendedBytes += 1000
		m.burst(p, now, 3)
		m.durable(log)
		m.node.wrote(8, 1000, now)
		for i := range entries {
			entries[i].Index = p.Last - 7 + core.Index(i)
		}
		message.Prev.Index = p.Last - 8
		stream.sent(message, true)
		stream.matched(p.Last)
		m.wasApplied(entries, now)
		m.forwarded(trafficSent, 1)
		m.overloaded(overloadWaited)
		m.readEnded(nil)
		m.readsServed(now)
		m.node.sent(message, true)
		m.node.received(message)
	}
	for range 2 * stageMarksMax {
		batch()
	}
	if n := testing.AllocsPerRun(1000, batch); n != 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}

// BenchmarkMeasuring is what a batch of one group costs that passes all stages.
func BenchmarkMeasuring(b *testing.B) {
	for name, metered := range map[string]bool{"off": false, "on": true} {
		b.Run(name, func(b *testing.B) {
			var m *groupMeter
			if metered {
				_, provider := newMeters(b)
				n := &Node{env: stage.Production()}
				n.meter, _ = newNodeMeter(n, provider, false)
				engine, err := core.NewEngine(core.Config{
					Group: 1, Self: membership.Identity{ID: 1, Incarnation: 1}, ElectionTimeout: 1e9, HeartbeatInterval: 1e8, HungLimit: 1e10, UncommittedBytesMax: 1 << 20,
				}, core.State{}, 0)
				if err != nil {
					b.Fatal(err)
				}
				n.table.Store(&groupTable{})
				m = newGroupMeter(&Group{node: n, env: n.env}, engine)
			}
			entries := make([]core.Entry, 8)
			box := m.inbox(meteredCore)
			b.ReportAllocs()
			for b.Loop() {
				box.Rang()
				box.Swapped()
				box.Took(8)
				m.wasApplied(entries, 0)
			}
		})
	}
}
