package simulation

import (
	"slices"
	"testing"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// counted returns the situations that a run has counted.
func (s *sim) counted() (found []situation) {
	for x := range situation(situations) {
		for range s.seen[x] {
			found = append(found, x)
		}
	}
	return found
}

// TestWitnessOfTransfers shows a witness how the leadership moves.
func TestWitnessOfTransfers(t *testing.T) {
	promise := func(w watched) {
		w.promises(&core.HeartbeatResponse{Header: core.Header{To: w.three[1]}, PromiseMillis: 100})
	}
	told := func(w watched, term core.Term) {
		w.before.Term, w.after.Term = 3, 3
		if term == 3 {
			w.after.Term, w.after.Role = 4, core.RoleCandidate
		}
		w.event = &core.TimeoutNow{Header: w.head(2, term)}
		w.hands()
	}
	// flagged lets node 3 ask for a vote in a transfer from node 2, and get it.
	flagged := func(w watched, transfer, granted bool) {
		w.event = &core.VoteRequest{Header: w.head(3, 4), ElectionTerm: 4, Transfer: transfer}
		answer := &core.VoteResponse{Header: core.Header{To: w.three[2]}, Granted: granted, WaitMillis: 5}
		if granted {
			w.submits(&core.Write{IOID: 1, Then: []core.Message{answer}})
		} else {
			w.refusesVote(answer)
		}
	}
	begins := func(w watched, ev core.Event) {
		w.event = ev
		w.notices(&core.Notice{Kind: core.NoticeTransferStarted})
	}
	fails := func(w watched, leads, gaveUp bool, why core.TransferReason) {
		w.before.Role, w.after.NeedsNewTerm = core.RoleLeader, gaveUp
		if leads {
			w.after.Role = core.RoleLeader
		}
		w.notices(&core.Notice{Kind: core.NoticeTransferFailed, Text: why.String()})
	}
	elects := func(w watched) {
		w.event = &core.Elect{}
		w.hands()
	}
	for name, test := range map[string]struct {
		play func(w watched)
		want []situation
	}{
		"told inside a promise":                     {func(w watched) { promise(w); told(w, 3) }, []situation{toldInPromise}},
		"told inside a quiet period":                {func(w watched) { w.votes.quietEnd = 2; told(w, 3) }, []situation{toldInQuietPeriod}},
		"told when nothing stands against it":       {func(w watched) { told(w, 3) }, nil},
		"told in a term that is over":               {func(w watched) { promise(w); told(w, 2) }, []situation{toldLate}},
		"the flag inside a promise":                 {func(w watched) { promise(w); flagged(w, true, true) }, []situation{flagInPromise}},
		"the flag inside a quiet period":            {func(w watched) { w.votes.quietEnd = 2; flagged(w, true, true) }, []situation{flagInQuietPeriod}},
		"a vote without the flag":                   {func(w watched) { promise(w); flagged(w, false, true) }, nil},
		"the flag, and no vote":                     {func(w watched) { promise(w); flagged(w, true, false) }, []situation{voteInPromise, flagRefused}},
		"the promise is gone after such a vote":     {func(w watched) { promise(w); flagged(w, true, true); flagged(w, true, true) }, []situation{flagInPromise}},
		"a transfer that was asked for":             {func(w watched) { begins(w, &core.TransferLeadership{}) }, nil},
		"a transfer asked for on a follower":        {func(w watched) { begins(w, &core.TransferRequest{}) }, []situation{transferByFollower}},
		"a transfer that nobody asked for":          {func(w watched) { begins(w, &core.TimerFired{}) }, []situation{transferByPriority}},
		"a transfer that fails early":               {func(w watched) { fails(w, true, false, core.TransferUnreachable) }, []situation{transferBeforeTold}},
		"a transfer that fails late":                {func(w watched) { fails(w, true, true, core.TransferUnreachable) }, []situation{transferAfterTold}},
		"a transfer of a leader that has left":      {func(w watched) { fails(w, false, false, core.TransferUnreachable) }, nil},
		"a transfer that another has won":           {func(w watched) { fails(w, false, false, core.TransferAnotherWon) }, []situation{transferAnotherWon}},
		"a target that refuses":                     {func(w watched) { w.before.TransferringTo = 2; refuses(w, core.UnfitPaused) }, []situation{targetUnfit}},
		"a target that refuses too late":            {func(w watched) { refuses(w, core.UnfitPaused) }, nil},
		"a proposal in a transfer":                  {func(w watched) { w.event = &core.Propose{Err: core.ErrTransferring}; w.hands() }, []situation{proposalInTransfer}},
		"an election by hand inside a promise":      {func(w watched) { promise(w); elects(w) }, []situation{electBound}},
		"an election by hand in a quiet period":     {func(w watched) { w.votes.quietEnd = 2; elects(w) }, []situation{electBound}},
		"an election by hand":                       {elects, nil},
		"an election by hand that begins":           {func(w watched) { promise(w); w.after.Role = core.RolePreCandidate; elects(w) }, nil},
		"elections that are paused":                 {func(w watched) { w.after.ElectionsPaused, w.after.NoLeader = true, "paused"; fires(w) }, []situation{pausedWithoutLeader}},
		"elections that are not":                    {func(w watched) { w.after.NoLeader = "votes"; fires(w) }, nil},
		"a new term for the lease":                  {func(w watched) { w.campaigns(ended(core.ElectionToRenew, core.ElectionWon)) }, []situation{termRenewed}},
		"a new term for the lease that another has": {func(w watched) { w.campaigns(ended(core.ElectionToRenew, core.ElectionSuperseded)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched(t)
			w.before.Role, w.after.Role = core.RoleFollower, core.RoleFollower
			test.play(w)
			slices.Sort(test.want)
			if got := w.sim.counted(); !slices.Equal(got, test.want) {
				t.Errorf("counted %v, want %v", got, test.want)
			}
		})
	}
}

func refuses(w watched, why core.Unfit) {
	w.event = &core.TimeoutNowResponse{Header: w.head(2, 3), Unfit: why}
	w.hands()
}

func fires(w watched) {
	w.event = &core.TimerFired{Timer: core.TimerElection}
	w.hands()
}

// ended counts one election.
func ended(reason core.ElectionReason, outcome core.ElectionOutcome) (counts core.ElectionCounts) {
	counts[reason][outcome] = 1
	return counts
}

// TestWitnessOfReads shows a witness, and a client, how reads go.
func TestWitnessOfReads(t *testing.T) {
	// asks lets a leader, which has committed in its term, be asked by its lease.
	asks := func(w watched, ev core.Event, lease core.Instant) {
		w.leader(4, 4, 4, 4, 4)
		w.after.Lease, w.event = lease, ev
		w.reads()
	}
	byLease := &core.ReadRequest{Lease: true}
	answered := func(w watched, term core.Term, committed core.Index) {
		w.before.Term, w.before.Leader, w.after.Committed = 3, 2, committed
		w.event = &core.ReadIndexResponse{Header: w.head(2, term), OK: true}
		w.reads()
	}
	client := func(w watched, mode actors.ReadMode, completed bool, err error) {
		x := &work{replica: w.replica, isRead: true, read: &actors.Read{Mode: mode, AtLeast: 2}, completed: completed, err: err}
		if x.sawRead(); completed {
			x.sawReadEnd()
		}
	}
	for name, test := range map[string]struct {
		play func(w watched)
		want []situation
	}{
		"without a lease":                 {func(w watched) { asks(w, &core.ReadRequest{}, 9) }, []situation{readBehindRound}},
		"by the lease":                    {func(w watched) { asks(w, byLease, 9) }, nil},
		"by the lease, for another":       {func(w watched) { asks(w, &core.ReadIndexRequest{Lease: true}, 9) }, []situation{leaseReadOfAnother}},
		"by a lease that has run out":     {func(w watched) { w.begins = true; asks(w, byLease, 1) }, []situation{leaseRanOut}},
		"by the lease, inside a transfer": {func(w watched) { w.begins, w.after.TransferringTo = true, 2; asks(w, byLease, 0) }, []situation{leaseReadInTransfer}},
		"before a transfer tells anybody": {func(w watched) { w.after.TransferringTo = 2; asks(w, byLease, 9) }, nil},
		"by the lease, after a transfer":  {func(w watched) { w.begins, w.after.NeedsNewTerm = true, true; asks(w, byLease, 0) }, []situation{leaseReadAfterAbort}},
		"before the first commit": {func(w watched) {
			w.leader(5, 4, 4, 4, 4)
			w.event = byLease
			w.reads()
		}, []situation{readBeforeCommit}},
		"an answer that brings a commit":          {func(w watched) { answered(w, 3, 5) }, []situation{readBringsCommit}},
		"an answer that brings none":              {func(w watched) { answered(w, 3, 0) }, nil},
		"an answer of another term":               {func(w watched) { answered(w, 4, 0) }, []situation{readOfAnotherTerm}},
		"a client, by the lease, at once":         {func(w watched) { client(w, actors.ReadLease, true, nil) }, []situation{leaseReadAtOnce}},
		"a client, by the lease, later":           {func(w watched) { client(w, actors.ReadLease, false, nil) }, nil},
		"a client that may be told what is stale": {func(w watched) { client(w, actors.ReadStale, true, nil) }, []situation{staleReadAtOnce}},
		"a leader that is":                        {func(w watched) { w.status.Role = core.RoleLeader; client(w, actors.ReadStale, true, nil) }, nil},
		"a machine that lags":                     {func(w watched) { client(w, actors.ReadLease, true, &core.TooStaleError{}) }, []situation{readTooStale}},
		"an index that is not there":              {func(w watched) { client(w, actors.ReadAtLeast, false, nil) }, []situation{readWaitsForIndex}},
		"an index that is":                        {func(w watched) { w.status.Applied = 2; client(w, actors.ReadAtLeast, false, nil) }, nil},
		"a deposed leader": {func(w watched) {
			w.status.Role, w.status.Term, w.group.check.committedIn = core.RoleLeader, 3, 4
			client(w, actors.ReadLease, false, nil)
		}, []situation{deposedAskedForLease}},
		"a learner": {func(w watched) {
			w.status.Configuration.Configuration = membership.Configuration{Members: []membership.Member{{Identity: w.three[0]}}, Voters: w.three[1:]}
			client(w, actors.ReadLinearizable, true, nil)
		}, []situation{readOfLearner}},
		"who is no member": {func(w watched) {
			w.status.Configuration.Configuration = membership.Configuration{Voters: w.three[1:]}
			client(w, actors.ReadLinearizable, true, nil)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched(t)
			w.status = actors.Status{}
			test.play(w)
			slices.Sort(test.want)
			if got := w.sim.counted(); !slices.Equal(got, test.want) {
				t.Errorf("counted %v, want %v", got, test.want)
			}
		})
	}
}

// TestWitnessOfChanges shows a witness how the members change.
func TestWitnessOfChanges(t *testing.T) {
	target := func(w watched) *membership.Target { return &membership.Target{ID: 7, Voters: w.three} }
	leads := func(w watched) {
		w.before.Role, w.after.Role = core.RoleLeader, core.RoleLeader
		w.before.Configuration.LogID, w.after.Configuration.LogID = core.LogID{Term: 3, Index: 5}, core.LogID{Term: 4, Index: 9}
	}
	for name, test := range map[string]struct {
		play func(w watched)
		want []situation
	}{
		"a change that another leader goes on with": {func(w watched) {
			leads(w)
			w.before.Configuration.Configuration.Target, w.after.Configuration.Configuration.Target = target(w), target(w)
			w.turned(&w.before.Configuration, &w.after.Configuration)
		}, []situation{changeContinued}},
		"a change that another leader gives up": {func(w watched) {
			leads(w)
			w.before.Configuration.Configuration.Target, w.after.Configuration.Configuration.Last.ID = target(w), 7
			w.turned(&w.before.Configuration, &w.after.Configuration)
		}, []situation{changeContinued}},
		"a change that its leader goes on with": {func(w watched) {
			leads(w)
			w.after.Configuration.Term = 3
			w.before.Configuration.Configuration.Target, w.after.Configuration.Configuration.Target = target(w), target(w)
			w.turned(&w.before.Configuration, &w.after.Configuration)
		}, nil},
		"a step that is truncated": {func(w watched) {
			leads(w)
			w.event, w.before.Role, w.after.Role = &core.AppendEntries{}, core.RoleFollower, core.RoleFollower
			w.before.Configuration.Configuration.Target = target(w)
			w.turned(&w.after.Configuration, &w.before.Configuration)
		}, []situation{changeRolledBack}},
		"a founding that is truncated": {func(w watched) {
			leads(w)
			w.event, w.before.Role, w.after.Role = &core.AppendEntries{}, core.RoleFollower, core.RoleFollower
			w.before.Configuration.Configuration.Target = &membership.Target{Founding: true}
			w.turned(&w.after.Configuration, &w.before.Configuration)
		}, nil},
		"an order inside a transfer": {func(w watched) {
			w.before.Role, w.before.TransferringTo, w.event = core.RoleLeader, 2, &core.ChangeRequest{}
			w.ordered()
		}, []situation{changeInTransfer}},
		"an order without a transfer": {func(w watched) { w.before.Role, w.event = core.RoleLeader, &core.ChangeMembers{}; w.ordered() }, nil},
		"a snapshot to a newcomer": {func(w watched) {
			w.after.Peers = []core.PeerStatus{{Identity: w.three[1], CatchingUp: true}}
			w.sendsSnapshot(&core.SendSnapshot{Peer: membership.Member{Identity: w.three[1]}})
		}, []situation{newcomerBySnapshot}},
		"a snapshot to a member": {func(w watched) {
			w.after.Peers = []core.PeerStatus{{Identity: w.three[1]}}
			w.sendsSnapshot(&core.SendSnapshot{Peer: membership.Member{Identity: w.three[1]}})
		}, nil},
		"told that it was removed": {func(w watched) { w.event = &core.Removed{}; w.notices(&core.Notice{Kind: core.NoticeRemoved}) }, []situation{removedTold}},
		"removed by its own log":   {func(w watched) { w.event = &core.Heartbeat{}; w.notices(&core.Notice{Kind: core.NoticeRemoved}) }, nil},
		"a leader that leaves itself": {func(w watched) {
			w.joint()
			w.event = &core.Flushed{}
			w.transferBegins()
		}, []situation{leavingHandsOver}},
	} {
		w := newWatched(t)
		test.play(w)
		if got := w.sim.counted(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
