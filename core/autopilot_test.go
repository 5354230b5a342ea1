package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// piloted is a leader of so many voters with an autopilot. It takes a voter for dead
// after a minute, and a member for stable after ten seconds.
func piloted(t *testing.T, voters, votersMin int) *rig {
	t.Helper()
	r := newRig(t, rigOptions{voters: voters, configure: func(c *Config) {
		c.Autopilot = Autopilot{On: true, VotersMin: votersMin, DeadAfter: time.Minute, StableFor: 10 * time.Second, LagEntriesMax: 10}
	}}).lead()
	r.fire(TimerHeartbeat)
	return r
}

// standby lets a learner in that is marked, and has everything.
func (r *rig) standby(id NodeID) *rig {
	r.t.Helper()
	r.order(orderOf(7, membership.Change{Op: membership.OpAddLearner, ID: id, Incarnation: rigPeers[id-1].Incarnation, Address: "standby:1", Standby: true}))
	r.settle(2, 3)
	r.match(id, r.e.log.last.Index)
	return r
}

// settle commits all with the help of some.
func (r *rig) settle(ids ...NodeID) {
	r.t.Helper()
	r.flush()
	for _, id := range ids {
		if p := r.e.leaderState.peer(rigPeers[id-1]); p != nil {
			r.match(id, r.e.log.last.Index)
		}
	}
	r.flush()
}

// pilots lets time pass in rounds that nodes answer, or until the autopilot acts, and
// returns what it said.
func (r *rig) pilots(d time.Duration, ids ...NodeID) (said []string) {
	r.t.Helper()
	for end := r.now.Add(d); r.now < end && r.e.role == RoleLeader; {
		r.fire(TimerHeartbeat)
		for _, c := range r.last {
			if n, ok := c.(*Notice); ok && (n.Kind == NoticeAutopilotActs || n.Kind == NoticeAutopilotRefuses) {
				said = append(said, fmt.Sprintf("%v: %s", n.Kind, n.Text))
			}
		}
		if len(said) > 0 && r.e.changing() {
			return said // it has acted
		}
		r.answers(ids...)
	}
	return said
}

// says wants one saying with this in it.
func says(t *testing.T, said []string, kind NoticeKind, text string) {
	t.Helper()
	if len(said) != 1 || !strings.HasPrefix(said[0], kind.String()) || !strings.Contains(said[0], text) {
		t.Errorf("it says %q, want once %v with %q", said, kind, text)
	}
}

// TestAutopilotRemovesADeadVoter: after its time, not before, and only one.
func TestAutopilotRemovesADeadVoter(t *testing.T) {
	r := piloted(t, 4, 3)
	if said := r.pilots(59*time.Second, 2, 3); len(said) > 0 {
		t.Fatalf("too early: %q", said)
	}
	says(t, r.pilots(2*time.Second, 2, 3), NoticeAutopilotActs, "node 4 has been silent for 1m0s, and the other 3 voters are healthy")
	if got := r.latest(); got != "voters 1 2 3 4; joint: 1 2 3 4 -> 1 2 3" {
		t.Fatal(got)
	}
	r.settle(2, 3)
	r.settle(2, 3)
	if got := r.latest(); got != "voters 1 2 3" || r.e.Progress().Autopilot != [2]uint64{1, 0} {
		t.Errorf("%s, counts %v", got, r.e.Progress().Autopilot)
	}
	// The next dead one is kept: so many have to remain.
	said := r.pilots(5*time.Minute, 2)
	says(t, said, NoticeAutopilotRefuses, "node 3 is silent, and there are only 3 voters, of which 3 have to remain; no standby is ready")
	if got := r.latest(); got != "voters 1 2 3" {
		t.Error(got)
	}
	// It comes back, and goes again: that is told again.
	r.pilots(30*time.Second, 2, 3)
	says(t, r.pilots(2*time.Minute, 2), NoticeAutopilotRefuses, "node 3 is silent")
}

// TestAutopilotSwapsInAStandby: in one joint change, also where no voter may be lost.
func TestAutopilotSwapsInAStandby(t *testing.T) {
	r := piloted(t, 3, 3).standby(4)
	says(t, r.pilots(62*time.Second, 2, 4), NoticeAutopilotActs, "node 3 has been silent for 1m0s, and node 4 takes its place")
	if got := r.latest(); !strings.HasSuffix(got, "to be: 1 2 4") {
		t.Fatal(got)
	}
	id := r.e.configs.latest().Configuration.Target.ID
	r.settle(2, 4)
	if got := r.latest(); !strings.HasSuffix(got, "joint: 1 2 3 -> 1 2 4") {
		t.Fatal(got)
	}
	r.settle(2, 4)
	if c := r.e.configs.latest().Configuration; c.String() != "voters 1 2 4" || c.Last.ID != id {
		t.Error(c)
	}
}

// TestAutopilotRefuses: it does nothing where something stands against it, and says what.
func TestAutopilotRefuses(t *testing.T) {
	t.Run("two are dead", func(t *testing.T) {
		r := piloted(t, 5, 3)
		says(t, r.pilots(3*time.Minute, 2, 3), NoticeAutopilotRefuses, "nodes [4 5] are silent: one is taken out at a time")
	})
	t.Run("another lags", func(t *testing.T) {
		r := piloted(t, 4, 3)
		r.pilots(58*time.Second, 2, 3)
		for range 11 {
			r.propose("x")
		}
		r.settle(2, 4) // which the dead one had on its way
		says(t, r.pilots(time.Minute, 2, 3), NoticeAutopilotRefuses, "node 4 is silent, but nodes [3] are not healthy")
	})
	t.Run("the leader slept", func(t *testing.T) {
		r := piloted(t, 4, 3)
		r.pilots(30*time.Second, 2, 3)
		r.now = r.now.Add(time.Hour)
		r.step(&TimerFired{TimerHeartbeat, r.e.heartbeatTimer.generation})
		r.answers(2, 3)
		if said := r.pilots(59*time.Second, 2, 3); len(said) > 0 {
			t.Errorf("what a sleeping leader did not hear was counted: %q", said)
		}
		says(t, r.pilots(12*time.Second, 2, 3), NoticeAutopilotActs, "node 4")
	})
	t.Run("a new leader", func(t *testing.T) {
		r := piloted(t, 4, 3)
		r.pilots(59*time.Second, 2, 3)
		r.from(2, r.e.hard.Term+1, &Heartbeat{Round: 1, Stream: 1})
		r.flush()
		r.lead()
		if said := r.pilots(59*time.Second, 2, 3); len(said) > 0 {
			t.Errorf("another term's silence was counted: %q", said)
		}
	})
	t.Run("a standby that has just come", func(t *testing.T) {
		r := piloted(t, 3, 3)
		r.pilots(55*time.Second, 2)
		r.standby(4)
		says(t, r.pilots(8*time.Second, 2, 4), NoticeAutopilotRefuses, "no standby is ready")
		says(t, r.pilots(8*time.Second, 2, 4), NoticeAutopilotActs, "node 4 takes its place")
	})
	t.Run("a learner that is not marked", func(t *testing.T) {
		r := piloted(t, 3, 3).standby(4)
		r.order(orderOf(8, membership.Change{Op: membership.OpSetStandby, ID: 4}))
		r.settle(2, 3)
		says(t, r.pilots(2*time.Minute, 2, 4), NoticeAutopilotRefuses, "no standby is ready")
	})
	t.Run("during a change", func(t *testing.T) {
		r := piloted(t, 4, 3)
		r.pilots(50*time.Second, 2, 3)
		o := orderOf(8, adds(5, rigPeers[4].Incarnation))
		o.CatchUpLimit = 0
		r.order(o)
		r.settle(2, 3)
		if said := r.pilots(2*time.Minute, 2, 3); len(said) > 0 || !strings.HasSuffix(r.latest(), "to be: 1 2 3 4 5") {
			t.Errorf("%q, %s", said, r.latest())
		}
	})
	t.Run("it is off", func(t *testing.T) {
		r := newRig(t, rigOptions{voters: 4}).lead()
		r.fire(TimerHeartbeat)
		if said := r.pilots(time.Hour/4, 2, 3); len(said) > 0 || r.latest() != "voters 1 2 3 4" {
			t.Errorf("%q, %s", said, r.latest())
		}
	})
}

// TestAutopilotFillsUp: a standby is promoted where there are too few voters.
func TestAutopilotFillsUp(t *testing.T) {
	r := piloted(t, 2, 3)
	r.pilots(time.Minute, 2) // nobody is there who could
	r.standby(4)
	says(t, r.pilots(12*time.Second, 2, 4), NoticeAutopilotActs, "there are 2 voters of 3, and node 4 is promoted")
	r.settle(2, 4)
	r.settle(2, 4)
	if got := r.latest(); got != "voters 1 2 4" {
		t.Error(got)
	}
}

// TestAutopilotYields: its change is given up for one that somebody asks for.
func TestAutopilotYields(t *testing.T) {
	r := piloted(t, 3, 3).standby(4)
	r.pilots(62*time.Second, 2, 4)
	if !strings.HasSuffix(r.latest(), "to be: 1 2 4") {
		t.Fatal(r.latest())
	}
	r.settle(2)
	r.order(orderOf(9, adds(5, rigPeers[4].Incarnation)))
	if c := r.e.configs.latest().Configuration; c.Joint() || c.Target != nil && c.Target.Automatic {
		t.Errorf("%v", c)
	}
}

// TestAutopilotSettings: each that is wrong is named.
func TestAutopilotSettings(t *testing.T) {
	good := Autopilot{On: true, VotersMin: 3, DeadAfter: time.Minute, StableFor: time.Second}
	for field, change := range map[string]func(a *Autopilot){
		"":                    func(*Autopilot) {},
		"Autopilot.VotersMin": func(a *Autopilot) { a.VotersMin = 0 },
		"Autopilot.DeadAfter": func(a *Autopilot) { a.DeadAfter = time.Second },
		"Autopilot.StableFor": func(a *Autopilot) { a.StableFor = 0 },
	} {
		c := testConfig(rigPeers[0])
		c.Autopilot = good
		change(&c.Autopilot)
		if got, rule := c.Check(); got != field {
			t.Errorf("%s: %s %s", field, got, rule)
		}
		if c.Autopilot.On = false; c.Validate() != nil {
			t.Errorf("%s is not looked at where it is off", field)
		}
	}
}
