package actors

import (
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// seen is what the core of a group lets others see. The core writes, anybody reads.
type seen struct {
	group membership.GroupID
	self  membership.Identity

	clusterID atomic.Pointer[core.ClusterID]
	term      atomic.Uint64
	changing  atomic.Bool // core.Engine.Changing
	board     board
	growth    growth
	watchers  listeners[Status]
}

// cluster is the one that the core knows.
func (s *seen) cluster() core.ClusterID { return *s.clusterID.Load() }

func (s *seen) setCluster(id core.ClusterID) {
	if old := s.clusterID.Load(); old == nil || *old != id {
		s.clusterID.Store(&id)
	}
}

// header begins a message of the group.
func (s *seen) header(to core.Identity) core.Header {
	return core.Header{Group: s.group, Cluster: s.cluster(), From: s.self, To: to, Term: core.Term(s.term.Load())}
}

// board is where the core puts up what the engine says of itself. There are two
// sheets, one of which hangs; the core writes the other one and changes them,
// which is all that happens under the lock.
type board struct {
	mu     sync.Mutex
	hangs  *core.EngineStatus
	spare  *core.EngineStatus
	sheets [2]core.EngineStatus
}

// put lets write fill a sheet and hangs it up. It returns the sheet that hung
// before and the new one: the core may read both until the next put.
func (b *board) put(write func(*core.EngineStatus)) (before, now *core.EngineStatus) {
	if b.hangs == nil {
		b.hangs, b.spare = &b.sheets[0], &b.sheets[1]
	}
	write(b.spare)
	b.mu.Lock()
	b.hangs, b.spare = b.spare, b.hangs
	b.mu.Unlock()
	return b.spare, b.hangs
}

// read copies what hangs. Room is made outside the lock.
func (b *board) read() core.EngineStatus {
	var waitsFor []core.Waiting
	peers := make([]core.PeerStatus, 0, 8)
	for {
		b.mu.Lock()
		s := *b.hangs
		fits := len(s.Peers) <= cap(peers) && len(s.WaitsFor) <= cap(waitsFor)
		if fits {
			peers, waitsFor = append(peers, s.Peers...), append(waitsFor, s.WaitsFor...)
		}
		b.mu.Unlock()
		if fits {
			s.Peers, s.WaitsFor = peers, waitsFor
			return s
		}
		peers, waitsFor = make([]core.PeerStatus, 0, len(s.Peers)), make([]core.Waiting, 0, len(s.WaitsFor))
	}
}
