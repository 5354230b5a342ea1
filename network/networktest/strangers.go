package networktest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// This file has rule 29: what a connection says counts as far as it is proved.

// in makes a request of a group, of a sender who says what it likes of the
// cluster.
func (n *node) in(group uint64, to *node, class core.Class, number uint64) core.Message {
	m := n.request(to, class, number)
	m.Head().Group = core.GroupID(group)
	m.Head().Cluster = cluster(99)
	return m
}

// arrives sends a message and returns it as it arrives.
func (n *node) arrives(to *node, m core.Message) core.Message {
	n.t.Helper()
	to.mu.Lock()
	before := len(to.received)
	to.mu.Unlock()
	n.sendUntil(m)
	return to.awaitReceived(before + 1)[before]
}

const forgotten = "the receiver has forgotten it"

func clusterOf(m core.Message) core.ClusterID {
	if chunk, ok := m.(*core.SnapshotChunk); ok && chunk.Meta.Cluster != chunk.Cluster {
		return cluster(255)
	}
	return m.Head().Cluster
}

// testProofOfACluster: a message has the cluster that its sender has proved to
// know, whenever the receiver was told of it.
func testProofOfACluster(t *testing.T, m Medium) {
	for _, class := range classes {
		a, b := m.pair(t)
		number := uint64(0)
		expect := func(when string, want core.ClusterID) {
			t.Helper()
			number++
			request := a.in(9, b, class, number)
			if got := clusterOf(a.arrives(b, request)); got != want {
				t.Errorf("%s, %s: a request arrives with cluster %v, want %v", class, when, got, want)
			}
			if when == forgotten {
				// Whether that it has proved it before counts is not said.
				return
			}
			if got := clusterOf(b.arrives(a, b.response(request))); got != want {
				t.Errorf("%s, %s: a response arrives with cluster %v, want %v", class, when, got, want)
			}
		}
		expect("nobody knows it", core.ClusterID{})
		a.SetCluster(9, cluster(1))
		expect("one side knows it", core.ClusterID{})
		b.SetCluster(9, cluster(1))
		expect("both know it", cluster(1))
		b.SetCluster(9, core.ClusterID{})
		expect(forgotten, core.ClusterID{})
		b.SetCluster(9, cluster(2))
		expect("they know different ones", core.ClusterID{})
		a.SetCluster(9, cluster(2))
		expect("they know the same again", cluster(2))
		a.close()
		b.close()
	}
}

// testAnotherCluster: nodes of two clusters reach each other, and prove nothing;
// other groups prove nothing for one.
func testAnotherCluster(t *testing.T, m Medium) {
	a, b := m.pair(t)
	a.SetCluster(9, cluster(1))
	b.SetCluster(9, cluster(2))
	a.SetCluster(10, cluster(3))
	b.SetCluster(11, cluster(3))
	for number := range uint64(3) {
		for _, group := range []uint64{9, 10, 11} {
			if got := a.arrives(b, a.in(group, b, core.ClassControl, number)); !clusterOf(got).IsZero() {
				t.Errorf("group %d arrives with %v", group, clusterOf(got))
			}
		}
		if got := a.arrives(b, a.in(1, b, core.ClassControl, number)); clusterOf(got) != cluster(7) {
			t.Errorf("group 1 arrives with %v", clusterOf(got))
		}
	}
	a.awaitConnected(core.ClassControl, 1)
	if connected, disconnected := a.counts(core.ClassControl); connected != 1 || disconnected != 0 {
		t.Errorf("connected %d times, disconnected %d", connected, disconnected)
	}
}

// testIntroduction: what a message says in the clear arrives, and is no proof.
func testIntroduction(t *testing.T, m Medium) {
	a, b := m.pair(t)
	a.SetCluster(9, cluster(1))
	for number, class := range []core.Class{core.ClassBulk, core.ClassSnapshot} {
		introduction := a.in(9, b, class, uint64(number))
		introduction.Head().Cluster, introduction.Head().Introduces = cluster(1), true
		got := a.arrives(b, introduction)
		if clusterOf(got) != cluster(1) || !got.Head().Introduces {
			t.Errorf("%s: an introduction arrives as %+v", class, got.Head())
		}
		if got := a.arrives(b, a.in(9, b, class, 7)); !clusterOf(got).IsZero() || got.Head().Introduces {
			t.Errorf("%s: the next message arrives as %+v", class, got.Head())
		}
	}
	// Who has adopted the id needs no more of it.
	b.SetCluster(9, cluster(1))
	again := a.in(9, b, core.ClassBulk, 9)
	again.Head().Cluster, again.Head().Introduces = cluster(1), true
	if got := a.arrives(b, again); clusterOf(got) != cluster(1) || got.Head().Introduces {
		t.Errorf("what is proved arrives as %+v", got.Head())
	}
}

// testStrangerReplacesNothing: whoever shows what a member shows, and proves
// nothing, ends no connection and gets no answer of the member's.
func testStrangerReplacesNothing(t *testing.T, m Medium) {
	a, b := m.pair(t)
	request := a.request(b, core.ClassControl, 1)
	a.arrives(b, request)
	b.arrives(a, b.response(request))
	stranger := m.startStranger(t, 1, a.local.StartCounter, a.local.Nonce, nil, nil)
	stranger.SetAddress(2, b.Address())
	for number := range uint64(5) {
		if got := stranger.arrives(b, stranger.in(1, b, core.ClassControl, number)); !clusterOf(got).IsZero() {
			t.Errorf("the stranger's request arrives with %v", clusterOf(got))
		}
		b.arrives(a, b.response(request))
		if got := a.arrives(b, request); clusterOf(got) != cluster(7) {
			t.Errorf("the member's request arrives with %v", clusterOf(got))
		}
	}
	a.awaitConnected(core.ClassControl, 1)
	if connected, disconnected := a.counts(core.ClassControl); connected != 1 || disconnected != 0 {
		t.Errorf("the member connected %d times, was disconnected %d", connected, disconnected)
	}
	stranger.awaitReceived(0)
}

// testClaimsLockNobodyOut: a start counter that nobody has proved refuses nobody.
func testClaimsLockNobodyOut(t *testing.T, m Medium) {
	b := m.start(t, 2, 1, 22)
	stranger := m.startStranger(t, 1, math.MaxUint64, 666, nil, nil)
	stranger.SetAddress(2, b.Address())
	stranger.arrives(b, stranger.in(1, b, core.ClassControl, 1))
	a := m.start(t, 1, 1, 11)
	a.SetAddress(2, b.Address())
	for _, class := range classes {
		if got := a.arrives(b, a.request(b, class, 2)); clusterOf(got) != cluster(7) {
			t.Errorf("%s: the member's request arrives with %v", class, clusterOf(got))
		}
	}
	for _, peer := range b.awaitLearned(1) {
		if peer.Local != a.local {
			t.Errorf("learned %+v", peer)
		}
	}
}

// testKnownPeers: what a node learned protects its next life too.
func testKnownPeers(t *testing.T, m Medium) {
	known := []network.Peer{{Local: network.Local{Identity: identity(1), StartCounter: 5, Nonce: 55}}}
	b := m.startStranger(t, 2, 2, 22, known, nil)
	b.SetCluster(1, cluster(7))
	for _, copied := range []network.Local{{StartCounter: 4, Nonce: 44}, {StartCounter: 5, Nonce: 56}} {
		a := m.start(t, 1, copied.StartCounter, copied.Nonce)
		a.SetAddress(2, b.Address())
		a.Send(a.request(b, core.ClassControl, 1))
		if err := a.awaitDisconnected(core.ClassControl, 1); !errors.Is(err, network.ErrStale) {
			t.Errorf("a copy was refused because of %v", err)
		}
		if by := a.awaitOutlived(); by != b.local.Identity {
			t.Errorf("outlived, says %v", by)
		}
		a.close()
	}
	// A stranger's copy is refused as well, and believes it nobody.
	stranger := m.startStranger(t, 1, 4, 44, nil, nil)
	stranger.SetAddress(2, b.Address())
	stranger.Send(stranger.in(1, b, core.ClassControl, 1))
	if err := stranger.awaitDisconnected(core.ClassControl, 1); !errors.Is(err, network.ErrStale) {
		t.Errorf("the stranger was refused because of %v", err)
	}
	stranger.notOutlived()
	if learned := b.awaitLearned(0); len(learned) > 0 {
		t.Errorf("learned %v", learned)
	}
	a := m.start(t, 1, 5, 55)
	a.SetAddress(2, b.Address())
	a.arrives(b, a.request(b, core.ClassControl, 2))
}

// testKnownAddress: a node looks where its earlier lives found a peer, if it is
// not where the configuration says.
func testKnownAddress(t *testing.T, m Medium) {
	a := m.start(t, 1, 1, 11)
	b := m.startStranger(t, 2, 2, 22, []network.Peer{{Local: a.local, Address: a.Address()}}, nil)
	b.SetAddress(1, m.Nowhere)
	for _, class := range classes {
		b.arrives(a, b.request(a, class, 1))
	}
}

// testLearned: both sides are told of a life that has proved itself, once.
func testLearned(t *testing.T, m Medium) {
	a, b := m.start(t, 1, 1, 11), m.start(t, 2, 1, 22)
	both := func(want int) {
		t.Helper()
		for _, class := range classes {
			a.SetAddress(2, b.Address())
			b.SetAddress(1, a.Address())
			for range 2 {
				a.arrives(b, a.request(b, class, 1))
				b.arrives(a, b.request(a, class, 1))
				a.Break(2, class)
			}
		}
		for _, told := range []struct {
			n, peer *node
			want    int
		}{{a, b, 1}, {b, a, want}} {
			learned := told.n.awaitLearned(told.want)
			if last := learned[len(learned)-1]; last != (network.Peer{Local: told.peer.local, Address: told.peer.Address()}) {
				t.Errorf("node %d learned %+v", told.n.local.ID, last)
			}
			if len(learned) != told.want {
				t.Errorf("node %d was told %d times: %+v", told.n.local.ID, len(learned), learned)
			}
		}
	}
	both(1)
	a.close()
	a = m.start(t, 1, 2, 12)
	both(2)
}

// testMovedPeer: a node that comes back elsewhere is found where it proves that
// it is (rule 30).
func testMovedPeer(t *testing.T, m Medium) {
	a, b := m.pair(t)
	a.arrives(b, a.request(b, core.ClassControl, 1))
	b.close()
	_ = a.awaitDisconnected(core.ClassControl, 1)
	moved := m.start(t, 2, 2, 23)
	moved.SetAddress(1, a.Address())
	moved.arrives(a, moved.request(a, core.ClassBulk, 1))
	for _, class := range classes {
		a.sendUntil(a.request(moved, class, 2))
	}
	moved.awaitReceived(len(classes))
	a.await("its address", func() bool {
		return len(a.learned) > 0 && a.learned[len(a.learned)-1] == network.Peer{Local: moved.local, Address: moved.Address()}
	})
	// An address that is told from now on is newer than what was learned.
	before := make(map[core.Class]int)
	for _, class := range classes {
		_, before[class] = a.counts(class)
	}
	a.SetAddress(2, m.Nowhere)
	for _, class := range classes {
		_ = a.awaitDisconnected(class, before[class]+1)
	}
	// If that is not true, the node is found where it is. It has its connections to a, and
	// so it has no occasion to prove itself again.
	for _, class := range classes {
		a.until(fmt.Sprintf("a message of class %v arrives where the node was", class), func() bool {
			a.Send(a.request(moved, class, 3)) // the first ones are lost with the attempts elsewhere
			moved.mu.Lock()
			defer moved.mu.Unlock()
			return slices.ContainsFunc(moved.received, func(m core.Message) bool { return m.Class() == class && number(m) == 3 })
		})
	}
}

// testSent: what has left is counted, either way, by node and class.
func testSent(t *testing.T, m Medium) {
	a, b := m.pair(t)
	data := make([]byte, 100_000)
	for number := uint64(1); number <= 5; number++ {
		chunk := &core.SnapshotChunk{Header: a.head(b, 1), Transfer: number, Data: data}
		before := a.Sent(2, core.ClassSnapshot)
		a.arrives(b, chunk)
		a.until("its bytes are counted", func() bool { return a.Sent(2, core.ClassSnapshot) >= before+uint64(len(data)) })
		before = b.Sent(1, core.ClassSnapshot)
		b.arrives(a, b.response(chunk))
		b.until("the response's bytes are counted", func() bool { return b.Sent(1, core.ClassSnapshot) > before })
	}
	for _, other := range []struct {
		node  membership.NodeID
		class core.Class
	}{{2, core.ClassControl}, {2, core.ClassBulk}, {3, core.ClassSnapshot}, {1, core.ClassSnapshot}} {
		if n := a.Sent(other.node, other.class); n != 0 {
			t.Errorf("%d bytes are said to have left for node %d on %s", n, other.node, other.class)
		}
	}
}
