package core

import (
	"fmt"
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// catchUpEntriesMax is how far a learner may lag that is to become a voter
// (rule 21).
const catchUpEntriesMax = 4096

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
	joint := membership.Configuration{Members: members, Wanted: members, Outgoing: make([]Identity, 1), Voters: make([]Identity, len(members))}
	if size, most := joint.SizeBytes(), e.cfg.ConfigurationBytesMax; most > 0 && size > most {
		return &BootstrapError{Reason: fmt.Sprintf("a configuration of these members takes up to %d bytes, and the log store and the network take at most %d", size, most)}
	}
	return nil
}

// continueChange takes the next step of a change of membership that is under
// way, as soon as the step before is committed and the leader has committed in
// its own term (rules 21, 22).
func (e *Engine) continueChange() {
	if e.role != RoleLeader || e.transfer.phase != transferNone || e.leaderState.caretaker {
		return // the target of a transfer is to have the whole log
	}
	at := e.configs.latest()
	c := &at.Configuration
	if !c.Joint() && len(c.Wanted) == 0 || at.Index > e.commit || e.commit < e.leaderState.first {
		return
	}
	next, ok := e.nextConfiguration(at)
	if ok {
		e.appendConfiguration(&next)
	}
}

func (e *Engine) appendConfiguration(c *membership.Configuration) {
	e.appendOwn([]Entry{{Kind: EntryConfiguration, Time: e.lastTime, Data: c.Encode()}})
}

// nextConfiguration says what to append now, if anything.
func (e *Engine) nextConfiguration(at *ConfigurationAt) (membership.Configuration, bool) {
	c := &at.Configuration
	var next membership.Configuration
	var err error
	switch missing := e.missing(c); {
	case c.Joint():
		next, err = leaveJoint(c, nil)
	case len(missing) > 0:
		next, err = addLearners(c, missing...)
	case len(e.changeWaits(nil)) > 0:
		return next, false
	default:
		next, err = enterJoint(c, wantedVoters(c))
	}
	if err != nil {
		panic(fmt.Sprintf("core: the configuration %v cannot be changed as it must: %v", c, err))
	}
	return next, true
}

func wantedVoters(c *membership.Configuration) []Identity {
	voters := make([]Identity, len(c.Wanted))
	for i := range c.Wanted {
		voters[i] = c.Wanted[i].Identity
	}
	return voters
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

// changeWaits appends the incoming voters of a bootstrap that are not ready.
// Rule 21: each must have acknowledged, durably, in this term and incarnation,
// the entry that admitted it as a learner (no voter is ever empty), and lag by
// less than a bound; and each half needs a quorum of whom each answered a round
// of this term within the last election time-out.
func (e *Engine) changeWaits(waits []Waiting) []Waiting {
	if e.role != RoleLeader {
		return waits
	}
	at := e.configs.latest()
	c := &at.Configuration
	behind := "is a learner that has not acknowledged its admission yet"
	if c.Joint() {
		behind = "has not acknowledged the joint configuration yet"
	}
	quorum := c.QuorumValue(e.answering) > 0 && membership.MajorityValue(wantedVoters(c), e.answering) > 0
	for _, m := range c.Wanted {
		if m.Identity == e.cfg.Self {
			continue
		}
		switch p := e.leaderState.peer(m.Identity); {
		case p == nil || p.match < at.Index:
			waits = append(waits, Waiting{m.ID, behind})
		case e.log.last.Index-p.match > catchUpEntriesMax:
			waits = append(waits, Waiting{m.ID, fmt.Sprintf("is a learner, %d entries behind", e.log.last.Index-p.match)})
		case !quorum && !e.answeredRound(p):
			waits = append(waits, Waiting{m.ID, "has not answered within an election time-out"})
		}
	}
	return waits
}

// answering is 1 for who has answered a round that was begun in this term lately.
func (e *Engine) answering(id Identity) uint64 {
	if p := e.leaderState.peer(id); id == e.cfg.Self || p != nil && e.answeredRound(p) {
		return 1
	}
	return 0
}

// answeredRound reports whether a peer has answered a round of this term that was
// begun within the last election time-out. What check-quorum grants a new peer is no
// answer (rule 21).
func (e *Engine) answeredRound(p *peer) bool {
	return p.roundSent != 0 && e.now.Sub(p.roundSent) <= e.cfg.ElectionTimeout
}

// exchangeWanted carries out the end of rule 31: while only the beginner votes,
// a wanted member that has acknowledged nothing and shows itself empty under
// another incarnation takes the place of the one that was lost.
func (e *Engine) exchangeWanted(shown Identity) bool {
	at := e.configs.latest()
	c := &at.Configuration
	i := slices.IndexFunc(c.Wanted, func(m membership.Member) bool { return m.ID == shown.ID })
	if e.role != RoleLeader || i < 0 || c.Joint() || len(c.Voters) != 1 || c.Voters[0] != e.cfg.Self || shown.ID == e.cfg.Self.ID {
		return false
	}
	lost := c.Wanted[i].Identity
	if p := e.leaderState.peer(lost); lost == shown || p != nil && p.match > 0 {
		return lost == shown
	}
	if at.Index > e.commit || e.commit < e.leaderState.first {
		return true // it asks again
	}
	if e.leaderState.caretaker {
		return true // rule 16: so does it until somebody else leads
	}
	next, err := exchangeWanted(c, lost, shown)
	if err != nil {
		return false
	}
	e.appendConfiguration(&next)
	return true
}
