package core

import "slices"

// strangersNoticedMax bounds the strangers of whom a notice tells, so that one who
// changes its name does not flood the log.
const strangersNoticedMax = 16

// proves reports whether the sender has shown that it knows the group's cluster
// id (rule 27). The network sets Header.Cluster by what the connection has
// proved, and then the message introduces no more (rule 29). What still does only
// claims the id.
func (e *Engine) proves(h *Header) bool {
	return !e.hard.Cluster.IsZero() && h.Cluster == e.hard.Cluster && !h.Introduces
}

// acceptsIdentity carries out rules 17, 18 and 27: who does not know the
// cluster, or is not who the message is for, does not take part.
func (e *Engine) acceptsIdentity(m Message, h *Header) bool {
	if !e.proves(h) {
		e.hearStranger(m, h)
		return false
	}
	if _, refusal := m.(*Refusal); refusal {
		return h.To == e.cfg.Self
	}
	if h.To != e.cfg.Self {
		if h.To.Incarnation == 0 {
			return false // only Identify addresses whoever is there
		}
		if _, member := e.configs.member(e.cfg.Self, e.commit); !member {
			e.becomeUnknown(h.From, h.To)
		}
		e.refuse(m, h, &Refusal{Reason: RefusedIncarnation, Known: e.cfg.Self})
		return false
	}
	return true
}

// hearStranger takes a message of somebody who has not shown the cluster id.
// Nothing in it counts, but for what an empty group or a new learner says and
// hears; whoever asks gets an answer that tells nothing.
func (e *Engine) hearStranger(m Message, h *Header) {
	e.tellLeftBehind(m, h)
	switch m := m.(type) {
	case *VoteRequest:
		// Rule 20: a vote request always gets an answer.
		e.out.send(&VoteResponse{Header: e.answerHead(h), Pre: m.Pre, ElectionTerm: m.ElectionTerm, Campaign: m.Campaign})
		return
	case *ReadIndexRequest:
		e.out.send(&ReadIndexResponse{Header: e.answerHead(h), ID: m.ID})
		return
	case *HeartbeatResponse:
		e.onHeartbeatOfNewLearner(m)
		return
	case *Refusal:
		if m.Reason == RefusedLeftBehind {
			e.onLeftBehind(m)
		}
		return
	}
	if m.Response() {
		return
	}
	switch {
	case e.empty() && h.To == e.cfg.Self:
		e.hearWhileEmpty(m)
	case e.empty() && h.To.Incarnation != 0:
		// Somebody means the node that this one was before it lost its data.
		e.becomeUnknown(h.From, h.To)
	case !e.empty():
		e.tellStranger(h.From)
	}
}

// hearWhileEmpty takes a leader's message at a group that belongs to no cluster
// yet (rules 17, 27). Only entries or a snapshot bring it in; until then nothing
// that it hears changes anything here.
func (e *Engine) hearWhileEmpty(m Message) {
	h := m.Head()
	if h.Term == 0 || !e.mayFollow(h.From) {
		return
	}
	switch m := m.(type) {
	case *Heartbeat:
		r := &HeartbeatResponse{Header: e.answerHead(h), Round: m.Round, Stream: m.Stream}
		r.Header.Term = m.Header.Term
		e.out.send(r)
	case *AppendEntries:
		if !m.Introduces || m.Cluster.IsZero() || !wellFormed(m) {
			return
		}
		if m.Prev == (LogID{}) && len(m.Entries) > 0 && m.Entries[0].Kind == EntryConfiguration {
			e.adoptCluster(m.Cluster)
			e.onAppendEntries(m)
			return
		}
		r := &AppendResponse{Header: e.answerHead(h), Stream: m.Stream, Success: m.Prev == (LogID{})}
		r.Header.Term = m.Header.Term
		if !r.Success {
			r.Rejected = m.Prev
		}
		e.out.send(r)
	case *SnapshotChunk:
		switch {
		case !m.Introduces || m.Cluster.IsZero():
		case m.Meta.Cluster != m.Cluster || !plausibleMeta(&m.Meta, m.Header.Term):
			e.out.send(&SnapshotResponse{Header: e.answerHead(h), Stream: m.Stream, Transfer: m.Transfer, Refused: true, Reason: "malformed"})
		default:
			e.out.add(&ReceiveChunk{m}) // it counts when all of it is there
		}
	}
}

// onHeartbeatOfNewLearner: rule 29 lets a learner that has acknowledged nothing
// yet say that it is there. Its stream goes on by that, and nothing else counts.
func (e *Engine) onHeartbeatOfNewLearner(m *HeartbeatResponse) {
	p := e.leaderState.peer(m.From)
	if e.role != RoleLeader || p == nil || m.To != e.cfg.Self || m.Stream != p.stream || m.Header.Term != e.hard.Term || !e.introduces(p.Identity, p.match) {
		return
	}
	if sent, known := e.leaderState.sentAt(m.Round); known && m.Round <= e.leaderState.round {
		p.seen = e.now
		c := e.out.alives.next()
		c.Peer, c.Stream, c.Match, c.Sent = p.Identity, p.stream, 0, sent
		e.out.add(c)
	}
}

// introduces carries out rule 27: the id is told to a learner of the
// configuration, by its identity, that has acknowledged nothing yet.
func (e *Engine) introduces(id Identity, match Index) bool {
	if match > 0 {
		return false
	}
	for i := e.configs.position(e.commit); i < len(e.configs.at); i++ {
		if e.configs.at[i].Configuration.IsVoter(id) {
			return false
		}
	}
	_, member := e.configs.latest().Configuration.Member(id)
	return member
}

// tellStranger tells, of a few, who speaks to this group and does not know its
// cluster.
func (e *Engine) tellStranger(from Identity) {
	if e.adoptedAt != 0 && e.now.Sub(e.adoptedAt) <= e.cfg.ElectionTimeout {
		return // it was on its way when nobody could prove anything to this group yet
	}
	noticed := 0
	for _, n := range e.noticed {
		if n.Kind == NoticeOtherCluster {
			noticed++
		}
	}
	member := len(e.configs.latest().Configuration.Incarnations(from.ID)) > 0
	if noticed < strangersNoticedMax || member {
		e.notice(Notice{Kind: NoticeOtherCluster, Peer: from, Text: "it does not prove to know the cluster " + e.hard.Cluster.String()})
	}
}

// refuse answers a request that was not accepted; responses are just dropped.
func (e *Engine) refuse(m Message, h *Header, r *Refusal) {
	if m.Response() {
		return
	}
	r.Header = e.answerHead(h)
	e.out.send(r)
}

func (e *Engine) onRefusal(m *Refusal) {
	switch m.Reason {
	case RefusedIncarnation:
		for _, known := range e.configs.latest().Configuration.Incarnations(m.From.ID) {
			if known != m.From {
				e.tellLostData(m.From, known)
			}
		}
	case RefusedUnknownMember:
		if _, member := e.configs.member(e.cfg.Self, e.commit); !member {
			e.becomeUnknown(m.From, m.Known)
		}
	}
}

func (e *Engine) tellLostData(from, known Identity) {
	e.notice(Notice{Kind: NoticeLostData, Peer: from, Known: known})
	if p := e.leaderState.peer(known); p != nil {
		p.lostData = true
	}
}

// becomeUnknown notes that somebody takes this node for another incarnation.
func (e *Engine) becomeUnknown(from, known Identity) {
	e.unknownAt = e.now
	if !e.forming.running {
		// So that the status does not say it for ever.
		e.set(&e.forming.timer, TimerForming, e.now.Add(10*e.cfg.ElectionTimeout))
	}
	e.notice(Notice{Kind: NoticeUnknownToGroup, Peer: from, Known: known})
}

// unknownToGroup reports whether that was so lately. Nobody has proved it, so it
// passes when nothing more is heard.
func (e *Engine) unknownToGroup() bool {
	return e.unknownAt != 0 && e.now.Sub(e.unknownAt) < 10*e.cfg.ElectionTimeout
}

// adoptCluster carries out rule 17: an empty group takes the cluster's id from a
// stream that names its incarnation. The id is part of the hard state, which is
// durable before any answer that depends on it. A grant has served its purpose.
func (e *Engine) adoptCluster(cluster ClusterID) {
	if e.hard.Cluster.IsZero() && !cluster.IsZero() {
		e.hard.Cluster, e.hard.Grant = cluster, Grant{}
		e.hardDirty = true
		e.adoptedAt = e.now
		e.role = e.idleRole()
	}
	e.unknownAt = 0
}

// askSilentPeers asks, once in an election time-out, who answers in the place of
// a peer that does not: it may have lost its data, or belong elsewhere. Who shows
// itself empty under another incarnation is not told the id, so it cannot refuse
// by itself.
func (e *Engine) askSilentPeers() {
	l := &e.leaderState
	for _, p := range l.peers {
		if p.removal.at != 0 || e.answersNow(p) || e.now.Sub(max(p.asked, p.seen, l.begun)) <= e.cfg.ElectionTimeout {
			continue
		}
		p.asked = e.now
		l.identify++
		h := e.head(Identity{ID: p.ID})
		e.out.send(&IdentifyRequest{Header: h, ID: l.identify})
	}
}

// onPeerIdentified takes what answers in the place of a silent peer. Anybody may
// say it, so it counts only while the peer itself is silent, and is only reported.
func (e *Engine) onPeerIdentified(m *IdentifyResponse) {
	l := &e.leaderState
	if e.role == RoleLeader {
		e.onNodeIdentified(m)
	}
	if e.role != RoleLeader || m.ID == 0 || m.ID > l.identify || m.ID+uint64(len(l.peers)) <= l.identify {
		return
	}
	for _, p := range slices.Clone(l.peers) {
		switch {
		case p.ID != m.From.ID || e.answersNow(p):
		case m.Empty && p.Identity == m.From && e.introduces(p.Identity, p.match):
		case m.Empty:
			e.show(m.From)
			if !e.exchangeWanted(m.From) {
				e.tellLostData(m.From, p.Identity)
			}
		case !e.proves(&m.Header):
			e.tellStranger(m.From)
		}
	}
}

// head returns a header for a message to a peer.
func (e *Engine) head(to Identity) Header {
	return Header{Group: e.cfg.Group, Cluster: e.hard.Cluster, From: e.cfg.Self, To: to, Term: e.hard.Term}
}

// answerHead returns a header for an answer. Rule 27: neither the cluster nor
// the term is told to who has not shown the id.
func (e *Engine) answerHead(asked *Header) Header {
	if e.proves(asked) {
		return e.head(asked.From)
	}
	return Header{Group: e.cfg.Group, From: e.cfg.Self, To: asked.From}
}
