package actors

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// bootstrapRequest asks the core actor to form a cluster.
type bootstrapRequest struct {
	members []membership.Member
	timeout time.Duration
	done    func(error)
}

// bootstrapJob is a bootstrap under way: every member is asked who it is, and
// nothing is written unless all have answered that they are empty (rule 19).
type bootstrapJob struct {
	bootstrapRequest
	id       uint64
	deadline core.Instant
	// causes are why members could not be reached.
	causes map[membership.NodeID]error
}

// Bootstrap forms a new cluster of members, of which id, address, priority and
// tags count: who they are they are asked, for at most timeout. done gets nil
// when the cluster is begun; Status tells when it is complete. The same list
// again is no error, anything else is a *core.BootstrapError.
func (g *Group) Bootstrap(members []membership.Member, timeout time.Duration, done func(error)) {
	if !g.core.put(&bootstrapRequest{slices.Clone(members), timeout, done}) {
		done(g.stopCause())
	}
}

func (c *coreActor) beginBootstrap(r *bootstrapRequest) {
	if c.bootstrap != nil {
		r.done(&core.BootstrapError{Reason: "another bootstrap is under way"})
		return
	}
	self := c.group.node.identity
	for i := range r.members {
		r.members[i].Incarnation = 0
		if r.members[i].ID == self.ID {
			r.members[i].Incarnation = self.Incarnation
		}
	}
	if err := c.refuseBootstrap(r); err != nil {
		r.done(err)
		return
	}
	c.bootstrap = &bootstrapJob{bootstrapRequest: *r, id: c.env.Rand(), deadline: c.now.Add(r.timeout), causes: make(map[membership.NodeID]error)}
	if !c.emptyHere() {
		c.recallIncarnations()
		c.stepBootstrap()
		return
	}
	for i := range r.members {
		if m := &r.members[i]; m.ID != self.ID {
			c.group.node.cfg.Network.SetAddress(m.ID, m.Address)
		}
	}
	c.askMembers()
}

// refuseBootstrap finds what needs nobody's answer.
func (c *coreActor) refuseBootstrap(r *bootstrapRequest) error {
	self := c.group.node.identity.ID
	own := false
	for i, m := range r.members {
		own = own || m.ID == self
		switch {
		case m.ID == 0:
			return &core.BootstrapError{Reason: "a member has the id 0"}
		case slices.ContainsFunc(r.members[:i], func(o membership.Member) bool { return o.ID == m.ID }):
			return &core.BootstrapError{Node: m.ID, Reason: "stands in the list twice"}
		case m.ID != self && m.Address == "":
			return &core.BootstrapError{Node: m.ID, Reason: "has no address"}
		}
	}
	if !own {
		return &core.BootstrapError{Node: self, Reason: "was asked to bootstrap, and is not in the list"}
	}
	return nil
}

func (c *coreActor) emptyHere() bool {
	s := c.engine.Status()
	return s.Cluster == 0 && s.Last == 0 && s.SnapshotIndex == 0 && s.Configuration.Configuration.IsZero()
}

// recallIncarnations completes the list from what the group knows, so that the
// engine can compare. A member that it does not know gets an incarnation that
// none has, and the engine names the difference.
func (c *coreActor) recallIncarnations() {
	known := &c.config.Configuration
	for i := range c.bootstrap.members {
		m := &c.bootstrap.members[i]
		if m.Incarnation != 0 {
			continue
		}
		m.Incarnation = ^membership.Incarnation(0)
		for _, k := range slices.Concat(known.Members, known.Wanted) {
			if k.ID == m.ID {
				m.Incarnation = k.Incarnation
			}
		}
	}
}

// askMembers asks whoever has not answered. It is repeated until the deadline:
// a connection may need its time.
func (c *coreActor) askMembers() {
	complete := true
	for _, m := range c.bootstrap.members {
		if m.Incarnation != 0 {
			continue
		}
		complete = false
		header := c.group.header(core.Identity{ID: m.ID})
		c.group.node.cfg.Network.Send(&core.IdentifyRequest{Header: header, ID: c.bootstrap.id})
	}
	if complete {
		c.stepBootstrap()
	}
}

func (c *coreActor) onIdentified(m *core.IdentifyResponse) {
	b := c.bootstrap
	if b == nil || m.ID != b.id {
		return
	}
	for i := range b.members {
		member := &b.members[i]
		if member.ID != m.From.ID || member.Incarnation != 0 {
			continue
		}
		if !m.Empty {
			c.endBootstrap(&core.BootstrapError{Node: member.ID, Reason: "is not empty: it belongs to a cluster, or did"})
			return
		}
		member.Incarnation = m.From.Incarnation
	}
	if !slices.ContainsFunc(b.members, func(m membership.Member) bool { return m.Incarnation == 0 }) {
		c.stepBootstrap()
	}
}

func (c *coreActor) continueBootstrap() {
	b := c.bootstrap
	if b == nil {
		return
	}
	if c.now < b.deadline {
		c.askMembers()
		return
	}
	for _, m := range b.members {
		if m.Incarnation == 0 {
			c.endBootstrap(&core.BootstrapError{Node: m.ID, Reason: "does not answer at " + m.Address, Cause: b.causes[m.ID]})
			return
		}
	}
}

// stepBootstrap lets the engine begin the cluster, or compare it with the one
// that is there.
func (c *coreActor) stepBootstrap() {
	cluster := c.group.cfg.Cluster
	for cluster == 0 {
		cluster = core.ClusterID(c.env.Rand())
	}
	ev := &core.Bootstrap{Cluster: cluster, Members: c.bootstrap.members, Time: c.env.WallTime()}
	c.stepEngine(ev)
	c.endBootstrap(ev.Err)
}

func (c *coreActor) endBootstrap(err error) {
	if b := c.bootstrap; b != nil {
		c.bootstrap = nil
		b.done(err)
	}
}
