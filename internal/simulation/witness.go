package simulation

import (
	"strings"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
)

// witness watches the engine and the streams of one replica, and counts the
// situations that they are in. It derives them from events, commands and statuses
// alone: the engine knows nothing of them. Besides, it checks the engine's
// invariants.
type witness struct {
	*replica
	// event is that of the step, which has begun in the state before and ended in
	// the state after. now is the node's clock.
	event         core.Event
	before, after core.EngineStatus
	now           core.Instant
	// begins: the step has begun a round of heartbeats.
	begins bool

	votes     voteWatch
	writes    writeWatch
	leading   leaderWatch
	transfers transferWatch
}

var _ actors.Witness = (*witness)(nil)

func newWitness(r *replica) *witness {
	w := &witness{replica: r}
	w.writes.withReset = map[core.Message]bool{}
	w.transfers.answered = map[uint64]bool{}
	w.leading.modes = map[*stream.Stream]core.StreamMode{}
	return w
}

// sees counts a situation if it is one.
func (w *witness) sees(x situation, is bool) {
	if is {
		w.sim.saw(x)
	}
}

// Stepped implements actors.Witness.
func (w *witness) Stepped(engine *core.Engine, event core.Event, commands []core.Command) error {
	w.event, w.now, w.begins = event, core.Instant(w.environment.Now()), false
	w.before, w.after = w.after, w.before
	engine.StatusInto(&w.after)
	if event == nil {
		w.starts()
	}
	w.hears()
	for _, c := range commands {
		w.commanded(c)
	}
	w.changes(engine.Progress().Elections)
	return engine.CheckInvariants()
}

// hears looks at the event of a step.
func (w *witness) hears() {
	if m, ok := w.event.(core.Message); ok {
		w.adopts(m)
	}
	switch ev := w.event.(type) {
	case *core.TimerFired:
		w.fires(ev)
	case *core.Flushed:
		w.flushes(ev.IOID)
	case *core.Heartbeat:
		w.sees(unproved, w.follows(ev) && ev.Commit > w.after.Committed)
	case *core.HeartbeatResponse:
		w.sees(answerOfEarlierTerm, w.before.Role == core.RoleLeader && ev.Header.Term < w.before.Term && ev.Round > 0)
	case *core.AppendEntries:
		w.appends(ev)
	case *core.VoteRequest:
		w.askedForVote(ev)
	case *core.VoteResponse:
		w.answered(ev)
	case *core.Propose:
		w.sees(noRoom, ev.Err == core.ErrOverloaded)
	case *core.IdentifyRequest:
		w.sees(twoBeginners, ev.Attempt != 0 && !ev.Release && w.votes.attempt && w.before.Cluster.IsZero())
	case *core.SnapshotChunk:
		w.takesChunk(ev)
	case *core.SnapshotReceived:
		w.receives(ev)
	case *core.SnapshotInstalled:
		w.writes.installing = false
	case *core.SnapshotBuilt:
		w.sees(jointSnapshot, ev.Err == nil && ev.Meta.Configuration.Configuration.Joint())
	}
}

// commanded looks at a command of a step.
func (w *witness) commanded(c core.Command) {
	switch c := c.(type) {
	case *core.Write:
		w.submits(c)
	case *core.Send:
		w.sends(c.Message)
	case *core.ArmTimer:
		w.votes.armed[c.Timer] = c.At
	case *core.StartStream:
		w.leading.streams[c.Peer.ID] = c.Stream
	case *core.StopStream:
		w.leading.streams[c.Peer.ID] = 0
	case *core.InstallSnapshot:
		w.writes.installing = true
	case *core.SendSnapshot:
		w.sendsSnapshot(c)
	case *core.ReadReady:
		w.sees(readInJoint, w.leadsJoint())
	case *core.ReadFailed:
		w.sees(readOfLeaderThatEnds, c.Err == nil && w.before.Role == core.RoleLeader)
	case *core.Notice:
		w.notices(c)
	}
}

// sends looks at a message that waits for no write.
func (w *witness) sends(m core.Message) {
	switch m := m.(type) {
	case *core.VoteRequest:
		w.votes.campaign = m.Campaign
	case *core.VoteResponse:
		w.refusesVote(m)
	case *core.Heartbeat:
		w.begins = true
	case *core.HeartbeatResponse:
		w.promises(m)
	case *core.SnapshotResponse:
		w.sees(snapshotOvertaken, m.Refused && m.Reason == core.SnapshotNotNeeded)
	case *core.ReadIndexResponse:
		w.sees(readInJoint, m.OK && w.leadsJoint())
	case *core.AppendResponse:
		ev, _ := w.event.(*core.AppendEntries)
		w.sees(refusedAppend, ev != nil && !m.Success && ev.Header.Term == w.after.Term && ev.Prev.Index <= w.before.Last)
	case *core.IdentifyRequest:
		w.asksForGrant(m)
	}
}

// notices looks at what an operator is told.
func (w *witness) notices(n *core.Notice) {
	switch n.Kind {
	case core.NoticeElected:
		w.elected()
	case core.NoticeSteppedDown:
		w.stepsDown(n.Text)
	case core.NoticeLostData:
		w.sees(dataLost, true)
	case core.NoticeTransferStarted:
		w.transferBegins()
	case core.NoticeTransferFailed:
		w.transferFails(n.Text)
	case core.NoticeRemoved:
		_, told := w.event.(*core.Removed)
		w.sees(removedTold, told)
	case core.NoticeConnectionBroken:
		w.sees(connectionBroken, true)
	case core.NoticeClock:
		w.sees(clockHeld, strings.Contains(n.Text, "has jumped ahead"))
		w.sees(clockBehind, strings.Contains(n.Text, "at half speed"))
	}
}

// follows reports whether a heartbeat was accepted.
func (w *witness) follows(m *core.Heartbeat) bool {
	return m.Header.Term == w.after.Term && w.after.Leader == m.From.ID
}

// leadsJoint reports whether this node leads a joint configuration.
func (w *witness) leadsJoint() bool {
	return w.after.Role == core.RoleLeader && w.after.Configuration.Configuration.Joint()
}

// changes looks at what a step has changed.
func (w *witness) changes(counts core.ElectionCounts) {
	w.campaigns(counts)
	w.logChanges()
	w.ordered()
	w.reads()
	w.hands()
	if w.before.Role == core.RoleLeader && w.after.Role == core.RoleLeader {
		w.leads()
	}
	if w.before.Configuration.LogID != w.after.Configuration.LogID {
		w.reconfigures()
	}
}

// starts looks at what a life begins with.
func (w *witness) starts() {
	d := w.store
	if d.startCounter > 1 || w.again {
		w.votes.quietEnd = w.now.Add(max(d.promise, w.election))
	}
	w.sees(wonEarlierLife, d.hard.Vote == d.identity && w.group.check.leaders[d.hard.Term] == d.identity)
	w.sees(grantOverRestart, !d.hard.Grant.IsZero() && d.hard.Grant.To != d.identity)
	s := d.newestSnapshot()
	w.sees(jointSnapshotAtStart, w.after.Configuration.Configuration.Joint() && s.Configuration.LogID == w.after.Configuration.LogID && d.purged.Index >= s.Configuration.Index)
}

// late is by how much an event is later than it should be.
func (w *witness) late(at core.Instant) time.Duration { return w.now.Sub(at) }
