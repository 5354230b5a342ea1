package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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
	paused               map[seat]bool
}

// seat is a group on a node, whatever life runs it.
type seat struct {
	node  core.NodeID
	group membership.GroupID
}

func newOperator(s *sim, r *rand.Rand) *operator {
	return &operator{sim: s, rand: r, paused: map[seat]bool{}}
}

// drawPriorities draws what the members are wanted for. Most clusters set none.
func (p *plan) drawPriorities(r *rand.Rand) {
	choices := pick(r, []uint32{0}, []uint32{0}, []uint32{0, 200}, []uint32{membership.PriorityLast, 0, 200}, []uint32{1, 2, 50, 0, 101, 1000})
	for range p.nodes {
		p.priorities = append(p.priorities, pick(r, choices...))
	}
	if p.handsEvery == 0 { // no theme has said it
		p.handsEvery = p.election * time.Duration(pick(r, 0, 0, 1, 4, 10)) / 2
	}
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

// someone draws a group on a node, its leader as often as not. It is nil where the
// group does not run.
func (o *operator) someone() *replica {
	g := o.sim.groups[o.rand.IntN(len(o.sim.groups))]
	n := o.sim.nodes[o.rand.IntN(len(o.sim.nodes))]
	if leader := g.newestLeader(); leader != nil && chance(o.rand, 50) {
		return leader
	}
	return g.on(n)
}

func (o *operator) acts() {
	r := o.someone()
	if r == nil || r.stopping {
		return
	}
	o.count++
	switch k := o.rand.IntN(10); {
	case k < 5:
		to := core.NodeID(o.rand.IntN(len(o.sim.nodes) + 2))
		o.transfers(r, actors.Transfer{To: to, ByHand: chance(o.rand, 50)}, func(error) {})
		if to > 0 && int(to) <= len(o.sim.nodes) && chance(o.rand, 20) {
			o.pausesSoon(r.group, o.sim.nodes[to-1])
		}
	case k < 7:
		o.elects(r)
	case k < 9:
		o.pauses(r, !o.paused[r.seat()] && chance(o.rand, 60))
	default:
		o.stops(r.node)
	}
}

func (r *replica) seat() seat { return seat{r.node.id, r.group.id} }

// request is asked of one group on one life. It must be answered once, and not by a
// dead one.
type request struct {
	what    string
	replica *replica
	// changes: it is an order to change the members.
	changes, done bool
}

func (o *operator) asks(r *replica, format string, arguments ...any) *request {
	q := &request{what: fmt.Sprintf(format, arguments...), replica: r}
	r.requests = append(r.requests, q)
	r.sim.trace.add(traceClient, uint64(r.node.id), uint64(r.group.id), hashString(q.what))
	r.sim.trace.say("%v is asked %s", r, q.what)
	return q
}

// ends takes the answer, and reports whether it counts.
func (q *request) ends(err error) bool {
	r := q.replica
	r.sim.trace.add(traceClient, uint64(r.node.id), uint64(r.group.id), hashString(q.what), truth(err == nil))
	r.sim.trace.say("%v, %s: %v", r, q.what, err)
	switch {
	case r.dead:
		r.sim.fail(ruleDeadAnswers, "%v: %s", r, q.what)
		return false
	case q.done:
		r.sim.fail(ruleOnce, "%v: %s", r, q.what)
		return false
	}
	q.done = true
	return true
}

func (o *operator) transfers(r *replica, t actors.Transfer, then func(error)) {
	s := o.sim
	q := o.asks(r, "to transfer to %d, not %v", t.To, t.Not)
	cancel := r.raft.TransferLeadership(t, func(h actors.Handover, err error) {
		if !q.ends(err) {
			return
		}
		if err == nil {
			o.transferred++
			r.group.check.transferred(r, t, h)
		} else {
			r.group.check.notTransferred(r, err)
		}
		then(err)
	})
	if chance(o.rand, 10) {
		s.clock.after(span{0, s.plan.election}.draw(o.rand), r.life, func() { cancel(context.Canceled) })
	}
}

func (o *operator) elects(r *replica) {
	q := o.asks(r, "to campaign")
	r.raft.Elect(func(term core.Term, err error) {
		if !q.ends(err) || err != nil {
			return
		}
		o.elected++
		r.group.check.electedByHand(r, term)
	})
}

func (o *operator) pauses(r *replica, paused bool) {
	o.paused[r.seat()] = paused
	q := o.asks(r, "to pause: %v", paused)
	r.raft.PauseElections(paused, func(err error) { q.ends(err) })
}

// pausesIncoming pauses, in some groups that begin in the middle of a change, whoever is
// to vote after it: who leads finds nobody to hand over to before it leads itself out.
func (o *operator) pausesIncoming() {
	s := o.sim
	for _, g := range s.groups {
		if !g.inherited || !chance(o.rand, 30) {
			continue
		}
		lasts := s.plan.electionMax() * time.Duration(4+o.rand.IntN(8))
		for _, n := range s.nodes {
			r := g.on(n)
			if k := &r.status.Configuration.Configuration; !k.Joint() || !slices.Contains(k.Voters, n.member) {
				continue
			}
			o.pauses(r, true)
			s.clock.after(lasts, r.life, func() {
				if !r.stopping && !r.leaving {
					o.pauses(r, false)
				}
			})
		}
	}
}

// pausesSoon pauses a node's elections before its leader may know of it.
func (o *operator) pausesSoon(g *group, n *node) {
	s := o.sim
	s.clock.after(span{0, 3 * s.plan.netDelay.high}.draw(o.rand), nil, func() {
		if r := g.on(n); r != nil && !r.stopping && !s.faults.healed {
			o.pauses(r, true)
		}
	})
}

// stops stops a node in order, as troupe.Node.Shutdown does: its groups hand over
// first, each to the next if one fails.
func (o *operator) stops(n *node) {
	l, busy := n.life, len(n.life.replicas)
	l.ends = true
	ready := func() {
		if busy--; busy == 0 {
			n.stop(func() { n.restartAfter(o.sim.faults.lasts()) })
		}
	}
	for _, r := range slices.Clone(l.replicas) {
		o.handsOver(r, nil, ready)
	}
}

// handsOver lets a group hand over, if it leads, to none of those that have failed.
func (o *operator) handsOver(r *replica, not []membership.NodeID, then func()) {
	if r.leaving || r.status.Role != core.RoleLeader || len(not) > len(o.sim.nodes) {
		then()
		return
	}
	o.transfers(r, actors.Transfer{Not: not}, func(err error) {
		// What is called here may still be in the actor that called it.
		o.sim.clock.after(0, r.life, func() {
			var failed *core.TransferError
			if asTransferError(err, &failed) && failed.To != 0 {
				o.handsOver(r, append(not, failed.To), then)
				return
			}
			then()
		})
	})
}

// heals lets everybody campaign again.
func (o *operator) heals() {
	for _, g := range o.sim.groups {
		for _, n := range o.sim.nodes {
			if r := g.on(n); r != nil && r.raft != nil && !r.stopping {
				o.pauses(r, false)
			}
		}
	}
}
