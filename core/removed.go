package core

import "github.com/trouperaft/troupe/membership"

// This file is about members that are removed: how they learn of it (rule 22), and what
// a leader does for them until they have.

// removal is what a leader keeps of a peer that the configuration in force does not have
// any more: its stream goes on until it knows that it was removed.
type removal struct {
	// at is the entry that removed it, 0 of a member.
	at Index
	// round is the first round whose answer says that it has heard that the entry is
	// committed, and until when that is waited for; both are 0 until it is.
	round uint64
	until Instant
}

// leavingTimeouts is for how many election time-outs after the commit a peer that was
// removed is waited for.
const leavingTimeouts = 10

// leaves keeps a peer that was removed, if it holds anything of the log. Where another
// incarnation of its node is a member, or comes, it is that one that answers.
func (e *Engine) leaves(p *peer) bool {
	at := e.configs.latest()
	c := &at.Configuration
	if p.match == 0 || len(c.Incarnations(p.ID)) > 0 || c.Target.IsFounding() {
		return false
	}
	if p.removal.at == 0 {
		p.removal.at = at.Index
	}
	return true
}

// dropLeaving ends the streams of the peers that know that they were removed, or are
// not heard of.
func (e *Engine) dropLeaving() {
	l := &e.leaderState
	peers := l.peers[:0:0]
	for _, p := range l.peers {
		v := &p.removal
		if v.at != 0 && v.round == 0 && e.commit >= v.at {
			v.round, v.until = l.round+1, e.now.Add(leavingTimeouts*e.cfg.ElectionTimeout)
		}
		if v.round != 0 && (p.round >= v.round && p.match >= v.at || e.now > v.until) {
			e.out.add(&StopStream{p.Identity, p.stream})
			continue
		}
		peers = append(peers, p)
	}
	l.peers = peers
}

// tellRemoved tells a node that was removed, if it is no member of any configuration
// that may decide. One that was added by an entry which this log lacks does not heed
// it.
func (e *Engine) tellRemoved(to Identity) {
	committed := e.configs.inForce(e.commit)
	if _, member := e.configs.member(to, e.commit); member || committed.Index == 0 || committed.Index > e.commit {
		return
	}
	e.out.send(&Removed{Header: e.head(to), At: committed.LogID, Change: e.removedBy(to)})
}

// removedBy returns the change that took who is no member any more out, 0 if that is not
// known.
func (e *Engine) removedBy(id Identity) membership.ChangeID {
	for i := e.configs.position(e.commit); i > 0; i-- {
		if _, was := e.configs.at[i-1].Configuration.Member(id); was {
			if o := &e.configs.at[i].Configuration.Last; o.Result == membership.ResultDone {
				return o.ID
			}
			return 0
		}
	}
	return 0
}

// onRemoved carries out rule 22. No data is touched.
func (e *Engine) onRemoved(m *Removed) {
	if e.empty() || !e.heedsRemoval(m.At) || !e.hard.Removed.Less(m.At) {
		return
	}
	e.becomeRemoved(m.At, m.Change)
	if e.role == RoleCandidate || e.role == RolePreCandidate {
		e.becomeFollower(e.hard.Term, Identity{}, "")
	}
}

// heedsRemoval carries out rule 22: a removal by the configuration at is news if it is later
// than every one that is known here. It is, too, if it is the latest one here, and has
// this node no more: who holds its own removal, and was left before it heard that it is
// committed, hears of it in no other way.
//
// Who has lost what told its members knows at least that the one in force was committed in
// what its log has purged.
func (e *Engine) heedsRemoval(at LogID) bool {
	latest := e.configs.latest()
	if latest.Index == 0 {
		return at.Index > e.log.purged.Index
	}
	if latest.LogID != at {
		return latest.LogID.Less(at)
	}
	_, member := latest.Configuration.Member(e.cfg.Self)
	return !member && (e.wasMember || e.configs.everHad(e.cfg.Self))
}

// noteRemoved looks whether a configuration that is committed here removed this node. If it has
// this node again, the removal is over, for its next lives too: they may have lost what tells so.
func (e *Engine) noteRemoved() {
	latest := e.configs.latest()
	if latest.Index == 0 || latest.Index > e.commit || !e.hard.Removed.Less(latest.LogID) {
		return
	}
	if e.has(*latest) {
		if e.hard.Removed != (LogID{}) {
			e.hard.Removed, e.hardDirty = LogID{}, true
		}
		return
	}
	if e.wasMember || e.configs.everHad(e.cfg.Self) {
		e.becomeRemoved(latest.LogID, 0) // the log tells what became of changes
	}
}

// has reports whether this node is a member by a configuration.
func (e *Engine) has(at ConfigurationAt) bool {
	_, member := at.Configuration.Member(e.cfg.Self)
	return member
}

// becomeRemoved takes note of it, for its next lives too: the log that tells of it may
// be purged, or replaced by a snapshot. by is the change that did it, 0 if that is not
// known.
func (e *Engine) becomeRemoved(at LogID, by membership.ChangeID) {
	e.hard.Removed, e.hardDirty = at, true
	e.out.add(&Notice{Kind: NoticeRemoved, Peer: e.cfg.Self, Term: at.Term, Index: at.Index})
	e.followChanges() // one of its own may have removed it
	e.changesRemoved(at, by)
	e.failElect(ElectNotVoter, "")
}

// isRemoved reports whether this node was removed, as far as it knows: by a later
// configuration it may be a member again, or on its way to be one.
func (e *Engine) isRemoved() bool {
	return e.hard.Removed != LogID{} && !e.hard.Removed.Less(e.configs.latest().LogID)
}

// isLeftOut reports whether this node was a member, and the latest configuration does
// not have it any more.
func (e *Engine) isLeftOut() bool {
	latest := e.configs.latest()
	return latest.Index > 0 && !e.has(*latest) && (e.wasMember || e.configs.everHad(e.cfg.Self))
}
