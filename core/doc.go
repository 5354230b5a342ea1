// Package core is the Raft protocol of one group on one node, as a pure function.
//
// [Engine] takes one [Event] at a time and returns what is to be done as a list of [Command] values.
// Package core/stream does the same for the replication to one follower. Neither has a goroutine, a
// channel, a clock, a logger or I/O. This package imports only the standard library and package
// membership, and core/stream only these and this one.
// Time comes in with each event, and jitter comes from a generator that [Config] seeds. So the same
// events give the same commands, and a simulator can replay a whole cluster.
//
// Files are named as in the papers: election.go, append_entries.go, commit.go, read_index.go,
// snapshot.go. What must always hold for an engine is in invariants.go. Tests and the simulator
// check it after every step.
//
// The rest of this page lists the safety rules, from rule 17 on in doc_members.go. Code, tests and
// guide quote them by number. Below each rule are the files that carry it out, and what keeps it:
// tests, golden scripts (core/testdata), and the checkers and mutants of internal/simulation. A
// checker compares all nodes of a simulated cluster with one history. A mutant breaks the rule on
// purpose, and a test must notice. A test without a package name is in package core. Rules 1 to 10
// are about writes, 11 to 16 about terms and leases, 17 to 19 about identity, 20 to 23 about
// membership, 24 and 25 about snapshots, 26 about reads, and 27 to 32 about strangers, names and the
// forming of a cluster.
//
// An identity is a node id together with the incarnation of its store. A member is an identity, not
// an id.
//
// # Rule 1: Writes are numbered, and durability is a watermark
//
// An [IOID] counts the writes of a group. [Flushed] with n says that all writes up to n are durable.
// A notice reaches only the run of the group that submitted the write. The engine remembers where
// the log ends after each write. A truncation at index i cuts that end to i-1 for every earlier
// write, and a reset cuts it to what is committed. So the same index and term, written a second
// time, do not count as durable because of the first time. A write that was split is durable with
// its last part.
//
//   - Code: core/writes.go, actors/disk/log_actor.go
//   - Tests: TestWriteTracker, TestWriteTrackerAgainstModel, TestResetTakesBackWhatWasDurable,
//     actors/disk.TestLogActorSplits
//   - Scripts: append_aba
//   - Mutants: "flushed watermark not clipped by truncation"
//
// # Rule 2: The leader counts itself only when its own disk is done
//
// A leader sends an entry to the followers when it submits the entry to its own disk. All disks work
// in parallel. The leader's own copy counts toward the commit quorum only when it is durable.
//
//   - Code: core/leader_state.go, core/commit.go
//   - Tests: TestPaperCommitTable
//   - Scripts: async_writes
//   - Mutants: "leader counts itself before its disk"
//   - Checkers: ruleCommitQuorum
//
// # Rule 3: An answer leaves when the write it depends on is durable
//
// This holds for an accepted append, for a granted vote, and for the vote requests of a candidate,
// which depend on its vote for itself. The answer is complete when it is attached to the write;
// nothing is filled in later. It waits for the last write that touched any index up to its match,
// and for the term. If that write is already under way, the answer waits behind it in an empty
// write. Heartbeats and refusals never wait for a disk. The answer to a heartbeat tells the durable
// match. A connection that broke sends the stream back to probing.
//
//   - Code: core/engine.go, core/append_entries.go, core/vote.go, core/election.go, core/command.go,
//     core/stream/stream.go, core/stream/probe.go, actors/disk/log_actor.go
//   - Tests: TestAnswerWaitsForLastWrite, TestAnswerIsCompleteWhenAttached, TestHeartbeatNeverWaits,
//     TestRepeatedProbesAreOneWrite, TestPaperVoteSurvivesCrash,
//     core/stream.TestStreamConnectionBreaks, actors/disk.TestLogActorReleasesOnlyWhatIsDurable,
//     TestRepeatedVoteIsDurable
//   - Scripts: vote_durability, own_vote_too_late
//   - Mutants: "append acknowledged before it is durable", "own vote asked for before it is
//     durable", "a repeated vote before it is durable"
//   - Checkers: ruleAckDurable, ruleVoteDurable
//
// # Rule 4: A follower commits only what is proved equal
//
// An append of the current term proves the follower's log equal to the leader's up to the append's
// last entry. The follower's commit index never passes that entry. A heartbeat proves nothing. An
// append removes entries only from the first one whose term differs. It never removes entries
// because it ends before the log does.
//
//   - Code: core/append_entries.go, core/engine.go, core/stream/stream.go, core/read_index.go
//   - Tests: TestCommitOnlyWhatIsProved, TestPaperFollowerCommits, TestPaperRequestsAreIdempotent,
//     TestReadIndexOfAnotherTerm
//   - Scripts: heartbeat_proves_nothing
//   - Mutants: "commit by a heartbeat that proves nothing", "commit by a read index of another term"
//
// # Rule 5: Old answers do not count
//
// Answers carry the term, the stream and the store's incarnation. An answer of a lower term, of
// another stream or of another incarnation is dropped. A higher term makes a leader step down if it
// comes from a member under the incarnation that the group knows.
//
//   - Code: core/stream/stream.go, core/heartbeat.go, core/engine.go
//   - Tests: TestStaleAnswersAreDropped, core/stream.TestStreamIgnoresStrangers,
//     TestStaleHeartbeatNamesNoRound, TestPaperHigherTermIsAdopted, TestStaleMatchesAreDropped,
//     TestStaleHeartbeatRenewsNoPromise
//   - Mutants: "stale answers of an earlier campaign counted", "a match of an ended stream counted"
//   - Checkers: ruleMatch
//
// # Rule 6: A failed write is final
//
// A write that failed releases no answer and is never tried again. Every group on the store stops,
// and proposals that were appended end with an unknown outcome. Hard state and log of a group are
// one ordered stream of writes. The log actor may prefer one group to another, but never reorders
// the writes of one group. A vote compares the accepted log, durable or not, and leaves when all of
// that log is durable.
//
//   - Code: actors/disk/log_actor.go, actors/node.go, core/vote.go
//   - Tests: TestPaperVoteComparesAcceptedLog, actors/disk.TestLogActorFailedWriteReleasesNothing,
//     actors/disk.TestLogActorCoalescesAndKeepsOrder, actors.TestStoreFailureStopsAllItsGroups,
//     troupe.TestDiskFails
//   - Mutants: "failed write released"
//
// # Rule 7: Nobody leads a term that this process did not win
//
// A leader that was restarted is a follower, even if it is the only voter. The only voter campaigns
// at once, in a new term. Without this rule, an entry that the followers have and the leader's disk
// lost could be written again under the same term and index, with other content.
//
//   - Code: core/engine.go, core/leader_state.go, core/invariants.go
//   - Tests: TestPaperStartsAndStaysFollower, TestQuietPeriodAndSoleVoter
//   - Scripts: restarted_leader, single_node
//   - Mutants: "leadership resumed after a restart"
//   - Checkers: ruleElectionSafety
//
// # Rule 8: What is loaded is durable, and a durable machine stays behind the disk
//
// After a kill the page cache can show what was never synced. After a write that the disk refused it
// even shows it as written, so that a sync of the same file proves nothing. So a store makes durable
// what Load returns, and writes what is not proved durable again, at a new place. A state machine
// that keeps its state over a restart is applied at most up to what is durable here. A volatile one
// may follow the commit index. At the start the commit index is the largest of the stored commit
// index, the applied index and the index of the snapshot, or of a record that the machine holds, but at
// most the last index.
//
// The log of a durable machine is purged without a snapshot, up to a record of what the machine says
// that it keeps over a restart, and not of what it was given. The record is durable before the purge.
// If the machine holds less at a later start, nothing is purged because of that record.
//
//   - Code: core/engine.go, core/config.go, core/record.go, core/purge.go, actors/records.go,
//     storage/log_store.go, storage/recorder.go, storage/badger/verify.go
//   - Tests: TestApplyStaysBehindFlush, TestCommitAtStart, TestRecordsTakeThePlaceOfSnapshots,
//     TestRecordOfALostMachine, TestPurgeWaitsForTheMachine, actors.TestRecordIsOfWhatIsDurable, storage/badger.TestDurableLogStore,
//     storage/badger.TestKillLogStore, storage/badger.TestSyncTakesTheWrite,
//     storage/badger.TestRefusedWriteIsNotBelieved
//   - Mutants: "the file that a batch has begun is not synced", "what a failed process left is
//     believed", "applied before it is durable here", "purge beyond the record", "a record ahead of the
//     durable machine", "a purge before the machine has come to the record"
//   - Checkers: ruleDurable, ruleRecord
//
// # Rule 9: The log in memory holds all that is not durable
//
// A group keeps the end of its log in memory, at least from the lowest index that an unfinished
// write touches. Entries that are not in memory can be read from the store. Each truncation or reset
// raises the generation of the log. A read that was begun in another generation ends the stream.
//
//   - Code: actors/memlog/log.go, core/stream/stream.go
//   - Tests: actors/memlog.TestLogServesWhatIsUnflushed, actors/memlog.TestLogGenerations,
//     actors/memlog.TestLogLowestUnflushedOfSeveralWrites, actors/memlog.TestLogIsItsModel
//
// # Rule 10: One append is one consistent read
//
// The entries of an append and the id of the entry before them come from the same read. A stream
// that finds an entry of a newer term than its own ends: the log belongs to another leader.
//
//   - Code: core/stream/stream.go, actors/memlog/log.go
//   - Tests: core/stream.TestStreamEnds, core/stream.TestStreamDropsOutdatedRead,
//     actors/memlog.TestLogConcurrentReads
//
// # Rule 11: Pre-vote and check-quorum are always on
//
// A peer that does not answer grants nothing. A node refuses a pre-vote if it could not make a vote
// durable: while one of its writes has been out for longer than an election time-out. A candidate's
// time starts when its own vote is durable.
//
// Campaigns that end without a leader lengthen the next waits, before a campaign and in it. From the
// second such campaign on, each doubles the waits, up to the longer of 32 election time-outs and 8
// times the slowest sync. To hear a leader or to win sets them back. So clusters whose disks are
// slower than the time-out still elect a leader.
//
// The refusal of a pre-vote carries the term of the node that refuses, and the asker adopts that
// term. Under a lease promise or in the quiet period (rules 12 and 13) a node refuses a request,
// does not adopt its term, and says how many milliseconds are left. The asker tries again then.
//
// Voters of a higher priority draw earlier deadlines. A voter of the last priority waits for four
// election time-outs more than the others. An election by hand keeps all of this, and the lease
// promise and quiet period of the node that is asked.
//
//   - Code: core/vote.go, core/election.go, core/election_deadline.go, core/priority.go, core/elect.go,
//     core/check_quorum.go
//   - Tests: TestPromise, TestHungDiskGrantsNoPreVote, TestHungDiskRaisesNoTerms,
//     TestCandidateWaitsForItsVote, TestFruitlessCampaignsDouble, TestSlowDisksElect, TestPriorityDeadlines,
//     TestLastLeadsWhenNobodyElseCan, TestElect, TestElectIsRefused, TestElectEnds, TestPauseElections,
//     TestCheckQuorumCountsNoLearner, TestReturnFromPartition, TestCutOffInsideACampaign, TestFailover,
//     TestFreesStuckCandidate, TestRemovedMemberDisturbsNobody, TestPartialPartitions,
//     TestQuorumCountsFromTheSending
//   - Scripts: pre_vote, check_quorum, slow_disks, elect, two_cohorts, dueling_candidates,
//     leader_stays
//   - Mutants: "doubling that never resets", "a paused node that campaigns", "a last node that
//     campaigns with the others", "check-quorum that counts learners", "a campaign without a
//     pre-vote", "a pre-vote that changes the term", "no check of the quorum", "a quorum counted from when its answers came"
//   - Checkers: ruleElected
//
// # Rule 12: The answer to a heartbeat is a lease promise
//
// The answer says for how many milliseconds, from the receipt of the heartbeat, this follower votes
// for no other node. The promise also binds the follower's own campaigns. Election time-outs may
// differ between nodes, because each follower names its own. Clocks count the time for which the
// machine was suspended, if the system tells it.
//
// The leader's lease is the time in which nobody else can have been elected: what a joint quorum of
// voters promised in answers of this term, counted from when the leader began the round, less the
// drift of the clocks (core/lease.go). It begins with the first commit of the term. Linearizable
// reads never use it. Where the clock stands still while the machine is suspended there is none.
//
//   - Code: core/heartbeat.go, core/vote.go, core/election_deadline.go, core/election.go, core/lease.go,
//     actors/readable.go, actors/stage/clock_linux.go, actors/stage/clock_other.go
//   - Tests: TestPromise, TestPromiseInMilliseconds, TestOwnPromiseBindsCampaign, TestElectWaitsForPromises,
//     TestLeaseIsWhatAQuorumPromised, TestLeaseCountsRealAnswers, TestLeaseFollowsTheConfiguration,
//     TestLeaseReads, TestLeaseEnds, TestRandomSchedules, actors.TestCommitIsReadBehindTheLease,
//     actors.TestShownBeforeItIsTold, actors.TestCommitIsShownBeforeItIsTold, actors.TestLeaseReadsAskNobody,
//     internal/simulation.TestDriftBeyondTheBound, TestPromiseIsToWhomItWasGiven,
//     TestStaleHeartbeatRenewsNoPromise
//   - Scripts: pre_candidates_depose, lease_read
//   - Mutants: "promise forgotten", "an election by hand within the own promise", "a deadline within
//     the own promise", "lease from the wrong send time", "lease without the drift",
//     "lease from the grace value of a new peer", "lease of a peer added a moment ago", "lease that
//     counts learners", "commit loaded before the lease check",
//     "a lease looked at before the clock", "a lease shown until its end was told",
//     "a promise to whoever leads now", "a promise renewed by a heartbeat of an old term"
//   - Checkers: rulePromise, ruleStaleLease
//
// # Rule 13: A start begins with a quiet period
//
// The longest lease promise that may be alive is in the header of the store before it is first
// given. After a start a node neither votes nor campaigns, pre-votes included, for the longer of
// that promise and its configured one, whatever its configuration of members says. Only the sole
// voter of every configuration that it knows is exempt, if it has not lost the one that was
// committed last. The record comes down as the period is
// served, to the longer of what is left and the longest promise of this life. So no setting and no
// loop of restarts makes every later start longer.
//
//   - Code: core/vote.go, core/election.go, actors/disk/keeper.go, actors/disk/promises.go,
//     actors/start.go, storage/log_store.go
//   - Tests: TestLostConfigurationAlone, TestQuietPeriodAndSoleVoter, TestQuietPeriodBindsEveryNode, TestQuietPeriodOutlastsPromotion,
//     TestQuietPeriodDoesNotHoldAForming, actors.TestPromiseComesDown, actors/disk.TestPromiseOfThisLifeStays,
//     troupe.TestLongPromiseIsServedOnce, internal/simulation.TestLongPromiseComesDown,
//     storage/badger.TestRefusedPromiseIsNotRecorded
//   - Scripts: quiet_period_after_start
//   - Mutants: "promise given before it stands on the disk", "quiet period for voters only",
//     "a promise lowered before the quiet period is over", "a quiet period judged by the latest
//     configuration", "a lost configuration taken for none"
//   - Checkers: rulePromiseHeader, rulePromise
//
// # Rule 14: A transfer of leadership overrides promises, in its own term only
//
// TimeoutNow counts only in the term T in which it was sent. It starts one campaign, in term T+1, at
// once and without a pre-vote. Its flag overrides lease promise and quiet period, at the target and
// at the voters, only while their own durable term is T. A target refuses while it installs a
// snapshot, is not well (rule 16), is paused, is a learner, or lacks the state of its machine (rule
// 24). A voter's own state does not matter. The leader itself knows whom it sent TimeoutNow to, and
// heeds the flag of no other. Whoever votes or campaigns by the flag forgets the promises of this
// life: no lease is built on them any more.
//
// Before it is sent, the leader has stopped admitting proposals, the target holds the whole log, the
// leader has given up its lease, and the context of what the application runs while it leads has
// ended. The same holds before the leader votes or campaigns. Whoever does not return then holds up
// nothing. Lease reads of that term become ReadIndex reads, also if the transfer fails. Such a leader admits again at once. An election time-out later it asks for
// pre-votes while it leads on, and wins a new term. The argument for the flag is in
// guide/decisions.md.
//
// What the application runs begins when all that was committed before is applied, and its context
// ends with the lease too. It runs once in a term. A leader whose lease ran out and came back wins a
// new term for it (core/leading.go).
//
// A leader hands over by itself to the best voter of a higher priority. It does not while the
// configuration changes or a snapshot is on its way, for ten minutes after it was given the
// leadership by hand although another had a higher priority, and to each target for a time that doubles after a hand-over failed. A node
// that left office by rule 16 says in the answers to heartbeats that it wants no leadership, for five
// minutes at first, and twice as long each time.
//
//   - Code: core/leadership_transfer.go, core/timeout_now.go, core/vote.go, core/hand_over.go,
//     core/fitness.go, core/leader_state.go, core/leading.go, actors/leading.go
//   - Tests: TestTimeoutNow, TestTransferFlagReleasesPromises, TestHandedOnAtOnce, TestTransferTellsWhoHasAll, TestTransferGoesOnAdmitting,
//     TestTransferIsRefused, TestTransferWithinAConfiguration, TestTransferTimesOut, TestTargetRefuses,
//     TestLeaderLeavesInATransfer, TestSecondTransfer, TestRenewTerm, TestHandOverByPriority,
//     TestHandOverRests, TestPreferredNodeWithAHangingDisk, TestLeading, TestLeadingEndsBeforeTimeoutNow,
//     TestRenewTermForTheApplication, actors.TestLeadingAlternates, actors.TestLeadingEndsWithTheLease,
//     actors.TestContextEndsBeforeAnythingLeaves, actors.TestLeadingWaitsForTheMachine,
//     actors.TestSleeperGetsANewTerm, troupe.TestOnLeading, troupe.TestOnLeadingThatDoesNotReturn,
//     internal/simulation.TestLeadingBeyondTheBound
//   - Scripts: transfer, transfer_refused, transfer_target_dies, transfer_quorum_lost,
//     transfer_forwarded, transfer_forgotten_promise, transfer_ends_lease, transfer_back,
//     transfer_after_snapshot, transfer_joint, priority, leading
//   - Mutants: "told before it has the log", "the flag of a transfer in every campaign", "a transfer
//     that succeeds before anything is committed", "vote inside a promise without the transfer flag's
//     term check", "a leader that heeds the flag of whom it did not tell", "TimeoutNow of another term
//     heeded", "a target that campaigns though it is unfit", "proposals admitted during a transfer",
//     "no new term after a transfer that failed", "a hand-over that is tried again at once",
//     "leadership for who has just left by rule 16", "a promise that outlives a hand-over", "a lease
//     kept over a transfer", "a context that outlives TimeoutNow", "a job before what was committed is
//     applied", "a job beyond the lease", "a job twice in a term", "a job beside itself", "a context
//     that waits for its timer", "no new term after a lease that ran out"
//   - Checkers: ruleToldByLeader, ruleToldLog, ruleFlag, ruleFlagTerm, ruleTransferred,
//     ruleTransferError, ruleLeadingAtOnce, ruleLeadingTerms, ruleLeadingTwice, ruleLeadingEarly,
//     ruleLeadingLate
//
// # Rule 15: What was said comes before what timed out
//
// The core takes its inbox first and reads the clock after that. After a pause it handles the
// messages before it acts on timers. A timer that fires more than an election time-out too late is
// put off once.
//
//   - Code: actors/core_actor.go, core/timers.go, core/forming.go, core/stuck_entries.go,
//     network/tcp/pace.go
//   - Tests: TestLateTimers, TestSleepDuringAForming, network/tcp.TestHeldUpProcessBlamesNobody,
//     actors.TestTimersComeAfterWhatWasSaid, actors.TestNowIsReadAfterTheInbox
//   - Mutants: "timers before what was said", "a timer before what was taken with it", "now before
//     the inbox is taken"
//
// # Rule 16: A leader that cannot work hands over
//
// A leader cannot work if its own disk does not reach within a limit what was committed when the
// limit began, or if its state machine finishes nothing for a limit while a voter reports a higher
// applied index. If all disks are slow, the commit index does not run ahead, and the leader stays.
//
// Such a leader goes on leading while no voter that may lead answers. Else it hands over to the best
// (rule 14), and if nobody has taken over within a limit it leaves office. It may campaign again when
// its disk or machine has caught up. A voter that installs a snapshot, has a write that is out for
// longer than an election time-out, be it another group's on the same disk, or a machine that has had
// something to apply for a limit and finished nothing, says so in the answers to heartbeats, and is
// not handed the leadership.
//
// Not to campaign is a delay, not a ban, because nobody else may have the entries that a leader
// needs. A node whose disk works campaigns although it is not well when it has heard no leader for
// four election time-outs, during a restore only when that has taken longer than a limit. As a leader
// it appends its blank entry and nothing else, gives the others its log, hands over to the first
// voter that is well and has it, and stays while there is none. A node whose disk hangs can make no
// vote durable. It counts as down.
//
// A leader also leaves office if for a limit no quorum accepts entries that it has given to the
// network, and there is no quorum toward which bytes leave. It lets the others campaign first, for
// four election time-outs.
//
// The answer to a heartbeat tells the accepted index beside the durable one. If a peer answers
// heartbeats but accepts no entries for a limit, the leader breaks the bulk connection to it, each
// time after a longer wait. Bytes of this group that leave put this off for ten limits at most.
// Bytes of other groups put it off for as long as they leave. A connection is not broken while its
// peer waits for its disk or for a snapshot.
//
// A node whose state machine is of too old a version for an entry applies nothing from there on. It
// counts as one that is not well, and hands over to a voter that has the version.
//
//   - Code: core/leave_office.go, core/health.go, core/fitness.go, core/own_progress.go,
//     core/stuck_entries.go, core/election.go, actors/core_actor.go, actors/disk/log_actor.go,
//     actors/timers.go, network/tcp/sent.go
//   - Tests: TestTooOldMachineGoesOnVoting, TestTooOldLeaderHandsOver, TestLostMachineCampaignsLast, TestHungMachine, TestLeaderThatCannotWork, TestLeaderThatIsWellAgain, TestSuccessor,
//     TestMachineStands, TestNotToCampaignIsADelay, TestCaretaker, TestSickLeaderThatIsAhead,
//     TestDepartures, TestStoreHangs, actors.TestSharedDiskHangs, actors.TestAllDisksHang,
//     actors.TestHungDiskIsNoTarget, internal/simulation.TestSickNodeIsAhead, TestPreferredNodeWithAHangingDisk, TestBreaksHungConnection, TestLeaderWhoseEntriesVanishLeaves,
//     TestOthersElectWhereEntriesVanish, TestAcceptedOfTheLatestRound,
//     TestHungConnectionOfANewLearner, TestLeaderStaysBehindSlowDisks, TestAppliedIsAtMostTheCommit,
//     actors.TestProgressIsAskedOfWhoLacksEntries, network/tcp.TestSentOverConnections
//   - Scripts: hung_disk, hung_disk_alone, hung_machine, sick_and_ahead
//   - Mutants: "a hung machine that keeps its leader", "a leader that leaves without a hand-over", "a
//     leader that leaves though nobody else can lead", "not to campaign is a ban", "a campaign in
//     spite of a hung disk", "a caretaker that admits", "a caretaker that leaves without a successor",
//     "a machine that stands still and is fit", "leadership for who waits behind a hung write of others",
//     "a machine that is too old and campaigns"
package core
