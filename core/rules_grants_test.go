package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// Rule 31: grants and attempts.

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

// restarted returns the rig of a next life on what is durable.
func (r *rig) restarted(hard HardState) *rig { return newRigOf(r.t, State{HardState: hard}, nil) }

// TestGrant: a grant is exclusive, durable before it is sent, lives for the length that
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

// TestGrantAndASnapshotThatWasNotFollowed: the file of a snapshot was whole when the
// node crashed; what brought the group in otherwise does not where it has granted.
func TestGrantAndASnapshotThatWasNotFollowed(t *testing.T) {
	for _, granted := range []bool{true, false} {
		s := State{Snapshot: rigSnapshot(LogID{3, 9})}
		if granted {
			s.HardState.Grant = Grant{To: rigPeers[1], Attempt: 77, LengthMillis: 10_000}
		}
		r := newRigOf(t, s, nil)
		if r.e.empty() != granted || granted && (r.e.hard.Grant.To != rigPeers[1] || len(r.e.configs.latest().Configuration.Members) > 0) {
			t.Errorf("granted %t: cluster %v, grant %+v, %q", granted, r.e.hard.Cluster, r.e.hard.Grant, r.lines())
		}
		if s := r.e.Status(); granted && s.SnapshotIndex+s.Committed > 0 {
			t.Errorf("%+v", s)
		}
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

// TestAttemptWhoseTimerIsLate: an attempt that is over holds nobody off, although its
// timer has not come yet, and is not begun by what was granted to it.
func TestAttemptWhoseTimerIsLate(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.step(bootstrapOf(1, 2, 3))
	r.flush()
	r.grants(2)
	r.now = r.now.Add(time.Minute)
	r.ask(3, 78, 10_000)
	m, _ := r.granted()
	if _, _, releases := r.asks(); m == nil || !m.Granted || releases != 2 || r.e.forming.attempt != 0 {
		t.Errorf("%+v, %q", m, r.lines())
	}
}

// grantAt returns the grant that lives at an instant, without a step.
func (e *Engine) grantAt(now Instant) Grant {
	if now < e.grants.until {
		return e.hard.Grant
	}
	return Grant{}
}
