package stream

import (
	"errors"

	"github.com/trouperaft/troupe/core"
)

// Stream is the state of one follower's replication. It is not safe for concurrent
// use.
//
// A stream probes until it knows where the logs agree, replicates ahead of the
// answers from then on, and waits while a snapshot is on its way. Always
// match < next.
type Stream struct {
	cfg  Config
	mode core.StreamMode

	// match is the last index that is known to be durable at the peer and equal,
	// and matchedAt when that, or by a probe that it still is, was learned.
	match     core.Index
	matchedAt core.Instant
	// next is the first index that the next message carries.
	next core.Index
	// last and commit are those of the leader's log; sentCommit is the commit
	// index that the peer was last sent.
	last, commit, sentCommit core.Index

	// inflight are the messages that were sent and not answered; bytes is their
	// sum.
	inflight []inflight
	bytes    int

	// probed, while probing: when the probe was sent, if it is not answered.
	// probeBytes is the size of its entries, and resends how often it was sent
	// again since the peer was last heard of.
	probing    bool
	probed     core.Instant
	probeBytes int
	resends    int
	// denials counts, since the logs agreed last, the probes at match that the
	// peer refused. denied is when the last one was, 0 when another may be sent.
	denials int
	denied  core.Instant
	// reading: a Read is under way.
	reading bool
	// sending is the message that was handed out and not settled by Sent.
	sending sending
	// blocked: a message could not be sent; the next sign of life unblocks.
	blocked bool
	// oversized, if not 0, is an entry that is too large for any message to the peer.
	oversized core.Index
	ended     bool
}

// Config is what a stream is told once.
type Config struct {
	// Start is the engine's command to begin.
	Start   core.StartStream
	Group   core.GroupID
	Cluster core.ClusterID
	Self    core.Identity
	// MessageBytesMax bounds the sizes of one message's entries; a single entry
	// is sent whatever its size. EntriesPerMessageMax bounds their number.
	MessageBytesMax      int
	EntriesPerMessageMax int
	// InflightMessagesMax and InflightBytesMax bound what is sent and not
	// answered.
	InflightMessagesMax int
	InflightBytesMax    int
}

type inflight struct {
	last  core.Index
	bytes int
}

type sending struct {
	count core.Index
	bytes int
}

// Event is the sealed set of what a stream reacts to: the types below.
type Event interface{ isEvent() }

// Answered: the peer has answered.
type Answered struct{ Response *core.AppendResponse }

// Grown: the log reaches to Last and is committed up to Commit.
type Grown struct{ Last, Commit core.Index }

// Alive: the peer answered a heartbeat that was begun at Sent, with Match.
type Alive struct {
	Match core.Index
	Sent  core.Instant
}

// Read answers Output.Read: Prev is the entry before the first, or
// Err is core.ErrCompacted or core.ErrLogChanged. All comes from one consistent read
// (rule 10).
type Read struct {
	Prev    core.LogID
	Entries []core.Entry
	Err     error
}

// Sent says whether the network took Output.Send. TooLarge: it did not and never
// will, for the message is over its limit or over the peer's.
type Sent struct{ OK, TooLarge bool }

// Down: the bulk connection to the peer broke, and what was on it may be
// lost.
type Down struct{}

// SnapshotSent: the snapshot that was asked for has arrived, or failed.
type SnapshotSent struct {
	LogID core.LogID
	OK    bool
}

func (Answered) isEvent()      {}
func (*Grown) isEvent()        {}
func (*Alive) isEvent()        {}
func (*Read) isEvent()         {}
func (*Sent) isEvent()         {}
func (*Down) isEvent()         {}
func (*SnapshotSent) isEvent() {}

// Output is what a stream wants done. It is reset by Step.
type Output struct {
	// Want asks for a read of the entry before First and of the entries from
	// First to Last, which are none if Last is First-1: as many as fit into
	// BytesMax, at least one. Read answers it; meanwhile none is asked for.
	Want        bool
	First, Last core.Index
	BytesMax    int
	// Send is to be sent; Sent answers at once.
	Send *core.AppendEntries
	// Matched, if not 0, is for the core.
	Matched core.Index
	// NeedSnapshot: the core is to send one. It is said again and again until one was
	// sent. It must reach up to Through, an entry that no message to the peer takes; 0
	// where any will do behind which the log goes on.
	NeedSnapshot bool
	Through      core.Index
	// LostData: the peer denies what it had acknowledged to this stream. It is for
	// the core.
	LostData bool
	// HigherTerm, if not 0, was seen at the peer: it is for the core.
	HigherTerm core.Term
	// Ended: the stream is over, the log belongs to a newer leader.
	Ended bool
}

// New returns a stream that begins by probing.
func New(cfg Config) *Stream {
	return &Stream{cfg: cfg, next: cfg.Start.Last + 1, last: cfg.Start.Last}
}

// Mode returns what the stream is doing.
func (s *Stream) Mode() core.StreamMode { return s.mode }

// Match returns the last index known to be durable at the peer, Next the first
// that is sent next.
func (s *Stream) Match() core.Index { return s.match }

// Next returns the first index that is sent next.
func (s *Stream) Next() core.Index { return s.next }

// Inflight returns what is sent and not answered.
func (s *Stream) Inflight() (messages, bytes int) { return len(s.inflight), s.bytes }

// OnTheWay returns how many bytes of entries were sent and are not answered, a
// probe's included; at least 1 if anything was.
func (s *Stream) OnTheWay() int {
	switch {
	case s.probing:
		return max(s.probeBytes, 1)
	case len(s.inflight) > 0:
		return max(s.bytes, 1)
	}
	return 0
}

// Step carries out one event. out is overwritten.
func (s *Stream) Step(now core.Instant, event Event, out *Output) {
	*out = Output{}
	if s.ended {
		out.Ended = true
		return
	}
	switch ev := event.(type) {
	case *Grown:
		s.last, s.commit = max(s.last, ev.Last), max(s.commit, ev.Commit)
	case Answered:
		s.onResponse(now, ev.Response, out)
	case *Alive:
		s.onAlive(now, ev, out)
	case *Read:
		s.onRead(ev, out)
	case *Sent:
		s.onSent(now, ev, out)
	case *Down:
		s.onDown()
	case *SnapshotSent:
		s.onSnapshotSent(ev)
	}
	s.want(out)
}

// want asks for what can be sent now.
func (s *Stream) want(out *Output) {
	if s.reading || s.blocked || out.Send != nil || s.ended {
		return
	}
	switch s.mode {
	case core.StreamSnapshot:
		return
	case core.StreamProbe:
		if s.probing || s.denied != 0 {
			return
		}
	case core.StreamReplicate:
		if s.next > s.last {
			// Nothing to send but, perhaps, the commit index: it does
			// not wait for the next heartbeat.
			if s.commit <= s.sentCommit {
				return
			}
		} else if len(s.inflight) >= s.cfg.InflightMessagesMax || s.bytes >= s.cfg.InflightBytesMax {
			return
		}
	}
	out.Want = true
	out.First = s.next
	out.Last = min(s.last, s.next-1+core.Index(s.cfg.EntriesPerMessageMax))
	out.BytesMax = s.cfg.MessageBytesMax
	if s.mode == core.StreamProbe && s.resends > 0 {
		// Slow is not lost: entries that are on their way are not sent again.
		out.Last = out.First - 1
	}
	s.reading = true
}

func (s *Stream) onRead(ev *Read, out *Output) {
	s.reading = false
	switch {
	case errors.Is(ev.Err, core.ErrCompacted):
		if s.mode != core.StreamSnapshot {
			s.needSnapshot(out)
		}
		return
	case ev.Err != nil || s.fromNewerLeader(ev):
		// Rule 10: the log belongs to somebody else now.
		s.ended, out.Ended = true, true
		return
	case s.mode == core.StreamSnapshot || s.mode == core.StreamProbe && s.probing || ev.Prev.Index+1 != s.next:
		return // an answer changed the plan meanwhile
	}
	s.sending = sending{count: core.Index(len(ev.Entries)), bytes: core.SizeOf(ev.Entries)}
	out.Send = &core.AppendEntries{
		Header:  core.Header{Group: s.cfg.Group, Cluster: s.cfg.Cluster, Introduces: s.introduces(), From: s.cfg.Self, To: s.cfg.Start.Peer.Identity, Term: s.cfg.Start.Term},
		Stream:  s.cfg.Start.Stream,
		Prev:    ev.Prev,
		Entries: ev.Entries,
		Commit:  s.commit,
		// A probe is sent to be answered; this would say what is known.
		CommitOnly: s.mode == core.StreamReplicate && len(ev.Entries) == 0,
	}
}

func (s *Stream) fromNewerLeader(ev *Read) bool {
	n := len(ev.Entries)
	return ev.Prev.Term > s.cfg.Start.Term || n > 0 && ev.Entries[n-1].Term > s.cfg.Start.Term
}

// onSent settles the message that was handed out last.
func (s *Stream) onSent(now core.Instant, ev *Sent, out *Output) {
	sent := s.sending
	s.sending = sending{}
	switch {
	case ev.TooLarge && sent.count > 1:
		s.cfg.MessageBytesMax = max(sent.bytes/2, 1)
		return
	case ev.TooLarge && sent.count == 1:
		// A limit was lowered after the entry was taken. What it did is in the state
		// of the machine.
		s.oversized = s.next
		s.needSnapshot(out)
		return
	case !ev.OK:
		s.blocked = true
		return
	}
	s.sentCommit = s.commit
	if s.mode == core.StreamProbe {
		s.probing, s.probed = true, now
		if s.resends == 0 {
			s.probeBytes = sent.bytes
		}
		return
	}
	if sent.count > 0 {
		s.next += sent.count
		s.inflight = append(s.inflight, inflight{s.next - 1, sent.bytes})
		s.bytes += sent.bytes
	}
}

// introduces: a learner that has acknowledged nothing yet is told the id of the
// cluster, which it cannot know (rule 27).
func (s *Stream) introduces() bool { return s.cfg.Start.Introduces && s.match == 0 }

// counts carries out rules 27 and 29: an answer counts if its sender has proved
// to know the cluster; of a new learner also one that acknowledges nothing.
func (s *Stream) counts(m *core.AppendResponse) bool {
	if !m.Cluster.IsZero() && m.Cluster == s.cfg.Cluster && !m.Introduces {
		return true
	}
	return s.introduces() && m.Match == 0 && m.Header.Term == s.cfg.Start.Term
}

func (s *Stream) onResponse(now core.Instant, m *core.AppendResponse, out *Output) {
	// Rule 5: what another term, stream or incarnation says is not for this one.
	switch {
	case m.From != s.cfg.Start.Peer.Identity || m.Stream != s.cfg.Start.Stream || !s.counts(m):
		return
	case m.Header.Term > s.cfg.Start.Term:
		out.HigherTerm = m.Header.Term
		return
	case m.Header.Term < s.cfg.Start.Term:
		return
	}
	s.blocked = false
	if m.Success {
		s.agree(now, m.Match, out)
	} else {
		s.refused(now, m, out)
	}
}

// agree takes a durable match: from there on the logs are known to be equal, so
// that entries may be sent ahead of the answers.
func (s *Stream) agree(now core.Instant, match core.Index, out *Output) {
	if match > s.last {
		return
	}
	if match > s.match {
		s.match, s.matchedAt, out.Matched = match, now, match
		if s.match >= s.oversized {
			s.oversized = 0
		}
	}
	s.denials, s.denied, s.resends = 0, 0, 0
	if s.mode != core.StreamReplicate {
		s.mode, s.probing, s.matchedAt = core.StreamReplicate, false, now
		s.next = s.match + 1
	}
	s.next = max(s.next, s.match+1)
	done := 0
	for done < len(s.inflight) && s.inflight[done].last <= s.match {
		s.bytes -= s.inflight[done].bytes
		done++
	}
	rest := copy(s.inflight, s.inflight[done:])
	s.inflight = s.inflight[:rest]
}

// onAlive takes what a heartbeat's answer proves: the peer is there, and holds
// what it says durably. It stands in for answers that were lost.
func (s *Stream) onAlive(now core.Instant, ev *Alive, out *Output) {
	s.blocked = false
	if s.denied != 0 && ev.Sent > s.denied && s.denialOver(now) {
		s.denied = 0
	}
	switch {
	case ev.Match > s.match:
		s.agree(now, ev.Match, out)
	case s.mode == core.StreamReplicate && ev.Match < s.match && ev.Sent > s.matchedAt:
		// It had acknowledged more before it was asked: its group was started
		// anew, and the connection stayed. What was on its way may be lost, and
		// only an append of the term proves its log again (rule 4).
		s.probe(s.match + 1)
	case s.mode == core.StreamProbe && s.probing && ev.Sent > s.probed && ev.Sent.Sub(s.probed) >= s.resendWait():
		// The probe or its answer may be lost.
		s.probing = false
		s.resends++
	case s.mode == core.StreamSnapshot:
		out.NeedSnapshot, out.Through = true, s.oversized // the core sends one at a time
	}
}

func (s *Stream) onDown() {
	s.blocked = false
	// A peer with another limit may be behind the next connection.
	if s.mode != core.StreamSnapshot || s.oversized != 0 {
		s.probe(s.match + 1)
	}
	s.oversized = 0
}

func (s *Stream) needSnapshot(out *Output) {
	s.probe(s.match + 1)
	s.mode = core.StreamSnapshot
	out.NeedSnapshot, out.Through = true, s.oversized
}

func (s *Stream) onSnapshotSent(ev *SnapshotSent) {
	if s.mode == core.StreamSnapshot && ev.OK {
		// The snapshot may reach further than the last notice of the log did.
		s.last = max(s.last, ev.LogID.Index)
		s.probe(max(ev.LogID.Index, s.match) + 1)
	}
}
