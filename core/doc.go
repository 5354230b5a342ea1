// Package core is the Raft protocol of one group on one node, as a pure function.
//
// [Engine] takes one [Event] at a time and says what is to be done as a list of [Command] values.
// [Stream] does the same for the replication to one follower. Neither has a goroutine, a channel, a
// clock, a logger or I/O, and the only imports are the standard library and package membership. Time
// comes in with each event, and jitter comes from a generator that [Config] seeds. So the same
// events give the same commands, and a simulator can replay a whole cluster.
//
// Files are named as in the papers: election.go, append_entries.go, commit.go, read_index.go,
// snapshot.go. What must always hold of an engine stands in invariants.go, and tests and the
// simulator check it after every step.
//
// The rest of this page is the list of the safety rules. Code, tests and guide quote them by number.
// Below each rule stand the files that carry it out and what keeps it: tests, golden scripts
// (core/testdata), and from internal/simulation the checkers and the mutants. A checker compares all
// nodes of a simulated cluster with one history. A mutant breaks the rule on purpose, and a test
// must notice. A test without a package is one of core. What a rule does not do yet is marked "Not
// yet". Rules 1 to 10 are about writes, 11 to 16 about terms and leases, 17 to 19 about identity, 20
// to 23 about membership, 24 and 25 about snapshots, 26 about reads, and 27 to 32 about strangers,
// names and the forming of a cluster.
//
// An identity is a node id together with the incarnation of its store. A member is an identity, not
// an id.
//
// # Rule 1: Writes are numbered, and durability is a watermark
//
// The writes of a group are counted by an [IOID]. [Flushed] with n says that all writes up to n are
// durable. A notice reaches only the run of the group that submitted the write. The engine remembers
// where the log ends after each write. A truncation at index i cuts that end to i-1 for every
// earlier write, and a reset cuts it to what is committed. So the same index and term, written a
// second time, do not count as durable because of the first time. A write that was split is durable
// with its last part.
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
//   - Code: core/office.go, core/commit.go
//   - Tests: TestPaperCommitTable
//   - Scripts: async_writes
//   - Mutants: "leader counts itself before its disk"
//   - Checkers: ruleCommitQuorum
//
// # Rule 3: An answer leaves when the write it depends on is durable
//
// This holds for an accepted append, for a granted vote, and for the requests of a candidate, which
// depend on its vote for itself. The answer is complete when it is attached to the write; nothing is
// filled in later. It waits for the last write that touched any index up to its match, and for the
// term. If that write is already under way, the answer waits behind it in an empty write. Heartbeats
// and refusals never wait for a disk. The answer to a heartbeat tells the durable match. A
// connection that broke sends the stream back to probing.
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
// An append of the current term proves the follower's log equal to the leader's up to its last
// entry. The follower's commit index never passes that. A heartbeat proves nothing. An append
// removes entries only from the first one whose term differs. It never removes entries because it
// ends before the log does.
//
//   - Code: core/append_entries.go, core/engine.go, core/stream.go
//   - Tests: TestCommitOnlyWhatIsProved, TestPaperFollowerCommits, TestPaperRequestsAreIdempotent
//   - Scripts: heartbeat_proves_nothing
//   - Mutants: "commit by a heartbeat that proves nothing"
//
// # Rule 5: Old answers do not count
//
// Answers carry the term, the stream and the store's incarnation. One of a lower term, of another
// stream or of another incarnation is dropped. A higher term makes a leader step down if it comes
// from a member under the incarnation that the group knows.
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
// within one. A vote compares the accepted log, durable or not, and leaves when all of that is
// durable.
//
//   - Code: actors/log_actor.go, actors/node.go, core/vote.go
//   - Tests: TestPaperVoteComparesAcceptedLog, actors.TestLogActorFailedWriteReleasesNothing,
//     actors.TestLogActorCoalescesAndKeepsOrder, actors.TestStoreFailureStopsAllItsGroups,
//     troupe.TestDiskFails
//   - Mutants: "failed write released"
//
// # Rule 7: Nobody leads a term that this process did not win
//
// A leader that was restarted is a follower, also as the only voter. The only voter campaigns at
// once, in a new term. Otherwise an entry that the followers have and the leader's disk lost would
// be written again with other content under the same term and index.
//
//   - Code: core/engine.go, core/office.go, core/invariants.go
//   - Tests: TestPaperStartsAndStaysFollower, TestSilenceAndSoleVoter
//   - Scripts: restarted_leader, single_node
//   - Mutants: "leadership resumed after a restart"
//   - Checkers: ruleElectionSafety
//
// # Rule 8: What is loaded is durable, and a durable machine stays behind the disk
//
// After a kill the page cache can show what was never synced. So a store makes durable what Load
// returns. A state machine that keeps its state over a restart is applied at most up to what is
// durable here. A volatile one may follow the commit index. At the start the commit index is the
// largest of the stored one, what is applied and the snapshot's, and at most the last index.
//
//   - Code: core/engine.go, core/config.go, storage/log_store.go
//   - Tests: TestApplyStaysBehindFlush, TestCommitAtStart, storage/badger.TestDurableLogStore,
//     storage/badger.TestKillLogStore
//   - Checkers: ruleDurable
//
// # Rule 9: The log in memory holds all that is not durable
//
// A group keeps the end of its log in memory, from the lowest index that an unfinished write
// touches. What is not there can be read from the store. Each truncation or reset raises the
// generation of the log, and a read that was begun in another generation ends the stream.
//
//   - Code: actors/tail.go, core/stream.go
//   - Tests: actors.TestTailServesWhatIsUnflushed, actors.TestTailGenerations,
//     actors.TestTailLowestUnflushedOfSeveralWrites, actors.TestTailIsItsModel
//
// # Rule 10: One append is one consistent read
//
// The entries of an append and the id of the entry before them come from the same read. A stream
// that finds an entry of a newer term than its own ends: the log belongs to another leader.
//
//   - Code: core/stream.go, actors/tail.go
//   - Tests: TestStreamEnds, TestStreamDropsOutdatedRead, actors.TestTailConcurrentReads
//
// # Rule 11: Pre-vote and check-quorum are always on
//
// A peer that does not answer grants nothing. A node refuses a pre-vote if it could not make a vote
// durable: while one of its writes has been out for longer than an election time-out. A candidate's
// time starts when its own vote is durable.
//
// Campaigns that end without a leader lengthen the next waits, before a campaign and in it. From the
// second on each doubles them, up to the longer of 32 election time-outs and 8 times the slowest
// sync. To hear a leader or to win ends that. So clusters whose disks are slower than the time-out
// still elect.
//
// The refusal of a pre-vote carries the term of who refuses, and the asker adopts it. Under a
// promise or in the silence (rules 12 and 13) a request is refused, its term is not adopted, and the
// refusal says how many milliseconds are left. The asker tries again then.
//
//   - Code: core/vote.go, core/election.go, core/check_quorum.go
//   - Tests: TestPromise, TestHungDiskGrantsNoPreVote, TestCandidateWaitsForItsVote,
//     TestFruitlessCampaignsDouble, TestSlowDisksElect
//   - Scripts: pre_vote, check_quorum, slow_disks
//   - Mutants: "doubling that never resets"
//
// # Rule 12: The answer to a heartbeat is a promise
//
// It says for how many milliseconds, from the receipt of the heartbeat, this follower votes for
// nobody else. The promise also binds its own campaigns. Election time-outs may differ between
// nodes, because each follower names its own. Clocks count the time for which the machine was
// suspended, where the system tells it.
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
// # Rule 13: After its start a node is silent
//
// The longest promise that may be alive stands in the header of the store before it is first given.
// After a start a node neither votes nor campaigns, pre-votes included, for the longer of that and
// its configured one, whatever its configuration of members says. Exempt is only who is the sole
// voter of every configuration that it knows. The record comes down as the silence is served, to the
// longer of what is left and the longest promise of this life. So neither one long setting nor a
// loop of restarts makes every later start longer.
//
//   - Code: core/vote.go, core/election.go, actors/keeper.go, actors/node.go, actors/start.go,
//     storage/log_store.go
//   - Tests: TestSilenceAndSoleVoter, TestSilenceBindsEveryNode, TestSilenceOutlastsPromotion,
//     TestSilenceDoesNotHoldAForming, actors.TestPromiseComesDown, actors.TestPromiseOfThisLifeStays,
//     troupe.TestLongPromiseIsServedOnce, internal/simulation.TestLongPromiseComesDown,
//     storage/badger.TestRefusedPromiseIsNotRecorded
//   - Scripts: silence_after_start
//   - Mutants: "promise given before it stands on the disk", "a promise lowered before the silence is
//     over", "silence for voters only"
//   - Checkers: rulePromiseHeader, rulePromise
//   - Not yet: the exception for a transfer of leadership (rule 14)
//
// # Rule 14: A transfer of leadership overrides promises, in its own term only
//
// TimeoutNow counts only in the term T in which it was sent. It starts one campaign, in term T+1, at
// once and without a pre-vote. Its flag overrides promise and silence, at the target and at the
// voters, only while their own durable term is T. A target refuses while it installs a snapshot, is
// sick or paused, is a learner, or lacks the state of its machine (rule 24). A voter's own state
// does not matter. Before it is sent, the leader has stopped admitting proposals, has given up its
// lease, and has ended what the application runs while it leads. Lease reads of that term become
// ReadIndex reads, also if the transfer fails.
//
//   - Not yet: all of it. VoteRequest has room for the flag, and nothing sets or heeds it.
//
// # Rule 15: What was said comes before what timed out
//
// The core takes its inbox first and reads the clock after that. After a pause it handles the
// messages before it acts on timers. A timer that fires later than it should by more than an
// election time-out is put off once.
//
//   - Code: actors/core_actor.go, core/timers.go, core/forming.go, core/stuck_entries.go,
//     network/tcp/pace.go
//   - Tests: TestLateTimers, TestSleepDuringAForming, network/tcp.TestHeldUpProcessBlamesNobody
//
// # Rule 16: A leader that cannot work leaves office
//
// A leader leaves office after a limit in three cases. Its own disk does not reach what was
// committed when the limit began. Its state machine finishes nothing while a voter reports a higher
// applied index. Or no quorum accepts entries that it has given to the network, and toward no quorum
// bytes leave. If all disks are slow, the commit index does not run ahead, and the leader stays.
//
// Who left for its disk or machine campaigns when that has caught up. Who left for entries that did
// not pass lets the others campaign first, for four election time-outs.
//
// The answer to a heartbeat tells the accepted index beside the durable one. Where a peer answers
// heartbeats and accepts no entries for a limit, the leader breaks the bulk connection to it, each
// time after a longer wait. Bytes that leave put this off for ten limits at most, those of other
// groups for as long as they leave. Who waits for its disk or for a snapshot is left alone.
//
//   - Code: core/check_quorum.go, core/stuck_entries.go, core/election.go, actors/timers.go,
//     network/tcp/sent.go
//   - Tests: TestHungMachine, TestBreaksHungConnection, TestLeaderWhoseEntriesVanishLeaves,
//     TestOthersElectWhereEntriesVanish, TestAcceptedOfTheLatestRound,
//     TestHungConnectionOfANewLearner, TestAppliedIsAtMostTheCommit,
//     actors.TestProgressIsAskedOfWhoLacksEntries, network/tcp.TestSentOverConnections
//   - Scripts: hung_disk
//   - Not yet: to hand over by TimeoutNow before leaving, to stay while no healthy voter answers, and
//     to campaign in spite of a sick machine after four time-outs without a leader
//
// # Rule 17: A store has one identity and one life at a time
//
// The header of a store holds the node id, a random incarnation and a start counter that is raised
// at each opening. Connections begin by showing them. A message for another node, or the store of
// another node, is refused by name. So is a start counter below the highest that was seen, and the
// highest one with the nonce of another process: that is an old copy of a directory. If the peer
// that refuses is proved (rule 29), the refusal is written into the copy's header. Such a store
// opens for inspection only, and nothing takes that back.
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
// A node that is told to begin a cluster asks every member of the list: who it is, whether it is
// empty, and for its grant (rule 31). If one of them fails, nothing is written. Then the node begins
// a cluster with itself as the only voter. The first entry records the wanted members, and the node
// brings them in. Until the wanted configuration is committed no proposal is admitted. If the leader
// dies, the next one goes on.
//
// The hash of the founding list, sorted and without incarnations, is what "the same list" means,
// also after members have changed. It stands in every configuration. To bootstrap again with the
// same list does nothing, and with another one is an error. While a bootstrap cannot finish, the
// status says whom it waits for. An empty group never votes.
//
//   - Code: core/forming.go, core/bootstrap.go, core/configurations.go, core/office.go, core/vote.go,
//     membership/founding.go
//   - Tests: TestBootstrapRefusals, TestBeginsWithAllGrants, TestUnreachableMember,
//     TestListsOfABootstrap, TestEmptyNodeAdoptsCluster, membership.TestFoundingIsOfTheList,
//     TestFoundingIsCarried, troupe.TestBootstrapComparesWholeLists
//   - Scripts: bootstrap_three, bootstrap_interrupted
//   - Checkers: ruleEmptyVotes
//
// # Rule 20: Who may campaign, and who is answered
//
// A node may campaign if it is a voter, in either half, of its latest configuration or of any since
// the last one that it knows to be committed, that one included. It counts votes by the latest
// configuration, and its own vote only if it is a voter of it. A vote request always gets an answer,
// whatever the configuration of who is asked says, because that may be old.
//
//   - Code: core/configurations.go, core/election.go, core/vote.go, core/identity.go
//   - Tests: TestMayCampaign, TestRemovedLeader, TestRequestsOfStrangersAreAnswered,
//     TestWhoHasProvedTheIDGetsAVote, TestReplacedIncarnationRaisesNoTerm
//
// # Rule 21: A joint change needs learners that are ready and a quorum that answers
//
// Changes that touch a voter go through a joint configuration. The joint entry is appended only when
// three things hold. Every incoming voter has durably acknowledged, in this term and under its
// incarnation, the entry that made it a learner: no voter is ever empty. Each lags by less than a
// bound. And each half has a quorum of members that answered a round of this term within the last
// election time-out. This holds for the joint entry of a bootstrap too. The next change starts only
// when the last one is committed and the leader has committed an entry of its own term.
//
//   - Code: core/bootstrap.go, core/commit.go
//   - Tests: TestJointEntryOfABootstrapNeedsAQuorumThatAnswers, TestJointChanges
//   - Scripts: bootstrap_three, wanted_member_wiped
//   - Not yet: changes on request, with NotCaughtUpError for who is not ready. A half that dies after
//     the joint entry needs an offline recovery, which is not there either.
//
// # Rule 22: A joint configuration is always finished
//
// A joint configuration that a dead leader left behind is completed by the next leader. A leader
// that is no voter of a half never counts itself in it. One that votes no more leaves office when
// the configuration without it is committed.
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
// A configuration is in force from the moment that it is appended. A truncation brings the one
// before into force again. Role, quorum, streams and timers are evaluated anew, and the network
// learns the addresses again. At the start the store tells the configurations among its entries.
//
//   - Code: core/configurations.go, core/office.go, actors/core_commands.go
//   - Tests: TestConfigurationRollsBack, TestLostConfiguration
//
// # Rule 24: A snapshot replaces the log only if it is news
//
// A snapshot is news if its index is above the commit index and the accepted log does not hold its
// entry. That is decided in the very step that empties the log. If the log holds the entry, nothing
// is removed, and the commit index moves to it.
//
// To install a snapshot takes four steps, each of which a crash may repeat: the file is durable
// under its name; one write resets the log to the snapshot's LogID; the machine is restored; older
// files go. From the reset to the end of the restore the node does not campaign. At the start the
// parts are compared. A log that lacks the snapshot's entry is reset, and a contradiction is
// ErrCorrupt.
//
//   - Code: core/snapshot.go, core/engine.go, core/election.go, actors/snapshots/receiver.go,
//     actors/apply_actor.go
//   - Tests: TestStateCheck, TestInstall, TestSnapshotOfHeldEntry, TestNewEngineRefusesDamage,
//     TestSnapshotAheadOfHardState, TestSnapshotOfANewerTermAtTheStart
//   - Scripts: crash_during_install, snapshot_is_no_news, snapshot_at_last_index
//   - Checkers: ruleReset, ruleSnapshot, ruleRestoreBack
//   - Not yet: to start with a whole log and a machine that lacks the purged part, and to ask the
//     leader for a snapshot of the machine alone. Today such a state is ErrCorrupt.
//
// # Rule 25: A transfer resumes only on the same snapshot
//
// The same means equal LogID, size and checksum. While a snapshot is on its way, the log after it
// is kept for its receiver, up to a number of entries.
//
//   - Code: actors/snapshots/receiver.go, actors/snapshots/sender.go, core/snapshot.go
//   - Tests: TestSnapshotPolicyAndPurge, actors.TestSnapshotBringsALaggingFollowerUp
//   - Scripts: slow_follower_after_compaction
//   - Checkers: rulePurge
//   - Not yet: bounds in bytes and in time since the last progress
//
// # Rule 26: No read before the leader has committed in its own term
//
// Earlier reads wait for that. A read joins the next round of heartbeats, never one that is under
// way. An answer to round m confirms all rounds of its term up to m, by the configuration that is in
// force then. Every heartbeat is a round, and numbers are not used again. Followers and learners ask
// the leader for the index only, and read their own state machine.
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
// count without it: questions who somebody is, the answers to these, and what an empty group
// answers to a stream that named its incarnation. The id is told to nobody who has not shown it,
// with one exception: a learner, by its identity, that the configuration admits and that has
// acknowledged nothing yet. No refusal names it. Logs, traces and the status show a hash.
// Membership cannot be the test: a follower that lags must accept a leader that was added by an
// entry which it does not have.
//
//   - Code: core/identity.go, core/cluster_id.go, core/stream.go, actors/bootstrap.go,
//     actors/proposals.go, actors/snapshots/sender.go
//   - Tests: TestUnprovedMessagesCountForNothing, TestIntroductions, TestStreamIntroduces,
//     TestForgedRefusal, TestOneHeartbeatDestroysNoCluster, TestLaggingFollowerAcceptsUnknownLeader,
//     TestClusterIDIsNotPrinted, network/wire.TestClusterIsNotSent
//   - Scripts: stranger
//   - Mutants: "cluster id 0 accepted", "a refusal without the id heeded"
//   - Checkers: ruleInTheClear
//
// # Rule 28: Foreign code runs where nobody else waits
//
// The store is called by the log actor, the state machine by the apply actor, and the resolver of
// names on goroutines of its own. What hangs there takes with it only those who need its answer.
// While a call is out, its actor has not ended and the group is not done. Events go to whoever takes
// them through a bounded queue that counts what it drops.
//
//   - Code: network/tcp/resolve.go, actors/log_actor.go, actors/apply_actor.go,
//     actors/stage/shell.go, events.go
//   - Tests: network/tcp.TestResolveHangsAlone, troupe.TestEventQueueDropsTheOldest,
//     actors/stage.TestShellWithCallsThatEndLater
//   - Not yet: loggers, meters and tracers are called by the actors themselves
//
// # Rule 29: What a connection says of itself is a hint until it is proved
//
// A certificate proves which node a process is. To know the cluster id of a group proves that it
// takes part in that group. This second proof is made for each connection and group, within the
// connection, before the group's first message. It is a MAC, under a key derived from the cluster
// id, over the role of the side, the group, the class, and the identities, start counters and
// fresh nonces of both. The id is not sent. Replayed and reflected proofs do not count.
//
// A message arrives marked as proved or not, and the core decides. Without a proof only these
// count: requests to identify and their answers, grants (rule 31), and what the learner of rule 27
// says up to its first acknowledgement. Only what is proved is kept on disk, refuses another
// connection, or replaces what was known. Unproved connections never shut out proved ones.
// Messages carry no MAC of their own, so without TLS somebody on the path can change what follows
// a proof.
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
// A control connection on which an answer is due that waits for no disk, and on which nothing is
// heard for about an election time-out, is replaced by a new one, also while nobody leads. Vote
// requests are acknowledged at once for that. An answer goes back on the newest proved connection of
// the process that asked.
//
// A node says where it listens when it connects. The address of a known identity is learned from a
// connection that it has proved, and is kept beside the store. Proved peers pass learned addresses
// on as hints. The configured address and the learned one are dialled by turns, and a newer
// SetAddress drops what was learned. Names are resolved at each dial. An address from an unproved
// connection is dialled last, and that dial must prove it.
//
//   - Code: network/tcp/suspect.go, network/tcp/addresses.go, network/tcp/link.go,
//     network/tcp/connection.go, network/tcp/proven.go, network/tcp/resolve.go,
//     network/inproc/network.go, storage/log_store.go
//   - Tests: network/tcp.TestDarkLinkIsReplaced, network/tcp.TestRequestsAreAcknowledged,
//     network/tcp.TestTwoSwap, network/tcp.TestAllMoveAndEachIsToldOneOther,
//     network/tcp.TestStrangerAtAnOldAddress, network/tcp.TestLearnedAddressesArePassedOn,
//     network/tcp.TestResolveIsAskedAtEachDial, actors.TestKeeperKeepsPeers
//
// # Rule 31: A cluster begins only under the exclusive grants of all
//
// An empty group that is asked grants one attempt: one beginner, one nonce, one list. The grant
// lasts as long as the asking says, from its receipt. Beginners ask for the longer of 10 s and an
// election time-out at first, and for twice as long after each attempt that ran out, up to 5
// minutes. While a grant lives, the group grants nothing else, begins nothing itself, and follows no
// stream but the beginner's. A grant is durable before it is told. After a restart it counts anew
// from the start, but one to oneself is void.
//
// A beginner needs the grants of all members, its own too, for this attempt. It decides on its first
// entry only while all of them live on its own clock, less the drift. An attempt that ends releases
// its grants. Where two beginners have the same list the lower id goes first. Asked by a lower id, a
// node gives up its own attempt, and asks again only when that id has not asked for 3 election
// time-outs. So two clusters never begin from one list.
//
// Whoever asks with the list of a cluster that has begun waits to be brought in. While only the
// beginner votes, a wanted member that has acknowledged nothing and shows itself empty under another
// incarnation is exchanged for the new one. Later it is told that it lost its data.
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
// Terms and indexes above 2^62 are refused, so that no sum of two overflows. A message raises the
// own term by 2^32 at most, and such a jump is made once an election time-out and grants no vote. A
// group without an entry takes any valid term. An answer that is further above deposes no leader
// whose quorum answers without that peer. It is told, and the peer has to be replaced. A snapshot is
// of a term that its leader's has reached. The log is reset for it only if the file is whole and
// checked.
//
//   - Code: core/plausible.go, core/append_entries.go, core/election.go, core/snapshot.go,
//     actors/snapshots/receiver.go
//   - Tests: TestImplausibleMessagesAreDropped, TestSnapshotMeta, TestTermJump, TestAnswerFarAhead,
//     TestTermsFarApart
//   - Mutants: "a term raised by more than 2^32"
package core
