package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// operator moves the leadership about, as people and their scripts do: by transfers,
// elections by hand, pauses, and by stopping nodes after they have handed over.
type operator struct {
	sim   *sim
	rand  *rand.Rand
	count int
	// transferred and elected count what succeeded.
	transferred, elected int
	paused               map[core.NodeID]bool
}

func newOperator(s *sim, r *rand.Rand) *operator {
	return &operator{sim: s, rand: r, paused: map[core.NodeID]bool{}}
}

// drawPriorities draws what the members are wanted for. Most clusters set none.
func (p *plan) drawPriorities(r *rand.Rand) {
	choices := pick(r, []uint32{0}, []uint32{0}, []uint32{0, 200}, []uint32{membership.PriorityLast, 0, 200}, []uint32{1, 2, 50, 0, 101, 1000})
	for range p.nodes {
		p.priorities = append(p.priorities, pick(r, choices...))
	}
	p.handsEvery = p.election * time.Duration(pick(r, 0, 0, 1, 4, 10)) / 2
}

// later lets the operator do something after a while, again and again until
// everything heals.
func (o *operator) later() {
	s := o.sim
	if s.plan.handsEvery == 0 || len(s.nodes) == 1 {
		return
	}
	s.clock.after(span{0, 2 * s.plan.handsEvery}.draw(o.rand), nil, func() {
		if !s.faults.healed {
			o.acts()
			o.later()
		}
	})
}

// someone draws a node, the leader as often as not.
func (o *operator) someone() *node {
	if chance(o.rand, 50) {
		return o.sim.faults.leader()
	}
	return o.sim.nodes[o.rand.IntN(len(o.sim.nodes))]
}

func (o *operator) acts() {
	n := o.someone()
	if l := n.life; l == nil || l.dead || l.stopping {
		return
	}
	o.count++
	switch k := o.rand.IntN(10); {
	case k < 5:
		o.transfers(n.life, actors.Transfer{To: core.NodeID(o.rand.IntN(len(o.sim.nodes) + 2)), ByHand: chance(o.rand, 50)}, func(error) {})
	case k < 7:
		o.elects(n.life)
	case k < 9:
		o.pauses(n.life, !o.paused[n.id] && chance(o.rand, 60))
	default:
		o.stops(n)
	}
}

// request is asked of one life. It must be answered once, and not by a dead one.
type request struct {
	what string
	life *life
	done bool
}

func (o *operator) asks(l *life, format string, arguments ...any) *request {
	q := &request{what: fmt.Sprintf(format, arguments...), life: l}
	l.requests = append(l.requests, q)
	l.sim.trace.add(traceClient, uint64(l.node.id), hashString(q.what))
	l.sim.trace.say("%v is asked %s", l, q.what)
	return q
}

// ends takes the answer, and reports whether it counts.
func (q *request) ends(err error) bool {
	s := q.life.sim
	s.trace.add(traceClient, uint64(q.life.node.id), hashString(q.what), truth(err == nil))
	s.trace.say("%v, %s: %v", q.life, q.what, err)
	switch {
	case q.life.dead:
		s.check.fail(ruleDeadAnswers, "%v: %s", q.life, q.what)
		return false
	case q.done:
		s.check.fail(ruleOnce, "%v: %s", q.life, q.what)
		return false
	}
	q.done = true
	return true
}

func (o *operator) transfers(l *life, t actors.Transfer, then func(error)) {
	s := o.sim
	q := o.asks(l, "to transfer to %d, not %v", t.To, t.Not)
	cancel := l.group.TransferLeadership(t, func(h actors.Handover, err error) {
		if !q.ends(err) {
			return
		}
		if err == nil {
			o.transferred++
			s.check.transferred(l, t, h)
		} else {
			s.check.notTransferred(l, err)
		}
		then(err)
	})
	if chance(o.rand, 10) {
		s.clock.after(span{0, s.plan.election}.draw(o.rand), l, func() { cancel(context.Canceled) })
	}
}

func (o *operator) elects(l *life) {
	q := o.asks(l, "to campaign")
	l.group.Elect(func(term core.Term, err error) {
		if !q.ends(err) || err != nil {
			return
		}
		o.elected++
		o.sim.check.electedByHand(l, term)
	})
}

func (o *operator) pauses(l *life, paused bool) {
	o.paused[l.node.id] = paused
	q := o.asks(l, "to pause: %v", paused)
	l.group.PauseElections(paused, func(err error) { q.ends(err) })
}

// stops stops a node in order, as troupe.Raft.Shutdown does: it hands over first, to
// the next if it fails.
func (o *operator) stops(n *node) {
	l := n.life
	again := func() { n.restartAfter(o.sim.faults.lasts()) }
	var tries func(not []membership.NodeID)
	tries = func(not []membership.NodeID) {
		if l.status.Role != core.RoleLeader || len(not) > len(o.sim.nodes) {
			n.stop(again)
			return
		}
		o.transfers(l, actors.Transfer{Not: not}, func(err error) {
			// What is called here may still be in the actor that called it.
			o.sim.clock.after(0, l, func() {
				var failed *core.TransferError
				if asTransferError(err, &failed) && failed.To != 0 {
					tries(append(not, failed.To))
					return
				}
				n.stop(again)
			})
		})
	}
	tries(nil)
}

// heals lets everybody campaign again.
func (o *operator) heals() {
	for _, n := range o.sim.nodes {
		if l := n.life; l != nil && !l.dead && !l.stopping {
			o.pauses(l, false)
		}
	}
}
