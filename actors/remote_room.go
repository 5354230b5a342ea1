package actors

import (
	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
)

// This file is about proposals of other nodes that find no room at the leader. They wait
// for it in one line with the leader's own, so that the clients of all nodes have turns.
// Sent back, they would find no room again as long as anybody waits here.

// mayQueue reports whether a proposal of another node may wait for room here: as many
// may as have room at a time. Others are sent back, and come again.
func (s *proposalsInCore) mayQueue(p *Proposal) bool {
	cfg := s.core.cfg
	return s.queued.length < cfg.InflightProposalsMax && (s.queued.empty() || s.queuedBytes+sizeOf(p.Data) <= cfg.InflightBytesMax)
}

// admitRemote takes room for a proposal of another node, or lets it wait.
func (s *proposalsInCore) admitRemote(p *Proposal, waits bool) {
	c := s.core
	if waits {
		// It may have its room, on the way to the inbox, before Acquire returns.
		s.queued.pushBack(p)
		s.queuedBytes += sizeOf(p.Data)
		p.stage.Store(stageRoom)
	}
	switch c.admission.Acquire(&p.room, p, sizeOf(p.Data), waits) {
	case admission.Granted:
		p.stage.Store(stageCore)
		s.accept(p)
		return
	case admission.Queued:
		observe.Overloaded{How: observe.OverloadWaited}.Tell(c.watch)
		return
	case admission.Closed:
		s.results.add(p, core.LogID{}, nil, c.stopCause())
	default:
		observe.Overloaded{How: observe.OverloadRefused}.Tell(c.watch)
		s.results.add(p, core.LogID{}, nil, core.ErrOverloaded)
	}
	s.unqueue(p)
}

// unqueue takes p out of those that wait for room here, if it is one of them.
func (s *proposalsInCore) unqueue(p *Proposal) {
	if p.list == &s.queued {
		s.queued.remove(p)
		s.queuedBytes -= sizeOf(p.Data)
	}
}

// endRoomless ends a proposal of another node that waited for room here, and gets none
// because the group ends.
func (s *proposalsInCore) endRoomless(p *Proposal) {
	s.unqueue(p)
	s.complete(p, stageRoom, core.LogID{}, nil, s.core.stopCause())
}

// sendQueuedBack lets the nodes whose proposals wait here for room ask the new leader.
// One that has just got its room is on its way to the core, which sends it back.
func (s *proposalsInCore) sendQueuedBack() {
	for p := s.queued.first; p != nil; {
		next := p.next
		if s.core.admission.Cancel(&p.room) {
			s.unqueue(p)
			s.complete(p, stageRoom, core.LogID{}, nil, &core.NotLeaderError{Leader: s.core.changed.Leader, Term: s.core.changed.Term})
		}
		p = next
	}
}
