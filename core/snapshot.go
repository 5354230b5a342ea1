package core

import "fmt"

// snapshots is what the engine knows of snapshots (Raft 7, rules 24, 25).
type snapshots struct {
	// newest is the newest good one that this node keeps.
	newest SnapshotMeta
	// usable: newest is not below the purge point. resetAtStart: the log lacks
	// its LogID. restoreAtStart: the machine lacks what the log no longer has,
	// or has nothing at all.
	usable, resetAtStart, restoreAtStart bool
	// base is up to where the log may be purged, if based: it is held by the newest
	// snapshot, or by the machine itself, as a record says. recorded is that of the newest
	// record, 0 if there is none.
	base     LogID
	based    bool
	recorded Index
	// lacks: neither the machine nor a snapshot holds what the log has purged, or the
	// machine does and nothing tells the configuration that was committed last.
	lacks bool
	// replayTo is the base's index at the start: a durable machine may be behind it and
	// catch up from the log.
	replayTo Index

	// building: a build is under way, whole: of a snapshot, where a record is not enough.
	// wanted: one is to follow it. triedAt is what was applied when the last one began: one
	// that failed is repeated at the next threshold, or when again is due.
	building, whole, wanted bool
	triedAt                 Index
	// failures are the builds that have failed since one succeeded, again is when the next
	// is due, and againWhole of what kind.
	failures   int
	again      deadline
	againWhole bool
	// interval is when the next one is due by time. asked are those who wait for the one
	// that is being made, or installed.
	interval deadline
	asked    []uint64
	// installing is the one that replaces the machine's state, resetIOID the
	// write that emptied the log for it, 0 once that is durable.
	installing *SnapshotMeta
	resetIOID  IOID

	// allBytes is what was appended since the engine's start.
	allBytes uint64
}

func (s *snapshots) start(state *State, volatile bool) {
	s.newest = state.Snapshot
	s.usable = s.newest.Index > 0 && s.newest.Index >= state.Purged.Index
	log := termRuns{purged: state.Purged, last: state.Last, runs: state.Terms}
	s.resetAtStart = s.usable && !log.holds(s.newest.LogID)
	s.restoreAtStart = s.usable && (volatile || state.Applied.Index < state.Purged.Index) && state.Applied.Index < s.newest.Index
	if s.usable {
		s.base, s.based, s.replayTo = s.newest.LogID, true, s.newest.Index
	}
	s.startRecord(state)
	s.lacks, _ = state.checkMachine()
}

// take takes a snapshot that is there now for the newest one.
func (s *snapshots) take(meta SnapshotMeta) {
	s.newest, s.usable = meta, true
	s.base, s.based, s.recorded, s.wanted = meta.LogID, true, 0, false
}

// sizes returns those of the entries that the log holds. Of a store that does not tell
// them nothing is known but of what is appended from now on.
func (s *State) sizes() LogSizes {
	if s.Sizes.Last() != s.Last.Index {
		return LogSizes{after: sizeMark{last: s.Last.Index}}
	}
	sizes := s.Sizes.Clone()
	sizes.Purge(s.Purged.Index)
	return sizes
}

// check finds contradictions between what the hard state, the log, the snapshots
// and the machine hold (rule 24).
func (s *State) check() error {
	if err := s.checkHardState(); err != nil {
		return err
	}
	if _, err := s.checkMachine(); err != nil {
		return err
	}
	log := termRuns{purged: s.Purged, last: s.Last, runs: s.Terms}
	switch {
	case s.Applied.Index > max(s.Last.Index, s.Snapshot.Index):
		return fmt.Errorf("%w: the state machine has applied %v, and the log ends at %v", ErrCorrupt, s.Applied, s.Last)
	case s.Applied.Index >= s.Purged.Index && s.Applied.Index <= s.Last.Index && !log.holds(s.Applied) && s.Snapshot.LogID != s.Applied:
		return fmt.Errorf("%w: the state machine has applied %v, which is not the log's entry", ErrCorrupt, s.Applied)
	case s.Snapshot.Index > 0 && s.Snapshot.Index <= s.Applied.Index && s.Snapshot.Index >= s.Purged.Index && !log.holds(s.Snapshot.LogID):
		return fmt.Errorf("%w: the snapshot %v is not the log's entry, and the state machine is at %v", ErrCorrupt, s.Snapshot.LogID, s.Applied)
	case s.Record.Index > 0 && s.Record.Index >= s.Purged.Index && !log.holds(s.Record.LogID):
		// The machine is never ahead of the disk (rule 8), and a reset passes the record.
		return fmt.Errorf("%w: a record says that the state machine has applied %v, which is not the log's entry", ErrCorrupt, s.Record.LogID)
	}
	return nil
}

// checkHardState finds a hard state that was lost or is behind the rest: who
// started with it could vote twice in a term. A snapshot may be ahead of it: its
// file is durable before the reset that brings its term and cluster.
func (s *State) checkHardState() error {
	h := &s.HardState
	var none ClusterID
	switch {
	case !h.Vote.IsZero() && h.Term == 0:
		return fmt.Errorf("%w: the hard state has a vote for %v and no term", ErrCorrupt, h.Vote)
	case *h == HardState{} && s.Last.Index > 0:
		return fmt.Errorf("%w: the log ends at %v, and there is no hard state", ErrCorrupt, s.Last)
	case h.Term < s.Last.Term:
		return fmt.Errorf("%w: the hard state is of term %d, and the log ends at %v", ErrCorrupt, h.Term, s.Last)
	}
	for _, of := range []struct {
		what string
		*SnapshotMeta
	}{{"snapshot", &s.Snapshot}, {"record", &s.Record}} {
		switch {
		case of.Index > 0 && of.Cluster != h.Cluster && h.Cluster != none && of.Cluster != none:
			return fmt.Errorf("%w: the %s %v belongs to another cluster than the log", ErrCorrupt, of.what, of.LogID)
		case of.Configuration.Index > of.Index:
			return fmt.Errorf("%w: the %s %v has a configuration of the entry %v", ErrCorrupt, of.what, of.LogID, of.Configuration.LogID)
		}
	}
	for i := range s.Configurations {
		if at := &s.Configurations[i]; at.Index > s.Last.Index {
			return fmt.Errorf("%w: the log ends at %v, and a configuration is that of the entry %v", ErrCorrupt, s.Last, at.LogID)
		}
	}
	return nil
}

// restoreAtStart finishes an installation that a crash interrupted, and gives a
// machine that lacks what the log has purged its snapshot.
func (e *Engine) restoreAtStart() {
	s := &e.snapshots
	switch {
	case s.resetAtStart:
		// The snapshot's file can be durable before the term and the cluster
		// are that the reset was to bring with it.
		if s.newest.Term > e.hard.Term {
			e.hard.Term, e.hard.Vote = s.newest.Term, Identity{}
			e.hardDirty = true
		}
		e.adoptCluster(s.newest.Cluster)
		e.resetTo(&s.newest)
	case s.restoreAtStart:
		meta := s.newest
		s.installing, e.health.restoringSince = &meta, e.now
		e.out.add(&InstallSnapshot{meta})
	}
}

// resetTo empties the log behind a snapshot; the machine is restored when that
// is durable. Rule 24: until then and until the end of the restore, nobody here
// campaigns or applies.
func (e *Engine) resetTo(meta *SnapshotMeta, then ...Message) {
	m := *meta
	s := &e.snapshots
	e.writes.clip(min(e.commit, m.Index))
	e.log.reset(m.LogID)
	e.times.took(m.Time, e.now)
	e.sizes.Reset(m.Index)
	e.commit = max(e.commit, m.Index)
	e.wasMember = e.wasMember || e.configs.everHad(e.cfg.Self)
	e.configs.at = append(e.configs.at[:0], m.Configuration)
	e.noteRemoved() // rule 22: the write that takes what told it away saves it
	w := e.newWrite()
	w.Reset = m.LogID
	w.Then = then
	s.take(m)
	s.lacks = false
	s.installing, e.health.restoringSince = &m, e.now
	s.resetIOID = e.submit(w)
	e.purging.wrote = s.resetIOID
	e.buildNoMore()
	e.configurationChanged()
}

// installWhenReset lets the machine be restored as soon as the reset is durable.
func (e *Engine) installWhenReset(n IOID) {
	s := &e.snapshots
	if s.installing != nil && s.resetIOID != 0 && s.resetIOID <= n {
		s.resetIOID = 0
		e.out.add(&InstallSnapshot{*s.installing})
	}
}

func (e *Engine) onSnapshotInstalled(ev *SnapshotInstalled) {
	s := &e.snapshots
	if s.installing == nil || s.installing.LogID != ev.LogID {
		return
	}
	s.installing, e.health.machineSince = nil, e.now
	e.applied = max(e.applied, ev.LogID.Index)
	e.issued.apply = max(e.issued.apply, e.applied)
	if !s.building || !s.whole { // else its end answers
		e.snapshotMade(nil)
	}
	if e.role == RoleFollower && e.votesAlone() {
		e.election.reason = ElectionAtStart
		e.campaignOrWait() // Start had to wait for this
	}
}

func (e *Engine) onApplied(ev *Applied) {
	if ev.LogID.Index > e.applied {
		e.health.machineSince = e.now
	}
	e.applied = max(e.applied, ev.LogID.Index)
	e.issued.apply = max(e.issued.apply, e.applied)
	e.buildWhenDue()
}

// onSnapshotNeeded sends a peer the newest snapshot, one at a time.
func (e *Engine) onSnapshotNeeded(ev *SnapshotNeeded) {
	p := e.leaderState.peer(ev.Peer)
	if e.role != RoleLeader || p == nil || p.stream != ev.Stream || p.snapshot || e.tooOldForSnapshot(p) {
		return
	}
	if !e.sendSnapshot(p, ev.Through) {
		e.tellOversized(p, ev.Through)
	}
}

// sendSnapshot sends a peer a snapshot that is not below an index, or lets one be built
// first: the peer asks again.
func (e *Engine) sendSnapshot(p *peer, least Index) bool {
	s := &e.snapshots
	if !s.usable || s.newest.Index < least {
		p.waits = true
		// One that failed is built again in its time.
		if s.installing == nil && (s.failures == 0 || !s.againWhole) && !s.lacks && e.applied > 0 && e.applied >= least {
			e.buildWhole()
		}
		return false
	}
	p.snapshot, p.pinned, p.movedOn, p.waits = true, s.newest.Index, e.now, false
	resume := e.resumable(p, least)
	if resume.Index > 0 {
		p.pinned = resume.Index
	}
	e.out.add(&SendSnapshot{Peer: p.Member, Stream: p.stream, Term: e.hard.Term, Introduces: e.introduces(p.Identity, p.match), Resume: resume})
	return true
}

// resumable carries out rule 25 for a transfer that broke: a newer snapshot does not begin
// it anew, as long as the log goes on from where it ends.
func (e *Engine) resumable(p *peer, least Index) LogID {
	id := p.partial
	p.partial = LogID{}
	if id.Index < max(e.log.purged.Index, least) {
		return LogID{}
	}
	return id
}

// tellOversized tells once of an entry that is too large for any message to a peer. Where
// it is not committed no snapshot stands in for it, and the peer waits until another
// member with larger limits leads, or the limits are raised.
func (e *Engine) tellOversized(p *peer, i Index) {
	if i > p.oversized {
		p.oversized = i
		e.out.add(&Notice{Kind: NoticeEntryTooLarge, Peer: p.Identity, Term: e.hard.Term, Index: i})
	}
}

func (e *Engine) onSnapshotSent(ev *SnapshotSent) {
	if p := e.leaderState.peer(ev.Peer); p != nil && p.stream == ev.Stream {
		p.snapshot = false
		p.acceptedAt = e.now
		p.catchUp.restart(e.now)
		switch {
		case ev.OK:
			p.movedOn = e.now
		case ev.Rotten, ev.Gone: // nobody goes on with it
			p.partial = LogID{}
		case ev.Reason == "":
			p.partial = ev.LogID
		}
		// The store may have set it aside at an earlier reading: then an older one was sent.
		if ev.LogID.Index > 0 && ev.LogID.Index < p.pinned && p.pinned == e.snapshots.newest.Index {
			e.snapshotLost()
		}
		// The log may have passed it while it waited: then another is built when the stream asks
		// again. Else somebody has removed it.
		if ev.Gone && p.pinned == e.snapshots.newest.Index {
			e.snapshotLost()
		}
	}
	if ev.Rotten && (ev.LogID == LogID{} || ev.LogID == e.snapshots.newest.LogID) {
		e.snapshotLost()
	}
}

// snapshotLost builds another snapshot at once, because the newest is rotten or removed.
// Until then nobody is sent one. If the log was purged because of it, that is not done
// further meanwhile.
func (e *Engine) snapshotLost() {
	s := &e.snapshots
	if !s.usable {
		return
	}
	s.usable = false
	s.based = s.based && (s.base != s.newest.LogID || s.recorded == s.base.Index)
	if s.installing == nil && e.applied > 0 {
		e.buildWhole()
	}
}

// onSnapshotChunk lets a piece of the leader's snapshot through to the receiver,
// if the snapshot is newer.
func (e *Engine) onSnapshotChunk(m *SnapshotChunk) {
	refusal := ""
	switch {
	case m.Header.Term < e.hard.Term:
		refusal = "stale term"
	case m.Meta.Cluster != m.Cluster || !plausibleMeta(&m.Meta, m.Header.Term):
		refusal = "malformed"
	}
	if refusal == "" {
		if !e.followLeader(m.From, m.Header.Term) {
			return
		}
		switch {
		case e.snapshots.installing != nil:
			refusal = "another snapshot is being installed"
		case m.Meta.Version > e.cfg.MachineVersion:
			refusal = (&VersionError{Needs: m.Meta.Version, Have: e.cfg.MachineVersion}).text()
		case e.alreadyHas(m.Meta.LogID):
			refusal = SnapshotNotNeeded
			e.ackSnapshot(m.From, m.Stream, m.Meta.LogID)
		}
	}
	if refusal != "" {
		e.out.send(&SnapshotResponse{Header: e.head(m.From), Stream: m.Stream, Transfer: m.Transfer, Refused: true, Reason: refusal})
		return
	}
	e.out.add(&ReceiveChunk{m})
}

// SnapshotNotNeeded is the reason of who refuses a snapshot because its log reaches it
// without: the entries behind it can follow.
const SnapshotNotNeeded = "not needed"

// alreadyHas decides whether a snapshot is not newer (rule 24): its entry is
// committed here, or the accepted log holds it.
func (e *Engine) alreadyHas(id LogID) bool {
	return (id.Index <= e.commit || e.log.holds(id)) && !e.machineNeeds(id)
}

// ackSnapshot tells the leader's stream that the log reaches the snapshot
// without it.
func (e *Engine) ackSnapshot(to Identity, stream uint64, id LogID) {
	e.proved = max(e.proved, id.Index)
	e.followCommit(id.Index)
	r := &AppendResponse{Header: e.head(to), Stream: stream, Success: true, Match: id.Index}
	e.answer(r)
}

// sentByLeader reports whether a snapshot comes from the leader. An empty group
// follows one only now that it has something of it (rule 17), and while a grant
// lives no other than its beginner (rule 31).
func (e *Engine) sentByLeader(ev *SnapshotReceived) bool {
	if e.empty() && e.hard.Term <= ev.Term && e.mayFollow(ev.From) {
		return e.followLeader(ev.From, ev.Term)
	}
	return ev.Term == e.hard.Term && ev.From == e.leader
}

// onSnapshotReceived decides, in the very step that emits the reset, whether a
// snapshot that has arrived is still newer (rule 24).
func (e *Engine) onSnapshotReceived(ev *SnapshotReceived) {
	if !plausibleMeta(&ev.Meta, ev.Term) || !e.sentByLeader(ev) || e.role == RoleLeader || e.snapshots.installing != nil {
		return
	}
	if e.alreadyHas(ev.Meta.LogID) {
		e.ackSnapshot(ev.From, ev.Stream, ev.Meta.LogID)
		return
	}
	if e.machineNeeds(ev.Meta.LogID) {
		e.restoreMachine(ev)
		return
	}
	if ev.Meta.Index <= e.proved {
		// What was proved in this term is in the leader's log, so that its
		// snapshot holds the same there.
		e.notice(Notice{Kind: NoticeContradiction, Peer: ev.From, Term: ev.Term, Index: ev.Meta.Index, Text: "has a snapshot of another log than it sent in this term"})
		return
	}
	e.adoptCluster(ev.Meta.Cluster)
	e.proved = ev.Meta.Index
	r := &AppendResponse{Header: e.head(ev.From), Stream: ev.Stream, Success: true, Match: ev.Meta.Index}
	e.resetTo(&ev.Meta, r)
}
