package observe

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/metrics"
)

// groupMeter takes the numbers of a group.
type groupMeter struct {
	node    *nodeMeter
	env     stage.Environment
	id      membership.GroupID
	started core.Instant
	figures func() (Figures, bool)
	core    *inboxMeter // of the core's inbox

	queue, propose, appended, committed, applied, applyCall, read histogram

	proposeEntries, proposeBytes, applyEntries, applyBytes histogram

	snapshotDuration, snapshotSize [snapshotOperations]histogram

	stages stages
	// Of the core: what it saw at the end of its last burst, and the leader that
	// it knew last.
	before core.Progress
	leader core.NodeID
	term   core.Term

	counts struct {
		proposed, applied, bytes, growth, leaders, jumps atomic.Int64

		forwarded [2]atomic.Int64
		overloads [3]atomic.Int64
		reads     [3]atomic.Int64
		local     [3]atomic.Int64
		snapshots [snapshotOperations][2]atomic.Int64
		transfers [len(core.Progress{}.Transfers)]atomic.Int64
		departed  [len(core.DepartureCounts{})]atomic.Int64
		changes   [len(core.Progress{}.Changes)]atomic.Int64
		autopilot [len(core.Progress{}.Autopilot)]atomic.Int64
		addresses atomic.Int64
		letGo     [len(core.LetGoCounts{})]atomic.Int64
		spared    atomic.Int64
		elections [len(core.ElectionCounts{})][len(core.ElectionCounts{}[0])]atomic.Int64
	}
}

// Places in metrics.Operations and ReadOutcomes.
const (
	snapshotBuilt = iota
	snapshotSent
	snapshotReceived
	snapshotInstalled
	snapshotExported
	snapshotRecorded
	snapshotOperations
)

const (
	readServed = iota
	readOverloaded
	readEnded
)

func newGroupMeter(n *nodeMeter, id membership.GroupID) *groupMeter {
	m := &groupMeter{node: n, env: n.env, id: id, started: instant(n.env)}
	m.queue, m.propose = m.histogram(metrics.ProposeQueue), m.histogram(metrics.ProposeDuration)
	m.appended, m.committed = m.histogram(metrics.LogAppend), m.histogram(metrics.CommitDuration)
	m.applied, m.applyCall = m.histogram(metrics.ApplyDuration), m.histogram(metrics.ApplyCall)
	m.read = m.histogram(metrics.ReadDuration)
	m.proposeEntries, m.proposeBytes = m.histogram(metrics.ProposeEntries), m.histogram(metrics.ProposeSize)
	m.applyEntries, m.applyBytes = m.histogram(metrics.ApplyEntries), m.histogram(metrics.ApplySize)
	for i, name := range metrics.Operations {
		operation := attribute.String(metrics.KeyOperation, name)
		m.snapshotDuration[i] = m.histogram(metrics.SnapshotDuration, operation)
		m.snapshotSize[i] = m.histogram(metrics.SnapshotSize, operation)
	}
	return m
}

// begin is the start of the group, whose engine has got as far as progress.
func (m *groupMeter) begin(progress core.Progress, figures func() (Figures, bool)) {
	m.before, m.figures = progress, figures
}

// attributes returns the attributes of the node and, unless groups are folded,
// the group, with others.
func (m *groupMeter) attributes(others ...attribute.KeyValue) attribute.Set {
	if !m.node.foldsGroups {
		others = append(others, attribute.String(metrics.KeyGroup, strconv.FormatUint(uint64(m.id), 10)))
	}
	return m.node.attributes(others...)
}

// histogram is the group's own only if so configured: what it has recorded stays with the
// reader when the group ends.
func (m *groupMeter) histogram(id metrics.ID, others ...attribute.KeyValue) histogram {
	if !m.node.groupHistograms {
		return m.node.histogram(id, others...)
	}
	return histogram{m.node.instruments.Recorder(id, m.attributes(others...)), m.node.node.values}
}

// burst takes the state at the end of a burst that began at now.
func (m *groupMeter) burst(e *Burst) { m.burstOf(e.Engine.Progress(), e.Now) }

func (m *groupMeter) burstOf(p core.Progress, now core.Instant) {
	b, waited := &m.before, m.core.waited
	if p.Leader != 0 && (p.Leader != m.leader || p.Term != m.term) {
		m.leader, m.term = p.Leader, p.Term
		m.counts.leaders.Add(1)
	}
	if grown := int64(p.AppendedBytes - b.AppendedBytes); grown > 0 {
		m.counts.bytes.Add(grown)
		if p.Role == core.RoleLeader && p.Last > b.Last {
			entries := int(p.Last - b.Last)
			m.counts.proposed.Add(int64(entries))
			m.proposeEntries.count(entries)
			m.proposeBytes.count(int(grown))
			m.queue.took(waited)
		}
	}
	m.counts.growth.Store(int64(p.GrowthBytes))
	if p.Elections != b.Elections {
		for reason := range p.Elections {
			for outcome, n := range p.Elections[reason] {
				m.counts.elections[reason][outcome].Store(int64(n))
			}
		}
	}
	m.counts.jumps.Store(int64(p.ClockJumps))
	if p.Transfers != b.Transfers {
		for outcome, n := range p.Transfers {
			m.counts.transfers[outcome].Store(int64(n))
		}
	}
	if p.Departures != b.Departures {
		for reason, n := range p.Departures {
			m.counts.departed[reason].Store(int64(n))
		}
	}
	if p.Changes != b.Changes {
		for outcome, n := range p.Changes {
			m.counts.changes[outcome].Store(int64(n))
		}
	}
	if p.Autopilot != b.Autopilot {
		for outcome, n := range p.Autopilot {
			m.counts.autopilot[outcome].Store(int64(n))
		}
	}
	m.counts.addresses.Store(int64(p.AddressesWritten))
	if p.LetGo != b.LetGo {
		for why, n := range p.LetGo {
			m.counts.letGo[why].Store(int64(n))
		}
	}
	m.stages.mu.Lock()
	committed := m.stages.burst(b, &p, now, waited)
	m.stages.mu.Unlock()
	if committed != 0 && p.Role == core.RoleLeader {
		m.committed.took(now.Sub(committed))
	}
	m.before = p
}

// durable takes the end of a round of the log actor.
func (m *groupMeter) durable(e *Durable) {
	if e.Submitted != 0 {
		m.appended.took(instant(m.env).Sub(e.Submitted))
	}
}

// wasApplied takes a call of Apply that has just ended.
func (m *groupMeter) wasApplied(e *Applied) {
	entries, begun, now := e.Entries, e.Span.Begun, instant(m.env)
	m.counts.applied.Add(int64(len(entries)))
	m.applyEntries.count(len(entries))
	m.applyBytes.count(core.SizeOf(entries))
	m.applyCall.took(now.Sub(begun))
	m.stages.mu.Lock()
	proposed, committed := m.stages.applied(entries[0].Index, entries[len(entries)-1].Index)
	m.stages.mu.Unlock()
	if committed != 0 {
		m.applied.took(now.Sub(committed))
	}
	if proposed != 0 {
		m.propose.took(now.Sub(proposed))
	}
}

func (m *groupMeter) readEnded(e *ReadEnded) {
	switch {
	case e.Err == nil:
		m.counts.reads[readServed].Add(1)
		if e.Local {
			m.counts.local[e.Mode].Add(1)
		}
	case errors.Is(e.Err, core.ErrOverloaded):
		m.counts.reads[readOverloaded].Add(1)
	default:
		m.counts.reads[readEnded].Add(1)
	}
}

// passed takes proposals that were forwarded.
func (m *groupMeter) passed(e *Passed) {
	way := trafficSent
	if e.In {
		way = trafficReceived
	}
	m.counts.forwarded[way].Add(int64(e.Proposals))
}

// snapshot takes the end of an operation on a snapshot, if that was its own.
func (m *groupMeter) snapshot(operation int, begun core.Instant, meta *core.SnapshotMeta, ok bool) {
	switch {
	case meta == nil:
	case !ok:
		m.counts.snapshots[operation][1].Add(1)
	default:
		m.counts.snapshots[operation][0].Add(1)
		m.snapshotDuration[operation].took(instant(m.env).Sub(begun))
		m.snapshotSize[operation].count(int(meta.SizeBytes))
	}
}

// observe tells a reader what the group counts, and its status.
func (m *groupMeter) observe(k *sink) {
	s, running := m.figures()
	if !running {
		return
	}
	c := &m.counts
	put := func(id metrics.ID, n int64, others ...attribute.KeyValue) { k.putGroup(m, id, n, others...) }
	counted := func(id metrics.ID, key string, names []string, n []atomic.Int64, others ...attribute.KeyValue) {
		for i, name := range names {
			put(id, n[i].Load(), append([]attribute.KeyValue{attribute.String(key, name)}, others...)...)
		}
	}
	put(metrics.ProposalsAppended, c.proposed.Load())
	put(metrics.EntriesApplied, c.applied.Load())
	put(metrics.LogAppended, c.bytes.Load())
	put(metrics.LogGrowth, c.growth.Load())
	put(metrics.LeaderChanges, c.leaders.Load())
	put(metrics.ClockJumps, c.jumps.Load())
	counted(metrics.Departures, metrics.KeyReason, metrics.Departed, c.departed[:])
	counted(metrics.Transfers, metrics.KeyOutcome, metrics.Outcomes, c.transfers[:])
	counted(metrics.Changes, metrics.KeyOutcome, metrics.Outcomes, c.changes[:])
	counted(metrics.Autopilot, metrics.KeyOutcome, metrics.Outcomes, c.autopilot[:])
	put(metrics.AddressesWritten, c.addresses.Load())
	counted(metrics.LogLetGo, metrics.KeyReason, metrics.LetGo, c.letGo[:])
	put(metrics.SnapshotSpared, c.spared.Load())
	counted(metrics.ProposalsForwarded, metrics.KeyDirection, metrics.Directions, c.forwarded[:])
	counted(metrics.ProposalsOverloads, metrics.KeyOutcome, metrics.Overloads, c.overloads[:])
	counted(metrics.Reads, metrics.KeyOutcome, metrics.ReadOutcomes, c.reads[:])
	counted(metrics.ReadsLocal, metrics.KeyMode, metrics.LocalModes, c.local[:])
	for i, name := range metrics.Operations {
		counted(metrics.Snapshots, metrics.KeyOutcome, metrics.Outcomes, c.snapshots[i][:], attribute.String(metrics.KeyOperation, name))
	}
	for i, name := range metrics.ElectionReasons {
		counted(metrics.Elections, metrics.KeyOutcome, metrics.ElectionOutcomes, c.elections[i][:], attribute.String(metrics.KeyReason, name))
	}
	put(metrics.LogTail, int64(s.MemoryLogBytes))
	put(metrics.ReadsInflight, int64(s.InflightReads))
	m.observeStatus(&s, put)
}

// observeStatus tells a reader the gauges that a status has.
func (m *groupMeter) observeStatus(s *Figures, put func(id metrics.ID, n int64, others ...attribute.KeyValue)) {
	now := instant(m.env)
	sinceStart := func(d time.Duration) int64 {
		if d < 0 {
			return int64(now.Sub(m.started))
		}
		return int64(d)
	}
	for i, name := range metrics.Roles {
		put(metrics.Role, truth(s.Role == core.RoleFollower+core.Role(i)), attribute.String(metrics.KeyRole, name))
	}
	put(metrics.Contradiction, truth(s.Contradiction != nil))
	put(metrics.Term, int64(s.Term))
	put(metrics.LeaderLeaving, truth(s.Leaving != ""))
	put(metrics.LeaderMissing, truth(s.Leader == 0))
	put(metrics.LeaderAge, sinceStart(s.LastContact))
	put(metrics.ElectionsPaused, truth(s.ElectionsPaused))
	lease, quorum := int64(0), int64(0)
	if s.Role == core.RoleLeader {
		lease, quorum = int64(max(s.Lease.Sub(now), 0)), int64(now.Sub(max(s.QuorumHeard, m.started)))
	}
	put(metrics.LeadingRunning, truth(s.LeadingTerm != 0))
	put(metrics.LeadingOverdue, int64(s.LeadingOverdue))
	put(metrics.LeaseRemaining, lease)
	put(metrics.QuorumAge, max(quorum, 0))
	put(metrics.IndexLast, int64(s.Last))
	put(metrics.IndexFlushed, int64(s.Flushed))
	put(metrics.IndexCommitted, int64(s.Committed))
	put(metrics.IndexApplied, int64(s.Applied))
	put(metrics.IndexPurged, int64(s.Purged))
	put(metrics.IndexSnapshot, int64(s.SnapshotIndex))
	put(metrics.IndexRecord, int64(s.RecordIndex))
	put(metrics.LogKept, int64(s.LogBytes))
	put(metrics.LogHeld, int64(s.HeldBytes))
	put(metrics.ProposalsInflight, int64(s.InflightProposals))
	put(metrics.ProposalsInflightSize, int64(s.InflightBytes))
	put(metrics.ProposalsWaiting, int64(s.WaitingProposals))
	own := core.PeerStatus{Identity: s.Self, Lag: s.FlushLag, LostData: s.UnknownToGroup}
	if s.Flushed < s.Last {
		own.LagEntries = uint64(s.Last - s.Flushed)
	}
	peers := append([]core.PeerStatus{own}, s.Peers...)
	for i := range peers {
		p, peer := &peers[i], attributePeer(peers[i].ID)
		put(metrics.PeerLagEntries, int64(p.LagEntries), peer)
		put(metrics.PeerLagDuration, int64(p.Lag), peer)
		put(metrics.PeerInflightMessages, int64(p.InflightMessages), peer)
		put(metrics.PeerInflightSize, int64(p.InflightBytes), peer)
		put(metrics.PeerAge, sinceStart(p.LastContact), peer)
		put(metrics.PeerLostData, truth(p.LostData), peer)
		put(metrics.PeerRefusals, int64(p.SendErrors), peer)
	}
}

func attributePeer(id membership.NodeID) attribute.KeyValue {
	return attribute.String(metrics.KeyPeer, strconv.FormatUint(uint64(id), 10))
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Figures is what a group knows of itself when a reader asks.
type Figures struct {
	core.EngineStatus
	Self membership.Identity
	// LastContact is how long ago the group heard of its leader, -1 for never.
	LastContact time.Duration
	// LeadingTerm is for which term the application's function runs, 0 if it does not,
	// and LeadingOverdue how long ago its context ended, 0 if it lives.
	LeadingTerm    core.Term
	LeadingOverdue time.Duration
	// InflightProposals and InflightBytes are what was admitted and is not answered,
	// WaitingProposals what waits for room, InflightReads the reads under way.
	InflightProposals, InflightBytes, WaitingProposals, InflightReads int
	// MemoryLogBytes are the entries in memory.
	MemoryLogBytes int
	// FlushLag is for how long the oldest entry has been there that is not durable
	// here, 0 if all are.
	FlushLag time.Duration
}
