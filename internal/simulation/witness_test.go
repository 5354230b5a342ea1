package simulation

import (
	"slices"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// watched is a witness on node 1 of three, whose steps a test makes up.
type watched struct {
	*witness
	three []membership.Identity
}

func newWatched(t *testing.T) watched {
	s := quiet(t)
	w := watched{witness: s.nodes[0].life.replicas[0].witness}
	w.election = 100 * millisecond
	w.now = 1
	for _, n := range s.nodes {
		w.three = append(w.three, n.member)
	}
	return w
}

// leader makes the node a leader in both states of a step, with what the members hold.
func (w watched) leader(first, committed core.Index, holds ...core.Index) {
	w.leading.first = first
	w.before.Role, w.after.Role = core.RoleLeader, core.RoleLeader
	w.before.Term, w.after.Term = 3, 3
	w.before.Configuration.Configuration = membership.Configuration{Voters: w.three}
	w.after.Committed, w.after.Flushed = committed, holds[0]
	w.after.Peers = nil
	for i, match := range holds[1:] {
		w.after.Peers = append(w.after.Peers, core.PeerStatus{Identity: w.three[i+1], Match: match})
	}
}

// joint makes the configuration joint, from all to nodes 2 and 3.
func (w watched) joint() {
	w.before.Configuration.Configuration.Outgoing = w.three
	w.before.Configuration.Configuration.Voters = w.three[1:]
	w.after.Configuration = w.before.Configuration
}

func (w watched) head(from int, term core.Term) core.Header {
	return core.Header{Group: 1, From: w.three[from-1], To: w.three[0], Term: term}
}

// TestWitness shows a witness what it has to count, and what it must not.
func TestWitness(t *testing.T) {
	vote := func(w watched, to int, left uint32) {
		w.refusesVote(&core.VoteResponse{Header: core.Header{To: w.three[to-1]}, WaitMillis: left})
	}
	promise := func(w watched) {
		w.promises(&core.HeartbeatResponse{Header: core.Header{To: w.three[1]}, PromiseMillis: 100})
	}
	candidate := func(w watched, submitted *core.Write) {
		w.before.Role = core.RoleCandidate
		w.submits(submitted)
	}
	ownVote := &core.Write{IOID: 1, Then: []core.Message{&core.VoteRequest{Campaign: 7}}}
	appends := func(ioid core.IOID, first, last core.Index) *core.Write {
		return &core.Write{IOID: ioid, Append: appends(1, first, last).Append}
	}
	for name, test := range map[string]struct {
		play func(w watched)
		want []situation
	}{
		"a vote for another inside a promise":    {func(w watched) { promise(w); vote(w, 3, 5) }, []situation{voteInPromise}},
		"a vote that is refused without a wait":  {func(w watched) { promise(w); vote(w, 3, 0) }, nil},
		"a vote for whom it was promised":        {func(w watched) { promise(w); vote(w, 2, 5) }, nil},
		"a vote after the promise":               {func(w watched) { promise(w); w.now += 100_000_001; vote(w, 3, 5) }, nil},
		"a vote inside a quiet period":           {func(w watched) { w.votes.quietEnd = 2; vote(w, 3, 5) }, []situation{voteInQuietPeriod}},
		"a promise inside a quiet period":        {func(w watched) { w.votes.quietEnd = 2; promise(w) }, []situation{leaderInQuietPeriod}},
		"a term adopted inside a promise":        {func(w watched) { promise(w); w.after.Term = 4; w.adopts(&core.Heartbeat{Header: w.head(3, 4)}) }, []situation{termInPromise}},
		"a term of whom it was promised":         {func(w watched) { promise(w); w.after.Term = 4; w.adopts(&core.Heartbeat{Header: w.head(2, 4)}) }, nil},
		"a vote for itself that is slow":         {func(w watched) { candidate(w, ownVote); w.now += 100_000_001; w.flushes(1) }, []situation{slowOwnVote}},
		"a vote for itself that is fast":         {func(w watched) { candidate(w, ownVote); w.now += 100_000_000; w.flushes(1) }, nil},
		"a vote for another campaign":            {func(w watched) { candidate(w, ownVote); w.answered(&core.VoteResponse{Granted: true, Campaign: 6}) }, []situation{lateVote}},
		"a vote for this campaign":               {func(w watched) { candidate(w, ownVote); w.answered(&core.VoteResponse{Granted: true, Campaign: 7}) }, nil},
		"a leadership that ends for its disk":    {func(w watched) { w.stepsDown("own disk hangs: flushed 1, committed 2") }, []situation{diskHung}},
		"a truncation below a pending flush":     {func(w watched) { w.submits(appends(1, 1, 3)); w.submits(&core.Write{IOID: 2, TruncateFrom: 3}) }, []situation{truncationBelowFlush}},
		"a truncation above all that is pending": {func(w watched) { w.submits(appends(1, 1, 3)); w.submits(&core.Write{IOID: 2, TruncateFrom: 4}) }, nil},
		"a truncation of what is durable": {func(w watched) {
			w.submits(appends(1, 1, 3))
			w.flushes(1)
			w.submits(&core.Write{IOID: 2, TruncateFrom: 3})
		}, nil},
		"entries that conflict":                 {func(w watched) { o := appends(1, 3, 4); o.TruncateFrom = 3; w.submits(o) }, []situation{conflict}},
		"a write that is too large for a batch": {func(w watched) { w.submits(appends(1, 1, 11)) }, []situation{splitWrite}},
		"a write that is a batch":               {func(w watched) { w.submits(appends(1, 1, 10)) }, nil},
		"an append that ends before the log does": {func(w watched) {
			w.before.Last, w.after.Last = 5, 5
			w.appends(&core.AppendEntries{Entries: appends(1, 1, 3).Append})
		}, []situation{shortAppend}},
		"a commit behind an entry of its own": {func(w watched) { w.leader(4, 4, 4, 4, 0); w.before.Committed = 2; w.leads() }, []situation{earlierTerm}},
		"a commit that its disk has not":      {func(w watched) { w.leader(4, 5, 4, 5, 5); w.before.Committed = 4; w.leads() }, []situation{ahead}},
		"an earlier term's entry on a quorum": {func(w watched) { w.leader(4, 2, 3, 3, 0); w.before.Committed = 2; w.leads(); w.leads() }, []situation{earlierTermHeld}},
		"an earlier term's entry on few":      {func(w watched) { w.leader(4, 2, 3, 2, 0); w.before.Committed = 2; w.leads() }, nil},
		"half of a joint configuration":       {func(w watched) { w.leader(4, 4, 5, 5, 0); w.joint(); w.before.Committed = 4; w.leads() }, []situation{halfOfJoint}},
		"both halves":                         {func(w watched) { w.leader(4, 5, 5, 5, 5); w.joint(); w.before.Committed = 4; w.leads() }, []situation{commitInJoint}},
		"a joint configuration that another began": {func(w watched) {
			w.leader(4, 5, 5, 5, 5)
			w.joint()
			w.before.Configuration.LogID = core.LogID{Term: 2, Index: 3}
			w.after.Configuration = core.ConfigurationAt{LogID: core.LogID{Term: 3, Index: 6}, Configuration: membership.Configuration{Voters: w.three}}
			w.event = &core.Flushed{}
			w.reconfigures()
		}, []situation{jointFinishedByAnother}},
		"a configuration that is taken back": {func(w watched) {
			w.before.Configuration.Index, w.event = 3, &core.AppendEntries{}
			w.reconfigures()
		}, []situation{configurationTruncated}},
		"an answer to a stream that has ended": {func(w watched) {
			w.leader(1, 1, 1, 1, 1)
			w.commanded(&core.StartStream{Peer: membership.Member{Identity: w.three[1]}, Stream: 3})
			w.delivered(&core.AppendResponse{Header: w.head(2, 3), Stream: 3, Success: true})
			w.delivered(&core.AppendResponse{Header: w.head(2, 2), Stream: 2, Success: true})
		}, []situation{matchOfEndedStream}},
		"a transfer that resumes": {func(w watched) {
			w.delivered(&core.SnapshotResponse{Transfer: 1})
			w.delivered(&core.SnapshotResponse{Transfer: 1, Offset: 5})
			w.delivered(&core.SnapshotResponse{Transfer: 2, Offset: 5})
		}, []situation{transferResumed}},
		"an install": {func(w watched) {
			answer := &core.AppendResponse{Success: true}
			w.event = &core.SnapshotReceived{}
			w.submits(&core.Write{IOID: 1, Reset: core.LogID{Term: 1, Index: 5}, Then: []core.Message{answer}})
			w.after.Committed, w.after.Flushed = 1, 1
			w.logChanges()
			w.loses(answer)
			w.crashes()
		}, []situation{commitInInstall, installAnswerLost, crashInInstall}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched(t)
			test.play(w)
			slices.Sort(test.want)
			if got := w.sim.counted(); !slices.Equal(got, test.want) {
				t.Errorf("counted %v, want %v", got, test.want)
			}
		})
	}
}
