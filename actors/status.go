package actors

import (
	"time"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Status is what a group says of itself: a value that shares nothing with the
// group, nor with any other status.
type Status struct {
	core.EngineStatus

	Group membership.GroupID
	Self  membership.Identity
	// LastContact is how long ago this node last heard of its leader: 0 on the
	// leader itself, -1 if it never did.
	LastContact time.Duration
	// LastQuorumContact is how long ago the newest round of heartbeats was begun that
	// a quorum has answered in this term, on the leader: -1 elsewhere, and if none was.
	LastQuorumContact time.Duration
	// LeaseLeft is for how long the leader's lease lasts, 0 without one. Where it is 0
	// on the leader, NoLease says why.
	LeaseLeft time.Duration
	// LeadingTerm is the term for which the application's function runs, 0 if it does not.
	// LeadingOverdue is how long ago its context ended, 0 while that lives.
	LeadingTerm    core.Term
	LeadingOverdue time.Duration
	// InflightProposals and InflightBytes are what was admitted here and is not
	// answered, and WaitingProposals what waits for room to be admitted.
	InflightProposals, InflightBytes, WaitingProposals int
	// Receiving is how far the snapshot has come that is being received: its TotalBytes
	// are 0 if none is.
	Receiving snapshots.Progress
	// Err is why the group has failed, nil if it has not.
	Err error
	// Stopped: the group runs no more.
	Stopped bool
}

// Status returns the group's state as of the end of the core's last burst of
// events, put together with what the streams and transfers say of themselves
// now. No actor is asked, and none is held up.
func (g *Group) Status() Status {
	s := g.StatusToRead()
	s.EngineStatus = s.Clone()
	return s
}

// StatusToRead is Status for those who only read it, or make a value of their
// own of it: what it refers to is the engine's or somebody else's too.
func (g *Group) StatusToRead() Status {
	if last := g.final.Load(); last != nil {
		s := *last
		s.LeadingTerm, s.LeadingOverdue = g.leading.status(instant(g.env))
		return s
	}
	s := Status{EngineStatus: g.seen.published.read(), Group: g.cfg.Group, Self: g.seen.self, LastContact: -1, LastQuorumContact: -1}
	// The core is told of these when it has use for them.
	applied, flushed := g.memoryLog.Progress()
	s.Applied, s.Flushed = max(s.Applied, applied), max(s.Flushed, min(flushed, s.Last))
	now := instant(g.env)
	switch {
	case s.Role == core.RoleLeader:
		s.LastContact = 0
		g.completeLeader(&s, now)
	case s.Heard != 0:
		s.LastContact = now.Sub(s.Heard)
	}
	s.LeadingTerm, s.LeadingOverdue = g.leading.status(now)
	s.InflightProposals, s.InflightBytes, s.WaitingProposals = g.admission.Figures()
	s.Receiving, _ = g.jobs.Receiving()
	for i := range s.Peers {
		g.completePeer(&s, &s.Peers[i], now)
	}
	return s
}

// figures is what a reader of metrics is told, unless the group has stopped.
func (g *Group) figures() (observe.Figures, bool) {
	s := g.StatusToRead()
	f := observe.Figures{
		EngineStatus: s.EngineStatus, Self: s.Self, LastContact: s.LastContact, LeadingTerm: s.LeadingTerm, LeadingOverdue: s.LeadingOverdue,
		InflightProposals: s.InflightProposals, InflightBytes: s.InflightBytes, WaitingProposals: s.WaitingProposals,
		MemoryLogBytes: g.memoryLog.Size(),
	}
	f.InflightReads, _ = g.reads.Inflight()
	if s.Flushed < s.Last {
		f.FlushLag = max(instant(g.env).Sub(g.seen.appendTimes.Appended(s.Flushed+1)), 0)
	}
	return f, !s.Stopped
}

// completeLeader fills in what goes on running between two bursts of the core.
func (g *Group) completeLeader(s *Status, now core.Instant) {
	if s.QuorumHeard != 0 {
		s.LastQuorumContact = max(now.Sub(s.QuorumHeard), 0)
	}
	s.LeaseLeft = max(s.Lease.Sub(now), 0)
	if s.LeaseLeft == 0 && s.NoLease == "" {
		s.NoLease = "it has run out: no quorum has answered lately"
	}
}

// completePeer fills in what the engine does not know of a peer.
func (g *Group) completePeer(s *Status, p *core.PeerStatus, now core.Instant) {
	p.LastContact = -1
	if p.Answered != 0 {
		p.LastContact = max(now.Sub(p.Answered), 0)
	}
	if p.CatchingUp {
		p.CatchUpAge, p.CatchUpIdle = max(now.Sub(p.CatchUpSince), 0), max(now.Sub(p.CatchUpProgress), 0)
	}
	p.SendErrors = g.node.network.refusals(g.cfg.Group, p.ID)
	for key, stream := range *g.streams.table.Load() {
		if key.peer == p.Identity {
			stream.figures.read(p)
		}
	}
	if p.Match < s.Last {
		p.LagEntries = uint64(s.Last - p.Match)
		p.Lag = max(now.Sub(g.seen.appendTimes.Appended(p.Match+1)), 0)
	}
	// The stream knows before the core that a snapshot has done its work: who
	// replicates waits for none.
	p.Snapshot = p.Snapshot && (p.Mode == core.StreamSnapshot || p.LacksMachine)
	p.SnapshotLeft = -1
	if p.Snapshot {
		if of, ok := g.jobs.Progress(p.Identity); ok {
			p.SnapshotBytes, p.SnapshotTotalBytes = of.Bytes, of.TotalBytes
			p.SnapshotBytesPerSecond, p.SnapshotLeft, p.SnapshotSparedBytes = of.BytesPerSecond, of.Left, of.SparedBytes
		}
	}
}

// Watch calls f with each new status, from an actor, until cancel. f must not
// block. What a status tells of streams and transfers may change without a call.
func (g *Group) Watch(f func(Status)) (cancel func()) {
	remove := g.seen.watchers.add(func(s Status) {
		s.EngineStatus = s.Clone() // the other watchers are told the same
		f(s)
	})
	g.core.inbox.attendWatchers(g.seen.watchers.some)
	return func() {
		remove()
		g.core.inbox.attendWatchers(g.seen.watchers.some)
	}
}

// publishLast publishes the status that a group that has ended keeps.
func (g *Group) publishLast(s *Status) {
	g.final.Store(s)
	g.seen.watchers.tell(*s)
}
