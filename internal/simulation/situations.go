package simulation

// situation is something that may happen to a cluster, and in which some rule
// decides. A run counts each where it happens. A situation that no seed meets
// leaves its rule untried, whatever else the seeds try.
type situation int

const (
	// Elections, promises and quiet periods.
	voteInPromise situation = iota
	voteInQuietPeriod
	leaderInQuietPeriod
	termInPromise
	leaderlessInPromise
	preVoteByHungDisk
	slowOwnVote
	voteBehindEntries
	candidateSuperseded
	rivals
	lateVote
	electionExpired
	electionLost
	electionsInARow
	wonEarlierLife
	lateTimer
	quorumLost
	deposed
	diskHung
	machineHung
	entriesStuck
	deposedAsked

	// Transfers, and elections by hand.
	toldInPromise
	toldInQuietPeriod
	toldLate
	targetUnfit
	flagInPromise
	flagInQuietPeriod
	flagRefused
	transferByFollower
	transferByPriority
	transferBeforeTold
	transferAfterTold
	transferAnotherWon
	termRenewed
	proposalInTransfer
	electBound
	pausedWithoutLeader
	jobBeyondLease
	jobBeforeTold

	// The log.
	truncationBelowFlush
	writtenAgain
	configurationTruncated
	heldEntries
	shortAppend
	conflict
	refusedAppend
	earlierTerm
	earlierTermHeld
	ahead
	behindDisk
	unproved
	splitWrite
	tornBatch
	failedWrite
	noRoom
	clockHeld
	clockBehind

	// Streams.
	matchOfEndedStream
	answerOfEarlierTerm
	probeSentAgain
	startedAnew
	windowFull
	connectionBroken

	// Snapshots.
	snapshotOvertaken
	commitInInstall
	chunkInInstall
	crashInInstall
	installAtStart
	installAnswerLost
	transferResumed
	transferReplaced
	transferOfLeaderThatEnds
	snapshotToStranger
	purgeHeldBack
	jointSnapshot
	jointSnapshotInstalled
	jointSnapshotAtStart
	proposalOvertaken
	snapshotByHand
	purgeByHand
	logFollowed
	followCompacted
	snapshotsLost
	recordLost
	lostMoves
	snapshotRots

	// Members.
	readInJoint
	commitInJoint
	electedInJoint
	halfOfJoint
	jointFinishedByAnother
	leaderOutside
	leaderLeaves
	diesCatchingUp
	diesJointAppended
	diesJointCommitted
	diesNewAppended
	changeContinued
	changeRolledBack
	changeCancelled
	changeNotCaughtUp
	changeYielded
	changeInTransfer
	attributesBeside
	leavingHandsOver
	newcomerBySnapshot
	removedTold
	removedReturns
	removedReturnsEmpty
	readdedInTerm
	emptiedReplaced
	bootstrapContinued
	wantedExchanged
	twoBeginners
	lowerIDFirst
	grantOverRestart
	dataLost
	memberMoved
	movedByHint
	squatterAnswers
	forgedMessage

	// Reads and proposals.
	readBeforeCommit
	readBehindRound
	readOfLeaderThatEnds
	readBringsCommit
	readOfAnotherTerm
	readOfLearner
	readWaitsForIndex
	readTooStale
	staleReadAtOnce
	leaseReadAtOnce
	leaseReadOfAnother
	leaseRanOut
	leaseReadInTransfer
	leaseReadAfterAbort
	deposedAskedForLease
	proposalLost
	outcomeUnknown

	// Several groups on a node.
	groupsInABatch
	groupsInATornBatch

	situations = iota
)

// situationTable names and explains them. The guide shows it, with what the seeds of
// go test have met.
var situationTable = [situations]struct{ name, meaning string }{
	voteInPromise:       {"a vote asked for inside a lease promise", "it is refused, and the term is not adopted (rule 11)"},
	voteInQuietPeriod:   {"a vote asked for inside a quiet period", "the last life may have promised, so nobody gets it (rule 13)"},
	leaderInQuietPeriod: {"a leader heard inside a quiet period", "it is followed and promised: only votes are out of the question"},
	termInPromise:       {"a higher term adopted inside the own promise", "a leader of a later term is followed, whatever was promised to the last"},
	leaderlessInPromise: {"a leader lost inside the own promise", "the next campaign waits for the end of it (rule 12)"},
	preVoteByHungDisk:   {"a pre-vote asked of a disk that hangs", "who could not make the vote durable grants none (rule 11)"},
	slowOwnVote:         {"a vote for itself that takes longer than an election time-out", "the candidate's time begins when it is durable (rule 11)"},
	voteBehindEntries:   {"a vote behind entries that are not durable", "it compared them, so it waits for them (rule 6)"},
	candidateSuperseded: {"a candidate that hears the leader of its term", "it follows, and counts no vote any more"},
	rivals:              {"two candidates of one term", "a node votes once in a term"},
	lateVote:            {"a vote for an earlier campaign", "it does not count in this one (rule 5)"},
	electionExpired:     {"an election that nobody wins in time", "the next one waits longer"},
	electionLost:        {"an election that a majority refuses", "the candidate follows again before its time is over"},
	electionsInARow:     {"a third election without a leader", "the waits have doubled (rule 11)"},
	wonEarlierLife:      {"a start in a term that an earlier life has won", "the node does not lead it again (rule 7)"},
	lateTimer:           {"a timer that fires an election time-out too late", "what was said meanwhile is heard first (rule 15)"},
	quorumLost:          {"a leader whom no quorum answers", "it steps down within an election time-out (check-quorum)"},
	deposed:             {"a leader that hears of a higher term", "it steps down at once"},
	diskHung:            {"a leader whose disk hangs", "it leaves when the others have gone on without it (rule 16)"},
	machineHung:         {"a leader whose state machine hangs", "it leaves when a voter has applied more (rule 16)"},
	entriesStuck:        {"a leader whose entries no quorum accepts", "its heartbeats pass and its entries do not (rule 16)"},
	deposedAsked:        {"a deposed leader that is asked to read", "a later term has committed, and it does not know of it yet"},

	toldInPromise:       {"a node told to campaign inside its own promise", "the leader that has the promise has given up its lease (rule 14)"},
	toldInQuietPeriod:   {"a node told to campaign inside its quiet period", "it campaigns: only that leader's term can follow (rule 14)"},
	toldLate:            {"a node told to campaign in a term that is over", "it does not (rule 14)"},
	targetUnfit:         {"a target that refuses to campaign", "it is paused, installs a snapshot, or is sick (rule 14)"},
	flagInPromise:       {"a vote by a transfer's flag inside a promise", "the promise does not stand against it (rule 14)"},
	flagInQuietPeriod:   {"a vote by a transfer's flag inside a quiet period", "the quiet period does not either (rule 14)"},
	flagRefused:         {"a transfer's flag that does not count", "the voter's durable term is another one (rule 14)"},
	transferByFollower:  {"a transfer asked for on a follower", "it is passed on to the leader"},
	transferByPriority:  {"a leader that hands over by itself", "a voter of a higher priority is there"},
	transferBeforeTold:  {"a transfer that fails before its target is told", "the leader admits again, and keeps its lease"},
	transferAfterTold:   {"a transfer that fails after its target was told", "the lease is gone until a new term is won (rule 14)"},
	transferAnotherWon:  {"a transfer after which another leads", "the leader had left, and somebody was faster"},
	termRenewed:         {"a leader that wins a new term for its lease", "it goes on leading (rule 14)"},
	proposalInTransfer:  {"a proposal while the leader hands over", "it is not admitted (rule 14)"},
	electBound:          {"an election by hand inside the own promise or quiet period", "it waits for the end of it (rules 12, 13)"},
	pausedWithoutLeader: {"paused elections where no leader is heard", "the node does not campaign"},
	jobBeyondLease:      {"a job of the leader whose lease runs out", "its context ends, and it does not go on when the lease comes back (rule 14)"},
	jobBeforeTold:       {"a job of the leader that tells another node to campaign", "its context has ended before (rule 14)"},

	truncationBelowFlush:   {"a truncation below a pending flush", "what becomes durable is not what the log holds any more (rule 1)"},
	writtenAgain:           {"an entry that is written, removed and written again", "the same term and index, of which the first may be reported durable late"},
	configurationTruncated: {"a truncated configuration", "the one before it is in force again (rule 23)"},
	heldEntries:            {"an append of entries that the log holds", "nothing is written, and yet the answer waits for what is"},
	shortAppend:            {"an append that ends before the log does", "what is behind it stays (rule 4)"},
	conflict:               {"an append whose entries conflict with the log", "the log is cut at the first entry of another term"},
	refusedAppend:          {"an append refused for an entry of another term", "the leader goes back, a term with each probe (Raft 5.3)"},
	earlierTerm:            {"entries of an earlier term committed behind the leader's first", "its own commit is what commits them (Raft 5.4.2)"},
	earlierTermHeld:        {"an entry of an earlier term that a quorum holds", "it is not committed by that (Raft, figure 8)"},
	ahead:                  {"a commit ahead of the leader's own disk", "the others' disks decide, and its own does not count (rule 2)"},
	behindDisk:             {"a durable machine that waits for its disk", "it is not applied beyond what is durable here (rule 8)"},
	unproved:               {"a heartbeat that tells a commit beyond what is proved", "the follower commits only what an append has proved (rule 4)"},
	splitWrite:             {"a write that is larger than a batch", "it is durable with its last part (rule 1)"},
	tornBatch:              {"a batch of which a crash keeps the first part", "nobody was told of it"},
	failedWrite:            {"a failed write", "it releases nothing and stops the groups of the disk (rule 6)"},
	noRoom:                 {"a leader without room for proposals", "too much is uncommitted, and it refuses more"},
	clockHeld:              {"a leader whose wall clock has jumped ahead", "it counts as far as the process's clock has moved, and an hour"},
	clockBehind:            {"a leader whose wall clock is far behind the group's time", "that goes on at half speed"},

	matchOfEndedStream:  {"a match of an ended stream", "an answer to an earlier stream to the same follower (rule 5)"},
	answerOfEarlierTerm: {"a heartbeat's answer of an earlier term", "it confirms nothing in this one (rule 5)"},
	probeSentAgain:      {"a probe that is sent again", "it or its answer may be lost"},
	startedAnew:         {"a follower that starts anew under a live stream", "its log has to be proved again (rule 4)"},
	windowFull:          {"a full window", "the stream waits for answers"},
	connectionBroken:    {"a bulk connection broken by the leader", "heartbeats are answered on theirs, and entries are not (rule 16)"},

	snapshotOvertaken:        {"a snapshot that the log has overtaken", "it is acknowledged and not installed (rule 24)"},
	commitInInstall:          {"a commit that advances during an install", "nothing is applied before the machine is restored (rule 24)"},
	chunkInInstall:           {"a snapshot that comes during an install", "it is refused"},
	crashInInstall:           {"a crash during an install", "any step of it may have to be repeated"},
	installAtStart:           {"a start that finishes an install", "the file was durable, and the log was not reset (rule 24)"},
	installAnswerLost:        {"an install whose answer is lost", "the leader does not know, and asks again"},
	transferResumed:          {"a transfer that resumes", "it goes on where an earlier one of the same snapshot ended (rule 25)"},
	transferReplaced:         {"a transfer of another snapshot in the middle of one", "the unfinished one is dropped (rule 25)"},
	transferOfLeaderThatEnds: {"a leader that ends while it sends a snapshot", "the next leader may have another one"},
	snapshotToStranger:       {"a snapshot for a node that knows no cluster", "with it a new learner adopts the cluster (rule 17)"},
	purgeHeldBack:            {"a purge that a transfer holds back", "the log behind a snapshot on its way is kept for its receiver (rule 25)"},
	jointSnapshot:            {"a snapshot with a joint configuration", "both halves stand in it"},
	jointSnapshotInstalled:   {"an install of a snapshot with a joint configuration", "the log is empty, and the joint configuration is in force (rule 24)"},
	jointSnapshotAtStart:     {"a start from a snapshot with a joint configuration", "only the snapshot tells it: the entry is purged"},
	proposalOvertaken:        {"a proposal that a snapshot overtakes", "nobody here knows what became of it"},
	snapshotByHand:           {"a snapshot made by hand", "it is on the disk when that is said"},
	purgeByHand:              {"a log purged by hand", "it goes no further than the newest snapshot"},
	logFollowed:              {"an entry given to who follows the log", "it is applied, and none is left out"},
	followCompacted:          {"a log that is gone before who follows it", "he is told where it begins"},
	snapshotsLost:            {"a node that loses its snapshots", "its log is kept, and its machine restored from the leader's (rule 24)"},
	recordLost:               {"a machine that keeps all, and what told its time and members is lost", "nothing is made of what is not known, and the leader's snapshot tells it (rule 24)"},
	lostMoves:                {"a node that has lost what told its members, at another address", "it shows itself to those whom it has kept (rule 30)"},
	snapshotRots:             {"a snapshot that rots", "it is passed over, and another one made"},

	readInJoint:            {"a read confirmed in a joint configuration", "a quorum of each half has to answer the round (rule 26)"},
	commitInJoint:          {"a commit in a joint configuration", "a quorum of each half has to hold it"},
	electedInJoint:         {"an election won in a joint configuration", "a quorum of each half has to vote for it"},
	halfOfJoint:            {"an entry that one half of a joint configuration holds", "it is not committed before the other half holds it"},
	jointFinishedByAnother: {"a joint configuration finished by another leader", "whoever is elected goes on with the change (rule 22)"},
	leaderOutside:          {"a leader that is no voter of the next configuration", "it does not count itself there (rule 22)"},
	leaderLeaves:           {"a leader that has led itself out", "it steps down when the configuration without it is committed (rule 22)"},
	diesCatchingUp:         {"a leader that dies while newcomers catch up", "the next one goes on with the change, or gives it up (rule 21)"},
	diesJointAppended:      {"a leader that dies behind a joint configuration that is not committed", "the next one finishes it, or never had it (rules 22, 23)"},
	diesJointCommitted:     {"a leader that dies inside a joint configuration", "the next one finishes it (rule 22)"},
	diesNewAppended:        {"a leader that dies before the new configuration is committed", "whoever campaigns counts by its own latest one (rule 20)"},
	changeContinued:        {"a change that another leader goes on with", "its target stands in the log (rule 21)"},
	changeRolledBack:       {"a step of a change that is truncated", "the configuration before it is in force again (rule 23)"},
	changeCancelled:        {"a change that is cancelled", "the learners that it added are gone"},
	changeNotCaughtUp:      {"a change whose newcomer does not catch up", "it is given up before any voter comes or goes (rule 21)"},
	changeYielded:          {"an automatic change that yields", "somebody asks for another by hand while it catches up"},
	changeInTransfer:       {"a change asked for while the leader hands over", "it waits: the target is to have the whole log (rule 14)"},
	attributesBeside:       {"an address, priority or tag set beside a change", "only what is said of members may change then (rule 21)"},
	leavingHandsOver:       {"a leader that hands over because it leaves the voters", "it is tried once (rule 22)"},
	newcomerBySnapshot:     {"a newcomer that catches up by a snapshot", "its admission lies behind it (rule 21)"},
	removedTold:            {"a node that is told that it was removed", "it was away when it happened (rule 22)"},
	removedReturns:         {"a removed node that comes back with its directory", "what it holds counts again when it was proved (rule 18)"},
	removedReturnsEmpty:    {"a removed node that comes back with a clean directory", "it is another incarnation (rule 18)"},
	readdedInTerm:          {"a node removed and added again within a term", "what it acknowledged before counts for nothing new (rule 5)"},
	emptiedReplaced:        {"an emptied node that is replaced", "the old incarnation counts in the old half, the new one in the new (rule 18)"},
	bootstrapContinued:     {"a bootstrap continued by another life or leader", "the wanted members are brought in (rule 19)"},
	wantedExchanged:        {"a wanted member that lost its data before it joined", "its new incarnation takes its place (rule 31)"},
	twoBeginners:           {"two beginners at once", "each has an attempt under way (rule 31)"},
	lowerIDFirst:           {"a beginner that lets a lower id go first", "it gives up its attempt for good (rule 31)"},
	grantOverRestart:       {"a start with the grant of an earlier life", "it lives on, counted from the start (rule 31)"},
	dataLost:               {"a member that is found to have lost its data", "it is told of and not counted (rule 18)"},
	memberMoved:            {"a member found at another address", "it was learned from a connection on which it proved itself (rule 30)"},
	movedByHint:            {"a member found by another's hint", "a proved peer has passed its address on (rule 30)"},
	squatterAnswers:        {"a squatter that answers for a member", "it proves nothing, and nothing counts (rule 29)"},
	forgedMessage:          {"a forged message", "whoever sent it does not know the cluster (rule 27)"},

	readBeforeCommit:     {"a read before the leader's first commit", "it waits for that (rule 26)"},
	readBehindRound:      {"a read while a round is under way", "it joins the next one (rule 26)"},
	readOfLeaderThatEnds: {"a read whose leader ends", "it is asked again"},
	readBringsCommit:     {"a read whose answer brings a commit", "the follower commits what is proved in this term (rule 4)"},
	readOfAnotherTerm:    {"a read answered in another term than the reader's", "the answer proves nothing of the reader's log (rule 4)"},
	readOfLearner:        {"a read on a learner", "it asks for the index, and reads its own machine (rule 26)"},
	readWaitsForIndex:    {"a read that waits for an index", "it asks nobody"},
	readTooStale:         {"a read refused because the machine lags", "it ends at once, instead of waiting"},
	staleReadAtOnce:      {"a stale read that a follower answers at once", "the state was current not longer ago than that (rule 26)"},
	leaseReadAtOnce:      {"a read by the lease that is answered at once", "nobody else can lead now (rule 12)"},
	leaseReadOfAnother:   {"a read by the lease that another node asks for", "the leader answers it without a round (rule 12)"},
	leaseRanOut:          {"a read by a lease that has run out", "it needs a round (rule 12)"},
	leaseReadInTransfer:  {"a read by the lease inside a transfer", "the lease was given up: it needs a round (rule 14)"},
	leaseReadAfterAbort:  {"a read by the lease after a transfer that failed", "the lease stays given up in this term (rule 14)"},
	deposedAskedForLease: {"a deposed leader asked for a read by its lease", "its lease ended before another could commit (rule 12)"},
	proposalLost:         {"a proposal that certainly never happens", "an entry of a newer term stands in its place"},
	outcomeUnknown:       {"a proposal of unknown outcome", "it was appended, and nobody knows what became of it"},

	groupsInABatch:     {"a batch of several groups", "one sync makes all of it durable"},
	groupsInATornBatch: {"a torn batch of several groups", "one group's write is durable, and the other's is not"},
}

// situationSections are where the parts of the table begin.
var situationSections = []struct {
	first situation
	title string
}{
	{voteInPromise, "Elections, promises and quiet periods"},
	{toldInPromise, "Transfers, and elections by hand"},
	{truncationBelowFlush, "The log"},
	{matchOfEndedStream, "Streams"},
	{snapshotOvertaken, "Snapshots"},
	{readInJoint, "Members"},
	{readBeforeCommit, "Reads and proposals"},
	{groupsInABatch, "Several groups on a node"},
}

// String returns the situation's name.
func (x situation) String() string { return situationTable[x].name }

// saw counts a situation.
func (s *sim) saw(x situation) {
	s.seen[x]++
	s.trace.say("situation: %v", x)
}
