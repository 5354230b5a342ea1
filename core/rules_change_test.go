package core

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// orderOf is an order of changes with an id of its own.
func orderOf(id membership.ChangeID, changes ...membership.Change) ChangeOrder {
	return ChangeOrder{Order: membership.Order{ID: id, Changes: changes, CatchUpLimit: 5 * time.Second}}
}

func adds(id NodeID, incarnation membership.Incarnation) membership.Change {
	return membership.Change{Op: membership.OpAdd, ID: id, Incarnation: incarnation, Address: fmt.Sprintf("n%d:1", id)}
}

func removes(id NodeID) membership.Change {
	return membership.Change{Op: membership.OpRemove, ID: id}
}

// order asks the rig for a change and returns its end, if there is one at once.
func (r *rig) order(o ChangeOrder) *ChangeEnded {
	r.t.Helper()
	r.step(&ChangeMembers{ID: uint64(o.ID), Order: o})
	ended, _ := find[*ChangeEnded](r)
	return ended
}

// answers lets nodes answer the round that was begun last.
func (r *rig) answers(ids ...NodeID) {
	r.t.Helper()
	for _, id := range ids {
		p := r.e.leaderState.peer(rigPeers[id-1])
		r.from(id, r.e.hard.Term, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, Match: p.match, Accepted: p.match, PromiseMillis: 1000})
	}
}

// beats lets time pass in rounds that nodes answer.
func (r *rig) beats(d time.Duration, ids ...NodeID) {
	r.t.Helper()
	for end := r.now.Add(d); r.now < end; {
		r.fire(TimerHeartbeat)
		r.answers(ids...)
	}
}

func (r *rig) latest() string { return r.e.configs.latest().Configuration.String() }

// admitted is a leader with node 4 as a learner that is to vote.
func admitted(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, rigOptions{}).lead()
	r.fire(TimerHeartbeat)
	r.answers(2, 3)
	if ended := r.order(orderOf(1, adds(4, rigPeers[3].Incarnation))); ended != nil {
		t.Fatal(ended.Err)
	}
	r.flush()
	r.match(2, r.e.log.last.Index)
	if r.latest() != "voters 1 2 3, learner 4; to be: 1 2 3 4" || r.e.commit != r.e.log.last.Index {
		t.Fatal(r.latest())
	}
	return r
}

// TestJointEntryNeedsReadyNewcomers: rule 21, condition by condition.
func TestJointEntryNeedsReadyNewcomers(t *testing.T) {
	r := admitted(t)
	joint := func() bool { return r.e.configs.latest().Configuration.Joint() }
	r.fire(TimerHeartbeat)
	r.answers(2, 3, 4)
	if joint() {
		t.Fatal("a voter that holds nothing")
	}
	r.match(4, r.e.log.last.Index-1)
	if joint() {
		t.Fatal("a voter that lacks the entry that admitted it")
	}
	var many []string
	for range catchUpEntriesMax + 1 {
		many = append(many, "x")
	}
	admission := r.e.log.last.Index
	r.propose(many...)
	r.now = r.now.Add(r.e.cfg.ElectionTimeout)
	r.answers(2, 3, 4)
	r.match(4, admission)
	if joint() {
		t.Fatalf("a voter that lags by %d entries", r.e.log.last.Index-admission)
	}
	// The voters have not answered within an election time-out.
	r.now = r.now.Add(r.e.cfg.ElectionTimeout + 1)
	r.match(4, admission+10)
	if joint() {
		t.Fatal("no quorum answers")
	}
	r.step(&ReadRequest{ID: 99}) // begins a round
	r.answers(2, 3)
	if !joint() {
		t.Errorf("all that is needed is there: %v", r.e.changeWaits(nil))
	}
}

// TestNewcomerThatKeepsPace: rule 21: a newcomer that never lacks less than the bound,
// and never more than what the log grows by in an election time-out, is near enough.
func TestNewcomerThatKeepsPace(t *testing.T) {
	r := admitted(t)
	joint := func() bool { return r.e.configs.latest().Configuration.Joint() }
	grows := func() {
		var many []string
		for range catchUpEntriesMax + 1 {
			many = append(many, "x")
		}
		r.propose(many...)
	}
	at := r.e.log.last.Index
	grows()
	r.match(4, at)
	for range 3 {
		at = r.e.log.last.Index
		grows()
		r.fire(TimerHeartbeat)
		r.answers(2, 3, 4)
		if joint() {
			return
		}
		r.match(4, at)
	}
	if !joint() {
		t.Errorf("it waits: %v", r.e.changeWaits(nil))
	}
}

// TestNewcomerThatFallsBehind: dissertation 4.2.1: after ten rounds that all took longer
// than an election time-out the change is given up, though there is progress.
func TestNewcomerThatFallsBehind(t *testing.T) {
	r := admitted(t)
	for rounds := 0; rounds < 2*catchUpRoundsMax; rounds++ {
		p := r.e.leaderState.peer(rigPeers[3])
		if p == nil || !p.comes {
			break
		}
		var many []string
		for range catchUpEntriesMax + 1 {
			many = append(many, "x")
		}
		target := p.catchUp.target
		r.propose(many...)
		r.flush()
		r.match(2, r.e.log.last.Index)
		r.match(3, r.e.log.last.Index)
		r.beats(r.e.cfg.ElectionTimeout+1, 2, 3, 4)
		if p := r.e.leaderState.peer(rigPeers[3]); p != nil && p.comes {
			r.match(4, target)
		}
	}
	at := r.e.configs.latest()
	if last := at.Configuration.Last; last.Result != membership.ResultNotCaughtUp || last.Node != 4 || r.latest() != "voters 1 2 3" {
		t.Fatalf("%+v: %s", last, r.latest())
	}
	r.flush()
	r.match(2, r.e.log.last.Index)
	var behind *NotCaughtUpError
	if ended, ok := find[*ChangeEnded](r); !ok || !errors.As(ended.Err, &behind) || behind.Node != 4 || behind.Lag <= catchUpEntriesMax {
		t.Errorf("%+v", r.lines())
	}
}

// TestChangeIsGivenUp: rule 21: not before its limit without progress; and what was there
// before stays.
func TestChangeIsGivenUp(t *testing.T) {
	for name, test := range map[string]struct {
		play func(r *rig)
		want bool
	}{
		"nothing is heard of it":    {func(r *rig) {}, true},
		"it answers and takes none": {func(r *rig) { r.answers(4) }, true},
		"it comes nearer": {func(r *rig) {
			r.match(4, r.e.leaderState.peer(rigPeers[3]).match+1)
			if r.e.log.last.Index-r.e.leaderState.peer(rigPeers[3]).match < 50 {
				r.propose(make([]string, 200)...)
			}
		}, false},
		"bytes of a snapshot leave": {func(r *rig) {
			p := r.e.leaderState.peer(rigPeers[3])
			p.snapshot = true
			r.step(&PeerProgress{Node: 4, Class: ClassSnapshot, Bytes: uint64(r.now)})
		}, false},
		"it restores a snapshot": {func(r *rig) {
			p := r.e.leaderState.peer(rigPeers[3])
			r.from(4, r.e.hard.Term, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, PromiseMillis: 1000, Unfit: UnfitInstalling})
		}, false},
	} {
		r := admitted(t)
		for end := r.now.Add(4900 * time.Millisecond); r.now < end; {
			r.fire(TimerHeartbeat)
			r.answers(2, 3)
		}
		if r.latest() != "voters 1 2 3, learner 4; to be: 1 2 3 4" {
			t.Fatalf("%s: given up before its time: %s", name, r.latest())
		}
		for end := r.now.Add(4 * time.Second); r.now < end && r.e.configs.latest().Configuration.Target != nil; {
			test.play(r)
			r.flush()
			r.match(2, r.e.log.last.Index)
			r.match(3, r.e.log.last.Index)
			r.apply()
			r.fire(TimerHeartbeat)
			r.answers(2, 3)
		}
		if last := r.e.configs.latest().Configuration.Last; (last.Result == membership.ResultNotCaughtUp) != test.want || test.want && r.latest() != "voters 1 2 3" {
			t.Errorf("%s: %+v: %s", name, last, r.latest())
		}
	}
}

// TestNewHalfDiesWhileCatchingUp: a member that stays, and without which the new half has
// no quorum, ends the change too, if it is silent for the limit.
func TestNewHalfDiesWhileCatchingUp(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.fire(TimerHeartbeat)
	r.answers(2, 3)
	// From 1 2 3 to 1 3 4: with 3 and 4 silent it has no quorum.
	r.order(orderOf(1, adds(4, rigPeers[3].Incarnation), removes(2), removes(1), adds(5, rigPeers[4].Incarnation)))
	r.flush()
	r.match(2, r.e.log.last.Index)
	r.match(4, r.e.log.last.Index)
	r.match(5, r.e.log.last.Index)
	if r.latest() != "voters 1 2 3, learners 4 5; to be: 3 4 5" {
		t.Fatal(r.latest())
	}
	r.beats(6*time.Second, 2)
	if last := r.e.configs.latest().Configuration.Last; last.Result != membership.ResultNotCaughtUp || r.latest() != "voters 1 2 3" {
		t.Errorf("%+v: %s", last, r.latest())
	}
}

// TestChangeThatCannotCommit: it is refused beforehand, by name, when nobody has answered for
// an election time-out.
func TestChangeThatCannotCommit(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	if ended := r.order(orderOf(1, removes(2))); ended != nil || r.latest() != "voters 1 2 3" {
		t.Fatalf("%+v: %s", ended, r.latest())
	}
	var refused *membership.ChangeError
	ended, over := find[*ChangeEnded](r)
	for end := r.now.Add(2 * time.Second); !over && r.now < end; {
		r.fire(TimerHeartbeat)
		if ended, over = find[*ChangeEnded](r); !over {
			r.answers(2)
			ended, over = find[*ChangeEnded](r)
		}
	}
	if !over {
		t.Fatal("it waits for ever")
	}
	if !errors.As(ended.Err, &refused) || refused.Reason != membership.ChangeNoQuorum || !strings.Contains(ended.Err.Error(), "new voters nodes [3]") || r.latest() != "voters 1 2 3" {
		t.Errorf("%v: %s", ended.Err, r.latest())
	}
	if ended := r.order(orderOf(2, removes(3))); ended != nil || r.latest() != "voters 1 2 3; joint: 1 2 3 -> 1 2" {
		t.Errorf("%+v: %s", ended, r.latest())
	}
}

// TestSleepIsNobodysSilence: rules 15 and 21: a leader that was asleep has not read yet what the
// voters said meanwhile, and refuses no change for that.
func TestSleepIsNobodysSilence(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	timeout := r.e.cfg.ElectionTimeout
	r.beats(3*timeout, 2, 3)
	sleeps := func() { r.now = r.now.Add(2 * timeout) }
	sleeps()
	if ended := r.order(orderOf(1, removes(3))); ended != nil {
		t.Fatalf("at its awakening: %v", ended.Err)
	}
	sleeps()
	r.fire(TimerHeartbeat) // much too late
	r.answers(3)
	r.fire(TimerHeartbeat)
	if ended, over := find[*ChangeEnded](r); over || r.latest() != "voters 1 2 3" {
		t.Fatalf("after its second awakening: %+v, %s", ended, r.latest())
	}
	r.answers(2)
	r.beats(timeout/2, 2)
	if r.latest() != "voters 1 2 3; joint: 1 2 3 -> 1 2" {
		t.Errorf("two of three answer: %s", r.latest())
	}
}

// TestWhoTheyAre: rule 18: the choice stands in the first entry; who is not known is not
// admitted.
func TestWhoTheyAre(t *testing.T) {
	four := Identity{ID: 4, Incarnation: 77}
	identified := func(r *rig, from Identity, empty, proved bool) {
		m := &IdentifyResponse{ID: r.e.leaderState.identify, Empty: empty}
		*m.Head() = Header{Group: 1, From: from, To: r.e.cfg.Self}
		if proved {
			m.Head().Cluster = worldCluster
		}
		r.step(m)
	}
	lost := func(t *testing.T) *rig { // node 3 is silent, and another answers in its place
		r := newRig(t, rigOptions{}).lead()
		r.beats(2500*time.Millisecond, 2)
		return r
	}
	three := Identity{ID: 3, Incarnation: 99}
	for name, test := range map[string]struct {
		begin func(t *testing.T) *rig
		order ChangeOrder
		play  func(r *rig)
		want  membership.ChangeReason
		in    string
	}{
		"an empty node":         {nil, orderOf(1, adds(4, 0)), func(r *rig) { identified(r, four, true, false) }, 0, "voters 1 2 3, learner 4; to be: 1 2 3 4"},
		"one that was a member": {nil, orderOf(1, adds(4, 0)), func(r *rig) { identified(r, four, false, true) }, 0, "voters 1 2 3, learner 4; to be: 1 2 3 4"},
		"of another cluster":    {nil, orderOf(1, adds(4, 0)), func(r *rig) { identified(r, four, false, false) }, membership.ChangeOtherCluster, "voters 1 2 3"},
		"an answer to nothing": {nil, orderOf(1, adds(4, 0)), func(r *rig) {
			m := &IdentifyResponse{ID: r.e.leaderState.identify + 1, Empty: true}
			*m.Head() = Header{Group: 1, From: four, To: r.e.cfg.Self}
			r.step(m)
		}, 0, "voters 1 2 3"},
		"replaced":           {lost, orderOf(1, membership.Change{Op: membership.OpReplace, ID: 3}), func(r *rig) { identified(r, three, true, false) }, 0, "voters 1 2 3/30, learner 3/63; to be: 1 2 3/63"},
		"replaced by itself": {lost, orderOf(1, membership.Change{Op: membership.OpReplace, ID: 3}), func(r *rig) { identified(r, rigPeers[2], false, true) }, 0, "voters 1 2 3"},
		"by one of two": {lost, orderOf(1, membership.Change{Op: membership.OpReplace, ID: 3}), func(r *rig) {
			r.e.show(Identity{ID: 3, Incarnation: 98})
			identified(r, three, true, false)
		}, membership.ChangeTwoIncarnations, "voters 1 2 3"},
		"by the one that is named": {lost, orderOf(1, membership.Change{Op: membership.OpReplace, ID: 3, Incarnation: 98}), func(r *rig) {}, 0, "voters 1 2 3/30, learner 3/62; to be: 1 2 3/62"},
	} {
		begin := test.begin
		if begin == nil {
			begin = func(t *testing.T) *rig {
				r := newRig(t, rigOptions{}).lead()
				r.beats(100*time.Millisecond, 2, 3)
				return r
			}
		}
		r := begin(t)
		ended := r.order(test.order)
		if ended == nil {
			test.play(r)
			ended, _ = find[*ChangeEnded](r)
		}
		var refused *membership.ChangeError
		if test.want == 0 && ended != nil || test.want != 0 && (ended == nil || !errors.As(ended.Err, &refused) || refused.Reason != test.want) {
			t.Errorf("%s: %+v", name, ended)
		}
		if r.latest() != test.in {
			t.Errorf("%s: %s, want %s", name, r.latest(), test.in)
		}
	}
}

// TestReplaceTheLiving: not without force, and never oneself.
func TestReplaceTheLiving(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.beats(100*time.Millisecond, 2, 3)
	alive := func(ended *ChangeEnded) bool {
		var refused *membership.ChangeError
		return ended != nil && errors.As(ended.Err, &refused) && refused.Reason == membership.ChangeAlive
	}
	if ended := r.order(orderOf(1, membership.Change{Op: membership.OpReplace, ID: 3, Incarnation: 99})); !alive(ended) {
		t.Errorf("%+v", ended)
	}
	dry := orderOf(4, membership.Change{Op: membership.OpReplace, ID: 3, Incarnation: 99})
	dry.DryRun = true
	if ended := r.order(dry); !alive(ended) {
		t.Errorf("a dry run: %+v", ended)
	}
	if ended := r.order(orderOf(2, membership.Change{Op: membership.OpReplace, ID: 1, Incarnation: 99, Force: true})); !alive(ended) {
		t.Errorf("%+v", ended)
	}
	if ended := r.order(orderOf(3, membership.Change{Op: membership.OpReplace, ID: 3, Incarnation: 99, Force: true})); ended != nil || !strings.Contains(r.latest(), "learner 3/63") {
		t.Errorf("%+v: %s", ended, r.latest())
	}
}

// TestRemovedIsHeeded: rule 22: only of a configuration that is later than one's own
// latest; the data stays, and a later configuration ends it.
func TestRemovedIsHeeded(t *testing.T) {
	for at, want := range map[LogID]bool{{1, 1}: false, {1, 2}: true, {2, 1}: true, {0, 9}: false, {2, 1 << 63}: false} {
		r := newRig(t, rigOptions{}).preCampaign()
		lines := r.from(2, 1, &Removed{At: at})
		s := r.e.Status()
		if s.Removed != want || (r.e.role == RolePreCandidate) == want {
			t.Errorf("%v: a %v, removed %t: %q", at, r.e.role, s.Removed, lines)
		}
		w, wrote := find[*Write](r)
		if wrote && (w.HardState.Removed != at || w.Reset.Index+w.TruncateFrom+w.Purge.Index > 0) || wrote != want || r.e.mayEverCampaign() == want {
			t.Errorf("%v: %q", at, lines)
		}
		if !want {
			continue
		}
		if again := r.from(3, 1, &Removed{At: at}); len(again) > 0 {
			t.Errorf("told twice: %q", again)
		}
		if ended := r.order(orderOf(1, removes(2))); ended == nil || !errors.Is(ended.Err, ErrRemoved) {
			t.Errorf("%+v", ended)
		}
		c := r.e.configs.latest().Configuration
		r.from(2, 3, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: []Entry{{LogID: LogID{3, 2}, Kind: EntryConfiguration, Data: c.Encode()}}})
		if r.e.Status().Removed || !r.e.mayEverCampaign() {
			t.Error("a member again, and it does not know")
		}
	}
}

// TestWhoIsToldRemoved: rule 22: who is in no configuration that may decide, and asks;
// one that was added by an entry which is not here does not heed it.
func TestWhoIsToldRemoved(t *testing.T) {
	s := rigState(rigOptions{commit: 1})
	r := newRigOf(t, s, nil)
	stranger := func(m Message) []string {
		*m.Head() = Header{Group: 1, Cluster: worldCluster, From: rigPeers[3], To: r.e.cfg.Self, Term: 1}
		return r.step(m)
	}
	told := func(lines []string) bool { return len(lines) > 0 && lines[0] == "send ->4 T1 removed by 1.1" }
	for name, m := range map[string]Message{
		"a pre-vote": &VoteRequest{Pre: true, ElectionTerm: 2, Last: LogID{1, 1}}, "a read": &ReadIndexRequest{ID: 1},
		"a transfer": &TransferRequest{ID: 1}, "a change": &ChangeRequest{ID: 1},
	} {
		if lines := stranger(m); !told(lines) {
			t.Errorf("%s: %q", name, lines)
		}
	}
	if lines := r.from(3, 1, &VoteRequest{Pre: true, ElectionTerm: 2, Last: LogID{1, 1}}); strings.Contains(strings.Join(lines, " "), "removed") {
		t.Errorf("a member: %q", lines)
	}
	// What is not committed removes nobody.
	r = newRigOf(t, rigState(rigOptions{}), nil)
	if lines := stranger(&VoteRequest{Pre: true, ElectionTerm: 2, Last: LogID{1, 1}}); told(lines) {
		t.Errorf("by a configuration that is not committed: %q", lines)
	}
}

// TestRemovedPeerHearsOfIt: a leader keeps the stream to a peer that was removed until
// that one has heard that it is committed, or for so long.
func TestRemovedPeerHearsOfIt(t *testing.T) {
	for hears, limit := range map[bool]time.Duration{true: 300 * time.Millisecond, false: leavingTimeouts*time.Second + 300*time.Millisecond} {
		r := newRig(t, rigOptions{}).lead()
		r.beats(100*time.Millisecond, 2, 3)
		r.match(3, r.e.log.last.Index)
		r.order(orderOf(1, removes(3)))
		for !strings.HasPrefix(r.latest(), "voters 1 2") || r.e.commit < r.e.log.last.Index {
			r.flush()
			r.match(2, r.e.log.last.Index)
		}
		if ended, ok := find[*ChangeEnded](r); !ok || ended.Err != nil || r.latest() != "voters 1 2" {
			t.Fatalf("%s: %q", r.latest(), r.lines())
		}
		if counts := r.e.Progress().Changes; counts != [2]uint64{1, 0} {
			t.Errorf("counted are %v", counts)
		}
		if r.e.leaderState.peer(rigPeers[2]) == nil {
			t.Fatal("its stream ended before it can know")
		}
		if len(r.e.Status().Peers) != 1 {
			t.Error("it is shown as a peer")
		}
		begun := r.now
		for r.e.leaderState.peer(rigPeers[2]) != nil && r.now < begun.Add(time.Minute) {
			r.fire(TimerHeartbeat)
			r.answers(2)
			if hears && r.e.leaderState.peer(rigPeers[2]) != nil {
				if r.e.leaderState.peer(rigPeers[2]).match < r.e.log.last.Index {
					r.match(3, r.e.log.last.Index)
				}
				r.answers(3)
			}
		}
		if took := r.now.Sub(begun); took > limit || !hears && took < leavingTimeouts*time.Second {
			t.Errorf("it hears of it %t: kept for %v", hears, took)
		}
	}
}

// TestOrdersEndOnce: whoever asked is answered, whatever becomes of the leader.
func TestOrdersEndOnce(t *testing.T) {
	r := admitted(t)
	// The wait ends, and the change goes on.
	r.step(&ChangeWaitEnded{ID: 1})
	if ended, ok := find[*ChangeEnded](r); !ok || !ended.GoesOn || ended.Change != 1 || ended.At.Configuration.Target == nil {
		t.Fatalf("%q", r.lines())
	}
	if lines := r.step(&ChangeWaitEnded{ID: 1}); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
	// One that waits in the queue is dropped with the leadership, and passed on.
	r.e.transfer.phase = transferTold
	r.e.transfer.to = rigPeers[1]
	if ended := r.order(orderOf(7, membership.Change{Op: membership.OpSetPriority, ID: 2, Priority: 5})); ended != nil {
		t.Fatalf("%+v", ended)
	}
	lines := strings.Join(r.from(2, 9, &Heartbeat{Round: 1, Stream: 1}), "\n")
	if !strings.Contains(lines, "send ->2 T9 change members: [set_priority 2 to 5]?") {
		t.Errorf("%s", lines)
	}
	// Nobody answers: it is asked again, and the wait may end.
	r.now = r.now.Add(r.e.cfg.ElectionTimeout)
	if lines := strings.Join(r.fire(TimerChange), "\n"); !strings.Contains(lines, "send ->2 T9 change members: [set_priority 2 to 5]?") {
		t.Errorf("%s", lines)
	}
	r.step(&ChangeWaitEnded{ID: 7})
	if ended, ok := find[*ChangeEnded](r); !ok || !ended.GoesOn {
		t.Errorf("%q", r.lines())
	}
	// It is passed on until somebody has taken it.
	asked := r.e.changes.asked[0]
	r.from(2, 9, &ChangeResponse{ID: asked.wireID, Code: ChangeAccepted, Change: 7, At: LogID{9, 9}})
	if len(r.e.changes.asked) > 0 {
		t.Errorf("%+v is still passed on", r.e.changes.asked)
	}
}

// TestNoLeaderNoChange: what nobody has heard of has not happened.
func TestNoLeaderNoChange(t *testing.T) {
	r := newRig(t, rigOptions{})
	if ended := r.order(orderOf(1, removes(3))); ended != nil {
		t.Fatalf("%+v", ended)
	}
	cause := errors.New("enough")
	r.step(&ChangeWaitEnded{ID: 1, Cause: cause})
	if ended, ok := find[*ChangeEnded](r); !ok || ended.GoesOn || ended.Err != cause || len(r.e.changes.asked) > 0 {
		t.Errorf("%q", r.lines())
	}
	empty := newRigOf(t, State{}, nil)
	if ended := empty.order(orderOf(1, removes(3))); ended == nil || !errors.Is(ended.Err, ErrNoCluster) {
		t.Errorf("%+v", ended)
	}
}

// TestOutcomeBehindASnapshot: who was sent a snapshot over the end of its change does not
// know it.
func TestOutcomeBehindASnapshot(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	r.step(&ChangeMembers{ID: 1, Order: orderOf(1, removes(3))})
	asked := r.e.changes.asked[0]
	r.from(2, 2, &ChangeResponse{ID: asked.wireID, Code: ChangeAccepted, Change: 1, At: LogID{2, 5}})
	meta := rigSnapshot(LogID{2, 20})
	r.step(&SnapshotReceived{Meta: meta, From: rigPeers[1], Term: 2, Stream: 1})
	var unknown *UnknownOutcomeError
	if ended, ok := find[*ChangeEnded](r); !ok || !errors.As(ended.Err, &unknown) {
		t.Errorf("%q", r.lines())
	}
}

// TestAnswerToAnEarlierLife: rule 21: an order that a node gave before it started again may be
// answered when it has given another one, which is not taken for that.
func TestAnswerToAnEarlierLife(t *testing.T) {
	var answer *ChangeResponse
	for life := uint64(1); life <= 2; life++ {
		r := newRig(t, rigOptions{configure: func(c *Config) { c.Seed = life }}).follow(2)
		r.step(&ChangeMembers{ID: 1, Order: orderOf(membership.ChangeID(life), removes(3))})
		if answer != nil {
			r.from(2, 2, answer)
			if a := r.e.changes.asked; len(a) != 1 || a[0].accepted {
				t.Errorf("%+v", a)
			}
			return
		}
		answer = &ChangeResponse{ID: r.e.changes.asked[0].wireID, Code: ChangeAccepted, Change: 1, At: LogID{2, 5}}
	}
}

// TestOrdersAreBounded: nothing that others send makes a leader keep more than so much.
func TestOrdersAreBounded(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.e.transfer.phase = transferTold // nothing can be begun
	r.e.transfer.to = rigPeers[1]
	overloaded := 0
	for i := range 3 * changeOrdersMax {
		m := r.address(2, r.e.hard.Term, &ChangeRequest{ID: uint64(i), Order: orderOf(membership.ChangeID(i+1), removes(3))})
		if strings.Contains(strings.Join(r.step(m), "\n"), "change overloaded") {
			overloaded++
		}
	}
	l := &r.e.leaderState.changes
	if len(l.queue) != changeOrdersMax || overloaded != 2*changeOrdersMax {
		t.Errorf("%d wait, %d were refused", len(l.queue), overloaded)
	}
	for range 3 {
		r.step(r.address(2, r.e.hard.Term, &ChangeRequest{ID: 0, Order: orderOf(1, removes(3))}))
	}
	if len(l.queue[0].waiters) != 1 {
		t.Errorf("one that asks again waits %d times", len(l.queue[0].waiters))
	}
}

// TestUnneededChangeTellsWhatIsCommitted: what needed no change is answered with a
// configuration that is committed, whatever has been appended behind it.
func TestUnneededChangeTellsWhatIsCommitted(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.fire(TimerHeartbeat)
	r.answers(2, 3)
	committed := r.e.configs.latest().LogID
	tags := membership.Change{Op: membership.OpSetTags, ID: 3, Tags: map[string]string{"zone": "a"}}
	// Both are decided on in one step, the second one first of what is appended.
	r.e.leaderState.changes.queue = []changeOrder{{order: orderOf(7, tags)}}
	r.e.changes.asked = []askedChange{{id: 1, order: orderOf(1, membership.Change{Op: membership.OpSetPriority, ID: 2}), wireID: 1, accepted: true, unneeded: true, at: committed}}
	r.e.leaderState.changes.look = true
	r.fire(TimerHeartbeat)
	ended, ok := find[*ChangeEnded](r)
	if !ok || ended.Err != nil || ended.At.LogID != committed || r.e.configs.latest().LogID == committed {
		t.Errorf("%+v, in force is %v", ended, r.e.configs.latest().LogID)
	}
}
