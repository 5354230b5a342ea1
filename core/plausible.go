package core

import "fmt"

// Rule 32: no counter of a real cluster gets near these.
const (
	// CounterMax is the highest term and the highest index that anybody may say:
	// no sum of two of them overflows.
	CounterMax = 1 << 62
	// termJumpMax is by how much one message raises a term at most.
	termJumpMax = 1 << 32
)

// plausible reports whether all terms and indexes of a message can be real. What
// cannot be is dropped before anything else is made of it.
func plausible(m Message) bool {
	ok := func(terms Term, ids ...LogID) bool {
		for _, id := range ids {
			if id.Term > CounterMax || id.Index > CounterMax {
				return false
			}
		}
		return terms <= CounterMax
	}
	if !ok(m.Head().Term) {
		return false
	}
	switch m := m.(type) {
	case *VoteRequest:
		return ok(m.ElectionTerm, m.Last)
	case *VoteResponse:
		return ok(m.ElectionTerm)
	case *Heartbeat:
		return ok(0, LogID{0, m.Commit})
	case *HeartbeatResponse:
		return ok(0, LogID{0, m.Match}, LogID{0, m.Accepted}, LogID{0, m.Applied}, LogID{0, m.Lacks})
	case *AppendEntries:
		return ok(0, m.Prev, LogID{0, m.Commit}) && (len(m.Entries) == 0 || ok(0, m.Entries[len(m.Entries)-1].LogID))
	case *AppendResponse:
		return ok(0, m.Rejected, m.Hint, LogID{0, m.Match})
	case *SnapshotChunk:
		return ok(0, m.Meta.LogID, m.Meta.Configuration.LogID)
	case *ReadIndexResponse:
		return ok(0, LogID{0, m.Index})
	case *TransferResponse:
		return ok(m.LeaderTerm)
	case *IdentifyResponse:
		return ok(0, m.Last)
	case *ChangeRequest:
		return ok(m.Order.ExpectedTerm, LogID{0, m.Order.ExpectedIndex})
	case *ChangeResponse:
		return ok(0, m.At, LogID{0, m.Index})
	case *Removed:
		return ok(0, m.At)
	}
	return true
}

// plausibleMeta checks a snapshot against the leader that sends it: its term is
// at most the leader's, and its configuration is one, and not a later one.
func plausibleMeta(meta *SnapshotMeta, leader Term) bool {
	return meta.Index > 0 && meta.Index < CounterMax && meta.Term <= leader && !meta.Cluster.IsZero() &&
		meta.Configuration.Index <= meta.Index && meta.Configuration.Configuration.Validate() == nil
}

// raisable is how far a message of term may raise the own one now. Rule 32: by
// 2^32, once an election time-out; a group without an entry follows any term.
func (e *Engine) raisable(term Term) Term {
	if term <= e.hard.Term || term-e.hard.Term <= termJumpMax || e.log.last.Index == 0 {
		return term
	}
	if e.jumped != 0 && e.now.Sub(e.jumped) < e.cfg.ElectionTimeout {
		return e.hard.Term
	}
	return e.hard.Term + termJumpMax
}

// farAhead carries out the end of rule 32: a peer whose term is out of reach
// deposes no leader whose quorum answers without it. It is reported.
func (e *Engine) farAhead(from Identity, term Term) bool {
	if e.role != RoleLeader || term <= e.hard.Term || term-e.hard.Term <= termJumpMax {
		return false
	}
	answers := e.configs.latest().Configuration.QuorumValue(func(id Identity) uint64 {
		if p := e.leaderState.peer(id); id == e.cfg.Self || id != from && p != nil && e.answersNow(p) {
			return 1
		}
		return 0
	})
	if answers == 0 {
		return false
	}
	e.notice(Notice{Kind: NoticeTermAhead, Peer: from, Term: term, Text: fmt.Sprintf("more than 2^32 above the term %d of this cluster: the node has to be replaced", e.hard.Term)})
	return true
}

// answersNow reports whether a peer has answered a round of this term within the
// last election time-out.
func (e *Engine) answersNow(p *peer) bool {
	return p.answered != 0 && e.now.Sub(p.answered) <= e.cfg.ElectionTimeout
}
