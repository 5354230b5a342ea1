package core

import (
	"fmt"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// Settings are what whoever starts a group chooses of the engine. They are declared
// here and handed down as a whole; package troupe knows defaults.
type Settings struct {
	// ElectionTimeout: a follower that heard of no leader for a time drawn from
	// one to two of it campaigns; from the third campaign without a leader on the
	// time doubles, up to the longer of 32 of it and 8 times the slowest sync. It
	// is also the lease promise that a heartbeat's answer gives, and the time
	// without a quorum after which a leader leaves. From 10 ms to 24 h.
	ElectionTimeout time.Duration
	// HeartbeatInterval is the time between a leader's rounds; at least 1 ms, and at
	// most a third of ElectionTimeout.
	HeartbeatInterval time.Duration
	// HungLimit is for how long a leader's own disk or state machine may stay
	// behind while others advance, and its entries may stand still on their way to
	// the others (rule 16). At least ElectionTimeout.
	HungLimit time.Duration
	// ClockDriftMax is by how much the rates of the clocks of two members may differ,
	// as a part of 1: what one of them promises for a time counts for the others for
	// so much less of it (rules 12, 31). From 0 to less than 1.
	ClockDriftMax float64

	// UncommittedBytesMax bounds the leader's uncommitted entries; positive.
	UncommittedBytesMax int
	// SnapshotEntries and SnapshotLogBytes: a snapshot is built when so much
	// was applied since the last, SnapshotInterval: when the last is so old, with a
	// quarter of it more or less, and something was applied since. 0 turns a rule off.
	SnapshotEntries  uint64
	SnapshotLogBytes uint64
	SnapshotInterval time.Duration
	// KeepEntries and KeepBytes: at most so many entries, and at most so many bytes of
	// entries, stay in the log below a snapshot, whichever is less. KeepBytes 0 turns
	// that rule off.
	KeepEntries uint64
	KeepBytes   uint64
	// HoldBytesMax bounds what is kept beyond that, in bytes, for those who need it: the
	// receivers of snapshots, followers that catch up, readers of the log. 0 keeps
	// nothing for them. HoldTimeMax is for how long it is kept for one that makes no
	// progress; 0, or at least 1 ms.
	HoldBytesMax uint64
	HoldTimeMax  time.Duration

	// Autopilot says what a leader does about the members by itself.
	Autopilot Autopilot
}

const (
	electionTimeoutMin = 10 * time.Millisecond
	electionTimeoutMax = 24 * time.Hour
	// heartbeatIntervalMin is the tenth of the shortest election time-out.
	heartbeatIntervalMin = electionTimeoutMin / 10
)

// Check returns the first field that is wrong and the rule that it breaks, "" if
// none is.
func (s *Settings) Check() (field, rule string) {
	switch {
	case s.ElectionTimeout < electionTimeoutMin || s.ElectionTimeout > electionTimeoutMax:
		return "ElectionTimeout", fmt.Sprintf("%v is not between %v and %v", s.ElectionTimeout, electionTimeoutMin, electionTimeoutMax)
	case s.HeartbeatInterval < heartbeatIntervalMin:
		return "HeartbeatInterval", fmt.Sprintf("%v is less than %v", s.HeartbeatInterval, heartbeatIntervalMin)
	case s.HeartbeatInterval > s.ElectionTimeout/3:
		return "HeartbeatInterval", fmt.Sprintf("%v is more than a third of ElectionTimeout %v", s.HeartbeatInterval, s.ElectionTimeout)
	case s.HungLimit < s.ElectionTimeout:
		return "HungLimit", fmt.Sprintf("%v is less than ElectionTimeout %v", s.HungLimit, s.ElectionTimeout)
	case !(s.ClockDriftMax >= 0 && s.ClockDriftMax < 1):
		return "ClockDriftMax", fmt.Sprintf("%v is not from 0 to less than 1", s.ClockDriftMax)
	case s.UncommittedBytesMax <= 0:
		return "UncommittedBytesMax", fmt.Sprintf("%d is not positive", s.UncommittedBytesMax)
	case s.SnapshotInterval < 0 || s.SnapshotInterval > 0 && s.SnapshotInterval < heartbeatIntervalMin:
		return "SnapshotInterval", fmt.Sprintf("%v is neither 0 nor at least %v", s.SnapshotInterval, heartbeatIntervalMin)
	case s.HoldTimeMax < 0 || s.HoldTimeMax > 0 && s.HoldTimeMax < heartbeatIntervalMin:
		return "HoldTimeMax", fmt.Sprintf("%v is neither 0 nor at least %v", s.HoldTimeMax, heartbeatIntervalMin)
	}
	return s.Autopilot.check(s.ElectionTimeout)
}

// Config is what an engine is told once.
type Config struct {
	Group GroupID
	Self  Identity
	// Seed seeds the generator behind the jitter of elections.
	Seed uint64
	Settings

	// QuietPeriod is for how long after its start a node, whatever its
	// configuration says, neither votes, pre-votes nor campaigns, because a lease
	// promise of its last life may be alive (rule 13). 0 in the first life of a
	// store.
	QuietPeriod time.Duration
	// Wall is what the wall clock and the engine's clock read at one moment of the life of
	// the process in which it was right, as far as anybody knows: at its start.
	Wall WallClock
	// ClockStops: the clock stands still while the machine is suspended, so that a
	// lease might outlast the promises behind it. Then there is none.
	ClockStops bool
	// ConfigurationBytesMax bounds the size of a configuration
	// (membership.Configuration.SizeBytes), so that entries and messages hold it;
	// 0 is no bound.
	ConfigurationBytesMax int
	// MachineVersion is that of this node's state machine, 0 if it tells none.
	MachineVersion uint64
	// Volatile: the state machine keeps nothing over a restart, so it may be
	// applied beyond what is durable here (rule 8).
	Volatile bool
	// Records: the snapshot store keeps a record of what a state machine that is not
	// volatile has made durable, so that the log is purged without a snapshot.
	Records bool
}

// Validate names the field and the rule that it breaks.
func (c *Config) Validate() error {
	switch {
	case c.Group == 0:
		return fmt.Errorf("core: Group is 0")
	case c.Self.ID == 0 || c.Self.Incarnation == 0:
		return fmt.Errorf("core: Self %v lacks an id or an incarnation", c.Self)
	case c.QuietPeriod < 0:
		return fmt.Errorf("core: QuietPeriod %v is negative", c.QuietPeriod)
	case c.ConfigurationBytesMax < 0:
		return fmt.Errorf("core: ConfigurationBytesMax %d is negative", c.ConfigurationBytesMax)
	}
	if field, rule := c.Settings.Check(); field != "" {
		return fmt.Errorf("core: %s %s", field, rule)
	}
	return nil
}

// State is what a group's store, snapshots and state machine hold at the start.
type State struct {
	HardState HardState
	// Commit is a stored commit index, 0 if none was.
	Commit Index
	// Purged is the last entry that the log no longer holds, Last its last
	// entry, or Purged if it holds none.
	Purged LogID
	Last   LogID
	// LastTime is the time of Last.
	LastTime int64
	// Terms are the first LogIDs of the runs of equal term among the entries
	// that the log holds.
	Terms []LogID
	// Sizes are those of the entries that the log holds. A store that does not know
	// them leaves it zero: the rules in bytes begin at 0 then.
	Sizes LogSizes
	// Configurations are those among the entries that the log holds.
	Configurations []ConfigurationAt
	// Snapshot is the newest good snapshot, zero if there is none.
	Snapshot SnapshotMeta
	// Record is the newest record of what the state machine has made durable, zero if there
	// is none.
	Record SnapshotMeta
	// Peers are the nodes that this one has had to do with, and where they were last, ""
	// if that is not known: they may send it what it lacks, or tell who can.
	Peers []membership.Member
	// Applied is what the state machine holds, zero if it is volatile.
	Applied LogID
}
