package core

import (
	"fmt"
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// This file is about who the nodes are that are to come: which incarnation answers
// under an id, or at an address. A change names identities from its first entry on
// (rule 18), so nothing is appended before that is known.

// pendingOrder is an order whose nodes are asked who they are.
type pendingOrder struct {
	changeOrder
	// asked are the changes as they were asked for.
	asked []membership.Change
	since Instant
	nodes []unknownNode
	// first is the number of the first question.
	first uint64
}

// unknownNode is a node of which it is not known who it is.
type unknownNode struct {
	// change is the position of the change that is about it.
	change  int
	id      NodeID
	address string
	// want is the incarnation that it has to have, 0 for any but those in not, which are
	// members.
	want  membership.Incarnation
	not   []Identity
	found Identity
	cause error
}

// shownIdentity is who has answered in the place of a silent member.
type shownIdentity struct {
	Identity
	at Instant
}

// shownTimeouts is for how many election time-outs it is remembered who has shown
// itself.
const shownTimeouts = 10

// askWhoTheyAre makes an order the pending one if the identity of a node in it is not
// known, and asks. If nobody has asked for the change by hand, a node whose identity is
// known is asked too: who cannot be reached is not let in.
func (e *Engine) askWhoTheyAre(q *changeOrder) bool {
	c := &e.configs.latest().Configuration
	if q.known {
		return false
	}
	var nodes []unknownNode
	var dial []membership.Member
	for i := range q.order.Changes {
		change := &q.order.Changes[i]
		members := c.Incarnations(change.ID)
		comes := (change.Op == membership.OpAdd || change.Op == membership.OpAddLearner) && len(members) == 0 || change.Op == membership.OpReplace
		if !comes || change.Incarnation != 0 && !q.order.Automatic {
			continue
		}
		nodes = append(nodes, unknownNode{change: i, id: change.ID, address: change.Address, want: change.Incarnation, not: members})
		if change.Address != "" {
			dial = append(dial, membership.Member{Identity: Identity{ID: change.ID}, Address: change.Address})
		}
	}
	if len(nodes) == 0 {
		return false
	}
	l := &e.leaderState
	p := &pendingOrder{asked: q.order.Changes, since: e.now, nodes: nodes, first: l.identify + 1}
	q.order.Changes = slices.Clone(q.order.Changes)
	p.changeOrder = *q
	l.changes.pending = p
	if len(dial) > 0 {
		e.out.add(&DialMembers{Members: dial})
	}
	e.askUnknownNodes()
	return true
}

// askUnknownNodes asks those that have not answered. It is repeated: a connection may
// need its time.
func (e *Engine) askUnknownNodes() {
	l := &e.leaderState
	if l.changes.pending == nil {
		return
	}
	for _, n := range l.changes.pending.nodes {
		if n.found.IsZero() {
			l.identify++
			e.out.send(&IdentifyRequest{Header: e.head(Identity{ID: n.id}), ID: l.identify})
		}
	}
}

// show remembers who has answered in the place of a silent member.
func (e *Engine) show(id Identity) {
	l := &e.leaderState.changes
	l.shown = slices.DeleteFunc(l.shown, func(s shownIdentity) bool {
		return s.Identity == id || e.now.Sub(s.at) > shownTimeouts*e.cfg.ElectionTimeout
	})
	_, member := e.configs.latest().Configuration.Member(id)
	if !member && len(l.shown) < membership.MembersMax {
		l.shown = append(l.shown, shownIdentity{id, e.now})
	}
}

// onNodeIdentified takes who a node of the pending order says that it is. Anybody may
// say it; what it says is heard at the address that whoever ordered has named, and
// counts for nothing but its name.
func (e *Engine) onNodeIdentified(m *IdentifyResponse) {
	l := &e.leaderState
	p := l.changes.pending
	if p == nil || m.ID < p.first || m.ID > l.identify {
		return
	}
	for i := range p.nodes {
		n := &p.nodes[i]
		if n.id != m.From.ID || m.From.Incarnation == 0 || slices.Contains(n.not, m.From) {
			continue
		}
		if n.want != 0 && n.want != m.From.Incarnation {
			n.cause = fmt.Errorf("%v answers at %s", m.From, n.address)
			continue
		}
		others := func(s shownIdentity) bool {
			return s.ID == n.id && s.Identity != m.From && !slices.Contains(n.not, s.Identity)
		}
		switch {
		case !m.Empty && !e.proves(&m.Header):
			e.endPending(refusedChange(&membership.ChangeError{Reason: membership.ChangeOtherCluster, Change: p.asked[n.change]}))
			return
		case !n.found.IsZero() && n.found != m.From, len(n.not) > 0 && slices.ContainsFunc(l.changes.shown, others):
			e.endPending(refusedChange(&membership.ChangeError{Reason: membership.ChangeTwoIncarnations, Change: p.asked[n.change]}))
			return
		}
		n.found = m.From
		p.order.Changes[n.change].Incarnation = m.From.Incarnation
	}
	if !slices.ContainsFunc(p.nodes, func(n unknownNode) bool { return n.found.IsZero() }) {
		l.changes.pending = nil
		p.known = true
		l.changes.queue = slices.Insert(l.changes.queue, 0, p.changeOrder)
		l.changes.look = true
		e.takeQueued()
	}
}

// endPending ends the pending order, and those that have joined it, without a change.
func (e *Engine) endPending(r *ChangeResponse) {
	p := e.leaderState.changes.pending
	e.leaderState.changes.pending = nil
	e.remember(p.order.ID, r)
	for _, w := range p.waiters {
		if w.order != p.order.ID {
			e.remember(w.order, r)
		}
	}
	e.answerOrder(&p.changeOrder, r)
}

// checkPending asks again, or gives the order up.
func (e *Engine) checkPending() {
	p := e.leaderState.changes.pending
	if p == nil {
		return
	}
	if limit := p.order.CatchUpLimit; limit == 0 || e.now.Sub(max(p.since, e.leaderState.changes.awake)) <= limit {
		e.askUnknownNodes()
		return
	}
	i := slices.IndexFunc(p.nodes, func(n unknownNode) bool { return n.found.IsZero() })
	r := &ChangeResponse{Code: ChangeNotCaughtUp, Change: p.order.ID, Node: p.nodes[i].id, Lag: uint64(e.log.last.Index), LastContact: -1}
	if cause := p.nodes[i].cause; cause != nil {
		r.Text = cause.Error()
	}
	e.endPending(r)
}

// noteNodeDown keeps why a node of the pending order cannot be reached.
func (e *Engine) noteNodeDown(ev *PeerDown) {
	p := e.leaderState.changes.pending
	if p == nil || ev.Class != ClassControl {
		return
	}
	for i := range p.nodes {
		if p.nodes[i].id == ev.Node {
			p.nodes[i].cause = ev.Cause
		}
	}
}

// pendingWaits appends the nodes of the pending order that have not answered.
func (e *Engine) pendingWaits(waits []Waiting) []Waiting {
	p := e.leaderState.changes.pending
	if p == nil {
		return waits
	}
	for _, n := range p.nodes {
		switch {
		case !n.found.IsZero():
		case n.cause != nil:
			waits = append(waits, Waiting{n.id, "unreachable: " + n.cause.Error()})
		default:
			waits = append(waits, Waiting{n.id, "has not said who it is yet"})
		}
	}
	return waits
}

// changeStatus says which change is under way.
func (e *Engine) changeStatus() ChangeStatus {
	c := &e.configs.latest().Configuration
	if t := c.Target; t != nil {
		s := ChangeStatus{ChangeCatchingUp, t.ID, t.Since}
		if c.Joint() {
			s.State = ChangeJoint
		}
		return s
	}
	if p := e.leaderState.changes.pending; p != nil {
		return ChangeStatus{ChangeAsking, p.order.ID, p.order.Since}
	}
	return e.askedByLeader()
}
