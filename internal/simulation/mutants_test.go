package simulation

import (
	"flag"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

// mutant is one rule broken on purpose: in a file, a text that stands there
// exactly once is replaced by another.
type mutant struct {
	name string
	rule string // that it breaks
	file string // from the root of the module
	old  string
	new  string
	// by catches it: a package, from the root of the module, and a test of it.
	by string
}

// What catches a mutant in this package fails by one of its checkers, in what it
// runs by default. Another package's test is named where no history of a whole
// cluster shows the rule, or none that is likely.
const (
	bySeeds    = "./internal/simulation TestSeeds"
	byFormings = "./internal/simulation TestFormings"
	byPromises = "./internal/simulation TestLongPromiseComesDown"
	byDrift    = "./internal/simulation TestDriftBeyondTheBound"
	bySick     = "./internal/simulation TestSickNodeIsAhead"
	byCopies   = "./internal/simulation TestRestoredCopies"
	byRecovery = "./internal/simulation TestRecoveries"
)

var (
	allMutants  = flag.Bool("mutants", false, "run all mutants, not the usual ones alone")
	onlyMutants = flag.String("only", "", "a regular expression: run the mutants whose names it matches")
)

// usualMutants is how many of the mutants, from the first, run always. Each costs
// a build and a hunt.
const usualMutants = 3

var mutants = []mutant{
	{
		"commit of an earlier term by counting", "Raft 5.4.2", "core/commit.go",
		"if term, ok := e.log.term(c); !ok || term != e.hard.Term {",
		"if _, ok := e.log.term(c); !ok {",
		bySeeds,
	},
	{
		"two votes in a term", "Raft 5.2", "core/vote.go",
		"free := e.hard.Vote.IsZero() || e.hard.Vote == m.From",
		"free := true",
		bySeeds,
	},
	{
		"append acknowledged before it is durable", "rule 3", "core/append_entries.go",
		"w.Then = append(w.Then, r)\n\te.submit(w)",
		"e.out.send(r)\n\te.submit(w)",
		bySeeds,
	},
	{
		"no truncation on conflict", "Raft 5.3", "core/append_entries.go",
		"if !e.log.holds(entries[i].LogID) {",
		"if entries[i].Index > e.log.last.Index {",
		bySeeds,
	},
	{
		"leadership resumed after a restart", "rule 7", "core/engine.go",
		"\te.role = e.idleRole()\n\tif e.votesAlone() {",
		"\te.role = e.idleRole()\n\tif e.hard.Vote == e.cfg.Self {\n\t\te.becomeLeader()\n\t} else if e.votesAlone() {",
		bySeeds,
	},
	{
		"commit by a heartbeat that proves nothing", "rule 4", "core/append_entries.go",
		"min(leaderCommit, e.proved)",
		"min(leaderCommit, e.log.last.Index)",
		bySeeds,
	},
	{
		"stale answers of an earlier campaign counted", "rule 5", "core/election.go",
		"clear(c.votes)",
		"_ = c.votes",
		bySeeds,
	},
	{
		"read without a round of confirmation", "rule 26", "core/read_index.go",
		"r.index, r.round = e.commit, e.leaderState.round+1\n\te.reads.confirming = append(e.reads.confirming, r)",
		"r.index = e.commit\n\te.answerRead(r)",
		bySeeds,
	},
	{
		"own vote asked for before it is durable", "rule 3", "core/election.go",
		"w.Then = e.voteRequests(false, transfer)",
		"for _, m := range e.voteRequests(false, transfer) {\n\t\te.out.send(m)\n\t}",
		bySeeds,
	},
	{
		"leader counts itself before its disk", "rule 2", "core/commit.go",
		"c := e.quorumIndex(e.writes.flushed)",
		"c := e.quorumIndex(e.log.last.Index)",
		bySeeds,
	},
	{
		"flushed watermark not clipped by truncation", "rule 1", "core/writes.go",
		"w.pending[i].last = min(w.pending[i].last, last)",
		"_ = i",
		bySeeds,
	},
	{
		"message for another incarnation accepted", "rule 18", "core/identity.go",
		"if h.To != e.cfg.Self {\n\t\tif h.To.Incarnation",
		"if h.To.ID != e.cfg.Self.ID {\n\t\tif h.To.Incarnation",
		"./core TestIdentity",
	},
	{
		"failed write released", "rule 6", "actors/disk/log_actor.go",
		"\t\tl.giveUp(err)\n\t\treturn\n",
		"",
		bySeeds,
	},
	{
		"promise given before it stands on the disk", "rule 13", "actors/disk/promises.go",
		"if err := p.store.RecordPromise(ctx, d); err != nil {",
		"if err := ctx.Err(); err != nil {",
		bySeeds,
	},
	{
		"promise forgotten", "rule 12", "core/heartbeat.go",
		"e.promise.until, e.promise.to = e.now.Add(ms*time.Millisecond), m.From",
		"_ = time.Millisecond",
		bySeeds,
	},
	{
		"two grants at a time", "rule 31", "core/grants.go",
		"if g := e.liveGrant(); !g.IsZero() && g.To != m.From {",
		"if g := e.liveGrant(); e.now < 0 && g.To != m.From {",
		byFormings,
	},
	{
		"a grant that a restart forgets", "rule 31", "core/grants.go",
		"} else if !g.IsZero() {\n\t\te.grants.until",
		"} else if g.Attempt == 0 && !g.IsZero() {\n\t\te.grants.until",
		byFormings,
	},
	{
		"a grant of another attempt counted", "rule 31", "core/forming.go",
		"case m.Granted && m.Attempt == f.attempt && f.attempt != 0:",
		"case m.Granted && f.attempt != 0:",
		byFormings,
	},
	{
		"a first entry after a grant has run out", "rule 31", "core/forming.go",
		"return f.attempt != 0 && e.now.Sub(f.asked) >= e.lessDrift(f.length)",
		"return f.attempt != 0 && e.now < 0",
		byFormings,
	},
	{
		"an own beginning while another holds one's grant", "rule 31", "core/forming.go",
		"return e.liveGrant().IsZero() && e.now >= e.grants.quietUntil",
		"return e.now >= e.grants.quietUntil",
		byFormings,
	},
	{
		"cluster id 0 accepted", "rule 27", "core/identity.go",
		"return !e.hard.Cluster.IsZero() && h.Cluster == e.hard.Cluster",
		"return h.Cluster == e.hard.Cluster",
		bySeeds,
	},
	{
		"an unproved ack counted", "rule 29", "core/stream/stream.go",
		"if !m.Cluster.IsZero() && m.Cluster == s.cfg.Cluster && !m.Introduces {",
		"if m.From == s.cfg.Start.Peer.Identity {",
		bySeeds,
	},
	{
		"an unproved counter kept", "rule 29", "network/internal/seen/seen.go",
		"\treturn l.check(claim)\n}",
		"\terr := l.check(claim)\n\tif err == nil {\n\t\tl.newest[claim.Identity] = life{startCounter: claim.StartCounter, nonce: claim.Nonce, metAt: 1}\n\t}\n\treturn err\n}",
		"./network/internal/seen TestCheckRemembersNothing",
	},
	{
		"a promise lowered before the quiet period is over", "rule 13", "actors/disk/keeper.go",
		"left := max(k.quietPeriod-k.needs.Env.Now().Sub(k.begun), 0)",
		"left := time.Duration(0)",
		byPromises,
	},
	{
		"quiet period for voters only", "rule 13", "core/vote.go",
		"if e.votesAlone() {\n\t\treturn 0",
		"if c := &e.configs.latest().Configuration; e.votesAlone() || !c.IsVoter(e.cfg.Self) {\n\t\treturn 0",
		"./core TestQuietPeriodBindsEveryNode",
	},
	{
		"a term raised by more than 2^32", "rule 32", "core/plausible.go",
		"term-e.hard.Term <= termJumpMax || e.log.last.Index == 0 {",
		"term-e.hard.Term <= CounterMax || e.log.last.Index == 0 {",
		"./core TestTermJump",
	},
	{
		"a refusal without the id heeded", "rule 27", "core/identity.go",
		"if !e.proves(h) {\n\t\te.hearStranger(m, h)",
		"if _, refusal := m.(*Refusal); !refusal && !e.proves(h) {\n\t\te.hearStranger(m, h)",
		"./core TestForgedRefusal",
	},
	{
		"an unproved address that replaces a known one", "rule 29", "network/tcp/accept.go",
		"n.hint(c.peer.ID, c.said, false)",
		"n.addresses.learn(c.peer, \"\", c.said)",
		"./network/tcp TestLearnedAddressesArePassedOn",
	},
	{
		"doubling that never resets", "rule 11", "core/election_deadline.go",
		"e.election.fruitless, e.election.ended, e.election.waits = 0, \"\", \"\"",
		"e.election.ended, e.election.waits = \"\", \"\"",
		"./core TestFruitlessCampaignsDouble",
	},
	{
		"a reflected proof accepted", "rule 29", "network/wire/proof.go",
		"b = append(b, byte(role), byte(s.Class))",
		"b = append(b, byte(role+1)&2, byte(s.Class))",
		"./network/tcp TestReflectedProofProvesNothing",
	},
	{
		"a lease kept over a transfer", "rule 14", "core/leadership_transfer.go",
		"e.endLease()\n\te.leaderState.handedTo = t.to",
		"e.leaderState.handedTo = t.to",
		"./core TestScripts",
	},
	{
		"told before it has the log", "rule 14", "core/leadership_transfer.go",
		"if p.match < e.log.last.Index {",
		"if e.now < 0 {",
		bySeeds,
	},
	{
		"the flag of a transfer in every campaign", "rule 14", "core/election.go",
		"w.Then = e.voteRequests(false, transfer)",
		"w.Then = e.voteRequests(false, true)",
		bySeeds,
	},
	{
		"a transfer that succeeds before anything is committed", "rule 14", "core/leadership_transfer.go",
		"if term, ok := e.log.term(e.commit); !ok || term != e.hard.Term {",
		"if e.commit == 0 {",
		"./core TestLeaderLeavesInATransfer",
	},
	{
		"vote inside a promise without the transfer flag's term check", "rule 14", "core/vote.go",
		"!m.Pre && m.ElectionTerm == e.hard.Term+1 && e.writes.durable(0, e.hard.Term) &&",
		"!m.Pre &&",
		"./core TestTransferFlagReleasesPromises",
	},
	{
		"a leader that heeds the flag of whom it did not tell", "rule 14", "core/vote.go",
		"(e.role != RoleLeader || e.leaderState.handedTo == m.From)",
		"m.From != e.cfg.Self",
		"./core TestTransferFlagReleasesPromises",
	},
	{
		"TimeoutNow of another term heeded", "rule 14", "core/timeout_now.go",
		"inTerm := m.Header.Term == e.hard.Term && e.writes.durable(0, e.hard.Term)",
		"inTerm := m.Header.Term <= e.hard.Term && e.writes.durable(0, e.hard.Term)",
		"./core TestTimeoutNow",
	},
	{
		"a target that campaigns though it is unfit", "rule 14", "core/timeout_now.go",
		"!e.mayEverCampaign() || e.unfitTarget() != Fit {",
		"!e.mayEverCampaign() {",
		"./core TestTimeoutNow",
	},
	{
		"proposals admitted during a transfer", "rule 14", "core/leader_state.go",
		"return e.role == RoleLeader && e.admits() && !e.configs",
		"return e.role == RoleLeader && !e.configs",
		"./core TestTransferTellsWhoHasAll",
	},
	{
		"no new term after a transfer that failed", "rule 14", "core/leadership_transfer.go",
		"e.handOver.renewAt = e.now.Add(e.cfg.ElectionTimeout)\n\t}\n\te.setTransferTimer()",
		"_ = e.now\n\t}\n\te.setTransferTimer()",
		"./core TestRenewTerm",
	},
	{
		"a hand-over that is tried again at once", "rule 14", "core/hand_over.go",
		"return b != nil && now < b.until",
		"return b != nil && now < 0",
		"./core TestHandOverRests",
	},
	{
		"leadership for who has just left by rule 16", "rule 14", "core/fitness.go",
		"if u == Fit && e.now < e.handOver.standsBack.until {",
		"if u == Fit && e.now < 0 {",
		"./core TestPreferredNodeWithAHangingDisk",
	},
	{
		"a hung machine that keeps its leader", "rule 16", "core/leave_office.go",
		"case l.own.machineHung(e.now, e.cfg.HungLimit):",
		"case l.own.machineHung(e.now, 1<<62):",
		"./core TestLeaderThatCannotWork",
	},
	{
		"a leader that leaves without a hand-over", "rule 16", "core/leave_office.go",
		"if target := e.successor(); e.transfer.phase == transferNone && target != nil {",
		"if target := e.successor(); e.now < 0 && target != nil {",
		"./core TestLeaderThatCannotWork",
	},
	{
		"a leader that leaves though nobody else can lead", "rule 16", "core/leave_office.go",
		"\t\tl.leaving.since = 0\n\t\treturn false",
		"\t\tl.leaving.since = max(l.leaving.since, 1)",
		"./core TestLeaderThatCannotWork",
	},
	{
		"not to campaign is a ban", "rule 16", "core/health.go",
		"return !e.election.paused && !restores",
		"return e.now < 0 && !e.election.paused && !restores",
		bySick,
	},
	{
		"a campaign in spite of a hung disk", "rule 16", "core/health.go",
		"!restores && !e.diskHangs() &&",
		"!restores &&",
		"./core TestNotToCampaignIsADelay",
	},
	{
		"a campaign within a short restore", "rule 24", "core/health.go",
		"return !e.election.paused && !restores && ",
		"_ = restores\n\treturn !e.election.paused && ",
		"./core TestNotToCampaignIsADelay",
	},
	{
		"a caretaker that admits", "rule 16", "core/leadership_transfer.go",
		"(t.phase == transferNone || t.phase == transferCatchingUp && !t.closed) && !e.leaderState.caretaker",
		"(t.phase == transferNone || t.phase == transferCatchingUp && !t.closed)",
		"./core TestCaretaker",
	},
	{
		"a caretaker that leaves without a successor", "rule 16", "core/leave_office.go",
		"if stays := l.caretaker && departure != DepartureDisk; !stays && ",
		"if ",
		"./core TestCaretaker",
	},
	{
		"a machine that stands still and is fit", "rule 16", "core/health.go",
		"case e.snapshots.lacks, e.catchingUp(), e.diskHangs(), e.machineStands():",
		"case e.snapshots.lacks, e.catchingUp(), e.diskHangs():",
		"./core TestMachineStands",
	},
	{
		"leadership for who waits behind a hung write of others", "rule 16", "core/health.go",
		"return e.health.storeBusy != 0 && ",
		"return e.now < 0 && ",
		"./actors TestHungDiskIsNoTarget",
	},
	{
		"an election by hand within the own promise", "rule 12", "core/elect.go",
		"case e.whyBound() != \"\":",
		"case e.now < 0:",
		"./core TestElectWaitsForPromises",
	},
	{
		"a deadline within the own promise", "rule 12", "core/election_deadline.go",
		"begin := max(e.now.Add(wait), e.promise.until, e.quietPeriodEnd())",
		"begin := e.now.Add(wait)",
		"./core TestQuietPeriodAndSoleVoter",
	},
	{
		"a paused node that campaigns", "rule 11", "core/fitness.go",
		"if e.election.paused {\n\t\treturn UnfitPaused",
		"if e.now < 0 {\n\t\treturn UnfitPaused",
		"./core TestPauseElections",
	},
	{
		"a last node that campaigns with the others", "rule 11", "core/priority.go",
		"first += lastWaitTimeouts * timeout",
		"_ = timeout",
		"./core TestPriorityDeadlines",
	},
	{
		"lease from the wrong send time", "rule 12", "core/lease.go",
		"p.promised = max(p.promised, sent.Add(",
		"p.promised = max(p.promised, e.now.Add(",
		byDrift,
	},
	{
		"lease without the drift", "rule 12", "core/lease.go",
		"return d - time.Duration(float64(d)*e.cfg.ClockDriftMax)",
		"return d",
		byDrift,
	},
	{
		"lease before the first commit of the term", "rule 26", "core/lease.go",
		"case e.commit < l.first:",
		"case e.now < 0:",
		bySeeds,
	},
	{
		"lease from the grace value of a new peer", "rule 12", "core/lease.go",
		"return uint64(max(p.promised, 0)) }))",
		"return uint64(max(p.promised, p.grace.Add(e.lessDrift(e.cfg.ElectionTimeout)), 0)) }))",
		"./core TestLeaseCountsRealAnswers",
	},
	{
		"lease of a peer added a moment ago", "rule 12", "core/leader_state.go",
		"\te.leaderState.peers = peers\n\te.renewLease()\n",
		"\te.leaderState.peers = peers\n",
		"./core TestLeaseFollowsTheConfiguration",
	},
	{
		"lease that counts learners", "rule 12", "core/lease.go",
		"return Instant(e.quorumOf(uint64(max(own, 0)), func(p *peer) uint64 { return uint64(max(p.promised, 0)) }))",
		"c := e.configs.latest().Configuration.Clone()\n\tfor c.Voters = c.Voters[:0]; len(c.Voters) < len(c.Members); {\n\t\tc.Voters = append(c.Voters, c.Members[len(c.Voters)].Identity)\n\t}\n\treturn Instant(c.QuorumValue(func(id Identity) uint64 {\n\t\tif p := l.peer(id); p != nil {\n\t\t\treturn uint64(max(p.promised, 0))\n\t\t}\n\t\treturn uint64(max(own, 0))\n\t}))",
		"./core TestLeaseFollowsTheConfiguration",
	},
	{
		"check-quorum that counts learners", "rule 11", "core/check_quorum.go",
		"heard := Instant(e.configs.latest().Configuration.QuorumValue(func(id Identity) uint64 {",
		"c := e.configs.latest().Configuration.Clone()\n\tfor c.Voters = c.Voters[:0]; len(c.Voters) < len(c.Members); {\n\t\tc.Voters = append(c.Voters, c.Members[len(c.Voters)].Identity)\n\t}\n\theard := Instant(c.QuorumValue(func(id Identity) uint64 {",
		"./core TestCheckQuorumCountsNoLearner",
	},
	{
		"round joined after it began", "rule 26", "core/read_index.go",
		"r.index, r.round = e.commit, e.leaderState.round+1",
		"r.index, r.round = e.commit, max(e.leaderState.round, 1)",
		bySeeds,
	},
	{
		"stale bound from the local clock only", "rule 26", "actors/apply_actor.go",
		"a.readable.isCurrent(b.since)",
		"a.readable.isCurrent(instant(a.Env))",
		bySeeds,
	},
	{
		"commit loaded before the lease check", "rule 12", "actors/readable.go",
		"\tat = instant(r.env)\n",
		"\tcommit := core.Index(r.commit.Load())\n\tdefer func() { index = commit }()\n\tat = instant(r.env)\n",
		"./actors TestCommitIsReadBehindTheLease",
	},
	{
		"a lease looked at before the clock", "rule 12", "actors/readable.go",
		"\tat = instant(r.env)\n\tlease := core.Instant(r.lease.Load())\n",
		"\tlease := core.Instant(r.lease.Load())\n\tat = instant(r.env)\n",
		"./actors TestCommitIsReadBehindTheLease",
	},
	{
		"a lease shown until its end was told", "rule 12", "actors/core_actor.go",
		"\tc.readable.show(c.engine.Readable())\n\tc.showLeading()\n\tc.execute(ev)\n}",
		"\tc.showLeading()\n\tc.execute(ev)\n\tc.readable.show(c.engine.Readable())\n}",
		"./actors TestShownBeforeItIsTold",
	},
	{
		"a promise that outlives a hand-over", "rule 14", "core/vote.go",
		"func (e *Engine) forgetPromise() { e.promise.until = 0 }",
		"func (e *Engine) forgetPromise() {}",
		"./core TestHandedOnAtOnce",
	},
	{
		"a campaign without a pre-vote", "rule 11", "core/election.go",
		"\tif e.tally() == membership.Won {\n\t\te.campaignForTerm(false)\n\t\treturn\n\t}\n\tfor",
		"\tif e.now > 0 {\n\t\te.campaignForTerm(false)\n\t\treturn\n\t}\n\tfor",
		"./core TestReturnFromPartition",
	},
	{
		"a pre-vote that changes the term", "rule 11", "core/vote.go",
		"if !m.Pre && m.ElectionTerm > e.hard.Term {",
		"if m.ElectionTerm > e.hard.Term {",
		"./core TestReturnFromPartition",
	},
	{
		"no check of the quorum", "rule 11", "core/check_quorum.go",
		"return e.now.Sub(heard) > e.cfg.ElectionTimeout",
		"return e.now.Sub(heard) > 1000*e.cfg.ElectionTimeout",
		"./core TestPartialPartitions",
	},
	{
		"a repeated vote before it is durable", "rule 3", "core/vote.go",
		"if e.hard.Vote != candidate {",
		"if e.hard.Vote == candidate {\n\t\tr.Header = e.head(candidate)\n\t\te.out.send(r)\n\t\treturn\n\t} else {",
		"./core TestRepeatedVoteIsDurable",
	},
	{
		"a match of an ended stream counted", "rule 5", "core/commit.go",
		"p.stream != ev.Stream {\n\t\treturn\n\t}\n\te.match(",
		"ev.Stream == 0 {\n\t\treturn\n\t}\n\te.match(",
		"./core TestStaleMatchesAreDropped",
	},
	{
		"a quorum counted from when its answers came", "rule 11", "core/lease.go",
		"p.roundSent = max(p.roundSent, sent)",
		"p.roundSent = max(p.roundSent, sent, e.now)",
		"./core TestQuorumCountsFromTheSending",
	},
	{
		"a promise to whoever leads now", "rule 12", "core/vote.go",
		"if candidate != e.promise.to {",
		"if candidate != e.leader {",
		"./core TestPromiseIsToWhomItWasGiven",
	},
	{
		"a promise renewed by a heartbeat of an old term", "rule 12", "core/heartbeat.go",
		"r := &HeartbeatResponse{Stream: m.Stream}\n",
		"r := &HeartbeatResponse{Stream: m.Stream}\n\te.promise.until, e.promise.to = e.now.Add(e.cfg.ElectionTimeout), m.From\n",
		"./core TestStaleHeartbeatRenewsNoPromise",
	},
	{
		"a quiet period judged by the latest configuration", "rule 13", "core/vote.go",
		"if e.votesAlone() {\n\t\treturn 0",
		"if e.configs.latest().Configuration.IsSoleVoter(e.cfg.Self) {\n\t\treturn 0",
		"./core TestQuietPeriodAndSoleVoter",
	},
	{
		"a change before a commit in the own term", "rule 21", "core/change_order.go",
		"latest().Index <= e.commit && e.commit >= e.leaderState.first && e",
		"latest().Index <= e.commit && e",
		"./core TestChangeWaitsForTheOwnTerm",
	},
	{
		"an exchange before a commit in the own term", "rule 21", "core/bootstrap.go",
		"at.Index > e.commit || e.commit < e.leaderState.first {\n\t\treturn true",
		"at.Index > e.commit {\n\t\treturn true",
		"./core TestExchangeWaitsForTheOwnTerm",
	},
	{
		"next change before the commit of the last", "rule 21", "core/change_order.go",
		"return e.configs.latest().Index <= e.commit && e.commit",
		"return e.commit",
		bySeeds,
	},
	{
		"joint left before it is committed", "rule 21", "core/change_steps.go",
		"\tif e.settled() {\n\t\tat := e.configs.latest()",
		"\tif e.settled() || e.configs.latest().Configuration.Joint() {\n\t\tat := e.configs.latest()",
		bySeeds,
	},
	{
		"a simple majority in a joint configuration", "rule 21", "core/commit.go",
		"return Index(e.configs.latest().Configuration.QuorumValue(func(id Identity) uint64 {",
		"c, all := e.configs.latest().Configuration, membership.Configuration{}\n\tfor _, m := range c.Members {\n\t\tif c.IsVoter(m.Identity) {\n\t\t\tall.Voters = append(all.Voters, m.Identity)\n\t\t}\n\t}\n\treturn Index(all.QuorumValue(func(id Identity) uint64 {",
		bySeeds,
	},
	{
		"a configuration in force when it is committed", "rule 20", "core/commit.go",
		"return Index(e.configs.latest().Configuration.QuorumValue(func(id Identity) uint64 {",
		"return Index(e.configs.inForce(e.commit).Configuration.QuorumValue(func(id Identity) uint64 {",
		bySeeds,
	},
	{
		"a configuration that is not taken back", "rule 23", "core/configurations.go",
		"for n > 1 && c.at[n-1].Index >= i {",
		"for n > 1 && c.at[n-1].Index >= i && i == 0 {",
		bySeeds,
	},
	{
		"a campaign refused to an old voter", "rule 20", "core/election.go",
		"!e.isRemoved() && e.configs.voterSince(e.cfg.Self, e.commit)",
		"!e.isRemoved() && e.configs.latest().Configuration.IsVoter(e.cfg.Self)",
		bySeeds,
	},
	{
		"an acknowledgement of another incarnation counted", "rule 18", "core/commit.go",
		"if p := e.leaderState.peer(id); p != nil {\n\t\t\treturn uint64(p.match)\n\t\t}\n\t\treturn 0",
		"match := Index(0)\n\t\tfor _, p := range e.leaderState.peers {\n\t\t\tif p.ID == id.ID {\n\t\t\t\tmatch = max(match, p.match)\n\t\t\t}\n\t\t}\n\t\treturn uint64(match)",
		bySeeds,
	},
	{
		"a learner that is counted", "rule 21", "core/commit.go",
		"return Index(e.configs.latest().Configuration.QuorumValue(func(id Identity) uint64 {",
		"c := e.configs.latest().Configuration.Clone()\n\tfor c.Voters = c.Voters[:0]; len(c.Voters) < len(c.Members); {\n\t\tc.Voters = append(c.Voters, c.Members[len(c.Voters)].Identity)\n\t}\n\treturn Index(c.QuorumValue(func(id Identity) uint64 {",
		bySeeds,
	},
	{
		"an outgoing half counted after the joint phase", "rule 21", "core/commit.go",
		"\tc := e.quorumIndex(e.writes.flushed)\n",
		"\tc := e.quorumIndex(e.writes.flushed)\n\tif was := &e.configs.inForce(e.commit).Configuration; was.Joint() {\n\t\tc = min(c, Index(membership.MajorityValue(was.Outgoing, func(id Identity) uint64 {\n\t\t\tif p := e.leaderState.peer(id); p != nil {\n\t\t\t\treturn uint64(p.match)\n\t\t\t}\n\t\t\treturn uint64(e.writes.flushed)\n\t\t})))\n\t}\n",
		"./core TestScripts",
	},
	{
		"a newcomer that votes before it has its admission", "rule 21", "core/change_steps.go",
		"case p.comes && p.match < at.Index:",
		"case p.comes && e.now < 0:",
		bySeeds,
	},
	{
		"a removal heeded that is not the latest", "rule 22", "core/removed.go",
		"e.empty() || !e.heedsRemoval(m.At) || !e.hard.Removed.Less(m.At) {",
		"e.empty() || !e.hard.Removed.Less(m.At) {",
		"./core TestRemovedIsHeeded",
	},
	{
		"a removal that a restart forgets", "rule 22", "core/removed.go",
		"e.hard.Removed, e.hardDirty = at, true",
		"e.hard.Removed = at",
		"./core TestRemovalIsDurable",
	},
	{
		"a snapshot sent under the id of the cluster before", "rule 21", "actors/snapshots/sender.go",
		"s.meta.Cluster = s.group.Cluster()",
		"_ = s.group.Cluster",
		byRecovery,
	},
	{
		"the snapshot of a cluster before that is not taken", "rule 21", "core/recovery.go",
		"meta.Cluster = s.HardState.Cluster",
		"_ = s.HardState.Cluster",
		byRecovery,
	},
	{
		"an old copy that is told and lives on", "rule 17", "actors/disk/keeper.go",
		"case w.refusal != \"\":\n\t\tk.refuse(w.refusal)",
		"case w.refusal != \"\":\n\t\tw.refusal = \"\"",
		byCopies,
	},
	{
		"a removed leader that leaves before the commit", "rule 22", "core/commit.go",
		"if latest.Index <= c && !latest",
		"if latest.Index > 0 && !latest",
		"./core TestRemovedLeaderStaysForTheCommit",
	},
	{
		"a predecessor forgotten at a snapshot", "rule 23", "core/snapshot_policy.go",
		"e.configs.forget(min(s.base.Index, e.commit))",
		"e.configs.forget(e.log.last.Index)",
		"./core TestSnapshotForgetsNoPredecessor",
	},
	{
		"a contradiction at the purged entry", "Raft 5.4", "core/append_entries.go",
		"id.Index < e.log.purged.Index || e.log.holds(id)",
		"id.Index <= e.log.purged.Index || e.log.holds(id)",
		"./core TestContradictionAtThePurgedEntry",
	},
	{
		"times that begin anew behind a snapshot", "Entry.Time", "core/engine.go",
		"e.times.start(max(state.LastTime, state.Snapshot.Time, state.Record.Time), &cfg, now)",
		"e.times.start(state.LastTime, &cfg, now)",
		bySeeds,
	},
	{
		"times that begin anew behind a received snapshot", "Entry.Time", "core/snapshot.go",
		"e.times.took(m.Time, e.now)",
		"_ = m.Time",
		"./core TestTimesGoOnWhereTheLastLeaderWas",
	},
	{
		"a wall clock that is always believed", "Entry.Time", "core/entry_time.go",
		"return min(wall, t.wall.Time+int64(now.Sub(t.wall.At)+jumpMax))",
		"return wall",
		"./core TestWallClockThatJumps",
	},
	{
		"a time that stands still while it is ahead", "Entry.Time", "core/entry_time.go",
		"return max(wall, t.last+max(int64(now.Sub(t.at)/2), 0))",
		"return max(wall, t.last)",
		"./core TestWallClockThatJumps",
	},
	{
		"a snapshot without the time of its entry", "Entry.Time", "actors/views.go",
		"Time: a.appliedTime, Cluster",
		"Cluster",
		bySeeds,
	},
	{
		"the time of a restored snapshot forgotten", "Entry.Time", "actors/apply_actor.go",
		"a.applied, a.appliedTime, a.undated, a.config = meta.LogID, meta.Time, false, meta.Configuration",
		"a.applied, a.config = meta.LogID, meta.Configuration",
		"./actors TestSnapshotSaysWhatItIsOf",
	},
	{
		"the time of what was applied not asked for at a start", "Entry.Time", "actors/start.go",
		"g.wire(engine, &state, appliedTime)",
		"_ = appliedTime\n\tg.wire(engine, &state, 0)",
		"./actors TestStartKnowsWhatWasApplied",
	},
	{
		"the configuration of a restored snapshot forgotten", "rule 24", "actors/apply_actor.go",
		"a.applied, a.appliedTime, a.undated, a.config = meta.LogID, meta.Time, false, meta.Configuration",
		"a.applied, a.appliedTime, a.undated = meta.LogID, meta.Time, false",
		"./actors TestSnapshotSaysWhatItIsOf",
	},
	{
		"a part resumed without comparing", "rule 25", "storage/files/partial.go",
		"if sum != binary.LittleEndian.Uint32(mark[8:]) {",
		"if sum == 0 && length == 0 {",
		"./storage/files TestResumeCompares",
	},
	{
		"a file taken for what it was", "rule 25", "storage/files/arrival.go",
		"err == nil && sum == f.SHA256 && uint64(size) == f.SizeBytes {",
		"err == nil && sum != [32]byte{} && uint64(size) == f.SizeBytes {",
		"./storage/files TestOnlyWhatLacksArrives",
	},
	{
		"the machine's file taken for what it was", "rule 25", "storage/files/content.go",
		"f.SHA256 != ([sha256.Size]byte{}) && f.SHA256 != t.sum {",
		"f.SHA256 != ([sha256.Size]byte{}) && t.sum == ([sha256.Size]byte{}) {",
		"./storage/files TestFileStore",
	},
	{
		"a file linked that is written to", "the contract of storage.FileStore", "storage/files/content.go",
		"if !f.Sealed || os.Link(f.Path, t.aside) != nil {",
		"if os.Link(f.Path, t.aside) != nil {",
		"./storage/files TestFilesAreLinked",
	},
	{
		"a file that arrives as it comes", "the contract of storage.FileStore", "storage/files/part.go",
		"if [sha256.Size]byte(p.sum.Sum(nil)) != want {",
		"if p.bytes == 0 && want == ([sha256.Size]byte{}) {",
		"./storage/files TestArrivalIsRefused",
	},
	{
		"files sent before it is known what lacks", "the contract of storage.FileStore", "actors/snapshots/sender.go",
		"case s.offset == s.meta.SizeBytes || s.waits():",
		"case s.offset == s.meta.SizeBytes:",
		"./actors/snapshots TestOnlyChangedFilesAreSent",
	},
	{
		"a slot completed by its index", "Raft 5.3", "actors/apply_actor.go",
		"if s.first.Term < e.Term {",
		"if s.first.Index == e.Index {\n\t\t\t\ts.first.Term = e.Term\n\t\t\t}\n\t\t\tif s.first.Term < e.Term {",
		bySeeds,
	},
	{
		"timers before what was said", "rule 15", "actors/core_actor.go",
		"\tfor i, item := range items {\n\t\tc.burst = items[i+1:]\n",
		"\tfor _, item := range items {\n\t\tif due, ok := item.(*timerDue); ok {\n\t\t\tc.fire(due.timer)\n\t\t}\n\t}\n\tfor i, item := range items {\n\t\tc.burst = items[i+1:]\n",
		"./actors TestTimersComeAfterWhatWasSaid",
	},
	{
		"a timer before what was taken with it", "rule 15", "actors/core_actor.go",
		"c.due = append(c.due, item.timer)",
		"c.fire(item.timer)",
		"./actors TestTimersComeAfterWhatWasSaid",
	},
	{
		"now before the inbox is taken", "rule 15", "actors/core_actor.go",
		"\titems, notices, urgent := c.inbox.takeAll()\n\tc.burst = items\n\tif urgent {\n\t\tc.proposals.progress()\n\t}\n\t// Rule 15: now is read after the inbox was swapped out, and timers come\n\t// after everything that was said before they fired.\n\tc.now = instant(c.Env)\n",
		"\tc.now = instant(c.Env)\n\titems, notices, urgent := c.inbox.takeAll()\n\tc.burst = items\n\tif urgent {\n\t\tc.proposals.progress()\n\t}\n",
		"./actors TestNowIsReadAfterTheInbox",
	},
	{
		"commit by a read index of another term", "rule 4", "core/read_index.go",
		"if m.Header.Term == e.hard.Term {",
		"if m.Header.Term != 0 {",
		"./core TestReadIndexOfAnotherTerm",
	},
	{
		"the file that a batch has begun is not synced", "rule 8", "storage/badger/wal.go",
		"if err := w.follow(); err != nil {\n\t\treturn err\n\t}\n\treturn w.flush()",
		"return w.flush()",
		"./storage/badger TestSyncTakesTheWrite",
	},
	{
		"what a failed process left is believed", "rule 8", "storage/badger/verify.go",
		"for id := range found.wals {",
		"for id := range numbered(nil) {",
		"./storage/badger TestRefusedWriteIsNotBelieved",
	},
	{
		"a context that outlives TimeoutNow", "rule 14", "actors/core_actor.go",
		"\tc.showLeading()\n\tc.execute(ev)\n}",
		"\tc.execute(ev)\n\tc.showLeading()\n}",
		bySeeds,
	},
	{
		"a job before what was committed is applied", "rule 14", "core/leading.go",
		"e.contradiction != nil || e.applied < l.first",
		"e.contradiction != nil || e.commit < l.first",
		bySeeds,
	},
	{
		"a job beyond the lease", "rule 14", "core/leading.go",
		"Until: l.lease}",
		"Until: l.lease.Add(e.cfg.ElectionTimeout)}",
		bySeeds,
	},
	{
		"a job twice in a term", "rule 14", "actors/leading.go",
		"if now.Term <= l.began ||",
		"if now.Term < l.began ||",
		bySeeds,
	},
	{
		"a job beside itself", "rule 14", "actors/leading.go",
		"at >= now.Until || l.run.Load() != nil {",
		"at >= now.Until {",
		bySeeds,
	},
	{
		"a context that waits for its timer", "rule 14", "actors/leading.go",
		"if at := instant(r.leading.env); at >= core.Instant(r.until.Load()) {",
		"if at := instant(r.leading.env); at < 0 {",
		"./actors TestLeadingEndsWithTheLease",
	},
	{
		"no new term after a lease that ran out", "rule 14", "core/leading.go",
		"\tl.wantsTerm = true\n",
		"\t_ = l\n",
		"./core TestRenewTermForTheApplication",
	},
	{
		"a removal that is never over", "rule 22", "core/removed.go",
		"e.hard.Removed, e.hardDirty = LogID{}, true",
		"e.hardDirty = true",
		"./core TestLostConfigurationOfWhoCameBack",
	},
	{
		"orders of two lives have the same number", "rule 21", "core/engine.go",
		"\te.transfer.number, e.changes.nextWireID = e.transfer.nextWireID, e.transfer.nextWireID\n",
		"\te.transfer.number = e.transfer.nextWireID\n",
		"./core TestAnswerToAnEarlierLife",
	},
	{
		"a cancelled order begun anew", "rule 21", "core/change_nodes.go",
		"\te.remember(p.order.ID, r)\n",
		"",
		"./core TestCancelledWhileItAsks",
	},
	{
		"what came with the answer that made a stream read", "rule 28", "actors/replication_actor.go",
		"\ta.events = append(a.events, events...)\n",
		"\ta.events, a.heard = append(a.events[:0], events...), 0\n",
		"./actors TestStreamHearsAllThatCameWithWhatMadeItRead",
	},
	{
		"a group that has stopped before its job", "rule 28", "actors/group.go",
		"g.leading.whenOver(g.finished)",
		"g.finished()",
		bySeeds,
	},
}

// TestMutantsApply asserts that every mutant changes the code as it stands, those
// that seldom run too.
func TestMutantsApply(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		if _, err := m.overlay(root, t.TempDir()); err != nil {
			t.Errorf("%s (%s): %v", m.name, m.rule, err)
		}
	}
}

// TestMutants proves that the tests have teeth: each mutant is caught by what it
// names. -args -mutants runs the unusual ones too.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test binary for each mutant")
	}
	if raceEnabled {
		t.Skip("builds test binaries without the race detector")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// Two at a time: building one overlaps with running another.
	places := make(chan struct{}, 2)
	var group sync.WaitGroup
	var lock sync.Mutex
	begun := time.Now()
	hunted := mutants[:usualMutants]
	if *allMutants || *onlyMutants != "" {
		hunted = mutants
	}
	only := regexp.MustCompile(*onlyMutants)
	ran := 0
	for _, m := range hunted {
		if !only.MatchString(m.name) {
			continue
		}
		ran++
		dir := t.TempDir()
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			caught, err := m.hunt(t, root, dir)
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				t.Errorf("%s (%s): %v", m.name, m.rule, err)
				return
			}
			t.Logf("%-50s (%s): %s", m.name, m.rule, caught)
		})
	}
	group.Wait()
	t.Logf("%d of %d mutants in %v", ran, len(mutants), time.Since(begun).Round(time.Second))
}
