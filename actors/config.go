package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/metric"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/replica"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/tracing"
)

// NodeConfig is what the groups of a node share.
type NodeConfig struct {
	// ID must be the node of Store.
	ID membership.NodeID
	// Store is opened and closed by the caller, who closes it after Stop.
	Store storage.LogStore
	// Snapshots keeps the snapshots of all groups.
	Snapshots storage.SnapshotStore
	// Network is started by NewNode and closed by Stop.
	Network network.Network
	// Environment: nil means production's.
	Environment stage.Environment
	// Logger: nil discards.
	Logger *slog.Logger
	// InflightProposalsMax and InflightBytesMax bound what all groups together
	// have admitted and not yet answered. 0 means no bound above the groups'.
	InflightProposalsMax int
	InflightBytesMax     int
	// SnapshotSendsMax and SnapshotReceivesMax bound how many snapshots all groups together
	// send and receive at a time, and SnapshotBytesPerSecond what they send of them. 0 means
	// no bound, but 16 MiB a second while entries are written, or a minute for a large snapshot.
	SnapshotSendsMax, SnapshotReceivesMax int
	SnapshotBytesPerSecond                uint64
	// HoldBytesMax bounds what the logs of all groups keep for others, in bytes, above
	// each group's own bound. 0 means no bound.
	HoldBytesMax uint64
	// Tracing: the zero value traces nothing.
	Tracing tracing.Config
	// Meter, if not nil, takes the node's numbers: package metrics has the table.
	// MeterFoldsGroups lets it take one series for all groups instead of one for
	// each. MeterGroupHistograms gives each group histograms of its own, which stay with
	// the reader when the group ends.
	Meter                metric.MeterProvider
	MeterFoldsGroups     bool
	MeterGroupHistograms bool
}

// Validate names the field and the rule that it breaks.
func (c *NodeConfig) Validate() error {
	switch {
	case c.ID == 0:
		return errors.New("actors: NodeConfig.ID is 0")
	case c.Store == nil:
		return errors.New("actors: NodeConfig.Store is missing")
	case c.Snapshots == nil:
		return errors.New("actors: NodeConfig.Snapshots is missing")
	case c.Network == nil:
		return errors.New("actors: NodeConfig.Network is missing")
	case c.InflightProposalsMax < 0:
		return fmt.Errorf("actors: NodeConfig.InflightProposalsMax %d is negative", c.InflightProposalsMax)
	case c.InflightBytesMax < 0:
		return fmt.Errorf("actors: NodeConfig.InflightBytesMax %d is negative", c.InflightBytesMax)
	case c.SnapshotSendsMax < 0:
		return fmt.Errorf("actors: NodeConfig.SnapshotSendsMax %d is negative", c.SnapshotSendsMax)
	case c.SnapshotReceivesMax < 0:
		return fmt.Errorf("actors: NodeConfig.SnapshotReceivesMax %d is negative", c.SnapshotReceivesMax)
	}
	return nil
}

// GroupConfig is what a group is told at its start. Durations and sizes must be
// positive unless their comment says otherwise; package troupe knows defaults.
type GroupConfig struct {
	Group        membership.GroupID
	StateMachine storage.StateMachine

	// Settings are the engine's. The numbers of snapshots and kept entries may be 0.
	core.Settings

	// CommandBytesMax is the largest command, in bytes.
	CommandBytesMax int
	// InflightProposalsMax and InflightBytesMax bound what is admitted and not
	// yet answered.
	InflightProposalsMax int
	InflightBytesMax     int
	// LogCacheBytesMax bounds the entries kept in memory. Entries that are not
	// durable stay whatever it is, and those that are not applied stay up to
	// twice of it.
	LogCacheBytesMax int

	// MessageBytesMax and EntriesPerMessageMax bound one AppendEntries.
	MessageBytesMax      int
	EntriesPerMessageMax int
	// WindowMessagesMax and WindowBytesMax bound what is under way to one
	// follower.
	WindowMessagesMax int
	WindowBytesMax    int

	// ApplyBatchEntriesMax and ApplyBatchBytesMax bound one Apply.
	ApplyBatchEntriesMax int
	ApplyBatchBytesMax   int

	// SnapshotChunkBytes is the size of a piece of a snapshot on the wire.
	SnapshotChunkBytes int

	// KeepSnapshots is how many of the newest snapshots stay; 0 is 1.
	KeepSnapshots int

	// Cluster, if not 0, is the only cluster that the group may belong to.
	Cluster core.ClusterID

	// Witness, if not nil, sees every step.
	Witness Witness
	// OnLeading, if not nil, begins what the application runs while this node leads
	// (rule 14), and does not block. ctx ends when it has to stop. ended is called once,
	// from anywhere, when it is over, with an error if it broke.
	OnLeading func(ctx context.Context, term core.Term, ended func(error))
}

// Validate names the field and the rule that it breaks.
func (c *GroupConfig) Validate() error {
	if c.Group == 0 {
		return errors.New("actors: GroupConfig.Group is 0")
	}
	if !replica.Valid(c.Group) {
		return fmt.Errorf("actors: GroupConfig.Group %d is above 2^63-1", c.Group)
	}
	if c.StateMachine == nil {
		return errors.New("actors: GroupConfig.StateMachine is missing")
	}
	if field, rule := c.Check(); field != "" {
		return fmt.Errorf("actors: GroupConfig.%s %s", field, rule)
	}
	if size := c.CommandBytesMax + core.EntryOverheadBytes; size > c.InflightBytesMax {
		return fmt.Errorf("actors: GroupConfig.InflightBytesMax %d has no room for one command of %d bytes", c.InflightBytesMax, c.CommandBytesMax)
	}
	return nil
}

// Check returns the first number that is wrong, of the settings or a bound, and the
// rule that it breaks; "" if none is.
func (c *GroupConfig) Check() (field, rule string) {
	if field, rule := c.Settings.Check(); field != "" {
		return field, rule
	}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"CommandBytesMax", c.CommandBytesMax},
		{"InflightProposalsMax", c.InflightProposalsMax},
		{"InflightBytesMax", c.InflightBytesMax},
		{"LogCacheBytesMax", c.LogCacheBytesMax},
		{"MessageBytesMax", c.MessageBytesMax},
		{"EntriesPerMessageMax", c.EntriesPerMessageMax},
		{"WindowMessagesMax", c.WindowMessagesMax},
		{"WindowBytesMax", c.WindowBytesMax},
		{"ApplyBatchEntriesMax", c.ApplyBatchEntriesMax},
		{"ApplyBatchBytesMax", c.ApplyBatchBytesMax},
		{"SnapshotChunkBytes", c.SnapshotChunkBytes},
	} {
		if f.value <= 0 {
			return f.name, fmt.Sprintf("%d is not positive", f.value)
		}
	}
	if c.KeepSnapshots < 0 {
		return "KeepSnapshots", fmt.Sprintf("%d is negative", c.KeepSnapshots)
	}
	return "", ""
}
