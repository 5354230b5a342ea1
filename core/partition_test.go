package core_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// The tests of this file are about links that do not work: who cannot lead disturbs
// nobody, and who can leads in the end (rules 11 and 12).

const partitionTimeout = 200 * time.Millisecond

// observed counts what happens to a timed world: who leads, how often that changes, and
// the highest term.
type observed struct {
	changes int
	leader  NodeID
	led     time.Duration
}

// watch lets time pass and observes who leads with a quorum that answers: whoever
// commits something every so often.
func (w *timedWorld) watch(t *testing.T, d time.Duration) observed {
	t.Helper()
	var o observed
	for end := w.now.Add(d); w.now < end; {
		begun := w.now
		w.passes(10 * time.Millisecond)
		var leader NodeID
		if l := w.leads(); l != nil {
			leader = l.id.ID
			o.led += w.now.Sub(begun)
		}
		if leader != 0 && leader != o.leader {
			o.changes++
			o.leader = leader
		}
	}
	return o
}

func (w *timedWorld) highestTerm() Term {
	var term Term
	for _, n := range w.nodes {
		if n.up {
			term = max(term, n.engine.Hard().Term)
		}
	}
	return term
}

// elected returns a world of equal members in which somebody leads.
func elected(t *testing.T, seed uint64, nodes int) (*timedWorld, *worldNode) {
	t.Helper()
	w := newTimedWorld(t, seed, partitionTimeout, make([]uint32, nodes)...)
	if !w.until(20*partitionTimeout, func() bool { return w.leads() != nil }) {
		t.Fatal("no leader")
	}
	w.passes(partitionTimeout)
	return w, w.leads()
}

// other returns a node that does not lead.
func (w *timedWorld) other(than *worldNode) *worldNode {
	return w.nodes[than.id.ID%NodeID(len(w.nodes))+1]
}

// isolate cuts a node off. Its connections break: within one nothing is lost.
func (w *timedWorld) isolate(n *worldNode) {
	w.cut = func(from, to NodeID) bool { return from == n.id.ID || to == n.id.ID }
	for _, id := range w.all {
		if id != n.id.ID {
			w.breakLink(n.id.ID, id)
		}
	}
	w.settleAll()
}

// TestReturnFromPartition: whoever comes back from a partition finds the leader and the
// term that it left, however long it was away, and whether or not it lags.
func TestReturnFromPartition(t *testing.T) {
	for seed := range uint64(30) {
		for _, lags := range []bool{false, true} {
			w, leader := elected(t, seed, 3)
			away := w.other(leader)
			term := w.highestTerm()
			w.isolate(away)
			if lags {
				if _, ok := w.writes(10 * partitionTimeout); !ok {
					t.Fatal("nothing is written without it")
				}
			}
			w.passes(time.Duration(5+w.rand.IntN(40)) * partitionTimeout)
			if s := away.engine.Status(); s.Leader != 0 || s.NoLeader == "" {
				t.Errorf("seed %d: alone it knows node %d, and says %q", seed, s.Leader, s.NoLeader)
			}
			w.cut = nil
			o := w.watch(t, 20*partitionTimeout)
			if now := w.highestTerm(); now != term || o.leader != leader.id.ID || o.changes != 1 || away.engine.LeaderIdentity() != leader.id {
				t.Errorf("seed %d, lags %v: from term %d to %d; node %d led, and node %d does, after %d changes", seed, lags, term, now, leader.id.ID, o.leader, o.changes)
			}
			if away.engine.CommitIndex() != leader.engine.CommitIndex() {
				t.Errorf("seed %d: it has %d of %d", seed, away.engine.CommitIndex(), leader.engine.CommitIndex())
			}
		}
	}
}

// TestCutOffInsideACampaign: one that was cut off as a candidate comes back with one
// term more. That ends the term of the leader, once.
func TestCutOffInsideACampaign(t *testing.T) {
	for seed := range uint64(30) {
		w, leader := elected(t, seed, 3)
		away := w.other(leader)
		term := w.highestTerm()
		// As if its pre-votes had been granted just before.
		w.isolate(away)
		w.until(10*partitionTimeout, func() bool { return away.engine.Role() == RolePreCandidate })
		for id := NodeID(1); id <= 3 && away.engine.Role() == RolePreCandidate; id++ {
			m := &VoteResponse{Pre: true, ElectionTerm: term + 1, Campaign: away.engine.CampaignID(), Granted: true}
			m.Header = Header{Group: 1, Cluster: WorldCluster, From: WorldIdentity(id), To: away.id, Term: term}
			if id != away.id.ID {
				away.step(m)
			}
		}
		w.settle(away)
		w.passes(20 * partitionTimeout)
		if away.engine.Hard().Term != term+1 {
			t.Fatalf("seed %d: alone it went from term %d to %d", seed, term, away.engine.Hard().Term)
		}
		w.cut = nil
		w.passes(5 * partitionTimeout)
		o := w.watch(t, 20*partitionTimeout)
		if now := w.highestTerm(); now > term+3 || o.changes != 1 || o.led < 19*partitionTimeout {
			t.Errorf("seed %d: from term %d to %d, %d changes, led for %v", seed, term, now, o.changes, o.led)
		}
	}
}

// TestFreesStuckCandidate: a node of a much higher term than the leader's, whose log
// lags, is brought back: it deposes the leader once, follows the next, and catches up.
func TestFreesStuckCandidate(t *testing.T) {
	for seed := range uint64(30) {
		w, leader := elected(t, seed, 3)
		stuck := w.other(leader)
		stuck.crash()
		w.settleAll()
		if _, ok := w.writes(20 * partitionTimeout); !ok {
			t.Fatal("nothing is written")
		}
		stuck.disk.hard.Term += 40
		stuck.now = w.now
		stuck.start()
		w.settleAll()
		w.passes(8 * partitionTimeout)
		o := w.watch(t, 20*partitionTimeout)
		if l := w.leads(); o.changes != 1 || o.leader == stuck.id.ID || l == nil || stuck.engine.LeaderIdentity() != l.id || stuck.engine.CommitIndex() != l.engine.CommitIndex() || w.highestTerm() > 45 {
			t.Errorf("seed %d: term %d, node %d leads, %d changes; it follows %d, and has %d", seed, w.highestTerm(), o.leader, o.changes, stuck.engine.LeaderIdentity().ID, stuck.engine.CommitIndex())
		}
	}
}

// TestRemovedMemberDisturbsNobody: one that was removed, and has not heard of it, asks
// for votes in vain: it gets answers, and is told; nobody's term rises.
func TestRemovedMemberDisturbsNobody(t *testing.T) {
	for seed := range uint64(30) {
		w, leader := elected(t, seed, 4)
		removed := w.other(leader)
		w.isolate(removed)
		next := membership.Configuration{}
		for _, m := range leader.engine.Latest().Configuration.Members {
			if m.ID != removed.id.ID {
				next.Members = append(next.Members, m)
				next.Voters = append(next.Voters, m.Identity)
			}
		}
		leader.out.Reset()
		leader.engine.AppendConfiguration(&next, &leader.out)
		leader.carryOut()
		w.settle(leader)
		w.passes(20 * partitionTimeout)
		if s := removed.engine.Status(); s.Removed || s.NoLeader == "" {
			t.Fatalf("seed %d: it says %q before it can know", seed, s.NoLeader)
		}
		term := w.highestTerm()
		w.cut = nil
		o := w.watch(t, 40*partitionTimeout)
		if now := w.highestTerm(); now != term || o.leader != leader.id.ID || o.changes != 1 {
			t.Errorf("seed %d: from term %d to %d, node %d leads after %d changes", seed, term, now, o.leader, o.changes)
		}
		if s := removed.engine.Status(); s.Role == RoleLeader || !s.Removed {
			t.Errorf("seed %d: it is a %v, removed %t", seed, s.Role, s.Removed)
		}
	}
}

// TestPartialPartitions blocks every set of the one-way links of three nodes, and some
// of five: where a node reaches a quorum both ways there is one leader in the end, and
// it stays. Where none does, nobody leads, no term rises for ever, and the status of
// each says why.
func TestPartialPartitions(t *testing.T) {
	for set := range 1 << 6 {
		partialPartition(t, uint64(set), 3, func(from, to NodeID) bool {
			// The links of three nodes, numbered.
			i := (int(from)-1)*2 + int(to) - 1
			if to > from {
				i--
			}
			return set>>i&1 == 1
		})
	}
	for seed := range uint64(60) {
		blocked := map[worldLink]bool{}
		r := newTimedWorld(t, seed, partitionTimeout, 0).rand
		for range 1 + r.IntN(12) {
			blocked[worldLink{NodeID(1 + r.IntN(5)), NodeID(1 + r.IntN(5))}] = true
		}
		partialPartition(t, seed, 5, func(from, to NodeID) bool { return blocked[worldLink{from, to}] })
	}
}

func partialPartition(t *testing.T, seed uint64, nodes int, cut func(from, to NodeID) bool) {
	t.Helper()
	w, _ := elected(t, seed, nodes)
	possible := false
	for _, a := range w.all {
		reaches := 1
		for _, b := range w.all {
			if a != b && !cut(a, b) && !cut(b, a) {
				reaches++
			}
		}
		possible = possible || reaches > nodes/2
	}
	w.cut = cut
	w.passes(40 * partitionTimeout)
	term := w.highestTerm()
	o := w.watch(t, 40*partitionTimeout)
	what := fmt.Sprintf("%d nodes, %d: possible %v, led for %v with %d changes, terms %d to %d", nodes, seed, possible, o.led, o.changes, term, w.highestTerm())
	if possible {
		if o.changes != 1 || o.led < 39*partitionTimeout {
			t.Error(what)
		}
		return
	}
	if o.led > 4*partitionTimeout || w.highestTerm() > term+4 {
		t.Error(what)
	}
	for _, n := range w.nodes {
		if s := n.engine.Status(); s.Leader == 0 && s.NoLeader == "" {
			t.Errorf("%s: node %d says nothing", what, n.id.ID)
		}
	}
}
