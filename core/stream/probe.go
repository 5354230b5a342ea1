package stream

import (
	"time"

	"github.com/trouperaft/troupe/core"
)

// This file is about a stream that probes: it looks for where the logs agree (Raft
// 5.3, end), and what it finds may be that the peer has lost data (rule 18).

// A peer that denies what it had acknowledged is probed again after
// denialWaitMin, which doubles with each denial up to denialWaitMax.
const (
	denialWaitMin = 100 * time.Millisecond
	denialWaitMax = 10 * time.Second
)

// A probe that is not answered is sent again at the next sign of life, then after
// waits that double between these.
const (
	resendWaitMin = 100 * time.Millisecond
	resendWaitMax = 10 * time.Second
)

// denialsToTell is after how many denials in a row a peer counts as one that has
// lost data. One may be a late answer, from before it had what it acknowledged.
const denialsToTell = 2

// probe looks for where the logs agree, from next on.
func (s *Stream) probe(next core.Index) {
	s.mode, s.probing, s.next, s.resends = core.StreamProbe, false, next, 0
	s.inflight, s.bytes = s.inflight[:0], 0
}

// refused goes back to where the logs can agree (Raft 5.3, end): the peer's hint
// skips its entries of newer terms, Floor skips this log's, so that each probe
// settles at least one term.
func (s *Stream) refused(now core.Instant, m *core.AppendResponse, out *Output) {
	switch s.mode {
	case core.StreamSnapshot:
		return
	case core.StreamReplicate:
		if m.Rejected.Index <= s.match {
			return
		}
		s.probe(s.match + 1)
	case core.StreamProbe:
		if !s.probing || m.Rejected.Index != s.next-1 {
			return
		}
		if m.Rejected.Index <= s.match {
			s.deny(now, out)
			return
		}
	}
	agreed := m.Hint.Index
	if m.Hint.Term != s.cfg.Start.Term {
		agreed = s.cfg.Start.Floor(m.Hint).Index
	}
	s.probe(max(min(agreed+1, m.Rejected.Index), s.match+1))
}

// resendWait is for how long a probe must be unanswered to be sent again: a
// heartbeat passes on a connection of its own, and says little of a slow one.
func (s *Stream) resendWait() time.Duration {
	if s.resends == 0 {
		return 0
	}
	return min(resendWaitMin<<min(s.resends, 16), resendWaitMax)
}

// deny takes the refusal of a probe at match: the peer no longer holds what it
// had acknowledged. Nothing below is looked for, because who lost what it promised
// to keep cannot be trusted with any of it (rule 18). It is asked again from time
// to time: its operator may bring the right disk back.
func (s *Stream) deny(now core.Instant, out *Output) {
	s.probing, s.denied = false, max(now, 1)
	s.denials++
	out.LostData = s.denials >= denialsToTell
}

// denialOver reports whether the wait after the last denial has passed.
func (s *Stream) denialOver(now core.Instant) bool {
	wait := denialWaitMax
	if shift := s.denials - 1; shift < 7 {
		wait = min(denialWaitMin<<shift, denialWaitMax)
	}
	return now.Sub(s.denied) >= wait
}
