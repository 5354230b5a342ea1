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
//     network/inproc/proven.go, network/internal/seen/seen.go, storage/log_store.go,
//     actors/disk/keeper.go
//   - Tests: TestIdentity, TestEmptyNodeAdoptsCluster, TestEmptyGroupIsNotCaptured,
//     TestAdoptionIsDurableBeforeTheFirstAck, actors.TestOutlivedStoreIsRefused,
//     network/internal/seen.TestMeet, network/internal/seen.TestOvertaken,
//     network/tcp.TestRefusalMustBeProved, storage/badger.TestInspectLogStore,
//     troupe.TestPinnedCluster, troupe.TestStoreOfAnotherNode, internal/simulation.TestRestoredCopies
//   - Mutants: "an old copy that is told and lives on"
//   - Checkers: ruleCluster
//
// # Rule 18: A node that lost its data cannot vote
//
// A quorum counts identities. Votes, acknowledgements, answers to heartbeats, promises and terms of
// another incarnation are ignored. To replace a node, its new incarnation becomes a learner first. A
// joint change follows, in which the old incarnation counts only in the old half and the new one
// only in the new half. The leader asks who answers in the place of the old one, takes the only one
// that does, and refuses if there are two. The choice is in the first entry of the change. A member
// that answers is not replaced.
//
// Identity belongs to the group, too. A node deletes its replica of one group only when it knows that
// its removal is committed. That leaves a durable tombstone, and a group begun anew in that store has
// another incarnation, in which the store's is still found.
//
//   - Code: core/identity.go, core/vote.go, core/election.go, core/stream/stream.go,
//     core/stream/probe.go, core/read_index.go, core/change_nodes.go, core/change_order.go,
//     membership/steps.go, membership/quorum.go, membership/generation.go, actors/replicas.go,
//     internal/replica/replica.go
//   - Tests: TestVotesOfStrangersAreIgnored, TestReplacedIncarnationRaisesNoTerm,
//     TestReaderOfAnotherIncarnation, TestLostDataOfTheSameIncarnation,
//     membership.TestQuorumCountsIncarnations, membership.TestPlan, TestStaleMatchesAreDropped,
//     TestWhoTheyAre, TestReplaceTheLiving, TestOwnEarlierIncarnation, TestRandomChanges, membership.TestReplicas,
//     troupe.TestNodeRemove, troupe.TestNodeRemoveRefuses, troupe.TestDeletedReplicaVotesOnce
//   - Scripts: emptied_member, change_replace
//   - Mutants: "message for another incarnation accepted", "an acknowledgement of another
//     incarnation counted"
//   - Checkers: ruleEmptied
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
//     membership.TestFoundingIsCarried, troupe.TestBootstrapComparesWholeLists
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
//   - Mutants: "a campaign refused to an old voter", "a configuration in force when it is committed"
//
// # Rule 21: A joint change needs learners that are ready and a quorum that answers
//
// Changes that touch a voter go through a joint configuration. The joint entry is appended only when
// three things hold. First, every incoming voter has durably acknowledged, in this term and under
// its incarnation, the entry that made it a learner. So no voter is ever empty. Second, each of them
// lags by less than a bound. Third, each half has a quorum of members that answered a round of this
// term which began within the last election time-out. The three things are required for the joint
// entry of a bootstrap too. The next change starts only when the last one is committed and the leader has
// committed an entry of its own term. The bound is a number of entries, or what the log grows by in
// an election time-out.
//
// The target of a change, its id and its options are in every configuration of it, so that it
// survives its caller and its leader. What a node asks a leader for has a number that no earlier life
// of the node has used: an answer to that is not taken for its own. Of orders that no entry tells of the
// leader remembers the last ones and what it has answered: one that was cancelled begins nothing anew when it is
// asked again. A change whose newcomers make no progress for its limit, or
// never get near, is given up before any joint entry, and the learners that it added are removed. They
// never get near if ten rounds of catching up take too long, or one that takes longer than the limit
// takes longer than the one before. A
// change that could not be committed is refused, when for an election time-out too few voters have
// answered. A time for which the leader was asleep counts for none of this (rule 15). Only addresses,
// priorities and tags may change beside another change. A half that dies after the joint entry needs an offline recovery, and the
// status says so.
//
// A recovery makes a survivor the only voter of another cluster. One write brings the new cluster's
// id, a term that is 2^20 above the survivor's, and an entry with the configuration. That entry tells
// a hash of the id before, so that a snapshot which still has it counts, and who was left behind, so
// that they can be told. It is committed at once: nothing of the cluster before is taken back.
//
//   - Code: membership/plan.go, membership/steps.go, membership/recovery.go, core/change_order.go,
//     core/change_steps.go, core/change_request.go, core/change_ended.go, core/bootstrap.go,
//     core/commit.go, core/recovery.go
//   - Tests: TestJointEntryOfABootstrapNeedsAQuorumThatAnswers, membership.TestPlanMatrix,
//     membership.TestJointArithmeticExhaustively, TestChangeWaitsForTheOwnTerm,
//     TestExchangeWaitsForTheOwnTerm, TestJointEntryNeedsReadyNewcomers, TestNewcomerThatKeepsPace,
//     TestNewcomerThatFallsBehind, TestNewcomerThatIsMuchSlower, TestChangeIsGivenUp, TestNewHalfDiesWhileCatchingUp,
//     TestChangeThatCannotCommit, TestSleepIsNobodysSilence, TestSleepIsNoSlowNewcomer, TestChangeMatrix, TestRandomChanges, TestPlanRecovery,
//     TestAutomaticChangeJoinedByHand, TestAnswerToAnEarlierLife, TestCancelledWhileItAsks, TestCancelledWhileItCatchesUp, TestFormerSnapshot,
//     TestLeftBehind, membership.TestRecover, troupe.TestRecover,
//     troupe.TestRecoverAndCrash, troupe.TestTwoSurvivorsRecovered, internal/simulation.TestRecoveries,
//     actors/snapshots.TestFormerSnapshotIsOfThisCluster
//   - Scripts: bootstrap_three, wanted_member_wiped, change_add_voter, change_not_caught_up,
//     change_cancelled, change_cancelled_answer_lost, change_in_the_way, change_automatic_yields, change_demote, change_members_move
//   - Mutants: "a change before a commit in the own term", "an exchange before a commit in the own
//     term", "next change before the commit of the last", "joint left before it is committed", "a
//     simple majority in a joint configuration", "a learner that is counted", "an outgoing half
//     counted after the joint phase", "a newcomer that votes before it has its admission", "a snapshot
//     sent under the id of the cluster before", "the snapshot of a cluster before that is not taken",
//     "orders of two lives have the same number", "a cancelled order begun anew"
//   - Checkers: ruleChangeEarly, ruleChangeBefore, ruleOneChange, ruleQuorumsMeet, ruleVoterAdmitted,
//     ruleChangeEnds, ruleChangeAnswer, ruleChangeError
//
// # Rule 22: A joint configuration is always finished
//
// If a leader dies and leaves a joint configuration, the next leader completes it. A leader that is
// no voter of a half never counts itself in that half. A leader that leaves the voters hands over
// first, when the joint configuration is committed. If nobody can take over, it steps down when the
// configuration without it is committed.
//
// The stream to a member that was removed goes on until that member knows it. A member that comes
// back later and asks for something is sent Removed. That carries the LogID of a committed
// configuration, and is heeded only if it is above the receiver's own latest one. It stops the
// receiver's campaigns, and deletes no data. If the sender's log still tells which change has
// removed the node, Removed names it, so that whoever asked for it there learns that it is done. That
// it was removed, and by which configuration, is saved in its hard state, for its next lives,
// until a committed configuration has it again. Who has lost what told its members (rule 24) heeds a
// removal only if it is above what its log has purged.
//
//   - Code: core/change_steps.go, core/removed.go, core/commit.go, core/snapshot.go
//   - Tests: TestRemovedLeader, TestRemovedLeaderStaysForTheCommit, TestRemovedIsHeeded,
//     TestWhoIsToldRemoved, TestRemovedPeerHearsOfIt, TestRemovedMemberDisturbsNobody,
//     TestLeaderDiesInEachPhase, TestRemovedNodeHearsOfItsChange, TestWhoRemovedIt,
//     TestRemovedOverARestart, TestRemovedBehindASnapshot, TestRemovalIsDurable,
//     TestLostConfigurationOfWhoCameBack
//   - Scripts: bootstrap_interrupted, change_remove_leader, change_remove_leader_alone,
//     change_leader_dies_catching_up, change_leader_dies_joint, change_removed_while_away
//   - Mutants: "a removed leader that leaves before the commit", "a removal heeded that is not the
//     latest", "a removal that a restart forgets", "a removal that is never over"
//   - Checkers: ruleRemovedLeads
//
// # Rule 23: A truncation takes a configuration back
//
// A configuration is in force from the moment that it is appended. When it is truncated, the one
// before it is in force again. Role, quorum, streams and timers are evaluated anew, and the network
// gets the addresses again. At the start the store tells which of its entries are configurations.
//
//   - Code: core/configurations.go, core/leader_state.go, actors/core_commands.go
//   - Tests: TestConfigurationRollsBack, TestLostConfiguration, TestSnapshotForgetsNoPredecessor
//   - Scripts: change_rolled_back
//   - Mutants: "a predecessor forgotten at a snapshot", "a configuration that is not taken back"
//
// # Rule 24: A snapshot replaces the log only if it is newer
//
// A snapshot is newer if its index is above the commit index and the accepted log does not hold its
// last entry. The engine decides that in the very step that empties the log. If the log holds the
// entry, nothing is removed, and the commit index moves to it.
//
// To install a snapshot takes four steps: the file is durable under its name; one write resets the
// log to the snapshot's LogID; the machine is restored; older files are removed. After a crash any
// step may be repeated. From the reset to the end of the restore the node does not campaign, unless
// that takes longer than a limit and nobody is heard to lead (rule 16). At the start the file, the
// log and the machine are compared. A log that lacks the snapshot's last entry is reset, and a
// contradiction is ErrCorrupt.
//
// A node whose log is whole, and whose machine lacks what the log has purged, starts, votes and
// acknowledges. It applies nothing, does not campaign while others may, and its answers to
// heartbeats ask the leader for a snapshot that is not below its purge point. For its machine a
// snapshot is news if it is above what is applied: only the machine is restored, and the log above it
// is kept. A sole voter, and a node that never had to do with another, stop with ErrCorrupt.
//
// The same holds where a durable machine has kept all that was purged, and the snapshot or record
// is lost that told its time and configuration. The machine alone is not enough: nobody knows who
// votes, and what was made of it would tell others wrong. So no snapshot, record or backup is made
// of what this node does not know the time or the configuration of. It asks for a snapshot that is
// not below what its machine holds; one of just that is news. It needs none as soon as an entry of
// its own log tells the configuration and is committed.
//
//   - Code: core/snapshot.go, core/machine_lost.go, core/engine.go, core/health.go,
//     actors/snapshots/receiver.go, actors/apply_actor.go
//   - Tests: TestLostConfiguration, TestLostConfigurationIsInTheLog, TestLostConfigurationAlone,
//     TestLostConfigurationIsTakenBack, actors.TestRecordIsLost,
//     actors.TestNothingIsMadeOfWhatIsUnknown, TestMachineIsLost, TestMachineIsLostAndTheLogToo,
//     TestLostMachineCampaignsLast,
//     TestLostMachineAlone, TestLeaderGivesAMachine, TestSnapshotBringsItsMembers, TestStateCheck, TestInstall, TestSnapshotOfHeldEntry, TestNewEngineRefusesDamage,
//     TestSnapshotAheadOfHardState, TestSnapshotOfANewerTermAtTheStart,
//     actors.TestSnapshotSaysWhatItIsOf, actors.TestCrashAtEveryStep, troupe.TestCrashImagesOfAnInstall,
//     troupe.TestCrashImagesOfBuildAndPurge
//   - Scripts: crash_during_install, snapshot_is_not_newer, snapshot_at_last_index
//   - Mutants: "the configuration of a restored snapshot forgotten", "a campaign within a short
//     restore", "a snapshot over a newer log", "the members of a snapshot ignored", "a snapshot
//     restored before its reset is durable", "a log reset where only the machine is lost", "a machine
//     restored before its log is durable", "a machine that is lost and campaigns", "a restore that a
//     crash interrupted forgotten", "who has lost what told its members goes on", "a record of what
//     nothing tells the configuration of", "a snapshot of what nothing tells the time of"
//   - Checkers: ruleReset, ruleSnapshot, ruleRestoreBack, ruleSnapshotTime, ruleSnapshotConfiguration
//
// # Rule 25: A transfer resumes only on the same snapshot
//
// The same snapshot is one with equal LogID, size and checksum. While a snapshot is on its way, the
// log after it is kept for its receiver, up to a number of bytes, and for a time since the last
// progress. So is what a follower lacks that catches up. A transfer that breaks goes on with the
// snapshot that it had, also if a newer one was made meanwhile, as long as the log goes on from it.
// What has arrived is kept over a restart, for a time. Of a snapshot that is made of files, a file
// that the receiver has is not sent: it was read, and has the checksum that the sender's list says.
// A durable machine is copied only when a follower asks: the log behind that copy is kept from its
// end on, until the follower asks again. If the log passes a copy that waits for its turn, another is
// made, which does not wait once more.
//
//   - Code: actors/snapshots/receiver.go, actors/snapshots/sender.go, core/snapshot.go, core/purge.go,
//     storage/files/partial.go, storage/files/arrival.go
//   - Tests: TestSnapshotPolicyAndPurge, TestRetainedLogWithoutProgress, TestRetainedLogWhileATransferMoves,
//     TestRetainedLogIsBoundedInBytes, actors.TestSnapshotBringsALaggingFollowerUp,
//     actors/snapshots.TestTransferResumesOnTheSameSnapshot, TestBrokenTransferGoesOn,
//     actors/snapshots.TestNewerSnapshotRestartsNothing, actors/snapshots.TestSnapshotNotNeeded,
//     actors/snapshots.TestTransferOfFilesGoesOn, TestRecordsPassNoSnapshotThatIsWaitedFor,
//     TestLogPassesASnapshotThatIsToBeSent, actors/snapshots.TestSnapshotIsGone
//   - Scripts: slow_follower_after_compaction
//   - Mutants: "a transfer resumed on another content", "a transfer that broke begun anew", "a part resumed
//     without comparing", "a file taken for what it was", "the machine's file taken for what it was",
//     "the retained log dropped under a transfer", "records that pass a snapshot which somebody waits for",
//     "a snapshot that is gone before its turn is a failure", "a pause after a failure that each snapshot
//     begins anew"
//   - Checkers: rulePurge
//
// # Rule 26: No read before the leader has committed in its own term
//
// Reads that come earlier wait for that commit. A read joins the next round of heartbeats, never one
// that is under way. An answer to round m confirms all rounds of its term up to m, by the
// configuration that is in force then. Every heartbeat is a round, and numbers are not used again.
// Followers and learners ask the leader only for the index, and read their own state machine.
//
// A bound on staleness is an echo. A node notes its clock and asks the leader. The leader answers
// with its commit index when a round that began after the question, or its lease, has shown that it
// still led. The request's number, which is never used again, stands for what the clock showed. When
// the node has applied that index, its state is as current as the moment of the question.
//
//   - Code: core/read_index.go, core/heartbeat.go, core/lease.go, actors/read.go, actors/reads.go,
//     actors/apply_actor.go
//   - Tests: TestPaperBlankEntryBeforeReads, TestPaperReadNeedsRound, TestReadRounds,
//     TestStaleHeartbeatNamesNoRound, TestLearnerLetsGoOfSilentLeader, TestLeaseEnds,
//     actors.TestReadsWaitForTheirIndex, actors.TestFreshState, actors.TestStaleReadsWithoutALeader,
//     troupe.TestTooStale
//   - Scripts: read_index, read_on_follower, read_on_learner, read_stale_answer
//   - Mutants: "read without a round of confirmation", "round joined after it began", "lease before
//     the first commit of the term", "stale bound from the local clock only"
//   - Checkers: ruleStaleRead, ruleReadEarly, ruleTooStale, ruleAtLeast
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
//   - Code: core/identity.go, core/cluster_id.go, core/stream/stream.go, actors/bootstrap.go,
//     actors/proposals.go, actors/replication_actor.go, actors/snapshots/sender.go
//   - Tests: TestUnprovedMessagesCountForNothing, TestIntroductions,
//     core/stream.TestStreamIntroduces, TestForgedRefusal, TestOneHeartbeatDestroysNoCluster,
//     TestLaggingFollowerAcceptsUnknownLeader, TestClusterIDIsNotPrinted,
//     actors.TestStreamHearsBeforeItSendsWhatItRead, network/wire.TestClusterIsNotSent
//   - Scripts: stranger
//   - Mutants: "cluster id 0 accepted", "a refusal without the id heeded"
//   - Checkers: ruleInTheClear
//
// # Rule 28: Foreign code runs where nobody else waits
//
// The log actor calls the store, the apply actor calls the state machine, and the resolver of names
// is called on goroutines of its own. A call that hangs there holds up only those who need its
// answer. While a call is under way, its actor has not ended and the group is not done. What reached
// a stream's actor before such a call began, or during it, is heard before its answer is used. Events go to
// whoever takes them through a bounded queue that counts what it drops, and so do spans, measurements
// and lines of the log: no actor, network or store calls a logger, meter or tracer. What the
// application runs while its node leads has a goroutine of its own, and nobody waits for it but the
// end of the group.
//
//   - Code: network/tcp/resolve.go, actors/disk/log_actor.go, actors/apply_actor.go,
//     actors/stage/shell.go, actors/observe/observer.go, internal/foreign/queue.go, internal/foreign/go.go,
//     internal/foreign/log.go, actors/leading.go, events.go
//   - Tests: network/tcp.TestResolveHangsAlone, network/tcp.TestRudeLoggers,
//     storage/badger.TestRudeLoggers, storage/files.TestRudeLoggers,
//     troupe.TestEventQueueDropsTheOldest, actors/stage.TestShellWithCallsThatEndLater,
//     actors/observe.TestObserverLosesAndCounts, actors/observe.TestStuckTakersHoldUpNobody,
//     internal/foreign.TestQueue, internal/foreign.TestGo, actors.TestLeadingHoldsTheEnd,
//     actors.TestStreamHearsAllThatCameWithWhatMadeItRead,
//     troupe.TestOnLeadingBreaks, troupe.TestKillWaitsForOnLeading
//   - Mutants: "a group that has stopped before its job",
//     "what came with the answer that made a stream read"
//   - Checkers: ruleLeadingStopped
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
//     network/internal/seen/seen.go, core/identity.go, core/stream/stream.go
//   - Tests: TestNewLearnerHasNothingToProve, TestNewLearnerThatAnswersIsNotAsked,
//     network/tcp.TestReplayedHelloProvesNothing, network/tcp.TestReflectedProofProvesNothing,
//     network/tcp.TestProofsAreBounded, network/internal/seen.TestCheckRemembersNothing,
//     network/wire.TestProofIsBoundToAllOfIt, actors/disk.TestKeeperKeepsPeers
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
// turns; a newer SetAddress comes before what was learned. Names are resolved at each dial. An address
// from an unproved connection is dialled last, and that dial must prove it. The groups of a node share
// what it knows of addresses, and their configurations may differ. So a group tells an address only
// when that is new in its own configuration.
//
// A learner that hears of no leader asks all members who they are, and so does a node whose log has
// not admitted it yet. It asks nobody for votes, so
// after a move it would dial nobody otherwise, and would never be found. A node that has lost what
// told its members (rule 24) asks all nodes that it has had to do with, whoever they are now, where
// they were last. If another group of the node says where one is, that counts.
//
//   - Code: core/election_deadline.go, network/tcp/suspect.go, network/tcp/addresses.go,
//     network/tcp/link.go, network/tcp/connection.go, network/tcp/proven.go, network/tcp/resolve.go,
//     network/inproc/network.go, actors/core_commands.go, storage/log_store.go
//   - Tests: TestLearnerShowsItself, TestNewcomerShowsItself, TestLostNodeShowsItself,
//     troupe.TestLostSnapshotsElsewhere, actors.TestIntroducedNodeStaysWhereItIs, actors.TestKeptPeers,
//     network/tcp.TestDarkLinkIsReplaced,
//     network/tcp.TestRequestsAreAcknowledged, network/tcp.TestTwoSwap,
//     network/tcp.TestAllMoveAndEachIsToldOneOther,
//     network/tcp.TestStrangerAtAnOldAddress, network/tcp.TestLearnedAddressesArePassedOn,
//     network/tcp.TestResolveIsAskedAtEachDial, actors/disk.TestKeeperKeepsPeers,
//     network/tcp.TestFormerAddressStays, actors.TestOldAddressIsNoNews
//   - Mutants: "who has lost what told its members shows itself to nobody"
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
