package simulation

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// jobAt lets a job begin on a node of a scene. Its context ends when end is called.
func (s scene) jobAt(n int, term core.Term) (end func()) {
	ctx, end := context.WithCancel(context.Background())
	s.groups[0].jobs.begins(&job{replica: s.replica(n), ctx: ctx, term: term, ended: func(error) {}})
	return end
}

// TestLeadingCheckersCanFail shows each checker what it has to find, and what is right.
func TestLeadingCheckersCanFail(t *testing.T) {
	told := func(s scene, n int) core.Message {
		s.check.leaders[3] = s.id(n)
		return &core.TimeoutNow{Header: s.head(n, 2, 3)}
	}
	for name, test := range map[string]struct {
		rule string
		play func(s scene)
	}{
		"one after the other": {"", func(s scene) {
			s.jobAt(1, 3)()
			s.check.sent(s.replica(1), told(s, 1))
			s.jobAt(2, 4)
		}},
		"the node of the other has crashed": {"", func(s scene) {
			s.jobAt(1, 3)
			s.replica(1).life.dead = true
			s.jobAt(2, 4)
		}},
		"two at a time":                 {ruleLeadingAtOnce, func(s scene) { s.jobAt(1, 3); s.jobAt(2, 4) }},
		"a term again":                  {ruleLeadingTerms, func(s scene) { s.jobAt(1, 3)(); s.jobAt(2, 3) }},
		"a lower term":                  {ruleLeadingTerms, func(s scene) { s.jobAt(1, 3)(); s.jobAt(2, 2) }},
		"twice on a node":               {ruleLeadingTwice, func(s scene) { s.jobAt(1, 3)(); s.jobAt(1, 4) }},
		"before what others know":       {ruleLeadingEarly, func(s scene) { s.check.advances = []advance{{5, 2}, {9, 3}}; s.jobAt(1, 3) }},
		"after what others know":        {"", func(s scene) { s.check.advances = []advance{{5, 3}}; s.jobAt(1, 3) }},
		"before what the own log has":   {ruleLeadingEarly, func(s scene) { s.holds(1, 1, 2, 3); s.jobAt(1, 3) }},
		"after what the own log has":    {"", func(s scene) { s.holds(1, 1, 2, 3); s.replica(1).machine.state.applied.Index = 2; s.jobAt(1, 3) }},
		"it lives when another is told": {ruleLeadingLate, func(s scene) { s.jobAt(1, 3); s.check.sent(s.replica(1), told(s, 1)) }},
		"it lives in the own pre-vote": {"", func(s scene) {
			s.jobAt(1, 3)
			s.check.sent(s.replica(1), &core.VoteRequest{Header: s.head(1, 2, 3), Pre: true})
		}},
		"it lives in the own campaign": {ruleLeadingLate, func(s scene) {
			s.jobAt(1, 3)
			s.groups[0].jobs.sends(s.replica(1), &core.VoteRequest{Header: s.head(1, 2, 4)})
		}},
		"it lives at a vote for another": {ruleLeadingLate, func(s scene) {
			s.jobAt(1, 3)
			s.groups[0].jobs.sends(s.replica(1), &core.VoteResponse{Header: s.head(1, 2, 4), Granted: true})
		}},
		"it lives at a refusal": {"", func(s scene) {
			s.jobAt(1, 3)
			s.groups[0].jobs.sends(s.replica(1), &core.VoteResponse{Header: s.head(1, 2, 4)})
		}},
		"the group has stopped": {ruleLeadingStopped, func(s scene) { s.jobAt(1, 3)(); s.check.answeredAll(s.replica(1)) }},
		"nobody runs it":        {ruleLeadingNever, func(s scene) { s.groups[0].jobs.on = true; s.groups[0].jobs.lives() }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			test.play(s)
			if f := s.failure; (f == nil) != (test.rule == "") || f != nil && f.Rule != test.rule {
				t.Errorf("found: %v", f)
			}
		})
	}
}

// TestJobsAreSituations shows which ends of a job are counted, and which are not.
func TestJobsAreSituations(t *testing.T) {
	ends := func(s scene, why string) {
		ctx, end := context.WithCancelCause(context.Background())
		s.groups[0].jobs.begins(&job{replica: s.replica(1), ctx: ctx, term: 3, ended: func(error) {}})
		s.life(1).observe()
		end(errors.New(why))
		s.life(1).observe()
		s.life(1).observe()
	}
	tells := func(s scene, term core.Term) {
		s.groups[0].jobs.sends(s.replica(1), &core.TimeoutNow{Header: s.head(1, 2, term)})
	}
	for name, test := range map[string]struct {
		play func(s scene)
		want []situation
	}{
		"its lease runs out":        {func(s scene) { ends(s, leaseOver) }, []situation{jobBeyondLease}},
		"it no longer leads":        {func(s scene) { ends(s, "stepped down") }, nil},
		"it tells another node":     {func(s scene) { s.jobAt(1, 3)(); tells(s, 3) }, []situation{jobBeforeTold}},
		"it does so in a later one": {func(s scene) { s.jobAt(1, 3)(); tells(s, 4) }, nil},
		"it runs no job":            {func(s scene) { tells(s, 3) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			test.play(s)
			if got := s.counted(); !slices.Equal(got, test.want) || s.failure != nil {
				t.Errorf("counted %v, want %v; found %v", got, test.want, s.failure)
			}
		})
	}
}

// TestJobsOfGroups: jobs of two groups may run together on a node. Those of one group
// run nowhere together.
func TestJobsOfGroups(t *testing.T) {
	s := newScene(t)
	other := &group{sim: s.sim, id: 2}
	other.check, other.jobs = newChecker(other), newJobs(other, s.generator(10))
	s.jobAt(1, 3)
	begins := func(n int, term core.Term) {
		r := &replica{life: s.life(n), group: other, store: &store{disk: s.nodes[n-1].disk, group: other}}
		r.machine = &machine{replica: r}
		other.jobs.begins(&job{replica: r, ctx: context.Background(), term: term, ended: func(error) {}})
	}
	begins(1, 2)
	if s.failure != nil {
		t.Fatalf("two groups on a node: %v", s.failure)
	}
	begins(2, 3)
	if f := s.failure; f == nil || f.Rule != ruleLeadingAtOnce {
		t.Errorf("two of a group: %v", f)
	}
}

func (s scene) life(n int) *life { return s.nodes[n-1].life }

// holds gives the disk of a node entries of these terms.
func (s scene) holds(n int, terms ...core.Term) {
	for i, term := range terms {
		s.nodes[n-1].disk.of(1).entries = append(s.nodes[n-1].disk.of(1).entries, entry(term, core.Index(i+1)))
	}
}

// takeover is how the job goes on elsewhere when its leader is cut off.
type takeover struct {
	name string
	// drift is by how many thousandths the leader's clock is too slow, and the others'
	// too fast. The bound is a tenth.
	drift int64
	// twice: sometimes it runs on both.
	twice bool
}

// run cuts off the leader that runs the job, until another node runs it. It returns what
// the checkers found.
func (o *takeover) run(t *testing.T, seed uint64, system *stage.System) *Failure {
	t.Helper()
	s := calm(t, seed, system, 0.1, func(s *sim) { s.groups[0].jobs.on = true })
	s.until(s.clock.now.Add(3*s.plan.election), func() bool { return false })
	g := s.groups[0]
	deposed, term := g.leader(), s.groups[0].jobs.last
	if deposed == nil || !g.jobs.leads(deposed.life) {
		return s.failure // it returned by itself
	}
	for _, n := range s.nodes {
		if n.life == deposed.life {
			n.life.environment.runs(-o.drift)
			continue
		}
		n.life.environment.runs(o.drift)
		s.fabric.block(deposed.node.id, n.id)
		s.fabric.block(n.id, deposed.node.id)
	}
	g.clients[0].stopped = true
	s.until(s.clock.now.Add(20*s.plan.election), func() bool { return s.groups[0].jobs.last > term })
	if s.failure == nil && s.groups[0].jobs.last == term {
		t.Errorf("%s: drift %d: nobody took over: %s", o.name, seed, s.summary())
	}
	return s.failure
}

// TestLeadingBeyondTheBound: rule 14: where clocks differ by more than the bound, a leader
// that was cut off may run the job beside its successor, and the checker sees it. Within
// the bound it never does.
func TestLeadingBeyondTheBound(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() || raceEnabled {
		seeds = 10
	}
	system := stage.NewSystem()
	for _, o := range []takeover{
		{name: "job, within the bound", drift: 50},
		{name: "job, beyond the bound", drift: 500, twice: true},
	} {
		twice := 0
		for seed := *firstFlag; seed < *firstFlag+seeds; seed++ {
			switch f := o.run(t, seed, system); {
			case f == nil:
			case o.twice && f.Rule == ruleLeadingAtOnce:
				twice++
			default:
				t.Errorf("%s: drift %d: %v\nreplay: go test ./internal/simulation -run TestLeadingBeyondTheBound -args -first=%d -trace", o.name, seed, f, seed)
			}
		}
		t.Logf("%s: in %d of %d clusters two ran at a time", o.name, twice, seeds)
		if o.twice && twice < int(seeds)/4 {
			t.Errorf("%s: the checker is blind", o.name)
		}
	}
}
