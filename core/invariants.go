package core

import (
	"errors"
	"fmt"
	"slices"
)

// CheckInvariants returns an error that names every invariant which does not
// hold. Tests and the simulator call it after every step.
func (e *Engine) CheckInvariants() error {
	var broken []error
	hold := func(ok bool, format string, args ...any) {
		if !ok {
			broken = append(broken, fmt.Errorf("core: invariant: "+format, args...))
		}
	}
	applied, s := e.applied, &e.snapshots
	if s.installing != nil {
		applied = max(applied, s.installing.Index)
	}
	base := s.base.Index
	if !s.based {
		base = e.log.purged.Index
	}
	if !s.lacks {
		hold(e.log.purged.Index <= base, "purged %d <= snapshot or record %d", e.log.purged.Index, base)
		hold(base <= max(applied, s.replayTo), "snapshot or record %d <= applied %d", base, applied)
	}
	hold(!s.usable || e.log.purged.Index <= s.newest.Index, "purged %d <= snapshot %d, which may be sent", e.log.purged.Index, s.newest.Index)
	hold(applied <= e.commit, "applied %d <= committed %d", applied, e.commit)
	hold(e.commit <= e.log.last.Index, "committed %d <= last %d", e.commit, e.log.last.Index)
	if !e.cfg.Volatile && s.installing == nil {
		hold(e.applied <= e.writes.flushed, "applied %d <= flushed %d of a durable machine (rule 8)", e.applied, e.writes.flushed)
	}
	hold(e.writes.flushed <= e.log.last.Index, "flushed %d <= last %d", e.writes.flushed, e.log.last.Index)
	for i := range e.writes.pending {
		p := &e.writes.pending[i]
		hold(p.last <= e.log.last.Index, "write %d ends at %d, beyond the log's %d (rule 1)", p.ioid, p.last, e.log.last.Index)
	}
	hold(!e.hardDirty, "the hard state was left unsaved")
	e.checkTerms(hold)
	e.checkForming(hold)
	e.checkLeaderState(hold)
	e.checkConfigurations(hold)
	return errors.Join(broken...)
}

func (e *Engine) checkTerms(hold func(bool, string, ...any)) {
	before := e.log.purged
	for _, run := range e.log.runs {
		hold(run.Index > before.Index && (run.Term > before.Term || before == e.log.purged && run.Term == before.Term), "term runs rise: %v after %v", run, before)
		before = run
	}
	hold(e.log.last.Term <= e.hard.Term, "last entry %v is not of a term above %d", e.log.last, e.hard.Term)
	hold(e.hard.Vote.IsZero() || e.hard.Term > 0, "a vote needs a term")
}

func (e *Engine) checkForming(hold func(bool, string, ...any)) {
	g, f := &e.hard.Grant, &e.forming
	hold(g.IsZero() || e.hard.Cluster.IsZero(), "a group that belongs to a cluster grants none (rule 31)")
	hold(f.attempt == 0 || !e.empty() || g.To == e.cfg.Self && g.Attempt == f.attempt, "an attempt needs the beginner's own grant (rule 31): %d, granted to %v", f.attempt, g.To)
	hold(!e.empty() || e.leader.IsZero() && e.hard.Term == 0, "a group without a cluster follows nobody (rule 17): leader %v of term %d", e.leader, e.hard.Term)
}

func (e *Engine) checkLeaderState(hold func(bool, string, ...any)) {
	if e.role != RoleLeader {
		hold(len(e.leaderState.peers) == 0, "only a leader has peers")
		hold(e.proved <= e.log.last.Index, "proved %d <= last %d", e.proved, e.log.last.Index)
		return
	}
	hold(e.leaderState.term == e.hard.Term, "the term %d that is led was won (rule 7), not %d", e.hard.Term, e.leaderState.term)
	hold(e.leader == e.cfg.Self, "a leader knows that it leads")
	hold(e.hard.Vote == e.cfg.Self || e.configs.latest().Configuration.IsZero(), "a leader voted for itself")
	first, ok := e.log.term(e.leaderState.first)
	hold(e.log.purged.Index > e.leaderState.first || ok && first == e.hard.Term, "a leader never rewrites its own entries: %d has term %d", e.leaderState.first, first)
	hold(e.leaderState.lease == e.countLease(), "the lease is what a quorum has promised (rule 12): %d, not %d", e.leaderState.lease, e.countLease())
	for _, p := range e.leaderState.peers {
		hold(p.match <= e.log.last.Index, "match %d of node %d <= last %d", p.match, p.ID, e.log.last.Index)
		hold(p.round <= e.leaderState.round, "node %d answered round %d of %d", p.ID, p.round, e.leaderState.round)
	}
}

func (e *Engine) checkConfigurations(hold func(bool, string, ...any)) {
	for i := range e.configs.at {
		at := &e.configs.at[i]
		hold(at.Index <= e.log.last.Index, "configuration at %d is beyond the log's %d", at.Index, e.log.last.Index)
		hold(i == 0 || e.configs.at[i-1].Index < at.Index, "configurations rise")
		if i > 0 && at.Configuration.Joint() {
			before, c := &e.configs.at[i-1].Configuration, &at.Configuration
			same := slices.Equal(before.Voters, c.Voters) && slices.Equal(before.Outgoing, c.Outgoing)
			hold(!before.Joint() || same, "a joint configuration follows one that is not, or one of the same halves")
		}
	}
}
