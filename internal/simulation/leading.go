package simulation

import (
	"context"
	"math/rand/v2"

	"github.com/trouperaft/troupe/core"
)

// jobs are what the application runs for a group on the nodes while they lead it. A job
// ends a while after its context, or by itself before that; some do not return for
// several elections.
type jobs struct {
	group *group
	rand  *rand.Rand
	// on: the group has them in this run.
	on bool
	// running are those that have not returned, by the processes in which they run: a
	// group that stops and starts again in one does not forget them.
	running map[*life]*job
	// last is the term of the newest, and count how many there were.
	last  core.Term
	count int
}

// job is one call of the application's function.
type job struct {
	replica *replica
	ctx     context.Context
	term    core.Term
	ended   func(error)
	// ending: its context has ended, and it will return.
	ending bool
}

// leaseOver is why a context ended whose lease ran out.
const leaseOver = "the leader's lease has run out"

func newJobs(g *group, r *rand.Rand) *jobs {
	return &jobs{group: g, rand: r, running: map[*life]*job{}}
}

// draw turns the jobs on in half of the groups.
func (j *jobs) draw() { j.on = chance(j.rand, 50) }

// onLeading is what a replica is configured with.
func (j *jobs) onLeading(r *replica) func(context.Context, core.Term, func(error)) {
	if !j.on {
		return nil
	}
	return func(ctx context.Context, term core.Term, ended func(error)) {
		j.begins(&job{replica: r, ctx: ctx, term: term, ended: ended})
	}
}

func (j *jobs) begins(b *job) {
	s, r := j.group.sim, b.replica
	j.trace(b, 10, "begins")
	j.check(b)
	j.running[r.life] = b
	j.last = max(j.last, b.term)
	j.count++
	if chance(j.rand, 10) {
		s.clock.after(span{0, 4 * s.plan.election}.draw(j.rand), r.life, func() { j.returns(b) })
	}
}

// trace tells what becomes of a job.
func (j *jobs) trace(b *job, what uint64, happens string) {
	s := j.group.sim
	s.trace.add(traceClient, uint64(b.replica.node.id), uint64(j.group.id), uint64(b.term), what)
	s.trace.say("%v: the job of term %d %s", b.replica, b.term, happens)
}

// look lets a job return, a while after its context has ended. It is called after
// whatever a life did.
func (j *jobs) look(l *life) {
	b := j.running[l]
	if b == nil || b.ending || !over(b.ctx) {
		return
	}
	b.ending = true
	s, why := j.group.sim, context.Cause(b.ctx).Error()
	j.trace(b, 11, "has to end: "+why)
	if why == leaseOver {
		s.saw(jobBeyondLease)
	}
	takes := span{0, 2 * millisecond}
	if chance(j.rand, 15) {
		takes.high = 4 * s.plan.election
	}
	s.clock.after(takes.draw(j.rand), l, func() { j.returns(b) })
}

func (j *jobs) returns(b *job) {
	if j.running[b.replica.life] != b {
		return
	}
	j.trace(b, 12, "returns")
	delete(j.running, b.replica.life)
	b.ended(nil)
}

// over reports whether a context has ended, without asking it to look at the clock.
func over(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// served reports whether the job of the present leader's term has begun.
func (j *jobs) served() bool {
	leader := j.group.leader()
	return !j.on || leader != nil && j.last == leader.status.Term
}

// leads reports whether a process runs a job whose context lives.
func (j *jobs) leads(l *life) bool {
	b := j.running[l]
	return b != nil && b.ctx.Err() == nil
}
