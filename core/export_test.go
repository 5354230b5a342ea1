package core

import (
	"time"

	"github.com/trouperaft/troupe/membership"
)

// The tests of whole clusters run the streams too. Package stream imports this one, so
// they stand outside it. This is what they need of the inside.

// RaceEnabled: the race detector runs.
const RaceEnabled = raceEnabled

var (
	BootstrapOf    = bootstrapOf
	CheckWaited    = checkWaited
	ClusterOf      = clusterID
	CompareScripts = compareScripts
	GrantLengthMin = grantLengthMin
	MayWait        = mayWait
	PrintCommand   = printCommand
	PrintMessage   = printMessage
	Rewrite        = rewrite
	TestConfig     = testConfig
	Unproved       = unproved
	WorldCluster   = worldCluster
	WorldIdentity  = worldIdentity
)

func (e *Engine) Role() Role         { return e.role }
func (e *Engine) Hard() HardState    { return e.hard }
func (e *Engine) CommitIndex() Index { return e.commit }

// HeaderTo begins a message of the engine's.
func (e *Engine) HeaderTo(to Identity) Header { return e.head(to) }

// Configurations are those since the last one known to be committed, Latest is the last.
func (e *Engine) Configurations() []ConfigurationAt { return e.configs.at }
func (e *Engine) Latest() *ConfigurationAt          { return e.configs.latest() }

// Bootstraps reports whether a bootstrap is to be brought to its end.
func (e *Engine) Bootstraps() bool { return e.configs.bootstrapping(e.commit) }

// GrantAt returns the grant that lives at an instant, without a step.
func (e *Engine) GrantAt(now Instant) Grant { return e.grantAt(now) }

// Forms reports whether a forming is under way, ForgetForming ends it, and FormingLength
// is for how long it asks for grants.
func (e *Engine) Forms() bool                  { return e.forming.running }
func (e *Engine) ForgetForming()               { e.forming.running = false }
func (e *Engine) FormingLength() time.Duration { return e.forming.length }

// Deadline is what a timer is for now; it may be armed for an earlier instant.
func (e *Engine) Deadline(timer Timer) Instant {
	switch timer {
	case TimerHeartbeat:
		return e.heartbeatTimer.at
	case TimerForming:
		return e.forming.timer.at
	case TimerTransfer:
		return e.transferTimer.at
	case TimerChange:
		return e.changes.timer.at
	}
	return e.electionTimer.at
}

// WhyNoLease says why no read may be answered by the lease.
func (e *Engine) WhyNoLease() string { return e.whyNoLease() }

// LeaderIdentity is whom the engine follows, CampaignID its present campaign, and
// FirstOfTerm the first index of its own term if it leads.
func (e *Engine) LeaderIdentity() Identity { return e.leader }
func (e *Engine) CampaignID() uint64       { return e.election.campaign }
func (e *Engine) FirstOfTerm() Index       { return e.leaderState.first }

// TermAt is the term of an entry of the log.
func (e *Engine) TermAt(i Index) (Term, bool) { return e.log.term(i) }

// Transferring reports whether the leadership is being handed over.
func (e *Engine) Transferring() bool { return e.transfer.phase != transferNone }

// AppendConfiguration has the leader append a configuration, whatever the rules are.
func (e *Engine) AppendConfiguration(c *membership.Configuration, out *Output) {
	e.out = out
	e.appendConfiguration(c)
	e.finish()
}

// QuietUntil is when the engine's own promise and its quiet period are over.
func (e *Engine) QuietUntil() Instant { return max(e.promise.until, e.quietPeriodEnd()) }

// RunsOf are the term runs of entries behind purged.
func RunsOf(purged LogID, entries []Entry) []LogID {
	runs := termRuns{purged: purged, last: purged}
	runs.extend(entries)
	return runs.runs
}
