package snapshots

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/actors/stage/stagetest"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// handClock is an environment whose time the test lets pass.
type handClock struct {
	*stagetest.Hand
	now    stage.Instant
	timers []*handTimer
}

type handTimer struct {
	clock *handClock
	due   stage.Instant // 0: it does not run
	f     func()
}

func (c *handClock) Now() stage.Instant { return c.now }

func (c *handClock) AfterFunc(d time.Duration, f func()) stage.Timer {
	t := &handTimer{clock: c, f: f}
	t.Reset(d)
	c.timers = append(c.timers, t)
	return t
}

func (t *handTimer) Reset(d time.Duration) { t.due = t.clock.now + stage.Instant(d) }
func (t *handTimer) Stop()                 { t.due = 0 }

// pass lets time pass in small steps.
func (c *handClock) pass(d time.Duration) {
	c.Settle()
	for end := c.now + stage.Instant(d); c.now < end; {
		c.now += stage.Instant(10 * time.Millisecond)
		for _, t := range slices.Clone(c.timers) {
			if t.due != 0 && t.due <= c.now {
				t.due = 0
				t.f()
			}
		}
		c.Settle()
	}
}

// sendingRig is the sending sides of some groups of a node. Their calls end when the
// test says so.
type sendingRig struct {
	env   *handClock
	gate  *Gate
	sent  []*core.SnapshotChunk
	ended []*core.SnapshotSent
}

const timeout = time.Second

func newSendingRig() *sendingRig {
	r := &sendingRig{env: &handClock{Hand: stagetest.NewHand(), now: 1}}
	r.gate = NewGate(r.env)
	return r
}

func (r *sendingRig) Send(m core.Message) bool {
	r.sent = append(r.sent, m.(*core.SnapshotChunk))
	return true
}

func (r *sendingRig) Sent(membership.NodeID, core.Class) uint64 { return 0 }

var receiverOf = membership.Member{Identity: membership.Identity{ID: 2, Incarnation: 1}}

// group makes the jobs of a group that has a snapshot to send.
func (r *sendingRig) group(t *testing.T, id membership.GroupID, store storage.SnapshotStore) *Jobs {
	w, err := store.Create(t.Context(), id, metaOf(core.LogID{Term: 1, Index: 5}, "content"))
	if err == nil {
		_, err = w.Write([]byte("content"))
	}
	if err == nil {
		_, err = w.Commit(core.SnapshotMeta{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return NewJobs(&Group{
		Home: stage.Home{Env: r.env, Failed: func(err error) { t.Error(err) }, Ended: func() {}},
		ID:   id, Store: store, Network: r, Context: t.Context(), Gate: r.gate, ChunkBytes: 100, Takes: func(core.NodeID, core.Class) int { return 0 }, ElectionTimeout: timeout,
		Header:  func(to core.Identity) core.Header { return core.Header{Group: id, To: to} },
		Cluster: func() core.ClusterID { return core.ClusterID{7} },
		Core:    func(ev core.Event) { r.ended = append(r.ended, ev.(*core.SnapshotSent)) },
		Spawn:   (*stage.Shell).Start,
	})
}

func send(j *Jobs) { j.Send(&core.SendSnapshot{Peer: receiverOf, Stream: 1, Term: 1}) }

// calls ends those that are under way, and those that follow from them.
func (r *sendingRig) calls() {
	r.env.Settle()
	for r.env.Calls() > 0 {
		r.env.Finish()
	}
}

// answer answers the piece that was sent last.
func (r *sendingRig) answer(j *Jobs, offset uint64, refusal string) {
	last := r.sent[len(r.sent)-1]
	j.Answered(&core.SnapshotResponse{
		Header: core.Header{Group: last.Group, Cluster: core.ClusterID{7}, From: receiverOf.Identity}, Stream: 1,
		Transfer: last.Transfer, Offset: offset, Refused: refusal != "", Reason: refusal,
	})
	r.env.Settle()
}

// TestTurnOfATransferThatHangsIsPassedOn: while the snapshot of one group cannot be
// opened, or its receiver does not answer, those of others go to the same node.
func TestTurnOfATransferThatHangsIsPassedOn(t *testing.T) {
	for _, hangs := range []string{"the store", "the receiver"} {
		t.Run(hangs, func(t *testing.T) {
			r := newSendingRig()
			one, two := r.group(t, 1, memory.NewSnapshots()), r.group(t, 2, memory.NewSnapshots())
			send(one)
			r.env.Settle()
			if hangs == "the receiver" {
				r.calls()
			}
			sent := len(r.sent)
			send(two)
			r.env.pass(timeout / 2)
			if len(r.sent) != sent || r.env.Calls() > 1 {
				t.Fatal("two transfers to one node have their turn")
			}
			r.env.pass(timeout)
			r.calls() // that of the first, if it was its own that hung, has returned too late
			if len(r.sent) != sent+1 || r.sent[sent].Group != 2 {
				t.Fatalf("%d pieces were sent while the first group's transfer hung, want one of group 2", len(r.sent)-sent)
			}
			r.answer(two, 0, "")
			r.calls()
			r.answer(two, 7, "")
			if len(r.ended) != 1 || !r.ended[0].OK {
				t.Fatalf("group 2's transfer has not ended well: %+v", r.ended)
			}
			two.Ended(r.ended[0])
			r.calls()
			if hangs == "the store" && (len(r.sent) != sent+3 || r.sent[sent+2].Group != 1) {
				t.Errorf("the first group's transfer does not go on when it has its turn again: %d pieces", len(r.sent)-sent)
			}
			one.StreamStopped(receiverOf.Identity, 1)
			r.calls()
			if len(r.gate.lines) != 0 {
				t.Errorf("%d nodes have lines in which nobody stands", len(r.gate.lines))
			}
			for _, timer := range r.env.timers {
				if timer.due != 0 {
					t.Error("a timer runs on")
				}
			}
		})
	}
}

// TestWhatFailsIsOfferedMoreAndMoreSeldom: a snapshot that its receiver cannot store is
// offered again after pauses that grow up to a bound, and told once until it arrives.
func TestWhatFailsIsOfferedMoreAndMoreSeldom(t *testing.T) {
	r := newSendingRig()
	jobs := r.group(t, 1, memory.NewSnapshots())
	var pauses []time.Duration
	told := 0
	offer := func() time.Duration {
		sent, begun := len(r.sent), r.env.now
		send(jobs)
		for len(r.sent) == sent {
			r.calls()
			r.env.pass(10 * time.Millisecond)
		}
		return r.env.now.Sub(begun).Round(100 * time.Millisecond)
	}
	end := func() {
		text, news := jobs.Ended(r.ended[len(r.ended)-1])
		if news {
			told++
		}
		if ok := r.ended[len(r.ended)-1].OK; ok && text != "after 8 failures" || news && !ok && text != "no room" {
			t.Errorf("told: %q", text)
		}
		r.calls()
	}
	for range 8 {
		pauses = append(pauses, offer())
		r.answer(jobs, 0, "no room")
		end()
	}
	if want := []time.Duration{0, timeout / 2, timeout, 2 * timeout, 4 * timeout, 8 * timeout, 16 * timeout, 16 * timeout}; !slices.Equal(pauses, want) {
		t.Errorf("it is offered after %v, want %v", pauses, want)
	}
	if told != 1 {
		t.Errorf("eight failures are told %d times", told)
	}
	offer()
	r.answer(jobs, 0, "")
	r.calls()
	r.answer(jobs, 7, "")
	end()
	if told != 2 {
		t.Errorf("that it has arrived is told %d times", told-1)
	}
	if pause := offer(); pause != 0 {
		t.Errorf("after it has arrived the next is offered after %v", pause)
	}
	r.answer(jobs, 0, "no room")
	end()
	jobs.PeerDown(receiverOf.ID)
	if pause := offer(); pause != 0 {
		t.Errorf("to another life of the receiver it is offered after %v", pause)
	}
	jobs.Stop()
	r.calls()
}

// TestPauseEndsWithItsTransfer: one that is stopped while it pauses never lines up.
func TestPauseEndsWithItsTransfer(t *testing.T) {
	r := newSendingRig()
	jobs := r.group(t, 1, memory.NewSnapshots())
	send(jobs)
	r.calls()
	r.answer(jobs, 0, "no room")
	jobs.Ended(r.ended[0])
	send(jobs)
	paused := jobs.senders[0]
	jobs.StreamStopped(receiverOf.Identity, 1)
	r.calls()
	r.gate.enter(paused) // its timer was about to fire
	r.env.pass(time.Minute)
	if len(r.gate.lines) != 0 || len(r.sent) != 1 {
		t.Errorf("%d lines and %d pieces", len(r.gate.lines), len(r.sent))
	}
}

// noRemoval is a store that cannot remove, while it is told so.
type noRemoval struct {
	*memory.Snapshots
	fails bool
}

func (s *noRemoval) RemoveBelow(ctx context.Context, g membership.GroupID, i core.Index) error {
	if s.fails {
		return errors.New("too many open files")
	}
	return s.Snapshots.RemoveBelow(ctx, g, i)
}

// TestRemovalThatFails: it is nobody's failure, and told once until it succeeds.
func TestRemovalThatFails(t *testing.T) {
	store := &noRemoval{memory.NewSnapshots(), true}
	r := NewRemoval(store, 1, nil)
	for range 3 {
		r.Below(t.Context(), 5)
	}
	if r.failed != 3 {
		t.Errorf("%d failures are counted", r.failed)
	}
	store.fails = false
	if r.Below(t.Context(), 6); r.failed != 0 {
		t.Error("a removal has succeeded, and the next failure is not told")
	}
}
