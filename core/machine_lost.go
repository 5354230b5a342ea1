package core

import "fmt"

// This file is about a node whose log is whole, and whose state machine lacks what the log
// has purged: its snapshot was lost, or its machine was (rule 24). It votes and
// acknowledges as any other, and asks its leader for a snapshot, of which only the machine
// is restored.

// checkMachine finds out whether what the log no longer has is held elsewhere. Who knows
// nobody that could send it is damaged. A record only says what the machine held once.
func (s *State) checkMachine() (lacks bool, err error) {
	best := s.Applied.Index
	if s.Snapshot.Index >= s.Purged.Index {
		best = max(best, s.Snapshot.Index)
	}
	switch {
	case best < s.Purged.Index && s.KnowsPeers:
		return true, nil
	case best < s.Purged.Index:
		return false, fmt.Errorf("%w: the log begins after %v, and the state machine holds only up to %v and the newest good snapshot up to %v", ErrCorrupt, s.Purged, s.Applied, s.Snapshot.LogID)
	case s.Purged.Index > 0 && max(s.Snapshot.Index, s.Record.Index) < s.Purged.Index && len(s.Configurations) == 0:
		// The machine may hold everything, and yet nobody here knows who votes.
		return false, fmt.Errorf("%w: the log begins after %v, and no good snapshot or record tells the configuration in force", ErrCorrupt, s.Purged)
	}
	return false, nil
}

// checkAlone refuses to start a sole voter that lacks its machine: nobody could send it.
// An older snapshot tells who voted where the log does not.
func (e *Engine) checkAlone(s *State) error {
	voters := e.configs.latest().Configuration
	if voters.IsZero() {
		voters = s.Snapshot.Configuration.Configuration
	}
	if e.snapshots.lacks && voters.IsSoleVoter(e.cfg.Self) {
		return fmt.Errorf("%w: the log begins after %v, the state machine holds only up to %v and the newest good snapshot up to %v, and this node alone votes", ErrCorrupt, s.Purged, s.Applied, s.Snapshot.LogID)
	}
	return nil
}

// lacking is the purge point of a node that asks for a snapshot for its machine, 0 if it
// asks for none.
func (e *Engine) lacking() Index {
	if !e.snapshots.lacks || e.snapshots.installing != nil {
		return 0
	}
	return e.log.purged.Index
}

// machineNeeds reports whether a snapshot is news for a machine that lacks what the log
// has purged: it is above what is applied, and the log goes on from it.
func (e *Engine) machineNeeds(id LogID) bool {
	return e.snapshots.lacks && id.Index > e.applied && id.Index >= e.log.purged.Index && e.log.holds(id)
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
