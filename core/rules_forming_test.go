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

// granted returns what the last step, or the write that it submitted, says to whoever
// asked for a grant.
func (r *rig) granted() (m *IdentifyResponse, durable bool) {
	if m, ok := sent[*IdentifyResponse](r); ok {
		return m, true
	}
	for _, c := range r.last {
		if w, ok := c.(*Write); ok && len(w.Then) == 1 {
			m, _ = w.Then[0].(*IdentifyResponse)
		}
	}
	return m, false
}

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

// restarted returns the rig of a next life on what is durable.
func (r *rig) restarted(hard HardState) *rig { return newRigOf(r.t, State{HardState: hard}, nil) }

// TestGrant: a grant is exclusive, durable before it is told, lives for the length that
// was asked for, is renewed by its beginner, and ends when that says so.
func TestGrant(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.ask(2, 77, 10_000)
	m, durable := r.granted()
	if m == nil || durable || !m.Granted || m.Attempt != 77 || !m.Empty {
		t.Fatalf("%+v, told at once %t", m, durable)
	}
	w, _ := find[*Write](r)
	hard := w.HardState
	if want := (Grant{rigPeers[1], 77, membership.FoundingOf(bootstrapOf(1, 2, 3).Members), 10_000}); hard.Grant != want {
		t.Errorf("written: %+v", hard.Grant)
	}
	if !r.e.WaitsForFlush() {
		t.Error("the flush that tells a grant may be held back")
	}
	// Until it is durable whoever asks again hears that somebody is there, not more.
	r.ask(2, 77, 10_000)
	if m, _ := r.granted(); m == nil || m.Granted || !m.GrantedTo.IsZero() {
		t.Errorf("asked again before it is durable: %+v", m)
	}
	r.flush()
	r.now = r.now.Add(6 * time.Second)
	r.ask(3, 78, 10_000)
	if m, _ := r.granted(); m == nil || m.Granted || m.GrantedTo != rigPeers[1] || m.WaitMillis != 4000 {
		t.Errorf("another asks: %+v", m)
	}
	r.ask(2, 77, 10_000) // renewed
	if m, durable := r.granted(); m == nil || !m.Granted || !durable {
		t.Errorf("asked again: %+v, at once %t", m, durable)
	}
	r.now = r.now.Add(9999 * time.Millisecond)
	r.ask(3, 78, 10_000)
	if m, _ := r.granted(); m == nil || m.Granted {
		t.Errorf("renewed, and given to another: %+v", m)
	}
	r.step(&IdentifyRequest{Header: Header{Group: 1, From: rigPeers[1], To: Identity{ID: 1}}, Attempt: 76, Release: true})
	if r.e.liveGrant().IsZero() {
		t.Error("released by the end of another attempt")
	}
	r.step(&IdentifyRequest{Header: Header{Group: 1, From: rigPeers[2], To: Identity{ID: 1}}, Attempt: 77, Release: true})
	if r.e.liveGrant().IsZero() {
		t.Error("released by another node")
	}
	r.step(&IdentifyRequest{Header: Header{Group: 1, From: rigPeers[1], To: Identity{ID: 1}}, Attempt: 77, Release: true})
	r.ask(3, 78, 10_000)
	if m, _ := r.granted(); m == nil || !m.Granted {
		t.Errorf("released, and not given to the next: %+v", m)
	}
	r.now = r.now.Add(10 * time.Second)
	if !r.e.grantAt(r.now).IsZero() {
		t.Error("a grant lives longer than it was asked for")
	}
}

// TestGrantOverARestart: a stored grant counts anew, for nobody knows how long the node
// was away; one to oneself is void, for its attempt ended with the process.
func TestGrantOverARestart(t *testing.T) {
	stored := HardState{Grant: Grant{To: rigPeers[1], Attempt: 77, LengthMillis: 10_000}}
	r := newRigOf(t, State{HardState: stored}, nil)
	r.now = r.now.Add(9999 * time.Millisecond)
	r.ask(3, 78, 10_000)
	if m, _ := r.granted(); m == nil || m.Granted || m.GrantedTo != rigPeers[1] {
		t.Errorf("a restart ended the grant: %+v", m)
	}
	r.now = r.now.Add(time.Millisecond)
	r.ask(3, 78, 10_000)
	if m, _ := r.granted(); m == nil || !m.Granted {
		t.Errorf("it goes on for ever: %+v", m)
	}
	stored.Grant.To = rigPeers[0]
	r = r.restarted(stored)
	r.ask(3, 78, 10_000)
	if m, _ := r.granted(); m == nil || !m.Granted {
		t.Errorf("the own grant of an earlier life stands: %+v", m)
	}
	// The process of the beginner is another, and so is its attempt; the node is not.
	stored.Grant.To = rigPeers[1]
	r = r.restarted(stored)
	r.ask(2, 79, 10_000)
	if m, _ := r.granted(); m == nil || !m.Granted || m.Attempt != 79 {
		t.Errorf("another attempt of the same beginner: %+v", m)
	}
}

// TestGrantRefusals: what is no attempt of anybody is not granted.
func TestGrantRefusals(t *testing.T) {
	for name, ask := range map[string]func(r *rig){
		"no length":           func(r *rig) { r.ask(2, 77, 0) },
		"longer than allowed": func(r *rig) { r.ask(2, 77, 300_001) },
		"no attempt":          func(r *rig) { r.ask(2, 0, 10_000) },
		"not in one's own list": func(r *rig) {
			r.step(bootstrapOf(1, 2, 3))
			r.now = r.now.Add(time.Minute) // its own attempt is over
			r.ask(4, 77, 10_000)
		},
	} {
		r := newRigOf(t, State{}, nil)
		ask(r)
		if m, durable := r.granted(); m == nil || !durable || m.Granted || !m.Empty || r.e.hard.Grant.To == rigPeers[1] {
			t.Errorf("%s: %+v", name, m)
		}
	}
	r := newRig(t, rigOptions{})
	r.ask(2, 77, 10_000)
	if m, _ := r.granted(); m == nil || m.Granted || m.Empty || !m.SameList || !m.Header.Cluster.IsZero() {
		t.Errorf("a member of a cluster: %+v", m)
	}
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
	if w.HardState.Vote != rigPeers[0] || !w.HardState.Grant.IsZero() || len(w.Append) != 1 || len(c.Wanted) != 3 || c.Wanted[2].Identity != rigPeers[2] || !c.IsSoleVoter(rigPeers[0]) {
		t.Errorf("%+v, %+v", *w, c)
	}
	if c, ok := find[*BootstrapEnded](r); !ok || c.Err != nil {
		t.Errorf("%q", r.lines())
	}
}

// TestAttemptThatRanOut: nothing is begun with grants that may be over, although all
// have come; they are released, and the next attempt asks for longer ones.
func TestAttemptThatRanOut(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.step(bootstrapOf(1, 2, 3))
	r.flush()
	r.grants(2)
	r.now = r.now.Add(9 * time.Second) // ten seconds, less drift
	r.grants(3)
	if _, _, releases := r.asks(); !r.e.empty() || releases != 2 || r.e.forming.attempt != 0 {
		t.Fatalf("%q", r.lines())
	}
	if !r.e.hard.Grant.IsZero() {
		t.Error("the own grant is not released")
	}
	r.fire(TimerForming)
	if grants, _, _ := r.asks(); grants != 2 || r.e.hard.Grant.LengthMillis != 20_000 {
		t.Errorf("the next attempt: %+v, %q", r.e.hard.Grant, r.lines())
	}
	r.flush()
	r.now = r.now.Add(17 * time.Second)
	r.grants(2)
	r.grants(3)
	if r.e.empty() {
		t.Error("not begun although all grants live")
	}
}

// TestGrantLengths: doubled for each attempt that ran out, up to five minutes, and kept
// when the user asks anew; an election time-out that is longer counts instead.
func TestGrantLengths(t *testing.T) {
	for timeout, want := range map[time.Duration][]uint32{
		time.Second:      {10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000},
		30 * time.Second: {30_000, 60_000, 120_000, 240_000, 300_000, 300_000},
		7 * time.Minute:  {420_000, 420_000, 420_000},
	} {
		r := newRigOf(t, State{}, func(c *Config) {
			c.ElectionTimeout, c.HungLimit = timeout, timeout
		})
		for i, length := range want {
			b := bootstrapOf(1, 2, 3)
			b.AskLimit = time.Hour
			r.step(b)
			r.fire(TimerForming)
			if got := r.e.hard.Grant.LengthMillis; got != length {
				t.Fatalf("time-out %v, attempt %d: %d ms, want %d", timeout, i, got, length)
			}
			r.now = r.now.Add(time.Duration(length) * time.Millisecond * 9 / 10)
			r.fire(TimerForming)
			if r.e.forming.attempt != 0 {
				t.Fatalf("time-out %v, attempt %d goes on after %v", timeout, i, r.now.Sub(r.e.forming.asked))
			}
			if i%2 == 0 {
				r.step(&BootstrapCancelled{})
			}
		}
	}
}

// TestGrantsThatDoNotCount: those of another attempt, of another life of the member, of
// nobody in the list, and what answers an earlier forming.
func TestGrantsThatDoNotCount(t *testing.T) {
	answer := func(r *rig, id NodeID, change func(m *IdentifyResponse)) {
		m := r.address(id, 0, &IdentifyResponse{Empty: true, Granted: true}).(*IdentifyResponse)
		m.Cluster, m.Attempt, m.ID = ClusterID{}, r.e.forming.attempt, r.e.forming.identify
		change(m)
		r.step(m)
	}
	for name, change := range map[string]func(r *rig, m *IdentifyResponse){
		"another attempt":               func(r *rig, m *IdentifyResponse) { m.Attempt-- },
		"no attempt":                    func(r *rig, m *IdentifyResponse) { m.Attempt = 0 },
		"not granted":                   func(r *rig, m *IdentifyResponse) { m.Granted = false },
		"for another life of this node": func(r *rig, m *IdentifyResponse) { m.To.Incarnation++ },
		"of another node":               func(r *rig, m *IdentifyResponse) { m.From = rigPeers[3] },
		"of an earlier forming":         func(r *rig, m *IdentifyResponse) { m.ID = r.e.forming.asked0 },
		"never asked":                   func(r *rig, m *IdentifyResponse) { m.ID = r.e.forming.identify + 1 },
	} {
		r := newRigOf(t, State{}, nil)
		r.step(bootstrapOf(1, 2, 3))
		r.flush()
		r.grants(2)
		if answer(r, 3, func(m *IdentifyResponse) { change(r, m) }); !r.e.empty() || !r.e.forming.running {
			t.Errorf("%s: begun", name)
		}
	}
	// Node 3 grants, and then is another: what the first life granted is void.
	r := newRigOf(t, State{}, nil)
	r.step(bootstrapOf(1, 2, 3))
	r.flush()
	r.grants(3)
	answer(r, 3, func(m *IdentifyResponse) { m.From.Incarnation++; m.Granted = false })
	if r.grants(2); !r.e.empty() {
		t.Error("begun with the grant of a life that is over")
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

// TestLowerIDGoesFirst: asked by a lower id with the same list, a node gives up its own
// attempt for good, grants, and does not ask for three time-outs; a higher id waits, and
// so does who asks with another list.
func TestLowerIDGoesFirst(t *testing.T) {
	self := func(c *Config) { c.Self = rigPeers[1] }
	r := newRigOf(t, State{}, self)
	r.step(bootstrapOf(1, 2, 3))
	r.flush()
	r.identified(1, &IdentifyResponse{Empty: true})
	r.grants(3)
	attempt := r.e.forming.attempt
	r.ask(3, 78, 10_000)
	if m, _ := r.granted(); m.Granted || m.GrantedTo != rigPeers[1] || r.e.forming.attempt != attempt {
		t.Errorf("asked by a higher id: %+v", m)
	}
	other := &IdentifyRequest{ID: 1, Attempt: 76, LengthMillis: 10_000, List: membership.Founding{1}}
	*other.Head() = Header{Group: 1, From: rigPeers[0], To: Identity{ID: 2}}
	r.step(other)
	if m, _ := r.granted(); m.Granted || r.e.forming.attempt != attempt {
		t.Errorf("asked by a lower id with another list: %+v", m)
	}
	r.ask(1, 77, 10_000)
	m, _ := r.granted()
	if _, _, releases := r.asks(); m == nil || !m.Granted || releases != 2 || r.e.forming.attempt != 0 || r.e.hard.Grant.To != rigPeers[0] {
		t.Fatalf("asked by a lower id: %+v, %q", m, r.lines())
	}
	r.flush()
	late := r.e.forming.attempt
	for _, id := range []NodeID{1, 3} { // the grants of the attempt that was given up
		m := &IdentifyResponse{Empty: true, Granted: true}
		r.identified(id, m)
	}
	if !r.e.empty() || late != 0 {
		t.Error("an attempt that was given up has begun")
	}
	// The lower id ends its attempt, and asks no more. Three time-outs later it is gone.
	r.step(&IdentifyRequest{Header: Header{Group: 1, From: rigPeers[0], To: Identity{ID: 2}}, Attempt: 77, Release: true})
	asked := r.now
	if waits := fmt.Sprint(r.e.Status().WaitsFor); !strings.Contains(waits, "node 2: lets a lower id go first") {
		t.Errorf("waits for %s", waits)
	}
	for r.e.forming.attempt == 0 && r.now.Sub(asked) < time.Minute {
		r.fire(TimerForming)
	}
	if d := r.now.Sub(asked); d < 3*time.Second || d > 3200*time.Millisecond {
		t.Errorf("asks again after %v", d)
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
	r.fire(TimerForming)
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
	r.fire(TimerForming)
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
		c, err := membership.Bootstrap(rigPeers[1], bootstrapOf(1, 2, 3).Members)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = c.AddLearners(c.Wanted...); err != nil {
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
	wanted := func(r *rig) Identity { return r.e.configs.latest().Configuration.Wanted[2].Identity }
	r := forming()
	if answer := asks(r); answer == nil || !answer.SameList || !answer.Known.IsZero() || wanted(r) != now {
		t.Errorf("asked by it: %+v, wanted %v", answer, wanted(r))
	}
	// It shows itself when the leader asks who answers in the place of a silent peer.
	r = forming()
	for begun := r.now; r.now.Sub(begun) < 1500*time.Millisecond && r.e.office.identify == 0; {
		r.fire(TimerHeartbeat)
	}
	m := &IdentifyResponse{ID: r.e.office.identify, Empty: true}
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
		p := r.e.office.peer(rigPeers[id-1])
		r.from(id, r.e.hard.Term, &HeartbeatResponse{Round: r.e.office.round, Stream: p.stream, Match: p.match})
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

// formedWithin runs empty nodes that are all asked with the same list, with disks of
// which each write takes so long, and returns when they were one cluster.
func formedWithin(t *testing.T, nodes int, disk, limit time.Duration) time.Duration {
	t.Helper()
	w := newWorld()
	w.quiet = true
	play(t, w, fmt.Sprintf("-nodes %d", nodes), "-start")
	var list []NodeID
	for id := range nodes {
		list = append(list, NodeID(id+1))
	}
	for _, id := range list {
		b := bootstrapOf(list...)
		b.AskLimit = time.Hour
		w.nodes[id].step(b)
	}
	due := make(map[NodeID]time.Duration)
	for now := time.Duration(0); now < limit; now += 100 * time.Millisecond {
		complete := true
		for _, id := range list {
			n := w.nodes[id]
			if len(n.writes) == 0 {
				due[id] = now + disk
			} else if now >= due[id] {
				// One sync for all that is queued.
				for range len(n.writes) {
					n.flush()
				}
				due[id] = now + disk
			}
			n.apply()
			c := n.engine.configs.latest()
			complete = complete && len(c.Configuration.Voters) == nodes && !n.engine.configs.bootstrapping(n.engine.commit)
		}
		if complete {
			return now
		}
		for range 4 { // a round trip takes less than a heartbeat
			for _, from := range list {
				for _, to := range list {
					w.deliver(from, to, func(Message) bool { return true }, -1)
				}
			}
		}
		w.quiet = true
		w.advance(list, 100*time.Millisecond)
	}
	for _, id := range list {
		t.Logf("%d: %v, waits for %v", id, w.nodes[id].engine.configs.latest().Configuration, w.nodes[id].engine.Status().WaitsFor)
	}
	t.Fatalf("%d nodes with disks of %v form no cluster within %v", nodes, disk, limit)
	return 0
}

// TestFormingWithSlowDisks: a grant waits for two disks, one after the other, and a
// forming for some more.
func TestFormingWithSlowDisks(t *testing.T) {
	for disk, limit := range map[time.Duration]time.Duration{
		0: 2 * time.Second, 2500 * time.Millisecond: time.Minute, 12 * time.Second: 5 * time.Minute,
	} {
		t.Logf("disks of %v: formed in %v", disk, formedWithin(t, 3, disk, limit))
	}
}

// TestFormingOfManyNodes: all 31 are asked at once, and one cluster comes of it.
func TestFormingOfManyNodes(t *testing.T) {
	t.Logf("31 nodes: formed in %v", formedWithin(t, 31, 0, 30*time.Second))
}
