package core

import (
	"fmt"
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// This file is about the leader's side of a transfer (dissertation 3.10, rule 14):
// it stops admitting, lets the target catch up, gives up its lease, and tells the
// target to campaign. The target's side is in timeout_now.go.

// transfer is a hand-over of this node's leadership, from its beginning until it is
// known what became of it.
type transfer struct {
	phase transferPhase
	to    Identity
	// term is the one that this node led.
	term Term
	// number tells this node's transfers apart. It begins at random, so that an answer
	// to a transfer of an earlier life is not taken for one to this.
	number uint64
	byHand bool
	// closed: nothing is admitted any more.
	closed  bool
	waiters []transferWaiter
	// wanted: somebody asked for it. One that the leader began by itself goes on when
	// those who joined it wait no more.
	wanted bool
	// until is when this phase has taken too long.
	until Instant

	// asked, on others than the leader: what was passed on to it.
	asked      []askedTransfer
	nextWireID uint64
}

// transferPhase is how far a transfer has come.
type transferPhase uint8

const (
	transferNone transferPhase = iota
	// transferCatchingUp: the target gets the rest of the log. When it is near, the
	// leader admits nothing more.
	transferCatchingUp
	// transferTold: the target was told to campaign.
	transferTold
	// transferLeft: the target was told, and this node leads no more: somebody
	// campaigns.
	transferLeft
)

// transferWaiter waits for the end of a transfer: a node that asked, or, if from is
// zero, this one.
type transferWaiter struct {
	from Identity
	id   uint64
}

// askedTransfer is a request that was passed on to the leader.
type askedTransfer struct {
	id, wireID uint64
	leader     Identity
	to         NodeID
	until      Instant
}

const (
	// transferLagMax is how many entries a target may lack, and transferNearMax how many
	// of them proposals wait for: until it is as near as that, the leader goes on
	// admitting.
	transferLagMax  = 1 << 16
	transferNearMax = 1 << 10
	// askedTimeouts is for how many election time-outs the leader's answer is waited
	// for: it ends each of the three phases of its own within one.
	askedTimeouts = 4
	// transferWaitersMax bounds those who wait for one transfer.
	transferWaitersMax = 1 << 10
)

func (e *Engine) onTransferLeadership(ev *TransferLeadership) {
	w := transferWaiter{id: ev.ID}
	switch {
	case e.role == RoleLeader:
		e.beginTransfer(w, ev.To, ev.Not, ev.ByHand)
	case ev.Own || e.leader.IsZero():
		e.out.add(&TransferEnded{ID: ev.ID, Term: e.hard.Term, Err: &NotLeaderError{Leader: e.leader.ID, Term: e.hard.Term}})
	default:
		t := &e.transfer
		t.nextWireID++
		t.asked = append(t.asked, askedTransfer{ev.ID, t.nextWireID, e.leader, ev.To, e.now.Add(askedTimeouts * e.cfg.ElectionTimeout)})
		e.out.send(&TransferRequest{Header: e.head(e.leader), ID: t.nextWireID, Target: ev.To})
		e.setTransferTimer()
	}
}

func (e *Engine) onTransferRequest(m *TransferRequest) {
	w := transferWaiter{from: m.From, id: m.ID}
	if _, member := e.configs.member(m.From, e.commit); e.role != RoleLeader || !member {
		e.tellRemoved(m.From)
		e.endWaiter(w, &TransferError{Reason: transferNotLeader, Leader: e.leader.ID})
		return
	}
	e.beginTransfer(w, m.Target, nil, true)
}

// beginTransfer begins a transfer for a waiter, or lets it wait for the one that is
// under way to the same target.
func (e *Engine) beginTransfer(w transferWaiter, to NodeID, not []NodeID, byHand bool) {
	t := &e.transfer
	if t.phase != transferNone {
		if to != 0 && to != t.to.ID || len(t.waiters) >= transferWaitersMax {
			e.endWaiter(w, &TransferError{Reason: TransferUnderWay, To: to, Leader: e.cfg.Self.ID})
			return
		}
		t.waiters = append(t.waiters, w)
		t.byHand = t.byHand || byHand
		return
	}
	target, refusal := e.transferTarget(to, not)
	if refusal != nil {
		e.endWaiter(w, refusal)
		return
	}
	e.startTransfer(target, byHand, "", 0, w)
}

// admits reports whether proposals are admitted, as far as a hand-over is concerned:
// one under way, or that of a leader that is there for nothing else (rule 16).
func (e *Engine) admits() bool {
	t := &e.transfer
	return (t.phase == transferNone || t.phase == transferCatchingUp && !t.closed) && !e.leaderState.caretaker
}

// startTransfer tells the target as soon as it has the log, for which it has an
// election time-out, and until patience if that is later. why is what the leader does
// it for, for people, "" if somebody asked.
func (e *Engine) startTransfer(target Identity, byHand bool, why string, patience Instant, waiters ...transferWaiter) {
	t := &e.transfer
	t.phase, t.to, t.term, t.byHand, t.waiters = transferCatchingUp, target, e.hard.Term, byHand, waiters
	t.wanted = len(waiters) > 0
	t.number++
	t.closed = false
	t.until = max(e.now.Add(e.cfg.ElectionTimeout), patience)
	e.setTransferTimer()
	e.out.add(&Notice{Kind: NoticeTransferStarted, Peer: target, Term: e.hard.Term, Text: why})
	e.tellTargetWhenReady()
}

// transferTarget finds whom to hand over to: the node that is asked for, or the best.
func (e *Engine) transferTarget(to NodeID, not []NodeID) (Identity, *TransferError) {
	if to == 0 {
		// Only somebody who is known to be there: a wrong guess would cost a time-out.
		best := e.bestTarget(func(p *peer) bool { return e.answersNow(p) && !slices.Contains(not, p.ID) })
		if best == nil {
			return Identity{}, &TransferError{Reason: TransferNoTarget, Leader: e.cfg.Self.ID}
		}
		return best.Identity, nil
	}
	id, reason := e.targetIdentity(to)
	if reason == 0 {
		reason = e.whyNoTarget(e.leaderState.peer(id))
	}
	if reason != 0 {
		return Identity{}, &TransferError{Reason: reason, To: to, Leader: e.cfg.Self.ID}
	}
	return id, nil
}

// targetIdentity finds the incoming voter of an id. A reason of 0 says that there is
// one.
func (e *Engine) targetIdentity(to NodeID) (Identity, TransferReason) {
	c := &e.configs.latest().Configuration
	if to == e.cfg.Self.ID {
		return Identity{}, TransferToItself
	}
	reason := TransferUnknownMember
	for _, id := range c.Incarnations(to) {
		switch {
		case slices.Contains(c.Voters, id):
			return id, 0
		case slices.Contains(c.Outgoing, id):
			reason = TransferOutgoing
		case reason != TransferOutgoing:
			reason = TransferLearner
		}
	}
	return Identity{}, reason
}

// whyNoTarget says what keeps a voter from being handed the leadership, 0 if nothing
// is known to.
func (e *Engine) whyNoTarget(p *peer) TransferReason {
	switch {
	case !e.answersNow(p) && !e.notAskedYet(p), p.down, p.lostData, p.denies:
		return TransferUnreachable
	case p.unfit == UnfitPaused:
		return TransferPaused
	case p.unfit == UnfitInstalling:
		return TransferInstalling
	case p.unfit == UnfitSick, p.unfit == UnfitVersion:
		return TransferSick
	case p.snapshot, e.log.last.Index-p.match > transferLagMax:
		return TransferLagging
	}
	return 0
}

// notAskedYet reports whether this leadership is too young for the silence of a peer to
// mean anything. If it is gone the transfer times out.
func (e *Engine) notAskedYet(p *peer) bool {
	return p.answered == 0 && e.now.Sub(e.leaderState.begun) <= e.cfg.ElectionTimeout
}

// bestTarget finds the voter that is to lead in this one's place: of the highest
// priority; of those the one that lacks the fewest entries, then the one that has
// applied most.
func (e *Engine) bestTarget(wanted func(p *peer) bool) *peer {
	c := &e.configs.latest().Configuration
	var best *peer
	for _, p := range e.leaderState.peers {
		if !slices.Contains(c.Voters, p.Identity) || e.whyNoTarget(p) != 0 || !wanted(p) {
			continue
		}
		if best == nil || p.betterThan(best) {
			best = p
		}
	}
	return best
}

func (p *peer) betterThan(o *peer) bool {
	switch {
	case p.Rank() != o.Rank():
		return p.Rank() > o.Rank()
	case p.match != o.match:
		return p.match > o.match
	}
	return p.applied > o.applied
}

// tellTargetWhenReady stops admitting when the target is near, and tells it to campaign
// when it holds the whole log, durably. Rule 14: before that leaves, this node has
// stopped admitting and given up its lease.
func (e *Engine) tellTargetWhenReady() {
	t := &e.transfer
	if t.phase != transferCatchingUp {
		return
	}
	p := e.leaderState.peer(t.to)
	if p == nil {
		return
	}
	t.closed = t.closed || e.log.last.Index-p.match <= transferNearMax
	if p.match < e.log.last.Index {
		return
	}
	e.endLease()
	e.leaderState.handedTo = t.to
	t.phase, t.until = transferTold, e.now.Add(e.cfg.ElectionTimeout)
	e.setTransferTimer()
	e.out.send(&TimeoutNow{Header: e.head(t.to), Transfer: t.number, ByHand: t.byHand})
}

// onTimeoutNowResponse ends a transfer whose target was told, and will not do it. One in
// a higher term heeds no TimeoutNow of this one (rule 14): so it is an answer, and not
// only the end of this leadership.
func (e *Engine) onTimeoutNowResponse(m *TimeoutNowResponse) {
	t := &e.transfer
	answers := (t.phase == transferTold || t.phase == transferLeft) && m.From == t.to && m.Transfer == t.number && m.Header.Term >= t.term
	e.onHigherTerm(m.From, m.Header.Term)
	if !answers {
		return
	}
	err := &TransferError{Reason: TransferRefused, Leader: e.leader.ID}
	switch {
	case m.Header.Term > t.term:
		err.Text = fmt.Sprintf("it is in term %d", m.Header.Term)
	case m.Unfit == UnfitPaused:
		err.Reason = TransferPaused
	case m.Unfit == UnfitInstalling:
		err.Reason = TransferInstalling
	case m.Unfit == UnfitSick, m.Unfit == UnfitVersion:
		err.Reason = TransferSick
	case m.Unfit == UnfitNotVoter:
		err.Reason = TransferLearner
	}
	e.failTransfer(err)
}

// transferPeerDown ends a transfer whose target cannot be reached.
func (e *Engine) transferPeerDown(ev *PeerDown) {
	t := &e.transfer
	if ev.Class != ClassControl {
		return
	}
	for _, p := range e.leaderState.peers {
		p.down = p.down || p.ID == ev.Node
	}
	if (t.phase == transferCatchingUp || t.phase == transferTold) && ev.Node == t.to.ID {
		e.failTransfer(e.transferTooLate(TransferUnreachable))
	}
	for _, a := range e.takeAsked(func(a *askedTransfer) bool { return a.leader.ID == ev.Node }) {
		e.endWaiter(transferWaiter{id: a.id}, &TransferError{Reason: TransferStopped, To: a.to, Leader: e.leader.ID, Sent: true})
	}
}

// transferTooLate is an error of a transfer that is given up: if the target was told
// it may still campaign.
func (e *Engine) transferTooLate(reason TransferReason) *TransferError {
	return &TransferError{Reason: reason, Leader: e.leader.ID, Sent: e.transfer.phase != transferCatchingUp}
}

// checkTransferTarget ends a transfer whose target is no incoming voter any more.
func (e *Engine) checkTransferTarget() {
	t := &e.transfer
	if t.phase != transferCatchingUp && t.phase != transferTold {
		return
	}
	id, reason := e.targetIdentity(t.to.ID)
	if reason == 0 && id != t.to {
		reason = TransferUnknownMember
	}
	if reason != 0 {
		e.failTransfer(e.transferTooLate(reason))
	}
}

// leaveTransfer goes on with a transfer whose leader leaves office: if the target was
// told, that is what was wanted, or somebody else was faster. why and term are those
// of the stepping down.
func (e *Engine) leaveTransfer(why string, term Term) {
	t := &e.transfer
	e.handOver.renewAt, e.handOver.renewing = 0, false
	switch {
	case t.phase == transferTold:
		t.phase, t.until = transferLeft, e.now.Add(e.cfg.ElectionTimeout)
		e.setTransferTimer()
	case t.phase == transferCatchingUp && term > e.hard.Term:
		e.failTransfer(&TransferError{Reason: TransferHigherTerm, Text: why})
	case t.phase == transferCatchingUp:
		e.failTransfer(&TransferError{Reason: TransferSteppedDown, Text: why})
	}
}

// followTransfer ends a transfer that its leader has left when a new leader has
// committed an entry of its own term, or is not the target.
func (e *Engine) followTransfer() {
	t := &e.transfer
	if t.phase != transferLeft || e.leader.IsZero() || e.hard.Term <= t.term {
		return
	}
	if e.leader != t.to {
		err := &TransferError{Reason: TransferAnotherWon, Leader: e.leader.ID}
		// A term has one leader: the target was to win the next one, and no other.
		err.Sent = e.hard.Term > t.term+1
		e.failTransfer(err)
		return
	}
	if term, ok := e.log.term(e.commit); !ok || term != e.hard.Term {
		return
	}
	e.out.add(&Notice{Kind: NoticeTransferred, Peer: t.to, Term: t.term})
	e.handOver.succeeded(t.to)
	for _, w := range e.endTransfer() {
		e.endWaiter(w, nil)
	}
}

// failTransfer ends a transfer without a success. A leader admits again at once; if
// the target was told, it needs a new term to answer reads alone again.
func (e *Engine) failTransfer(err *TransferError) {
	t := &e.transfer
	err.To = t.to.ID
	e.out.add(&Notice{Kind: NoticeTransferFailed, Peer: t.to, Term: t.term, Text: err.why()})
	e.handOver.failed(t.to, e.now)
	for _, w := range e.endTransfer() {
		e.endWaiter(w, err)
	}
}

func (e *Engine) endTransfer() []transferWaiter {
	t := &e.transfer
	waiters := t.waiters
	t.phase, t.waiters, t.until = transferNone, nil, 0
	if e.renews() {
		// Not at once: the target may yet win, and both would split the votes.
		e.handOver.renewAt = e.now.Add(e.cfg.ElectionTimeout)
	}
	e.setTransferTimer()
	e.leaderState.changes.look = true
	return waiters
}

// endWaiter tells one who waits; err is nil if the target leads.
func (e *Engine) endWaiter(w transferWaiter, err *TransferError) {
	if w.from.IsZero() {
		c := &TransferEnded{ID: w.id, Term: e.hard.Term}
		switch {
		case err == nil:
			c.Leader = e.leader.ID
		case err.Reason == transferNotLeader:
			c.Err = &NotLeaderError{Leader: err.Leader, Term: e.hard.Term}
		default:
			c.Err = err
		}
		e.out.add(c)
		return
	}
	m := &TransferResponse{Header: e.head(w.from), ID: w.id, Leader: e.leader.ID, LeaderTerm: e.hard.Term}
	if err != nil {
		m.Reason, m.Target, m.Leader, m.Sent, m.Text = err.Reason, err.To, err.Leader, err.Sent, err.Text
	}
	e.out.send(m)
}

// onTransferResponse ends what was passed on to a leader.
func (e *Engine) onTransferResponse(m *TransferResponse) {
	for _, a := range e.takeAsked(func(a *askedTransfer) bool { return a.wireID == m.ID && a.leader == m.From }) {
		if m.Reason == 0 {
			e.out.add(&TransferEnded{ID: a.id, Leader: m.Leader, Term: m.LeaderTerm})
			continue
		}
		to := m.Target
		if to == 0 {
			to = a.to
		}
		e.endWaiter(transferWaiter{id: a.id}, &TransferError{Reason: m.Reason, To: to, Leader: m.Leader, Sent: m.Sent, Text: m.Text})
	}
}

// takeAsked removes and returns what was passed on to a leader.
func (e *Engine) takeAsked(which func(a *askedTransfer) bool) []askedTransfer {
	t := &e.transfer
	var taken, rest []askedTransfer
	for i := range t.asked {
		if which(&t.asked[i]) {
			taken = append(taken, t.asked[i])
		} else {
			rest = append(rest, t.asked[i])
		}
	}
	t.asked = rest
	return taken
}

func (e *Engine) onTransferCancelled(ev *TransferCancelled) {
	t, w := &e.transfer, transferWaiter{id: ev.ID}
	for _, a := range e.takeAsked(func(a *askedTransfer) bool { return a.id == ev.ID }) {
		e.endWaiter(w, &TransferError{Reason: TransferTimedOut, To: a.to, Leader: e.leader.ID, Sent: true, Cause: ev.Cause})
	}
	i := slices.Index(t.waiters, w)
	if i < 0 {
		return
	}
	t.waiters = slices.Delete(t.waiters, i, i+1)
	err := e.transferTooLate(TransferTimedOut)
	err.To, err.Cause = t.to.ID, ev.Cause
	e.endWaiter(w, err)
	if len(t.waiters) == 0 && t.wanted && t.phase == transferCatchingUp {
		e.failTransfer(&TransferError{Reason: TransferTimedOut, Leader: e.leader.ID, Text: "nobody waits for it any more"})
	}
}

// onTransferTimer ends what takes too long, and begins the new term that a leader
// needs after a transfer that failed.
func (e *Engine) onTransferTimer() {
	t := &e.transfer
	if t.phase != transferNone && e.now >= t.until {
		e.failTransfer(e.transferTooLate(TransferTimedOut))
	}
	for _, a := range e.takeAsked(func(a *askedTransfer) bool { return e.now >= a.until }) {
		e.endWaiter(transferWaiter{id: a.id}, &TransferError{Reason: TransferTimedOut, To: a.to, Leader: e.leader.ID, Sent: true})
	}
	if at := e.handOver.renewAt; at != 0 && e.now >= at {
		e.renewTerm()
	}
	e.setTransferTimer()
}

// setTransferTimer sets the timer to whatever comes first.
func (e *Engine) setTransferTimer() {
	var next Instant
	sooner := func(at Instant) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	sooner(e.transfer.until)
	sooner(e.handOver.renewAt)
	for i := range e.transfer.asked {
		sooner(e.transfer.asked[i].until)
	}
	if next == 0 {
		e.cancel(&e.transferTimer, TimerTransfer)
		return
	}
	e.set(&e.transferTimer, TimerTransfer, next)
}

// renews reports whether this node needs a new term: it leads one in which it told
// somebody to campaign, or in which the application's part has ended, and hands over no
// more.
func (e *Engine) renews() bool {
	l := &e.leaderState
	return e.role == RoleLeader && (!l.handedTo.IsZero() || l.wantsTerm) && e.transfer.phase == transferNone
}

// renewing reports whether it asks for pre-votes for that.
func (e *Engine) renewing() bool { return e.renews() && e.handOver.renewing }

// renewTerm asks, as a leader, whether a new term could be won, and campaigns for
// it: the promises of the others are to this node. Writes go on meanwhile, and what
// is not committed yet stays in the log and is committed in the new term.
func (e *Engine) renewTerm() {
	e.handOver.renewAt, e.handOver.renewing = 0, false
	if !e.renews() {
		return
	}
	e.handOver.renewAt = e.now.Add(e.cfg.ElectionTimeout)
	if e.unfit() != Fit || e.whyBound() != "" {
		return
	}
	e.election.stop()
	e.election.campaign++
	e.election.reason = ElectionToRenew
	if e.configs.latest().Configuration.IsVoter(e.cfg.Self) {
		e.election.votes[e.cfg.Self] = true
	}
	e.handOver.renewing = true
	if e.tally() == membership.Won {
		e.campaignForTerm(false)
		return
	}
	for _, m := range e.voteRequests(true, false) {
		e.out.send(m)
	}
}
