package actors

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
)

// askedNetwork counts how often it is asked what has left to nodes 1 to 3.
type askedNetwork struct {
	network.Network
	asked [4]atomic.Int64
}

func (n *askedNetwork) Sent(node membership.NodeID, class core.Class) uint64 {
	n.asked[node].Add(1)
	return n.Network.Sent(node, class)
}

// TestProgressIsAskedOfWhoLacksEntries: other groups have bytes on their way to all
// nodes. What has left is asked for where a peer lacks entries of this group, at
// each heartbeat, and for nobody else.
func TestProgressIsAskedOfWhoLacksEntries(t *testing.T) {
	hub := inproc.NewHub()
	var hosts []*host
	networks := map[*host]*askedNetwork{}
	for id := membership.NodeID(1); id <= 3; id++ {
		h := newHost(t, hub, id, nil)
		h.around = func(n network.Network) network.Network {
			networks[h] = &askedNetwork{Network: n}
			return networks[h]
		}
		h.start()
		hosts = append(hosts, h)
	}
	if err := bootstrap(t, hosts[0].group, patience, members(1, 2, 3)...); err != nil {
		t.Fatal(err)
	}
	leader := leaderOf(t, hosts)
	asked := &networks[leader].asked
	peers := others(hosts, leader)
	has := func(s Status, id membership.NodeID) bool {
		for i := range s.Peers {
			if p := &s.Peers[i]; p.ID == id {
				return p.Match == s.Last
			}
		}
		return false
	}
	for _, h := range peers {
		leader.node.inflightTo(h.id).Add(1 << 20)
		until(t, leader.group, fmt.Sprintf("node %d to have all", h.id), func(s Status) bool { return has(s, h.id) })
	}
	// The core may know of a match a moment before the stream does.
	const settling = 1
	for i := range asked {
		asked[i].Store(0)
	}
	time.Sleep(10 * groupConfig(1, nil).HeartbeatInterval)
	for id := range asked {
		if n := asked[id].Load(); n > settling {
			t.Errorf("asked %d times what has left to node %d, which has all", n, id)
		}
	}

	held, other := peers[0].id, peers[1].id
	hub.Hold(leader.id, held)
	defer hub.Release(leader.id, held)
	insist(t, leader.group, []byte("x"))
	until(t, leader.group, "the other to have all", func(s Status) bool { return has(s, other) })
	before := asked[other].Load()
	for deadline := time.Now().Add(patience); asked[held].Load() < 5; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("asked %d times what has left to who lacks an entry", asked[held].Load())
		}
	}
	if n := asked[other].Load() - before; n > settling {
		t.Errorf("asked %d times what has left to who has all, while another lacks an entry", n)
	}
}
