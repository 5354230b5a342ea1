package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// This file is about what the leader makes of orders to change the members: it refuses
// what is wrong, lets an order join the change that it asks for, and begins one change
// at a time. Who asks is in change_request.go, who the nodes are that come is found out
// in change_nodes.go, and the steps of a change are in change_steps.go.

// changeOrders are those that wait on the leader, in the order in which they came.
type changeOrders struct {
	queue []changeOrder
	// pending is the one whose nodes are asked who they are, nil if none is.
	pending *pendingOrder
	// look: something has happened that an order in the queue may have waited for.
	look bool
	// shown are the identities that have shown themselves empty in the place of silent
	// members.
	shown []shownIdentity
	// told is what the heartbeats tell of the change under way, nil if there is none.
	told *ChangeTold
	// handedOver: this leader, which leaves the voters, has tried to hand over first.
	handedOver bool
	// awake is when this leader last woke up: newcomers have their limits anew (rule 15).
	awake Instant
}

// changeOrder is an order and who waits for what becomes of it.
type changeOrder struct {
	order   ChangeOrder
	waiters []changeWaiter
	// known: the nodes that come have said who they are.
	known bool
	// silence is since when too few voters have answered for it to begin, 0 if enough do.
	silence Instant
}

// changeWaiter is who passed an order on, and which; from is zero if it is this node.
type changeWaiter struct {
	from  Identity
	id    uint64
	order membership.ChangeID
}

// changeOrdersMax bounds the orders that wait, and those who wait for each.
const changeOrdersMax = 64

func (e *Engine) onChangeRequest(m *ChangeRequest) {
	w := changeWaiter{m.From, m.ID, m.Order.ID}
	if _, member := e.configs.member(m.From, e.commit); !member {
		e.tellRemoved(m.From)
		e.answerChange(w, &ChangeResponse{Code: ChangeNotLeader})
		return
	}
	e.takeOrder(w, &m.Order)
}

// takeOrder decides on an order, or lets it wait.
func (e *Engine) takeOrder(w changeWaiter, o *ChangeOrder) {
	l := &e.leaderState.changes
	if e.role != RoleLeader {
		e.answerChange(w, &ChangeResponse{Code: ChangeNotLeader, Leader: e.leader.ID})
		return
	}
	if r := e.answered(o.ID); r != nil {
		e.answerChange(w, r) // asked again
		return
	}
	same := func(c *changeOrder) bool { return c.order.ID == o.ID }
	if p := l.pending; p != nil && same(&p.changeOrder) {
		p.wait(w)
		e.answerChange(w, &ChangeResponse{Code: ChangeTaken, Change: o.ID})
		return
	}
	i := slices.IndexFunc(l.queue, func(c changeOrder) bool { return same(&c) })
	switch {
	case i >= 0:
		l.queue[i].wait(w)
	case len(l.queue) >= changeOrdersMax:
		e.answerChange(w, &ChangeResponse{Code: ChangeOverloaded})
	default:
		l.queue = append(l.queue, changeOrder{order: *o, waiters: []changeWaiter{w}})
		l.look = true
		e.takeQueued()
	}
}

// wait adds one who waits; who asks again waits once. Several on one node may ask for the
// same: each has to be told, or asks again when it is over.
func (c *changeOrder) wait(w changeWaiter) {
	if !slices.Contains(c.waiters, w) && len(c.waiters) < changeOrdersMax {
		c.waiters = append(c.waiters, w)
	}
}

// takeQueued decides on the orders that can be decided on now.
func (e *Engine) takeQueued() {
	l := &e.leaderState.changes
	if e.role != RoleLeader || !l.look {
		return
	}
	l.look = false
	for len(l.queue) > 0 {
		c := l.queue[0]
		r := e.decide(&c)
		if r == nil {
			l.queue[0] = c
			return
		}
		l.queue = slices.Delete(l.queue, 0, 1)
		e.answerOrder(&c, r)
	}
}

func (e *Engine) answerOrder(c *changeOrder, r *ChangeResponse) {
	for _, w := range c.waiters {
		if r.Code == ChangeAccepted && r.Change != w.order {
			e.remember(w.order, r) // no entry tells of this order
		}
		answer := *r
		e.answerChange(w, &answer)
	}
}

// answerChange answers who passed an order on.
func (e *Engine) answerChange(w changeWaiter, r *ChangeResponse) {
	r.ID = w.id
	if w.from.IsZero() {
		e.changeAnswered(r)
		return
	}
	r.Header = e.head(w.from)
	e.out.send(r)
}

// dropOrders tells all who wait that this node leads no more. Nothing was appended for
// them.
func (e *Engine) dropOrders() {
	l := &e.leaderState.changes
	orders := l.queue
	if l.pending != nil {
		orders = append(orders, l.pending.changeOrder)
	}
	*l = changeOrders{}
	for i := range orders {
		e.answerOrder(&orders[i], &ChangeResponse{Code: ChangeNotLeader})
	}
}

// settled reports whether the next configuration may be appended. Rule 21: only when
// the last one is committed, and this leader has committed in its own term. The target
// of a transfer is to have the whole log, and a leader that only hands over changes
// nothing (rule 16).
func (e *Engine) settled() bool {
	return e.configs.latest().Index <= e.commit && e.commit >= e.leaderState.first && e.transfer.phase == transferNone && !e.leaderState.caretaker
}

// decide carries an order out, refuses it, or says by nil that it has to wait.
func (e *Engine) decide(q *changeOrder) *ChangeResponse {
	o, at := &q.order, e.configs.latest()
	c := &at.Configuration
	switch {
	case o.ExpectedTerm != 0 && o.ExpectedTerm != e.hard.Term:
		return &ChangeResponse{Code: ChangeTermChanged}
	case e.knowsChange(o.ID):
		return &ChangeResponse{Code: ChangeAccepted, Change: o.ID, At: at.LogID} // asked again
	case c.Target.IsFounding():
		return &ChangeResponse{Code: ChangeNotReady}
	case o.Cancel:
		return e.decideCancel(o)
	case c.Target != nil && o.SameAs(c):
		return e.joinChange(o)
	}
	if r, wait := e.standsInTheWay(q); r != nil || wait {
		return r
	}
	if o.ExpectedIndex != 0 && o.ExpectedIndex != at.Index {
		return &ChangeResponse{Code: ChangeConfigurationChanged, Index: at.Index}
	}
	if !e.settled() && !o.DryRun {
		return nil
	}
	steps, err := o.Plan(c)
	switch {
	case err != nil:
		return refusedChange(err)
	case len(steps) == 0 && !o.DryRun:
		return &ChangeResponse{Code: ChangeUnneeded, At: at.LogID}
	}
	if r := e.refusesReplacing(o); r != nil {
		return r
	}
	if o.DryRun {
		return &ChangeResponse{Code: ChangePlanned, Steps: steps, At: at.LogID}
	}
	if e.askWhoTheyAre(q) {
		return &ChangeResponse{Code: ChangeTaken, Change: o.ID}
	}
	return e.beginChange(q, steps)
}

// joinChange lets an order join the change that is under way. Who asks by hand makes it
// one by hand: it yields to nobody any more.
func (e *Engine) joinChange(o *ChangeOrder) *ChangeResponse {
	at := e.configs.latest()
	t := at.Configuration.Target
	if !t.Automatic || o.Automatic || o.DryRun || at.Configuration.Joint() {
		return &ChangeResponse{Code: ChangeAccepted, Change: t.ID, At: at.LogID, Age: ageOf(o, t.Since)}
	}
	if !e.settled() {
		return nil
	}
	next, err := at.Configuration.ByHand()
	if err != nil {
		panic(fmt.Sprintf("core: a change cannot be joined: %v", err))
	}
	e.appendConfiguration(&next)
	return &ChangeResponse{Code: ChangeAccepted, Change: t.ID, At: e.log.last, Age: ageOf(o, t.Since)}
}

// knowsChange reports whether a change is under way, or was, by a configuration that
// the log still tells of.
func (e *Engine) knowsChange(id membership.ChangeID) bool {
	return slices.ContainsFunc(e.configs.at, func(at ConfigurationAt) bool {
		c := &at.Configuration
		return c.Target != nil && c.Target.ID == id || c.Last.ID == id
	})
}

// standsInTheWay says what keeps an order from being begun that is not the one under
// way: one change at a time, but what is said of members may change beside it.
func (e *Engine) standsInTheWay(q *changeOrder) (r *ChangeResponse, wait bool) {
	o, c := &q.order, &e.configs.latest().Configuration
	if membership.AttributesOnly(o.Changes) {
		return nil, false
	}
	if p := e.leaderState.changes.pending; p != nil && p.order.ID != o.ID && !o.DryRun {
		switch {
		case fmt.Sprint(p.asked) == fmt.Sprint(o.Changes):
			p.order.Automatic = p.order.Automatic && o.Automatic
		case p.order.Automatic && !o.Automatic:
			e.endPending(&ChangeResponse{Code: ChangeYielded, Change: p.order.ID})
			return nil, false
		default:
			return inProgress(p.order.ID, p.order.Since, o, fmt.Sprint(p.asked), false), false
		}
		for _, w := range q.waiters {
			p.wait(w)
		}
		return &ChangeResponse{Code: ChangeTaken, Change: p.order.ID, Age: ageOf(o, p.order.Since)}, false
	}
	switch t := c.Target; {
	case t == nil:
		return nil, c.Joint() // of an older version
	case t.Automatic && !o.Automatic && !c.Joint() && !o.DryRun:
		if e.settled() {
			e.giveUp(membership.Outcome{Result: membership.ResultYielded})
		}
		return nil, true
	}
	return inProgress(c.Target.ID, c.Target.Since, o, c.String(), c.Joint()), false
}

func inProgress(id membership.ChangeID, since int64, o *ChangeOrder, what string, joint bool) *ChangeResponse {
	return &ChangeResponse{Code: ChangeInProgress, Change: id, Age: time.Duration(max(o.Since-since, 0)), Text: what, Joint: joint}
}

// refusedChange is the answer of an error of a plan.
func refusedChange(err error) *ChangeResponse {
	wrong, ok := err.(*membership.ChangeError)
	if !ok {
		wrong = &membership.ChangeError{Reason: membership.ChangeLimit, Text: err.Error()}
	}
	return &ChangeResponse{Code: ChangeRefused, Reason: wrong.Reason, Wrong: wrong.Change, Node: wrong.Node, Text: wrong.Text}
}

// replaceSilenceTimeouts is for how many election time-outs a member must have been
// silent to be replaced.
const replaceSilenceTimeouts = 2

// refusesReplacing refuses to replace who is alive.
func (e *Engine) refusesReplacing(o *ChangeOrder) *ChangeResponse {
	c := &e.configs.latest().Configuration
	for _, change := range o.Changes {
		if change.Op != membership.OpReplace {
			continue
		}
		for _, id := range c.Incarnations(change.ID) {
			p := e.leaderState.peer(id)
			alive := p != nil && p.answered != 0 && e.now.Sub(p.answered) <= replaceSilenceTimeouts*e.cfg.ElectionTimeout
			if id == e.cfg.Self || alive && !change.Force && id.Incarnation != change.Incarnation {
				return refusedChange(&membership.ChangeError{Reason: membership.ChangeAlive, Change: change})
			}
		}
	}
	return nil
}

// decideCancel gives up the change that is catching up.
func (e *Engine) decideCancel(o *ChangeOrder) *ChangeResponse {
	l := &e.leaderState.changes
	if p := l.pending; p != nil {
		e.endPending(&ChangeResponse{Code: ChangeCancelled, Change: p.order.ID})
		r := &ChangeResponse{Code: ChangeUnneeded, At: e.configs.latest().LogID}
		e.remember(o.ID, r)
		return r
	}
	c := &e.configs.latest().Configuration
	switch {
	case c.Target == nil:
		return &ChangeResponse{Code: ChangeNone}
	case c.Joint():
		return inProgress(c.Target.ID, c.Target.Since, o, c.String(), true)
	case !e.settled():
		return nil
	}
	id := c.Target.ID
	e.giveUp(membership.Outcome{Result: membership.ResultCancelled})
	return &ChangeResponse{Code: ChangeAccepted, Change: id, At: e.log.last}
}

// beginChange appends the first configuration of a change, unless it could not be finished.
func (e *Engine) beginChange(q *changeOrder, steps []membership.Configuration) *ChangeResponse {
	for i := range steps {
		if size, most := steps[i].SizeBytes(), e.cfg.ConfigurationBytesMax; most > 0 && size > most {
			return refusedChange(&membership.ChangeError{Reason: membership.ChangeTooLarge, Text: fmt.Sprintf("up to %d bytes, and the log store and the network take at most %d", size, most)})
		}
		if slices.ContainsFunc(steps[i].Members, func(m membership.Member) bool { return m.Incarnation == 0 }) {
			// Rule 18: nobody is a member by an id alone.
			return refusedChange(&membership.ChangeError{Reason: membership.ChangeNoIncarnation})
		}
		if !steps[i].Joint() {
			continue
		}
		if half, silent := e.cannotDecide(&steps[i]); half != "" {
			if q.silence == 0 {
				q.silence = e.now
			}
			if e.now.Sub(q.silence) <= e.cfg.ElectionTimeout {
				return nil // they have the time to answer that a leader has to hear of a quorum
			}
			text := fmt.Sprintf("of the %s voters nodes %d do not answer; if they are lost for good, the cluster needs an offline recovery", half, silent)
			return refusedChange(&membership.ChangeError{Reason: membership.ChangeNoQuorum, Text: text})
		}
	}
	e.appendConfiguration(&steps[0])
	if len(steps) > 1 {
		e.out.add(&Notice{Kind: NoticeChangeStarted, Peer: e.cfg.Self, Term: e.hard.Term, Index: e.log.last.Index, Text: changeText(&steps[0])})
	}
	return &ChangeResponse{Code: ChangeAccepted, Change: q.order.ID, At: e.log.last}
}

// forgiveSilence lets voters and newcomers have their time to answer anew: this node was
// asleep, and has not read yet what they said meanwhile (rule 15).
func (e *Engine) forgiveSilence() {
	e.leaderState.changes.awake = e.now
	if queue := e.leaderState.changes.queue; len(queue) > 0 && queue[0].silence != 0 {
		queue[0].silence = e.now
	}
}

// changeText writes a change for people.
func changeText(c *membership.Configuration) string {
	return fmt.Sprintf("%v, %v", c.Target.ID, c)
}

// cannotDecide says which half of a joint configuration has too few voters that answer
// now, and who does not; newcomers are given the time to. "" if there is none.
func (e *Engine) cannotDecide(joint *membership.Configuration) (half string, silent []NodeID) {
	now := &e.configs.latest().Configuration
	may := func(id Identity) uint64 {
		if !now.IsVoter(id) {
			return 1
		}
		return e.answering(id)
	}
	voters := joint.Outgoing
	if half = "old"; membership.MajorityValue(voters, may) > 0 {
		voters, half = joint.Voters, "new"
		if membership.MajorityValue(voters, may) > 0 {
			return "", nil
		}
	}
	for _, id := range voters {
		if may(id) == 0 {
			silent = append(silent, id.ID)
		}
	}
	return half, silent
}
