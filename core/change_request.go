package core

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// This file is about who asks for a change of the members: a node passes orders on to
// the leader until one has taken them, and learns from its own log what became of them.

// changesAsked are the orders of this node.
type changesAsked struct {
	asked []askedChange
	// nextWireID begins at random: an answer to an earlier life must not fit.
	nextWireID uint64
	timer      deadline
	// told is what the leader has told of the change under way, nil if there is none.
	told *ChangeTold
	// counts are the changes that have ended while this node led: complete, and given up.
	counts [2]uint64
}

// askedChange is an order on its way, or one that was accepted.
type askedChange struct {
	id    uint64
	order ChangeOrder
	// noWait: it ends as soon as a leader has taken it. left: nobody waits for its end
	// any more, and it is passed on until it was accepted.
	noWait, left bool
	// wireID is that of the request to leader, 0 if there is none. sent: a leader may
	// have heard of it.
	wireID uint64
	leader Identity
	sent   bool
	// accepted: the outcome of change will stand in a configuration behind at, or it
	// stands there already; unneeded: at says what was asked for.
	accepted, unneeded bool
	change             membership.ChangeID
	at                 LogID
	// taken: leader asks the nodes that come who they are. joinedSince is when change was
	// asked for, if it is another one than that of order; 0 if that is not known.
	taken       bool
	joinedSince int64
}

// names is the change that an order waits for: the one that was begun for it, or that it
// has joined.
func (a *askedChange) names() membership.ChangeID {
	if a.change != 0 {
		return a.change
	}
	return a.order.ID
}

// askedChangesMax bounds the orders of a node.
const askedChangesMax = 1 << 10

func (e *Engine) onChangeMembers(ev *ChangeMembers) {
	a := askedChange{id: ev.ID, order: ev.Order, noWait: ev.NoWait}
	switch {
	case e.isRemoved():
		e.endChange(&a, ErrRemoved)
		return
	case e.empty():
		e.endChange(&a, ErrNoCluster)
		return
	case !a.order.Cancel && a.order.Check() != nil:
		e.endChange(&a, a.order.Check())
		return
	case len(e.changes.asked) >= askedChangesMax:
		e.endChange(&a, ErrOverloaded)
		return
	}
	e.changes.nextWireID++
	a.wireID = e.changes.nextWireID
	e.changes.asked = append(e.changes.asked, a)
	e.passOn(a.wireID)
	e.setChangeTimer(e.cfg.ElectionTimeout)
}

// passOn passes an order on to the leader, if one is known.
func (e *Engine) passOn(wireID uint64) {
	i := slices.IndexFunc(e.changes.asked, func(a askedChange) bool { return a.wireID == wireID })
	a := &e.changes.asked[i]
	if e.leader.IsZero() {
		return
	}
	if a.leader != e.leader {
		a.taken = false
	}
	a.leader, a.sent = e.leader, true
	if e.role == RoleLeader {
		e.takeOrder(changeWaiter{id: a.wireID, order: a.order.ID}, &a.order) // it may end a
		return
	}
	e.out.send(&ChangeRequest{Header: e.head(e.leader), ID: a.wireID, Order: a.order})
}

// passOnAll passes on again what no leader has accepted yet.
func (e *Engine) passOnAll() {
	var ids []uint64
	for i := range e.changes.asked {
		if a := &e.changes.asked[i]; !a.accepted {
			ids = append(ids, a.wireID)
		}
	}
	for _, id := range ids {
		if slices.ContainsFunc(e.changes.asked, func(a askedChange) bool { return a.wireID == id }) {
			e.passOn(id)
		}
	}
}

// setChangeTimer sets when what was not accepted is passed on again.
func (e *Engine) setChangeTimer(wait time.Duration) {
	c := &e.changes
	if !slices.ContainsFunc(c.asked, func(a askedChange) bool { return !a.accepted }) {
		e.cancel(&c.timer, TimerChange)
		return
	}
	e.set(&c.timer, TimerChange, e.now.Add(wait))
}

func (e *Engine) onChangeTimer() {
	if e.role != RoleLeader { // a leader has its orders
		e.passOnAll()
	}
	e.setChangeTimer(e.cfg.ElectionTimeout)
}

func (e *Engine) onChangeResponse(m *ChangeResponse) {
	if i := slices.IndexFunc(e.changes.asked, func(a askedChange) bool { return a.wireID == m.ID }); i >= 0 && e.changes.asked[i].leader == m.From {
		e.changeAnswered(m)
	}
}

// changeAnswered takes the answer to an order.
func (e *Engine) changeAnswered(m *ChangeResponse) {
	i := slices.IndexFunc(e.changes.asked, func(a askedChange) bool { return a.wireID == m.ID && !a.accepted })
	if i < 0 {
		return
	}
	a := &e.changes.asked[i]
	switch m.Code {
	case ChangeAccepted:
		a.accepted, a.at = true, m.At
		a.joined(m.Change, m.Age)
	case ChangeUnneeded:
		a.accepted, a.unneeded, a.at = true, true, m.At
	case ChangeTaken:
		a.taken = true
		a.joined(m.Change, m.Age)
	case ChangeNotLeader:
		a.leader, a.taken = Identity{}, false
		e.setChangeTimer(e.cfg.HeartbeatInterval)
		return
	case ChangePlanned:
		e.out.add(&ChangeEnded{ID: a.id, At: *e.configs.latest(), Steps: m.Steps})
		e.changes.asked = slices.Delete(e.changes.asked, i, i+1)
		return
	default:
		e.endAsked(i, changeError(m, a))
		return
	}
	switch {
	case a.left && a.accepted:
		e.changes.asked = slices.Delete(e.changes.asked, i, i+1)
	case a.noWait && !a.left && !a.unneeded:
		e.leaveChange(i)
	}
	e.setChangeTimer(e.cfg.ElectionTimeout)
}

// changeError is the error that an answer tells.
func changeError(m *ChangeResponse, a *askedChange) error {
	switch m.Code {
	case ChangeRefused:
		return &membership.ChangeError{Reason: m.Reason, Change: m.Wrong, Node: m.Node, Text: m.Text}
	case ChangeInProgress:
		return &ChangeInProgressError{Change: m.Change, What: m.Text, Age: m.Age, Joint: m.Joint}
	case ChangeNotCaughtUp:
		return &NotCaughtUpError{Change: m.Change, Node: m.Node, Lag: m.Lag, LastContact: m.LastContact, Text: m.Text}
	case ChangeConfigurationChanged:
		return &ConfigurationChangedError{Expected: a.order.ExpectedIndex, Index: m.Index}
	case ChangeTermChanged:
		return ErrTermChanged
	case ChangeOverloaded:
		return ErrOverloaded
	case ChangeNotReady:
		return ErrNotReady
	case ChangeCancelled:
		return &ChangeCancelledError{Change: m.Change}
	case ChangeYielded:
		return &ChangeCancelledError{Change: m.Change, Yielded: true}
	case ChangeNone:
		return ErrNoChange
	}
	// A later version may know more ways to refuse.
	return &membership.ChangeError{Text: m.Text}
}

// followChanges looks in the log for what became of the orders of this node.
func (e *Engine) followChanges() {
	for i := 0; i < len(e.changes.asked); {
		before := len(e.changes.asked)
		e.followChange(i)
		if len(e.changes.asked) == before {
			i++
		}
	}
}

func (e *Engine) followChange(i int) {
	a := &e.changes.asked[i]
	id := a.names()
	if a.unneeded {
		if e.commit >= a.at.Index {
			// What is in force may not be committed.
			e.endWithout(i, nil, e.configs.inForce(e.commit))
		}
		return
	}
	for p := e.configs.position(e.commit); p >= 0; p-- {
		if at := &e.configs.at[p]; at.Configuration.Last.ID == id && at.Index <= e.commit {
			for ; p > 0 && e.configs.at[p-1].Configuration.Last.ID == id; p-- {
				at = &e.configs.at[p-1] // by the last, another change may be under way
			}
			e.endWith(i, at)
			return
		}
	}
	if !a.accepted || e.commit < a.at.Index {
		return
	}
	term, known := e.log.term(a.at.Index)
	switch t := e.configs.latest().Configuration.Target; {
	case known && term != a.at.Term:
		// The entry is gone with its leader: it never was.
		a.accepted, a.taken, a.change = false, false, 0
		e.passOn(a.wireID)
		e.setChangeTimer(e.cfg.ElectionTimeout)
	case !known && (t == nil || t.ID != id):
		e.endAsked(i, &UnknownOutcomeError{Cause: ErrCompacted}) // a snapshot has come in between
	}
}

// endWith ends an order with the outcome that stands in a configuration.
func (e *Engine) endWith(i int, at *ConfigurationAt) {
	a, o := &e.changes.asked[i], at.Configuration.Last
	var err error
	switch {
	case a.order.Cancel && o.Result == membership.ResultCancelled, !a.order.Cancel && o.Result == membership.ResultDone:
	case a.order.Cancel:
		err = ErrNoChange // it came to an end of its own
	case o.Result == membership.ResultNotCaughtUp:
		err = &NotCaughtUpError{Change: o.ID, Node: o.Node, Lag: o.LagEntries, LastContact: max(time.Duration(o.SilentMillis)*time.Millisecond, -1)}
	default:
		err = &ChangeCancelledError{Change: o.ID, Yielded: o.Result == membership.ResultYielded}
	}
	if !a.left {
		e.out.add(&ChangeEnded{ID: a.id, Change: o.ID, Err: err, At: *at})
	}
	e.changes.asked = slices.Delete(e.changes.asked, i, i+1)
	e.setChangeTimer(e.cfg.ElectionTimeout)
}

// endAsked ends an order, with the configuration in force.
func (e *Engine) endAsked(i int, err error) { e.endWithout(i, err, e.configs.latest()) }

// endWithout ends an order that no outcome stands for, with a configuration.
func (e *Engine) endWithout(i int, err error, at *ConfigurationAt) {
	a := e.changes.asked[i]
	e.changes.asked = slices.Delete(e.changes.asked, i, i+1)
	if !a.left {
		e.out.add(&ChangeEnded{ID: a.id, Change: a.change, Err: err, At: *at})
	}
	e.setChangeTimer(e.cfg.ElectionTimeout)
}

func (e *Engine) endChange(a *askedChange, err error) {
	e.out.add(&ChangeEnded{ID: a.id, Change: a.change, Err: err, At: *e.configs.latest()})
}

// leaveChange ends the wait for an order. What a leader may have heard of goes on: it
// is passed on until it was accepted, for the leader may go before its first entry is
// there.
func (e *Engine) leaveChange(i int) {
	a := &e.changes.asked[i]
	id := a.names()
	e.out.add(&ChangeEnded{ID: a.id, Change: id, Since: a.since(), GoesOn: true, At: *e.configs.latest()})
	if a.left = true; a.accepted {
		e.changes.asked = slices.Delete(e.changes.asked, i, i+1)
	}
}

func (e *Engine) onChangeWaitEnded(ev *ChangeWaitEnded) {
	i := slices.IndexFunc(e.changes.asked, func(a askedChange) bool { return a.id == ev.ID && !a.left })
	switch {
	case i < 0:
	case !e.changes.asked[i].sent || e.changes.asked[i].order.DryRun:
		e.endAsked(i, ev.Cause)
	default:
		e.leaveChange(i)
	}
	e.setChangeTimer(e.cfg.ElectionTimeout)
}

// changesRemoved ends the orders of a node that was removed at an entry: it hears no more
// of them. The one by which it was removed is done.
func (e *Engine) changesRemoved(at LogID, by membership.ChangeID) {
	for len(e.changes.asked) > 0 {
		switch a := &e.changes.asked[0]; {
		case by != 0 && a.names() == by && !a.order.Cancel:
			a.change = by
			e.endWithout(0, nil, &ConfigurationAt{at, e.madeOf(a)})
		case a.accepted && !a.unneeded:
			e.leaveChange(0)
		default:
			e.endAsked(0, ErrRemoved)
		}
	}
}

// madeOf is what an order makes of the members that this node knows of. It lacks the end
// of the change itself.
func (e *Engine) madeOf(a *askedChange) membership.Configuration {
	c := e.configs.latest().Configuration
	for c.Target != nil && c.Target.ID == a.names() {
		next, err := c.Next()
		if err != nil {
			return c
		}
		c = next
	}
	if steps, err := a.order.Plan(&c); err == nil && len(steps) > 0 {
		return steps[len(steps)-1]
	}
	return c
}
