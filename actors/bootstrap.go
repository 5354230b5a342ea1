package actors

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// bootstrapRequest asks to form a new cluster out of members.
type bootstrapRequest struct {
	members []membership.Member
	ask     time.Duration
	done    func(error)
}

// cancelBootstrap ends the wait of one request.
type cancelBootstrap struct{ id *bootstrapRequest }

// Bootstrap forms a new cluster of members, of which id, address, priority and
// tags count. Who they are they are asked; one that nothing is heard of for ask
// ends it. done gets nil when this group belongs to a cluster that was founded
// with the list, whoever began it; Status tells when it is complete. A call with
// the same list joins one that is under way; anything else is a
// *core.BootstrapError. The returned function ends the wait: done then gets
// core.ErrStopped at once, unless it was called before, and when nobody waits any more
// nothing is begun.
func (g *Group) Bootstrap(members []membership.Member, ask time.Duration, done func(error)) (cancel func()) {
	r := &bootstrapRequest{slices.Clone(members), ask, done}
	if !g.core.put(r) {
		done(g.stopCause())
	}
	return func() { g.core.put(&cancelBootstrap{r}) }
}

// beginBootstrap lets the engine form the cluster, or compare the list with the
// cluster that is there.
func (c *coreActor) beginBootstrap(r *bootstrapRequest) {
	ev := &core.Bootstrap{Cluster: c.newCluster(), Members: r.members, Time: c.Env.WallTime(), AskLimit: r.ask}
	c.bootstraps = append(c.bootstraps, r)
	c.stepEngine(ev) // may end it at once
	if ev.Err != nil || ev.Done {
		c.leaveBootstrap(r, ev.Err)
	}
}

// newCluster draws the id of a cluster, of a cryptographic generator (rule 27).
func (c *coreActor) newCluster() core.ClusterID {
	if pinned := c.cfg.Cluster; !pinned.IsZero() {
		return pinned
	}
	var id core.ClusterID
	c.Env.Secret(id[:])
	return id
}

// leaveBootstrap answers one request, if it still waits.
func (c *coreActor) leaveBootstrap(r *bootstrapRequest, err error) {
	i := slices.Index(c.bootstraps, r)
	if i < 0 {
		return
	}
	c.bootstraps = slices.Delete(c.bootstraps, i, i+1)
	r.done(err)
}

func (c *coreActor) cancelBootstrap(r *bootstrapRequest) {
	c.leaveBootstrap(r, core.ErrStopped)
	if len(c.bootstraps) == 0 {
		c.stepEngine(&core.BootstrapCancelled{})
	}
}

// endBootstraps answers all who wait for the bootstrap under way.
func (c *coreActor) endBootstraps(err error) {
	waiting := c.bootstraps
	c.bootstraps = nil
	for _, r := range waiting {
		r.done(err)
	}
}
