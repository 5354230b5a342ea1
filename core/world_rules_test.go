package core_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/trouperaft/troupe/core"
)

func play(t *testing.T, w *world, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := w.command(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
}

// TestOneHeartbeatDestroysNoCluster: a stranger's heartbeat of an absurd term, one to
// each node, and the cluster goes on, over a restart too.
func TestOneHeartbeatDestroysNoCluster(t *testing.T) {
	for _, term := range []string{"4611686018427387904", "18446744073709551615"} {
		w := newWorld()
		play(t, w, "-cluster 3", "-start", "-elect 1", "-stabilize")
		for id := 1; id <= 3; id++ {
			play(t, w, fmt.Sprintf("-stranger 9->%d heartbeat term=%s", id, term))
		}
		play(t, w, "-run 2s")
		if n := w.nodes[1].engine; n.Role() != RoleLeader || n.Hard().Term != 2 {
			t.Errorf("term %s: node 1 is a %v of T%d", term, n.Role(), n.Hard().Term)
		}
		play(t, w, "-restart", "-run 5s")
		leader := ClusterID{}
		for _, n := range w.nodes {
			if n.engine.Role() == RoleLeader {
				leader = n.engine.Hard().Cluster
			}
		}
		if leader.IsZero() {
			t.Errorf("term %s: nobody leads after a restart", term)
		}
	}
}

// TestTermsFarApart: two members whose terms are 2^40 apart, which nobody can heal by
// hand, elect a leader all the same; where a third answers, the two that are near each
// other do not wait for it.
func TestTermsFarApart(t *testing.T) {
	for nodes, limit := range map[int]time.Duration{2: 20 * time.Minute, 3: time.Minute} {
		w := newWorld()
		w.quiet = true
		play(t, w, fmt.Sprintf("-cluster %d", nodes), fmt.Sprintf("-terms %d term=1099511627776", nodes), "-start")
		for now := time.Duration(0); ; now += time.Second {
			leads := false
			for _, n := range w.nodes {
				leads = leads || n.engine.Role() == RoleLeader
			}
			if leads {
				play(t, w, "-run 1s")
				t.Logf("%d nodes: a leader after %v", nodes, now)
				break
			}
			if now > limit {
				t.Errorf("%d nodes: no leader within %v", nodes, limit)
				break
			}
			play(t, w, "-run 1s")
		}
	}
}

// formedWithin runs empty nodes that are all asked with the same list, with disks of
// which each write takes so long and a network that loses what lost says, and returns
// when they were one cluster.
func formedWithin(t *testing.T, nodes int, disk, ask, limit time.Duration, lost func(from, to NodeID) bool) time.Duration {
	t.Helper()
	w := newWorld()
	w.quiet = true
	play(t, w, fmt.Sprintf("-nodes %d", nodes), "-start")
	var list []NodeID
	for id := range nodes {
		list = append(list, NodeID(id+1))
	}
	for _, id := range list {
		b := BootstrapOf(list...)
		b.AskLimit = ask
		w.nodes[id].step(b)
	}
	due := make(map[NodeID]time.Duration)
	for now := time.Duration(0); now < limit; now += 100 * time.Millisecond {
		complete := true
		for _, id := range list {
			n := w.nodes[id]
			if len(n.writes) == 0 {
				due[id] = now + disk
			} else if now >= due[id] {
				// One sync for all that is queued.
				for range len(n.writes) {
					n.flush()
				}
				due[id] = now + disk
			}
			n.apply()
			c := n.engine.Latest()
			complete = complete && len(c.Configuration.Voters) == nodes && !n.engine.Bootstraps()
		}
		if complete {
			return now
		}
		for range 4 { // a round trip takes less than a heartbeat
			for _, from := range list {
				for _, to := range list {
					if lost != nil && lost(from, to) {
						delete(w.links, worldLink{from, to})
					}
					w.deliver(from, to, func(Message) bool { return true }, -1)
				}
			}
		}
		w.quiet = true
		w.advance(list, 100*time.Millisecond)
	}
	for _, id := range list {
		t.Logf("%d: %v, waits for %v", id, w.nodes[id].engine.Latest().Configuration, w.nodes[id].engine.Status().WaitsFor)
	}
	t.Fatalf("%d nodes with disks of %v form no cluster within %v", nodes, disk, limit)
	return 0
}

// TestFormingWithSlowDisks: a grant waits for two disks, one after the other, and a
// forming for some more.
func TestFormingWithSlowDisks(t *testing.T) {
	for disk, limit := range map[time.Duration]time.Duration{
		0: 2 * time.Second, 2500 * time.Millisecond: time.Minute, 12 * time.Second: 5 * time.Minute,
	} {
		t.Logf("disks of %v: formed in %v", disk, formedWithin(t, 3, disk, time.Hour, limit, nil))
	}
}

// TestFormingOfManyNodes: all 31 are asked at once, and one cluster comes of it.
func TestFormingOfManyNodes(t *testing.T) {
	t.Logf("31 nodes: formed in %v", formedWithin(t, 31, 0, 10*time.Second, 30*time.Second, nil))
}

// TestLowestIDIsHalfReachable: the others let node 1 go first as long as it asks. It
// hears nothing of node 3, gives up for that, and the next of them begins.
func TestLowestIDIsHalfReachable(t *testing.T) {
	for name, lost := range map[string]func(from, to NodeID) bool{
		"the answers of node 3 are lost":   func(from, to NodeID) bool { return from == 3 && to == 1 },
		"the questions to node 3 are lost": func(from, to NodeID) bool { return from == 1 && to == 3 },
	} {
		t.Logf("%s: formed in %v", name, formedWithin(t, 3, 0, 10*time.Second, 20*time.Second, lost))
	}
}
