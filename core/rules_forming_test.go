package core

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// Rules 19 and 31: how a cluster is begun.

// asks counts whom the last step asks, and for what.
func (r *rig) asks() (grants, names, releases int) {
	for _, c := range r.last {
		if s, ok := c.(*Send); ok {
			if m, ok := s.Message.(*IdentifyRequest); ok && m.Release {
				releases++
			} else if ok && m.Attempt != 0 {
				grants++
			} else if ok {
				names++
			}
		}
	}
	return grants, names, releases
}

// TestBeginsWithAllGrants: unanimous, and the own one durable too; the first entry
// records who they are.
func TestBeginsWithAllGrants(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.step(bootstrapOf(1, 2, 3))
	r.grants(2)
	r.grants(3)
	if !r.e.empty() {
		t.Fatal("begun before the own grant is durable")
	}
	r.flush()
	if r.e.empty() {
		t.Fatalf("not begun: %q", r.lines())
	}
	w, _ := find[*Write](r)
	c := r.e.configs.latest().Configuration
	if w.HardState.Vote != rigPeers[0] || !w.HardState.Grant.IsZero() || len(w.Append) != 1 || len(c.Target.Members) != 3 || c.Target.Members[2].Identity != rigPeers[2] || !c.IsSoleVoter(rigPeers[0]) {
		t.Errorf("%+v, %+v", *w, c)
	}
	// Nobody is told of a cluster that a crash could forget.
	if _, ended := find[*BootstrapEnded](r); ended {
		t.Errorf("told before it is durable: %q", r.lines())
	}
	r.flush()
	if c, ok := find[*BootstrapEnded](r); !ok || c.Err != nil {
		t.Errorf("%q", r.lines())
	}
}

// TestAnswersToAnEarlierForming: what is said of one list says nothing of another.
func TestAnswersToAnEarlierForming(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.step(bootstrapOf(1, 2))
	late := &IdentifyResponse{SameList: false}
	*late.Head() = Header{Group: 1, From: rigPeers[1], To: rigPeers[0]}
	late.ID, late.Attempt = r.e.forming.identify, r.e.forming.attempt
	r.step(&BootstrapCancelled{})
	r.step(bootstrapOf(1, 2, 3))
	r.step(late)
	if !r.e.forming.running {
		t.Errorf("ended by it: %q", r.lines())
	}
}

// TestWhoHasGrantedIsNotAwaited: it is not asked any more, and so says nothing; that the
// attempt ended with an error does not make the next one shorter.
func TestWhoHasGrantedIsNotAwaited(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.step(bootstrapOf(1, 2, 3))
	r.flush()
	for begun := r.now; r.now.Sub(begun) < 11*time.Second; r.fire(TimerForming) {
		r.identified(3, &IdentifyResponse{Empty: true})
		if r.e.forming.length == 2*grantLengthMin {
			break
		}
	}
	r.fire(TimerForming)
	r.flush()
	r.grants(2)
	for begun := r.now; r.now.Sub(begun) < 15*time.Second; r.fire(TimerForming) {
		if r.identified(3, &IdentifyResponse{Empty: true}); !r.e.forming.running {
			t.Fatalf("%q", r.lines())
		}
	}
	r.identified(3, &IdentifyResponse{})
	if r.e.forming.running {
		t.Fatal("it goes on with a member of another cluster")
	}
	if r.step(bootstrapOf(1, 2, 3)); r.e.hard.Grant.LengthMillis != 20_000 {
		t.Errorf("asks for %d ms again", r.e.hard.Grant.LengthMillis)
	}
}

// TestSilentMember: who is connected and says nothing is out of reach too, and did
// not refuse.
func TestSilentMember(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.step(bootstrapOf(1, 2))
	r.flush()
	var ended *BootstrapEnded
	begun := r.now
	for ok := false; !ok && r.now.Sub(begun) < time.Minute; ended, ok = find[*BootstrapEnded](r) {
		r.fire(TimerForming)
	}
	var silent *BootstrapError
	if ended == nil || !errors.As(ended.Err, &silent) || silent.Node != 2 || silent.Cause == nil {
		t.Errorf("%+v", ended)
	}
}

// TestUnreachableMember: who is not heard of for the limit ends the bootstrap, named with
// the cause; nothing was written but the grants, and those are released.
func TestUnreachableMember(t *testing.T) {
	for name, heard := range map[string]bool{"never heard of": false, "gone since": true} {
		r := newRigOf(t, State{}, nil)
		b := bootstrapOf(1, 2, 3)
		b.Members[2].Address = "c:1"
		r.step(b)
		r.flush()
		if heard {
			r.identified(3, &IdentifyResponse{Empty: true, GrantedTo: rigPeers[4]})
		}
		r.step(&PeerDown{Node: 3, Class: ClassControl, Cause: errors.New("connection refused")})
		if waits := fmt.Sprint(r.e.Status().WaitsFor); !strings.Contains(waits, "node 3: unreachable: connection refused") {
			t.Errorf("%s: waits for %s", name, waits)
		}
		var ended *BootstrapEnded
		begun := r.now
		for ok := false; !ok && r.now.Sub(begun) < time.Minute; ended, ok = find[*BootstrapEnded](r) {
			r.identified(2, &IdentifyResponse{Empty: true}) // that one answers, and does not grant
			r.fire(TimerForming)
		}
		var refused *BootstrapError
		if ended == nil || !errors.As(ended.Err, &refused) || refused.Node != 3 || !strings.Contains(ended.Err.Error(), "does not answer at c:1") || !strings.Contains(ended.Err.Error(), "connection refused") {
			t.Fatalf("%s: %+v", name, ended)
		}
		if d := r.now.Sub(begun); d < 10*time.Second || d > 10200*time.Millisecond {
			t.Errorf("%s: after %v", name, d)
		}
		if _, _, releases := r.asks(); r.e.forming.running || r.e.hard != (HardState{}) || releases == 0 {
			t.Errorf("%s: left %+v, %q", name, r.e.hard, r.lines())
		}
	}
}

// TestSleepDuringAForming: rule 15: what was said while this node was asleep is still to
// be read: nobody is unreachable yet.
func TestSleepDuringAForming(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.step(bootstrapOf(1, 2, 3))
	r.flush()
	r.now = r.now.Add(time.Hour)
	r.identified(2, &IdentifyResponse{Empty: true})
	for range 50 {
		if r.fire(TimerForming); !r.e.forming.running {
			t.Fatalf("%q", r.lines())
		}
	}
	for i := 0; i < 60 && r.e.forming.running; i++ {
		r.fire(TimerForming)
	}
	if r.e.forming.running {
		t.Error("who stays silent is waited for without end")
	}
}

// TestWaitsToBeBroughtIn: who asks with the founding list of a cluster that was begun
// makes no attempt and waits, although other members are away.
func TestWaitsToBeBroughtIn(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.step(bootstrapOf(1, 2, 3))
	r.flush()
	r.identified(2, &IdentifyResponse{SameList: true})
	if r.e.forming.attempt != 0 || !r.e.hard.Grant.IsZero() {
		t.Errorf("goes on with its attempt: %q", r.lines())
	}
	begun := r.now
	for r.now.Sub(begun) < time.Minute {
		r.fire(TimerForming)
		if grants, _, _ := r.asks(); grants > 0 || !r.e.forming.running {
			t.Fatalf("%q", r.lines())
		}
	}
	if waits := fmt.Sprint(r.e.Status().WaitsFor); !strings.Contains(waits, "node 2: belongs to the cluster, and brings this node in") {
		t.Errorf("waits for %s", waits)
	}
	m := r.introduction(2, 3)
	c := rigState(rigOptions{}).Configurations[0].Configuration
	c.Founding = membership.FoundingOf(bootstrapOf(1, 2, 3).Members)
	m.Entries[0].Data = c.Encode()
	r.step(m)
	r.flush()
	if ended, ok := find[*BootstrapEnded](r); !ok || ended.Err != nil {
		t.Errorf("brought in: %q", r.lines())
	}
}

// TestBroughtIntoAnotherList: who is brought into a cluster of another list while it
// forms its own is told.
func TestBroughtIntoAnotherList(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.ask(2, 77, 10_000) // of the list 1, 2, 3
	r.flush()
	r.step(bootstrapOf(1, 3))
	m := r.introduction(2, 3)
	r.step(m)
	r.flush()
	var refused *BootstrapError
	if ended, ok := find[*BootstrapEnded](r); !ok || !errors.As(ended.Err, &refused) || !strings.Contains(ended.Err.Error(), "founded with another list") {
		t.Errorf("%q", r.lines())
	}
}

// TestListsOfABootstrap: the same list joins what is under way, another is refused, and
// priorities and tags belong to a list; incarnations do not.
func TestListsOfABootstrap(t *testing.T) {
	for name, test := range map[string]struct {
		change func(b *Bootstrap)
		same   bool
	}{
		"the same":            {func(*Bootstrap) {}, true},
		"in another order":    {func(b *Bootstrap) { b.Members[0], b.Members[2] = b.Members[2], b.Members[0] }, true},
		"another incarnation": {func(b *Bootstrap) { b.Members[1].Incarnation++ }, true},
		"another priority":    {func(b *Bootstrap) { b.Members[1].Priority = 7 }, false},
		"other tags":          {func(b *Bootstrap) { b.Members[1].Tags = map[string]string{"zone": "b"} }, false},
		"another address":     {func(b *Bootstrap) { b.Members[1].Address = "b:1" }, false},
		"one less":            {func(b *Bootstrap) { b.Members = b.Members[:2] }, false},
		"one more":            {func(b *Bootstrap) { *b = *bootstrapOf(1, 2, 3, 4) }, false},
	} {
		forming := newRigOf(t, State{}, nil)
		forming.step(bootstrapOf(1, 2, 3))
		for _, r := range []*rig{forming, newRig(t, rigOptions{})} {
			b := bootstrapOf(1, 2, 3)
			test.change(b)
			r.step(b)
			var refused *BootstrapError
			if (b.Err == nil) != test.same || b.Err != nil && (!errors.As(b.Err, &refused) || refused.Node != 1 || !strings.Contains(b.Err.Error(), "list of members")) {
				t.Errorf("%s, forming %t: %v", name, r == forming, b.Err)
			}
			if len(r.last) > 0 || b.Done != (test.same && r != forming) {
				t.Errorf("%s, forming %t: done %t, %q", name, r == forming, b.Done, r.lines())
			}
		}
	}
}

// TestAnswersThatEndABootstrap: a member of another cluster, and data that was lost, by
// name.
func TestAnswersThatEndABootstrap(t *testing.T) {
	for want, answer := range map[string]*IdentifyResponse{
		"node 2 is not empty": {},
		"the cluster knows it as 1/4d; it has to be replaced": {SameList: true, Known: Identity{ID: 1, Incarnation: 77}},
	} {
		r := newRigOf(t, State{}, nil)
		r.step(bootstrapOf(1, 2, 3))
		r.flush()
		r.identified(2, answer)
		ended, ok := find[*BootstrapEnded](r)
		if !ok || ended.Err == nil || !strings.Contains(ended.Err.Error(), want) {
			t.Errorf("want %q: %q", want, r.lines())
		}
		if _, _, releases := r.asks(); releases != 2 || !r.e.hard.Grant.IsZero() {
			t.Errorf("%s: %q", want, r.lines())
		}
	}
}

// TestCancelReleases: when nobody waits for a bootstrap any more, its grants end and
// nothing is begun by answers that come later; a cluster that was begun goes on.
func TestCancelReleases(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.step(bootstrapOf(1, 2, 3))
	r.flush()
	r.grants(2)
	attempt, identify := r.e.forming.attempt, r.e.forming.identify
	r.step(&BootstrapCancelled{})
	if _, _, releases := r.asks(); releases != 2 || !r.e.hard.Grant.IsZero() || r.e.forming.timer.armed != 0 {
		t.Errorf("%q", r.lines())
	}
	m := r.address(3, 0, &IdentifyResponse{Empty: true, Granted: true, Attempt: attempt, ID: identify})
	m.Head().Cluster = ClusterID{}
	if r.step(m); !r.e.empty() {
		t.Error("begun although nobody waits")
	}
	r.bootstrap(1, 2, 3)
	if r.step(&BootstrapCancelled{}); r.e.empty() || len(r.last) > 0 {
		t.Errorf("a cluster that was begun: %q", r.lines())
	}
}

// TestWhoIsKnownOtherwise: rule 31: while only the beginner votes it alone says that a
// member's data was lost, for it may exchange it; later any member does.
func TestWhoIsKnownOtherwise(t *testing.T) {
	founded := func(voters ...NodeID) membership.Configuration {
		c, err := membership.Founded(rigPeers[1], bootstrapOf(1, 2, 3).Members)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = c.Next(); err != nil {
			t.Fatal(err)
		}
		if len(voters) > 0 {
			c.Outgoing, c.Voters = c.Voters, nil
			for _, id := range voters {
				c.Voters = append(c.Voters, rigPeers[id-1])
			}
		}
		return c
	}
	for name, test := range map[string]struct {
		c     membership.Configuration
		known bool
	}{
		"while only the beginner votes": {founded(), false},
		"while it is joint":             {founded(1, 2, 3), true},
		"when it is complete":           {rigState(rigOptions{}).Configurations[0].Configuration, true},
	} {
		s := rigState(rigOptions{})
		s.Configurations[0].Configuration = test.c
		r := newRigOf(t, s, nil) // node 1 does not lead
		m := &IdentifyRequest{ID: 1, Attempt: 5, LengthMillis: 10_000, List: membership.FoundingOf(bootstrapOf(1, 2, 3).Members)}
		*m.Head() = Header{Group: 1, From: Identity{ID: 3, Incarnation: 0x99}, To: Identity{ID: 1}}
		r.step(m)
		got, _ := r.granted()
		if got == nil || !got.SameList || got.Known.IsZero() == test.known || test.known && got.Known != rigPeers[2] {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestExchangeOfAWantedMember: rule 31: only one that has acknowledged nothing, only
// while the beginner alone votes, and whoever tells it that the node is another.
func TestExchangeOfAWantedMember(t *testing.T) {
	forming := func() *rig {
		r := newRigOf(t, State{}, nil)
		r.bootstrap(1, 2, 3)
		for range 4 { // own vote, blank, learners
			r.flush()
		}
		if r.e.role != RoleLeader || len(r.e.configs.latest().Configuration.Members) != 3 {
			t.Fatalf("a %v with %v", r.e.role, r.e.configs.latest().Configuration)
		}
		return r
	}
	now := Identity{ID: 3, Incarnation: 0x99}
	asks := func(r *rig) *IdentifyResponse {
		m := &IdentifyRequest{ID: 1, Attempt: 5, LengthMillis: 10_000, List: membership.FoundingOf(bootstrapOf(1, 2, 3).Members)}
		*m.Head() = Header{Group: 1, From: now, To: Identity{ID: 1}}
		r.step(m)
		answer, _ := r.granted()
		return answer
	}
	wanted := func(r *rig) Identity { return r.e.configs.latest().Configuration.Target.Members[2].Identity }
	r := forming()
	if answer := asks(r); answer == nil || !answer.SameList || !answer.Known.IsZero() || wanted(r) != now {
		t.Errorf("asked by it: %+v, wanted %v", answer, wanted(r))
	}
	// It shows itself when the leader asks who answers in the place of a silent peer.
	r = forming()
	for begun := r.now; r.now.Sub(begun) < 1500*time.Millisecond && r.e.leaderState.identify == 0; {
		r.fire(TimerHeartbeat)
	}
	m := &IdentifyResponse{ID: r.e.leaderState.identify, Empty: true}
	*m.Head() = Header{Group: 1, From: now, To: r.e.cfg.Self}
	if r.step(m); wanted(r) != now {
		t.Errorf("asked who it is: wanted %v, %q", wanted(r), r.lines())
	}
	if r.step(m); len(r.last) > 0 {
		t.Errorf("asked twice: %q", r.lines())
	}
	// What has acknowledged its admission is not exchanged: it is lost.
	r = forming()
	r.match(3, r.e.log.last.Index)
	if answer := asks(r); answer == nil || answer.Known != rigPeers[2] || wanted(r) != rigPeers[2] {
		t.Errorf("it had acknowledged: %+v, wanted %v", answer, wanted(r))
	}
}

// TestExchangeWaitsForTheOwnTerm: rules 21 and 31: an exchange is a change like any
// other: a beginner that was started again first commits an entry of its own term.
func TestExchangeWaitsForTheOwnTerm(t *testing.T) {
	founding, err := membership.Founded(rigPeers[0], bootstrapOf(1, 2, 3).Members)
	if err != nil {
		t.Fatal(err)
	}
	s := rigState(rigOptions{commit: 1, applied: 1})
	s.Configurations = []ConfigurationAt{{LogID{1, 1}, founding}}
	r := newRigOf(t, s, nil)
	r.flush()
	if r.e.role != RoleLeader || r.e.commit != 1 || r.e.log.last != (LogID{2, 2}) {
		t.Fatalf("a %v with commit %d of %v", r.e.role, r.e.commit, r.e.log.last)
	}
	m := &IdentifyRequest{ID: 1, Attempt: 5, LengthMillis: 10_000, List: membership.FoundingOf(bootstrapOf(1, 2, 3).Members)}
	*m.Head() = Header{Group: 1, From: Identity{ID: 3, Incarnation: 0x99}, To: Identity{ID: 1}}
	if r.step(m); r.e.log.last != (LogID{2, 2}) {
		t.Errorf("the log goes on to %v before 2.2 is committed", r.e.log.last)
	}
	r.flush() // the blank entry, and then that the others are learners
	r.flush()
	if r.step(m); r.e.configs.latest().Configuration.Target.Members[2].Identity != m.From {
		t.Errorf("not exchanged: %q", r.lines())
	}
}

// TestJointEntryOfABootstrapNeedsAQuorumThatAnswers: rule 21: three of five acknowledged
// their admission and are silent; with the fifth the new half has no quorum that could
// commit the joint entry, and the single voter's cluster could do nothing more.
func TestJointEntryOfABootstrapNeedsAQuorumThatAnswers(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.bootstrap(1, 2, 3, 4, 5)
	for range 4 {
		r.flush()
	}
	for _, id := range []NodeID{2, 3, 4} {
		r.match(id, r.e.log.last.Index)
	}
	for range 600 {
		r.now = r.now.Add(100 * time.Millisecond)
		r.fire(TimerHeartbeat)
	}
	answers := func(id NodeID) {
		p := r.e.leaderState.peer(rigPeers[id-1])
		r.from(id, r.e.hard.Term, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, Match: p.match})
		r.flush()
	}
	answers(5)
	r.match(5, r.e.log.last.Index)
	answers(5)
	if at := r.e.configs.latest(); at.Configuration.Joint() {
		t.Fatalf("%v while three of its five voters are silent", at.Configuration)
	}
	if waits := fmt.Sprint(r.e.Status().WaitsFor); waits != "[node 2: has not answered within an election time-out node 3: has not answered within an election time-out node 4: has not answered within an election time-out]" {
		t.Errorf("waits for %s", waits)
	}
	answers(3)
	if at := r.e.configs.latest(); !at.Configuration.Joint() {
		t.Errorf("three of five answer, and it is still %v", at.Configuration)
	}
}

// TestQuietPeriodDoesNotHoldAForming: rule 13: who was started again keeps quiet for what
// its last life may have promised; where it alone votes nobody was promised anything, and
// a group without a cluster promises nothing.
func TestQuietPeriodDoesNotHoldAForming(t *testing.T) {
	r := newRigOf(t, State{}, func(c *Config) { c.QuietPeriod = time.Hour })
	r.from(2, 9, &Heartbeat{Round: 1, Stream: 1})
	if m, ok := sent[*HeartbeatResponse](r); !ok || m.PromiseMillis > 0 {
		t.Errorf("an empty group promises %+v", m)
	}
	r.bootstrap(1, 2, 3)
	r.flush()
	if r.e.role != RoleLeader {
		t.Errorf("a %v, quiet until %v from now", r.e.role, r.e.quietPeriodEnd().Sub(r.now))
	}
}
