package actors

import (
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// peerIn returns what a status says of a peer.
func peerIn(t testing.TB, s *Status, id membership.NodeID) core.PeerStatus {
	t.Helper()
	for _, p := range s.Peers {
		if p.ID == id {
			return p
		}
	}
	t.Fatalf("no peer %d in %+v", id, s)
	return core.PeerStatus{}
}

// eventually asks until the answer is yes. It is for what changes without a call
// of the watchers.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func TestStatusOfPeers(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) { c.ElectionTimeout, c.HungLimit = 10*time.Second, 60*time.Second })
	leader := leaderOf(t, hosts)
	rest := others(hosts, leader)
	well, cut := rest[0], rest[1]
	call(t, leader.group, &Proposal{Data: []byte("one")})
	eventually(t, "two peers without a lag", func() bool {
		s := leader.group.Status()
		one, two := peerIn(t, &s, well.id), peerIn(t, &s, cut.id)
		return one.LagEntries+two.LagEntries == 0 && one.LastContact >= 0 && two.LastContact >= 0
	})
	s := leader.group.Status()
	for _, h := range rest {
		p := peerIn(t, &s, h.id)
		if p.Mode != core.StreamReplicate || p.Match != s.Last || p.Lag != 0 || p.InflightMessages != 0 || p.InflightBytes != 0 || p.LastContact > patience {
			t.Errorf("a peer that is well: %+v", p)
		}
	}
	if s.LastContact != 0 || s.InflightProposals != 0 || s.WaitingProposals != 0 {
		t.Errorf("the leader: %+v", s)
	}
	eventually(t, "a follower that hears of its leader", func() bool { return well.group.Status().LastContact >= 0 })
	if s := well.group.Status(); len(s.Peers) != 0 || s.LastContact > patience || s.Heard == 0 {
		t.Errorf("a follower: %+v", s)
	}

	// What is sent is held, and the lag grows with the time.
	leader.hub.Hold(leader.id, cut.id)
	for range 3 {
		call(t, leader.group, &Proposal{Data: []byte("two")})
	}
	lags := func() core.PeerStatus {
		s := leader.group.Status()
		return peerIn(t, &s, cut.id)
	}
	eventually(t, "a peer that lags and has messages under way", func() bool {
		p := lags()
		return p.LagEntries == 3 && p.Lag > 0 && p.InflightMessages > 0 && p.InflightBytes > 0
	})
	before := lags()
	eventually(t, "a lag of half a second more", func() bool {
		p := lags()
		return p.Lag >= before.Lag+500*time.Millisecond && p.LastContact >= 500*time.Millisecond
	})
	s = leader.group.Status()
	if p := peerIn(t, &s, well.id); p.LagEntries != 0 || p.Lag != 0 || p.SendErrors != 0 {
		t.Errorf("the peer that is well: %+v", p)
	}
	leader.hub.Release(leader.id, cut.id)
	eventually(t, "the end of the lag", func() bool { return lags().LagEntries == 0 && lags().Lag == 0 })

	// Without a connection nothing is taken, and that is counted.
	leader.hub.Cut(leader.id, cut.id)
	eventually(t, "messages that were not taken", func() bool { return lags().SendErrors > 1 })
	leader.hub.Heal(leader.id, cut.id)
}

// TestStatusOfTransfer asserts that a peer that gets a snapshot is seen to.
func TestStatusOfTransfer(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) {
		c.ElectionTimeout, c.SnapshotEntries, c.KeepEntries, c.SnapshotChunkBytes = 10*time.Second, 20, 1, 64
		c.HungLimit, c.LogCacheBytesMax = 60*time.Second, 1
	})
	leader := leaderOf(t, hosts)
	late := others(hosts, leader)[0]
	late.shutdown()
	for range 60 {
		call(t, leader.group, &Proposal{Data: make([]byte, 8<<10)})
	}
	until(t, leader.group, "the log to be purged", func(s Status) bool { return s.Purged > 20 })
	late.restart()
	sawPart := false
	eventually(t, "the follower to catch up", func() bool {
		s := leader.group.Status()
		p := peerIn(t, &s, late.id)
		sawPart = sawPart || p.Snapshot && p.Mode == core.StreamSnapshot && p.SnapshotBytes > 0 && p.SnapshotBytes < p.SnapshotTotalBytes
		return p.LagEntries == 0 && p.Mode == core.StreamReplicate
	})
	if !sawPart {
		t.Error("nobody saw a part of the snapshot arrive")
	}
	s := leader.group.Status()
	if p := peerIn(t, &s, late.id); p.Snapshot || p.SnapshotBytes != 0 || p.SnapshotTotalBytes != 0 {
		t.Errorf("after the transfer: %+v", p)
	}
}

// TestStatusOfEndedTransfer asserts that a peer whose stream replicates again waits
// for no snapshot, though the core has not put up yet that the transfer has ended.
func TestStatusOfEndedTransfer(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	leader := leaderOf(t, hosts)
	call(t, leader.group, &Proposal{Data: []byte("one")})
	peer := others(hosts, leader)[0]
	replicates := func(p core.PeerStatus) bool { return p.Mode == core.StreamReplicate && p.LagEntries == 0 }
	eventually(t, "a peer that replicates", func() bool {
		s := leader.group.Status()
		return replicates(peerIn(t, &s, peer.id))
	})
	s := leader.group.Status()
	p := peerIn(t, &s, peer.id)
	p.Snapshot = true // as the engine says until its next burst
	if leader.group.completePeer(&s, &p, instant(leader.group.env)); p.Snapshot || p.SnapshotTotalBytes != 0 || !replicates(p) {
		t.Errorf("%v, snapshot %v", p, p.Snapshot)
	}
}

// TestWatchersShareNothing: each of two watchers, and whoever asks, has a status of
// his own.
func TestWatchersShareNothing(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	leader := leaderOf(t, hosts)
	told := make(chan Status, 2)
	for range 2 {
		var once sync.Once
		defer leader.group.Watch(func(s Status) {
			once.Do(func() { told <- s })
		})()
	}
	call(t, leader.group, &Proposal{Data: []byte("one")})
	statuses := []Status{<-told, <-told, leader.group.Status(), leader.group.Status()}
	for i := range statuses {
		for j := range i {
			a, b := &statuses[i], &statuses[j]
			if len(a.Peers) != 2 || &a.Peers[0] == &b.Peers[0] {
				t.Errorf("statuses %d and %d share their peers: %+v", i, j, a.Peers)
			}
			c, d := &a.Configuration.Configuration, &b.Configuration.Configuration
			if len(c.Voters) != 3 || &c.Voters[0] == &d.Voters[0] || &c.Members[0] == &d.Members[0] {
				t.Errorf("statuses %d and %d share their configuration: %+v", i, j, c)
			}
		}
	}
}
