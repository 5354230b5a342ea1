package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// leadAnswered makes a rig lead, with answers of all others to a round.
func leadAnswered(t *testing.T, o rigOptions) *rig {
	t.Helper()
	r := newRig(t, o).lead()
	for _, p := range r.e.leaderState.peers {
		r.answerRound(p.ID, r.e.log.last.Index)
	}
	return r
}

// answerRound lets a peer answer the last round.
func (r *rig) answerRound(id NodeID, match Index) {
	r.t.Helper()
	r.respond(id, &HeartbeatResponse{Match: match, Accepted: match})
}

func (r *rig) respond(id NodeID, m *HeartbeatResponse) {
	r.t.Helper()
	m.Round, m.Stream = r.e.leaderState.round, r.e.leaderState.peer(rigPeers[id-1]).stream
	r.from(id, r.e.hard.Term, m)
}

// transfer asks for one, and returns what the step told of it.
func (r *rig) transferTo(to NodeID, not ...NodeID) *TransferEnded {
	r.t.Helper()
	r.step(&TransferLeadership{ID: 7, To: to, Not: not, ByHand: true})
	return r.ended()
}

func (r *rig) ended() *TransferEnded {
	c, _ := find[*TransferEnded](r)
	return c
}

// failed expects that a transfer ended for a reason in the last step.
func (r *rig) failed(reason TransferReason, to NodeID, sent bool) {
	r.t.Helper()
	c := r.ended()
	var err *TransferError
	if c == nil || !errors.As(c.Err, &err) {
		r.t.Fatalf("not ended by an error: %q", r.lines())
	}
	if c.ID != 7 || err.Reason != reason || err.To != to || MayHaveHappened(err) != sent {
		r.t.Errorf("%d ended: %v (to %d, may have happened: %v); want %v (to %d, %v)", c.ID, err, err.To, MayHaveHappened(err), reason, to, sent)
	}
}

// told reports whether the last step told a node to campaign.
func (r *rig) told(id NodeID) bool {
	m, ok := sent[*TimeoutNow](r)
	return ok && m.To.ID == id
}

// TestTransferIsRefused: each reason that stands before anything is done. The leader
// goes on as before, and admits.
func TestTransferIsRefused(t *testing.T) {
	unfit := func(u Unfit) func(r *rig) {
		return func(r *rig) { r.respond(2, &HeartbeatResponse{Match: 2, Accepted: 2, Unfit: u}) }
	}
	for name, test := range map[string]struct {
		to      NodeID
		prepare func(r *rig)
		reason  TransferReason
	}{
		"itself":    {1, nil, TransferToItself},
		"no member": {9, nil, TransferUnknownMember},
		"never answered": {2, func(r *rig) {
			r.now = r.now.Add(r.e.cfg.ElectionTimeout + 1)
			r.e.leaderState.peers[0].answered = 0
		}, TransferUnreachable},
		"silent now": {2, func(r *rig) {
			for range 11 {
				r.fire(TimerHeartbeat)
				r.answerRound(3, 2)
			}
		}, TransferUnreachable},
		"its connection broke": {2, func(r *rig) {
			r.step(&PeerDown{Node: 3, Class: ClassControl})
			r.step(&PeerDown{Node: 2, Class: ClassControl})
			r.answerRound(3, 2)
		}, TransferUnreachable},
		"lost its data": {2, func(r *rig) { r.step(&LostData{rigPeers[1], 1}) }, TransferUnreachable},
		"paused":        {2, unfit(UnfitPaused), TransferPaused},
		"installing":    {2, unfit(UnfitInstalling), TransferInstalling},
		"sick":          {2, unfit(UnfitSick), TransferSick},
		"far behind": {2, func(r *rig) {
			r.lag(transferLagMax + 1)
		}, TransferLagging},
		"a snapshot on its way": {2, func(r *rig) { r.e.leaderState.peers[0].snapshot = true }, TransferLagging},
		"nobody is left": {0, func(r *rig) {
			unfit(UnfitPaused)(r)
			r.respond(3, &HeartbeatResponse{Match: 2, Accepted: 2, Unfit: UnfitSick})
		}, TransferNoTarget},
	} {
		t.Run(name, func(t *testing.T) {
			r := leadAnswered(t, rigOptions{configure: func(c *Config) { c.UncommittedBytesMax = 1 << 30 }})
			if test.prepare != nil {
				test.prepare(r)
			}
			r.transferTo(test.to)
			r.failed(test.reason, test.to, false)
			if !r.e.ready() || r.e.transfer.phase != transferNone || r.e.Status().NeedsNewTerm || r.propose("y").Err != nil {
				t.Error("it does not go on as before")
			}
		})
	}
	// Who was just elected has not heard of anybody yet, and may hand over all the same.
	young := newRig(t, rigOptions{}).lead()
	if young.transferTo(3); young.ended() != nil {
		t.Errorf("just elected: %q", young.lines())
	}
	young = newRig(t, rigOptions{}).lead()
	young.transferTo(0)
	young.failed(TransferNoTarget, 0, false)
	// One that answers again is there again.
	again := leadAnswered(t, rigOptions{})
	again.step(&PeerDown{Node: 2, Class: ClassControl})
	again.answerRound(2, 2)
	if again.transferTo(2); again.ended() != nil {
		t.Errorf("it is back: %q", again.lines())
	}
	// Far behind is one more than this.
	r := leadAnswered(t, rigOptions{configure: func(c *Config) { c.UncommittedBytesMax = 1 << 30 }})
	r.lag(transferLagMax)
	if r.transferTo(2); r.ended() != nil {
		t.Errorf("%d entries behind: %q", transferLagMax, r.lines())
	}
}

// TestTransferWithinAConfiguration: a learner, and a voter of the outgoing half only,
// are no targets; a target that becomes either, or leaves, is let go of.
func TestTransferWithinAConfiguration(t *testing.T) {
	configure := func(r *rig, voters, outgoing []Identity, members ...Identity) {
		r.t.Helper()
		c := membership.Configuration{Voters: voters, Outgoing: outgoing}
		for _, id := range members {
			c.Members = append(c.Members, membership.Member{Identity: id})
		}
		r.out.Reset()
		r.e.out = &r.out
		r.e.appendConfiguration(&c)
		r.e.finish()
		r.check()
	}
	all := rigPeers[:3]
	for name, test := range map[string]struct {
		voters, outgoing, members []Identity
		reason                    TransferReason
	}{
		"learner":  {all[:2:2], nil, all, TransferLearner},
		"outgoing": {all[:2:2], all, all, TransferOutgoing},
		"removed":  {all[:2:2], nil, all[:2:2], TransferUnknownMember},
		"replaced": {[]Identity{all[0], all[1], {ID: 3, Incarnation: 99}}, nil, []Identity{all[0], all[1], {ID: 3, Incarnation: 99}}, TransferUnknownMember},
	} {
		t.Run(name, func(t *testing.T) {
			r := leadAnswered(t, rigOptions{})
			if name != "replaced" {
				configure(r, test.voters, test.outgoing, test.members...)
				r.transferTo(3)
				r.failed(test.reason, 3, false)
			}
			for _, told := range []bool{false, true} {
				r := leadAnswered(t, rigOptions{})
				if !told {
					r.propose("x")
				}
				if r.transferTo(3); r.told(3) != told {
					t.Fatalf("told: %v", r.told(3))
				}
				configure(r, test.voters, test.outgoing, test.members...)
				r.failed(test.reason, 3, told)
				if !r.e.ready() {
					t.Error("it does not admit again")
				}
			}
		})
	}
}

// TestTransferTellsWhoHasAll: the target is told when, and only when, it holds the
// leader's whole log durably; meanwhile nothing is admitted, and no configuration is
// appended.
func TestTransferTellsWhoHasAll(t *testing.T) {
	r := leadAnswered(t, rigOptions{})
	r.propose("x", "y")
	if r.transferTo(2); r.told(2) || r.e.ready() || r.e.Status().TransferringTo != 2 {
		t.Fatalf("%q", r.lines())
	}
	if p := r.propose("z"); !errors.Is(p.Err, ErrTransferring) || p.Admitted != 0 {
		t.Errorf("admitted %d: %v", p.Admitted, p.Err)
	}
	r.respond(2, &HeartbeatResponse{Match: 2, Accepted: 4})
	if r.told(2) {
		t.Error("told what it has accepted and not made durable")
	}
	if r.match(3, 4); r.told(2) {
		t.Error("told when another has the log")
	}
	if r.match(2, 3); r.told(2) {
		t.Error("told an entry too early")
	}
	if !r.e.WaitsForMatches() {
		t.Error("the match that it waits for may be held back")
	}
	if r.match(2, 4); !r.told(2) || r.e.leaderState.handedTo != rigPeers[1] || r.e.ready() {
		t.Fatalf("%q", r.lines())
	}
	if r.e.WaitsForMatches() {
		t.Error("it waits for matches after that")
	}
	if r.answerRound(2, 4); r.told(2) {
		t.Error("told twice")
	}
}

// lag appends so many entries.
func (r *rig) lag(n int) {
	r.t.Helper()
	if p := r.propose(slices.Repeat([]string{""}, n)...); p.Err != nil {
		r.t.Fatal(p.Err)
	}
}

// TestTransferGoesOnAdmitting: while the target is far behind, the leader admits; when it
// is near, it does not, and the target gets what there is.
func TestTransferGoesOnAdmitting(t *testing.T) {
	r := leadAnswered(t, rigOptions{configure: func(c *Config) { c.UncommittedBytesMax = 1 << 30 }})
	r.lag(3 * transferNearMax)
	if r.transferTo(2); !r.e.ready() {
		t.Fatal("it admits nothing, and the target is far behind")
	}
	last := r.e.log.last.Index
	if p := r.propose("x"); p.Err != nil || r.told(2) {
		t.Fatal(p.Err)
	}
	if r.match(2, last-transferNearMax); !r.e.ready() {
		t.Error("one too far, and it admits nothing")
	}
	if r.match(2, last-transferNearMax+1); r.e.ready() || r.told(2) {
		t.Error("the target is near, and it admits")
	}
	if p := r.propose("y"); !errors.Is(p.Err, ErrTransferring) {
		t.Error(p.Err)
	}
	if r.match(2, last+1); !r.told(2) {
		t.Errorf("%q", r.lines())
	}
}

// TestTransferTimesOut: a target that does not catch up, or does not win, in an
// election time-out is let go of; the leader admits again at once. One that was told
// may win yet.
func TestTransferTimesOut(t *testing.T) {
	for _, told := range []bool{false, true} {
		r := leadAnswered(t, rigOptions{})
		if !told {
			r.propose("x")
		}
		r.transferTo(2)
		begun := r.now
		r.fire(TimerTransfer)
		if r.failed(TransferTimedOut, 2, told); r.now.Sub(begun) != r.e.cfg.ElectionTimeout || !r.e.ready() {
			t.Errorf("told %v: after %v, admits: %v", told, r.now.Sub(begun), r.e.ready())
		}
		if r.e.Status().NeedsNewTerm != told {
			t.Errorf("told %v: needs a new term: %v", told, r.e.Status().NeedsNewTerm)
		}
	}
	// A broken connection tells sooner. Another class, or another node, does not.
	for _, told := range []bool{false, true} {
		r := leadAnswered(t, rigOptions{})
		if !told {
			r.propose("x")
		}
		r.transferTo(2)
		r.step(&PeerDown{Node: 2, Class: ClassBulk})
		r.step(&PeerDown{Node: 3, Class: ClassControl})
		if r.e.transfer.phase == transferNone {
			t.Fatal("ended by what does not concern it")
		}
		r.step(&PeerDown{Node: 2, Class: ClassControl})
		r.failed(TransferUnreachable, 2, told)
	}
}

// TestTargetRefuses: what the target says is the reason, and it will not happen. An
// answer to another transfer says nothing.
func TestTargetRefuses(t *testing.T) {
	for unfit, reason := range map[Unfit]TransferReason{
		Fit: TransferRefused, UnfitPaused: TransferPaused, UnfitInstalling: TransferInstalling,
		UnfitSick: TransferSick, UnfitNotVoter: TransferLearner, 99: TransferRefused,
	} {
		r := leadAnswered(t, rigOptions{})
		r.transferTo(2)
		r.from(2, 2, &TimeoutNowResponse{Transfer: r.e.transfer.number - 1, Unfit: unfit})
		r.from(3, 2, &TimeoutNowResponse{Transfer: r.e.transfer.number, Unfit: unfit})
		r.from(2, 1, &TimeoutNowResponse{Transfer: r.e.transfer.number, Unfit: unfit})
		r.from(2, 2, &TimeoutNowResponse{Transfer: 1, Unfit: unfit}) // to the first one of an earlier life
		if r.e.transfer.phase != transferTold {
			t.Fatal("ended by an answer that does not concern it")
		}
		r.from(2, 2, &TimeoutNowResponse{Transfer: r.e.transfer.number, Unfit: unfit})
		r.failed(reason, 2, false)
		if !r.e.Status().NeedsNewTerm {
			t.Error("its lease is gone, and it says nothing of that")
		}
	}
}

// TestTargetInAHigherTermRefuses: it will not campaign for a term that is behind it, and
// the transfer ends at once, whether the leader hears of that term by this answer or
// before.
func TestTargetInAHigherTermRefuses(t *testing.T) {
	for _, before := range []bool{false, true} {
		r := leadAnswered(t, rigOptions{})
		r.transferTo(2)
		if before {
			r.from(3, 5, &HeartbeatResponse{})
		}
		if r.ended() != nil {
			t.Fatalf("%q", r.lines())
		}
		r.from(2, 5, &TimeoutNowResponse{Transfer: r.e.transfer.number})
		r.failed(TransferRefused, 2, false)
		if r.e.role != RoleFollower || r.e.hard.Term != 5 || r.e.transfer.phase != transferNone || !strings.Contains(r.ended().Err.Error(), "it is in term 5") {
			t.Errorf("a %v of T%d: %v", r.e.role, r.e.hard.Term, r.ended().Err)
		}
	}
	// An answer to another transfer ends the leadership, and says nothing of this one.
	r := leadAnswered(t, rigOptions{})
	r.transferTo(2)
	if r.from(2, 5, &TimeoutNowResponse{Transfer: r.e.transfer.number + 1}); r.e.role != RoleFollower || r.e.hard.Term != 5 || r.ended() != nil {
		t.Errorf("a %v of T%d: %q", r.e.role, r.e.hard.Term, r.lines())
	}
}

// TestLeaderLeavesInATransfer: before the target was told the transfer is over; after
// that it is seen through, and ends with the first entry that the new leader commits.
func TestLeaderLeavesInATransfer(t *testing.T) {
	r := leadAnswered(t, rigOptions{})
	r.propose("x")
	r.transferTo(2)
	r.from(3, 4, &HeartbeatResponse{})
	r.failed(TransferHigherTerm, 2, false)

	r = leadAnswered(t, rigOptions{})
	r.propose("x")
	r.transferTo(2)
	r.now = r.now.Add(950 * time.Millisecond)
	r.e.transfer.until = r.now.Add(time.Hour) // its quorum is gone first
	for r.e.role == RoleLeader {
		r.fire(TimerHeartbeat)
	}
	r.failed(TransferSteppedDown, 2, false)

	ask := func(from NodeID) *rig {
		r := leadAnswered(t, rigOptions{})
		r.transferTo(2)
		r.from(from, 3, &VoteRequest{ElectionTerm: 3, Campaign: 1, Last: LogID{2, 2}, Transfer: true})
		return r
	}
	r = ask(2)
	if n, ok := find[*Notice](r); !ok || n.Text != "hands over to node 2" || r.e.hard.Vote != rigPeers[1] || r.ended() != nil {
		t.Fatalf("%q", r.lines())
	}
	r.flush()
	if r.from(2, 3, &Heartbeat{Round: 1, Stream: 1, Commit: 2}); r.ended() != nil {
		t.Error("ended before the target has committed anything")
	}
	r.from(2, 3, &AppendEntries{Stream: 1, Prev: LogID{2, 2}, Entries: []Entry{{LogID: LogID{3, 3}, Kind: EntryBlank}}, Commit: 2})
	r.flush()
	r.from(2, 3, &Heartbeat{Round: 2, Stream: 1, Commit: 3})
	if c := r.ended(); c == nil || c.Err != nil || c.Leader != 2 || c.Term != 3 {
		t.Errorf("%q", r.lines())
	}
	if counts := r.e.Progress().Transfers; counts != [2]uint64{1, 0} {
		t.Errorf("counts %v", counts)
	}
	if n, ok := find[*Notice](r); !ok || n.Kind != NoticeTransferred || n.Peer != rigPeers[1] || n.Term != 2 {
		t.Errorf("notices: %q", r.lines())
	}

	// Another wins the term that the target was to win: the target cannot any more.
	r = ask(2)
	r.from(3, 3, &Heartbeat{Round: 1, Stream: 1})
	r.failed(TransferAnotherWon, 2, false)
	// One of a later term: the target may have led in between.
	r = ask(2)
	r.from(3, 4, &Heartbeat{Round: 1, Stream: 1})
	r.failed(TransferAnotherWon, 2, true)
	// Nobody leads.
	r = ask(2)
	left := r.now
	r.fire(TimerTransfer)
	if r.failed(TransferTimedOut, 2, true); r.now.Sub(left) != r.e.cfg.ElectionTimeout || r.e.Progress().Transfers != [2]uint64{0, 1} {
		t.Errorf("after %v", r.now.Sub(left))
	}
}

// TestSecondTransfer: to the same target it shares the outcome; to another it is
// refused, and the first goes on.
func TestSecondTransfer(t *testing.T) {
	r := leadAnswered(t, rigOptions{})
	r.propose("x")
	r.transferTo(2)
	r.step(&TransferLeadership{ID: 8, To: 3})
	if c := r.ended(); c == nil || c.ID != 8 || c.Err.(*TransferError).Reason != TransferUnderWay {
		t.Fatalf("%q", r.lines())
	}
	r.step(&TransferLeadership{ID: 9, To: 2})
	r.step(&TransferLeadership{ID: 10})
	r.from(3, 2, &TransferRequest{ID: 77, Target: 2})
	if len(r.e.transfer.waiters) != 4 {
		t.Fatalf("%d wait", len(r.e.transfer.waiters))
	}
	r.fire(TimerTransfer)
	var ids []uint64
	for _, c := range r.last {
		if c, ok := c.(*TransferEnded); ok {
			ids = append(ids, c.ID)
		}
	}
	if m, ok := sent[*TransferResponse](r); !slices.Equal(ids, []uint64{7, 9, 10}) || !ok || m.ID != 77 || m.Reason != TransferTimedOut || m.Target != 2 {
		t.Errorf("ended: %v; %q", ids, r.lines())
	}
	// A third may go to another.
	if r.transferTo(3); r.e.transfer.to != rigPeers[2] {
		t.Errorf("%q", r.lines())
	}
}

// TestTransferIsCancelled: whom nobody waits for any more is not told. One that was
// told is seen through.
func TestTransferIsCancelled(t *testing.T) {
	r := leadAnswered(t, rigOptions{})
	r.propose("x")
	r.transferTo(2)
	r.step(&TransferLeadership{ID: 8, To: 2})
	cancel := func(r *rig, id uint64) { r.step(&TransferCancelled{id, context.Canceled}) }
	if cancel(r, 7); r.e.transfer.phase != transferCatchingUp {
		t.Fatal("another still waits for it")
	}
	r.failed(TransferTimedOut, 2, false)
	if !errors.Is(r.ended().Err, context.Canceled) {
		t.Errorf("%v", r.ended().Err)
	}
	if cancel(r, 8); r.e.transfer.phase != transferNone || !r.e.ready() || r.ended() == nil || r.ended().ID != 8 {
		t.Fatalf("%q", r.lines())
	}
	if r.match(2, 3); r.told(2) {
		t.Error("told all the same")
	}
	r.transferTo(2)
	if cancel(r, 7); r.e.transfer.phase != transferTold {
		t.Error("who was told campaigns all the same")
	}
	r.failed(TransferTimedOut, 2, true)
	if cancel(r, 7); r.ended() != nil {
		t.Errorf("ended twice: %q", r.lines())
	}
	// What was passed on is forgotten.
	f := newRig(t, rigOptions{}).follow(2)
	f.transferTo(3)
	cancel(f, 7)
	f.failed(TransferTimedOut, 3, true)
	f.from(2, 2, &TransferResponse{ID: f.e.transfer.nextWireID, Leader: 3, LeaderTerm: 3})
	if f.ended() != nil {
		t.Errorf("%q", f.lines())
	}
}

// TestTransferToTheBest: of the highest priority, of those with the most of the log,
// and nobody who is not fit or stands on the list of those who were tried.
func TestTransferToTheBest(t *testing.T) {
	ranks := func(r *rig, ranks ...uint32) {
		for i, rank := range ranks {
			r.e.leaderState.peers[i].Priority = rank
		}
	}
	for name, test := range map[string]struct {
		ranks []uint32
		match []Index
		unfit map[NodeID]Unfit
		not   []NodeID
		want  NodeID
	}{
		"all alike":                   {want: 2},
		"the most of the log":         {match: []Index{2, 2, 3, 2}, want: 4},
		"the highest priority":        {ranks: []uint32{100, 7, 200, 101}, match: []Index{3, 3, 2, 3}, want: 4},
		"unset is normal":             {ranks: []uint32{99, 0, 1, 99}, want: 3},
		"paused is not the best":      {ranks: []uint32{1, 1, 1, 200}, unfit: map[NodeID]Unfit{5: UnfitPaused}, want: 2},
		"who stands back may":         {ranks: []uint32{1, 1, 1, 200}, unfit: map[NodeID]Unfit{5: UnfitStandsBack}, want: 5},
		"who was tried is not":        {not: []NodeID{2, 3}, want: 4},
		"the last if nobody else may": {ranks: []uint32{membership.PriorityLast, 100, 100, 100}, not: []NodeID{3, 4, 5}, want: 2},
	} {
		r := leadAnswered(t, rigOptions{voters: 5})
		r.propose("x")
		ranks(r, test.ranks...)
		for i, match := range test.match {
			r.e.leaderState.peers[i].match = match
		}
		for id, unfit := range test.unfit {
			r.e.leaderState.peer(rigPeers[id-1]).unfit = unfit
		}
		if r.transferTo(0, test.not...); r.e.transfer.to.ID != test.want {
			t.Errorf("%s: to %d, want %d", name, r.e.transfer.to.ID, test.want)
		}
	}
}

// TestTransferIsPassedOn: another node than the leader asks the leader, and tells what
// it says.
func TestTransferIsPassedOn(t *testing.T) {
	r := newRig(t, rigOptions{})
	if c := r.transferTo(2); c == nil {
		t.Fatalf("%q", r.lines())
	} else if e := (*NotLeaderError)(nil); !errors.As(c.Err, &e) || e.Leader != 0 {
		t.Errorf("without a leader: %v", c.Err)
	}
	r.follow(2)
	asks := func() uint64 {
		r.t.Helper()
		if r.transferTo(3); r.ended() != nil {
			t.Fatalf("%q", r.lines())
		}
		m, ok := sent[*TransferRequest](r)
		if !ok || m.To.ID != 2 || m.Target != 3 {
			t.Fatalf("%q", r.lines())
		}
		return m.ID
	}
	id := asks()
	r.from(3, 2, &TransferResponse{ID: id, Leader: 3, LeaderTerm: 3})
	r.from(2, 2, &TransferResponse{ID: id + 1, Leader: 3, LeaderTerm: 3})
	if r.ended() != nil {
		t.Fatal("ended by what does not concern it")
	}
	r.from(2, 3, &TransferResponse{ID: id, Leader: 3, LeaderTerm: 3})
	if c := r.ended(); c == nil || c.Err != nil || c.Leader != 3 || c.Term != 3 {
		t.Errorf("%q", r.lines())
	}
	id = asks()
	r.from(2, 2, &TransferResponse{ID: id, Reason: TransferPaused, Target: 3, Leader: 2, Sent: true})
	r.failed(TransferPaused, 3, true)
	id = asks()
	r.from(2, 2, &TransferResponse{ID: id, Reason: transferNotLeader, Leader: 1})
	if e := (*NotLeaderError)(nil); r.ended() == nil || !errors.As(r.ended().Err, &e) || e.Leader != 1 {
		t.Errorf("%q", r.lines())
	}
	asks()
	r.step(&PeerDown{Node: 2, Class: ClassControl})
	r.failed(TransferStopped, 3, true)
	asks()
	begun := r.now
	r.fire(TimerTransfer)
	if r.failed(TransferTimedOut, 3, true); r.now.Sub(begun) != askedTimeouts*r.e.cfg.ElectionTimeout {
		t.Errorf("after %v", r.now.Sub(begun))
	}
	// A leader answers a member, and a node that does not lead says so.
	l := leadAnswered(t, rigOptions{})
	l.from(3, 2, &TransferRequest{ID: 4, Target: 9})
	if m, ok := sent[*TransferResponse](l); !ok || m.To.ID != 3 || m.ID != 4 || m.Reason != TransferUnknownMember {
		t.Errorf("%q", l.lines())
	}
	stranger := l.address(3, 2, &TransferRequest{ID: 5, Target: 2})
	stranger.Head().From.Incarnation++
	l.step(stranger)
	if m, ok := sent[*TransferResponse](l); !ok || m.Reason != transferNotLeader || l.e.transfer.phase != transferNone {
		t.Errorf("a stranger: %q", l.lines())
	}
	f := newRig(t, rigOptions{}).follow(2)
	f.from(3, 2, &TransferRequest{ID: 4, Target: 3})
	if m, ok := sent[*TransferResponse](f); !ok || m.Reason != transferNotLeader || m.Leader != 2 {
		t.Errorf("%q", f.lines())
	}
}

// TestRenewTerm: a leader that gave up its lease for a transfer that failed asks for
// pre-votes while it leads on, and campaigns when it would win.
func TestRenewTerm(t *testing.T) {
	begin := func(voters int) *rig {
		r := leadAnswered(t, rigOptions{voters: voters})
		r.transferTo(2)
		r.fire(TimerTransfer) // timed out
		for r.now < r.e.handOver.renewAt-Instant(100*time.Millisecond) {
			r.fire(TimerHeartbeat)
			for _, p := range r.e.leaderState.peers {
				r.answerRound(p.ID, r.e.log.last.Index)
			}
		}
		return r
	}
	granted := func(r *rig, id NodeID, granted bool) {
		r.from(id, 2, &VoteResponse{Pre: true, ElectionTerm: 3, Campaign: r.e.election.campaign, Granted: granted})
	}
	r := begin(3)
	if r.fire(TimerTransfer); r.e.role != RoleLeader || !r.e.ready() {
		t.Fatalf("a %v that asks", r.e.role)
	}
	if m, ok := sent[*VoteRequest](r); !ok || !m.Pre || m.Transfer || m.ElectionTerm != 3 {
		t.Fatalf("%q", r.lines())
	}
	r.propose("x")
	granted(r, 2, false)
	if granted(r, 3, true); r.e.role != RoleCandidate || r.e.hard.Term != 3 {
		t.Fatalf("a %v of T%d that would win", r.e.role, r.e.hard.Term)
	}
	r.flush()
	r.from(3, 3, &VoteResponse{ElectionTerm: 3, Campaign: r.e.election.campaign, Granted: true})
	if s := r.e.Status(); s.Role != RoleLeader || s.NeedsNewTerm || r.e.election.counts[ElectionToRenew][ElectionWon] != 1 {
		t.Errorf("a %v, needs a new term: %v; %v", s.Role, s.NeedsNewTerm, r.e.election.counts)
	}
	if r.e.transferTimer.at != 0 {
		r.fire(TimerTransfer)
	}
	if r.e.role != RoleLeader || r.e.hard.Term != 3 || r.e.transferTimer.armed != 0 {
		t.Errorf("it goes on: a %v of T%d", r.e.role, r.e.hard.Term)
	}

	// Refused, it leads on and asks again; a late grant of the first time is nothing.
	r = begin(3)
	r.fire(TimerTransfer)
	first := r.e.election.campaign
	granted(r, 2, false)
	if granted(r, 3, false); r.e.role != RoleLeader || !r.e.Status().NeedsNewTerm {
		t.Fatalf("a %v that was refused", r.e.role)
	}
	if granted(r, 3, true); r.e.role != RoleLeader {
		t.Errorf("a %v by a grant after it lost", r.e.role)
	}
	for r.e.transferTimer.at > r.now {
		r.answerRound(2, 2)
		if r.e.heartbeatTimer.at < r.e.transferTimer.at {
			r.fire(TimerHeartbeat)
		} else {
			r.fire(TimerTransfer)
			break
		}
	}
	if _, ok := sent[*VoteRequest](r); !ok || r.e.election.campaign == first {
		t.Errorf("it does not ask again: %q", r.lines())
	}
	// Not while it is paused.
	r = begin(3)
	r.step(&PauseElections{true})
	r.fire(TimerTransfer)
	if _, ok := sent[*VoteRequest](r); ok || r.e.role != RoleLeader {
		t.Errorf("paused: a %v; %q", r.e.role, r.lines())
	}
}

// TestJoinedHandOverGoesOn: a hand-over that the leader began by itself does not end
// because somebody who joined it waits no more.
func TestJoinedHandOverGoesOn(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.propose("a") // which nobody has yet
	r.e.startTransfer(rigPeers[1], false, "", 0)
	r.step(&TransferLeadership{ID: 1, To: 2})
	r.step(&TransferCancelled{ID: 1})
	if ended, told := find[*TransferEnded](r); !told || ended.ID != 1 || r.e.transfer.phase != transferCatchingUp {
		t.Errorf("phase %d: %q", r.e.transfer.phase, r.lines())
	}
}

// TestOwnTransferIsNotPassedOn: who wants to be rid of the leadership does not move
// that of somebody else.
func TestOwnTransferIsNotPassedOn(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	r.step(&TransferLeadership{ID: 1, Own: true})
	var notLeader *NotLeaderError
	if ended, told := find[*TransferEnded](r); !told || !errors.As(ended.Err, &notLeader) || notLeader.Leader != 2 || len(r.last) != 1 {
		t.Errorf("%q", r.lines())
	}
}
