package troupe

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/metric"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/tracing"
)

// NodeConfig is what the groups of one node share. The zero value of a field
// that is not required stands for its default.
type NodeConfig struct {
	// ID is the node's id, the one for which Log was opened. Required.
	ID NodeID
	// Network reaches the other nodes. Required. It must not be started yet: the node
	// starts it, and closes it when the node stops.
	Network Network
	// Log keeps the logs of all groups. Required. Whoever opened it closes it,
	// after the node has stopped.
	Log LogStore
	// Snapshots keeps the snapshots of all groups. Required.
	Snapshots SnapshotStore
	// Logger gets what an operator wants to know. Default: nothing is logged.
	Logger *slog.Logger

	// InflightProposalsMax and InflightBytesMax bound the unanswered proposals
	// of all groups together, above each group's own bounds. Defaults 65,536
	// and 256 MiB.
	InflightProposalsMax int
	InflightBytesMax     int

	// SnapshotSendsMax is how many snapshots this node sends at a time, of all groups
	// together and each to another node, and SnapshotReceivesMax how many it receives;
	// the others wait for their turn. One takes 8 MiB of memory at most. Defaults 4 and 4.
	SnapshotSendsMax    int
	SnapshotReceivesMax int
	// SnapshotBytesPerSecond bounds what this node sends of all snapshots together.
	// Node.SetSnapshotRate changes it while the node runs. Default 0: no limit while the
	// node writes no commands. While it does it is 16 MiB a second, or what sends a larger
	// snapshot within a minute, so that the writes keep their rate. A number as large as the network's rate sets no limit at all.
	SnapshotBytesPerSecond uint64

	// HoldBytesMax bounds what the logs of all groups together keep for others, in bytes of
	// entries, above Config.HoldBytesMax: where it is more, the slowest are let go of, in
	// the groups that keep the most. While the store says that its disk is nearly full
	// (storage.Filling) nothing is kept for others. Never keeps nothing. Default 4 GiB.
	HoldBytesMax uint64

	// Tracing says where spans go and which writes are traced; package tracing
	// says more. Default: nothing is traced.
	Tracing tracing.Config
	// Meter takes the node's numbers, as OpenTelemetry instruments: package
	// metrics has the table of them. Default: nothing is measured.
	Meter metric.MeterProvider
	// MeterFoldsGroups gives all groups one series together, instead of one for each
	// group. Set it on a node with a hundred groups or more, because a reader keeps
	// only the first 2,000 series of an instrument. The series shows the sum of counts and
	// indexes, and the largest of lags and ages.
	MeterFoldsGroups bool
	// MeterGroupHistograms gives each group histograms of its own, with raft.group; else
	// the groups of a node share them. Set it on a node whose groups stay: a reader keeps
	// what a histogram has shown until the process ends, also that of groups which have
	// stopped long ago. The counters and gauges of a group go with it, whatever this says.
	MeterGroupHistograms bool

	// CheckInvariants checks each group's invariants after every step. It is for
	// tests. A broken invariant stops the group.
	CheckInvariants bool
}

// WithDefaults returns c with its defaults filled in.
func (c NodeConfig) WithDefaults() NodeConfig {
	orDefault(&c.InflightProposalsMax, 65_536)
	orDefault(&c.InflightBytesMax, 256*mib)
	orDefault(&c.SnapshotSendsMax, 4)
	orDefault(&c.SnapshotReceivesMax, 4)
	orDefault(&c.HoldBytesMax, 4096*mib)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate returns an error that names the first field that is wrong and the
// rule that it breaks: a *ConfigError, or a *WrongNodeError if Log belongs to
// another node.
func (c NodeConfig) Validate() error {
	c = c.WithDefaults()
	field, rule := "", "is missing"
	switch {
	case c.ID == 0:
		field, rule = "ID", "is 0: ids begin at 1"
	case c.Network == nil:
		field = "Network"
	case c.Log == nil:
		field = "Log"
	case c.Snapshots == nil:
		field = "Snapshots"
	case c.InflightProposalsMax < 0:
		field, rule = "InflightProposalsMax", fmt.Sprintf("%d is not positive", c.InflightProposalsMax)
	case c.InflightBytesMax < 0:
		field, rule = "InflightBytesMax", fmt.Sprintf("%d is not positive", c.InflightBytesMax)
	case c.SnapshotSendsMax < 0:
		field, rule = "SnapshotSendsMax", fmt.Sprintf("%d is not positive", c.SnapshotSendsMax)
	case c.SnapshotReceivesMax < 0:
		field, rule = "SnapshotReceivesMax", fmt.Sprintf("%d is not positive", c.SnapshotReceivesMax)
	default:
		if owner := c.Log.Header().Node; owner != c.ID {
			return &storage.WrongNodeError{Store: "NodeConfig.Log", Node: c.ID, Owner: owner}
		}
		return nil
	}
	return &ConfigError{Field: "NodeConfig." + field, Rule: rule}
}

// Node is what the groups of one process share: an identity, a log store and
// the one actor that writes it, snapshots, and the connections to other nodes.
// All methods are safe for concurrent use.
type Node struct {
	actors *actors.Node
	config NodeConfig

	mu      sync.Mutex
	groups  map[GroupID]*Raft // nil when the node stops: ending has them then
	ending  map[GroupID]*Raft
	stop    sync.Once
	stopped chan struct{}
}

// NewNode starts a node without a group. It starts config.Network with the
// identity of config.Log. While another node of this process uses that log store, which
// it does until the last of its calls has returned, the error is a *StillRunningError.
func NewNode(config NodeConfig) (*Node, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.WithDefaults()
	started, err := actors.NewNode(actors.NodeConfig{
		ID:               config.ID,
		Store:            config.Log,
		Snapshots:        config.Snapshots,
		SnapshotSendsMax: config.SnapshotSendsMax, SnapshotReceivesMax: config.SnapshotReceivesMax, SnapshotBytesPerSecond: config.SnapshotBytesPerSecond,
		HoldBytesMax:         holdNothing(config.HoldBytesMax),
		Network:              config.Network,
		Logger:               config.Logger,
		InflightProposalsMax: config.InflightProposalsMax,
		InflightBytesMax:     config.InflightBytesMax,
		Tracing:              config.Tracing,
		Meter:                config.Meter,
		MeterFoldsGroups:     config.MeterFoldsGroups,
		MeterGroupHistograms: config.MeterGroupHistograms,
	})
	if err != nil {
		return nil, fmt.Errorf("troupe: node %d: %w", config.ID, err)
	}
	return &Node{actors: started, config: config, groups: make(map[GroupID]*Raft), stopped: make(chan struct{})}, nil
}

// holdNothing turns Never into a bound that no entry is within.
func holdNothing(n uint64) uint64 {
	if n == Never {
		return 1
	}
	return n
}

// SetSnapshotRate changes, from now on and until the node ends, how many bytes a second
// it sends of the snapshots of all groups together; 0 stands for what
// NodeConfig.SnapshotBytesPerSecond says of it. It overrides
// NodeConfig.SnapshotBytesPerSecond.
func (n *Node) SetSnapshotRate(bytesPerSecond uint64) { n.actors.SetSnapshotRate(bytesPerSecond) }

// SnapshotRate returns that limit, 0 if none is set.
func (n *Node) SnapshotRate() uint64 { return n.actors.SnapshotRate() }

// Start starts one group with its data from the store, the snapshots and the state
// machine. A group without data waits for a bootstrap, or for a leader that brings it
// in. Start returns when the data was read and verified, and ctx limits only that. If
// the data is damaged, the error wraps [ErrCorrupt].
//
// A group that was stopped, or has failed, can be started again when its Done is
// closed, with a state machine that is fit for it. Until then the error is a
// *StillRunningError that names the call for which the group waits. If the group runs,
// it is a *GroupExistsError.
func (n *Node) Start(ctx context.Context, config Config) (*Raft, error) {
	return n.start(ctx, config, false)
}

// start starts a group; with ownsNode its end is that of the node.
func (n *Node) start(ctx context.Context, config Config, ownsNode bool) (*Raft, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.WithDefaults()
	if limit := n.config.Log.Limits().EntryBytesMax; config.CommandBytesMax > limit {
		return nil, invalid("CommandBytesMax", "%d is more than the log store takes, %d", config.CommandBytesMax, limit)
	}
	if err := config.fits(n.config.Network.MessageBytesMax()); err != nil {
		return nil, err
	}
	raft := &Raft{node: n, config: config, ownsNode: ownsNode, started: make(chan struct{}), stopped: make(chan struct{}), givenUp: make(chan struct{})}
	if err := n.claim(raft); err != nil {
		return nil, err
	}
	started := false
	defer func() {
		if !started { // the store or the machine may have panicked
			n.release(raft)
		}
	}()
	told := config.forActors()
	told.OnLeading = raft.onLeading()
	if n.config.CheckInvariants {
		told.Witness = actors.Invariants{}
	}
	group, err := n.actors.Start(ctx, told)
	if err != nil {
		return nil, fmt.Errorf("troupe: group %d: %w", config.Group, err)
	}
	n.mu.Lock()
	raft.group = group // Drain may look for it
	n.mu.Unlock()
	started = true
	close(raft.started)
	return raft, nil
}

// Identity is the node with the incarnation of its log store.
func (n *Node) Identity() Identity { return n.actors.Identity() }

// Address is where other nodes reach this one, with the real port.
func (n *Node) Address() string { return n.config.Network.Address() }

// Shutdown stops all groups in order, then the node: it hands over what it leads, as
// Drain does, answers every waiting call, writes what was accepted, waits for each
// [LeadingFunc] to return, and closes the network. Afterwards the log store may be
// closed. If ctx ends first, Shutdown answers every waiting call and ends the contexts
// of Apply, as Kill does, and returns an error that wraps ctx.Err() and a
// *StillRunningError; the node goes on stopping. Shutdown and Kill may be called again,
// and concurrently.
func (n *Node) Shutdown(ctx context.Context) error {
	limited, cancel := mostOf(ctx)
	_ = n.Drain(limited) // who cannot is noticed by its silence
	cancel()
	n.beginStop()
	select {
	case <-n.stopped:
		return nil
	case <-ctx.Done():
		waits := n.actors.StillRunning() // for a call that may end with its context
		n.hurry()
		return fmt.Errorf("troupe: node %d is still stopping: %w: %w", n.config.ID, ctx.Err(), waits)
	}
}

// Kill stops the node without handing anything over, and without waiting for any state
// machine before it answers those who wait. It returns when everything has stopped: when
// the last call of a state machine or a store has returned.
func (n *Node) Kill() {
	n.beginStop()
	n.hurry()
	<-n.stopped
}

// Close is Shutdown without a time limit, for those who collect closers.
func (n *Node) Close() error { return n.Shutdown(context.Background()) }

func (n *Node) beginStop() {
	n.stop.Do(func() {
		n.mu.Lock()
		n.ending, n.groups = n.groups, nil
		n.mu.Unlock()
		n.actors.Stop(func() { close(n.stopped) })
	})
}
