package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// proposalsInCore are the proposals that are not appended here: they wait for a
// leader or for room in its log, or another node has them. A proposal is sent
// on, or tried again, only while it is certain that nobody has appended it.
type proposalsInCore struct {
	core *coreActor

	waiting   proposalList
	forwarded proposalList
	// queued are those of other nodes that wait for room here, with their size as
	// admission counts it.
	queued      proposalList
	queuedBytes int
	byID        map[uint64]*Proposal
	lastID      uint64
	// held says why they are not tried now.
	held holdBack
	// leader is whom the waiting ones are for, in the term, and since when.
	leader membership.NodeID
	term   core.Term
	since  core.Instant

	// unsent are results that the network did not take.
	unsent unsentResults
	// results are those of proposals that end here without being appended.
	results resultBatches
	batch   []*Proposal  // to be forwarded
	event   core.Propose // to be appended
}

// proposeBatchMax bounds one step of the engine, in proposals.
const proposeBatchMax = 1024

func (s *proposalsInCore) init(c *coreActor) {
	s.core = c
	s.byID = make(map[uint64]*Proposal)
	s.unsent.network, s.unsent.bytesMax = c.network, c.cfg.WindowBytesMax
	s.lastID = c.Env.Rand() // an answer to an earlier life must not fit
}

// accept takes a proposal that has its room.
func (s *proposalsInCore) accept(p *Proposal) {
	if p.cancelled {
		s.complete(p, stageCore, core.LogID{}, nil, context.Canceled)
		return
	}
	observe.Taken{Span: p.span}.Tell(s.core.watch)
	s.unqueue(p)
	p.stage.Store(stageWaiting)
	s.waiting.pushBack(p)
}

// pump does with the waiting ones what can be done now.
func (s *proposalsInCore) pump() {
	if !s.waiting.empty() {
		c := s.core
		switch {
		case c.changed.Role == core.RoleLeader:
			s.propose()
		case c.changed.Removed:
			s.failWaiting(func(*Proposal) error { return core.ErrRemoved })
		case c.changed.Leader == 0:
			s.failWaiting(func(p *Proposal) error {
				switch {
				case !p.FailWithoutLeader && !p.isRemote():
					return nil
				case c.changed.Role == core.RoleNone:
					return core.ErrNoCluster
				}
				return &core.NotLeaderError{Term: c.changed.Term}
			})
		default:
			s.failWaiting(func(p *Proposal) error {
				if p.NoForward || p.isRemote() {
					return &core.NotLeaderError{Leader: c.changed.Leader, Term: c.changed.Term}
				}
				return nil
			})
			s.forward()
		}
	}
	s.results.send(s.core.answers)
}

// failWaiting ends those for which fail says an error.
func (s *proposalsInCore) failWaiting(fail func(*Proposal) error) {
	for p := s.waiting.first; p != nil; {
		next := p.next
		if err := fail(p); err != nil {
			s.waiting.remove(p)
			s.complete(p, stageWaiting, core.LogID{}, nil, err)
		}
		p = next
	}
}

// propose gives the waiting ones to the engine, in batches of one expected term.
func (s *proposalsInCore) propose() {
	c := s.core
	for !s.waiting.empty() && s.held.appends() {
		expected := s.waiting.first.ExpectedTerm
		entries := make([]core.Entry, 0, min(s.waiting.length, proposeBatchMax))
		for p := s.waiting.first; p != nil && p.ExpectedTerm == expected && len(entries) < cap(entries); p = p.next {
			entries = append(entries, core.Entry{Kind: core.EntryCommand, Data: p.Data, Version: p.Version})
		}
		s.event = core.Propose{Entries: entries, Time: c.Env.WallTime(), ExpectedTerm: expected}
		c.engine.Step(c.now, &s.event, &c.out)
		c.readable.show(c.engine.Readable())
		c.showLeading()
		s.admitted(s.event.First, s.event.Admitted)
		clear(entries[s.event.Admitted:]) // the log keeps the array, and not these
		c.execute(&s.event)
		err := s.event.Err
		s.event = core.Propose{}
		if err != nil {
			s.notAdmitted(err, expected)
		}
	}
}

// admitted hands what was appended to the apply actor, before anything can make
// it apply them.
func (s *proposalsInCore) admitted(first core.LogID, count int) {
	if count == 0 {
		return
	}
	held := pendingProposals{first: first}
	for i := range count {
		p := s.waiting.popFront()
		if p.span.Traced() {
			id := core.LogID{Term: first.Term, Index: first.Index + core.Index(i)}
			observe.Admitted{Span: p.span, First: first, ID: id, Batch: count}.Tell(s.core.watch)
		}
		p.stage.Store(stageApply)
		held.proposals.push(p)
	}
	if s.core.apply.hold(held) {
		return
	}
	for !held.proposals.empty() {
		id, p := held.next()
		s.complete(p, stageApply, id, nil, &core.UnknownOutcomeError{Cause: s.core.stopCause()})
	}
}

// notAdmitted takes the reason why the first that waits was not admitted.
func (s *proposalsInCore) notAdmitted(err error, expected core.Term) {
	switch {
	case errors.Is(err, core.ErrOverloaded):
		observe.Overloaded{How: observe.OverloadLogFull}.Tell(s.core.watch)
		s.held.noRoom = true
	case errors.Is(err, core.ErrNotReady):
		s.failWaiting(func(p *Proposal) error {
			if p.FailWithoutLeader || p.isRemote() {
				return core.ErrNotReady
			}
			return nil
		})
		s.held.noRoom = true
	case errors.Is(err, core.ErrTransferring):
		// What other nodes have forwarded waits for the outcome here: sent back, it
		// would come again at once.
		s.failWaiting(func(p *Proposal) error {
			if p.FailWithoutLeader && !p.isRemote() {
				return core.ErrTransferring
			}
			return nil
		})
		s.held.noRoom = true
	case errors.As(err, new(*core.VersionError)):
		s.failWaiting(func(p *Proposal) error { return s.core.engine.WhyVersion(p.Version) })
	case errors.Is(err, core.ErrTermChanged):
		s.failWaiting(func(p *Proposal) error {
			if p.ExpectedTerm == expected {
				return err
			}
			return nil
		})
	default:
		// The step itself ended this node's leadership: Changed is in its
		// commands.
		s.held.noRoom = true
	}
}

// progress lets what had no room be tried again.
func (s *proposalsInCore) progress() { s.held.progress() }

// forward sends the waiting ones to the leader.
func (s *proposalsInCore) forward() {
	c := s.core
	to := c.changed.LeaderIdentity
	for !s.waiting.empty() && s.held.forwards() {
		m := &core.ProposeRequest{Header: c.seen.header(to)}
		s.batch = s.batch[:0]
		bytes, traced, most := 0, 0, s.messageBytesMax(m)
		for p := s.waiting.first; p != nil; p = p.next {
			if bytes += p.room.Bytes(); bytes > most && len(m.Proposals) > 0 {
				break
			}
			s.lastID++
			p.id = s.lastID
			span := observe.Forwarding{Span: p.span, To: to, Traced: traced}.Begin(c.watch)
			if span.Traced() {
				traced++
			}
			m.Proposals = append(m.Proposals, core.ForwardedProposal{ID: p.id, ExpectedTerm: p.ExpectedTerm, Data: p.Data, Version: p.Version, Trace: span.Context, Refuse: !p.WaitForRoom})
			s.batch = append(s.batch, p)
		}
		sent := c.network.Send(m)
		for _, p := range s.batch {
			observe.Forwarded{Span: p.span, Batch: len(s.batch), Taken: sent}.Tell(c.watch)
		}
		switch {
		case !sent && s.failTooLarge(m):
			continue
		case !sent:
			s.held.turnedDown = true // nothing left this node
			return
		}
		for _, p := range s.batch {
			s.waiting.remove(p)
			p.stage.Store(stageForwarded)
			p.sentTo, p.sentTerm = to, c.changed.Term
			s.byID[p.id] = p
			s.forwarded.pushBack(p)
		}
		observe.Passed{Proposals: len(s.batch)}.Tell(c.watch)
		clear(s.batch)
	}
}

// messageBytesMax bounds the proposals of a message: also by what the leader takes.
func (s *proposalsInCore) messageBytesMax(m *core.ProposeRequest) int {
	most := s.core.cfg.MessageBytesMax
	if takes := s.core.takes(m.To.ID, m.Class()); takes > 0 {
		most = min(most, takes-network.SizeBytes(m))
	}
	return most
}

// failTooLarge ends the first proposal of a message that was not sent, if it is the only
// one and larger than what the leader's network, or this node's, takes.
func (s *proposalsInCore) failTooLarge(m *core.ProposeRequest) bool {
	most := s.core.takes(m.To.ID, m.Class())
	over := network.SizeBytes(m) - most
	if most == 0 || over <= 0 || len(s.batch) != 1 {
		return false
	}
	p := s.batch[0]
	s.waiting.remove(p)
	size := len(p.Data)
	s.complete(p, stageWaiting, core.LogID{}, nil, &core.TooLargeError{Size: size, Max: size - over, Limit: core.LimitMessage, Node: m.To.ID})
	return true
}

// onChanged follows the leader.
func (s *proposalsInCore) onChanged() {
	s.held.progress()
	if s.core.changed.Role != core.RoleLeader {
		s.sendQueuedBack()
	}
	if c := s.core; c.changed.Leader != s.leader || c.changed.Term != s.term {
		s.leader, s.term, s.since = c.changed.Leader, c.changed.Term, c.now
		s.held.newLeader()
		for p := s.waiting.first; p != nil; p = p.next {
			observe.LeaderChanged{Span: p.span}.Tell(c.watch)
		}
	}
}

// onRequest takes proposals that another node forwarded.
func (s *proposalsInCore) onRequest(m *core.ProposeRequest) {
	c, h := s.core, m.Head()
	// Rule 27: h.Cluster is what the sender has proved, unless it introduces.
	if h.Introduces || h.Cluster != c.seen.cluster() || h.To != c.self {
		return
	}
	_, member := c.config.Configuration.Member(h.From)
	if !member {
		c.stepEngine(m) // rule 22: it tells one that was removed
	}
	observe.Passed{Proposals: len(m.Proposals), In: true}.Tell(c.watch)
	for i := range m.Proposals {
		f := &m.Proposals[i]
		p := &Proposal{Data: f.Data, Version: f.Version, ExpectedTerm: f.ExpectedTerm, NoForward: true, FailWithoutLeader: true, from: h.From, id: f.ID, watch: c.watch}
		p.stage.Store(stageCore)
		p.span = observe.ProposingFor{From: h.From, Bytes: len(f.Data), Trace: f.Trace}.Begin(c.watch)
		switch {
		case len(f.Data) > c.cfg.CommandBytesMax:
			s.results.add(p, core.LogID{}, nil, &core.TooLargeError{Size: len(f.Data), Max: c.cfg.CommandBytesMax})
		case !member || c.changed.Role != core.RoleLeader:
			s.results.add(p, core.LogID{}, nil, &core.NotLeaderError{Leader: c.changed.Leader, Term: c.changed.Term})
		default:
			s.admitRemote(p, !f.Refuse && s.mayQueue(p))
		}
	}
}

// onResponse takes what became of proposals that were forwarded.
func (s *proposalsInCore) onResponse(m *core.ProposeResponse) {
	for i := range m.Results {
		r := &m.Results[i]
		p := s.byID[r.ID]
		if p == nil || p.sentTo != m.From || m.Introduces || m.Cluster != s.core.seen.cluster() {
			continue
		}
		s.takeForwarded(p)
		observe.Answered{Span: p.span, Result: r}.Tell(s.core.watch)
		switch r.Code {
		case core.ResultApplied:
			s.complete(p, stageForwarded, r.LogID, r.Value, nil)
		case core.ResultNotLeader, core.ResultStopped:
			s.again(p, p.FailWithoutLeader, &core.NotLeaderError{Leader: s.core.changed.Leader, Term: s.core.changed.Term})
		case core.ResultOverloaded:
			s.again(p, !p.WaitForRoom, core.ErrOverloaded)
		default:
			s.complete(p, stageForwarded, r.LogID, nil, forwardedError(r, m.From.ID, len(p.Data)))
		}
	}
}

// again lets a proposal that was certainly not appended wait once more, or ends
// it.
func (s *proposalsInCore) again(p *Proposal, end bool, err error) {
	if end {
		s.complete(p, stageForwarded, core.LogID{}, nil, err)
		return
	}
	if p.sentTo.ID == s.core.changed.Leader {
		s.held.turnedDown = true
	}
	observe.Requeued{Span: p.span}.Tell(s.core.watch)
	p.stage.Store(stageWaiting)
	s.waiting.pushBack(p)
}

func (s *proposalsInCore) takeForwarded(p *Proposal) {
	delete(s.byID, p.id)
	s.forwarded.remove(p)
}

var (
	errConnectionLost = errors.New("the connection to the leader broke")
	errLeaderChanged  = errors.New("the leader changed, and the old one does not answer")
)

// onPeerDown: what a node was given over a connection that broke may or may not
// have been appended.
func (s *proposalsInCore) onPeerDown(node membership.NodeID) {
	s.failForwarded(errConnectionLost, func(p *Proposal) bool { return p.sentTo.ID == node })
}

func (s *proposalsInCore) failForwarded(cause error, which func(*Proposal) bool) {
	for p := s.forwarded.first; p != nil; {
		next := p.next
		if which(p) {
			s.takeForwarded(p)
			s.complete(p, stageForwarded, core.LogID{}, nil, &core.UnknownOutcomeError{Cause: cause})
		}
		p = next
	}
}

// cancel ends a proposal wherever it is.
func (s *proposalsInCore) cancel(p *Proposal) {
	switch p.stage.Load() {
	case stageCopy, stageCore:
		p.cancelled = true // it is on its way here
	case stageWaiting:
		s.waiting.remove(p)
		s.complete(p, stageWaiting, core.LogID{}, nil, context.Canceled)
	case stageForwarded:
		s.takeForwarded(p)
		s.complete(p, stageForwarded, core.LogID{}, nil, &core.UnknownOutcomeError{Cause: context.Canceled})
	case stageApply:
		p.cancelAppended()
	}
}

// complete returns the room of a proposal that the core holds, and ends it.
func (s *proposalsInCore) complete(p *Proposal, from uint32, id core.LogID, value []byte, err error) {
	if bytes := p.room.Bytes(); bytes > 0 {
		s.core.admission.Release(1, bytes)
	}
	if p.isRemote() {
		p.stage.Store(stageDone)
		s.results.add(p, id, value, err)
	} else if !p.finish(from, id, value, err) && from != stageApply {
		panic(fmt.Sprintf("a proposal at stage %d was to be completed from %d", p.stage.Load(), from))
	}
}

func (s *proposalsInCore) needsRetry() bool {
	return len(s.unsent.list) > 0 || s.held.holds() && !s.waiting.empty() || s.orphans()
}

// orphans reports whether anything was forwarded to a leadership that is over. The
// same node may lead again, with a group that was started anew and knows nothing
// of what the one before was given.
func (s *proposalsInCore) orphans() bool {
	return !s.forwarded.empty() && s.orphaned(s.forwarded.first)
}

func (s *proposalsInCore) orphaned(p *Proposal) bool {
	return p.sentTo.ID != s.leader || p.sentTerm != s.term
}

// onRetry tries again what the network or the leader would not take, and gives
// up what nobody answers any more.
func (s *proposalsInCore) onRetry() {
	c := s.core
	s.held.retry()
	patience := c.cfg.ElectionTimeout
	if c.now.Sub(s.since) >= patience {
		s.failForwarded(errLeaderChanged, s.orphaned)
	}
	s.unsent.retry(c.now, patience)
}

// finish answers everybody when the group stops.
func (s *proposalsInCore) finish(cause error) {
	for p := s.waiting.popFront(); p != nil; p = s.waiting.popFront() {
		s.complete(p, stageWaiting, core.LogID{}, nil, cause)
	}
	s.failForwarded(cause, func(*Proposal) bool { return true })
	s.results.send(s.core.answers)
}

// sizeOf is what a command counts where proposals are bounded in bytes.
func sizeOf(data []byte) int { return len(data) + core.EntryOverheadBytes }
