package troupe

import (
	"context"
	"iter"
	"sync"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// Event is something that an operator should know, such as an election or a member
// that lost its data. Events are rare, and are not repeated within a short time. Kind
// says which of the fields between Peer and Text count. The others are zero.
type Event struct {
	// Kind says what has happened.
	Kind EventKind
	// Node and Group are where it has happened, and At is the wall clock then, in
	// nanoseconds since 1970 UTC.
	Node  NodeID
	Group GroupID
	At    int64
	// Peer is the other node, and Known what was expected of it.
	Peer, Known Identity
	// Term and Index are where it has happened in time and in the log.
	Term  Term
	Index Index
	// Text says why, or what, for people.
	Text string
	// Dropped counts the events before this one that were lost because they
	// were not taken in time.
	Dropped uint64
}

// String writes the kind, and the fields that it says count, in a line.
func (e Event) String() string {
	return core.Notice{Kind: e.Kind, Peer: e.Peer, Known: e.Known, Term: e.Term, Index: e.Index, Text: e.Text}.String()
}

func eventOf(e *actors.Event, dropped uint64) Event {
	return Event{
		Kind: e.Kind, Node: e.Node, Group: e.Group, At: e.At, Peer: e.Peer, Known: e.Known,
		Term: e.Term, Index: e.Index, Text: e.Text, Dropped: dropped,
	}
}

// EventKind sorts events.
type EventKind = core.NoticeKind

// The kinds of events.
const (
	// EventElectionStarted: this node asks for votes in Term.
	EventElectionStarted = core.NoticeElectionStarted
	// EventElected: this node leads Term.
	EventElected = core.NoticeElected
	// EventSteppedDown: this node led Term and no longer does. Text says why.
	EventSteppedDown = core.NoticeSteppedDown
	// EventNewLeader: this node follows Peer in Term.
	EventNewLeader = core.NoticeNewLeader
	// EventLostData: Peer has lost its data. Either it is another incarnation than
	// Known, which the group has as a member; then it is not counted. Or Peer is
	// Known, and denies what it had acknowledged, up to Index.
	EventLostData = core.NoticeLostData
	// EventUnknownToGroup: Peer's group knows this node under another incarnation,
	// Known.
	EventUnknownToGroup = core.NoticeUnknownToGroup
	// EventOtherCluster: Peer sends messages to this group, but belongs to another
	// cluster, or to none.
	EventOtherCluster = core.NoticeOtherCluster
	// EventConnectionBroken: the bulk connection to Peer was broken, because Peer
	// answers heartbeats but no entries.
	EventConnectionBroken = core.NoticeConnectionBroken
	// EventBootstrapped: the cluster consists of the members that it was asked for.
	EventBootstrapped = core.NoticeBootstrapped
	// EventContradiction: Peer said what no correct member can say; Text tells what.
	// It was not heeded.
	EventContradiction = core.NoticeContradiction
	// EventTermAhead: Peer is in Term, which is so far above the cluster's term that
	// it was not heeded. Peer has to be replaced.
	EventTermAhead = core.NoticeTermAhead
	// EventConfigurationChanged: another configuration is in force. Either the entry
	// at Index of Term brought it, or a truncation brought an earlier one back. Text
	// writes the configuration out.
	EventConfigurationChanged = core.NoticeConfigurationChanged
	// EventSnapshotBuilt: this node has made a snapshot up to Index.
	EventSnapshotBuilt = core.NoticeSnapshotBuilt
	// EventRecorded: this node has recorded that its state machine holds everything up to
	// Index. That takes the place of a snapshot, for the log to be purged.
	EventRecorded = core.NoticeRecorded
	// EventSnapshotSent: Peer has the snapshot up to Index. Text tells how much of it was not
	// sent, because Peer had those files, and how often it failed before, if it did.
	EventSnapshotSent = core.NoticeSnapshotSent
	// EventSnapshotInstalled: this node's state machine was replaced by the snapshot
	// up to Index.
	EventSnapshotInstalled = core.NoticeSnapshotInstalled
	// EventSnapshotProgress: another quarter of the snapshot up to Index is there, which is
	// sent to Peer or received from it. Text has the bytes, the rate and an estimate. It is
	// told of transfers that last longer than an election time-out.
	EventSnapshotProgress = core.NoticeSnapshotProgress
	// EventSnapshotFailed: a snapshot could not be made, or its transfer to Peer has
	// ended early and will be tried again; Text says why where it is known. Of transfers
	// that Peer cannot store, or that cannot be read here, the first is told: they are
	// tried again after pauses that grow to 16 election time-outs.
	EventSnapshotFailed = core.NoticeSnapshotFailed
	// EventLogLetGo: the log is not kept for Peer any more, which has it up to Index, or is
	// being sent a snapshot of that: it will need a newer one. Text says why. Without a
	// Peer it is not kept for a loop over Entries. See Config.HoldBytesMax.
	EventLogLetGo = core.NoticeLogLetGo
	// EventVersion: the state machine of Peer, which may be this node, is of too old a
	// version for what is at Index: an entry that it is to apply, or a snapshot that it
	// needs. Text says which versions.
	EventVersion = core.NoticeVersion
	// EventTransferStarted: this node leads Term, and begins to hand the leadership
	// over to Peer. Text says why if nobody has asked for it.
	EventTransferStarted = core.NoticeTransferStarted
	// EventTransferred: the leadership that this node had in Term is Peer's now.
	EventTransferred = core.NoticeTransferred
	// EventTransferFailed: this node led Term, and could not hand the leadership over
	// to Peer; Text says why.
	EventTransferFailed = core.NoticeTransferFailed
	// EventCannotWork: this node leads Term, and its disk or its state machine keeps it
	// from that; Text says what. It hands over as soon as a voter that may lead answers.
	EventCannotWork = core.NoticeCannotWork
	// EventWorksAgain: this leader of Term is well again, and stays.
	EventWorksAgain = core.NoticeWorksAgain
	// EventElectionsPaused: this node leads Term, and the elections of every other
	// voter are paused: nobody takes over if it fails.
	EventElectionsPaused = core.NoticeElectionsPaused
	// EventLeadingStarted: Config.OnLeading was called on this node, for Term.
	EventLeadingStarted = core.NoticeLeadingStarted
	// EventLeadingEnded: the function that was called for Term has ended. Text says what
	// had ended its context before, or with what it panicked; it is "" if it returned by
	// itself.
	EventLeadingEnded = core.NoticeLeadingEnded
	// EventLeadingOverdue: the context of that function ended an election time-out ago,
	// and it has not returned: it may run beside one on another node.
	EventLeadingOverdue = core.NoticeLeadingOverdue
	// EventChangeStarted: this node leads Term, and has begun the change of the members
	// that Text tells, with the entry at Index.
	EventChangeStarted = core.NoticeChangeStarted
	// EventCatchUpProgress: this node leads Term, and a change waits for Peer, which has
	// come another quarter of its way nearer and has everything up to Index. Text has the
	// rate, what is to go, and an estimate. Of who is there within an election time-out
	// nothing is told, and of a snapshot on its way EventSnapshotProgress.
	EventCatchUpProgress = core.NoticeCatchUpProgress
	// EventChangeEnded: the change of the members that Text tells is complete, with the
	// entry at Index.
	EventChangeEnded = core.NoticeChangeEnded
	// EventChangeGivenUp: the change of the members that Text tells was given up, with the
	// entry at Index.
	EventChangeGivenUp = core.NoticeChangeGivenUp
	// EventAddressesWritten: this node leads Term, and has written into the configuration,
	// with the entry at Index, where members are that have moved. Text names them.
	EventAddressesWritten = core.NoticeAddressesWritten
	// EventAutopilotActs: this node leads Term, and its autopilot changes the members
	// because of Peer. Text says what it does, and why.
	EventAutopilotActs = core.NoticeAutopilotActs
	// EventAutopilotRefuses: something is the matter with Peer, and the autopilot of this
	// leader of Term does nothing about it. Text says why.
	EventAutopilotRefuses = core.NoticeAutopilotRefuses
	// EventRemoved: this node is no member of the group any more. The committed
	// configuration at Index of Term does not have it.
	EventRemoved = core.NoticeRemoved
	// EventLeftBehind: Peer, a member of this node's cluster, says that its group was
	// recovered without this node, and is another cluster now ([Recover]). It has not
	// proved it.
	EventLeftBehind = core.NoticeLeftBehind
	// EventEntryTooLarge: Peer lacks the entry Index, and no message to it takes that, for a
	// limit was lowered. It gets a snapshot in its place when the entry is committed.
	EventEntryTooLarge = core.NoticeEntryTooLarge
	// EventClock: this node leads Term, and its wall clock and the time of the group's
	// entries differ by more than an hour, or have just ceased to; Text says how.
	EventClock = core.NoticeClock
	// EventFailed: the group has failed on this node; Text is the cause.
	EventFailed = core.NoticeFailed
)

// eventsMax is how many events wait for one slow taker.
const eventsMax = 1024

// Events yields what happens from the call on, in order, for one loop. A reader that
// falls behind by more than 1,024 events loses the oldest, and the next event says
// how many. Events ends with ctx, or after the last event of a group that has
// stopped, or was killed and waits for a call that hangs.
func (r *Raft) Events(ctx context.Context) iter.Seq[Event] {
	queue := newEventQueue(eventsMax)
	// The end of ctx also frees a queue that nobody ever loops over.
	ctx, end := context.WithCancel(ctx)
	context.AfterFunc(ctx, r.group.Events(queue.put))
	return func(yield func(Event) bool) {
		defer end()
		for ctx.Err() == nil {
			event, ok := queue.take()
			if ok {
				if !yield(event) {
					return
				}
				continue
			}
			select {
			case <-queue.wakeUp:
			case <-ctx.Done():
			case <-r.hung():
				if queue.empty() {
					return
				}
			case <-r.Done():
				if queue.empty() {
					return
				}
			}
		}
	}
}

// eventQueue is a ring of the newest events.
type eventQueue struct {
	wakeUp chan struct{} // a token while there may be something to take

	mu      sync.Mutex
	ring    []actors.Event
	first   int
	count   int
	dropped uint64
}

func newEventQueue(eventsMax int) *eventQueue {
	return &eventQueue{wakeUp: make(chan struct{}, 1), ring: make([]actors.Event, eventsMax)}
}

// put never blocks: the core actor calls it.
func (q *eventQueue) put(e actors.Event) {
	q.mu.Lock()
	if q.count == len(q.ring) {
		q.first = (q.first + 1) % len(q.ring)
		q.count--
		q.dropped++
	}
	q.ring[(q.first+q.count)%len(q.ring)] = e
	q.count++
	q.mu.Unlock()
	select {
	case q.wakeUp <- struct{}{}:
	default:
	}
}

func (q *eventQueue) take() (Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == 0 {
		return Event{}, false
	}
	e := eventOf(&q.ring[q.first], q.dropped)
	q.ring[q.first] = actors.Event{}
	q.first = (q.first + 1) % len(q.ring)
	q.count--
	q.dropped = 0
	return e, true
}

func (q *eventQueue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count == 0
}
