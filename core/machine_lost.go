package core

import "fmt"

// This file is about a node whose log is whole, and which lacks what the log has purged:
// its snapshot was lost, or its machine was (rule 24). A machine that kept everything is not
// enough: the snapshot or the record also told who votes, and of when the machine's last
// entry is. Such a node votes and acknowledges as any other, and asks its leader for a
// snapshot, of which only the machine is restored.

// checkMachine finds out whether what the log no longer has is held elsewhere. Who knows
// nobody that could send it is damaged. A record only says what the machine held once.
func (s *State) checkMachine() (lacks bool, err error) {
	best := s.Applied.Index
	if s.Snapshot.Index >= s.Purged.Index {
		best = max(best, s.Snapshot.Index)
	}
	// The machine may hold everything, and yet nobody here knows who votes.
	unknown := s.Purged.Index > 0 && max(s.Snapshot.Index, s.Record.Index) < s.Purged.Index && len(s.Configurations) == 0
	if best >= s.Purged.Index && !unknown {
		return false, nil
	}
	if len(s.Peers) == 0 {
		return false, s.lost("it knows no other node that could send them")
	}
	return true, nil
}

// lost is the error of who lacks something, and has nobody to ask for it.
func (s *State) lost(why string) error {
	what := fmt.Sprintf("the state machine holds only up to %v and the newest good snapshot up to %v", s.Applied, s.Snapshot.LogID)
	if s.Applied.Index >= s.Purged.Index {
		what = fmt.Sprintf("the state machine holds up to %v, but no good snapshot or record tells the configuration in force and the time of that", s.Applied)
	}
	return fmt.Errorf("%w: the log begins after %v, %s, and %s: put the snapshots back where they were, or restore a backup", ErrCorrupt, s.Purged, what, why)
}

// checkAlone refuses to start a sole voter that lacks its machine, or does not know since
// when it alone votes: nobody could send it that. An older snapshot tells who voted where
// the log does not.
func (e *Engine) checkAlone(s *State) error {
	voters := e.configs.latest().Configuration
	if voters.IsZero() {
		voters = s.Snapshot.Configuration.Configuration
	}
	if e.snapshots.lacks && voters.IsSoleVoter(e.cfg.Self) {
		return s.lost("this node alone votes")
	}
	return nil
}

// startLost finds out whether the configuration that was committed last is known. The
// machine may hold everything, and what the log has may be taken back: then a snapshot is
// needed all the same.
func (e *Engine) startLost(s *State) {
	if !e.snapshots.resetAtStart && e.unknownConfiguration() {
		e.snapshots.lacks, e.kept = true, s.Peers
	}
}

// unknownConfiguration reports whether what told the configuration that was committed last
// is lost.
func (e *Engine) unknownConfiguration() bool {
	return e.log.purged.Index > 0 && e.configs.inForce(e.commit).Index == 0
}

// votesAlone reports whether this node alone decides in every configuration that may
// decide. One that it has lost may have had others.
func (e *Engine) votesAlone() bool {
	return !e.unknownConfiguration() && e.configs.everySoleVoter(e.cfg.Self)
}

// learnConfiguration lets a node go on whose machine has everything, as soon as the log
// tells which configuration is committed.
func (e *Engine) learnConfiguration() {
	s := &e.snapshots
	if !s.lacks || e.applied < e.log.purged.Index || e.unknownConfiguration() {
		return
	}
	if s.lacks = false; len(s.asked) > 0 {
		e.buildWhole()
	}
}

// lacking is how far a snapshot has to reach at least that a node asks for, 0 if it asks
// for none: its log goes on from there, and its machine has no more.
func (e *Engine) lacking() Index {
	if !e.snapshots.lacks || e.snapshots.installing != nil {
		return 0
	}
	return max(e.log.purged.Index, e.applied)
}

// machineNeeds reports whether a snapshot is news for a node that lacks what the log has
// purged: it is not below what is applied, and the log goes on from it. One that is just
// what the machine holds tells the configuration and the time.
func (e *Engine) machineNeeds(id LogID) bool {
	return e.snapshots.lacks && id.Index >= max(e.log.purged.Index, e.applied) && e.log.holds(id)
}

// restoreMachine carries out rule 24 for such a snapshot: only the machine is restored, and
// the log above it is kept. That waits for what the log is still writing: a machine that
// keeps its state is never ahead of the local flush (rule 8).
func (e *Engine) restoreMachine(ev *SnapshotReceived) {
	m, s := ev.Meta, &e.snapshots
	s.lacks = false
	s.take(m)
	s.installing, e.health.restoringSince = &m, e.now
	e.times.took(m.Time, e.now)
	e.buildNoMore()
	e.proved = max(e.proved, m.Index)
	e.followCommit(m.Index)
	e.configs.begin(m.Configuration)
	w := e.newWrite()
	w.Then = append(w.Then, &AppendResponse{Header: e.head(ev.From), Stream: ev.Stream, Success: true, Match: m.Index})
	s.resetIOID = e.submit(w)
	e.configurationChanged()
}

// giveMachine sends a peer that lacks its machine a snapshot that is not below its purge
// point, or builds one.
func (e *Engine) giveMachine(p *peer, purged Index) {
	p.lacks = purged > 0
	if p.lacks && !p.snapshot && !e.tooOldForSnapshot(p) {
		e.sendSnapshot(p, purged)
	}
}
