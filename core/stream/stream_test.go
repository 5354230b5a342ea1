package stream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
)

// streamRig is one stream over a leader's log, with all limits small.
type streamRig struct {
	t   *testing.T
	s   *Stream
	out Output
	now core.Instant
	log testLog
}

// newStreamRig is a stream of term 5 to node 2. The leader's log has entries of
// the given terms; its own begin at the first of term 5.
func newStreamRig(t *testing.T, terms ...core.Term) *streamRig {
	r := &streamRig{t: t, now: 1000}
	own := false
	last := core.Index(0)
	for i, term := range terms {
		r.log.entries = append(r.log.entries, command(id(term, core.Index(i)+1)))
		if own = own || term == 5; !own {
			last = core.Index(i) + 1
		}
	}
	cfg := testConfig(core.StartStream{Term: 5, Stream: 7, Terms: r.log.runs(), Last: last})
	cfg.MessageBytesMax, cfg.EntriesPerMessageMax, cfg.InflightMessagesMax, cfg.InflightBytesMax = 1000, 2, 3, 1000
	r.s = New(cfg)
	return r
}

// step steps the stream and checks what always holds: match < next.
func (r *streamRig) step(ev Event) {
	r.t.Helper()
	r.s.Step(r.now, ev, &r.out)
	if r.s.match >= r.s.next {
		r.t.Fatalf("match %d is not below next %d", r.s.match, r.s.next)
	}
	if messages, bytes := r.s.Inflight(); messages > 3 || messages == 0 && bytes != 0 {
		r.t.Fatalf("%d messages and %d bytes are in flight", messages, bytes)
	}
	if r.out.Want && (r.out.First != r.s.next || r.out.Last < r.out.First-1) {
		r.t.Fatalf("wants %d to %d, next is %d", r.out.First, r.out.Last, r.s.next)
	}
}

// pump steps the stream and carries out what it wants until it wants nothing; it
// returns what was sent.
func (r *streamRig) pump(ev Event) []string {
	r.t.Helper()
	var lines []string
	note := func(ok bool, line string) {
		if ok {
			lines = append(lines, line)
		}
	}
	for ev != nil {
		r.step(ev)
		ev = nil
		note(r.out.Matched > 0, fmt.Sprintf("matched %d", r.out.Matched))
		note(r.out.NeedSnapshot, "needs a snapshot")
		note(r.out.LostData, "lost data")
		note(r.out.HigherTerm > 0, fmt.Sprintf("higher term %d", r.out.HigherTerm))
		note(r.out.Ended, "ended")
		if r.out.Send != nil {
			lines = append(lines, printAppend(r.out.Send))
			ev = &Sent{OK: true}
		} else if r.out.Want {
			ev = r.log.read(r.out.First, r.out.Last, r.out.BytesMax)
		}
	}
	return lines
}

func (r *streamRig) expect(got []string, want ...string) {
	r.t.Helper()
	if !slices.Equal(got, want) {
		r.t.Errorf("%q, want %q", got, want)
	}
}

func (r *streamRig) state(want string) {
	r.t.Helper()
	messages, _ := r.s.Inflight()
	if got := fmt.Sprintf("%v match %d next %d in flight %d", r.s.Mode(), r.s.Match(), r.s.Next(), messages); got != want {
		r.t.Errorf("state %q, want %q", got, want)
	}
}

func (r *streamRig) answer(m core.AppendResponse) Answered {
	m.Header = core.Header{Group: 1, Cluster: cluster, From: peer, To: self, Term: 5}
	m.Stream = 7
	return Answered{&m}
}

func (r *streamRig) grown() *Grown {
	last := r.log.last()
	return &Grown{Last: last.Index, Commit: last.Index - 1}
}

// replicating returns a stream that has found where the logs agree.
func replicating(t *testing.T) *streamRig {
	r := newStreamRig(t, 1, 1, 5, 5, 5, 5, 5, 5, 5, 5)
	r.pump(r.grown())
	r.pump(r.answer(core.AppendResponse{Success: true, Match: 4}))
	return r
}

func TestStreamProbesThenReplicates(t *testing.T) {
	r := newStreamRig(t, 1, 1, 5, 5, 5, 5, 5, 5, 5, 5)
	r.state("probe match 0 next 3 in flight 0")
	// One probe, and nothing more before it is answered.
	r.expect(r.pump(r.grown()), "after 1.2 [5.3 e5.3, 5.4 e5.4], commit 9")
	r.expect(r.pump(r.grown()))
	// Agreed: entries go ahead of the answers, two a message, three messages.
	r.expect(r.pump(r.answer(core.AppendResponse{Success: true, Match: 4})), "matched 4",
		"after 5.4 [5.5 e5.5, 5.6 e5.6], commit 9", "after 5.6 [5.7 e5.7, 5.8 e5.8], commit 9", "after 5.8 [5.9 e5.9, 5.10 e5.10], commit 9")
	r.state("replicate match 4 next 11 in flight 3")
	r.log.entries = append(r.log.entries, command(id(5, 11)))
	r.expect(r.pump(r.grown())) // the window is full
	// An answer in the middle of a message frees what lies wholly below it.
	r.expect(r.pump(r.answer(core.AppendResponse{Success: true, Match: 7})), "matched 7", "after 5.10 [5.11 e5.11], commit 10")
	r.state("replicate match 7 next 12 in flight 3")
	r.expect(r.pump(r.answer(core.AppendResponse{Success: true, Match: 11})), "matched 11")
	r.state("replicate match 11 next 12 in flight 0")
}

func TestStreamWindowOfBytes(t *testing.T) {
	r := newStreamRig(t, 1, 1, 5, 5, 5, 5, 5, 5, 5, 5)
	r.s.cfg.InflightBytesMax = 2 * r.log.entries[0].Size()
	r.pump(r.grown())
	r.expect(r.pump(r.answer(core.AppendResponse{Success: true, Match: 4})), "matched 4", "after 5.4 [5.5 e5.5, 5.6 e5.6], commit 9")
	if _, bytes := r.s.Inflight(); bytes != core.SizeOf(r.log.entries[4:6]) {
		t.Errorf("%d bytes in flight", bytes)
	}
	// A message may overshoot the window; an entry larger than a message goes alone.
	r.s.cfg.MessageBytesMax = 1
	r.expect(r.pump(r.answer(core.AppendResponse{Success: true, Match: 6})), "matched 6", "after 5.6 [5.7 e5.7], commit 9", "after 5.7 [5.8 e5.8], commit 9")
}

func TestStreamTellsOfCommit(t *testing.T) {
	r := replicating(t)
	r.pump(r.answer(core.AppendResponse{Success: true, Match: 10}))
	r.expect(r.pump(&Grown{Last: 10, Commit: 10}), "after 5.10 [], commit 10")
	r.expect(r.pump(&Grown{Last: 10, Commit: 10}))
	r.state("replicate match 10 next 11 in flight 0")
}

func TestStreamRefusals(t *testing.T) {
	t.Run("hint above what this log has of that term", func(t *testing.T) {
		r := newStreamRig(t, 1, 1, 2, 2, 5)
		r.expect(r.pump(r.grown()), "after 2.4 [5.5 e5.5], commit 4")
		r.expect(r.pump(r.answer(core.AppendResponse{Rejected: id(2, 4), Hint: id(1, 3)})), "after 1.2 [2.3 e2.3, 2.4 e2.4], commit 4")
	})
	t.Run("an empty log", func(t *testing.T) {
		r := newStreamRig(t, 1, 1, 2, 2, 5)
		r.pump(r.grown())
		r.expect(r.pump(r.answer(core.AppendResponse{Rejected: id(2, 4)})), "after 0.0 [1.1 e1.1, 1.2 e1.2], commit 4")
	})
	t.Run("a hint that is no progress moves on by one", func(t *testing.T) {
		r := newStreamRig(t, 1, 1, 2, 2, 5)
		r.pump(r.grown())
		r.pump(r.answer(core.AppendResponse{Rejected: id(2, 4), Hint: id(2, 9)}))
		r.state("probe match 0 next 4 in flight 0")
	})
	t.Run("of another probe is stale", func(t *testing.T) {
		r := newStreamRig(t, 1, 1, 2, 2, 5)
		r.pump(r.grown())
		r.expect(r.pump(r.answer(core.AppendResponse{Rejected: id(1, 2)})))
		r.state("probe match 0 next 5 in flight 0")
	})
	t.Run("below the match is stale", func(t *testing.T) {
		r := replicating(t)
		r.expect(r.pump(r.answer(core.AppendResponse{Rejected: id(5, 4), Hint: id(1, 2)})))
		r.state("replicate match 4 next 11 in flight 3")
	})
	t.Run("while replicating goes back to probing, never below the match", func(t *testing.T) {
		r := replicating(t)
		r.expect(r.pump(r.answer(core.AppendResponse{Rejected: id(5, 6), Hint: id(1, 2)})), "after 5.4 [5.5 e5.5, 5.6 e5.6], commit 9")
		r.state("probe match 4 next 5 in flight 0")
	})
	t.Run("with entries of this term goes on behind them", func(t *testing.T) {
		r := replicating(t)
		r.expect(r.pump(r.answer(core.AppendResponse{Rejected: id(5, 8), Hint: id(5, 6)})), "after 5.6 [5.7 e5.7, 5.8 e5.8], commit 9")
	})
}

// TestStreamIgnoresStrangers: rule 5.
func TestStreamIgnoresStrangers(t *testing.T) {
	tests := map[string]struct {
		change func(m *core.AppendResponse)
		want   []string
	}{
		"another incarnation":                  {func(m *core.AppendResponse) { m.From.Incarnation++ }, nil},
		"another node":                         {func(m *core.AppendResponse) { m.From = core.Identity{ID: 3, Incarnation: 0x30} }, nil},
		"another stream":                       {func(m *core.AppendResponse) { m.Stream = 6 }, nil},
		"a lower term":                         {func(m *core.AppendResponse) { m.Header.Term = 4 }, nil},
		"a higher term":                        {func(m *core.AppendResponse) { m.Header.Term = 6 }, []string{"higher term 6"}},
		"another incarnation of a higher term": {func(m *core.AppendResponse) { m.From.Incarnation++; m.Header.Term = 6 }, nil},
		"a match beyond the log":               {func(m *core.AppendResponse) { m.Match = 11 }, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := replicating(t)
			m := r.answer(core.AppendResponse{Success: true, Match: 6})
			test.change(m.Response)
			r.expect(r.pump(m), test.want...)
			r.state("replicate match 4 next 11 in flight 3")
		})
	}
}

// TestStreamConnectionBreaks: a broken connection sends the stream back to probing
// (rule 3), and late answers from before do no harm.
func TestStreamConnectionBreaks(t *testing.T) {
	r := replicating(t)
	r.expect(r.pump(&Down{}), "after 5.4 [5.5 e5.5, 5.6 e5.6], commit 9")
	r.state("probe match 4 next 5 in flight 0")
	r.expect(r.pump(r.answer(core.AppendResponse{Success: true, Match: 8})), "matched 8", "after 5.8 [5.9 e5.9, 5.10 e5.10], commit 9")
	r.expect(r.pump(r.answer(core.AppendResponse{Success: true, Match: 6})))
	r.state("replicate match 8 next 11 in flight 1")
}

// TestStreamLostProbe: an answer to a heartbeat that was begun after the probe
// shows that the probe or its answer was lost.
func TestStreamLostProbe(t *testing.T) {
	r := newStreamRig(t, 1, 1, 5)
	r.pump(r.grown())
	r.expect(r.pump(&Alive{Sent: r.now - 1})) // begun before: says nothing
	r.expect(r.pump(&Alive{Sent: r.now}))
	r.expect(r.pump(&Alive{Sent: r.now + 1}), "after 1.2 [], commit 2")
}

// TestStreamSlowProbe: heartbeats pass on a connection of their own. A probe whose
// entries take long is not sent again with them, and the waits for an answer double.
func TestStreamSlowProbe(t *testing.T) {
	r := newStreamRig(t, 1, 1, 5)
	r.expect(r.pump(r.grown()), "after 1.2 [5.3 e5.3], commit 2")
	begun, sizes := r.now, r.s.OnTheWay()
	var sent []int
	for beat := range 300 { // half a minute
		r.now = begun.Add(time.Duration(beat+1) * 100 * time.Millisecond)
		for _, line := range r.pump(&Alive{Sent: r.now}) {
			if line != "after 1.2 [], commit 2" {
				t.Fatalf("%q is sent again", line)
			}
			sent = append(sent, beat)
		}
	}
	if len(sent) < 6 || len(sent) > 10 {
		t.Errorf("sent again at the heartbeats %d", sent)
	}
	if r.s.OnTheWay() != sizes {
		t.Errorf("%d bytes are on the way, and %d were sent", r.s.OnTheWay(), sizes)
	}
	// Its connection breaks: what was on it may be lost.
	r.expect(r.pump(&Down{}), "after 0.0 [1.1 e1.1, 1.2 e1.2], commit 2")
}

// TestStreamAliveStandsInForAnswers: its durable match counts as an answer does.
func TestStreamAliveStandsInForAnswers(t *testing.T) {
	r := newStreamRig(t, 1, 1, 5, 5, 5)
	r.pump(r.grown())
	r.expect(r.pump(&Alive{Match: 4, Sent: r.now + 1}), "matched 4", "after 5.4 [5.5 e5.5], commit 4")
	r.state("replicate match 4 next 6 in flight 1")
	r.expect(r.pump(&Alive{Match: 3, Sent: r.now})) // it was asked before
	r.state("replicate match 4 next 6 in flight 1")
}

// TestStreamPeerStartsAnew: whoever knows less to be proved than it acknowledged
// before it was asked was started anew over the same connection.
func TestStreamPeerStartsAnew(t *testing.T) {
	r := replicating(t)
	r.expect(r.pump(&Alive{Sent: r.now + 1}), "after 5.4 [5.5 e5.5, 5.6 e5.6], commit 9")
	r.state("probe match 4 next 5 in flight 0")
	r.now += 2
	r.expect(r.pump(r.answer(core.AppendResponse{Success: true, Match: 4})), "after 5.4 [5.5 e5.5, 5.6 e5.6], commit 9", "after 5.6 [5.7 e5.7, 5.8 e5.8], commit 9", "after 5.8 [5.9 e5.9, 5.10 e5.10], commit 9")
	r.expect(r.pump(&Alive{Sent: r.now})) // it was asked before the probe came
	r.state("replicate match 4 next 11 in flight 3")
}

func TestStreamBlocked(t *testing.T) {
	for name, unblock := range map[string]func(r *streamRig) Event{
		"answer":            func(r *streamRig) Event { return r.answer(core.AppendResponse{Success: true, Match: 4}) },
		"heartbeat's":       func(*streamRig) Event { return &Alive{Match: 4} },
		"broken connection": func(*streamRig) Event { return &Down{} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newStreamRig(t, 1, 1, 5, 5, 5, 5)
			r.pump(&Grown{Last: 4, Commit: 4})
			r.pump(r.answer(core.AppendResponse{Success: true, Match: 4}))
			r.step(r.grown())
			r.step(r.log.read(r.out.First, r.out.Last, r.out.BytesMax))
			if r.out.Send == nil {
				t.Fatal("nothing to send")
			}
			r.step(&Sent{OK: false})
			// What was not taken is not in flight, and nothing is tried again.
			r.state("replicate match 4 next 5 in flight 0")
			r.expect(r.pump(r.grown()))
			r.expect(r.pump(unblock(r)), "after 5.4 [5.5 e5.5, 5.6 e5.6], commit 5")
		})
	}
}

func TestStreamSnapshot(t *testing.T) {
	setup := func(t *testing.T) *streamRig {
		r := newStreamRig(t, 1, 1, 2, 2, 5, 5)
		r.log.purged, r.log.entries = id(2, 3), r.log.entries[3:]
		r.pump(r.grown())
		r.expect(r.pump(r.answer(core.AppendResponse{Rejected: id(2, 4), Hint: id(1, 1)})), "needs a snapshot")
		r.state("snapshot match 0 next 1 in flight 0")
		r.expect(r.pump(r.grown())) // nothing is sent meanwhile
		return r
	}
	t.Run("an answer that reaches the log", func(t *testing.T) {
		r := setup(t)
		r.expect(r.pump(r.answer(core.AppendResponse{Success: true, Match: 4})), "matched 4", "after 2.4 [5.5 e5.5, 5.6 e5.6], commit 5")
		r.state("replicate match 4 next 7 in flight 1")
	})
	t.Run("an answer at exactly the last index", func(t *testing.T) {
		r := setup(t)
		r.pump(r.answer(core.AppendResponse{Success: true, Match: 6}))
		r.state("replicate match 6 next 7 in flight 0")
	})
	t.Run("an answer below the log", func(t *testing.T) {
		r := setup(t)
		r.expect(r.pump(r.answer(core.AppendResponse{Success: true, Match: 2})), "matched 2", "needs a snapshot")
	})
	t.Run("a heartbeat's match", func(t *testing.T) {
		r := setup(t)
		r.expect(r.pump(&Alive{Match: 5}), "matched 5", "after 5.5 [5.6 e5.6], commit 5")
	})
	t.Run("asks again while nothing comes of it", func(t *testing.T) {
		r := setup(t)
		r.expect(r.pump(&Alive{}), "needs a snapshot")
		r.expect(r.pump(&SnapshotSent{OK: false}))
		r.expect(r.pump(&Alive{}), "needs a snapshot")
	})
	t.Run("the transfer is over", func(t *testing.T) {
		r := setup(t)
		r.expect(r.pump(&SnapshotSent{LogID: id(2, 4), OK: true}), "after 2.4 [5.5 e5.5, 5.6 e5.6], commit 5")
		r.state("probe match 0 next 5 in flight 0")
	})
	t.Run("the transfer reaches beyond what the stream knows of the log", func(t *testing.T) {
		r := setup(t)
		r.log.entries = append(r.log.entries, command(id(5, 7)), command(id(5, 8)))
		r.expect(r.pump(&SnapshotSent{LogID: id(5, 8), OK: true}), "after 5.8 [], commit 5")
	})
	t.Run("a broken connection, a refusal", func(t *testing.T) {
		r := setup(t)
		r.expect(r.pump(&Down{}))
		r.expect(r.pump(r.answer(core.AppendResponse{Rejected: id(2, 4), Hint: id(1, 1)})))
		r.state("snapshot match 0 next 1 in flight 0")
	})
}

// TestStreamEnds: rule 10: a stream that meets another's log is over.
func TestStreamEnds(t *testing.T) {
	for name, read := range map[string]*Read{
		"the log was changed":           {Err: core.ErrLogChanged},
		"any other error":               {Err: fmt.Errorf("disk")},
		"an entry of a newer term":      {Prev: id(1, 2), Entries: []core.Entry{command(id(6, 3))}},
		"previous entry of a newer one": {Prev: id(6, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newStreamRig(t, 1, 1, 5)
			r.step(r.grown())
			r.step(read)
			if !r.out.Ended || r.out.Send != nil || r.out.Want {
				t.Errorf("%+v", r.out)
			}
			r.step(r.grown())
			if !r.out.Ended || r.out.Want {
				t.Errorf("it went on: %+v", r.out)
			}
		})
	}
}

// TestStreamDropsOutdatedRead: an answer changed the plan while a read was under
// way, and what it brings is no longer what comes next.
func TestStreamDropsOutdatedRead(t *testing.T) {
	r := newStreamRig(t, 1, 1, 5, 5)
	r.step(r.grown())
	read := r.log.read(r.out.First, r.out.Last, r.out.BytesMax)
	r.step(r.answer(core.AppendResponse{Success: true, Match: 4}))
	r.step(read)
	if r.out.Send != nil {
		t.Errorf("sent %v", printAppend(r.out.Send))
	}
	r.state("replicate match 4 next 5 in flight 0")
}

// streamFollower is a follower as a stream sees it: a log in which everything is
// durable at once.
type streamFollower struct{ log testLog }

// receive is what the engine does, with nothing but the log.
func (f *streamFollower) receive(m *core.AppendEntries) *core.AppendResponse {
	a := &core.AppendResponse{Header: core.Header{Group: 1, Cluster: cluster, From: m.To, To: m.From, Term: m.Header.Term}, Stream: m.Stream}
	if !f.log.holds(m.Prev) {
		last := f.log.last().Index
		log := core.StartStream{Terms: f.log.runs(), Last: last}
		a.Rejected = m.Prev
		a.Hint = log.Floor(id(m.Prev.Term, min(m.Prev.Index, last)))
		if a.Hint.Index == m.Prev.Index && a.Hint.Index > 0 {
			a.Hint = log.Floor(id(m.Prev.Term, m.Prev.Index-1))
		}
		return a
	}
	for i, e := range m.Entries {
		if !f.log.holds(e.LogID) {
			f.log.entries = append(slices.Clone(f.log.entries[:e.Index-1]), m.Entries[i:]...)
			break
		}
	}
	a.Success, a.Match = true, m.Prev.Index+core.Index(len(m.Entries))
	return a
}

// TestStreamAgainstFollower: whatever logs a leader and a follower begin with, and
// whatever connections break meanwhile, the stream never sends what does not
// follow, its match is always true, and in the end the logs are equal.
func TestStreamAgainstFollower(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 3))
		if msg := playStream(random); msg != "" {
			t.Fatalf("seed %d: %s", seed, msg)
		}
	}
}

// randomTerms is a log whose terms rise, from a common beginning.
func randomTerms(random *rand.Rand, common []core.Term, most int, top core.Term) []core.Term {
	terms := slices.Clone(common)
	term := core.Term(1)
	if n := len(terms); n > 0 {
		term = terms[n-1]
	}
	for range random.IntN(most + 1) {
		term = min(top, term+core.Term(random.IntN(3))/2*core.Term(1+random.IntN(2)))
		terms = append(terms, term)
	}
	return terms
}

func entriesOf(terms []core.Term) []core.Entry {
	var entries []core.Entry
	for i, term := range terms {
		entries = append(entries, command(id(term, core.Index(i)+1)))
	}
	return entries
}

func playStream(random *rand.Rand) string {
	common := randomTerms(random, nil, 6, 3)
	leaderTerms := randomTerms(random, common, 8, 4)
	followerTerms := randomTerms(random, common, 8, 4)
	// One leader wrote each term: behind what they have in common the logs share none.
	if d := len(common); d < len(followerTerms) && d < len(leaderTerms) {
		for i := d; i < len(followerTerms); i++ {
			followerTerms[i] = 2*followerTerms[i] + 1
		}
		for i := d; i < len(leaderTerms); i++ {
			leaderTerms[i] = 2*leaderTerms[i] + 2
		}
	}
	const term = 20
	leader := testLog{entries: entriesOf(leaderTerms)}
	last := leader.last().Index
	leader.entries = append(leader.entries, command(id(term, last+1)))
	follower := &streamFollower{log: testLog{entries: entriesOf(followerTerms)}}
	runs := leader.runs()
	cfg := testConfig(core.StartStream{Term: term, Stream: 7, Terms: runs, Last: last})
	cfg.MessageBytesMax, cfg.EntriesPerMessageMax = 50+random.IntN(300), 1+random.IntN(4)
	cfg.InflightMessagesMax, cfg.InflightBytesMax = 1+random.IntN(3), 100+random.IntN(300)
	s := New(cfg)
	p := &streamPlay{s: s, random: random, leader: leader, follower: follower}
	faults := random.IntN(2) * 120
	p.step(&Grown{Last: leader.last().Index})
	for turn := 0; turn < 500 && p.err == ""; turn++ {
		p.turn(turn < faults)
	}
	if faults == 0 && p.refusals > len(runs) {
		return fmt.Sprintf("%d probes were refused, and the leader's log has %d terms", p.refusals, len(runs))
	}
	if p.err == "" && (s.Match() != p.leader.last().Index || !slices.EqualFunc(p.leader.entries, follower.log.entries, func(a, b core.Entry) bool { return a.LogID == b.LogID })) {
		p.err = fmt.Sprintf("the stream came to rest as %v, match %d of %d", s.Mode(), s.Match(), p.leader.last().Index)
	}
	return p.err
}

// streamPlay is a stream, its follower, and the connection between them.
type streamPlay struct {
	s        *Stream
	random   *rand.Rand
	now      core.Instant
	leader   testLog
	follower *streamFollower
	requests []*core.AppendEntries
	answers  []*core.AppendResponse
	read     *Read
	refusals int
	err      string
}

func (p *streamPlay) step(ev Event) {
	var out Output
	for ev != nil && p.err == "" {
		p.now++
		p.s.Step(p.now, ev, &out)
		ev = nil
		if p.s.Match() >= p.s.Next() {
			p.err = fmt.Sprintf("match %d, next %d", p.s.Match(), p.s.Next())
		}
		if m := p.s.Match(); m > 0 && (m > p.follower.log.last().Index || p.follower.log.at(m).LogID != p.leader.at(m).LogID) {
			p.err = fmt.Sprintf("match %d is not true", m)
		}
		if out.NeedSnapshot || out.Ended || out.HigherTerm > 0 {
			p.err = fmt.Sprintf("%+v", out)
		}
		if out.Send != nil {
			ok := p.random.IntN(5) > 0
			if ok {
				p.requests = append(p.requests, out.Send)
			}
			ev = &Sent{OK: ok}
		} else if out.Want {
			p.read = p.leader.read(out.First, out.Last, out.BytesMax)
		}
	}
}

// turn does one thing at random.
func (p *streamPlay) turn(faulty bool) {
	switch k := p.random.IntN(12); {
	case k < 3 && p.read != nil:
		read := p.read
		p.read = nil
		p.step(read)
	case k < 6 && len(p.requests) > 0:
		m := p.requests[0]
		p.requests = p.requests[1:]
		if len(m.Entries) > 0 && m.Entries[0].Index != m.Prev.Index+1 {
			p.err = "a message with a hole: " + printAppend(m)
			return
		}
		a := p.follower.receive(m)
		p.answers = append(p.answers, a)
		if !a.Success {
			p.refusals++
		}
	case k < 9 && len(p.answers) > 0:
		i := 0
		if faulty {
			i = p.random.IntN(len(p.answers)) // over another connection, from before
		}
		m := p.answers[i]
		p.answers = slices.Delete(p.answers, i, i+1)
		p.step(Answered{m})
	case k == 9 && faulty: // the connection breaks; answers may still come
		p.requests = nil
		if p.random.IntN(2) == 0 {
			p.answers = nil
		}
		p.step(&Down{})
	case k == 10 && faulty && p.random.IntN(4) == 0:
		p.leader.entries = append(p.leader.entries, command(id(p.leader.last().Term, p.leader.last().Index+1)))
		p.step(&Grown{Last: p.leader.last().Index, Commit: p.s.Match()})
	case k == 11 && (faulty || len(p.requests)+len(p.answers) == 0):
		p.now++
		p.step(&Alive{Sent: p.now})
	}
}
