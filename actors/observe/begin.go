package observe

import (
	"context"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// What begins is one of the structs below, which alone have the method Begin.
// Whatever it refers to is read before Begin returns, and a context is kept until
// the span has ended. Begin may be called from anywhere, never blocks, and calls
// nothing foreign. While nobody wants to know it returns the zero Span.

type (
	// Proposing: a client proposes a command of so many bytes. It is traced if the
	// client's own span is, or if the sampler says so.
	Proposing struct {
		Ctx   context.Context
		Bytes int
	}
	// ProposingFor: another node has forwarded a command here, and Trace with it.
	ProposingFor struct {
		From  core.Identity
		Bytes int
		Trace core.TraceContext
	}
	// Forwarding: a proposal is about to be sent on, in a message that carries the
	// contexts of Traced others. The span's own goes with it, unless they are too
	// many.
	Forwarding struct {
		Span   Span
		To     core.Identity
		Traced int
	}
	// Sending: a message is about to be handed to the network, or to the log that
	// hands it on when a write is durable (Waits; Released follows). Requests get
	// their contexts. Last
	// is the end of the own log, Read the read that a request for an index is for.
	Sending struct {
		Message core.Message
		Waits   bool
		Last    core.LogID
		Read    Span
	}
	// Reading: a client reads, and is traced as one who proposes. Mode says how current
	// it wants to be.
	Reading struct {
		Ctx  context.Context
		Mode string
	}
	// Writing: the store is about to write a batch.
	Writing struct{}
	// Applying: the state machine is about to apply entries.
	Applying struct{ Entries []core.Entry }
	// Recovering: a group is about to be read from disk.
	Recovering struct{ Ctx context.Context }
	// Bootstrapping: so many members are to be a cluster.
	Bootstrapping struct {
		Ctx     context.Context
		Members int
	}
	// MovingLeadership: the leadership is to be given to a node, 0 for the best.
	MovingLeadership struct {
		Ctx context.Context
		To  membership.NodeID
	}
	// RunningLeading: the application's function is about to be called, because this
	// node leads Term.
	RunningLeading struct{ Term core.Term }
	// ChangingMembers: the members are to be changed, as What says for people.
	ChangingMembers struct {
		Ctx  context.Context
		What string
	}
	// Building: a snapshot is about to be written.
	Building struct{}
	// Recording: a record of what the state machine has made durable is about to be written.
	Recording struct{}
	// Exporting: the state is about to be written for somebody outside, a backup.
	Exporting struct{ Ctx context.Context }
	// SendingSnapshot: a snapshot is about to be sent to a peer.
	SendingSnapshot struct{ Peer core.Identity }
	// ReceivingSnapshot: the first piece of a transfer has come.
	ReceivingSnapshot struct{ Chunk *core.SnapshotChunk }
	// Restoring: the state machine is about to be restored from a snapshot.
	Restoring struct{ Meta *core.SnapshotMeta }
)

// rare begins, by begin, what is seldom: it is traced and measured.
func (w *Watch) rare(begin func(t *traces) core.TraceContext) (s Span) {
	if t := w.traced(); t != nil {
		s.Context = begin(t)
	}
	if w.ofNode() != nil || s.Traced() {
		s.Begun = instant(w.node.env)
	}
	return s
}

// Begin begins b.
func (b Sending) Begin(w *Watch) (s Span) {
	if t := w.traced(); t != nil {
		t.sending(&b)
	}
	return s
}

// Begin begins b.
func (b Proposing) Begin(w *Watch) (s Span) {
	if t := w.traced(); t != nil && t.tracer.Samples(b.Ctx) {
		s.Context = t.proposing(&b)
	}
	return s
}

// Begin begins b.
func (b ProposingFor) Begin(w *Watch) (s Span) {
	if t := w.traced(); t != nil && !b.Trace.IsZero() {
		s.Context = t.proposingFor(&b)
	}
	return s
}

// Begin begins b.
func (b Forwarding) Begin(w *Watch) (s Span) {
	if b.Span.Traced() {
		s.Context = w.traces.forwarding(&b)
	}
	return s
}

// Begin begins b.
func (b Reading) Begin(w *Watch) (s Span) {
	if t := w.traced(); t != nil && t.tracer.Samples(b.Ctx) {
		s.Context = t.reading(&b)
	}
	return s
}

// Begin begins b.
func (b Writing) Begin(w *Watch) (s Span) {
	if w != nil && (w.node.meter != nil || w.node.tracer != nil) {
		s.Begun = instant(w.node.env)
	}
	return s
}

// Begin begins b.
func (b Applying) Begin(w *Watch) (s Span) {
	if w != nil && (w.node.meter != nil || w.traces != nil && w.traces.keepsAny(b.Entries)) {
		s.Begun = instant(w.node.env)
	}
	return s
}

// Begin begins b.
func (b Recovering) Begin(w *Watch) (s Span) {
	if t := w.traced(); t != nil {
		s.Context = t.rare(b.Ctx, tracing.Recover)
	}
	return s
}

// Begin begins b.
func (b Bootstrapping) Begin(w *Watch) (s Span) {
	if t := w.traced(); t != nil {
		s.Context = t.rare(b.Ctx, tracing.Bootstrap, tracing.MembersKey.Int(b.Members))
	}
	return s
}

// Begin begins b.
func (b ChangingMembers) Begin(w *Watch) (s Span) {
	if t := w.traced(); t != nil {
		s.Context = t.changingMembers(&b)
	}
	return s
}

// Begin begins b.
func (b MovingLeadership) Begin(w *Watch) (s Span) {
	if t := w.traced(); t != nil {
		s.Context = t.movingLeadership(&b)
	}
	return s
}

// Begin begins b.
func (b RunningLeading) Begin(w *Watch) (s Span) {
	if t := w.traced(); t != nil {
		s.Context = t.rare(context.Background(), tracing.Leading, tracing.TermKey.Int64(int64(b.Term)))
	}
	return s
}

// Begin begins b.
func (b Building) Begin(w *Watch) Span {
	return w.rare(func(t *traces) core.TraceContext { return t.rare(context.Background(), tracing.SnapshotBuild) })
}

// Begin begins b. It is not traced: it is small.
func (b Recording) Begin(w *Watch) (s Span) {
	if w.ofNode() != nil {
		s.Begun = instant(w.node.env)
	}
	return s
}

// Begin begins b.
func (b Exporting) Begin(w *Watch) Span {
	return w.rare(func(t *traces) core.TraceContext { return t.rare(b.Ctx, tracing.Backup) })
}

// Begin begins b.
func (b SendingSnapshot) Begin(w *Watch) Span {
	return w.rare(func(t *traces) core.TraceContext {
		return t.rare(context.Background(), tracing.SnapshotSend, peerOf(b.Peer))
	})
}

// Begin begins b.
func (b ReceivingSnapshot) Begin(w *Watch) Span {
	return w.rare(func(t *traces) core.TraceContext { return t.receivingSnapshot(b.Chunk) })
}

// Begin begins b.
func (b Restoring) Begin(w *Watch) Span {
	return w.rare(func(t *traces) core.TraceContext { return t.restoring(b.Meta) })
}
