package actors

import (
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// seen is what the core of a group lets others see. The core writes, anybody reads.
type seen struct {
	group membership.GroupID
	self  membership.Identity

	clusterID   atomic.Pointer[core.ClusterID]
	term        atomic.Uint64
	published   publishedStatus
	appendTimes memlog.AppendTimes
	watchers    listeners[Status]
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

// publishedStatus is what the engine says of itself, for others to read. There are
// two copies, one of which is shown; the core writes the other one and changes
// them, which is all that happens under the lock.
type publishedStatus struct {
	mu     sync.Mutex
	shown  *core.EngineStatus
	spare  *core.EngineStatus
	copies [2]core.EngineStatus
}

// put lets write fill a copy and shows it. It returns the copy that was shown
// before and the new one: the core may read both until the next put.
func (p *publishedStatus) put(write func(*core.EngineStatus)) (before, now *core.EngineStatus) {
	if p.shown == nil {
		p.shown, p.spare = &p.copies[0], &p.copies[1]
	}
	write(p.spare)
	p.mu.Lock()
	p.shown, p.spare = p.spare, p.shown
	p.mu.Unlock()
	return p.spare, p.shown
}

// read copies what is shown. Room is made outside the lock.
func (p *publishedStatus) read() core.EngineStatus {
	var waitsFor []core.Waiting
	peers := make([]core.PeerStatus, 0, 8)
	for {
		p.mu.Lock()
		s := *p.shown
		fits := len(s.Peers) <= cap(peers) && len(s.WaitsFor) <= cap(waitsFor)
		if fits {
			peers, waitsFor = append(peers, s.Peers...), append(waitsFor, s.WaitsFor...)
		}
		p.mu.Unlock()
		if fits {
			s.Peers, s.WaitsFor = peers, waitsFor
			return s
		}
		peers, waitsFor = make([]core.PeerStatus, 0, len(s.Peers)), make([]core.Waiting, 0, len(s.WaitsFor))
	}
}
