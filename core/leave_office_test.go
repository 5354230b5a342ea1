package core

import (
	"strings"
	"testing"
	"time"
)

// The tests of this file are about rule 16: a leader that cannot work, and who is not
// well.

// beatWith lets a heartbeat interval pass, with answers of some nodes, and returns who
// was told to campaign, 0 if nobody was.
func (r *rig) beatWith(m HeartbeatResponse, ids ...NodeID) (told NodeID) {
	r.t.Helper()
	r.fire(TimerHeartbeat)
	if m, ok := sent[*TimeoutNow](r); ok {
		told = m.To.ID
	}
	for _, id := range ids {
		if r.e.role == RoleLeader {
			answer := m
			r.respond(id, &answer)
		}
	}
	return told
}

// hangs lets a leader's machine, or its disk, stand still until it is to leave office.
// Node 2 has the whole log and all of it applied, and does not answer yet.
func hangs(t *testing.T, disk bool) *rig {
	t.Helper()
	r := newRig(t, rigOptions{}).lead()
	r.propose("a", "b", "c")
	if !disk {
		r.flush()
	}
	answer := HeartbeatResponse{Match: 5, Applied: 5, Accepted: 5, Unfit: UnfitPaused}
	r.match(2, 5)
	r.match(3, 5)
	for i := 0; r.e.leaderState.leaving.why == ""; i++ {
		if r.beatWith(answer, 2); i > 30 || r.e.role != RoleLeader {
			t.Fatalf("a %v after %d heartbeats: %q", r.e.role, i, r.lines())
		}
	}
	for range 40 { // nobody could lead in its place
		r.beatWith(answer, 2)
	}
	return r
}

// TestHungMachine: what moves is not hung, and what nobody has passed is not behind.
func TestHungMachine(t *testing.T) {
	for name, test := range map[string]struct {
		applied Index // what the others report
		moves   bool  // the own machine does finish something
		leaves  bool
	}{
		"the others go on":   {9, false, true},
		"nobody goes on":     {2, false, false},
		"slow, and it moves": {9, true, false},
	} {
		r := newRig(t, rigOptions{}).lead()
		r.propose("a", "b", "c", "d", "e", "f", "g")
		r.flush()
		r.match(2, 9)
		for i := range 24 {
			r.beatWith(HeartbeatResponse{Applied: test.applied, Match: 9, Unfit: UnfitPaused}, 2)
			if test.moves && i%10 == 9 {
				r.step(&Applied{LogID{2, r.e.applied + 1}})
			}
		}
		if leaves := r.e.leaderState.leaving.why != ""; leaves != test.leaves || r.e.role != RoleLeader {
			t.Errorf("%s: a %v, leaves %v", name, r.e.role, leaves)
		}
	}
}

// TestLeaderThatCannotWork: it stays while nobody could lead in its place, hands over
// when somebody can, and leaves when a limit has passed since then.
func TestLeaderThatCannotWork(t *testing.T) {
	for name, disk := range map[string]bool{"own disk hangs": true, "own state machine hangs": false} {
		r := hangs(t, disk)
		if r.e.role != RoleLeader || r.e.Status().Leaving == "" {
			t.Fatalf("%s: a %v that is leaving for %q", name, r.e.role, r.e.Status().Leaving)
		}
		well := HeartbeatResponse{Match: 5, Applied: 5, Accepted: 5}
		r.beatWith(well, 2)
		if told := r.beatWith(well, 2); told != 2 {
			t.Fatalf("%s: node %d is told", name, told)
		}
		if p := r.propose("x"); p.Err != ErrTransferring {
			t.Errorf("%s: admits: %v", name, p.Err)
		}
		begun := r.now
		for r.e.role == RoleLeader && r.now.Sub(begun) < time.Minute {
			r.beatWith(well, 2, 3)
		}
		if left := r.now.Sub(begun); left < r.e.cfg.HungLimit || left > r.e.cfg.HungLimit+200*time.Millisecond {
			t.Errorf("%s: left after %v", name, left)
		}
		s := r.e.Status()
		if !strings.HasPrefix(s.LeftOffice, name) || !strings.HasSuffix(s.LeftOffice, "nobody has taken over") || s.LeftTerm != 2 || s.Leaving != "" {
			t.Errorf("%s: left T%d for %q, leaves for %q", name, s.LeftTerm, s.LeftOffice, s.Leaving)
		}
		d := map[bool]Departure{true: DepartureDisk, false: DepartureMachine}[disk]
		if counts := r.e.Progress().Departures; counts != one(d) {
			t.Errorf("%s: %v", name, counts)
		}
		if r.e.unfitNow() != UnfitSick {
			t.Errorf("%s: is %v", name, r.e.unfitNow())
		}
		r.flush()
		r.step(&Applied{LogID{2, 5}})
		if r.e.unfitNow() != UnfitStandsBack {
			t.Errorf("%s: has caught up, and is %v", name, r.e.unfitNow())
		}
	}
}

// one is a single departure.
func one(d Departure) DepartureCounts {
	var counts DepartureCounts
	counts[d] = 1
	return counts
}

// TestLeaderThatIsWellAgain: what has moved again in time is forgotten.
func TestLeaderThatIsWellAgain(t *testing.T) {
	r := hangs(t, false)
	r.step(&Applied{LogID{2, 4}})
	well := HeartbeatResponse{Match: 5, Applied: 5, Accepted: 5}
	if told := r.beatWith(well, 2) + r.beatWith(well, 2); told != 0 || r.e.Status().Leaving != "" {
		t.Errorf("leaves for %q: node %d is told", r.e.Status().Leaving, told)
	}
	r.from(2, 3, &HeartbeatResponse{})
	if r.e.unfitNow() != Fit || r.e.Status().LeftOffice != "node 2 is in term 3" {
		t.Errorf("is %v, left for %q", r.e.unfitNow(), r.e.Status().LeftOffice)
	}
}

// TestSuccessor: the best voter that is fit; who has left office lately after all
// others, and who has just failed not at all.
func TestSuccessor(t *testing.T) {
	lead := func() *rig {
		r := newRig(t, rigOptions{voters: 5}).lead()
		for _, p := range r.e.leaderState.peers {
			r.match(p.ID, 2)
			r.answerRound(p.ID, 2)
		}
		return r
	}
	for name, test := range map[string]struct {
		prepare func(r *rig)
		want    NodeID
	}{
		"all alike":                  {func(*rig) {}, 2},
		"who has applied most":       {func(r *rig) { r.e.leaderState.peers[2].applied = 2 }, 4},
		"the highest priority":       {func(r *rig) { r.e.leaderState.peers[3].Priority = 200 }, 5},
		"not who stands back":        {func(r *rig) { r.e.leaderState.peers[0].unfit = UnfitStandsBack }, 3},
		"not who has failed":         {func(r *rig) { r.e.handOver.failed(rigPeers[1], r.now) }, 3},
		"rather who stands back":     {func(r *rig) { r.unfitBut(4, UnfitSick); r.e.leaderState.peers[2].unfit = UnfitStandsBack }, 4},
		"nobody is fit":              {func(r *rig) { r.unfitBut(0, UnfitInstalling) }, 0},
		"nobody answers":             {func(r *rig) { r.now = r.now.Add(2 * time.Second) }, 0},
		"who has failed, after that": {func(r *rig) { r.unfitBut(3, UnfitSick); r.failedAgo(3, 1100*time.Millisecond) }, 3},
		"who has failed, too soon":   {func(r *rig) { r.unfitBut(3, UnfitSick); r.failedAgo(3, 900*time.Millisecond) }, 0},
	} {
		r := lead()
		test.prepare(r)
		r.e.now = r.now
		got := NodeID(0)
		if p := r.e.successor(); p != nil {
			got = p.ID
		}
		if got != test.want {
			t.Errorf("%s: node %d, want %d", name, got, test.want)
		}
	}
}

func (r *rig) unfitBut(id NodeID, u Unfit) {
	for _, p := range r.e.leaderState.peers {
		if p.ID != id {
			p.unfit = u
		}
	}
}

// failedAgo notes that a hand-over failed that long before now.
func (r *rig) failedAgo(id NodeID, d time.Duration) {
	r.e.handOver.failed(rigPeers[id-1], r.now.Add(-d))
}

// TestMachineStands: a follower whose machine has finished nothing for a limit says so,
// and is not handed the leadership.
func TestMachineStands(t *testing.T) {
	r := newRig(t, rigOptions{commit: 1, applied: 1, terms: []Term{1, 1, 1}})
	says := func() Unfit {
		t.Helper()
		r.from(2, 1, &Heartbeat{Round: 1, Stream: 1, Commit: 4})
		m, _ := sent[*HeartbeatResponse](r)
		return m.Unfit
	}
	r.now = r.now.Add(time.Hour) // it had nothing to do
	r.from(2, 1, &AppendEntries{Stream: 1, Prev: LogID{1, 4}, Commit: 3})
	begun := r.now
	for _, step := range []struct {
		at      time.Duration
		applied Index
		want    Unfit
	}{
		{0, 0, Fit}, {2 * time.Second, 0, Fit}, {2*time.Second + 1, 0, UnfitSick}, {2*time.Second + 2, 2, Fit},
		{4*time.Second + 2, 0, Fit}, {4*time.Second + 3, 0, UnfitSick}, {5 * time.Second, 4, Fit}, {time.Hour, 0, Fit},
	} {
		r.now = begun.Add(step.at)
		if step.applied > 0 {
			r.step(&Applied{LogID{1, step.applied}})
		}
		if got := says(); got != step.want {
			t.Errorf("after %v: %v, want %v", step.at, got, step.want)
		}
	}
	r.now = r.now.Add(time.Second)
	r.from(2, 1, &AppendEntries{Stream: 1, Prev: LogID{1, 4}, Entries: commands(LogID{1, 5}), Commit: 5})
	r.flush()
	r.now = r.now.Add(3 * time.Second)
	if r.from(2, 1, &TimeoutNow{}); r.e.role != RoleFollower {
		t.Errorf("a %v with a machine that stands still", r.e.role)
	}
}

// TestStoreHangs: where another group's write keeps the disk for longer than an election
// time-out, this group is not handed the leadership, though it has nothing to write. It
// votes and campaigns as before.
func TestStoreHangs(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(1)
	says := func() Unfit {
		t.Helper()
		r.from(2, 1, &Heartbeat{Round: 2, Stream: 1})
		m, _ := sent[*HeartbeatResponse](r)
		return m.Unfit
	}
	r.step(&StoreBusy{Since: r.now})
	r.now = r.now.Add(time.Second)
	within := says()
	r.now++
	after := says()
	r.from(2, 1, &TimeoutNow{})
	if m, ok := sent[*TimeoutNowResponse](r); !ok || m.Unfit != UnfitSick || within != Fit || after != UnfitSick {
		t.Errorf("%v within the time-out, %v after it; %q", within, after, r.lines())
	}
	r.now = r.e.promise.until
	r.from(3, 1, &VoteRequest{Pre: true, ElectionTerm: 2, Campaign: 1, Last: LogID{9, 9}})
	if m, ok := sent[*VoteResponse](r); !ok || !m.Granted {
		t.Errorf("%q", r.lines())
	}
	if r.preCampaign(); r.e.role != RolePreCandidate {
		t.Errorf("a %v", r.e.role)
	}
	r = newRig(t, rigOptions{}).follow(1)
	r.step(&StoreBusy{Since: r.now})
	r.now = r.now.Add(time.Hour)
	r.step(&StoreBusy{})
	if got := says(); got != Fit {
		t.Errorf("%v when it is over", got)
	}
}

// TestNotToCampaignIsADelay: who is not well campaigns when it has heard of no leader
// for four time-outs, if its disk works and somebody has not paused it; and during a
// restore only if that takes longer than a limit (rule 24).
func TestNotToCampaignIsADelay(t *testing.T) {
	sick := func(r *rig) { r.e.health.catchUpApply = 2 }
	for name, test := range map[string]struct {
		prepare func(r *rig)
		from    time.Duration
		after   time.Duration // 0: never
	}{
		"well":       {func(*rig) {}, 0, 2 * time.Second},
		"catches up": {sick, 4 * time.Second, 6 * time.Second},
		"the machine": {func(r *rig) {
			r.e.issued.apply = 2
			r.e.health.machineSince = r.now.Add(-time.Hour)
		}, 4 * time.Second, 6 * time.Second},
		"paused":                               {func(r *rig) { sick(r); r.step(&PauseElections{true}) }, 0, 0},
		"the disk":                             {func(r *rig) { r.e.submit(r.e.newWrite()) }, 0, 0},
		"restores":                             {restoringSince(8 * time.Second), 10 * time.Second, 12 * time.Second},
		"has restored for longer than a limit": {restoringSince(-time.Hour), 4 * time.Second, 6 * time.Second},
	} {
		r := newRig(t, rigOptions{commit: 1, applied: 1})
		r.now = r.now.Add(time.Minute)
		r.from(2, 1, &Heartbeat{Round: 1, Stream: 1})
		test.prepare(r)
		begun := r.now
		for r.e.role == RoleFollower && r.now.Sub(begun) < time.Minute {
			r.fire(TimerElection)
			if says := r.e.Status().NoLeader; r.e.role == RoleFollower && !strings.Contains(says, "waits for") {
				t.Errorf("%s: says %q", name, says)
			}
		}
		if took := r.now.Sub(begun); test.after == 0 != (r.e.role == RoleFollower) || test.after != 0 && (took < test.from || took > test.after) {
			t.Errorf("%s: a %v after %v", name, r.e.role, took)
		}
	}
}

// restoringSince begins a restore, as at a start.
func restoringSince(d time.Duration) func(r *rig) {
	return func(r *rig) {
		r.e.snapshots.installing, r.e.health.restoringSince = &SnapshotMeta{LogID: LogID{1, 1}}, r.now.Add(d)
	}
}

// TestCaretaker: who won although it is not well appends its blank entry and nothing
// else, gives the others its log, and hands over to the first that has it. It stays
// while there is none, and is an ordinary leader once it is well.
func TestCaretaker(t *testing.T) {
	elected := func() *rig {
		r := newRig(t, rigOptions{})
		r.e.health.catchUpApply = 1
		for range 10 {
			if r.fire(TimerElection); r.e.role != RoleFollower {
				break
			}
		}
		r.elect().flush()
		return r
	}
	r := elected()
	refuses := func() {
		t.Helper()
		if p := r.propose("x"); p.Err != ErrTransferring || r.e.ready() || r.e.log.last != (LogID{2, 2}) {
			t.Errorf("admits: %v, the log ends at %v", p.Err, r.e.log.last)
		}
	}
	refuses()
	for range 100 { // longer than any limit
		r.beatWith(HeartbeatResponse{Match: 1, Accepted: 2, Applied: 1}, 2, 3)
	}
	refuses()
	if r.e.role != RoleLeader || r.e.transfer.phase != transferNone {
		t.Fatalf("a %v in phase %d", r.e.role, r.e.transfer.phase)
	}
	r.match(3, 2)
	if told := r.beatWith(HeartbeatResponse{Match: 1, Accepted: 2, Applied: 1}, 2, 3); told != 3 {
		t.Fatalf("node %d is told", told)
	}
	// It fails, and is tried again.
	tries := 0
	for range 100 {
		r.from(3, 2, &TimeoutNowResponse{Transfer: r.e.transfer.number})
		if r.beatWith(HeartbeatResponse{Match: 1, Accepted: 2, Applied: 1}, 2, 3) == 3 {
			tries++
		}
	}
	if tries < 5 || tries > 10 || r.e.role != RoleLeader {
		t.Errorf("a %v, tried %d times within ten seconds", r.e.role, tries)
	}
	r.from(3, 3, &HeartbeatResponse{})
	if counts := r.e.Progress().Departures; counts != one(DepartureMachine) {
		t.Errorf("%v: %q", counts, r.e.Status().LeftOffice)
	}

	r = elected()
	r.match(2, 2)
	r.apply()
	r.beatWith(HeartbeatResponse{Match: 1, Accepted: 2, Applied: 1, Unfit: UnfitPaused}, 2, 3)
	r.beatWith(HeartbeatResponse{Match: 1, Accepted: 2, Applied: 1, Unfit: UnfitPaused}, 2, 3)
	if p := r.propose("x"); p.Err != nil || r.e.Status().Leaving != "" {
		t.Errorf("well again, and %v; leaves for %q", p.Err, r.e.Status().Leaving)
	}
}

// TestDepartures: each way to leave office is told and counted.
func TestDepartures(t *testing.T) {
	for name, test := range map[string]struct {
		leave func(r *rig)
		want  Departure
		says  string
	}{
		"a higher term": {func(r *rig) { r.from(3, 6, &HeartbeatResponse{}) }, DepartureSuperseded, "node 3 is in term 6"},
		"a transfer": {func(r *rig) {
			r.match(2, 2)
			r.transferTo(2)
			r.from(2, 3, &VoteRequest{ElectionTerm: 3, Campaign: 1, Last: LogID{2, 2}, Transfer: true})
		}, DepartureTransferred, "hands over to node 2"},
		"no quorum": {func(r *rig) {
			for r.e.role == RoleLeader {
				r.fire(TimerHeartbeat)
			}
		}, DepartureNoQuorum, "no quorum answered"},
		"entries": {func(r *rig) {
			r.propose("x")
			for r.e.role == RoleLeader {
				r.beatWith(HeartbeatResponse{Match: 2, Accepted: 2, Applied: 2}, 2, 3)
			}
		}, DepartureEntries, "no quorum accepts entries"},
	} {
		r := leadAnswered(t, rigOptions{})
		test.leave(r)
		s := r.e.Status()
		if counts := r.e.Progress().Departures; counts != one(test.want) || !strings.Contains(s.LeftOffice, test.says) || s.LeftTerm != 2 {
			t.Errorf("%s: %v, left T%d for %q", name, counts, s.LeftTerm, s.LeftOffice)
		}
	}
}
