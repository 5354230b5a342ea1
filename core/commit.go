package core

import (
	"fmt"

	"github.com/trouperaft/troupe/membership"
)

func (e *Engine) onMatched(ev *Matched) {
	p := e.leaderState.peer(ev.Peer)
	if e.role != RoleLeader || p == nil || p.stream != ev.Stream {
		return
	}
	e.match(p, ev.Match)
}

// onLostData tells of a peer that denies what it had acknowledged: an older copy of
// its directory, or a disk that lost what it had synced.
func (e *Engine) onLostData(ev *LostData) {
	p := e.leaderState.peer(ev.Peer)
	if e.role != RoleLeader || p == nil || p.stream != ev.Stream {
		return
	}
	p.denies = true
	e.notice(Notice{Kind: NoticeLostData, Peer: ev.Peer, Known: ev.Peer, Term: e.hard.Term, Index: p.match, Text: "it no longer holds what it had acknowledged"})
}

// match takes a peer's durable match.
func (e *Engine) match(p *peer, match Index) {
	if match <= p.match || match > e.log.last.Index {
		return
	}
	first := p.match == 0
	p.match, p.movedOn = match, e.now
	e.takeAccepted(p, max(p.accepted, match))
	e.catchesUp(p)
	e.tellCatchUp(p)
	e.advanceCommit()
	e.tellTargetWhenReady()
	if first && p.comes {
		// Rule 21 asks for an answer to a round, which until now counted nothing.
		e.beginRound()
	}
}

// advanceCommit commits what a joint quorum holds durably. Rule 2: the leader
// counts itself with what it has flushed.
func (e *Engine) advanceCommit() {
	c := e.quorumIndex(e.writes.flushed)
	if c <= e.commit {
		return
	}
	// Raft 5.4.2: only entries of the leader's own term are committed by counting.
	if term, ok := e.log.term(c); !ok || term != e.hard.Term {
		return
	}
	e.setCommit(c)
}

// quorumIndex is what a joint quorum holds durably if this node holds own.
func (e *Engine) quorumIndex(own Index) Index {
	return Index(e.configs.latest().Configuration.QuorumValue(func(id Identity) uint64 {
		if id == e.cfg.Self {
			return uint64(own)
		}
		if p := e.leaderState.peer(id); p != nil {
			return uint64(p.match)
		}
		return 0
	}))
}

// setCommit moves the commit index forward.
func (e *Engine) setCommit(c Index) {
	before := e.commit
	bootstrapping := e.configs.bootstrapping(before)
	e.commit = c
	if bootstrapping && !e.configs.bootstrapping(c) {
		e.out.add(&Notice{Kind: NoticeBootstrapped, Peer: e.cfg.Self, Term: e.hard.Term, Index: c})
	}
	if e.configs.latest().Index > before && e.configs.latest().Index <= c {
		e.noteRemoved()
	}
	e.learnConfiguration()
	if e.role != RoleLeader {
		return
	}
	e.leaderState.changes.look = true
	e.tellChanges(before)
	e.releaseUncommitted()
	if before < e.leaderState.first && c >= e.leaderState.first {
		e.admitWaitingReads()
	}
	latest := e.configs.latest()
	if latest.Index <= c && !latest.Configuration.IsVoter(e.cfg.Self) {
		// Dissertation 4.2.2: a leader that is no voter any more leads until
		// the configuration without it is committed.
		e.depart(DepartureRemoved, "no longer a voter")
	}
}

// tellChanges tells of the changes that have ended with what is committed now.
func (e *Engine) tellChanges(before Index) {
	for i := range e.configs.at {
		at := &e.configs.at[i]
		o := &at.Configuration.Last
		if at.Index <= before || at.Index > e.commit || i > 0 && e.configs.at[i-1].Configuration.Last == *o || o.ID == 0 {
			continue
		}
		n := &Notice{Kind: NoticeChangeEnded, Peer: e.cfg.Self, Term: at.Term, Index: at.Index, Text: fmt.Sprintf("%v, %v", o.ID, &at.Configuration)}
		outcome := 0
		if o.Result != membership.ResultDone {
			outcome = 1
			n.Kind, n.Text = NoticeChangeGivenUp, fmt.Sprintf("%v, %v: %v", o.ID, o.Result, &at.Configuration)
		}
		if o.Node != 0 {
			n.Text = fmt.Sprintf("%v, node %d has %v, %d entries behind: %v", o.ID, o.Node, o.Result, o.LagEntries, &at.Configuration)
		}
		e.changes.counts[outcome]++
		e.out.add(n)
	}
}

func (e *Engine) releaseUncommitted() {
	l := &e.leaderState
	done := 0
	for done < len(l.uncommitted) && l.uncommitted[done].last <= e.commit {
		l.uncommittedBytes -= l.uncommitted[done].bytes
		done++
	}
	rest := copy(l.uncommitted, l.uncommitted[done:])
	l.uncommitted = l.uncommitted[:rest]
}
