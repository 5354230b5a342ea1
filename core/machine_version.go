package core

import "fmt"

// This file is about versions of the state machine. Each member tells its own; an entry
// says which one it needs. A member whose machine is older stops its applies there, and
// goes on voting and acknowledging.

// VersionError: a state machine is of too old a version.
type VersionError struct {
	// Needs is the version that is needed, and Have the one that is there.
	Needs, Have uint64
	// Index, if not 0, is the entry that needs it, behind which nothing is applied on
	// this node. Else the command was refused, and nothing happened; or a snapshot needs it.
	Index Index
	// Node is the leader if the machine is the leader's, 0 if it is this node's.
	Node NodeID
}

// Error implements error.
func (e *VersionError) Error() string {
	text := "troupe: " + e.text()
	switch {
	case e.Index != 0:
		text += fmt.Sprintf(": nothing is applied from entry %d on", e.Index)
	case e.Node != 0:
		text += fmt.Sprintf(" on the leader, node %d", e.Node)
	}
	return text
}

func (e *VersionError) text() string {
	return fmt.Sprintf("version %d of the state machine is needed, and it is of version %d", e.Needs, e.Have)
}

// ofVersion returns the first entries that this leader's machine can apply, and why the
// next one cannot be.
func (e *Engine) ofVersion(entries []Entry) ([]Entry, error) {
	for i := range entries {
		if err := e.WhyVersion(entries[i].Version); err != nil {
			return entries[:i], err
		}
	}
	return entries, nil
}

// WhyVersion is why this node, as the leader, does not append a command that needs a
// version of the state machine; nil if it does.
func (e *Engine) WhyVersion(needs uint64) error {
	have, tooOld := e.cfg.MachineVersion, &e.health.tooOld
	switch {
	case needs > have:
		return &VersionError{Needs: needs, Have: have}
	case tooOld.Needs > 0:
		return &VersionError{Needs: tooOld.Needs, Have: have, Index: tooOld.Index}
	}
	return nil
}

// checkVersion refuses to start with a snapshot that has to be restored and was written by
// a later version of the machine.
func (e *Engine) checkVersion(s *State) error {
	restores := e.snapshots.resetAtStart || e.snapshots.restoreAtStart
	if !restores || s.Snapshot.Version <= e.cfg.MachineVersion {
		return nil
	}
	return fmt.Errorf("the snapshot %v cannot be restored: %w", s.Snapshot.LogID, &VersionError{Needs: s.Snapshot.Version, Have: e.cfg.MachineVersion})
}

func (e *Engine) onMachineTooOld(ev *MachineTooOld) {
	if e.health.tooOld.Needs > 0 {
		return
	}
	e.health.tooOld = *ev
	e.out.add(&Notice{Kind: NoticeVersion, Peer: e.cfg.Self, Term: e.hard.Term, Index: ev.Index, Text: e.whyTooOld()})
}

func (e *Engine) whyTooOld() string {
	t := &e.health.tooOld
	return fmt.Sprintf("entry %d needs version %d of the state machine, and this node's is of version %d", t.Index, t.Needs, e.cfg.MachineVersion)
}

// someoneApplies reports whether a voter that answers has the version that this leader
// lacks, so that it may lead in its place.
func (e *Engine) someoneApplies() bool {
	return e.bestTarget(func(p *peer) bool { return e.answersNow(p) && p.version >= e.health.tooOld.Needs }) != nil
}

// versionMin is the least version of a member's machine, 0 while one is not known.
func (e *Engine) versionMin() uint64 {
	if e.role != RoleLeader {
		if e.leader.IsZero() {
			return 0
		}
		return e.versionSaid
	}
	least := e.cfg.MachineVersion
	for _, m := range e.configs.latest().Configuration.Members {
		if m.Identity == e.cfg.Self {
			continue
		}
		p := e.leaderState.peer(m.Identity)
		if p == nil || p.answered == 0 {
			return 0
		}
		least = min(least, p.version)
	}
	return least
}

// tooOldForSnapshot reports whether a peer would refuse the newest snapshot, and tells it
// once.
func (e *Engine) tooOldForSnapshot(p *peer) bool {
	m := &e.snapshots.newest
	if !e.snapshots.usable || p.answered == 0 || p.version >= m.Version {
		return false
	}
	if !p.tooOldTold {
		p.tooOldTold = true
		text := fmt.Sprintf("the snapshot was written by version %d of the state machine, and the node's is of version %d", m.Version, p.version)
		e.out.add(&Notice{Kind: NoticeVersion, Peer: p.Identity, Term: e.hard.Term, Index: m.Index, Text: text})
	}
	return true
}
