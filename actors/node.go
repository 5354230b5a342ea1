package actors

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/disk"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/claim"
	"github.com/trouperaft/troupe/internal/replica"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
)

// Node is what groups share: the log actor of the store, the network, budgets.
// Its methods are safe for concurrent use.
type Node struct {
	cfg       NodeConfig
	env       stage.Environment
	logger    *slog.Logger
	identity  membership.Identity
	log       *disk.LogActor
	network   *outbox
	observed  *observe.Node
	admission *admission.Room[*Proposal]
	gate      *snapshots.Gate
	holds     holds
	inflight  sync.Map // membership.NodeID -> *atomic.Int64
	// unreachable is why nodes cannot be reached now by a control connection. The
	// network says so once, and a group may ask later (coreActor.dial).
	unreachable sync.Map // membership.NodeID -> error
	// reached is where peers were reached in this life, for groups that start later.
	reached sync.Map // membership.NodeID -> *core.PeerAddress
	// table routes messages; it is replaced as a whole.
	table atomic.Pointer[groupTable]

	// replicas say under which keys the stores have the groups: store and snapshots are
	// those of cfg by groups, and cfg's own have the keys.
	replicas  replica.Replicas
	store     storage.LogStore
	snapshots storage.SnapshotStore

	keeper   *disk.Keeper
	promises *disk.Promises
	// wall is what the clocks said when the node was made.
	wall core.WallClock
	// release gives up the claim on the store.
	release func()

	mu sync.Mutex
	// starting are groups that are being started, lived those that ever ran in
	// this process: they may have given promises.
	starting map[membership.GroupID]bool
	lived    map[membership.GroupID]bool
	stopping bool
	stopped  bool
	// unstarted: the network could not be started.
	unstarted bool
	lost      error // the store's failure
	waiting   []func()
}

// groupTable is the groups, by id and in the order of their ids.
type groupTable struct {
	byID    map[membership.GroupID]*Group
	ordered []*Group
}

// NewNode starts the network with the store's identity. It fails if the store
// belongs to another node.
func NewNode(cfg NodeConfig) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	header := cfg.Store.Header()
	if header.Node != cfg.ID {
		return nil, fmt.Errorf("actors: NodeConfig.ID is %d, and the store belongs to node %d", cfg.ID, header.Node)
	}
	// The store is the node's until its last call has returned (rule 28). In another
	// environment than production's a node's process may be over without a word.
	release, running := func() {}, new(atomic.Pointer[Node])
	if cfg.Environment == nil {
		var err error
		if release, err = claim.Take(cfg.Store, func() error { return stillRunning(running.Load(), cfg.ID) }); err != nil {
			return nil, err
		}
	}
	n, err := newNode(cfg, header)
	if err != nil {
		release()
		return nil, err
	}
	n.release = release
	running.Store(n)
	n.keeper.Begin()
	n.log.Start()
	local := network.Local{Identity: n.identity, StartCounter: header.StartCounter, Nonce: n.env.Rand()}
	if err := n.network.Start(local, n.knownPeers(), handler{n}); err != nil {
		n.unstarted = true
		n.giveUp()
		return nil, err
	}
	return n, nil
}

// giveUpPatience is for how long NewNode waits for a node that it could not start.
const giveUpPatience = time.Second

// giveUp ends a node whose network could not be started, and waits a moment for that: who
// tries again finds the store free, unless a call in it hangs. Then it stays the node's
// (rule 28).
func (n *Node) giveUp() {
	ended := make(chan struct{}, 2)
	tell := func() { ended <- struct{}{} }
	n.mu.Lock()
	n.waiting = append(n.waiting, tell)
	n.mu.Unlock()
	n.log.Stop()
	if n.cfg.Environment != nil {
		return // nobody may wait there
	}
	timer := n.env.AfterFunc(giveUpPatience, tell)
	defer timer.Stop()
	<-ended
}

// newNode makes a node of which nothing runs yet.
func newNode(cfg NodeConfig, header storage.Header) (*Node, error) {
	out := &outbox{Network: cfg.Network}
	cfg.Network = out
	n := &Node{
		cfg: cfg, network: out, env: cfg.Environment,
		identity:  membership.Identity{ID: header.Node, Incarnation: header.Incarnation},
		starting:  make(map[membership.GroupID]bool),
		lived:     make(map[membership.GroupID]bool),
		admission: admission.New[*Proposal](admission.Limits{EntriesMax: cfg.InflightProposalsMax, BytesMax: cfg.InflightBytesMax}, nil, nil),
	}
	if n.env == nil {
		n.env = stage.Production()
	}
	n.wall = core.WallClock{Time: n.env.WallTime(), At: instant(n.env)}
	observing := observe.Config{
		Environment: n.env, Node: cfg.ID, Logger: cfg.Logger, Tracing: cfg.Tracing,
		Meter: cfg.Meter, MeterFoldsGroups: cfg.MeterFoldsGroups, MeterGroupHistograms: cfg.MeterGroupHistograms,
	}
	observing.LinesDropped = linesDropped(out.Network, cfg.Store, cfg.Snapshots)
	observed, err := observe.New(observing)
	if err != nil {
		return nil, err
	}
	n.observed, n.logger, out.watch = observed, observed.Watch().Logger(), observed.Watch()
	n.holds.bytesMax, n.holds.nearlyFull = cfg.HoldBytesMax, nearlyFull(cfg.Store)
	n.promises = disk.NewPromises(cfg.Store, header.Promise)
	n.table.Store(&groupTable{})
	n.gate = snapshots.NewGate(n.env, snapshots.Limits{
		SendsMax: cfg.SnapshotSendsMax, ReceivesMax: cfg.SnapshotReceivesMax, BytesPerSecond: cfg.SnapshotBytesPerSecond,
		Written: func() stage.Instant { return n.log.CommandsAt() },
	})
	n.store, n.snapshots = n.replicas.Log(cfg.Store), n.replicas.Snapshots(cfg.Snapshots)
	n.log = disk.NewLogActor(disk.LogNeeds{
		Env: n.env, Watch: observed.Watch(), Store: n.store, Network: cfg.Network,
		Exclusive: n.promises.Exclusive, StoreFailed: n.storeFailed, Ended: n.logEnded,
	})
	n.keeper = disk.NewKeeper(disk.KeeperNeeds{
		Env: n.env, Watch: observed.Watch(), Store: cfg.Store, Promises: n.promises,
		Failed: n.storeFailed, Ended: n.keeperEnded,
	}, header)
	return n, nil
}

// nearlyFull asks a store whether it will refuse writes soon.
func nearlyFull(store storage.LogStore) func() bool {
	if f, ok := store.(storage.Filling); ok {
		return f.NearlyFull
	}
	return func() bool { return false }
}

// linesDropped counts the lines that were lost by those which have logs of their own.
func linesDropped(network, store, snapshots any) func() int64 {
	var logging []storage.Logging
	for _, one := range []any{network, store, snapshots} {
		if l, logs := one.(storage.Logging); logs {
			logging = append(logging, l)
		}
	}
	return func() (lost int64) {
		for _, l := range logging {
			lost += l.LinesDropped()
		}
		return lost
	}
}

// knownPeers are those that earlier lives of the node have kept.
func (n *Node) knownPeers() []network.Peer {
	var known []network.Peer
	for _, p := range n.cfg.Store.Peers() {
		known = append(known, network.Peer{Local: network.Local{Identity: p.Identity, StartCounter: p.StartCounter, Nonce: p.Nonce}, Address: p.Address})
	}
	return known
}

// Identity returns the node and the incarnation of its store.
func (n *Node) Identity() membership.Identity { return n.identity }

// SetSnapshotRate changes, from now on, how many bytes a second are sent of the snapshots
// of all groups together; 0 sets no limit but that beside writes.
func (n *Node) SetSnapshotRate(bytesPerSecond uint64) { n.gate.SetRate(bytesPerSecond) }

// SnapshotRate returns that limit.
func (n *Node) SnapshotRate() uint64 { return n.gate.Rate() }

// Start starts a group. It reads the disk, on the caller's goroutine. It fails
// with an error that wraps core.ErrCorrupt if what is stored contradicts itself.
func (n *Node) Start(ctx context.Context, cfg GroupConfig) (*Group, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if limits := n.cfg.Store.Limits(); cfg.CommandBytesMax > limits.EntryBytesMax {
		return nil, fmt.Errorf("actors: GroupConfig.CommandBytesMax %d is above what the store takes, %d", cfg.CommandBytesMax, limits.EntryBytesMax)
	}
	again, err := n.reserve(cfg.Group)
	if err != nil {
		return nil, err
	}
	ended := false
	defer func() {
		if !ended { // the store or the machine panicked
			_ = n.publish(cfg.Group, nil, core.ErrStopped)
		}
	}()
	begun := n.recover(ctx, cfg.Group)
	g, err := n.load(ctx, cfg, again, begun)
	ended = true
	begun.ended(g, err)
	if err := n.publish(cfg.Group, g, err); err != nil {
		return nil, err
	}
	return g, nil
}

// reserve keeps others from starting the group, and reports whether it has
// already run in this process.
func (n *Node) reserve(group membership.GroupID) (again bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.stopping:
		return false, core.ErrStopped
	case n.lost != nil:
		return false, &core.FatalError{Cause: n.lost}
	case n.starting[group]:
		return false, fmt.Errorf("actors: group %d is being started", group)
	}
	if g := n.table.Load().byID[group]; g != nil {
		return false, g.StillRunning()
	}
	n.starting[group] = true
	return n.lived[group], nil
}

// publish ends a reservation: messages are routed to the group from now on, and
// it begins to live.
func (n *Node) publish(group membership.GroupID, g *Group, err error) error {
	n.mu.Lock()
	delete(n.starting, group)
	switch {
	case err != nil:
	case n.stopping:
		err = core.ErrStopped
	case n.lost != nil:
		err = &core.FatalError{Cause: n.lost}
	}
	if err != nil {
		n.mu.Unlock()
		n.stopLogWhenLast()
		return err
	}
	n.lived[group] = true
	g.watch.Open(g.core.engine.Progress(), g.figures)
	n.network.SetCluster(group, g.seen.cluster())
	g.begin()
	n.route(func(groups []*Group) []*Group { return append(groups, g) })
	n.mu.Unlock()
	n.reached.Range(func(_, ev any) bool {
		g.core.put(ev.(*core.PeerAddress))
		return true
	})
	return nil
}

// route replaces the table. The lock is held.
func (n *Node) route(change func([]*Group) []*Group) {
	t := &groupTable{byID: make(map[membership.GroupID]*Group)}
	t.ordered = change(slices.Clone(n.table.Load().ordered))
	slices.SortFunc(t.ordered, func(a, b *Group) int { return cmp.Compare(a.cfg.Group, b.cfg.Group) })
	for _, g := range t.ordered {
		t.byID[g.cfg.Group] = g
	}
	n.table.Store(t)
}

// remove ends the routing to a group that has ended.
func (n *Node) remove(g *Group) {
	n.mu.Lock()
	n.route(func(groups []*Group) []*Group {
		return slices.DeleteFunc(groups, func(o *Group) bool { return o == g })
	})
	n.mu.Unlock()
	n.stopLogWhenLast()
}

// Stop stops all groups, as Group.Stop does, then the log actor and the network;
// then it calls done. Later calls call done when the first has ended. Abandon lets it
// wait for no call, as Group.Abandon does.
func (n *Node) Stop(done func()) {
	n.mu.Lock()
	if n.stopped {
		n.mu.Unlock()
		done()
		return
	}
	n.waiting = append(n.waiting, done)
	begun := n.stopping
	n.stopping = true
	n.mu.Unlock()
	if begun {
		return
	}
	groups := n.table.Load().ordered
	for _, g := range groups {
		g.Stop(func(error) {})
	}
	if len(groups) == 0 {
		n.stopLogWhenLast()
	}
}

func (n *Node) stopLogWhenLast() {
	n.mu.Lock()
	// Who is starting a group reads the store, which may be closed afterwards.
	last := n.stopping && len(n.table.Load().ordered) == 0 && len(n.starting) == 0
	n.mu.Unlock()
	if last {
		n.log.Stop()
	}
}

// logEnded is the end of the node.
func (n *Node) logEnded() {
	if n.unstarted {
		n.keeper.Stop()
		return
	}
	var err error
	n.env.Do(&stage.Call{
		Kind: calls.Close,
		Run:  func() { err = n.cfg.Network.Close() },
		Done: func() { n.closed(err) },
	})
}

func (n *Node) closed(err error) {
	if err != nil {
		n.logger.Warn("the network did not close", slog.Any("error", err))
	}
	n.keeper.Stop()
}

// keeperEnded lets what was observed be handed on, which is the last thing that a
// node does. The store may have another.
func (n *Node) keeperEnded() {
	n.release()
	n.observed.Close(n.ended)
}

func (n *Node) ended() {
	n.mu.Lock()
	n.stopped = true
	waiting := n.waiting
	n.waiting = nil
	n.mu.Unlock()
	for _, done := range waiting {
		done()
	}
}

// whyUnreachable returns why a node cannot be reached now by a control connection,
// nil if it can.
func (n *Node) whyUnreachable(node membership.NodeID) error {
	if cause, down := n.unreachable.Load(node); down {
		return cause.(error)
	}
	return nil
}

// inflightTo is the sum of what all groups' streams have on their way to a node,
// in bytes.
func (n *Node) inflightTo(node membership.NodeID) *atomic.Int64 {
	sum, found := n.inflight.Load(node)
	if !found {
		sum, _ = n.inflight.LoadOrStore(node, new(atomic.Int64))
	}
	return sum.(*atomic.Int64)
}

// storeFailed stops every group on the store (rule 6).
func (n *Node) storeFailed(cause error) {
	cause = fmt.Errorf("actors: the log store has failed: %w", cause)
	n.mu.Lock()
	n.lost = cause
	n.mu.Unlock()
	for _, g := range n.table.Load().ordered {
		g.fail(cause)
	}
}

// handler is the node as its network sees it. Nothing in it blocks.
type handler struct{ n *Node }

// Receive routes a message to its group.
func (h handler) Receive(from membership.Identity, m core.Message) {
	observe.TakenIn{Message: m}.Tell(h.n.observed.Watch())
	head := m.Head()
	g := h.n.table.Load().byID[head.Group]
	if g == nil || !head.From.SameStore(from) {
		return
	}
	if pin := g.cfg.Cluster; !pin.IsZero() && !head.Cluster.IsZero() && head.Cluster != pin {
		return // the group may belong to one cluster only
	}
	g.receive(m)
}

// Connected needs little: streams learn of life by answers.
func (h handler) Connected(peer membership.Identity, class core.Class) {
	if class == core.ClassControl {
		h.n.unreachable.Delete(peer.ID)
	}
}

// Learned has it kept.
func (h handler) Learned(p network.Peer) { h.n.keeper.Learned(p) }

// Reached implements network.Reaching: it tells every group.
func (h handler) Reached(peer membership.Identity, address string) {
	ev := &core.PeerAddress{Peer: peer, Address: address}
	h.n.reached.Store(peer.ID, ev)
	for _, g := range h.n.table.Load().ordered {
		g.core.put(ev)
	}
}

// Outlived stops this node for good.
func (h handler) Outlived(by membership.Identity) { h.n.keeper.Outlived(by) }

// Disconnected tells every group.
func (h handler) Disconnected(node membership.NodeID, class core.Class, cause error) {
	h.n.logger.Debug("disconnected", slog.Uint64("peer", uint64(node)), slog.String("class", class.String()), slog.Any("cause", cause))
	if class == core.ClassControl && cause != nil {
		h.n.unreachable.Store(node, cause)
	}
	for _, g := range h.n.table.Load().ordered {
		g.core.put(&core.PeerDown{Node: node, Class: class, Cause: cause})
	}
}
