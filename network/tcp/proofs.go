package tcp

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/wire"
)

// proofsMax bounds the groups that one connection has proofs of.
const proofsMax = 65_536

// proofs are what the peer has proved on a connection, and this node to it.
//
// Rule 29: a proof is per connection and group. One of a group whose cluster
// this node does not know yet is kept and checked when SetCluster tells it.
type proofs struct {
	session wire.Session
	// role is this node's.
	role wire.Role

	mu sync.Mutex
	// received are the newest of the peer's proofs, whether they verify or not.
	received map[core.GroupID][wire.MACBytes]byte
	// proved are the groups of which the proof verifies, with the cluster.
	proved map[core.GroupID]core.ClusterID
	// owed are the groups that the peer proved and this node has yet to.
	owed []core.GroupID
	// owes: owed is not empty.
	owes atomic.Bool
	// shownAny: this node has proved something.
	shownAny atomic.Bool
	// version grows with each change of proved.
	version atomic.Uint64

	// seen is what the reader found last, shown what the writer did: the steady
	// path of one group takes no lock.
	seen struct {
		group   core.GroupID
		cluster core.ClusterID
		version uint64
	}
	shown struct {
		group      core.GroupID
		generation uint64
		groups     map[core.GroupID]shown
	}
}

// shown is of which cluster this node has proved a group, and at which
// generation of the clusters that was right.
type shown struct {
	cluster    core.ClusterID
	generation uint64
}

func newProofs(s wire.Session, role wire.Role) *proofs {
	p := &proofs{
		session: s, role: role, received: make(map[core.GroupID][wire.MACBytes]byte), proved: make(map[core.GroupID]core.ClusterID),
	}
	p.shown.groups = make(map[core.GroupID]shown)
	p.version.Store(1)
	return p
}

// receive takes a proof of the peer, and reports whether it verifies.
func (p *proofs) receive(proof *wire.Proof, c *clusters) (verified bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, again := p.received[proof.Group]; !again && len(p.received) >= proofsMax {
		return false, fmt.Errorf("%w: proofs of more than %d groups", network.ErrFrame, proofsMax)
	}
	p.received[proof.Group] = proof.MAC
	return p.check(proof.Group, c), nil
}

// recheck is called when the cluster of a group has changed.
func (p *proofs) recheck(group core.GroupID, c *clusters) (verified bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.check(group, c)
}

// check compares what was received of a group with the cluster that it has now.
// The cluster is read under the lock, so the last to come sees the last cluster.
func (p *proofs) check(group core.GroupID, c *clusters) bool {
	before := p.proved[group]
	mac, received := p.received[group]
	id := c.get(group)
	if !received || !p.session.Verify(p.role.Other(), &wire.Proof{Group: group, MAC: mac}, id) {
		if !before.IsZero() {
			delete(p.proved, group)
			p.version.Add(1)
		}
		return false
	}
	if before != id {
		p.proved[group] = id
		p.owed = append(p.owed, group)
		p.owes.Store(true)
		p.version.Add(1)
	}
	return true
}

// of returns the cluster of a group that the peer has proved to know, or zero.
func (p *proofs) of(group core.GroupID) core.ClusterID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proved[group]
}

// mark says in a message what the peer has proved, if it is taken for who it
// says. The reader calls it.
func (p *proofs) mark(m core.Message, proven bool) {
	h := m.Head()
	if version := p.version.Load(); p.seen.version != version || p.seen.group != h.Group {
		p.seen.group, p.seen.cluster, p.seen.version = h.Group, p.of(h.Group), version
	}
	switch {
	case proven && !p.seen.cluster.IsZero():
		h.Cluster, h.Introduces = p.seen.cluster, false
	case !h.Introduces:
		h.Cluster = core.ClusterID{}
	}
	if chunk, ok := m.(*core.SnapshotChunk); ok {
		chunk.Meta.Cluster = h.Cluster
	}
}

// appendDue appends this node's proof of a group unless the peer has it. The
// writer calls it before each message.
func (p *proofs) appendDue(b []byte, group core.GroupID, c *clusters) []byte {
	generation := c.generation.Load()
	if p.shown.group == group && p.shown.generation == generation {
		return b
	}
	s := p.shown.groups[group]
	if s.generation != generation {
		id := c.get(group)
		if !id.IsZero() && id != s.cluster {
			b = wire.AppendProof(b, p.session.Prove(p.role, group, id))
			s.cluster = id
			p.shownAny.Store(true)
		}
		if s.generation = generation; !s.cluster.IsZero() {
			// Of groups that nobody here knows, nothing is kept.
			p.shown.groups[group] = s
		}
	}
	p.shown.group, p.shown.generation = group, generation
	return b
}

// appendOwed appends the proofs that answer the peer's.
func (p *proofs) appendOwed(b []byte, c *clusters) []byte {
	p.mu.Lock()
	owed := p.owed
	p.owed = nil
	p.owes.Store(false)
	p.mu.Unlock()
	for _, group := range owed {
		b = p.appendDue(b, group, c)
	}
	return b
}
