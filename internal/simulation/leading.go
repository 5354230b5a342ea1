package simulation

import (
	"context"
	"math/rand/v2"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// jobs are what the application runs on the nodes while they lead. A job ends a while
// after its context, or by itself before that; some do not return for several elections.
type jobs struct {
	sim  *sim
	rand *rand.Rand
	// on: this run has them.
	on bool
	// running are those that have not returned, by their lives.
	running map[*life]*job
	// last is the term of the newest, and count how many there were.
	last  core.Term
	count int
}

// job is one call of the application's function.
type job struct {
	life  *life
	ctx   context.Context
	term  core.Term
	ended func(error)
	// ending: its context has ended, and it will return.
	ending bool
}

func newJobs(s *sim, r *rand.Rand) *jobs {
	return &jobs{sim: s, rand: r, running: map[*life]*job{}}
}

// draw turns the jobs on in half of the seeds.
func (j *jobs) draw() { j.on = chance(j.rand, 50) }

// onLeading is what a life's group is configured with.
func (j *jobs) onLeading(l *life) func(context.Context, core.Term, func(error)) {
	if !j.on {
		return nil
	}
	return func(ctx context.Context, term core.Term, ended func(error)) {
		j.begins(&job{life: l, ctx: ctx, term: term, ended: ended})
	}
}

func (j *jobs) begins(b *job) {
	s, l := j.sim, b.life
	s.trace.add(traceClient, uint64(l.node.id), uint64(b.term), 10)
	s.trace.say("%v: the job of term %d begins", l, b.term)
	j.check(b)
	j.running[l] = b
	j.last = max(j.last, b.term)
	j.count++
	if chance(j.rand, 10) {
		s.clock.after(span{0, 4 * s.plan.election}.draw(j.rand), l, func() { j.returns(b) })
	}
}

// look lets a job return, a while after its context has ended. It is called after
// whatever a life did.
func (j *jobs) look(l *life) {
	b := j.running[l]
	if b == nil || b.ending || !over(b.ctx) {
		return
	}
	b.ending = true
	s := j.sim
	s.trace.add(traceClient, uint64(l.node.id), uint64(b.term), 11)
	s.trace.say("%v: the context of the job of term %d has ended: %v", l, b.term, context.Cause(b.ctx))
	takes := span{0, 2 * millisecond}
	if chance(j.rand, 15) {
		takes.high = 4 * s.plan.election
	}
	s.clock.after(takes.draw(j.rand), l, func() { j.returns(b) })
}

func (j *jobs) returns(b *job) {
	if j.running[b.life] != b {
		return
	}
	j.sim.trace.add(traceClient, uint64(b.life.node.id), uint64(b.term), 12)
	j.sim.trace.say("%v: the job of term %d returns", b.life, b.term)
	delete(j.running, b.life)
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
	leader := j.sim.leader()
	return !j.on || leader != nil && j.last == leader.status.Term
}

// leads reports whether a life runs a job whose context lives.
func (j *jobs) leads(l *life) bool {
	b := j.running[l]
	return b != nil && b.ctx.Err() == nil
}

// configured is the configuration of a life's group.
func (s *sim) configured(l *life) actors.GroupConfig {
	cfg := s.plan.group
	cfg.OnLeading = s.jobs.onLeading(l)
	return cfg
}
