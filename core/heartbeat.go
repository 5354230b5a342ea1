package core

import "time"

// roundSent remembers when a round was begun.
type roundSent struct {
	round uint64
	at    Instant
}

// roundsRemembered is how many rounds are remembered. They are spaced so that they
// reach two election time-outs back, however many rounds reads begin: an answer
// to one in between counts as one to the remembered round before it.
const roundsRemembered = 64

// beginRound sends a heartbeat to every peer. Every heartbeat is a round of
// confirmation (rule 26).
func (e *Engine) beginRound() {
	l := &e.leaderState
	l.round++
	l.begunRound = e.now
	e.renewLease()
	l.remember(roundSent{l.round, e.now}, 2*e.cfg.ElectionTimeout/roundsRemembered)
	for _, p := range l.peers {
		e.out.send(&Heartbeat{Header: e.head(p.Identity), Round: l.round, Stream: p.stream, Commit: e.commit, VersionMin: e.versionMin(), Change: l.changes.told})
	}
	e.confirmReads()
}

func (e *Engine) onHeartbeatTimer() {
	if e.role != RoleLeader {
		return
	}
	if !e.muchTooLate(&e.heartbeatTimer) {
		if e.lostQuorum() {
			e.depart(DepartureNoQuorum, "no quorum answered within an election time-out")
			return
		}
		if e.checkOffice() {
			return
		}
		if why := e.entriesStuck(); why != "" {
			e.depart(DepartureEntries, why)
			e.letOthersCampaign()
			return
		}
		e.breakHungConnections()
		e.dropLeaving()
		e.checkChange()
		e.tellOthers()
		e.writeAddresses()
		e.runAutopilot()
		e.askSilentPeers()
		e.tellOthersPaused()
		e.handOverByPriority()
	} else {
		e.forgiveStuck()
		e.forgiveSilence()
		e.autopilotSlept()
	}
	e.beginRound()
	e.setHeartbeatTimer()
}

// setHeartbeatTimer sets the next round to a multiple of the interval on this
// node's clock, at most one interval away. All groups that a node leads beat
// together that way, so that their messages share connections' writes and the
// processor's wake-ups.
func (e *Engine) setHeartbeatTimer() {
	at := e.now.Add(e.cfg.HeartbeatInterval)
	e.set(&e.heartbeatTimer, TimerHeartbeat, at-at%Instant(e.cfg.HeartbeatInterval))
}

// onHeartbeat answers a leader at once: nothing in the answer waits for a disk.
func (e *Engine) onHeartbeat(m *Heartbeat) {
	r := &HeartbeatResponse{Stream: m.Stream}
	if m.Header.Term >= e.hard.Term {
		if !e.followLeader(m.From, m.Header.Term) {
			return
		}
		e.unknownAt = 0
		// Rule 12.
		ms := e.cfg.ElectionTimeout / time.Millisecond
		e.promise.until, e.promise.to = e.now.Add(ms*time.Millisecond), m.From
		e.followCommit(m.Commit)
		e.failOldReads()
		// A refusal names no round: in the leader's term of now it could be
		// taken for an answer to a round that was begun later (rule 26).
		r.Round = m.Round
		r.PromiseMillis = uint32(ms)
		r.Match = e.durableMatch()
		r.Applied = e.applied
		r.Accepted = e.proved
		r.Unfit = e.unfitNow()
		r.Lacks = e.lacking()
		e.versionSaid = m.VersionMin
		e.changes.told = m.Change
		r.Version = e.cfg.MachineVersion
	}
	r.Header = e.head(m.From)
	e.out.send(r)
}

func (e *Engine) onHeartbeatResponse(m *HeartbeatResponse) {
	if m.Header.Term > e.hard.Term {
		e.onHigherTerm(m.From, m.Header.Term)
		return
	}
	p := e.leaderState.peer(m.From)
	if e.role != RoleLeader || m.Header.Term < e.hard.Term || p == nil || m.Stream != p.stream || m.Round > e.leaderState.round {
		return // rules 5 and 18
	}
	p.lostData = false
	p.denies = p.denies && m.Match < p.match
	if p.unfit == UnfitInstalling || m.Unfit == UnfitInstalling {
		p.catchUp.restart(e.now)
	}
	p.answered, p.down, p.unfit, p.version = e.now, false, m.Unfit, m.Version
	// Nobody applies what is not committed: more than that is not believed.
	p.applied = max(p.applied, min(m.Applied, e.commit))
	if m.Round >= p.round {
		p.round = m.Round
		// Less than before says a peer whose group was started again.
		e.takeAccepted(p, max(m.Accepted, p.match))
	}
	sent, known := e.leaderState.sentAt(m.Round)
	if known {
		e.takePromise(p, sent, m.PromiseMillis)
		if min(p.match, m.Match) < e.log.last.Index || p.snapshot {
			// A stream whose peer has everything waits for nothing: an idle
			// group does not wake its replication actors. A peer that was
			// started again has its log proved again by a probe, or it would
			// not learn what is committed.
			c := e.out.alives.next()
			c.Peer, c.Stream, c.Match, c.Sent = p.Identity, p.stream, m.Match, sent
			e.out.add(c)
		}
	}
	e.match(p, m.Match)
	e.giveMachine(p, m.Lacks)
	if e.confirmReads(); p.removal.round != 0 {
		e.dropLeaving()
	}
	e.leaderState.changes.look = true
}
