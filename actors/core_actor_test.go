package actors

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/actors/stage/stagetest"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// clockEnvironment is driven by hand, its clock too: timers fire when the test puts
// their firing into an inbox.
type clockEnvironment struct {
	*stagetest.Hand
	now stage.Instant
}

func (e *clockEnvironment) Now() stage.Instant                          { return e.now }
func (e *clockEnvironment) AfterFunc(time.Duration, func()) stage.Timer { return silentTimer{} }

type silentTimer struct{}

func (silentTimer) Reset(time.Duration) {}
func (silentTimer) Stop()               {}

// deafApply is an apply actor that takes everything and does nothing.
type deafApply struct{}

func (deafApply) applyUpTo(core.Index)          {}
func (deafApply) hold(pendingProposals) bool    { return true }
func (deafApply) serve(readBatch) bool          { return true }
func (deafApply) forget() bool                  { return true }
func (deafApply) giveView()                     {}
func (deafApply) giveRecord(core.BuildSnapshot) {}
func (deafApply) installNow(core.SnapshotMeta)  {}

// coreRig is the core actor of node 1 of three, with its engine, that a test steps by
// hand; nothing else of its group runs, and its disk never gets to anything.
type coreRig struct {
	core *coreActor
	env  *clockEnvironment
	net  *sentNetwork
}

func newCoreRig(t *testing.T) *coreRig {
	t.Helper()
	r := &coreRig{env: &clockEnvironment{stagetest.NewHand(), stage.Instant(time.Hour)}, net: &sentNetwork{}}
	cfg, published := groupConfig(1, nil), &seen{group: 1, self: member(1)}
	cfg.Witness = Invariants{}
	published.setCluster(core.ClusterID{7})
	var c membership.Configuration
	for n := membership.NodeID(1); n <= 3; n++ {
		c.Members = append(c.Members, membership.Member{Identity: member(n)})
		c.Voters = append(c.Voters, member(n))
	}
	first := id(1, 1)
	engine, err := core.NewEngine(core.Config{Group: 1, Self: member(1), Settings: cfg.Settings}, core.State{
		HardState: core.HardState{Term: 1, Cluster: core.ClusterID{7}}, Last: first, Terms: []core.LogID{first},
		Configurations: []core.ConfigurationAt{{LogID: first, Configuration: c}},
	}, instant(r.env))
	if err != nil {
		t.Fatal(err)
	}
	r.core = newCoreActor(coreNeeds{
		home: home{Home: stage.Home{Env: r.env}}, cfg: &cfg, self: member(1), network: r.net,
		write: func(*core.Write) {}, storeBusy: func() core.Instant { return 0 }, memoryLog: memlog.New(1<<20, core.LogID{}, first, 0), apply: deafApply{},
		streams: newStreams(replicationNeeds{}, nil), jobs: snapshots.NewJobs(&snapshots.Group{}),
		seen: published, notify: func(*core.Notice) {}, admission: admission.New[*Proposal](admission.Limits{}, nil, nil), underWay: newReadRoom(100, nil), readable: &readable{env: r.env}, answers: &resultSender{takes: takesAll}, takes: takesAll,
		closed: func() {}, stopCause: func() error { return core.ErrStopped },
	}, engine)
	r.core.inbox.Wake = func() {}
	r.turn(&startEngine{})
	return r
}

func member(n membership.NodeID) membership.Identity {
	return membership.Identity{ID: n, Incarnation: 1}
}

// turn lets the core take items in one burst.
func (r *coreRig) turn(items ...any) {
	for _, item := range items {
		r.core.put(item)
	}
	r.core.step()
}

// from addresses a message of another member to the core.
func (r *coreRig) from(n membership.NodeID, term core.Term, m core.Message) core.Message {
	*m.Head() = core.Header{Group: 1, Cluster: core.ClusterID{7}, From: member(n), To: member(1), Term: term}
	return m
}

// answers returns what was sent of a kind, and forgets all that was sent.
func answers[M core.Message](r *coreRig) (found []M) {
	for _, m := range r.net.sent {
		if m, ok := m.(M); ok {
			found = append(found, m)
		}
	}
	r.net.sent = nil
	return found
}

// TestTimersComeAfterWhatWasSaid: rule 15: a process that was held up finds in its
// inbox that its election time-out has passed, and a heartbeat that came in time to be
// read together with it. Whichever is first there, the leader is heard.
func TestTimersComeAfterWhatWasSaid(t *testing.T) {
	timer := &timerDue{core.TimerElection}
	for name, test := range map[string]struct {
		items func(heartbeat core.Message) []any
		asks  int
	}{
		"the time-out alone":                {func(core.Message) []any { return []any{timer} }, 2},
		"the time-out before the heartbeat": {func(heartbeat core.Message) []any { return []any{timer, heartbeat} }, 0},
		"the heartbeat before the time-out": {func(heartbeat core.Message) []any { return []any{heartbeat, timer} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCoreRig(t)
			r.env.now = stage.Instant(r.core.timers[core.TimerElection].at)
			r.turn(test.items(r.from(2, 1, &core.Heartbeat{Round: 1, Stream: 1}))...)
			if asks := answers[*core.VoteRequest](r); len(asks) != test.asks {
				t.Errorf("it asks for %d votes, want %d", len(asks), test.asks)
			}
		})
	}
}

// takenLate is a meter of an inbox that lets time pass until what is there is taken.
type takenLate struct {
	env  *clockEnvironment
	late time.Duration
}

func (m *takenLate) Woken()   {}
func (m *takenLate) Took(int) {}
func (m *takenLate) Swapped() { m.env.now += stage.Instant(m.late) }

// TestNowIsReadAfterTheInbox: rule 15: what is taken came before now. A lease promise
// counts from the receipt of a heartbeat, and lasts no less than was told.
func TestNowIsReadAfterTheInbox(t *testing.T) {
	r := newCoreRig(t)
	late := &takenLate{r.env, time.Second}
	r.core.inbox.Meter = late
	r.turn(r.from(2, 1, &core.Heartbeat{Round: 1, Stream: 1}))
	received := r.env.now
	told := answers[*core.HeartbeatResponse](r)
	if len(told) != 1 || told[0].PromiseMillis == 0 {
		t.Fatalf("answered %+v", told)
	}
	late.late = 0
	r.env.now = received + stage.Instant(time.Duration(told[0].PromiseMillis-1)*time.Millisecond)
	r.turn(r.from(3, 2, &core.VoteRequest{ElectionTerm: 2, Campaign: 1, Last: id(9, 9)}))
	if votes := answers[*core.VoteResponse](r); len(votes) != 1 || votes[0].Granted || votes[0].WaitMillis != 1 {
		t.Errorf("asked for a vote a millisecond before the end of the promise: %+v", votes)
	}
}
