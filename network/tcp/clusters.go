package tcp

import (
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network/wire"
)

// clusters are the cluster ids that this node's groups know. They are secrets:
// nothing here is printed or sent.
type clusters struct {
	// generation grows with each change, so that a connection sees with one
	// load that nothing has changed. It is never 0.
	generation atomic.Uint64

	mu sync.RWMutex
	of map[core.GroupID]core.ClusterID
}

func newClusters() *clusters {
	c := &clusters{of: make(map[core.GroupID]core.ClusterID)}
	c.generation.Store(1)
	return c
}

// set reports whether it changed anything.
func (c *clusters) set(group core.GroupID, id core.ClusterID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[group] == id {
		return false
	}
	if c.of[group] = id; id.IsZero() {
		delete(c.of, group)
	}
	c.generation.Add(1)
	return true
}

func (c *clusters) get(group core.GroupID) core.ClusterID {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.of[group]
}

// proveRefusal makes the proofs that go with a refusal: of any groups, others each time.
func (c *clusters) proveRefusal(s *wire.Session, role wire.Role) []wire.Proof {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var proofs []wire.Proof
	for group, id := range c.of {
		if len(proofs) == wire.ProofsMax {
			break
		}
		proofs = append(proofs, s.ProveRefusal(role, group, id))
	}
	return proofs
}

// believes reports whether one of the proofs in a refusal verifies.
func (c *clusters) believes(s *wire.Session, role wire.Role, proofs []wire.Proof) bool {
	for i := range proofs {
		if id := c.get(proofs[i].Group); s.VerifyRefusal(role, &proofs[i], id) {
			return true
		}
	}
	return false
}
