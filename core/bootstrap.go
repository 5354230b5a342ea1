package core

import (
	"fmt"
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// checkBootstrap refuses what cannot become a cluster.
func (e *Engine) checkBootstrap(members []membership.Member) error {
	own := false
	for i, m := range members {
		switch {
		case m.ID == 0:
			return &BootstrapError{Reason: "a member has the id 0: ids begin at 1"}
		case slices.ContainsFunc(members[:i], func(o membership.Member) bool { return o.ID == m.ID }):
			return &BootstrapError{Node: m.ID, Reason: "stands in the list twice"}
		case m.Incarnation != 0 && slices.ContainsFunc(members[:i], func(o membership.Member) bool { return o.Incarnation == m.Incarnation }):
			return &BootstrapError{Node: m.ID, Reason: "has the incarnation of another member"}
		}
		own = own || m.ID == e.cfg.Self.ID && (m.Incarnation == 0 || m.Incarnation == e.cfg.Self.Incarnation)
	}
	switch {
	case !own:
		return &BootstrapError{Node: e.cfg.Self.ID, Reason: "was asked to bootstrap, and is not in the list"}
	case len(members) > membership.MembersMax:
		return &BootstrapError{Reason: fmt.Sprintf("%d members, at most %d", len(members), membership.MembersMax)}
	}
	if err := checkMembers(members); err != nil {
		return err
	}
	return e.checkSize(members)
}

// checkMembers holds each member against the limits of package membership. The
// range of priorities is held here and not where configurations are decoded: one
// that is stored has to be read.
func checkMembers(members []membership.Member) error {
	for i := range members {
		m := &members[i]
		if err := m.Validate(); err != nil {
			return &BootstrapError{Reason: err.Error()}
		}
		if m.Priority > membership.PriorityMax {
			return &BootstrapError{Node: m.ID, Reason: fmt.Sprintf("has the Priority %d: it is 0 for the normal one, or %d to %d", m.Priority, membership.PriorityLast, membership.PriorityMax)}
		}
	}
	return nil
}

// checkSize refuses a list whose configurations no entry or no message would
// hold. The largest is the joint one.
func (e *Engine) checkSize(members []membership.Member) error {
	joint := membership.Configuration{
		Members: members, Outgoing: make([]Identity, 1), Voters: make([]Identity, len(members)),
		Target: &membership.Target{Founding: true, Members: members},
	}
	if size, most := joint.SizeBytes(), e.cfg.ConfigurationBytesMax; most > 0 && size > most {
		return &BootstrapError{Reason: fmt.Sprintf("a configuration of these members takes up to %d bytes, and the log store and the network take at most %d", size, most)}
	}
	return nil
}

// exchangeWanted carries out the end of rule 31: while only the beginner votes,
// a wanted member that has acknowledged nothing and shows itself empty under
// another incarnation takes the place of the one that was lost.
func (e *Engine) exchangeWanted(shown Identity) bool {
	at := e.configs.latest()
	c := &at.Configuration
	if !c.Target.IsFounding() {
		return false
	}
	wanted := c.Target.Members
	i := slices.IndexFunc(wanted, func(m membership.Member) bool { return m.ID == shown.ID })
	if e.role != RoleLeader || i < 0 || c.Joint() || len(c.Voters) != 1 || c.Voters[0] != e.cfg.Self || shown.ID == e.cfg.Self.ID {
		return false
	}
	lost := wanted[i].Identity
	if p := e.leaderState.peer(lost); lost == shown || p != nil && p.match > 0 {
		return lost == shown
	}
	if at.Index > e.commit || e.commit < e.leaderState.first {
		return true // it asks again
	}
	if e.leaderState.caretaker {
		return true // rule 16: so does it until somebody else leads
	}
	next, err := c.Exchange(lost, shown)
	if err != nil {
		return false
	}
	e.appendConfiguration(&next)
	return true
}
