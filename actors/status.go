package actors

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/actors/observe"
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
	// InflightProposals and InflightBytes are what was admitted here and is not
	// answered, and WaitingProposals what waits for room to be admitted.
	InflightProposals, InflightBytes, WaitingProposals int
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
		return *last
	}
	s := Status{EngineStatus: g.board.read(), Group: g.cfg.Group, Self: g.node.identity, LastContact: -1}
	// The core is told of these when it has use for them.
	applied, flushed := g.tail.progress()
	s.Applied, s.Flushed = max(s.Applied, applied), max(s.Flushed, min(flushed, s.Last))
	now := instant(g.env)
	switch {
	case s.Role == core.RoleLeader:
		s.LastContact = 0
	case s.Heard != 0:
		s.LastContact = now.Sub(s.Heard)
	}
	s.InflightProposals, s.InflightBytes, s.WaitingProposals = g.credits.figures()
	for i := range s.Peers {
		g.completePeer(&s, &s.Peers[i], now)
	}
	return s
}

// figures is what a reader of metrics is told, unless the group has stopped.
func (g *Group) figures() (observe.Figures, bool) {
	s := g.StatusToRead()
	f := observe.Figures{
		EngineStatus: s.EngineStatus, Self: s.Self, LastContact: s.LastContact,
		InflightProposals: s.InflightProposals, InflightBytes: s.InflightBytes, WaitingProposals: s.WaitingProposals,
		InflightReads: int(g.readsInflight.Load()), TailBytes: g.tail.size(),
	}
	if s.Flushed < s.Last {
		f.FlushLag = max(instant(g.env).Sub(g.growth.appended(s.Flushed+1)), 0)
	}
	return f, !s.Stopped
}

// completePeer fills in what the engine does not know of a peer.
func (g *Group) completePeer(s *Status, p *core.PeerStatus, now core.Instant) {
	p.LastContact = -1
	if p.Answered != 0 {
		p.LastContact = max(now.Sub(p.Answered), 0)
	}
	p.SendErrors = g.node.network.refusals(g.cfg.Group, p.ID)
	for key, stream := range *g.streams.Load() {
		if key.peer == p.Identity {
			stream.figures.read(p)
		}
	}
	if p.Match < s.Last {
		p.LagEntries = uint64(s.Last - p.Match)
		p.Lag = max(now.Sub(g.growth.appended(p.Match+1)), 0)
	}
	// The stream knows before the core that a snapshot has done its work: who
	// replicates waits for none.
	p.Snapshot = p.Snapshot && p.Mode == core.StreamSnapshot
	for _, sender := range *g.senders.Load() {
		if p.Snapshot && sender.key.peer == p.Identity {
			p.SnapshotBytes, p.SnapshotTotalBytes = sender.figures.sent.Load(), sender.figures.total.Load()
		}
	}
}

// Watch calls f with each new status, from an actor, until cancel. f must not
// block. What a status tells of streams and transfers may change without a call.
func (g *Group) Watch(f func(Status)) (cancel func()) {
	remove := g.watchers.add(func(s Status) {
		s.EngineStatus = s.Clone() // the other watchers are told the same
		f(s)
	})
	g.core.inbox.attendWatchers(g.watchers.some)
	return func() {
		remove()
		g.core.inbox.attendWatchers(g.watchers.some)
	}
}

// publish makes the engine's state at the end of a burst the group's. Watchers
// are told if it says anything new; while nobody watches nothing is allocated.
//
// Who begins to watch looks at the status afterwards. So the state is put up
// first, and watchers are looked for behind it: one of the two sees the other.
func (c *coreActor) publish() {
	g := c.group
	before, now := g.board.put(c.engine.StatusInto)
	g.growth.note(before, now, c.now)
	if g.watchers.some() && now.Differs(before) {
		g.watchers.tell(g.StatusToRead())
	}
}

// publishLast puts up the status that a group that has ended keeps.
func (g *Group) publishLast(s *Status) {
	g.final.Store(s)
	g.watchers.tell(*s)
}

// board is where the core puts up what the engine says of itself. There are two
// sheets, one of which hangs; the core writes the other one and changes them,
// which is all that happens under the lock.
type board struct {
	mu     sync.Mutex
	hangs  *core.EngineStatus
	spare  *core.EngineStatus
	sheets [2]core.EngineStatus
}

// put lets write fill a sheet and hangs it up. It returns the sheet that hung
// before and the new one: the core may read both until the next put.
func (b *board) put(write func(*core.EngineStatus)) (before, now *core.EngineStatus) {
	if b.hangs == nil {
		b.hangs, b.spare = &b.sheets[0], &b.sheets[1]
	}
	write(b.spare)
	b.mu.Lock()
	b.hangs, b.spare = b.spare, b.hangs
	b.mu.Unlock()
	return b.spare, b.hangs
}

// read copies what hangs. Room is made outside the lock.
func (b *board) read() core.EngineStatus {
	var waitsFor []core.Waiting
	peers := make([]core.PeerStatus, 0, 8)
	for {
		b.mu.Lock()
		s := *b.hangs
		fits := len(s.Peers) <= cap(peers) && len(s.WaitsFor) <= cap(waitsFor)
		if fits {
			peers, waitsFor = append(peers, s.Peers...), append(waitsFor, s.WaitsFor...)
		}
		b.mu.Unlock()
		if fits {
			s.Peers, s.WaitsFor = peers, waitsFor
			return s
		}
		peers, waitsFor = make([]core.PeerStatus, 0, len(s.Peers)), make([]core.Waiting, 0, len(s.WaitsFor))
	}
}

// streamFigures are what a stream lets others see. Its actor alone writes.
type streamFigures struct {
	mode, messages, bytes atomic.Int64
	match                 atomic.Uint64
	// toPeer are the bytes that streams of all groups have on their way to the
	// peer's node, onTheWay those of this stream.
	toPeer   *atomic.Int64
	onTheWay atomic.Int64
}

func (f *streamFigures) put(s *core.Stream) {
	messages, bytes := s.Inflight()
	onTheWay := int64(s.OnTheWay())
	f.toPeer.Add(onTheWay - f.onTheWay.Swap(onTheWay))
	f.mode.Store(int64(s.Mode()))
	f.messages.Store(int64(messages))
	f.bytes.Store(int64(bytes))
	f.match.Store(uint64(s.Match()))
}

// end takes what the stream had on its way out of the sum.
func (f *streamFigures) end() {
	f.toPeer.Add(-f.onTheWay.Swap(0))
}

func (f *streamFigures) read(p *core.PeerStatus) {
	p.Mode = core.StreamMode(f.mode.Load())
	p.InflightMessages, p.InflightBytes = int(f.messages.Load()), int(f.bytes.Load())
	// The core may not have been told of it yet.
	p.Match = max(p.Match, core.Index(f.match.Load()))
}

// transferFigures are how far a snapshot's transfer has come, in bytes. The
// sender alone writes.
type transferFigures struct{ sent, total atomic.Uint64 }

func (f *transferFigures) put(sent, total uint64) {
	f.sent.Store(sent)
	f.total.Store(total)
}
