package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/disk"
	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/replica"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
)

// load reads what the node holds of a group and makes its actors. They do not
// run yet.
func (n *Node) load(ctx context.Context, cfg GroupConfig, again bool, begun recovery) (*Group, error) {
	if err := n.promises.Raise(ctx, cfg.ElectionTimeout); err != nil {
		return nil, fmt.Errorf("actors: the lease promise could not be recorded: %w", err)
	}
	begun.read(observe.PartPromise)
	state, self, err := n.loadState(ctx, cfg, begun)
	if err != nil {
		return nil, err
	}
	appliedTime, dated, err := n.appliedTime(ctx, cfg, &state)
	if err != nil {
		return nil, err
	}
	engine, err := core.NewEngine(n.engineConfig(cfg, self, again), state, instant(n.env))
	if err != nil {
		return nil, err
	}
	g := n.newGroup(cfg, self, begun.watch, &state)
	g.wire(engine, &state, appliedTime)
	g.apply.undated = !dated
	return g, nil
}

// newGroup makes a group without its actors.
func (n *Node) newGroup(cfg GroupConfig, self membership.Identity, watch *observe.Watch, state *core.State) *Group {
	g := &Group{node: n, cfg: cfg, env: n.env, watch: watch}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.work, g.cancelTheWork = context.WithCancel(g.ctx)
	g.life.done = make(chan struct{})
	g.seen.group, g.seen.self = cfg.Group, self
	g.seen.setCluster(state.HardState.Cluster)
	g.seen.term.Store(uint64(state.HardState.Term))
	g.admission = admission.New(admission.Limits{EntriesMax: cfg.InflightProposalsMax, BytesMax: cfg.InflightBytesMax}, n.admission, g.enter)
	g.reads = newReadRoom(cfg.InflightProposalsMax, g.enterRead)
	g.readable.env = g.env
	g.memoryLog = memlog.New(cfg.LogCacheBytesMax, state.Purged, state.Last, state.Applied.Index)
	if cfg.OnLeading != nil {
		g.leading = &leading{
			env: g.env, watch: watch, call: cfg.OnLeading, patience: cfg.ElectionTimeout, notify: g.tell,
			put: func(item any) bool { return g.core.put(item) },
		}
	}
	g.log = &disk.GroupLog{Group: cfg.Group, MemoryLog: g.memoryLog, Watch: watch, Known: state.HardState.Cluster}
	return g
}

// wire makes the group's actors, and gives each what it needs of the others.
func (g *Group) wire(engine *core.Engine, state *core.State, appliedTime int64) {
	n, life := g.node, home{stage.Home{Env: g.env, Failed: g.fail, Ended: g.memberEnded}, g.watch}
	net, takes := n.cfg.Network, n.messageBytesMaxTo
	answers := &resultSender{
		header: g.seen.header, bytesMax: g.cfg.MessageBytesMax, takes: takes, send: net.Send,
		unsent: func(m *core.ProposeResponse) { g.core.put(&refusedResults{m}) },
	}
	log := n.log
	removal := snapshots.NewRemoval(n.snapshots, g.cfg.Group, g.watch)
	removal.Keep(g.cfg.KeepSnapshots, state.Snapshot.Index)
	g.core = newCoreActor(coreNeeds{
		home: life, cfg: &g.cfg, self: g.seen.self, network: n.network, takes: takes, unreachable: n.whyUnreachable,
		write: func(w *core.Write) { log.Write(g.log, w) }, storeBusy: log.BusySince,
		memoryLog: g.memoryLog, holds: &n.holds, seen: &g.seen, status: g.StatusToRead, notify: g.tell,
		admission: g.admission, underWay: g.reads, readable: &g.readable, leading: g.leading, answers: answers, closed: g.coreClosed, stopCause: g.stopCause,
	}, engine)
	g.apply = newApplyActor(applyNeeds{
		home: life, group: g.cfg.Group, machine: g.cfg.StateMachine, ctx: g.ctx, work: g.work,
		memoryLog: g.memoryLog, store: n.store, files: n.snapshots, removal: removal, cluster: g.seen.cluster,
		admission: g.admission, underWay: g.reads, readable: &g.readable, answers: answers, core: g.core, stopCause: g.stopCause,
		version: storage.VersionOf(g.cfg.StateMachine), entriesMax: g.cfg.ApplyBatchEntriesMax, bytesMax: g.cfg.ApplyBatchBytesMax,
	}, state.Applied, appliedTime, engine.ConfigurationAt(state.Applied.Index))
	g.streams = newStreams(replicationNeeds{
		home: life, cfg: &g.cfg, self: g.seen.self, cluster: g.seen.cluster, memoryLog: g.memoryLog, store: n.store,
		send: net.Send, takes: takes, toPeer: n.inflightTo, core: g.core,
	}, g.spawn)
	g.jobs = snapshots.NewJobs(&snapshots.Group{
		Home: life.Home, ID: g.cfg.Group, Self: g.seen.self, Cluster: g.seen.cluster, Header: g.seen.header,
		Watch: g.watch, Store: n.snapshots, Network: net, Takes: takes, Recycle: recyclingOf(n.network.Network), Gate: n.gate, Context: g.work, Removal: removal,
		ChunkBytes: g.cfg.SnapshotChunkBytes, ElectionTimeout: g.cfg.ElectionTimeout,
		Core: func(ev core.Event) { g.core.put(ev) }, Tell: g.tell, Spawn: g.spawn, OwnFiles: sealedFilesOf(g.cfg.StateMachine),
	})
	g.core.apply, g.core.streams, g.core.jobs = g.apply, g.streams, g.jobs
	g.log.Flushed = g.core.inbox.noteFlushed
	g.seen.published.put(engine.StatusInto)
}

// recyclingOf returns what takes back the data of a snapshot's piece, nil if nobody does.
func recyclingOf(net network.Network) func([]byte) {
	if recycling, is := net.(network.Recycling); is {
		return recycling.Recycle
	}
	return nil
}

// sealedFilesOf returns what tells a machine's own files, nil if it has none.
func sealedFilesOf(machine storage.StateMachine) func() []storage.File {
	m, ofFiles := machine.(storage.FileMachine)
	if !ofFiles {
		return nil
	}
	return func() []storage.File { return m.SealedFiles() }
}

// recovery is what is observed of a group's start.
type recovery struct {
	watch *observe.Watch
	span  observe.Span
}

func (n *Node) recover(ctx context.Context, group core.GroupID) recovery {
	w := n.observed.Group(group)
	return recovery{w, observe.Recovering{Ctx: ctx}.Begin(w)}
}

// read tells what was read.
func (r recovery) read(part observe.Part) {
	observe.Recovered{Span: r.span, Part: part}.Tell(r.watch)
}

// ended tells how the start has ended.
func (r recovery) ended(g *Group, err error) {
	started := observe.Started{Span: r.span, Err: err}
	if g != nil {
		status := g.StatusToRead()
		started.Last = core.LogID{Term: core.Term(g.seen.term.Load()), Index: status.Last}
		if status.LacksMachine {
			r.watch.Logger().Warn("what the log has purged is not here any more: this node waits for a snapshot of its leader", slog.Uint64("purged", uint64(status.Purged)), slog.Uint64("applied", uint64(status.Applied)))
		}
	}
	started.Tell(r.watch)
}

// begin spawns the core and the apply actor, and starts the engine before
// anything else reaches it.
func (g *Group) begin() {
	g.spawn(&g.apply.Shell)
	g.spawn(&g.core.Shell)
	g.core.put(&startEngine{})
}

func (n *Node) loadState(ctx context.Context, cfg GroupConfig, begun recovery) (core.State, membership.Identity, error) {
	stored, generation, err := replica.Load(ctx, n.cfg.Store, cfg.Group)
	if err != nil {
		return core.State{}, membership.Identity{}, fmt.Errorf("actors: group %d could not be loaded: %w", cfg.Group, err)
	}
	begun.read(observe.PartLog)
	n.replicas.Set(cfg.Group, generation)
	self := n.identity.Replica(generation)
	n.removeSnapshots(ctx, cfg.Group, generation)
	snapshot, err := n.snapshots.Newest(ctx, cfg.Group)
	if errors.Is(err, core.ErrCorrupt) {
		// Whether it is missed the engine decides by what the log holds.
		begun.watch.Logger().Error("no snapshot is good", slog.Any("error", err))
		snapshot, err = core.SnapshotMeta{}, nil
	}
	if err != nil {
		return core.State{}, self, fmt.Errorf("actors: the snapshots of group %d could not be read: %w", cfg.Group, err)
	}
	record, err := n.loadRecord(ctx, cfg, begun)
	if err != nil {
		return core.State{}, self, err
	}
	begun.read(observe.PartSnapshot)
	if err := checkPin(cfg, &stored, &snapshot, &record); err != nil {
		return core.State{}, self, err
	}
	applied, err := cfg.StateMachine.Applied()
	if err != nil {
		return core.State{}, self, fmt.Errorf("actors: the state machine of group %d could not be read: %w", cfg.Group, err)
	}
	begun.read(observe.PartMachine)
	return core.State{
		HardState: stored.HardState, Commit: stored.Commit, Purged: stored.Purged, Last: stored.Last,
		LastTime: stored.LastTime, Terms: stored.Terms, Sizes: stored.Sizes, Configurations: stored.Configurations,
		Snapshot: snapshot, Record: record, Applied: applied, Peers: n.keptPeers(&snapshot),
	}, self, nil
}

// keptPeers are the nodes that this one has had to do with, each once: of several
// incarnations it is the last whose address is known. A snapshot tells of more, also one
// that is of no other use.
func (n *Node) keptPeers(snapshot *core.SnapshotMeta) []membership.Member {
	var kept []membership.Member
	for _, p := range n.cfg.Store.Peers() {
		m := membership.Member{Identity: p.Identity, Address: p.Address}
		switch last := len(kept) - 1; {
		case p.ID == n.cfg.ID:
		case last < 0 || kept[last].ID != p.ID:
			kept = append(kept, m)
		case p.Address != "":
			kept[last] = m
		}
	}
	for _, m := range reachable(&snapshot.Configuration.Configuration) {
		if m.ID != n.cfg.ID && !slices.ContainsFunc(kept, func(o membership.Member) bool { return o.ID == m.ID }) {
			kept = append(kept, m)
		}
	}
	return kept
}

// checkPin refuses the data of another cluster than the configuration names.
func checkPin(cfg GroupConfig, stored *storage.State, snapshot, record *core.SnapshotMeta) error {
	have := stored.HardState.Cluster
	if cfg.Cluster.IsZero() || have.IsZero() || have == cfg.Cluster {
		return nil
	}
	last := &snapshot.Configuration.Configuration
	if record.Index > snapshot.Index {
		last = &record.Configuration.Configuration
	}
	if n := len(stored.Configurations); n > 0 {
		last = &stored.Configurations[n-1].Configuration
	}
	why := ""
	if core.RecoveredFrom(last, cfg.Cluster) {
		why = ", of which it was recovered: the new cluster's id is to be pinned"
	}
	return fmt.Errorf("actors: group %d belongs to cluster %v here, and is pinned to %v%s", cfg.Group, have, cfg.Cluster, why)
}

// appliedTime finds the time of the entry applied last, for the next snapshot; known is
// false if nothing tells it any more.
func (n *Node) appliedTime(ctx context.Context, cfg GroupConfig, s *core.State) (time int64, known bool, err error) {
	switch i := s.Applied.Index; {
	case i == 0:
		return 0, true, nil
	case i == s.Snapshot.Index:
		return s.Snapshot.Time, true, nil
	case i == s.Record.Index:
		return s.Record.Time, true, nil
	case i <= s.Purged.Index || i > s.Last.Index:
		return 0, false, nil
	case i == s.Last.Index:
		return s.LastTime, true, nil
	default:
		entries, err := n.store.Read(ctx, cfg.Group, i, i, 1)
		if err != nil {
			return 0, false, fmt.Errorf("actors: entry %d, applied last, could not be read: %w", i, err)
		}
		return entries[0].Time, true, nil
	}
}

func (n *Node) engineConfig(cfg GroupConfig, self membership.Identity, again bool) core.Config {
	return core.Config{
		Group: cfg.Group, Self: self, Seed: n.env.Rand(),
		Settings:              cfg.Settings,
		QuietPeriod:           n.quietPeriod(cfg.ElectionTimeout, again),
		Wall:                  n.wall,
		ClockStops:            n.env.ClockStops(),
		ConfigurationBytesMax: n.configurationBytesMax(&cfg),
		MachineVersion:        storage.VersionOf(cfg.StateMachine),
		Volatile:              storage.IsVolatile(cfg.StateMachine),
		Records:               n.records(cfg),
	}
}

// configurationBytesMax is what an entry of the store and a message of the
// network hold, of which the latter may carry a piece of a snapshot too.
func (n *Node) configurationBytesMax(cfg *GroupConfig) int {
	most := n.cfg.Store.Limits().EntryBytesMax
	if message := n.cfg.Network.MessageBytesMax(); message > 0 {
		most = min(most, message-max(cfg.SnapshotChunkBytes, cfg.MessageBytesMax)-configurationRoomBytes)
	}
	return max(most, 1)
}

// messageBytesMaxTo is the largest request of a class that can be sent to a node, as far as
// is known, 0 if any.
func (n *Node) messageBytesMaxTo(node membership.NodeID, class core.Class) int {
	return network.MessageBytesMaxTo(n.network.Network, node, class)
}

// configurationRoomBytes is what the rest of a message may take.
const configurationRoomBytes = 1 << 10

// quietPeriod is for how long a lease promise of an earlier life may be alive:
// of the store's last opening, or of the group's last run in this process (rule
// 13).
func (n *Node) quietPeriod(electionTimeout time.Duration, again bool) time.Duration {
	header := n.cfg.Store.Header()
	switch {
	case again:
		return max(n.promises.Alive(), electionTimeout)
	case header.StartCounter == 1:
		return 0
	}
	return max(header.Promise, electionTimeout)
}
