package observe

import (
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// An event is what has happened: one of the structs below, which alone have the
// method Tell. Whatever it refers to is read before Tell returns, and not kept.
// Tell may be called from anywhere, never blocks, and calls nothing foreign.

// Of a node or a group.
type (
	// Failed: the group has failed.
	Failed struct{}
	// HandedOver: the node's network took a message, or did not.
	HandedOver struct {
		Message core.Message
		Taken   bool
	}
	// TakenIn: the node's network delivered a message.
	TakenIn struct{ Message core.Message }
	// Noticed: the engine tells an operator something.
	Noticed struct{ Notice *core.Notice }
	// Overloaded: something found no room.
	Overloaded struct{ How Overload }
)

// Overload says what became of what found no room: a place in metrics.Overloads.
type Overload int

// What became of it.
const (
	OverloadRefused Overload = iota
	OverloadWaited
	OverloadLogFull
)

// Of the core actor, which tells them.
type (
	// Burst: the core has stepped the engine with all that piled up, at Now.
	Burst struct {
		Engine *core.Engine
		Now    core.Instant
	}
	// Changed: the role, term or leader is another.
	Changed struct{ *core.Changed }
	// Asking: the span of this node, or if Remote of another, for which the engine is
	// about to be stepped; zero when it has been.
	Asking struct {
		Context core.TraceContext
		Remote  bool
	}
	// Committed: the log is committed up to Index.
	Committed struct{ Index core.Index }
	// Received: a message for the group came in, and the core does not have it yet.
	// Whoever routes it tells.
	Received struct{ Message core.Message }
	// Stepped: the engine has had the message. Leads says whether this node leads.
	Stepped struct {
		Message core.Message
		Leads   bool
	}
	// Streams: this node replicates to these peers.
	Streams struct{ Peers []membership.Identity }
	// Released: a message leaves that has waited for a write (Sending, Waits).
	Released struct{ Message core.Message }
	// Submitted: the engine wants something written, and nobody knows of it yet.
	Submitted struct{ Write *core.Write }
	// TimerFires and TimerFired enclose the engine's step for a timer.
	TimerFires struct{ Timer core.Timer }
	TimerFired struct {
		Timer   core.Timer
		Changed core.Changed
	}
)

// Of proposals. Span is the one that Begin returned for the proposal.
type (
	// Room: there was room for it.
	Room struct{ Span Span }
	// Taken: the core took it out of its inbox.
	Taken struct{ Span Span }
	// Admitted: it was appended as ID, in a batch that begins with First and has
	// Batch entries.
	Admitted struct {
		Span      Span
		First, ID core.LogID
		Batch     int
	}
	// Passed: so many proposals were forwarded from here to the leader, or In here.
	Passed struct {
		Proposals int
		In        bool
	}
	// Forwarded: a message with the proposal, and Batch in all, was handed to the
	// network, which took it or did not.
	Forwarded struct {
		Span  Span
		Batch int
		Taken bool
	}
	// LeaderChanged: it waits for a leader, and there is another.
	LeaderChanged struct{ Span Span }
	// Answered: the leader that it was forwarded to has answered.
	Answered struct {
		Span   Span
		Result *core.ForwardedResult
	}
	// Requeued: it waits for a leader once more.
	Requeued struct{ Span Span }
	// Completed: it has ended, in the log as ID if that is not zero.
	Completed struct {
		Span Span
		ID   core.LogID
		Err  error
	}
)

// Of reads. Span is the one that Begin returned for the read.
type (
	// ReadAsked: this node leads, and is about to ask the others for it.
	ReadAsked struct{ Span Span }
	// ReadAgain: it has to be asked for once more.
	ReadAgain struct{ Span Span }
	// ReadConfirmed: it waits until Index is applied.
	ReadConfirmed struct {
		Span  Span
		Index core.Index
	}
	// ReadsServed: reads that were asked for together at Since are served.
	ReadsServed struct{ Since core.Instant }
	// ReadEnded: it has ended, at Index if that is not 0. Local: without waiting for
	// anybody, by Mode, which is a place in metrics.LocalModes.
	ReadEnded struct {
		Local bool
		Mode  int
		Span  Span
		Index core.Index
		Err   error
	}
)

// Of the log actor, the apply actor and the streams.
type (
	// Wrote: the store has written a batch, of all groups.
	Wrote struct {
		Span           Span
		Entries, Bytes int
	}
	// Durable: these entries of the group are durable, since a batch of so many
	// entries and bytes is. The oldest that the round brought was submitted at
	// Submitted, 0 if it is told elsewhere.
	Durable struct {
		Span                     Span
		Entries                  []core.Entry
		BatchEntries, BatchBytes int
		Submitted                core.Instant
	}
	// Applied: the state machine has applied entries.
	Applied struct {
		Span    Span
		Entries []core.Entry
	}
	// Sent: the network took entries for a peer, or did not.
	Sent struct {
		Message *core.AppendEntries
		Taken   bool
	}
	// Matched: the stream's peer has everything up to Match durably.
	Matched struct{ Match core.Index }
)

// Part is a part of what a node holds of a group.
type Part int

// The parts, in the order in which they are read.
const (
	PartPromise Part = iota
	PartLog
	PartSnapshot
	PartMachine
)

// Of what is rare. Span is the one that Begin returned.
type (
	// Recovered: a part of what the node holds of a group was read.
	Recovered struct {
		Span Span
		Part Part
	}
	// Started: the group is up, with Last as the end of its log; or it is not.
	Started struct {
		Span Span
		Last core.LogID
		Err  error
	}
	// Formed: the cluster exists, and its members are brought in.
	Formed struct{ Span Span }
	// Bootstrapped: the cluster is complete; or Err says why not.
	Bootstrapped struct {
		Span Span
		Err  error
	}
	// LeadershipMoved: Leader leads Term, as was asked for; or Err says why not.
	LeadershipMoved struct {
		Span   Span
		Leader membership.NodeID
		Term   core.Term
		Err    error
	}
	// LeadingOver: the context of the application's function has ended, because of Why.
	LeadingOver struct {
		Span Span
		Why  error
	}
	// LeadingEnded: the function has returned; or Err says how it ended.
	LeadingEnded struct {
		Span Span
		Err  error
	}
	// MembersChanged: the change that was asked for has ended, or goes on, with the
	// configuration of entry Index; or Err says why not.
	MembersChanged struct {
		Span   Span
		Change membership.ChangeID
		Index  core.Index
		Err    error
	}
	// Built: a snapshot is written; or Err says why not.
	Built struct {
		Span Span
		Meta *core.SnapshotMeta
		Err  error
	}
	// Recorded: a record of what the state machine has made durable is written; or Err says
	// why not.
	Recorded struct {
		Span Span
		Meta *core.SnapshotMeta
		Err  error
	}
	// Exported: the state was written for somebody outside; or Err says why not.
	Exported struct {
		Span Span
		Meta *core.SnapshotMeta
		Err  error
	}
	// Transferring: it is this snapshot that is sent.
	Transferring struct {
		Span Span
		Meta *core.SnapshotMeta
	}
	// Resumed: the receiver had so many bytes of it.
	Resumed struct {
		Span   Span
		Offset uint64
	}
	// Spared: so many bytes of it are not sent, because the receiver has them.
	Spared struct {
		Span  Span
		Bytes uint64
	}
	// Progressed: so many bytes of it have arrived, at that rate.
	Progressed struct {
		Span                  Span
		Bytes, BytesPerSecond uint64
	}
	// Transferred: a peer has a whole snapshot, or the transfer has ended before.
	// Without Meta nobody has ended it, but that the group stops.
	Transferred struct {
		Span Span
		Meta *core.SnapshotMeta
		Done bool
	}
	// Arrived: a leader's snapshot is here, the receiving of which began at Begun;
	// or Err says why not. Without Meta another transfer took its place, or the
	// group stops.
	Arrived struct {
		Span  Span
		Begun core.Instant
		Meta  *core.SnapshotMeta
		Err   error
	}
	// Restored: the state machine is that of the snapshot; or Err says why not.
	Restored struct {
		Span Span
		Meta *core.SnapshotMeta
		Err  error
	}
)
