package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// span is a range of durations to draw from.
type span struct{ low, high time.Duration }

func (s span) draw(r *rand.Rand) time.Duration {
	if s.high <= s.low {
		return s.low
	}
	return s.low + time.Duration(r.Int64N(int64(s.high-s.low)))
}

// plan is what a seed draws before a run begins.
type plan struct {
	nodes  int
	groups int
	// beginnings are those of the groups.
	beginnings [groupsMax]beginning
	// reigns is how many at most an inherited log has seen, unchanged is how many
	// inherited groups in 100 are not in the middle of a change.
	reigns, unchanged int
	volatile          []bool // of each node's state machine

	// election is the shortest election time-out. timeoutsVary: each life draws one
	// of its own, up to electionMax.
	election, heartbeat, hung time.Duration
	timeoutsVary              bool
	group                     actors.GroupConfig // without its state machine
	inflightProposals         int
	limits                    storage.Limits

	driftPercent int // clocks run up to so much too fast or slow

	// stall is the chance in 1,000 that a runnable actor has to wait, as behind
	// a busy machine, and stalls for how long.
	stall  int
	stalls span

	netDelay      span
	netWindow     int  // messages in flight on a connection, for each group
	queueOnDial   bool // what is sent while a connection is being made waits for it
	write, read   span
	apply         span
	restore       span
	snapshotWrite span
	// slowDisks is how many nodes, from the first, have disks with slowWrite.
	slowDisks int
	slowWrite span

	// records: the snapshot stores keep records of what durable machines hold. saveEvery is
	// with which of its batches such a machine writes to its disk.
	records   bool
	saveEvery int

	// priorities are the members', and handsEvery is how often the operator does
	// something on average, 0 if never.
	priorities []uint32
	handsEvery time.Duration

	// changes: somebody changes the members, every so often on average. founders is how
	// many nodes, from the first, form a group, and phaseFaults is in how many of 100
	// cases something happens to a leader when a change has gone on.
	changes      bool
	changesEvery time.Duration
	founders     int
	phaseFaults  int

	faultsFor      time.Duration
	faultEvery     time.Duration
	faultsEarly    bool // also while the cluster is being formed
	earlyFaults    int  // then so many come fast
	weights        [faultKinds]int
	faultClass     core.Class // of the connections that mostly fail, 0: any
	clients        int
	think          span
	clientPatience span
	burst          int // proposals that a client makes at once
	// leaseReads and staleReads are how many of 100 reads are such.
	leaseReads, staleReads int
	payload                int // bytes, at most
	fillerBytes            int // that a snapshot carries beside the state
}

// beginning is how a group comes to be there.
type beginning int

const (
	begunByOne     beginning = iota // one node is asked to form it
	begunBySeveral                  // several nodes are
	begunBefore                     // it was there before the run
)

// electionMax is the longest election time-out of any life.
func (p *plan) electionMax() time.Duration {
	if p.timeoutsVary {
		return 2 * p.election
	}
	return p.election
}

// timeout draws the election time-out of a life.
func (p *plan) timeout(r *rand.Rand) time.Duration {
	if p.timeoutsVary {
		return p.election + p.election*time.Duration(r.IntN(5))/4
	}
	return p.election
}

func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

const millisecond = time.Millisecond
const microsecond = time.Microsecond

func drawPlan(r *rand.Rand) plan {
	var p plan
	p.nodes = pick(r, 1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7)
	p.groups = pick(r, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3)
	for i := range p.groups {
		p.beginnings[i] = pick(r, begunByOne, begunByOne, begunBySeveral, begunBefore, begunBefore)
	}
	for range p.nodes {
		p.volatile = append(p.volatile, chance(r, 60))
	}
	p.reigns, p.unchanged = 4, 35
	p.election = time.Duration(60+r.IntN(240)) * millisecond
	p.heartbeat = p.election / time.Duration(pick(r, 3, 4, 5, 10))
	p.hung = p.election * time.Duration(pick(r, 1, 2, 4))
	p.timeoutsVary = chance(r, 20)
	if chance(r, 30) {
		p.driftPercent = 5
	}
	if chance(r, 30) {
		p.stall, p.stalls = pick(r, 2, 10, 50), span{0, pick(r, 100*microsecond, 2*millisecond, 10*millisecond)}
	}
	p.drawLimits(r)
	p.drawDelays(r)
	p.drawFaults(r)
	p.clients = 1 + r.IntN(5)
	p.think = span{0, time.Duration(2+r.IntN(30)) * millisecond}
	p.clientPatience = span{p.election / 4, p.election * time.Duration(pick(r, 1, 4, 20))}
	p.burst = pick(r, 1, 1, 1, 4, 20)
	p.payload = pick(r, 0, 16, 200)
	p.leaseReads, p.staleReads = pick(r, 10, 30, 60), pick(r, 10, 30)
	p.fillerBytes = pick(r, 0, 100, 3000)
	p.drawTheme(r)
	p.drawPriorities(r)
	p.drawChanges(r)
	p.records, p.saveEvery = chance(r, 70), pick(r, 1, 1, 3, 10)
	if p.groups > 1 && (p.changes || slices.Contains(p.beginnings[:p.groups], begunBefore)) {
		// A node that was removed from a group while it was away hears of it late. What
		// it has appended there keeps its room from the others until then.
		p.inflightProposals = 0
	}
	return p
}

// drawLimits draws small limits often: most of what goes wrong in replication
// goes wrong at the edge of a window, or needs entries sent one at a time.
func (p *plan) drawLimits(r *rand.Rand) {
	const commandMax = 400
	g := &p.group
	g.HeartbeatInterval, g.HungLimit, g.ClockDriftMax = p.heartbeat, p.hung, 0.1
	g.CommandBytesMax = commandMax
	g.InflightProposalsMax = pick(r, 4, 16, 1000)
	g.InflightBytesMax = pick(r, 2000, 1<<20)
	g.UncommittedBytesMax = pick(r, 600, 4000, 1<<20)
	g.LogCacheBytesMax = pick(r, 1, 1000, 10_000, 1<<20)
	g.MessageBytesMax = pick(r, 1, 500, 5000, 1<<20)
	g.EntriesPerMessageMax = pick(r, 1, 1, 2, 5, 100, 1000)
	g.WindowMessagesMax = pick(r, 1, 2, 4, 64)
	g.WindowBytesMax = pick(r, 500, 5000, 1<<20)
	g.ApplyBatchEntriesMax = pick(r, 1, 3, 100, 1000)
	g.ApplyBatchBytesMax = pick(r, 100, 1<<20)
	g.SnapshotEntries = pick(r, uint64(0), 0, 3, 10, 50, 200)
	if chance(r, 20) {
		g.SnapshotLogBytes = pick(r, uint64(500), 5000)
	}
	g.KeepEntries = pick(r, uint64(0), 0, 1, 5, 50)
	g.KeepBytes = pick(r, uint64(0), 0, 300, 3000)
	g.HoldBytesMax, g.HoldTimeMax = pick(r, uint64(0), 2000, 20_000, 1<<20), p.election*time.Duration(pick(r, 2, 10, 60))
	g.SnapshotChunkBytes = pick(r, 16, 100, 1000, 1<<20)
	p.inflightProposals = pick(r, 0, 0, 8, 1000)
	p.limits = storage.Limits{EntryBytesMax: 1 << 20, BatchBytesMax: 1<<20 + 48, BatchEntriesMax: pick(r, 1, 2, 10, 10_000)}
	if chance(r, 30) {
		// Room for one largest entry; configurations are larger than commands.
		p.limits.EntryBytesMax, p.limits.BatchBytesMax = 3000, 3048
	}
}

func (p *plan) drawDelays(r *rand.Rand) {
	p.netDelay = span{20 * microsecond, pick(r, 200*microsecond, 2*millisecond, 5*millisecond)}
	if chance(r, 15) {
		// So slow that candidates meet, and answers come in another term.
		p.netDelay.high = p.election / time.Duration(pick(r, 4, 8))
	}
	p.netWindow = pick(r, 3, 20, 1000)
	p.queueOnDial = chance(r, 50)
	p.write = span{10 * microsecond, pick(r, 100*microsecond, millisecond, 6*millisecond)}
	if chance(r, 15) {
		// So slow that the leader changes while writes are under way.
		p.write.high = p.election / 4
	}
	p.read = span{microsecond, pick(r, 10*microsecond, 500*microsecond)}
	if chance(r, 10) {
		// So slow that the log changes while streams read it.
		p.read.high = p.election / 4
	}
	p.apply = span{microsecond, pick(r, 10*microsecond, 500*microsecond, 2*millisecond)}
	p.restore = p.apply
	if chance(r, 20) {
		// So slow that entries come meanwhile.
		p.restore.high = p.election / 2
	}
	p.snapshotWrite = span{10 * microsecond, pick(r, 100*microsecond, 2*millisecond)}
	if p.group.SnapshotChunkBytes < 100 && p.fillerBytes > 1000 {
		p.netDelay.high = min(p.netDelay.high, 2*millisecond)
	}
}

// drawFaults switches a random half of the kinds of faults off, so that the others
// come often, and meet in many combinations.
func (p *plan) drawFaults(r *rand.Rand) {
	p.faultsFor = p.election * time.Duration(12+r.IntN(20))
	p.faultEvery = p.election * time.Duration(pick(r, 1, 2, 4, 8)) / 2
	p.faultsEarly, p.earlyFaults = chance(r, 50), 6
	for _, k := range r.Perm(int(faultKinds))[:faultKinds/2] {
		p.weights[k] = 1 + r.IntN(4)
	}
	if chance(r, 5) {
		clear(p.weights[:])
	}
}
