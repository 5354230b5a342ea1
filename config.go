package troupe

import (
	"fmt"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/replica"
)

const mib = 1 << 20

// Never turns off a rule of [Config] that counts.
const Never = ^uint64(0)

// Config is what one group is started with. The zero value of a field stands
// for its default, so that Config{StateMachine: m} is enough; a group's members
// need not have the same settings, time-outs included.
type Config struct {
	// Group is the group's id, the same on all of its members. At most 2^63-1. Default 1.
	Group GroupID
	// StateMachine is what the group replicates. Required. It belongs to the
	// group until that has stopped.
	StateMachine StateMachine
	// Cluster, if not zero, is the only cluster in which this node takes part, and
	// the id of a cluster that is begun here. Default zero: the cluster that the
	// data or the first leader names.
	Cluster ClusterID
	// OnLeading, if not nil, is called when this node has become the leader, and is to
	// return when its context ends: with it a job runs on one node of the group at a
	// time. [LeadingFunc] says what is promised. The members of a group need not all have
	// one. Default nil.
	OnLeading LeadingFunc

	// ElectionTimeout: a follower campaigns when it has heard of no leader for a
	// time that is drawn from one to two election time-outs. A follower also
	// promises its leader for this long not to vote for another, and a leader that
	// hears no quorum stays leader for this long. From 10 ms to 24 h. Default 1 s.
	//
	// Choose ten times the slowest round trip between members, pauses of the
	// process included. A shorter one ends an outage sooner, but takes a short
	// pause for an outage.
	ElectionTimeout time.Duration
	// HeartbeatInterval is the time between a leader's rounds: at least 1 ms, and at
	// most a third of ElectionTimeout. Default a tenth of it.
	HeartbeatInterval time.Duration
	// HungLimit: a leader steps down when for this long its own disk or state
	// machine has stayed behind the others', or its entries have stood still on
	// their way to them. At least ElectionTimeout. Default ten ElectionTimeout.
	HungLimit time.Duration
	// ClockDriftMax is by how much the rates of any two members' clocks may differ, as
	// a part of 1: more than 0 and less than 1. Where they differ by more, [Lease]
	// reads may miss writes, and nothing else is wrong. Default 0.1, which is a
	// thousand times what the clock of a healthy machine does.
	ClockDriftMax float64

	// CommandBytesMax is the largest command. Default 4 MiB.
	CommandBytesMax int
	// InflightProposalsMax and InflightBytesMax bound the proposals that were
	// admitted on this node and are not answered. Further proposals wait for room.
	// Defaults 4,096 and 64 MiB.
	InflightProposalsMax int
	InflightBytesMax     int
	// UncommittedBytesMax bounds a leader's uncommitted entries, all members'
	// proposals together. Default 64 MiB.
	UncommittedBytesMax int
	// LogCacheBytesMax is how much of the log's end is kept in memory for
	// followers and the state machine. Default 64 MiB.
	LogCacheBytesMax int

	// MessageBytesMax and EntriesPerMessageMax bound the entries of one
	// message; one entry of any size always fits. Defaults 1 MiB and 4,096.
	MessageBytesMax      int
	EntriesPerMessageMax int
	// WindowMessagesMax and WindowBytesMax bound what is on its way to one
	// follower and not answered. Defaults 256 and 16 MiB.
	WindowMessagesMax int
	WindowBytesMax    int
	// ApplyBatchEntriesMax and ApplyBatchBytesMax bound one call of
	// StateMachine.Apply; one entry of any size always fits. Defaults 4,096
	// and 4 MiB.
	ApplyBatchEntriesMax int
	ApplyBatchBytesMax   int

	// SnapshotEntries and SnapshotLogBytes: a snapshot is made when this many
	// entries, or bytes of entries, were applied since the last one. For a machine that
	// keeps its state a record takes its place (storage.Recorder). Never turns a
	// rule off. Defaults 100,000 and 256 MiB.
	SnapshotEntries  uint64
	SnapshotLogBytes uint64
	// SnapshotInterval: a snapshot is also made when the last one is so old, with a
	// quarter of it more or less, and anything was applied since. Default 0: never by
	// time.
	SnapshotInterval time.Duration
	// KeepEntries and KeepBytes: at most so many entries, and at most so many bytes of
	// entries, stay in the log below a snapshot or record, whichever is less, so that a follower
	// that was away for a moment needs no snapshot. Never turns a rule off, and both keep
	// everything. Defaults 10,000 and 64 MiB.
	KeepEntries uint64
	KeepBytes   uint64
	// HoldBytesMax bounds what the log keeps beyond that, in bytes of entries, for those
	// who need it: for followers to which a snapshot is on its way, and for followers
	// that catch up. Who needs more is let go of, the slowest first, and takes a newer
	// snapshot. HoldTimeMax is for how long it is kept for one that makes no progress, at
	// least 1 ms. Never for HoldBytesMax keeps nothing for them.
	// Defaults 1 GiB, and sixty ElectionTimeout.
	HoldBytesMax uint64
	HoldTimeMax  time.Duration
	// KeepSnapshots is how many of the newest snapshots stay on the disk: where the newest
	// turns out to be damaged, the one before it may do. Default 2.
	KeepSnapshots int
	// SnapshotChunkBytes is how much of a snapshot one message carries, at most. Default
	// 512 KiB.
	SnapshotChunkBytes int

	// Autopilot says what this node does about the members by itself while it leads.
	// Default: nothing. All members should have the same.
	Autopilot Autopilot
}

// Autopilot says what a leader does about the members by itself. It is off unless On is
// set. A voter that is dead is removed, or a standby takes its place in one change; one at
// a time, only if all other voters are healthy, and never while another change is under
// way. What it decides, and why it does nothing about a voter that is dead, are events:
// [EventAutopilotActs] and [EventAutopilotRefuses].
//
//   - On: turns it on;
//   - VotersMin: how many voters there are to be. Without a standby a dead voter is
//     removed only above that number, and below it a standby is promoted. Default 3;
//   - DeadAfter: for how long a voter must have been silent to be dead, which each leader
//     counts anew in its term. At least two ElectionTimeout. Default 10 min;
//   - StableFor: for how long a standby, and each voter that remains, must have answered
//     and been up to date before it is counted on. Default 10 s;
//   - LagEntriesMax: how many entries a member that is up to date may lack. Default 4,096.
type Autopilot = core.Autopilot

// WithDefaults returns c with its defaults filled in.
func (c Config) WithDefaults() Config {
	orDefault(&c.Group, 1)
	orDefault(&c.ElectionTimeout, time.Second)
	orDefault(&c.HeartbeatInterval, c.ElectionTimeout/10)
	orDefault(&c.HungLimit, 10*c.ElectionTimeout)
	orDefault(&c.ClockDriftMax, 0.1)
	orDefault(&c.CommandBytesMax, 4*mib)
	orDefault(&c.InflightProposalsMax, 4096)
	orDefault(&c.InflightBytesMax, 64*mib)
	orDefault(&c.UncommittedBytesMax, 64*mib)
	orDefault(&c.LogCacheBytesMax, 64*mib)
	orDefault(&c.MessageBytesMax, mib)
	orDefault(&c.EntriesPerMessageMax, 4096)
	orDefault(&c.WindowMessagesMax, 256)
	orDefault(&c.WindowBytesMax, 16*mib)
	orDefault(&c.ApplyBatchEntriesMax, 4096)
	orDefault(&c.ApplyBatchBytesMax, 4*mib)
	orDefault(&c.SnapshotEntries, 100_000)
	orDefault(&c.SnapshotLogBytes, 256*mib)
	orDefault(&c.KeepEntries, 10_000)
	orDefault(&c.KeepBytes, 64*mib)
	orDefault(&c.HoldBytesMax, 1024*mib)
	orDefault(&c.HoldTimeMax, 60*c.ElectionTimeout)
	orDefault(&c.KeepSnapshots, 2)
	orDefault(&c.SnapshotChunkBytes, mib/2)
	if a := &c.Autopilot; a.On {
		orDefault(&a.VotersMin, 3)
		orDefault(&a.DeadAfter, max(10*time.Minute, 2*c.ElectionTimeout))
		orDefault(&a.StableFor, 10*time.Second)
		orDefault(&a.LagEntriesMax, 4096)
	}
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate fills the defaults in and returns a *ConfigError that names the
// first field that is wrong and the rule that it breaks.
func (c Config) Validate() error {
	c = c.WithDefaults()
	switch {
	case c.StateMachine == nil:
		return invalid("StateMachine", "is missing")
	case !replica.Valid(c.Group):
		return invalid("Group", "%d is above 2^63-1", c.Group)
	}
	told := c.forActors()
	if field, rule := told.Check(); field != "" {
		return invalid(field, "%s", rule)
	}
	return c.validateBytes()
}

// validateBytes asserts that a command of the largest size is within every bound in
// bytes: one that is not passes alone, and the bound does not hold.
func (c *Config) validateBytes() error {
	entry := c.CommandBytesMax + core.EntryOverheadBytes
	for _, field := range []struct {
		name  string
		value int
	}{
		{"InflightBytesMax", c.InflightBytesMax},
		{"UncommittedBytesMax", c.UncommittedBytesMax},
		{"LogCacheBytesMax", c.LogCacheBytesMax},
		{"WindowBytesMax", c.WindowBytesMax},
	} {
		if field.value < entry {
			return invalid(field.name, "%d is less than one command of CommandBytesMax %d takes, %d", field.value, c.CommandBytesMax, entry)
		}
	}
	return nil
}

// messageOverheadBytes is what a message may need beside what the settings bound.
const messageOverheadBytes = 16 << 10

// fits asserts that whatever the settings let a message carry is taken by a
// network of this limit, 0 meaning none: what is too large would be tried for
// ever.
func (c *Config) fits(messageBytesMax int) error {
	if messageBytesMax == 0 {
		return nil
	}
	for _, field := range []struct {
		name  string
		value int
	}{
		{"CommandBytesMax", c.CommandBytesMax},
		{"MessageBytesMax", c.MessageBytesMax},
		{"SnapshotChunkBytes", c.SnapshotChunkBytes},
	} {
		if field.value > messageBytesMax-messageOverheadBytes {
			return invalid(field.name, "%d is more than the network takes in a message of at most %d bytes, %d of them for the rest", field.value, messageBytesMax, messageOverheadBytes)
		}
	}
	return nil
}

func invalid(field, rule string, arguments ...any) error {
	return &ConfigError{Field: "Config." + field, Rule: fmt.Sprintf(rule, arguments...)}
}

// forActors is c, with its defaults filled in, as the actors want it.
func (c *Config) forActors() actors.GroupConfig {
	return actors.GroupConfig{
		Group:        c.Group,
		StateMachine: c.StateMachine,
		Cluster:      c.Cluster,
		Settings: core.Settings{
			ElectionTimeout:     c.ElectionTimeout,
			HeartbeatInterval:   c.HeartbeatInterval,
			HungLimit:           c.HungLimit,
			ClockDriftMax:       c.ClockDriftMax,
			UncommittedBytesMax: c.UncommittedBytesMax,
			SnapshotEntries:     orOff(c.SnapshotEntries),
			SnapshotLogBytes:    orOff(c.SnapshotLogBytes),
			SnapshotInterval:    c.SnapshotInterval,
			KeepEntries:         c.KeepEntries,
			KeepBytes:           orOff(c.KeepBytes),
			HoldBytesMax:        orOff(c.HoldBytesMax),
			HoldTimeMax:         c.HoldTimeMax,
			Autopilot:           c.Autopilot,
		},
		CommandBytesMax:      c.CommandBytesMax,
		InflightProposalsMax: c.InflightProposalsMax,
		InflightBytesMax:     c.InflightBytesMax,
		LogCacheBytesMax:     c.LogCacheBytesMax,
		MessageBytesMax:      c.MessageBytesMax,
		EntriesPerMessageMax: c.EntriesPerMessageMax,
		WindowMessagesMax:    c.WindowMessagesMax,
		WindowBytesMax:       c.WindowBytesMax,
		ApplyBatchEntriesMax: c.ApplyBatchEntriesMax,
		ApplyBatchBytesMax:   c.ApplyBatchBytesMax,
		KeepSnapshots:        c.KeepSnapshots,
		SnapshotChunkBytes:   c.SnapshotChunkBytes,
	}
}

// orOff turns Never into the 0 by which the engine knows a rule that is off.
func orOff(n uint64) uint64 {
	if n == Never {
		return 0
	}
	return n
}
