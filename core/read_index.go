package core

import "slices"

// reads are the read requests under way (dissertation 6.4, rule 26).
type reads struct {
	// confirming, on a leader: they wait for a round, in the order of rounds.
	confirming []pendingRead
	// waiting, on a leader: until it has committed an entry of its own term.
	waiting []pendingRead
	// confirmed is the last round that a quorum answered.
	confirmed uint64

	// held, on others: until a leader is known.
	held []heldRead
	// asked, on others: the leader was asked. failing: it said that it does not
	// lead; they fail when there is a change, so that nobody asks in a circle.
	asked   []askedRead
	failing []uint64
	// nextWireID numbers what this engine asks others. It begins at random, so
	// that an answer to an earlier life cannot be taken for one to this.
	nextWireID uint64
}

type pendingRead struct {
	id    uint64
	from  Identity // zero: this node's own
	index Index
	round uint64
	// lease: it needs no round while the lease lasts.
	lease bool
}

type heldRead struct {
	id    uint64
	lease bool
}

type askedRead struct {
	id, wireID uint64
	at         Instant
}

// readsMax bounds the reads that a leader keeps for others.
const readsMax = 1 << 16

func (e *Engine) onRead(r heldRead) {
	switch {
	case e.contradiction != nil:
		e.refuseRead(r.id)
	case e.role == RoleLeader:
		e.leaderRead(pendingRead{id: r.id, lease: r.lease})
	case e.leader.IsZero():
		e.reads.held = append(e.reads.held, r)
	default:
		e.askLeader(r)
	}
}

// forget lets go of this node's own read, wherever it waits.
func (r *reads) forget(id uint64) {
	own := func(p pendingRead) bool { return p.id == id && p.from.IsZero() }
	r.confirming = slices.DeleteFunc(r.confirming, own)
	r.waiting = slices.DeleteFunc(r.waiting, own)
	r.held = slices.DeleteFunc(r.held, func(h heldRead) bool { return h.id == id })
	r.asked = slices.DeleteFunc(r.asked, func(a askedRead) bool { return a.id == id })
	r.failing = slices.DeleteFunc(r.failing, func(f uint64) bool { return f == id })
}

// leaderRead lets a read join the next round: one that is under way was begun
// before the read and proves nothing for it. One that asks for it is answered by
// the lease: the read was there before the clock was read (rule 15), so that nobody
// else can have committed anything before it came.
func (e *Engine) leaderRead(r pendingRead) {
	if e.commit < e.leaderState.first {
		// Nothing is known to be committed up to now before an entry of this
		// term is (Raft 8).
		e.reads.waiting = append(e.reads.waiting, r)
		return
	}
	if r.lease && e.leaseHolds() {
		r.index = e.commit
		e.answerRead(r)
		return
	}
	r.index, r.round = e.commit, e.leaderState.round+1
	e.reads.confirming = append(e.reads.confirming, r)
}

func (e *Engine) admitWaitingReads() {
	waiting := e.reads.waiting
	e.reads.waiting = nil
	for _, r := range waiting {
		e.leaderRead(r)
	}
}

// beginRoundForReads begins a round if reads wait for the next one and none is
// on its way: reads that come meanwhile share the one after.
func (e *Engine) beginRoundForReads() {
	r := &e.reads
	if e.role != RoleLeader || len(r.confirming) == 0 {
		return
	}
	for len(r.confirming) > 0 && r.confirming[len(r.confirming)-1].round > e.leaderState.round && r.confirmed >= e.leaderState.round {
		e.beginRound()
	}
}

// confirmReads answers the reads whose round a quorum of the configuration in
// force has answered: an answer to a round confirms all before it.
func (e *Engine) confirmReads() {
	if e.role != RoleLeader {
		return
	}
	r := &e.reads
	r.confirmed = e.configs.latest().Configuration.QuorumValue(func(id Identity) uint64 {
		if id == e.cfg.Self {
			return e.leaderState.round
		}
		if p := e.leaderState.peer(id); p != nil {
			return p.round
		}
		return 0
	})
	done := 0
	for done < len(r.confirming) && r.confirming[done].round <= r.confirmed {
		e.answerRead(r.confirming[done])
		done++
	}
	rest := copy(r.confirming, r.confirming[done:])
	r.confirming = r.confirming[:rest]
}

func (e *Engine) answerRead(r pendingRead) {
	if !r.from.IsZero() {
		e.out.send(&ReadIndexResponse{Header: e.head(r.from), ID: r.id, OK: true, Index: r.index})
		return
	}
	c := e.out.reads.next()
	c.ID, c.Index = r.id, r.index
	e.out.add(c)
}

// failLeaderReads ends the reads of a leadership that is over.
func (e *Engine) failLeaderReads() {
	r := &e.reads
	for _, read := range slices.Concat(r.confirming, r.waiting) {
		if read.from.IsZero() {
			e.out.add(&ReadFailed{ID: read.id, Err: e.contradiction})
		} else {
			e.out.send(&ReadIndexResponse{Header: e.head(read.from), ID: read.id})
		}
	}
	r.confirming, r.waiting, r.confirmed = nil, nil, 0
}

func (e *Engine) onReadIndexRequest(m *ReadIndexRequest) {
	if e.role == RoleLeader && e.refusesReader(m) {
		return
	}
	e.tellRemoved(m.From)
	if e.role != RoleLeader || e.contradiction != nil || m.Header.Term > e.hard.Term || len(e.reads.confirming)+len(e.reads.waiting) >= readsMax {
		e.out.send(&ReadIndexResponse{Header: e.head(m.From), ID: m.ID})
		return
	}
	e.leaderRead(pendingRead{id: m.ID, from: m.From, lease: m.Lease})
}

// refusesReader refuses by name a node that asks under another incarnation than
// the group knows (rule 18): its machine lacks what the group has, and it should
// learn so. Only the leader's configuration is sure enough for that.
func (e *Engine) refusesReader(m *ReadIndexRequest) bool {
	c := &e.configs.latest().Configuration
	known := c.Incarnations(m.From.ID)
	if len(known) == 0 || slices.Contains(known, m.From) {
		return false
	}
	e.refuse(m, &m.Header, &Refusal{Reason: RefusedUnknownMember, Known: known[0]})
	return true
}

func (e *Engine) askLeader(r heldRead) {
	e.reads.nextWireID++
	e.reads.asked = append(e.reads.asked, askedRead{r.id, e.reads.nextWireID, e.now})
	e.out.send(&ReadIndexRequest{Header: e.head(e.leader), ID: e.reads.nextWireID, Lease: r.lease})
}

func (e *Engine) askHeldReads() {
	held := e.reads.held
	e.reads.held = nil
	for _, r := range held {
		e.onRead(r)
	}
}

func (e *Engine) onReadIndexResponse(m *ReadIndexResponse) {
	i := slices.IndexFunc(e.reads.asked, func(a askedRead) bool { return a.wireID == m.ID })
	if i < 0 || m.From != e.leader {
		return
	}
	a := e.reads.asked[i]
	e.reads.asked = slices.Delete(e.reads.asked, i, i+1)
	if !m.OK {
		e.reads.failing = append(e.reads.failing, a.id)
		return
	}
	if m.Header.Term == e.hard.Term {
		// A read index is committed, as the leader's notice of it would say: the
		// reader need not wait for those. Rule 4: what was proved in this term says
		// nothing of the log in which the same node, in another term, has committed.
		e.followCommit(m.Index)
	}
	e.answerRead(pendingRead{id: a.id, index: m.Index})
}

// failAskedReads ends what was asked of a leader that is none any more.
func (e *Engine) failAskedReads() {
	e.failRefusedReads()
	for _, a := range e.reads.asked {
		e.out.add(&ReadFailed{ID: a.id})
	}
	e.reads.asked = nil
}

func (e *Engine) failRefusedReads() {
	for _, id := range e.reads.failing {
		e.out.add(&ReadFailed{ID: id})
	}
	e.reads.failing = nil
}

// failOldReads ends, at a heartbeat, what the leader did not answer within an
// election time-out: the question or the answer was lost with a connection.
func (e *Engine) failOldReads() {
	e.failRefusedReads()
	r := &e.reads
	old := 0
	for old < len(r.asked) && e.now.Sub(r.asked[old].at) > e.cfg.ElectionTimeout {
		e.out.add(&ReadFailed{ID: r.asked[old].id})
		old++
	}
	r.asked = slices.Delete(r.asked, 0, old)
}

// onPeerDown ends what the leader was asked over a control connection that
// broke.
func (e *Engine) onPeerDown(ev *PeerDown) {
	e.noteUnreachable(ev)
	e.transferPeerDown(ev)
	e.noteNodeDown(ev)
	if ev.Class == ClassControl && ev.Node == e.leader.ID && e.role != RoleLeader {
		for _, a := range e.reads.asked {
			e.reads.failing = append(e.reads.failing, a.id)
		}
		e.reads.asked = nil
	}
}
