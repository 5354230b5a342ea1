package core

import (
	"testing"
	"time"
)

// TestQuietPeriodBindsEveryNode: rule 13: the quiet period after a start binds a node
// whatever its configuration says: a learner's own may lag behind one that makes it a
// voter, and as a voter it gave promises in its last life.
func TestQuietPeriodBindsEveryNode(t *testing.T) {
	quietPeriod := func(c *Config) { c.QuietPeriod = 5 * time.Second }
	stranger := rigState(rigOptions{})
	stranger.Configurations[0].Configuration.Members = stranger.Configurations[0].Configuration.Members[1:]
	stranger.Configurations[0].Configuration.Voters = stranger.Configurations[0].Configuration.Voters[1:]
	for name, state := range map[string]State{
		"a voter":                              rigState(rigOptions{}),
		"a learner":                            rigState(rigOptions{learner: true}),
		"no member":                            stranger,
		"without a configuration":              {HardState: HardState{Term: 1, Cluster: worldCluster}},
		"the learner of a sole voter":          rigState(rigOptions{voters: 2, learner: true}),
		"one of whom others need a joint vote": joinedState(),
	} {
		r := newRigOf(t, state, quietPeriod)
		begun := r.now
		ask := func(pre bool) *VoteResponse {
			t.Helper()
			m := &VoteRequest{Pre: pre, ElectionTerm: r.e.hard.Term + 1, Campaign: 1, Last: LogID{9, 9}}
			r.from(2, r.e.hard.Term, m)
			if answer, ok := sent[*VoteResponse](r); ok {
				return answer
			}
			w, ok := find[*Write](r)
			if !ok {
				t.Fatalf("%s: no answer: %q", name, r.lines())
			}
			return w.Then[0].(*VoteResponse)
		}
		for _, pre := range []bool{true, false} {
			r.now = begun.Add(5*time.Second - 1)
			if m := ask(pre); m.Granted || m.WaitMillis != 1 {
				t.Errorf("%s, pre-vote %v: granted %v, to be asked again in %d ms", name, pre, m.Granted, m.WaitMillis)
			}
		}
		if at := r.e.electionTimer.at; r.e.mayEverCampaign() && at < begun.Add(5*time.Second) {
			t.Errorf("%s: campaigns within the quiet period", name)
		}
		r.now = begun.Add(5 * time.Second)
		if m := ask(false); !m.Granted {
			t.Errorf("%s: no vote after the quiet period", name)
		}
	}
}

// joinedState is a log of a sole voter whose last entry, not committed, makes others
// voters too.
func joinedState() State {
	s := rigState(rigOptions{voters: 1})
	three := rigState(rigOptions{}).Configurations[0].Configuration
	three.Outgoing = s.Configurations[0].Configuration.Voters
	s.Last, s.Commit = LogID{1, 2}, 1
	s.Configurations = append(s.Configurations, ConfigurationAt{s.Last, three})
	return s
}

// TestQuietPeriodOutlastsPromotion: rule 13: who becomes a voter within its quiet
// period does not campaign before its end.
func TestQuietPeriodOutlastsPromotion(t *testing.T) {
	r := newRig(t, rigOptions{learner: true, configure: func(c *Config) { c.QuietPeriod = time.Minute }})
	end := r.now.Add(time.Minute)
	voters := rigState(rigOptions{}).Configurations[0].Configuration
	entry := Entry{LogID: LogID{2, 2}, Kind: EntryConfiguration, Data: voters.Encode()}
	r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: []Entry{entry}})
	r.flush()
	for r.e.role == RoleFollower && r.now < end {
		r.fire(TimerElection)
	}
	if r.e.role != RolePreCandidate || r.now < end {
		t.Errorf("a %v %v before the end of the quiet period", r.e.role, end.Sub(r.now))
	}
}
