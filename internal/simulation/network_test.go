package simulation

import (
	"fmt"
	"slices"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// ear keeps what it hears.
type ear struct {
	heard    []string
	clusters []core.ClusterID // of the messages
	claims   []bool           // of the messages: whether they introduce
	learned  []network.Peer
}

func (e *ear) Receive(from membership.Identity, m core.Message) {
	h := m.(*core.Heartbeat)
	e.heard = append(e.heard, fmt.Sprintf("%d:%d", from.ID, h.Round))
	e.clusters = append(e.clusters, h.Cluster)
	e.claims = append(e.claims, h.Introduces)
}
func (e *ear) Learned(p network.Peer)       { e.learned = append(e.learned, p) }
func (e *ear) Outlived(membership.Identity) {}
func (e *ear) Connected(peer membership.Identity, class core.Class) {
	e.heard = append(e.heard, fmt.Sprintf("up %d %v", peer.ID, class))
}
func (e *ear) Disconnected(node core.NodeID, class core.Class, _ error) {
	e.heard = append(e.heard, fmt.Sprintf("down %d %v", node, class))
}

// wired is a quiet simulation whose nodes 1 and 2 listen.
func wired(t *testing.T) (s *sim, one, two *ear) {
	t.Helper()
	s = quiet(t)
	s.plan.queueOnDial, s.plan.netWindow = true, 100
	one, two = &ear{}, &ear{}
	for i, e := range []*ear{one, two} {
		l := s.nodes[i].life
		if err := l.endpoint.Start(network.Local{Identity: l.identity(), StartCounter: 1, Nonce: uint64(i + 1)}, nil, e); err != nil {
			t.Fatal(err)
		}
	}
	s.nodes[0].life.endpoint.SetAddress(2, address(2))
	return s, one, two
}

func (s *sim) heartbeat(round uint64) bool {
	one, two := s.nodes[0].life, s.nodes[1].life
	return one.endpoint.Send(&core.Heartbeat{Header: core.Header{Group: 1, From: one.identity(), To: two.identity(), Term: 1}, Round: round})
}

// play runs everything that is to come.
func (s *sim) play() {
	for s.step() {
	}
}

func TestNetworkKeepsOrder(t *testing.T) {
	s, one, two := wired(t)
	var want []string
	for i := range uint64(20) {
		if !s.heartbeat(i) {
			t.Fatal("refused")
		}
		want = append(want, fmt.Sprintf("1:%d", i))
	}
	s.play()
	if !slices.Equal(two.heard, want) || !slices.Equal(one.heard, []string{"up 2 control"}) {
		t.Errorf("heard %v and %v", two.heard, one.heard)
	}
}

func TestNetworkBlocks(t *testing.T) {
	s, _, two := wired(t)
	s.heartbeat(0)
	s.play()
	s.fabric.blocked[1][2] = 1
	s.heartbeat(1)
	s.heartbeat(2)
	s.play()
	if len(two.heard) != 1 {
		t.Fatalf("heard %v through a partition", two.heard)
	}
	s.fabric.unblock(1, 2)
	s.play()
	if !slices.Equal(two.heard, []string{"1:0", "1:1", "1:2"}) {
		t.Errorf("heard %v", two.heard)
	}
}

func TestNetworkLosesConnections(t *testing.T) {
	s, one, two := wired(t)
	s.heartbeat(0)
	s.play()
	s.heartbeat(1)
	s.fabric.lose(1, 2, core.ClassControl)
	s.heartbeat(2) // goes into the void: nobody here knows yet
	s.play()
	if !slices.Equal(two.heard, []string{"1:0"}) || !slices.Equal(one.heard, []string{"up 2 control", "down 2 control"}) {
		t.Errorf("heard %v and %v", two.heard, one.heard)
	}
	if s.heartbeat(3) {
		t.Error("dialed again at once")
	}
	s.clock.now = s.clock.now.Add(redialAfter)
	if s.heartbeat(4) {
		t.Error("took a message that it could lose without a word")
	}
	s.play()
	s.heartbeat(5)
	s.play()
	if !slices.Equal(two.heard, []string{"1:0", "1:5"}) {
		t.Errorf("heard %v", two.heard)
	}
}

func TestNetworkCrash(t *testing.T) {
	for seed := range uint64(20) {
		s, one, two := wired(t)
		s.fabric.rand.Uint64()
		for range seed {
			s.fabric.rand.Uint64()
		}
		s.heartbeat(0)
		s.play()
		s.heartbeat(1)
		s.heartbeat(2)
		l := s.nodes[seed%2].life
		l.dead = true
		s.fabric.leave(l.endpoint)
		s.play()
		if l.node.id == 1 {
			if want := []string{"1:0", "1:1", "1:2"}[:len(two.heard)]; !slices.Equal(two.heard, want) {
				t.Errorf("heard %v of who crashed", two.heard)
			}
		} else if !slices.Equal(one.heard, []string{"up 2 control", "down 2 control"}) {
			t.Errorf("heard %v", one.heard)
		}
	}
}

func TestNetworkWindow(t *testing.T) {
	s, _, two := wired(t)
	s.plan.netWindow = 3
	sent := 0
	for i := range uint64(10) {
		sent += int(truth(s.heartbeat(i)))
	}
	s.play()
	if sent != 3 || len(two.heard) != 3 {
		t.Errorf("sent %d, heard %v", sent, two.heard)
	}
}

// TestNetworkProves: a message has the cluster that its sender has proved before
// it on its connection, if the receiver knows the same one, and else none.
func TestNetworkProves(t *testing.T) {
	ours, theirs, none := core.ClusterID{1}, core.ClusterID{2}, core.ClusterID{}
	s, _, two := wired(t)
	from, to := s.nodes[0].life, s.nodes[1].life
	one := func(cluster core.ClusterID) { from.endpoint.SetCluster(1, cluster) }
	other := func(cluster core.ClusterID) { to.endpoint.SetCluster(1, cluster) }
	for name, step := range []struct {
		before func()
		want   core.ClusterID
	}{
		{func() {}, none},
		{func() { one(ours) }, none},
		{func() { other(theirs) }, none},
		{func() { other(ours) }, ours}, // the proof came before
		{func() { other(none) }, none},
		{func() { other(ours) }, ours},
		{func() { one(theirs) }, none},
		{func() { one(ours) }, ours},
		{func() { s.fabric.lose(1, 2, 0); s.play(); s.clock.now = s.clock.now.Add(redialAfter) }, ours}, // another connection
	} {
		step.before()
		s.heartbeat(0)
		s.play()
		s.heartbeat(1)
		s.play()
		if got := two.clusters[len(two.clusters)-1]; got != step.want {
			t.Errorf("step %d: the message has the cluster %v, want %v", name, got, step.want)
		}
	}
	if len(two.learned) != 1 || two.learned[0].Identity != from.identity() || two.learned[0].Address != address(1) {
		t.Errorf("learned %+v", two.learned)
	}
}

// TestNetworkIntroduces: what introduces claims a cluster, and nobody proves it;
// what does not introduce claims nothing; and what is proved introduces no more.
func TestNetworkIntroduces(t *testing.T) {
	s, _, two := wired(t)
	claim := core.ClusterID{7}
	one, to := s.nodes[0].life, s.nodes[1].life
	for i, introduces := range []bool{true, false, true} {
		if i == 2 {
			one.endpoint.SetCluster(1, claim)
			to.endpoint.SetCluster(1, claim)
		}
		m := &core.Heartbeat{Header: core.Header{Group: 1, From: one.identity(), To: to.identity(), Term: 1, Introduces: introduces, Cluster: claim}}
		one.endpoint.send(m, digest(m)) // no checker looks
		s.play()
		if m.Cluster != claim {
			t.Error("the sender's message was changed")
		}
	}
	if want := []core.ClusterID{claim, {}, claim}; !slices.Equal(two.clusters, want) {
		t.Errorf("clusters %v, want %v", two.clusters, want)
	}
	if want := []bool{true, false, false}; !slices.Equal(two.claims, want) {
		t.Errorf("introduce: %v, want %v", two.claims, want)
	}
}

// TestNetworkProofsKeepTheirPlace: what was sent before the proof is unproved.
func TestNetworkProofsKeepTheirPlace(t *testing.T) {
	s, _, two := wired(t)
	s.nodes[1].life.endpoint.SetCluster(1, core.ClusterID{1})
	s.heartbeat(0)
	s.play()
	s.heartbeat(1)
	s.nodes[0].life.endpoint.SetCluster(1, core.ClusterID{1})
	s.heartbeat(2)
	s.play()
	if want := []core.ClusterID{{}, {}, {1}}; !slices.Equal(two.clusters, want) {
		t.Errorf("clusters %v, want %v", two.clusters, want)
	}
}

func TestNetworkNoticesChangedMessages(t *testing.T) {
	s, _, _ := wired(t)
	one, two := s.nodes[0].life, s.nodes[1].life
	m := &core.Heartbeat{Header: core.Header{Group: 1, From: one.identity(), To: two.identity(), Term: 1}}
	one.endpoint.Send(m)
	m.Commit = 7
	s.play()
	if s.failure == nil {
		t.Error("a message was changed under way, and nobody noticed")
	}
}
