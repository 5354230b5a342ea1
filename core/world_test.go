package core_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
	"github.com/trouperaft/troupe/membership"
)

// world is a cluster of bare engines and streams in which nothing happens by
// itself: messages, flushes, applies and the time of each node's clock move when
// a test says so. What happens is written down line by line.
type world struct {
	nodes  map[NodeID]*worldNode
	links  map[worldLink][]Message
	side   map[NodeID]int // nodes on different sides do not reach each other
	files  map[LogID][]string
	copies map[string]Message

	orders uint64 // changes of the members that were asked for

	text  strings.Builder
	quiet bool
	// What is known of the whole cluster, and must never be contradicted.
	committed map[Index]LogID
	led       map[Term]Identity
	limits    stream.Config
}

type worldLink struct{ from, to NodeID }

// worldNode is a node with its disk, which outlives its engine.
type worldNode struct {
	w      *world
	id     Identity
	cfg    Config
	up     bool
	now    Instant
	engine *Engine
	out    Output
	timers map[Timer]ArmTimer
	events []Event

	writes   []Write
	accepted worldLog
	disk     worldLog

	machine    []string
	applied    LogID
	applyTo    Index
	snapshot   SnapshotMeta
	building   bool
	installing *SnapshotMeta
	streams    map[Identity]*worldStream
	transfers  map[Identity]uint64 // snapshots on the way: the stream of each
	reads      uint64
}

type worldStream struct {
	*stream.Stream
	id   uint64
	peer Identity
}

// worldLog is a hard state and a log: what is accepted, or what is on the disk.
type worldLog struct {
	hard    HardState
	commit  Index
	purged  LogID
	entries []Entry
}

func newWorld() *world {
	return &world{
		nodes: map[NodeID]*worldNode{}, links: map[worldLink][]Message{}, side: map[NodeID]int{}, files: map[LogID][]string{},
		copies: map[string]Message{}, committed: map[Index]LogID{}, led: map[Term]Identity{},
		limits: stream.Config{MessageBytesMax: 1 << 20, EntriesPerMessageMax: 64, InflightMessagesMax: 64, InflightBytesMax: 1 << 20},
	}
}

func (w *world) printf(format string, args ...any) {
	if !w.quiet {
		fmt.Fprintf(&w.text, format+"\n", args...)
	}
}

// fail stops the script: what it shows must never happen.
func (w *world) fail(format string, args ...any) { panic(fmt.Sprintf("world: "+format, args...)) }

func (w *world) ids() []NodeID { return slices.Sorted(maps.Keys(w.nodes)) }

func (w *world) addNode(id NodeID, cfg Config) *worldNode {
	n := &worldNode{w: w, id: WorldIdentity(id), cfg: cfg, now: Instant(time.Second)}
	w.nodes[id] = n
	return n
}

func (l *worldLog) last() LogID {
	if n := len(l.entries); n > 0 {
		return l.entries[n-1].LogID
	}
	return l.purged
}

func (l *worldLog) at(i Index) *Entry {
	if i <= l.purged.Index || i > l.last().Index {
		return nil
	}
	return &l.entries[i-l.purged.Index-1]
}

func (l *worldLog) clone() worldLog {
	c := *l
	c.entries = slices.Clone(l.entries)
	return c
}

// do carries out a write.
func (l *worldLog) do(w *Write) {
	if w.SaveHardState {
		l.hard = w.HardState
	}
	if w.Reset.Index != 0 {
		l.purged, l.entries = w.Reset, nil
	}
	if w.TruncateFrom != 0 {
		l.entries = slices.Clone(l.entries[:w.TruncateFrom-l.purged.Index-1])
	}
	if len(w.Append) > 0 {
		if w.Append[0].Index != l.last().Index+1 {
			panic(fmt.Sprintf("world: a hole: %v after %v", w.Append[0].LogID, l.last()))
		}
		l.entries = append(l.entries, w.Append...)
	}
	if w.Purge.Index != 0 {
		l.entries = slices.Clone(l.entries[w.Purge.Index-l.purged.Index:])
		l.purged = w.Purge
	}
	l.commit = max(l.commit, w.Commit)
}

// state is what Load would return.
func (n *worldNode) state() State {
	l := &n.disk
	s := State{HardState: l.hard, Commit: l.commit, Purged: l.purged, Last: l.last(), Snapshot: n.snapshot}
	if !n.cfg.Volatile {
		s.Applied = n.applied
	}
	s.Terms = RunsOf(l.purged, l.entries)
	s.Sizes.Reset(l.purged.Index)
	s.Sizes.Append(l.entries)
	for i := range l.entries {
		if l.entries[i].Kind == EntryConfiguration {
			c, err := membership.Decode(l.entries[i].Data)
			if err != nil {
				panic(err)
			}
			s.Configurations = append(s.Configurations, ConfigurationAt{l.entries[i].LogID, c})
		}
	}
	return s
}

func (n *worldNode) start() {
	state := n.state()
	engine, err := NewEngine(n.cfg, state, n.now)
	if err != nil {
		n.w.printf("%d: %v", n.id.ID, err)
		return
	}
	n.engine, n.up = engine, true
	n.timers, n.streams, n.writes, n.events = map[Timer]ArmTimer{}, map[Identity]*worldStream{}, nil, nil
	n.transfers = map[Identity]uint64{}
	n.accepted = n.disk.clone()
	if n.cfg.Volatile {
		n.machine, n.applied = nil, LogID{}
	}
	n.applyTo, n.building, n.installing = n.applied.Index, false, nil
	n.out.Reset()
	n.engine.Start(n.now, &n.out)
	n.carryOut()
}

// crash loses what is not on the disk, and what is on the connections.
func (n *worldNode) crash() {
	n.up = false
	for _, id := range n.w.ids() {
		if id != n.id.ID {
			n.w.breakLink(n.id.ID, id)
		}
	}
}

// breakLink loses what is on the way between two nodes and tells both.
func (w *world) breakLink(a, b NodeID) {
	w.links[worldLink{a, b}], w.links[worldLink{b, a}] = nil, nil
	for _, end := range [][2]NodeID{{a, b}, {b, a}} {
		n := w.nodes[end[0]]
		if !n.up {
			continue
		}
		for _, class := range []Class{ClassControl, ClassBulk} {
			n.step(&PeerDown{Node: end[1], Class: class})
		}
		for _, s := range n.sortedStreams() {
			if s.peer.ID == end[1] {
				n.stepStream(s, &stream.Down{})
				if stream, ok := n.transfers[s.peer]; ok {
					n.snapshotSent(s.peer, stream, LogID{}, false)
				}
			}
		}
		n.drain()
	}
}

func (w *world) reaches(a, b NodeID) bool {
	to, known := w.nodes[b]
	return known && to.up && w.side[a] == w.side[b]
}

// send puts a message on its link, or loses it.
func (w *world) send(m Message) bool {
	h := m.Head()
	if !w.reaches(h.From.ID, h.To.ID) {
		return false
	}
	link := worldLink{h.From.ID, h.To.ID}
	w.links[link] = append(w.links[link], m)
	return true
}

// step gives the engine an event and carries out what it wants.
func (n *worldNode) step(ev Event) {
	if !n.up {
		return
	}
	n.out.Reset()
	n.engine.Step(n.now, ev, &n.out)
	n.carryOut()
	n.drain()
}

// drain steps through what the node told itself.
func (n *worldNode) drain() {
	for n.up && len(n.events) > 0 {
		ev := n.events[0]
		n.events = n.events[1:]
		n.step(ev)
	}
}

func (n *worldNode) carryOut() {
	for _, c := range n.out.Commands {
		switch c.(type) {
		case *ArmTimer, *CancelTimer, *PeerAlive, *Replicate:
			// They are the subject of exact tests; here they would hide the story.
		default:
			n.w.printf("  %d: %s%s", n.id.ID, PrintCommand(c, n.now), n.lost(c))
		}
		n.do(c)
	}
	if err := n.engine.CheckInvariants(); err != nil {
		n.w.fail("node %d: %v", n.id.ID, err)
	}
	n.checkCommitted()
}

func (n *worldNode) lost(c Command) string {
	if s, ok := c.(*Send); ok && !n.w.reaches(n.id.ID, s.Message.Head().To.ID) {
		return " (lost)"
	}
	return ""
}

// checkCommitted is State Machine Safety (Raft 5.4.3) and Leader Completeness.
func (n *worldNode) checkCommitted() {
	commit := n.engine.CommitIndex()
	for i := n.accepted.purged.Index + 1; i <= min(commit, n.accepted.last().Index); i++ {
		id := n.accepted.at(i).LogID
		if known, ok := n.w.committed[i]; ok && known != id {
			n.w.fail("node %d commits %v where %v was committed", n.id.ID, id, known)
		}
		n.w.committed[i] = id
	}
	if n.engine.Role() == RoleLeader {
		for i, id := range n.w.committed {
			if e := n.accepted.at(i); i > n.accepted.purged.Index && (e == nil || e.LogID != id) {
				// Only what an older leader committed must be there.
				if id.Term < n.engine.Hard().Term {
					n.w.fail("node %d leads T%d without the committed %v", n.id.ID, n.engine.Hard().Term, id)
				}
			}
		}
	}
}

func (n *worldNode) do(c Command) {
	switch c := c.(type) {
	case *Write:
		n.accepted.do(c)
		n.writes = append(n.writes, *c)
	case *Send:
		n.w.send(c.Message)
	case *StartStream:
		cfg := n.w.limits
		cfg.Start, cfg.Group, cfg.Cluster, cfg.Self = *c, n.cfg.Group, n.engine.Hard().Cluster, n.id
		n.streams[c.Peer.Identity] = &worldStream{stream.New(cfg), c.Stream, c.Peer.Identity}
	case *StopStream:
		delete(n.streams, c.Peer)
	case *Replicate:
		for _, s := range n.sortedStreams() {
			n.stepStream(s, &stream.Grown{Last: c.Last, Commit: c.Commit})
		}
	case *PeerAlive:
		if s := n.streams[c.Peer]; s != nil && s.id == c.Stream {
			n.stepStream(s, &stream.Alive{Match: c.Match, Sent: c.Sent})
		}
	case *Apply:
		n.applyTo = c.UpTo
	case *ArmTimer:
		n.timers[c.Timer] = *c
	case *CancelTimer:
		delete(n.timers, c.Timer)
	case *BuildSnapshot:
		n.building = true
	case *SendSnapshot:
		n.sendSnapshot(c)
	case *ReceiveChunk:
		n.receiveSnapshot(c.Chunk)
	case *InstallSnapshot:
		m := c.Meta
		n.installing = &m
	case *Changed:
		if c.Role == RoleLeader {
			if other, ok := n.w.led[c.Term]; ok && other != n.id {
				n.w.fail("nodes %v and %v lead T%d", other, n.id, c.Term)
			}
			n.w.led[c.Term] = n.id
		}
	}
}

func (n *worldNode) sortedStreams() []*worldStream {
	return slices.SortedFunc(maps.Values(n.streams), func(a, b *worldStream) int { return cmp.Compare(a.peer.ID, b.peer.ID) })
}

// stepStream steps a stream and does at once what it asks for.
func (n *worldNode) stepStream(s *worldStream, ev stream.Event) {
	var out stream.Output
	for ev != nil {
		s.Step(n.now, ev, &out)
		if s.Match() >= s.Next() {
			n.w.fail("stream of node %d to %d: match %d, next %d", n.id.ID, s.peer.ID, s.Match(), s.Next())
		}
		if out.Matched > 0 {
			n.events = append(n.events, &Matched{s.peer, s.id, out.Matched})
		}
		if out.NeedSnapshot {
			n.events = append(n.events, &SnapshotNeeded{Peer: s.peer, Stream: s.id, Through: out.Through})
		}
		if out.LostData {
			n.events = append(n.events, &LostData{s.peer, s.id})
		}
		if out.HigherTerm > 0 {
			n.events = append(n.events, &HigherTerm{s.peer, out.HigherTerm})
		}
		switch {
		case out.Send != nil:
			ok := n.w.send(out.Send)
			if ok {
				n.w.printf("  %d: send ->%d %s", n.id.ID, s.peer.ID, PrintMessage(out.Send))
			}
			ev = &stream.Sent{OK: ok}
		case out.Want:
			ev = n.read(out.First, out.Last, out.BytesMax)
		default:
			ev = nil
		}
	}
}

func (n *worldNode) read(first, last Index, bytesMax int) *stream.Read {
	r := &stream.Read{}
	switch e := n.accepted.at(first - 1); {
	case e != nil:
		r.Prev = e.LogID
	case first-1 == n.accepted.purged.Index:
		r.Prev = n.accepted.purged
	case first-1 < n.accepted.purged.Index:
		return &stream.Read{Err: ErrCompacted}
	default:
		return &stream.Read{Err: ErrLogChanged}
	}
	for i := first; i <= last; i++ {
		e := n.accepted.at(i)
		if e == nil {
			return &stream.Read{Err: ErrLogChanged}
		}
		if len(r.Entries) > 0 && SizeOf(r.Entries)+e.Size() > bytesMax {
			break
		}
		r.Entries = append(r.Entries, *e)
	}
	return r
}

// flush makes the oldest write durable; what waited for it leaves.
func (n *worldNode) flush() bool {
	if !n.up || len(n.writes) == 0 {
		return false
	}
	w := n.writes[0]
	n.writes = n.writes[1:]
	n.disk.do(&w)
	n.w.printf("%d flushed write %d", n.id.ID, w.IOID)
	for _, m := range w.Then {
		lost := ""
		if !n.w.send(m) {
			lost = " (lost)"
		}
		n.w.printf("  %d: send ->%d %s%s", n.id.ID, m.Head().To.ID, PrintMessage(m), lost)
	}
	n.step(&Flushed{w.IOID})
	return true
}

// apply lets the machine catch up with what it was told to apply.
func (n *worldNode) apply() bool {
	if !n.up || n.installing != nil || n.applyTo <= n.applied.Index {
		return false
	}
	for i := n.applied.Index + 1; i <= n.applyTo; i++ {
		e := n.accepted.at(i)
		if e == nil {
			n.w.fail("node %d was told to apply %d, which its log %v does not hold", n.id.ID, i, n.accepted.last())
		}
		if e.Kind == EntryCommand {
			n.machine = append(n.machine, string(e.Data))
		}
		n.applied = e.LogID
	}
	n.w.printf("%d applied to %d", n.id.ID, n.applied.Index)
	n.step(&Applied{n.applied})
	return true
}

func (n *worldNode) built() bool {
	if !n.up || !n.building {
		return false
	}
	n.building = false
	at := n.engine.ConfigurationAt(n.applied.Index)
	meta := SnapshotMeta{LogID: n.applied, Cluster: n.engine.Hard().Cluster, Configuration: at, SizeBytes: 1}
	n.snapshot = meta
	n.w.files[n.applied] = slices.Clone(n.machine)
	n.w.printf("%d built snapshot %v", n.id.ID, meta.LogID)
	n.step(&SnapshotBuilt{Meta: meta})
	return true
}

func (n *worldNode) sendSnapshot(c *SendSnapshot) {
	m := &SnapshotChunk{
		Header: Header{Group: n.cfg.Group, Cluster: n.engine.Hard().Cluster, Introduces: c.Introduces, From: n.id, To: c.Peer.Identity, Term: c.Term},
		Stream: c.Stream, Transfer: 1, Meta: n.snapshot, Done: true,
	}
	n.transfers[c.Peer.Identity] = c.Stream
	if !n.w.send(m) {
		n.snapshotSent(c.Peer.Identity, c.Stream, LogID{}, false)
	}
}

func (n *worldNode) snapshotSent(peer Identity, of uint64, id LogID, ok bool) {
	delete(n.transfers, peer)
	n.events = append(n.events, &SnapshotSent{Peer: peer, Stream: of, LogID: id, OK: ok})
	if s := n.streams[peer]; s != nil && s.id == of {
		n.stepStream(s, &stream.SnapshotSent{LogID: id, OK: ok})
	}
}

// receiveSnapshot stores a snapshot, which always comes in one piece.
func (n *worldNode) receiveSnapshot(m *SnapshotChunk) {
	n.snapshot = m.Meta
	n.w.send(&SnapshotResponse{Header: n.engine.HeaderTo(m.From), Stream: m.Stream, Transfer: m.Transfer, Offset: m.Meta.SizeBytes})
	n.events = append(n.events, &SnapshotReceived{m.Meta, m.From, m.Header.Term, m.Stream})
}

func (n *worldNode) installed() bool {
	if !n.up || n.installing == nil {
		return false
	}
	m := n.installing
	n.installing = nil
	n.machine, n.applied = slices.Clone(n.w.files[m.LogID]), m.LogID
	n.applyTo = max(n.applyTo, m.Index)
	n.w.printf("%d installed snapshot %v", n.id.ID, m.LogID)
	n.step(&SnapshotInstalled{m.LogID})
	return true
}

// arrived is m as a network gives it to who belongs to a cluster by now: its sender
// has proved the id, so it introduces no more (rule 29).
func arrived(m Message, e *Engine) Message {
	h := *m.Head()
	if !h.Introduces || h.Cluster != e.Hard().Cluster {
		return m
	}
	h.Introduces = false
	return WithHeader(m, h)
}

// receive hands an arrived message to whom it is for.
func (n *worldNode) receive(m Message) {
	switch m := arrived(m, n.engine).(type) {
	case *AppendResponse:
		if s := n.streams[m.From]; s != nil && s.id == m.Stream && m.To == n.id {
			n.stepStream(s, stream.Answered{Response: m})
			n.drain()
		}
	case *SnapshotResponse:
		if _, ok := n.transfers[m.From]; ok {
			n.snapshotSent(m.From, m.Stream, n.snapshot.LogID, !m.Refused)
			n.drain()
		}
	default:
		n.step(m.(Event))
	}
}

// advance lets time pass for some nodes alike and fires what comes due, in order.
func (w *world) advance(ids []NodeID, d time.Duration) {
	for {
		var next *worldNode
		var which Timer
		wait := d
		for _, id := range ids {
			n := w.nodes[id]
			for _, timer := range []Timer{TimerElection, TimerHeartbeat, TimerForming, TimerTransfer, TimerChange} {
				if a, ok := n.timers[timer]; ok && n.up && (next == nil && a.At.Sub(n.now) <= wait || a.At.Sub(n.now) < wait) {
					next, which, wait = n, timer, max(a.At.Sub(n.now), 0)
				}
			}
		}
		for _, id := range ids {
			w.nodes[id].now = w.nodes[id].now.Add(wait)
		}
		d -= wait
		if next == nil {
			return
		}
		next.fire(which)
	}
}

func (n *worldNode) fire(timer Timer) {
	a := n.timers[timer]
	delete(n.timers, timer)
	deadline := n.engine.Deadline(timer)
	if deadline != 0 && deadline <= n.now {
		n.w.printf("%d %v timer", n.id.ID, timer)
	}
	n.step(&TimerFired{timer, a.Generation})
}

// stabilize does, without the clock, all that can be done among some nodes.
func (w *world) stabilize(ids []NodeID) {
	for round := 0; ; round++ {
		if round == 500 {
			w.fail("the cluster does not come to rest")
		}
		moved := false
		for _, id := range ids {
			n := w.nodes[id]
			for n.flush() {
				moved = true
			}
			moved = n.installed() || moved
			moved = n.apply() || moved
			moved = n.built() || moved
		}
		for _, from := range ids {
			for _, to := range ids {
				moved = w.deliver(from, to, func(Message) bool { return true }, -1) || moved
			}
		}
		if !moved {
			return
		}
	}
}

// deliver hands over, of what is on a link now, at most so many messages.
func (w *world) deliver(from, to NodeID, match func(Message) bool, most int) bool {
	link := worldLink{from, to}
	waiting := w.links[link]
	w.links[link] = nil
	var kept []Message
	delivered := false
	for _, m := range waiting {
		if most == 0 || !match(m) {
			kept = append(kept, m)
			continue
		}
		most--
		delivered = true
		w.printf("%d->%d: %s", from, to, PrintMessage(m))
		w.nodes[to].receive(m)
	}
	w.links[link] = append(kept, w.links[link]...)
	return delivered
}
