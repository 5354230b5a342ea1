package core

// This file is about a state machine that keeps its state over a restart (rule 8). Its log
// needs no snapshot to be purged: what the machine has made durable is not needed again. A
// record of how far that is takes the snapshot's place. It is durable before anything is
// purged because of it, and it tells what the log then no longer does: the entry's id and
// time, the configuration in force, and the cluster. A whole snapshot is built when
// somebody asks for one.

// startRecord takes the record that was found at the start. A machine that holds less than
// it says has lost something, or was put back: then nothing is purged because of it.
func (s *snapshots) startRecord(state *State) {
	r := &state.Record
	if r.Index == 0 || r.Index < state.Purged.Index {
		return
	}
	holds := state.Applied.Index >= r.Index
	if holds {
		s.recorded = r.Index
	}
	if r.Index > s.base.Index && (holds || !s.based) {
		s.base, s.based, s.replayTo = r.LogID, holds, r.Index
	}
}

// keepForWaiting keeps the log behind a snapshot that is there now for those who have asked
// for one: they ask again soon, and the next record may come before.
func (e *Engine) keepForWaiting() {
	for _, p := range e.leaderState.peers {
		if p.waits && e.cfg.Records {
			p.pinned, p.movedOn, p.waits = e.snapshots.newest.Index, e.now, false
		}
	}
}
