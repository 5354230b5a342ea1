// Package core is the Raft protocol of one group on one node, as a pure function.
//
// [Engine] takes one [Event] at a time and returns what is to be done as a list of [Command] values.
// [Stream] does the same for the replication to one follower. Neither has a goroutine, a channel, a
// clock, a logger or I/O, and the package imports only the standard library and package membership.
// Time comes in with each event, and jitter comes from a generator that [Config] seeds. So the same
// events give the same commands, and a simulator can replay a whole cluster.
//
// Files are named as in the papers: election.go, append_entries.go, commit.go, read_index.go,
// snapshot.go. What must always hold for an engine is in invariants.go. Tests and the simulator
// check it after every step.
//
// The rest of this page lists the safety rules. Code, tests and guide quote them by number. Below
// each rule are the files that carry it out, and what keeps it: tests, golden scripts
// (core/testdata), and the checkers and mutants of internal/simulation. A checker compares all nodes
// of a simulated cluster with one history. A mutant breaks the rule on purpose, and a test must
// notice. A test without a package name is in package core. "Not yet" marks what a rule does not do
// yet. Rules 1 to 10 are about writes, 11 to 16 about terms and leases, 17 to 19 about identity, 20
// to 23 about membership, 24 and 25 about snapshots, 26 about reads, and 27 to 32 about strangers,
// names and the forming of a cluster.
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
//   - Code: core/writes.go, actors/log_actor.go
//   - Tests: TestWriteTracker, TestWriteTrackerAgainstModel, TestResetTakesBackWhatWasDurable,
//     actors.TestLogActorSplits
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
//     core/stream.go, core/stream_probe.go, actors/log_actor.go
//   - Tests: TestAnswerWaitsForLastWrite, TestAnswerIsCompleteWhenAttached, TestHeartbeatNeverWaits,
//     TestRepeatedProbesAreOneWrite, TestPaperVoteSurvivesCrash, TestStreamConnectionBreaks,
//     actors.TestLogActorReleasesOnlyWhatIsDurable
//   - Scripts: vote_durability
//   - Mutants: "append acknowledged before it is durable", "own vote asked for before it is durable"
//   - Checkers: ruleAckDurable, ruleVoteDurable
//
// # Rule 4: A follower commits only what is proved equal
//
// An append of the current term proves the follower's log equal to the leader's up to the append's
// last entry. The follower's commit index never passes that entry. A heartbeat proves nothing. An
// append removes entries only from the first one whose term differs. It never removes entries
// because it ends before the log does.
//
//   - Code: core/append_entries.go, core/engine.go, core/stream.go
//   - Tests: TestCommitOnlyWhatIsProved, TestPaperFollowerCommits, TestPaperRequestsAreIdempotent
//   - Scripts: heartbeat_proves_nothing
//   - Mutants: "commit by a heartbeat that proves nothing"
//
// # Rule 5: Old answers do not count
//
// Answers carry the term, the stream and the store's incarnation. An answer of a lower term, of
// another stream or of another incarnation is dropped. A higher term makes a leader step down if it
// comes from a member under the incarnation that the group knows.
//
//   - Code: core/stream.go, core/heartbeat.go, core/engine.go
//   - Tests: TestStaleAnswersAreDropped, TestStreamIgnoresStrangers, TestStaleHeartbeatNamesNoRound,
//     TestPaperHigherTermIsAdopted
//   - Mutants: "stale answers of an earlier campaign counted"
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
//   - Code: actors/log_actor.go, actors/node.go, core/vote.go
//   - Tests: TestPaperVoteComparesAcceptedLog, actors.TestLogActorFailedWriteReleasesNothing,
//     actors.TestLogActorCoalescesAndKeepsOrder, actors.TestStoreFailureStopsAllItsGroups,
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
// After a kill the page cache can show what was never synced. So a store makes durable what Load
// returns. A state machine that keeps its state over a restart is applied at most up to what is
// durable here. A volatile one may follow the commit index. At the start the commit index is the
// largest of the stored commit index, the applied index and the snapshot's index, but at most the
// last index.
//
//   - Code: core/engine.go, core/config.go, storage/log_store.go
//   - Tests: TestApplyStaysBehindFlush, TestCommitAtStart, storage/badger.TestDurableLogStore,
//     storage/badger.TestKillLogStore
//   - Checkers: ruleDurable
//
// # Rule 9: The log in memory holds all that is not durable
//
// A group keeps the end of its log in memory, at least from the lowest index that an unfinished
// write touches. Entries that are not in memory can be read from the store. Each truncation or reset
// raises the generation of the log. A read that was begun in another generation ends the stream.
//
//   - Code: actors/memory_log.go, core/stream.go
//   - Tests: actors.TestMemoryLogServesWhatIsUnflushed, actors.TestMemoryLogGenerations,
//     actors.TestMemoryLogLowestUnflushedOfSeveralWrites, actors.TestMemoryLogIsItsModel
//
// # Rule 10: One append is one consistent read
//
// The entries of an append and the id of the entry before them come from the same read. A stream
// that finds an entry of a newer term than its own ends: the log belongs to another leader.
//
//   - Code: core/stream.go, actors/memory_log.go
//   - Tests: TestStreamEnds, TestStreamDropsOutdatedRead, actors.TestMemoryLogConcurrentReads
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
//   - Code: core/vote.go, core/election.go, core/check_quorum.go
//   - Tests: TestPromise, TestHungDiskGrantsNoPreVote, TestCandidateWaitsForItsVote,
//     TestFruitlessCampaignsDouble, TestSlowDisksElect
//   - Scripts: pre_vote, check_quorum, slow_disks
//   - Mutants: "doubling that never resets"
//
// # Rule 12: The answer to a heartbeat is a lease promise
//
// The answer says for how many milliseconds, from the receipt of the heartbeat, this follower votes
// for no other node. The promise also binds the follower's own campaigns. Election time-outs may
// differ between nodes, because each follower names its own. Clocks count the time for which the
// machine was suspended, if the system tells it.
//
//   - Code: core/heartbeat.go, core/vote.go, core/election.go, actors/stage/clock_linux.go
//   - Tests: TestPromise, TestPromiseInMilliseconds, TestOwnPromiseBindsCampaign
//   - Scripts: pre_candidates_depose
//   - Mutants: "promise forgotten"
//   - Checkers: rulePromise
//   - Not yet: the leader's lease. It will last as long as a joint quorum promised, counted from when
//     the leader sent the heartbeats, less the drift of the clocks. Only real answers of its term
//     will count. Linearizable reads never use it.
//
// # Rule 13: A start begins with a quiet period
//
// The longest lease promise that may be alive is in the header of the store before it is first
// given. After a start a node neither votes nor campaigns, pre-votes included, for the longer of
// that promise and its configured one, whatever its configuration of members says. Only a node that
// is the sole voter of every configuration that it knows is exempt. The record comes down as the
// quiet period is served, to the longer of what is left and the longest promise of this life. So
// neither one long setting nor a loop of restarts makes every later start longer.
//
//   - Code: core/vote.go, core/election.go, actors/keeper.go, actors/promises.go, actors/start.go,
//     storage/log_store.go
//   - Tests: TestQuietPeriodAndSoleVoter, TestQuietPeriodBindsEveryNode,
//     TestQuietPeriodOutlastsPromotion, TestQuietPeriodDoesNotHoldAForming,
//     actors.TestPromiseComesDown, actors.TestPromiseOfThisLifeStays,
//     troupe.TestLongPromiseIsServedOnce, internal/simulation.TestLongPromiseComesDown,
//     storage/badger.TestRefusedPromiseIsNotRecorded
//   - Scripts: quiet_period_after_start
//   - Mutants: "promise given before it stands on the disk", "a promise lowered before the quiet
//     period is over", "quiet period for voters only"
//   - Checkers: rulePromiseHeader, rulePromise
//   - Not yet: the exception for a transfer of leadership (rule 14)
//
// # Rule 14: A transfer of leadership overrides promises, in its own term only
//
// TimeoutNow counts only in the term T in which it was sent. It starts one campaign, in term T+1, at
// once and without a pre-vote. Its flag overrides lease promise and quiet period, at the target and
// at the voters, only while their own durable term is T. A target refuses while it installs a
// snapshot, has yet to catch up (rule 16), is paused, is a learner, or lacks the state of its
// machine (rule 24). A voter's own state does not matter. Before it is sent, the leader has stopped
// admitting proposals, has given up its lease, and has ended what the application runs while it
// leads. Lease reads of that term become ReadIndex reads, also if the transfer fails.
//
//   - Not yet: all of it. VoteRequest has room for the flag, and nothing sets or heeds it.
//
// # Rule 15: What was said comes before what timed out
//
// The core takes its inbox first and reads the clock after that. After a pause it handles the
// messages before it acts on timers. A timer that fires more than an election time-out too late is
// put off once.
//
//   - Code: actors/core_actor.go, core/timers.go, core/forming.go, core/stuck_entries.go,
//     network/tcp/pace.go
//   - Tests: TestLateTimers, TestSleepDuringAForming, network/tcp.TestHeldUpProcessBlamesNobody
//
// # Rule 16: A leader that cannot work steps down
//
// A leader steps down after a limit in three cases. First, its own disk does not reach what was
// committed when the limit began. Second, its state machine finishes nothing while a voter reports a
// higher applied index. Third, no quorum accepts entries that the leader has given to the network,
// and there is no quorum toward which bytes leave. If all disks are slow, the commit index does not
// run ahead, and the leader stays.
//
// A node that stepped down because of its disk or machine campaigns when that has caught up. A node
// that left because its entries did not pass lets the others campaign first, for four election
// time-outs.
//
// The answer to a heartbeat tells the accepted index beside the durable one. If a peer answers
// heartbeats but accepts no entries for a limit, the leader breaks the bulk connection to it, each
// time after a longer wait. Bytes of this group that leave put this off for ten limits at most.
// Bytes of other groups put it off for as long as they leave. A connection is not broken while its
// peer waits for its disk or for a snapshot.
//
//   - Code: core/check_quorum.go, core/own_progress.go, core/stuck_entries.go, core/election.go, actors/timers.go,
//     network/tcp/sent.go
//   - Tests: TestHungMachine, TestBreaksHungConnection, TestLeaderWhoseEntriesVanishLeaves,
//     TestOthersElectWhereEntriesVanish, TestAcceptedOfTheLatestRound,
//     TestHungConnectionOfANewLearner, TestLeaderStaysBehindSlowDisks, TestAppliedIsAtMostTheCommit,
//     actors.TestProgressIsAskedOfWhoLacksEntries, network/tcp.TestSentOverConnections
//   - Scripts: hung_disk
//   - Not yet: to hand over by TimeoutNow before leaving, to stay while no healthy voter answers, and
//     to campaign after four time-outs without a leader, in spite of a machine that has to catch up
//
// # Rule 17: A store has one identity and one life at a time
//
// The header of a store holds the node id, a random incarnation and a start counter that is raised
// at each opening. Connections begin by showing all three. A message for another node, or the store
// of another node, is refused by name. So is a start counter below the highest that was seen, or the
// highest one with the nonce of another process, because that is an old copy of a directory. If the
// peer that refuses is proved (rule 29), the refusal is written into the copy's header. From then on
// that store opens for inspection only, and nothing takes that back.
//
// The cluster id belongs to the group. An empty group adopts it only from a stream that names its
// incarnation, and makes it durable before its first acknowledgement. The Cluster field of
// troupe.Config can pin it.
//
//   - Code: core/identity.go, core/snapshot.go, network/tcp/handshake.go, network/tcp/proven.go,
//     network/inproc/proven.go, network/internal/seen/seen.go, storage/log_store.go, actors/keeper.go
//   - Tests: TestIdentity, TestEmptyNodeAdoptsCluster, TestEmptyGroupIsNotCaptured,
//     TestAdoptionIsDurableBeforeTheFirstAck, actors.TestOutlivedStoreIsRefused,
//     network/internal/seen.TestMeet, network/internal/seen.TestOvertaken,
//     network/tcp.TestRefusalMustBeProved, storage/badger.TestInspectLogStore,
//     troupe.TestPinnedCluster, troupe.TestStoreOfAnotherNode
//   - Checkers: ruleCluster
//
// # Rule 18: A node that lost its data cannot vote
//
// A quorum counts identities. Votes, acknowledgements, answers to heartbeats, promises and terms of
// another incarnation are ignored. To replace a node, its new incarnation becomes a learner first. A
// joint change follows, in which the old incarnation counts only in the old half and the new one
// only in the new half.
//
//   - Code: core/identity.go, core/vote.go, core/election.go, core/stream.go, core/stream_probe.go,
//     core/read_index.go, core/configuration_change.go, membership/quorum.go
//   - Tests: TestVotesOfStrangersAreIgnored, TestReplacedIncarnationRaisesNoTerm,
//     TestReaderOfAnotherIncarnation, TestLostDataOfTheSameIncarnation,
//     membership.TestQuorumCountsIncarnations, TestReplaceIncarnation
//   - Scripts: emptied_member
//   - Mutants: "message for another incarnation accepted"
//   - Checkers: ruleEmptied
//   - Not yet: to replace a member on request
//
// # Rule 19: Bootstrap asks everybody first
//
// A node that is told to begin a cluster asks every member of the list who it is, whether it is
// empty, and for its grant (rule 31). If one of them fails, nothing is written. Then the node begins
// a cluster with itself as the only voter. The first entry records the wanted members, and the node
// brings them in. No proposal is admitted until the wanted configuration is committed. If the leader
// dies, the next leader goes on.
//
// The hash of a list is taken of the sorted list without incarnations. "The same list" means a list
// with the hash of the founding list, also after members have changed. Every configuration carries
// the hash of the founding list. To bootstrap again with the same list does nothing. To bootstrap
// with another list is an error. While a bootstrap cannot finish, the status says which members it
// waits for. An empty group never votes.
//
//   - Code: core/forming.go, core/bootstrap.go, core/configurations.go, core/leader_state.go,
//     core/vote.go, membership/founding.go
//   - Tests: TestBootstrapRefusals, TestBeginsWithAllGrants, TestUnreachableMember,
//     TestListsOfABootstrap, TestEmptyNodeAdoptsCluster, membership.TestFoundingIsOfTheList,
//     TestFoundingIsCarried, troupe.TestBootstrapComparesWholeLists
//   - Scripts: bootstrap_three, bootstrap_interrupted
//   - Checkers: ruleEmptyVotes
//
// # Rule 20: Who may campaign, and who is answered
//
// A node may campaign if it is a voter, in either half, of its latest configuration, or of any
// configuration since the last one that it knows to be committed, that one included. It counts votes
// by the latest configuration, and its own vote only if it is a voter of that. A vote request always
// gets an answer, whatever the configuration of the node that is asked says, because that may be
// old.
//
//   - Code: core/configurations.go, core/election.go, core/vote.go, core/identity.go
//   - Tests: TestMayCampaign, TestRemovedLeader, TestRequestsOfStrangersAreAnswered,
//     TestWhoHasProvedTheIDGetsAVote, TestReplacedIncarnationRaisesNoTerm
//
// # Rule 21: A joint change needs learners that are ready and a quorum that answers
//
// Changes that touch a voter go through a joint configuration. The joint entry is appended only when
// three things hold. First, every incoming voter has durably acknowledged, in this term and under
// its incarnation, the entry that made it a learner. So no voter is ever empty. Second, each of them
// lags by less than a bound. Third, each half has a quorum of members that answered a round of this
// term within the last election time-out. The three things are required for the joint entry of a
// bootstrap too. The next change starts only when the last one is committed and the leader has
// committed an entry of its own term.
//
//   - Code: core/bootstrap.go, core/commit.go
//   - Tests: TestJointEntryOfABootstrapNeedsAQuorumThatAnswers, TestJointChanges
//   - Scripts: bootstrap_three, wanted_member_wiped
//   - Not yet: changes on request, with NotCaughtUpError for who is not ready. A half that dies after
//     the joint entry needs an offline recovery, which is not there either.
//
// # Rule 22: A joint configuration is always finished
//
// If a leader dies and leaves a joint configuration, the next leader completes it. A leader that is
// no voter of a half never counts itself in that half. A leader that is no longer a voter steps
// down when the configuration without it is committed.
//
//   - Code: core/bootstrap.go, core/commit.go
//   - Tests: TestRemovedLeader
//   - Scripts: bootstrap_interrupted
//   - Not yet: Removed, the notice to a member that was removed. It will carry the LogID of a
//     committed configuration, will be heeded only if that is above the receiver's own latest one,
//     and will never delete data.
//
// # Rule 23: A truncation takes a configuration back
//
// A configuration is in force from the moment that it is appended. When it is truncated, the one
// before it is in force again. Role, quorum, streams and timers are evaluated anew, and the network
// gets the addresses again. At the start the store tells which of its entries are configurations.
//
//   - Code: core/configurations.go, core/leader_state.go, actors/core_commands.go
//   - Tests: TestConfigurationRollsBack, TestLostConfiguration
//
// # Rule 24: A snapshot replaces the log only if it is newer
//
// A snapshot is newer if its index is above the commit index and the accepted log does not hold its
// last entry. The engine decides that in the very step that empties the log. If the log holds the
// entry, nothing is removed, and the commit index moves to it.
//
// To install a snapshot takes four steps: the file is durable under its name; one write resets the
// log to the snapshot's LogID; the machine is restored; older files are removed. After a crash any
// step may be repeated. From the reset to the end of the restore the node does not campaign. At the
// start the file, the log and the machine are compared. A log that lacks the snapshot's last entry
// is reset, and a contradiction is ErrCorrupt.
//
//   - Code: core/snapshot.go, core/engine.go, core/election.go, actors/snapshots/receiver.go,
//     actors/apply_actor.go
//   - Tests: TestStateCheck, TestInstall, TestSnapshotOfHeldEntry, TestNewEngineRefusesDamage,
//     TestSnapshotAheadOfHardState, TestSnapshotOfANewerTermAtTheStart
//   - Scripts: crash_during_install, snapshot_is_not_newer, snapshot_at_last_index
//   - Checkers: ruleReset, ruleSnapshot, ruleRestoreBack
//   - Not yet: to start with a whole log and a machine that lacks the purged part, and to ask the
//     leader for a snapshot of the machine alone. Today such a state is ErrCorrupt.
//
// # Rule 25: A transfer resumes only on the same snapshot
//
// The same snapshot is one with equal LogID, size and checksum. While a snapshot is on its way, the
// log after it is kept for its receiver, up to a number of entries.
//
//   - Code: actors/snapshots/receiver.go, actors/snapshots/sender.go, core/snapshot.go
//   - Tests: TestSnapshotPolicyAndPurge, actors.TestSnapshotBringsALaggingFollowerUp
//   - Scripts: slow_follower_after_compaction
//   - Checkers: rulePurge
//   - Not yet: bounds in bytes and in time since the last progress
//
// # Rule 26: No read before the leader has committed in its own term
//
// Reads that come earlier wait for that commit. A read joins the next round of heartbeats, never one
// that is under way. An answer to round m confirms all rounds of its term up to m, by the
// configuration that is in force then. Every heartbeat is a round, and numbers are not used again.
// Followers and learners ask the leader only for the index, and read their own state machine.
//
//   - Code: core/read_index.go, core/heartbeat.go
//   - Tests: TestPaperBlankEntryBeforeReads, TestPaperReadNeedsRound, TestReadRounds,
//     TestStaleHeartbeatNamesNoRound, TestLearnerLetsGoOfSilentLeader
//   - Scripts: read_index, read_on_follower, read_stale_answer
//   - Mutants: "read without a round of confirmation"
//   - Checkers: ruleStaleRead, ruleReadEarly
//   - Not yet: lease reads, and reads with a bound on staleness
//
// # Rule 27: A message counts only with the cluster id
//
// Each group has a secret of 128 bits from a cryptographic generator, never 0. A message counts if
// its sender has shown on the connection that it knows the id (rule 29). Three kinds of messages
// count without that: requests to identify, the answers to these, and what an empty group answers to
// a stream that named its incarnation. The id is told to no node that has not shown it, with one
// exception: a learner that the configuration admits by its identity and that has acknowledged
// nothing yet. No refusal names the id. Logs, traces and the status show a hash. Membership cannot
// be the test, because a follower that lags must accept a leader that was added by an entry which it
// does not have.
//
//   - Code: core/identity.go, core/cluster_id.go, core/stream.go, actors/bootstrap.go,
//     actors/proposals.go, actors/replication_actor.go, actors/snapshots/sender.go
//   - Tests: TestUnprovedMessagesCountForNothing, TestIntroductions, TestStreamIntroduces,
//     TestForgedRefusal, TestOneHeartbeatDestroysNoCluster, TestLaggingFollowerAcceptsUnknownLeader,
//     TestClusterIDIsNotPrinted, actors.TestStreamHearsBeforeItSendsWhatItRead,
//     network/wire.TestClusterIsNotSent
//   - Scripts: stranger
//   - Mutants: "cluster id 0 accepted", "a refusal without the id heeded"
//   - Checkers: ruleInTheClear
//
// # Rule 28: Foreign code runs where nobody else waits
//
// The log actor calls the store, the apply actor calls the state machine, and the resolver of names
// is called on goroutines of its own. A call that hangs there holds up only those who need its
// answer. While a call is under way, its actor has not ended and the group is not done. Events go to
// whoever takes them through a bounded queue that counts what it drops, and so do spans, measurements
// and lines of the log: the actors call no logger, meter or tracer.
//
//   - Code: network/tcp/resolve.go, actors/log_actor.go, actors/apply_actor.go,
//     actors/stage/shell.go, actors/observe/observer.go, events.go
//   - Tests: network/tcp.TestResolveHangsAlone, troupe.TestEventQueueDropsTheOldest,
//     actors/stage.TestShellWithCallsThatEndLater, actors/observe.TestObserverLosesAndCounts,
//     actors/observe.TestStuckTakersHoldUpNobody
//   - Not yet: network/tcp calls its logger itself
//
// # Rule 29: What a connection says of itself is a hint until it is proved
//
// A certificate proves which node a process is. To know the cluster id of a group proves that the
// process takes part in that group. This second proof is made for each connection and group, within
// the connection, before the group's first message. It is a MAC under a key that is derived from the
// cluster id. It covers the role of the side, the group, the class, and the identities, start
// counters and fresh nonces of both sides. The id is not sent. Replayed and reflected proofs do not
// count.
//
// A message arrives marked as proved or not, and the core decides. Without a proof only these count:
// requests to identify and their answers, grants (rule 31), and what the learner of rule 27 says up
// to its first acknowledgement. Only what is proved is kept on disk, makes another connection
// refused, or replaces what was known. Unproved connections never shut out proved ones. Messages
// carry no MAC of their own. So without TLS a program on the path can change what follows a proof.
//
//   - Code: network/wire/proof.go, network/tcp/proofs.go, network/tcp/proven.go,
//     network/tcp/handshake.go, network/tcp/accept.go, network/inproc/proven.go,
//     network/internal/seen/seen.go, core/identity.go, core/stream.go
//   - Tests: TestNewLearnerHasNothingToProve, TestNewLearnerThatAnswersIsNotAsked,
//     network/tcp.TestReplayedHelloProvesNothing, network/tcp.TestReflectedProofProvesNothing,
//     network/tcp.TestProofsAreBounded, network/internal/seen.TestCheckRemembersNothing,
//     network/wire.TestProofIsBoundToAllOfIt, actors.TestKeeperKeepsPeers
//   - Mutants: "an unproved ack counted", "an unproved counter kept", "an unproved address that
//     replaces a known one", "a reflected proof accepted"
//   - Checkers: ruleForgedAck
//
// # Rule 30: A dark connection is replaced, and moved nodes are found
//
// A control connection is replaced by a new one if an answer that waits for no disk is due on it,
// and nothing is heard on it for about an election time-out. That is so even while there is no
// leader, and for that purpose vote requests are acknowledged at once. An answer goes back on the
// newest proved connection of the process that asked.
//
// A node says where it listens when it connects. The address of a known identity is learned from a
// connection on which that identity has proved itself, and is kept beside the store. Proved peers
// pass learned addresses on as hints. The configured address and the learned one are dialled by
// turns, and a newer SetAddress drops the learned one. Names are resolved at each dial. An address
// from an unproved connection is dialled last, and that dial must prove it.
//
// A learner that hears of no leader asks all members who they are. It asks nobody for votes, so
// after a move it would dial nobody otherwise, and would never be found.
//
//   - Code: core/election.go, network/tcp/suspect.go, network/tcp/addresses.go, network/tcp/link.go,
//     network/tcp/connection.go, network/tcp/proven.go, network/tcp/resolve.go,
//     network/inproc/network.go, storage/log_store.go
//   - Tests: TestLearnerShowsItself, network/tcp.TestDarkLinkIsReplaced,
//     network/tcp.TestRequestsAreAcknowledged, network/tcp.TestTwoSwap,
//     network/tcp.TestAllMoveAndEachIsToldOneOther,
//     network/tcp.TestStrangerAtAnOldAddress, network/tcp.TestLearnedAddressesArePassedOn,
//     network/tcp.TestResolveIsAskedAtEachDial, actors.TestKeeperKeepsPeers
//
// # Rule 31: A cluster begins only under the exclusive grants of all
//
// An empty group that is asked grants one attempt: one beginner, one nonce, one list. The grant
// lasts as long as the request says, from the receipt of the request. At first beginners ask for the
// longer of 10 s and an election time-out. After each attempt that ran out they ask for twice as
// long, up to 5 minutes. While a grant is alive, the group grants nothing else, begins nothing
// itself, and follows no stream but the beginner's. A grant is durable before it is sent. After a
// restart its time counts anew from the start, but a grant to oneself is void.
//
// A beginner needs the grants of all members, its own too, for this attempt. It decides on its first
// entry only while all of them are alive on its own clock, less the drift. An attempt that ends
// releases its grants. If two beginners have the same list, the lower id goes first: a node that is
// asked by a lower id gives up its own attempt, and asks again only when that id has not asked for 3
// election time-outs. So two clusters never begin from one list.
//
// A node that asks with the list of a cluster that has begun waits to be brought in. It may happen
// that a wanted member has acknowledged nothing and shows itself empty under another incarnation.
// While only the beginner votes, the wanted member is exchanged for that new incarnation. Later the
// node is told that it lost its data.
//
//   - Code: core/grants.go, core/forming.go, core/bootstrap.go, core/snapshot.go
//   - Tests: TestGrant, TestGrantOverARestart, TestGrantRefusals, TestGrantLengths,
//     TestGrantsThatDoNotCount, TestAttemptThatRanOut, TestLowerIDGoesFirst, TestWaitsToBeBroughtIn,
//     TestExchangeOfAWantedMember, TestRandomForming, internal/simulation.TestFormings
//   - Scripts: bootstrap_two_beginners, grant_outlives_beginner, wanted_member_wiped
//   - Mutants: "two grants at a time", "a grant that a restart forgets", "a grant of another attempt
//     counted", "a first entry after a grant has run out", "an own beginning while another holds
//     one's grant"
//   - Checkers: ruleTwoClusters, ruleBegun, ruleTwoGrants, ruleGrantDurable
//
// # Rule 32: Counters that nobody can have reached are not believed
//
// Terms and indexes above 2^62 are refused, so that no sum of two overflows. A message raises a
// node's own term by 2^32 at most. If its term is further above, the node makes such a jump at most
// once in an election time-out, and grants no vote in that step. A group without an entry takes any
// valid term. An answer with a term more than 2^32 above does not depose a leader whose quorum
// answers without that peer. It is reported, and the peer has to be replaced. The term of a snapshot
// is at most its leader's. The log is reset for a snapshot only if the file is whole and checked.
//
//   - Code: core/plausible.go, core/append_entries.go, core/election.go, core/snapshot.go,
//     actors/snapshots/receiver.go
//   - Tests: TestImplausibleMessagesAreDropped, TestSnapshotMeta, TestTermJump, TestAnswerFarAhead,
//     TestTermsFarApart
//   - Mutants: "a term raised by more than 2^32"
package core
