package core

import (
	"fmt"
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// onBootstrap makes a single-voter cluster whose first entry records the wanted
// set; whoever leads brings the others in (rule 19).
func (e *Engine) onBootstrap(ev *Bootstrap) {
	ev.Err = e.checkBootstrap(ev.Members)
	if ev.Err != nil || !e.empty() {
		return
	}
	configuration, err := membership.Bootstrap(e.cfg.Self, ev.Members)
	if err != nil {
		ev.Err = &BootstrapError{Reason: err.Error()}
		return
	}
	e.hard = HardState{Term: e.hard.Term + 1, Vote: e.cfg.Self, Cluster: ev.Cluster}
	e.hardDirty = true
	first := Entry{Kind: EntryConfiguration, Time: ev.Time, Data: configuration.Encode()}
	e.appendOwn([]Entry{first})
	e.election.reason = ElectionStart
	e.campaignOrWait()
}

// checkBootstrap refuses what cannot become a cluster. On a group that is not
// empty the same list again is fine and anything else is an error.
func (e *Engine) checkBootstrap(members []membership.Member) error {
	own := false
	for i, m := range members {
		switch {
		case m.ID == 0 || m.Incarnation == 0:
			return &BootstrapError{Node: m.ID, Reason: "has no id or no incarnation"}
		case slices.ContainsFunc(members[:i], func(o membership.Member) bool { return o.ID == m.ID }):
			return &BootstrapError{Node: m.ID, Reason: "stands in the list twice"}
		}
		own = own || m.Identity == e.cfg.Self
	}
	if !own {
		return &BootstrapError{Reason: fmt.Sprintf("node %d, which was asked, is not in the list", e.cfg.Self.ID)}
	}
	if !e.empty() {
		return e.sameMembers(members)
	}
	if e.unknownToGroup {
		return &BootstrapError{Node: e.cfg.Self.ID, Reason: "is a member of a group that knows it by another incarnation: its data was lost"}
	}
	if !e.leader.IsZero() {
		return &BootstrapError{Node: e.cfg.Self.ID, Reason: fmt.Sprintf("is being brought into a cluster by node %d", e.leader.ID)}
	}
	return nil
}

func (e *Engine) sameMembers(members []membership.Member) error {
	c := &e.configs.latest().Configuration
	have := c.Members
	if len(c.Wanted) > 0 {
		have = c.Wanted
	}
	same := len(have) == len(members)
	for _, m := range members {
		same = same && slices.ContainsFunc(have, func(h membership.Member) bool { return h.Identity == m.Identity && h.Address == m.Address })
	}
	if !same {
		return &BootstrapError{Node: e.cfg.Self.ID, Reason: "belongs to a cluster already, with another list of members: " + c.String()}
	}
	return nil
}

// continueChange takes the next step of a change of membership that is under
// way, as soon as the step before is committed and the leader has committed in
// its own term (rules 21, 22).
func (e *Engine) continueChange() {
	if e.role != RoleLeader {
		return
	}
	at := e.configs.latest()
	c := &at.Configuration
	if !c.Joint() && len(c.Wanted) == 0 || at.Index > e.commit || e.commit < e.office.first {
		return
	}
	next, ok := e.nextConfiguration(at)
	if ok {
		e.appendOwn([]Entry{{Kind: EntryConfiguration, Time: e.lastTime, Data: next.Encode()}})
	}
}

// nextConfiguration says what to append now, if anything.
func (e *Engine) nextConfiguration(at *ConfigurationAt) (membership.Configuration, bool) {
	c := &at.Configuration
	var next membership.Configuration
	var err error
	switch missing := e.missing(c); {
	case c.Joint():
		next, err = c.LeaveJoint(nil)
	case len(missing) > 0:
		next, err = c.AddLearners(missing...)
	case len(e.waitsFor()) > 0:
		return next, false
	default:
		var voters []Identity
		for _, m := range c.Wanted {
			voters = append(voters, m.Identity)
		}
		next, err = c.EnterJoint(voters)
	}
	if err != nil {
		panic(fmt.Sprintf("core: the configuration %v cannot be changed as it must: %v", c, err))
	}
	return next, true
}

func (e *Engine) missing(c *membership.Configuration) []membership.Member {
	var missing []membership.Member
	for _, m := range c.Wanted {
		if _, ok := c.Member(m.Identity); !ok {
			missing = append(missing, m)
		}
	}
	return missing
}

// waitsFor lists the incoming voters of a bootstrap that are not ready. Rule 21:
// each must have acknowledged, durably, in this term and incarnation, the entry
// that admitted it as a learner: no voter is ever empty.
func (e *Engine) waitsFor() []NodeID {
	if e.role != RoleLeader {
		return nil
	}
	at := e.configs.latest()
	var nodes []NodeID
	for _, m := range at.Configuration.Wanted {
		if m.Identity == e.cfg.Self {
			continue
		}
		if p := e.office.peer(m.Identity); p == nil || p.match < at.Index {
			nodes = append(nodes, m.ID)
		}
	}
	return nodes
}
