package simulation

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
	"github.com/trouperaft/troupe/membership"
)

// leaderWatch is what a witness remembers of a leadership.
type leaderWatch struct {
	// first is the leader's first entry, streams are those that run now.
	first   core.Index
	streams [nodesMax + 1]uint64
	// half and earlier are up to where half of a joint configuration, and a quorum
	// of an entry of an earlier term, were seen.
	half, earlier core.Index
	// modes are those of the streams after their last step.
	modes map[*stream.Stream]core.StreamMode
}

// elected looks at a leadership that begins.
func (w *witness) elected() {
	l := &w.leading
	l.first, l.half, l.earlier = w.before.Last+1, 0, 0
	k := &w.before.Configuration
	w.sees(electedInJoint, k.Configuration.Joint())
	w.sees(bootstrapContinued, k.Configuration.Target.IsFounding() && k.Term+1 < w.after.Term)
}

// leads looks at a step of a leader.
func (w *witness) leads() {
	l, before, after := &w.leading, &w.before, &w.after
	k := &before.Configuration.Configuration
	if after.Committed > before.Committed {
		w.sees(earlierTerm, before.Committed+1 < l.first && after.Committed >= l.first)
		w.sees(ahead, after.Committed > after.Flushed)
		w.sees(commitInJoint, k.Joint())
	}
	if after.Committed < l.first {
		if held := core.Index(k.QuorumValue(w.holds)); held > after.Committed && held > l.earlier {
			l.earlier = held
			w.sees(earlierTermHeld, held < l.first)
		}
	}
	if k.Joint() {
		half := max(membership.MajorityValue(k.Voters, w.holds), membership.MajorityValue(k.Outgoing, w.holds))
		if held := core.Index(half); held > core.Index(k.QuorumValue(w.holds)) && held > l.half && held > after.Committed {
			l.half = held
			w.sees(halfOfJoint, true)
		}
	}
}

// holds is what a member holds durably, as far as the leader knows.
func (w *witness) holds(id membership.Identity) uint64 {
	if id == w.identity() {
		return uint64(w.after.Flushed)
	}
	i := slices.IndexFunc(w.after.Peers, func(p core.PeerStatus) bool { return p.Identity == id })
	if i < 0 {
		return 0
	}
	return uint64(w.after.Peers[i].Match)
}

// asksForGrant looks at what a beginner asks or releases.
func (w *witness) asksForGrant(m *core.IdentifyRequest) {
	if m.Release {
		_, asked := w.event.(*core.IdentifyRequest)
		w.sees(lowerIDFirst, asked && w.votes.attempt)
		w.votes.attempt = false
	} else if m.Attempt != 0 {
		w.votes.attempt = true
	}
}

// exchanged reports whether one wanted member was exchanged for another incarnation.
func exchanged(was, is *membership.Configuration) bool {
	if !was.Target.IsFounding() || !is.Target.IsFounding() || len(was.Target.Members) != len(is.Target.Members) {
		return false
	}
	for i, m := range is.Target.Members {
		if old := was.Target.Members[i]; old.ID == m.ID && old.Incarnation != m.Incarnation {
			return true
		}
	}
	return false
}

// Streamed implements actors.Witness.
func (w *witness) Streamed(st *stream.Stream, event stream.Event, out *stream.Output) {
	was := w.leading.modes[st]
	is := st.Mode()
	w.leading.modes[st] = is
	switch ev := event.(type) {
	case *stream.Alive:
		w.sees(probeSentAgain, was == core.StreamProbe && is == core.StreamProbe && out.Want)
		w.sees(startedAnew, was == core.StreamReplicate && is == core.StreamProbe)
	case *stream.Sent:
		messages, bytes := st.Inflight()
		g := &w.sim.plan.group
		w.sees(windowFull, ev.OK && is == core.StreamReplicate && (messages >= g.WindowMessagesMax || bytes >= g.WindowBytesMax))
	}
	if out.Ended {
		delete(w.leading.modes, st)
	}
}

// delivered looks at an answer that goes to a stream or a transfer and not to the
// engine.
func (w *witness) delivered(m core.Message) {
	switch m := m.(type) {
	case *core.AppendResponse:
		running := w.leading.streams[m.From.ID]
		w.sees(matchOfEndedStream, m.Success && w.after.Role == core.RoleLeader && running != 0 && running != m.Stream)
	case *core.SnapshotResponse:
		w.resumes(m)
	}
}

func millis(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }
