package core_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	. "github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
	"github.com/trouperaft/troupe/membership"
)

var (
	randomSeeds = flag.Int("random-seeds", 60, "how many schedules TestRandomSchedules runs")
	randomFirst = flag.Uint64("random-first", 1, "the first of them")
	randomTrace = flag.Bool("random-trace", false, "print what happens")
)

// randomCluster runs bare engines and streams in an order that a seed decides:
// no actors, no clock but its own. It is the fastest net for protocol bugs; the
// simulator of the real actors is the finest.
type randomCluster struct {
	t         *testing.T
	rand      *rand.Rand
	now       Instant
	nodes     []*randomNode
	links     map[randomLink][]Message
	down      map[[2]NodeID]bool
	committed []LogID
	leaders   map[Term]Identity
	proposed  int
	faulty    bool
	quiet     bool // nothing is proposed
	members   []membership.Member
	// pace is the longest step of the clock, in milliseconds.
	pace int
	// watch, if set, sees every command before it is carried out.
	watch func(n *randomNode, cmd Command)

	installs, crashes, truncations, transfers int
	requests                                  uint64
	// leases counts the steps in which somebody held a lease, acting those in which
	// the application might act.
	leases, acting int
}

// randomCounts tells whether the schedules did what they are for.
type randomCounts struct{ committed, elections, installs, crashes, truncations, transfers, leases, acting int }

type randomLink struct {
	from, to NodeID
	class    Class
	response bool
}

// randomNode is one life of a node, and its disk.
type randomNode struct {
	c        *randomCluster
	id       Identity
	alive    bool
	engine   *Engine
	out      Output
	timers   map[Timer]ArmTimer
	pending  []Write
	accepted randomLog // what the engine believes in
	disk     randomLog // what a crash leaves
	hard     HardState
	snapshot SnapshotMeta
	starts   int
	volatile bool
	applied  Index
	streams  map[Identity]*randomStream
	cfg      Config
	// events are the one that is being carried out and those that wait for it.
	events []Event
	// drift is by how many thousandths this node's clock is fast.
	drift Instant
}

func (n *randomNode) now() Instant { return n.c.now + n.c.now/1000*n.drift }

type randomStream struct {
	*stream.Stream
	peer   Identity
	id     uint64
	wanted *stream.Output
}

// randomLog holds the entries above base.
type randomLog struct {
	base    LogID
	entries []Entry
}

func (l *randomLog) last() LogID {
	if len(l.entries) == 0 {
		return l.base
	}
	return l.entries[len(l.entries)-1].LogID
}

func (l *randomLog) at(i Index) (Entry, bool) {
	if i <= l.base.Index || i > l.last().Index {
		return Entry{}, false
	}
	return l.entries[i-l.base.Index-1], true
}

func (l *randomLog) do(w *Write) {
	if w.Reset.Index > 0 {
		l.base, l.entries = w.Reset, nil
	}
	if w.TruncateFrom > 0 {
		l.entries = l.entries[: w.TruncateFrom-l.base.Index-1 : w.TruncateFrom-l.base.Index-1]
	}
	for _, e := range w.Append {
		if e.Index != l.last().Index+1 {
			panic(fmt.Sprintf("hole: %v after %v", e.LogID, l.last()))
		}
		l.entries = append(l.entries, e)
	}
	if w.Purge.Index > l.base.Index {
		l.entries = slices.Clone(l.entries[w.Purge.Index-l.base.Index:])
		l.base = w.Purge
	}
}

func (l *randomLog) clone() randomLog { return randomLog{l.base, slices.Clone(l.entries)} }

func TestRandomSchedules(t *testing.T) {
	var total randomCounts
	defer func() { t.Logf("%d seeds: %+v", *randomSeeds, total) }()
	for seed := *randomFirst; seed < *randomFirst+uint64(*randomSeeds); seed++ {
		if !runRandom(t, seed, &total) {
			t.Fatalf("replay with: go test ./core -run TestRandomSchedules -args -random-seeds=1 -random-first=%d -random-trace", seed)
		}
	}
	if total.acting == 0 && *randomSeeds >= 10 {
		t.Error("the application might never act")
	}
}

func runRandom(t *testing.T, seed uint64, counts *randomCounts) (ok bool) {
	r := rand.New(rand.NewPCG(seed, 7))
	c := &randomCluster{
		t: t, rand: r, now: Instant(time.Second), links: map[randomLink][]Message{}, down: map[[2]NodeID]bool{},
		leaders: map[Term]Identity{}, faulty: true, pace: 100 + r.IntN(500),
	}
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d: %v", seed, p)
		}
	}()
	size := []int{1, 3, 3, 3, 5}[r.IntN(5)]
	keep, every := uint64(r.IntN(20)), uint64(r.IntN(3)*10)
	priorities := [][]uint32{{0}, {membership.PriorityLast, 0, 200}, {1, 2, 3, 4}}[r.IntN(3)]
	var members []membership.Member
	for i := 1; i <= size; i++ {
		id := Identity{ID: NodeID(i), Incarnation: membership.Incarnation(100 + i)}
		members = append(members, membership.Member{Identity: id, Address: fmt.Sprint("n", i), Priority: priorities[r.IntN(len(priorities))]})
		// Rule 12: no two clocks or time-outs need to be equal.
		timeout := []time.Duration{1000, 1000, 1500, 2500}[r.IntN(4)] * time.Millisecond
		c.nodes = append(c.nodes, &randomNode{c: c, id: id, volatile: r.IntN(2) == 0, drift: Instant(r.IntN(101) - 50), cfg: Config{
			Group: 1, Self: id, Settings: Settings{
				ElectionTimeout: timeout, HeartbeatInterval: 100 * time.Millisecond, HungLimit: 3 * time.Second, ClockDriftMax: 0.1,
				UncommittedBytesMax: 1 << 20, KeepEntries: keep, KeepBytes: keep % 3 * 300, HoldBytesMax: keep * 100, HoldTimeMax: 10 * time.Second, SnapshotEntries: every,
			},
		}})
	}
	c.members = members
	for _, n := range c.nodes {
		n.start()
	}
	b := &Bootstrap{Cluster: ClusterOf(77), Members: members, AskLimit: time.Hour}
	c.nodes[0].step(b)
	if b.Err != nil {
		panic(b.Err)
	}
	for range 4000 {
		c.turn()
	}
	c.heal()
	counts.committed += len(c.committed)
	counts.elections += len(c.leaders)
	counts.installs += c.installs
	counts.crashes += c.crashes
	counts.truncations += c.truncations
	counts.transfers += c.transfers
	counts.leases += c.leases
	counts.acting += c.acting
	return !t.Failed()
}

func (c *randomCluster) trace(format string, args ...any) {
	if *randomTrace {
		fmt.Printf("%6dms "+format+"\n", append([]any{int64(c.now) / 1e6}, args...)...)
	}
}

// turn does one random thing.
func (c *randomCluster) turn() {
	n := c.nodes[c.rand.IntN(len(c.nodes))]
	switch p := c.rand.IntN(1000); {
	case p < 500:
		c.deliver()
	case p < 650:
		n.flush()
	case p < 800:
		n.pumpStreams()
	case p < 900:
		c.propose(n)
	case p < 905 && c.faulty:
		c.ask(n)
	case p < 970 || !c.faulty:
		c.advance(time.Duration(c.rand.IntN(c.pace)) * time.Millisecond)
	case p < 982:
		c.cut()
	case p < 987:
		clear(c.down)
	case n.alive && p < 992:
		n.crash()
	case !n.alive:
		n.start()
	}
}

// ask asks a node for an election, a transfer, a pause or a new term.
func (c *randomCluster) ask(n *randomNode) {
	if !n.alive {
		return
	}
	c.requests++
	switch c.rand.IntN(5) {
	case 0:
		n.step(&Elect{c.requests})
		if c.requests%3 == 0 {
			n.step(&ElectCancelled{ID: c.requests})
		}
	case 1:
		n.step(&PauseElections{c.rand.IntN(3) == 0})
	case 2:
		n.step(&RenewTerm{n.engine.Hard().Term})
	default:
		n.step(&TransferLeadership{ID: c.requests, To: NodeID(c.rand.IntN(len(c.nodes) + 1)), ByHand: c.rand.IntN(2) == 0})
	}
}

func (c *randomCluster) deliver() {
	var links []randomLink
	for l, q := range c.links {
		if len(q) > 0 && !c.down[[2]NodeID{l.from, l.to}] {
			links = append(links, l)
		}
	}
	if len(links) == 0 {
		return
	}
	slices.SortFunc(links, func(a, b randomLink) int {
		return int(a.from)*1000 + int(a.to)*100 + int(a.class)*2 + b2i(a.response) - int(b.from)*1000 - int(b.to)*100 - int(b.class)*2 - b2i(b.response)
	})
	l := links[c.rand.IntN(len(links))]
	m := c.links[l][0]
	c.links[l] = c.links[l][1:]
	to := c.nodes[l.to-1]
	if !to.alive {
		return
	}
	m = arrived(m, to.engine)
	c.trace("%d->%d %T %+v", l.from, l.to, m, m)
	if r, ok := m.(*AppendResponse); ok {
		for _, s := range to.streams {
			if s.id == r.Stream && s.peer == r.From {
				to.stepStream(s, stream.Answered{Response: r})
			}
		}
		return
	}
	to.step(m)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *randomCluster) advance(d time.Duration) {
	c.now = c.now.Add(d)
	for _, n := range c.nodes {
		for _, timer := range []Timer{TimerElection, TimerHeartbeat, TimerForming, TimerTransfer, TimerChange} {
			if at, ok := n.timers[timer]; ok && n.alive && at.At <= n.now() {
				delete(n.timers, timer)
				n.step(&TimerFired{timer, at.Generation})
			}
		}
	}
}

// cut breaks a link in one direction, and with it all that is on it.
func (c *randomCluster) cut() {
	a, b := c.nodes[c.rand.IntN(len(c.nodes))], c.nodes[c.rand.IntN(len(c.nodes))]
	if a == b {
		return
	}
	c.down[[2]NodeID{a.id.ID, b.id.ID}] = true
	c.lose(a.id.ID, b.id.ID)
}

func (c *randomCluster) lose(a, b NodeID) {
	for l := range c.links {
		if l.from == a && l.to == b || l.from == b && l.to == a {
			delete(c.links, l)
		}
	}
	for _, pair := range [][2]NodeID{{a, b}, {b, a}} {
		n := c.nodes[pair[0]-1]
		if !n.alive {
			continue
		}
		n.step(&PeerDown{Node: pair[1], Class: ClassControl})
		for _, s := range n.sortedStreams() {
			if s.peer.ID == pair[1] {
				n.stepStream(s, &stream.Down{})
			}
		}
	}
}

func (c *randomCluster) propose(n *randomNode) {
	if !n.alive || c.quiet {
		return
	}
	ev := &Propose{}
	for range 1 + c.rand.IntN(4) {
		c.proposed++
		ev.Entries = append(ev.Entries, Entry{Kind: EntryCommand, Data: []byte(fmt.Sprint(c.proposed))})
	}
	n.step(ev)
}

// heal ends all faults: the cluster must converge and commit something new.
func (c *randomCluster) heal() {
	// So slow a clock that heartbeats are delivered as fast as they come.
	c.faulty, c.pace = false, 60
	clear(c.down)
	for _, n := range c.nodes {
		if !n.alive {
			n.start()
		}
		n.step(&PauseElections{})
	}
	// A crash may have come before the first write was durable.
	c.nodes[0].step(&Bootstrap{Cluster: ClusterOf(77), Members: c.members, AskLimit: time.Hour})
	target := len(c.committed) + 1
	for range 60000 {
		c.turn()
		done := len(c.committed) > target
		for _, n := range c.nodes {
			done = done && n.applied >= Index(target)
		}
		if done {
			return
		}
	}
	for _, n := range c.nodes {
		fmt.Printf("%+v\n", n.engine.Status())
		for _, s := range n.sortedStreams() {
			fmt.Printf("   stream to %v: %+v\n", s.peer, s.Stream)
		}
	}
	panic("no convergence after all faults were healed")
}

func (n *randomNode) start() {
	n.starts++
	n.alive = true
	n.accepted = n.disk.clone()
	n.timers = map[Timer]ArmTimer{}
	n.streams = map[Identity]*randomStream{}
	n.pending = nil
	state := State{HardState: n.hard, Purged: n.disk.base, Last: n.disk.last(), Snapshot: n.snapshot}
	state.Sizes.Reset(n.disk.base.Index)
	state.Sizes.Append(n.disk.entries)
	before := n.disk.base.Term
	for i, e := range n.disk.entries {
		if i == 0 || e.Term != before {
			state.Terms = append(state.Terms, e.LogID)
		}
		before = e.Term
		if e.Kind == EntryConfiguration {
			configuration, err := membership.Decode(e.Data)
			if err != nil {
				panic(err)
			}
			state.Configurations = append(state.Configurations, ConfigurationAt{e.LogID, configuration})
		}
	}
	if n.volatile {
		n.applied = 0
	}
	if n.applied > 0 {
		state.Applied = n.c.committed[n.applied-1]
	}
	cfg := n.cfg
	cfg.Seed = n.c.rand.Uint64()
	cfg.Volatile = n.volatile
	if n.starts > 1 {
		cfg.QuietPeriod = cfg.ElectionTimeout
	}
	engine, err := NewEngine(cfg, state, n.now())
	if err != nil {
		panic(err)
	}
	n.c.trace("node %d starts: %+v", n.id.ID, state)
	n.engine = engine
	n.engine.Start(n.now(), &n.out)
	n.events = []Event{nil} // what comes of its commands waits until all are carried out
	n.carryOut()
	n.stepWaiting()
}

// crash loses what is not durable, but for a part of what was on its way.
func (n *randomNode) crash() {
	n.c.trace("node %d crashes", n.id.ID)
	n.alive = false
	n.c.crashes++
	for k := n.c.rand.IntN(len(n.pending) + 1); k > 0; k-- {
		n.persist()
	}
	for _, o := range n.c.nodes {
		if o != n {
			n.c.lose(n.id.ID, o.id.ID)
		}
	}
}

// persist makes the oldest pending write durable, without telling anybody.
func (n *randomNode) persist() *Write {
	w := n.pending[0]
	n.pending = n.pending[1:]
	if w.SaveHardState {
		n.hard = w.HardState
	}
	n.disk.do(&w)
	return &w
}

func (n *randomNode) flush() {
	if !n.alive || len(n.pending) == 0 {
		return
	}
	var then []Message
	var ioid IOID
	for k := 1 + n.c.rand.IntN(len(n.pending)); k > 0; k-- {
		w := n.persist()
		then = append(then, w.Then...)
		ioid = w.IOID
	}
	for _, m := range then {
		n.c.send(m)
	}
	n.step(&Flushed{ioid})
}

func (c *randomCluster) send(m Message) bool {
	h := m.Head()
	if c.down[[2]NodeID{h.From.ID, h.To.ID}] {
		return false
	}
	l := randomLink{h.From.ID, h.To.ID, m.Class(), m.Response()}
	if len(c.links[l]) > 64 {
		return false
	}
	c.links[l] = append(c.links[l], m)
	return true
}

// step gives the engine an event and carries out what it wants. What comes of that
// at once waits until all of it is carried out: commands have an order.
func (n *randomNode) step(ev Event) {
	n.events = append(n.events, ev)
	if len(n.events) > 1 {
		return
	}
	n.stepNow(ev)
	n.stepWaiting()
}

// stepWaiting goes on behind the event that was carried out.
func (n *randomNode) stepWaiting() {
	for n.events = n.events[1:]; len(n.events) > 0; n.events = n.events[1:] {
		n.stepNow(n.events[0])
	}
}

func (n *randomNode) stepNow(ev Event) {
	mayWait := MayWait(n.engine, ev)
	n.engine.Step(n.now(), ev, &n.out)
	if err := n.engine.CheckInvariants(); err != nil {
		panic(fmt.Sprintf("node %d after %T: %v", n.id.ID, ev, err))
	}
	if err := CheckWaited(n.engine, ev, mayWait, &n.out); err != nil {
		panic(err)
	}
	n.c.checkLeases()
	n.carryOut()
}

// checkLeases: rule 12: who holds a lease knows all that is committed, anywhere. Rule
// 14: nowhere else may the application act for a leader at the same time.
func (c *randomCluster) checkLeases() {
	var acts *randomNode
	for _, n := range c.nodes {
		if n.alive && n.engine.Leading().Term != 0 && n.now() < n.engine.Leading().Until {
			if acts != nil {
				panic(fmt.Sprintf("node %v may act in term %d, and node %v in term %d", acts.id, acts.engine.Hard().Term, n.id, n.engine.Hard().Term))
			}
			acts = n
			c.acting++
		}
		if !n.alive || n.now() >= n.engine.Readable().Lease {
			continue
		}
		c.leases++
		for _, o := range c.nodes {
			if o.alive && o.engine.CommitIndex() > n.engine.CommitIndex() {
				panic(fmt.Sprintf("node %v holds the lease of term %d until %v and has committed %d; node %v has %d in term %d",
					n.id, n.engine.Hard().Term, n.engine.Readable().Lease.Sub(n.now()), n.engine.CommitIndex(), o.id, o.engine.CommitIndex(), o.engine.Hard().Term))
			}
		}
	}
}

func (n *randomNode) carryOut() {
	commands := slices.Clone(n.out.Commands)
	n.out = Output{}
	for _, cmd := range commands {
		n.do(cmd)
	}
}

func (n *randomNode) do(cmd Command) {
	if n.c.watch != nil {
		n.c.watch(n, cmd)
	}
	switch cmd := cmd.(type) {
	case *Write:
		w := *cmd
		if w.TruncateFrom > 0 {
			n.c.truncations++
		}
		n.accepted.do(&w)
		n.pending = append(n.pending, w)
	case *Send:
		n.c.send(cmd.Message)
	case *ArmTimer:
		n.timers[cmd.Timer] = *cmd
	case *CancelTimer:
		delete(n.timers, cmd.Timer)
	case *StartStream:
		n.streams[cmd.Peer.Identity] = &randomStream{peer: cmd.Peer.Identity, id: cmd.Stream, Stream: stream.New(stream.Config{
			Start: *cmd, Group: 1, Cluster: n.engine.Hard().Cluster, Self: n.id, MessageBytesMax: 1 << 16,
			EntriesPerMessageMax: 1 + n.c.rand.IntN(8), InflightMessagesMax: 1 + n.c.rand.IntN(4), InflightBytesMax: 1 << 16,
		})}
	case *StopStream:
		delete(n.streams, cmd.Peer)
	case *Replicate:
		for _, s := range n.sortedStreams() {
			n.stepStream(s, &stream.Grown{Last: cmd.Last, Commit: cmd.Commit})
		}
	case *PeerAlive:
		if s := n.streams[cmd.Peer]; s != nil && s.id == cmd.Stream {
			n.stepStream(s, &stream.Alive{Match: cmd.Match, Sent: cmd.Sent})
		}
	case *Apply:
		n.apply(cmd.UpTo)
	case *BuildSnapshot:
		meta := SnapshotMeta{LogID: n.c.committed[n.applied-1], Cluster: ClusterOf(77), Configuration: n.engine.ConfigurationAt(n.applied)}
		n.snapshot = meta
		n.step(&SnapshotBuilt{Meta: meta})
	case *SendSnapshot:
		// The whole transfer happens at once, or not at all.
		to := n.c.nodes[cmd.Peer.ID-1]
		ok := to.alive && n.c.rand.IntN(3) > 0
		meta := n.snapshot
		if ok {
			head := Header{Group: 1, Cluster: ClusterOf(77), Introduces: cmd.Introduces, From: n.id, To: cmd.Peer.Identity, Term: cmd.Term}
			to.step(arrived(&SnapshotChunk{Header: head, Stream: cmd.Stream, Meta: meta, Done: true}, to.engine))
		}
		n.step(&SnapshotSent{Peer: cmd.Peer.Identity, Stream: cmd.Stream, LogID: meta.LogID, OK: ok})
		if s := n.streams[cmd.Peer.Identity]; s != nil && s.id == cmd.Stream {
			n.stepStream(s, &stream.SnapshotSent{LogID: meta.LogID, OK: ok})
		}
	case *ReceiveChunk:
		c := cmd.Chunk
		if c.Meta.Index > n.snapshot.Index {
			n.snapshot = c.Meta
		}
		n.step(&SnapshotReceived{c.Meta, c.From, c.Header.Term, c.Stream})
	case *InstallSnapshot:
		n.c.installs++
		n.applied = cmd.Meta.Index
		n.step(&SnapshotInstalled{cmd.Meta.LogID})
	case *Notice:
		n.c.trace("node %d: %+v", n.id.ID, *cmd)
		if cmd.Kind == NoticeTransferred {
			n.c.transfers++
		}
		if cmd.Kind == NoticeElected {
			if other, twice := n.c.leaders[cmd.Term]; twice && other != n.id {
				panic(fmt.Sprintf("nodes %v and %v were elected in term %d", other, n.id, cmd.Term))
			}
			n.c.leaders[cmd.Term] = n.id
		}
	}
}

// apply compares what is applied with what others applied: State Machine Safety.
func (n *randomNode) apply(upTo Index) {
	for n.applied < upTo {
		entry, ok := n.accepted.at(n.applied + 1)
		if !ok {
			panic(fmt.Sprintf("node %d is to apply %d, which its log lacks: %v..%v", n.id.ID, n.applied+1, n.accepted.base, n.accepted.last()))
		}
		n.applied++
		if int(n.applied) > len(n.c.committed) {
			n.c.committed = append(n.c.committed, entry.LogID)
		} else if n.c.committed[n.applied-1] != entry.LogID {
			panic(fmt.Sprintf("node %d applies %v where %v was applied", n.id.ID, entry.LogID, n.c.committed[n.applied-1]))
		}
	}
	if n.applied > 0 {
		n.step(&Applied{n.c.committed[n.applied-1]})
	}
}

func (n *randomNode) sortedStreams() []*randomStream {
	var list []*randomStream
	for _, s := range n.streams {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *randomStream) int { return a.peer.Compare(b.peer) })
	return list
}

func (n *randomNode) stepStream(s *randomStream, ev stream.Event) {
	var out stream.Output
	s.Step(n.now(), ev, &out)
	n.streamOutput(s, &out)
}

func (n *randomNode) streamOutput(s *randomStream, out *stream.Output) {
	if s.Match() >= s.Next() {
		panic(fmt.Sprintf("stream of node %d to %v: match %d >= next %d", n.id.ID, s.peer, s.Match(), s.Next()))
	}
	if out.Want {
		o := *out
		s.wanted = &o
	}
	if out.Matched > 0 {
		n.step(&Matched{s.peer, s.id, out.Matched})
	}
	if out.NeedSnapshot {
		n.step(&SnapshotNeeded{Peer: s.peer, Stream: s.id, Through: out.Through})
	}
	if out.LostData {
		panic(fmt.Sprintf("node %v is reported as having lost data, and no disk here loses any", s.peer))
	}
	if out.HigherTerm > 0 {
		n.step(&HigherTerm{s.peer, out.HigherTerm})
	}
	if out.Send != nil && n.streams[s.peer] == s {
		n.stepStream(s, &stream.Sent{OK: n.c.send(out.Send)})
	}
}

// pumpStreams answers the reads that streams wait for.
func (n *randomNode) pumpStreams() {
	if !n.alive {
		return
	}
	for _, s := range n.sortedStreams() {
		w := s.wanted
		if w == nil || n.streams[s.peer] != s {
			continue
		}
		s.wanted = nil
		read := &stream.Read{}
		if w.First-1 == n.accepted.base.Index {
			read.Prev = n.accepted.base
		} else if e, ok := n.accepted.at(w.First - 1); ok {
			read.Prev = e.LogID
		} else {
			read.Err = ErrCompacted
		}
		for i := w.First; i <= w.Last && read.Err == nil; i++ {
			if e, ok := n.accepted.at(i); ok {
				read.Entries = append(read.Entries, e)
			} else {
				read.Err = ErrCompacted
			}
		}
		n.stepStream(s, read)
	}
}
