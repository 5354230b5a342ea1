package core

import "errors"

// Stream is the pure state of one follower's replication: what to send next, and
// what the answers mean (Raft 5.3; dissertation 10.2). The replication actor is
// a pump around it. It is not safe for concurrent use.
//
// A stream probes until it knows where the logs agree, replicates ahead of the
// answers from then on, and waits while a snapshot is on its way. Always
// match < next.
type Stream struct {
	cfg  StreamConfig
	log  termRuns
	mode StreamMode

	// match is the last index that is known to be durable at the peer and equal,
	// and matchedAt when that, or by a probe that it still is, was learned.
	match     Index
	matchedAt Instant
	// next is the first index that the next message carries.
	next Index
	// last and commit are those of the leader's log; sentCommit is the commit
	// index that the peer was last sent.
	last, commit, sentCommit Index

	// inflight are the messages that were sent and not answered; bytes is their
	// sum.
	inflight []inflight
	bytes    int

	// probed, while probing: when the probe was sent, if it is not answered.
	// probeBytes is the size of its entries, and resends how often it was sent
	// again since the peer was last heard of.
	probing    bool
	probed     Instant
	probeBytes int
	resends    int
	// denials counts, since the logs agreed last, the probes at match that the
	// peer refused. denied is when the last one was, 0 when another may be sent.
	denials int
	denied  Instant
	// reading: a Read is under way.
	reading bool
	// sending is the message that was handed out and not settled by StreamSent.
	sending sending
	// blocked: a message could not be sent; the next sign of life unblocks.
	blocked bool
	ended   bool
}

// StreamConfig is what a stream is told once.
type StreamConfig struct {
	Group   GroupID
	Cluster ClusterID
	Self    Identity
	Peer    Identity
	Term    Term
	ID      uint64
	// Terms, Purged and Last are those of StartStream.
	Terms  []LogID
	Purged LogID
	Last   Index
	// Introduces is that of StartStream.
	Introduces bool
	// MessageBytesMax bounds the sizes of one message's entries; a single entry
	// is sent whatever its size. EntriesPerMessageMax bounds their number.
	MessageBytesMax      int
	EntriesPerMessageMax int
	// InflightMessagesMax and InflightBytesMax bound what is sent and not
	// answered.
	InflightMessagesMax int
	InflightBytesMax    int
}

// StreamMode is what a stream is doing.
type StreamMode uint8

const (
	// StreamProbe: looking for where the logs agree, one message at a time.
	StreamProbe StreamMode = iota
	// StreamReplicate: sending ahead of the answers.
	StreamReplicate
	// StreamSnapshot: the peer needs a snapshot first.
	StreamSnapshot
)

// String returns "probe", "replicate" or "snapshot".
func (m StreamMode) String() string { return [...]string{"probe", "replicate", "snapshot"}[m] }

// Errors that answer a stream's read.
var (
	// ErrCompacted: the log no longer holds the entries.
	ErrCompacted = errors.New("core: the log no longer holds the entries")
	// ErrLogChanged: the log is not the one that the stream's leader wrote: it
	// was truncated or reset, or holds entries of a newer term (rules 9, 10).
	ErrLogChanged = errors.New("core: the log was changed by a newer leader")
)

type inflight struct {
	last  Index
	bytes int
}

type sending struct {
	count Index
	bytes int
}

// StreamEvent is the sealed set of what a stream reacts to: AppendResponse and
// the types below.
type StreamEvent interface{ isStreamEvent() }

// StreamGrown: the log reaches to Last and is committed up to Commit.
type StreamGrown struct{ Last, Commit Index }

// StreamAlive: the peer answered a heartbeat that was begun at Sent, with Match.
type StreamAlive struct {
	Match Index
	Sent  Instant
}

// StreamRead answers StreamOutput.Read: Prev is the entry before the first, or
// Err is ErrCompacted or ErrLogChanged. All comes from one consistent read
// (rule 10).
type StreamRead struct {
	Prev    LogID
	Entries []Entry
	Err     error
}

// StreamSent says whether the network took StreamOutput.Send.
type StreamSent struct{ OK bool }

// StreamDown: the bulk connection to the peer broke, and what was on it may be
// lost.
type StreamDown struct{}

// StreamSnapshotSent: the snapshot that was asked for has arrived, or failed.
type StreamSnapshotSent struct {
	LogID LogID
	OK    bool
}

func (*StreamGrown) isStreamEvent()        {}
func (*AppendResponse) isStreamEvent()     {}
func (*StreamAlive) isStreamEvent()        {}
func (*StreamRead) isStreamEvent()         {}
func (*StreamSent) isStreamEvent()         {}
func (*StreamDown) isStreamEvent()         {}
func (*StreamSnapshotSent) isStreamEvent() {}

// StreamOutput is what a stream wants done. It is reset by Step.
type StreamOutput struct {
	// Want asks for a read of the entry before First and of the entries from
	// First to Last, which are none if Last is First-1: as many as fit into
	// BytesMax, at least one. StreamRead answers it; meanwhile none is asked for.
	Want        bool
	First, Last Index
	BytesMax    int
	// Send is to be sent; StreamSent answers at once.
	Send *AppendEntries
	// Matched, if not 0, is for the core.
	Matched Index
	// NeedSnapshot: the core is to send one. It is said again and again until one was
	// sent.
	NeedSnapshot bool
	// LostData: the peer denies what it had acknowledged to this stream. It is for
	// the core.
	LostData bool
	// HigherTerm, if not 0, was seen at the peer: it is for the core.
	HigherTerm Term
	// Ended: the stream is over, the log belongs to a newer leader.
	Ended bool
}

// NewStream returns a stream that begins by probing.
func NewStream(cfg StreamConfig) *Stream {
	return &Stream{
		cfg:  cfg,
		log:  termRuns{purged: cfg.Purged, last: lastOf(cfg), runs: cfg.Terms},
		next: cfg.Last + 1,
		last: cfg.Last,
	}
}

// lastOf is the last entry before the leader's own, or its own if a run of its
// term is known.
func lastOf(cfg StreamConfig) LogID {
	last := LogID{cfg.Purged.Term, max(cfg.Last, cfg.Purged.Index)}
	for _, run := range cfg.Terms {
		if run.Index <= last.Index {
			last.Term = run.Term
		} else {
			last = run
		}
	}
	return last
}

// Mode returns what the stream is doing.
func (s *Stream) Mode() StreamMode { return s.mode }

// Match returns the last index known to be durable at the peer, Next the first
// that is sent next.
func (s *Stream) Match() Index { return s.match }

// Next returns the first index that is sent next.
func (s *Stream) Next() Index { return s.next }

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
func (s *Stream) Step(now Instant, event StreamEvent, out *StreamOutput) {
	*out = StreamOutput{}
	if s.ended {
		out.Ended = true
		return
	}
	switch ev := event.(type) {
	case *StreamGrown:
		s.last, s.commit = max(s.last, ev.Last), max(s.commit, ev.Commit)
	case *AppendResponse:
		s.onResponse(now, ev, out)
	case *StreamAlive:
		s.onAlive(now, ev, out)
	case *StreamRead:
		s.onRead(ev, out)
	case *StreamSent:
		s.onSent(now, ev)
	case *StreamDown:
		s.onDown()
	case *StreamSnapshotSent:
		s.onSnapshotSent(ev)
	}
	s.want(out)
}

// want asks for what can be sent now.
func (s *Stream) want(out *StreamOutput) {
	if s.reading || s.blocked || out.Send != nil || s.ended {
		return
	}
	switch s.mode {
	case StreamSnapshot:
		return
	case StreamProbe:
		if s.probing || s.denied != 0 {
			return
		}
	case StreamReplicate:
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
	out.Last = min(s.last, s.next-1+Index(s.cfg.EntriesPerMessageMax))
	out.BytesMax = s.cfg.MessageBytesMax
	if s.mode == StreamProbe && s.resends > 0 {
		// Slow is not lost: entries that are on their way are not sent again.
		out.Last = out.First - 1
	}
	s.reading = true
}

func (s *Stream) onRead(ev *StreamRead, out *StreamOutput) {
	s.reading = false
	switch {
	case errors.Is(ev.Err, ErrCompacted):
		if s.mode != StreamSnapshot {
			s.needSnapshot(out)
		}
		return
	case ev.Err != nil || s.fromNewerLeader(ev):
		// Rule 10: the log belongs to somebody else now.
		s.ended, out.Ended = true, true
		return
	case s.mode == StreamSnapshot || s.mode == StreamProbe && s.probing || ev.Prev.Index+1 != s.next:
		return // an answer changed the plan meanwhile
	}
	s.sending = sending{count: Index(len(ev.Entries)), bytes: SizeOf(ev.Entries)}
	out.Send = &AppendEntries{
		Header:  Header{Group: s.cfg.Group, Cluster: s.cfg.Cluster, Introduces: s.introduces(), From: s.cfg.Self, To: s.cfg.Peer, Term: s.cfg.Term},
		Stream:  s.cfg.ID,
		Prev:    ev.Prev,
		Entries: ev.Entries,
		Commit:  s.commit,
		// A probe is sent to be answered; this would say what is known.
		CommitOnly: s.mode == StreamReplicate && len(ev.Entries) == 0,
	}
}

func (s *Stream) fromNewerLeader(ev *StreamRead) bool {
	n := len(ev.Entries)
	return ev.Prev.Term > s.cfg.Term || n > 0 && ev.Entries[n-1].Term > s.cfg.Term
}

// onSent settles the message that was handed out last.
func (s *Stream) onSent(now Instant, ev *StreamSent) {
	sent := s.sending
	s.sending = sending{}
	if !ev.OK {
		s.blocked = true
		return
	}
	s.sentCommit = s.commit
	if s.mode == StreamProbe {
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
func (s *Stream) introduces() bool { return s.cfg.Introduces && s.match == 0 }

// counts carries out rules 27 and 29: an answer counts if its sender has proved
// to know the cluster; of a new learner also one that acknowledges nothing.
func (s *Stream) counts(m *AppendResponse) bool {
	if !m.Cluster.IsZero() && m.Cluster == s.cfg.Cluster && !m.Introduces {
		return true
	}
	return s.introduces() && m.Match == 0 && m.Header.Term == s.cfg.Term
}

func (s *Stream) onResponse(now Instant, m *AppendResponse, out *StreamOutput) {
	// Rule 5: what another term, stream or incarnation says is not for this one.
	switch {
	case m.From != s.cfg.Peer || m.Stream != s.cfg.ID || !s.counts(m):
		return
	case m.Header.Term > s.cfg.Term:
		out.HigherTerm = m.Header.Term
		return
	case m.Header.Term < s.cfg.Term:
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
func (s *Stream) agree(now Instant, match Index, out *StreamOutput) {
	if match > s.last {
		return
	}
	if match > s.match {
		s.match, s.matchedAt, out.Matched = match, now, match
	}
	s.denials, s.denied, s.resends = 0, 0, 0
	if s.mode != StreamReplicate {
		s.mode, s.probing, s.matchedAt = StreamReplicate, false, now
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
func (s *Stream) onAlive(now Instant, ev *StreamAlive, out *StreamOutput) {
	s.blocked = false
	if s.denied != 0 && ev.Sent > s.denied && s.denialOver(now) {
		s.denied = 0
	}
	switch {
	case ev.Match > s.match:
		s.agree(now, ev.Match, out)
	case s.mode == StreamReplicate && ev.Match < s.match && ev.Sent > s.matchedAt:
		// It had acknowledged more before it was asked: its group was started
		// anew, and the connection stayed. What was on its way may be lost, and
		// only an append of the term proves its log again (rule 4).
		s.probe(s.match + 1)
	case s.mode == StreamProbe && s.probing && ev.Sent > s.probed && ev.Sent.Sub(s.probed) >= s.resendWait():
		// The probe or its answer may be lost.
		s.probing = false
		s.resends++
	case s.mode == StreamSnapshot:
		out.NeedSnapshot = true // the core sends one at a time
	}
}

func (s *Stream) onDown() {
	s.blocked = false
	if s.mode != StreamSnapshot {
		s.probe(s.match + 1)
	}
}

func (s *Stream) needSnapshot(out *StreamOutput) {
	s.probe(s.match + 1)
	s.mode = StreamSnapshot
	out.NeedSnapshot = true
}

func (s *Stream) onSnapshotSent(ev *StreamSnapshotSent) {
	if s.mode == StreamSnapshot && ev.OK {
		// The snapshot may reach further than the last notice of the log did.
		s.last = max(s.last, ev.LogID.Index)
		s.probe(max(ev.LogID.Index, s.match) + 1)
	}
}
