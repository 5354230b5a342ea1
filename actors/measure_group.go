package actors

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/metrics"
)

// groupMeter takes the numbers of a group. A nil one takes nothing.
type groupMeter struct {
	node    *nodeMeter
	group   *Group
	started core.Instant

	queue, propose, appended, committed, applied, applyCall, read *metrics.Recorder

	proposeEntries, proposeBytes, applyEntries, applyBytes *metrics.Recorder

	snapshotDuration, snapshotSize [snapshotOperations]*metrics.Recorder

	stages stages
	// Of the core: what it saw at the end of its last burst, and the leader that
	// it knew last.
	before core.Progress
	leader core.NodeID
	term   core.Term

	counts struct {
		proposed, applied, bytes, growth, leaders atomic.Int64

		forwarded [2]atomic.Int64
		overloads [3]atomic.Int64
		reads     [3]atomic.Int64
		snapshots [snapshotOperations][2]atomic.Int64
		elections [len(core.ElectionCounts{})][len(core.ElectionCounts{}[0])]atomic.Int64
	}
}

// Places in metrics.Operations, Overloads and ReadOutcomes.
const (
	snapshotBuilt = iota
	snapshotSent
	snapshotReceived
	snapshotInstalled
	snapshotOperations
)

const (
	overloadRefused = iota
	overloadWaited
	overloadLogFull
)

const (
	readServed = iota
	readOverloaded
	readEnded
)

func newGroupMeter(g *Group, engine *core.Engine) *groupMeter {
	n := g.node.meter
	if n == nil {
		return nil
	}
	m := &groupMeter{node: n, group: g, started: instant(g.env), before: engine.Progress()}
	m.queue, m.propose = m.recorder(metrics.ProposeQueue), m.recorder(metrics.ProposeDuration)
	m.appended, m.committed = m.recorder(metrics.LogAppend), m.recorder(metrics.CommitDuration)
	m.applied, m.applyCall = m.recorder(metrics.ApplyDuration), m.recorder(metrics.ApplyCall)
	m.read = m.recorder(metrics.ReadDuration)
	m.proposeEntries, m.proposeBytes = m.recorder(metrics.ProposeEntries), m.recorder(metrics.ProposeSize)
	m.applyEntries, m.applyBytes = m.recorder(metrics.ApplyEntries), m.recorder(metrics.ApplySize)
	for i, name := range metrics.Operations {
		operation := attribute.String(metrics.KeyOperation, name)
		m.snapshotDuration[i] = m.recorder(metrics.SnapshotDuration, operation)
		m.snapshotSize[i] = m.recorder(metrics.SnapshotSize, operation)
	}
	return m
}

// attributes returns the attributes of the node and, unless groups are folded,
// the group, with others.
func (m *groupMeter) attributes(others ...attribute.KeyValue) attribute.Set {
	if !m.node.foldsGroups {
		others = append(others, attribute.String(metrics.KeyGroup, strconv.FormatUint(uint64(m.group.cfg.Group), 10)))
	}
	return m.node.attributes(others...)
}

func (m *groupMeter) recorder(id metrics.ID, others ...attribute.KeyValue) *metrics.Recorder {
	return m.node.instruments.Recorder(id, m.attributes(others...))
}

// inbox returns the meter of an inbox of the group.
func (m *groupMeter) inbox(actor int) *inboxMeter {
	if m == nil {
		return nil
	}
	name := attribute.String(metrics.KeyActor, metrics.Actors[actor])
	return &inboxMeter{env: m.group.env, timesAll: actor == meteredCore, depth: m.recorder(metrics.InboxDepth, name), wait: m.recorder(metrics.InboxWait, name)}
}

// now reads the clock for a later call, or returns 0.
func (m *groupMeter) now() core.Instant {
	if m == nil {
		return 0
	}
	return instant(m.group.env)
}

// measure takes what a burst of the core has changed, before anybody is told.
func (c *coreActor) measure() {
	if m := c.group.meter; m != nil {
		m.burst(c.engine.Progress(), c.now, c.meter.waited)
	}
}

// burst takes the state at the end of a burst that began at now, after its oldest
// item had waited.
func (m *groupMeter) burst(p core.Progress, now core.Instant, waited time.Duration) {
	b := &m.before
	if p.Leader != 0 && (p.Leader != m.leader || p.Term != m.term) {
		m.leader, m.term = p.Leader, p.Term
		m.counts.leaders.Add(1)
	}
	if grown := int64(p.AppendedBytes - b.AppendedBytes); grown > 0 {
		m.counts.bytes.Add(grown)
		if p.Role == core.RoleLeader && p.Last > b.Last {
			entries := int(p.Last - b.Last)
			m.counts.proposed.Add(int64(entries))
			m.proposeEntries.Count(entries)
			m.proposeBytes.Count(int(grown))
			m.queue.Duration(waited)
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
	m.stages.mu.Lock()
	committed := m.stages.burst(b, &p, now, waited)
	m.stages.mu.Unlock()
	if committed != 0 && p.Role == core.RoleLeader {
		m.committed.Duration(now.Sub(committed))
	}
	m.before = p
}

// writes notes that the log actor's round carries a write.
func (m *groupMeter) writes(g *groupLog, w *core.Write) {
	if m != nil && g.begun == 0 && len(w.Append) > 0 {
		g.begun = w.Submitted
	}
}

// durable takes the end of a round.
func (m *groupMeter) durable(g *groupLog) {
	if m != nil && g.begun != 0 {
		m.appended.Duration(instant(m.group.env).Sub(g.begun))
		g.begun = 0
	}
}

// wasApplied takes a call of Apply that began at begun and has just ended.
func (m *groupMeter) wasApplied(entries []core.Entry, begun core.Instant) {
	if m == nil {
		return
	}
	now := instant(m.group.env)
	m.counts.applied.Add(int64(len(entries)))
	m.applyEntries.Count(len(entries))
	m.applyBytes.Count(core.SizeOf(entries))
	m.applyCall.Duration(now.Sub(begun))
	m.stages.mu.Lock()
	proposed, committed := m.stages.applied(entries[0].Index, entries[len(entries)-1].Index)
	m.stages.mu.Unlock()
	if committed != 0 {
		m.applied.Duration(now.Sub(committed))
	}
	if proposed != 0 {
		m.propose.Duration(now.Sub(proposed))
	}
}

func (m *groupMeter) forwarded(way, proposals int) {
	if m != nil {
		m.counts.forwarded[way].Add(int64(proposals))
	}
}

func (m *groupMeter) overloaded(how int) {
	if m != nil {
		m.counts.overloads[how].Add(1)
	}
}

func (m *groupMeter) readEnded(err error) {
	if m == nil {
		return
	}
	switch {
	case err == nil:
		m.counts.reads[readServed].Add(1)
	case errors.Is(err, core.ErrOverloaded):
		m.counts.reads[readOverloaded].Add(1)
	default:
		m.counts.reads[readEnded].Add(1)
	}
}

// readsServed takes reads that were asked for together at since.
func (m *groupMeter) readsServed(since core.Instant) {
	if m != nil {
		m.read.Duration(instant(m.group.env).Sub(since))
	}
}

// snapshot takes the end of an operation on a snapshot that began at begun.
func (m *groupMeter) snapshot(operation int, begun core.Instant, bytes uint64, ok bool) {
	switch {
	case m == nil:
	case !ok:
		m.counts.snapshots[operation][1].Add(1)
	default:
		m.counts.snapshots[operation][0].Add(1)
		m.snapshotDuration[operation].Duration(instant(m.group.env).Sub(begun))
		m.snapshotSize[operation].Count(int(bytes))
	}
}

// observe tells a reader what the group counts, and its status.
func (m *groupMeter) observe(k *sink) {
	s := m.group.StatusToRead()
	if s.Stopped {
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
	counted(metrics.ProposalsForwarded, metrics.KeyDirection, metrics.Directions, c.forwarded[:])
	counted(metrics.ProposalsOverloads, metrics.KeyOutcome, metrics.Overloads, c.overloads[:])
	counted(metrics.Reads, metrics.KeyOutcome, metrics.ReadOutcomes, c.reads[:])
	for i, name := range metrics.Operations {
		counted(metrics.Snapshots, metrics.KeyOutcome, metrics.Outcomes, c.snapshots[i][:], attribute.String(metrics.KeyOperation, name))
	}
	for i, name := range metrics.ElectionReasons {
		counted(metrics.Elections, metrics.KeyOutcome, metrics.ElectionOutcomes, c.elections[i][:], attribute.String(metrics.KeyReason, name))
	}
	put(metrics.LogTail, int64(m.group.tail.size()))
	put(metrics.ReadsInflight, m.group.readsInflight.Load())
	m.observeStatus(&s, put)
}

// observeStatus tells a reader the gauges that a status has.
func (m *groupMeter) observeStatus(s *Status, put func(id metrics.ID, n int64, others ...attribute.KeyValue)) {
	now := instant(m.group.env)
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
	put(metrics.LeaderMissing, truth(s.Leader == 0))
	put(metrics.LeaderAge, sinceStart(s.LastContact))
	put(metrics.IndexLast, int64(s.Last))
	put(metrics.IndexFlushed, int64(s.Flushed))
	put(metrics.IndexCommitted, int64(s.Committed))
	put(metrics.IndexApplied, int64(s.Applied))
	put(metrics.IndexPurged, int64(s.Purged))
	put(metrics.IndexSnapshot, int64(s.SnapshotIndex))
	put(metrics.ProposalsInflight, int64(s.InflightProposals))
	put(metrics.ProposalsInflightSize, int64(s.InflightBytes))
	put(metrics.ProposalsWaiting, int64(s.WaitingProposals))
	own := core.PeerStatus{Identity: s.Self}
	if s.Flushed < s.Last {
		own.LagEntries, own.Lag = uint64(s.Last-s.Flushed), max(now.Sub(m.group.growth.appended(s.Flushed+1)), 0)
	}
	peers := append([]core.PeerStatus{own}, s.Peers...)
	for i := range peers {
		p, peer := &peers[i], attributePeer(peers[i].ID)
		put(metrics.PeerLagEntries, int64(p.LagEntries), peer)
		put(metrics.PeerLagDuration, int64(p.Lag), peer)
		put(metrics.PeerInflightMessages, int64(p.InflightMessages), peer)
		put(metrics.PeerInflightSize, int64(p.InflightBytes), peer)
		put(metrics.PeerAge, sinceStart(p.LastContact), peer)
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
