package observe

import (
	"cmp"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/foreign"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/metrics"
	"github.com/trouperaft/troupe/tracing"
)

// Config says what of a node is observed, and who takes it. All but Environment
// and Node may be zero: that turns it off.
type Config struct {
	Environment stage.Environment
	Node        membership.NodeID
	Logger      *slog.Logger
	// LinesDropped, if not nil, counts lines that were lost elsewhere.
	LinesDropped func() int64
	Tracing      tracing.Config
	// Meter takes the numbers; MeterFoldsGroups lets it take one series for all
	// groups instead of one for each; MeterGroupHistograms gives each group histograms of
	// its own.
	Meter                metric.MeterProvider
	MeterFoldsGroups     bool
	MeterGroupHistograms bool
}

// Node is what is observed of a node. It is safe for concurrent use.
type Node struct {
	env    stage.Environment
	id     membership.NodeID
	watch  *Watch
	logger *slog.Logger
	tracer *tracing.Tracer // nil: off
	others func() int64    // lost lines of others, nil: there are none

	lines  *observer[foreign.Line]    // nil: off, and so below
	spans  *observer[*tracing.Record] // made into spans
	values *observer[measurement]

	meter *nodeMeter

	mu     sync.Mutex
	groups []*groupMeter // in the order of their ids
}

// New begins to observe a node. It fails if the meter refuses an instrument.
func New(c Config) (*Node, error) {
	n := &Node{env: c.Environment, id: c.Node, logger: discard, tracer: tracing.NewTracer(c.Tracing), others: c.LinesDropped}
	var instruments *metrics.Instruments
	if c.Meter != nil {
		made, err := metrics.New(c.Meter)
		if err != nil {
			return nil, err
		}
		instruments = made
	}
	if c.Logger != nil {
		n.lines = newObserver(n.env, "log lines", linesMax, foreign.Line.Write)
		n.logger = slog.New(foreign.NewHandler(c.Logger.Handler(), n.lines.put)).With(slog.Uint64("node", uint64(c.Node)))
	}
	if n.tracer != nil {
		var once sync.Once
		n.spans = newObserver(n.env, "spans", spansMax, func(r *tracing.Record) {
			if err := n.tracer.Export(r); err != nil {
				n.spans.lost.Add(1)
				once.Do(func() { n.logger.Error("spans are lost", slog.Any("error", err)) })
			}
		})
	}
	n.watch = &Watch{node: n, logger: n.logger}
	if instruments != nil {
		n.values = newObserver(n.env, "measurements", measurementsMax, measurement.record)
		n.values.patient = true
		meter, err := newNodeMeter(n, instruments, &c)
		if err != nil {
			n.Close(func() {})
			return nil, err
		}
		n.meter = meter
	}
	return n, nil
}

// closePatience is for how long a node's end waits for what observers have left.
const closePatience = time.Second

// Close ends what is observed. ended is called when all that was told has been
// handed on, or after a second: whoever takes it may hang.
func (n *Node) Close(ended func()) {
	n.meter.close()
	var open atomic.Int64
	var once sync.Once
	over := func() { once.Do(ended) }
	closed := func() {
		if open.Add(-1) == 0 {
			over()
		}
	}
	open.Store(1)
	for _, o := range n.observers() {
		open.Add(1)
		o.close(closed)
	}
	if open.Load() > 1 {
		n.env.AfterFunc(closePatience, over)
	}
	closed()
}

// closer is an observer of anything.
type closer interface{ close(ended func()) }

// observers are those that there are.
func (n *Node) observers() (all []closer) {
	if n.lines != nil {
		all = append(all, n.lines)
	}
	if n.spans != nil {
		all = append(all, n.spans)
	}
	if n.values != nil {
		all = append(all, n.values)
	}
	return all
}

// Dropped returns how many lines, spans or measurements were lost: a kind of
// metrics.Observations.
func (n *Node) Dropped(kind string) (lost int64) {
	switch {
	case kind == metrics.Observations[0]:
		if n.lines != nil {
			lost = n.lines.lost.Load()
		}
		if n.others != nil {
			lost += n.others()
		}
		return lost
	case kind == metrics.Observations[1] && n.spans != nil:
		return n.spans.lost.Load()
	case kind == metrics.Observations[2] && n.values != nil:
		return n.values.lost.Load()
	}
	return 0
}

// Watch returns the watch of what groups share.
func (n *Node) Watch() *Watch { return n.watch }

// Watch is what an actor tells what it does: of a node, a group, or a stream of
// the group. A nil Watch observes nothing.
type Watch struct {
	node   *Node
	traces *traces      // of a group; nil: off, and so below
	meter  *groupMeter  // of a group
	stream *streamMeter // of a stream
	logger *slog.Logger
	// followed is the match of a stream's peer that traces know of.
	peer     core.Identity
	followed core.Index
}

// Group returns the watch of a group that is about to be started.
func (n *Node) Group(id membership.GroupID) *Watch {
	w := &Watch{node: n, logger: n.logger.With(slog.Uint64("group", uint64(id)))}
	if n.tracer != nil {
		w.traces = &traces{tracer: n.tracer, env: n.env, node: n.id, group: id, spans: n.spans}
	}
	if n.meter != nil {
		w.meter = newGroupMeter(n.meter, id)
	}
	return w
}

// Logger returns the logger of the node or the group, which blocks nobody.
func (w *Watch) Logger() *slog.Logger {
	if w == nil {
		return discard
	}
	return w.logger
}

var discard = slog.New(slog.DiscardHandler)

// Open begins to show the group's figures to readers of metrics. From figures they
// get what the group knows of itself when they ask, and false once it has stopped.
func (w *Watch) Open(progress core.Progress, figures func() (Figures, bool)) {
	if w == nil || w.meter == nil {
		return
	}
	w.meter.begin(progress, figures)
	n := w.node
	n.mu.Lock()
	defer n.mu.Unlock()
	at, _ := slices.BinarySearchFunc(n.groups, w.meter.id, func(m *groupMeter, id membership.GroupID) int { return cmp.Compare(m.id, id) })
	n.groups = slices.Insert(slices.Clone(n.groups), at, w.meter)
}

// Close ends what is observed of a group that has stopped.
func (w *Watch) Close() {
	if w == nil {
		return
	}
	if w.traces != nil {
		w.traces.close()
	}
	if w.meter != nil {
		n := w.node
		n.mu.Lock()
		defer n.mu.Unlock()
		n.groups = slices.DeleteFunc(slices.Clone(n.groups), func(m *groupMeter) bool { return m == w.meter })
	}
}

// Stream returns the watch of the group's stream to a peer. Its actor alone uses
// it.
func (w *Watch) Stream(peer core.Identity) *Watch {
	if w == nil {
		return nil
	}
	s := *w
	s.peer = peer
	if w.meter != nil {
		s.stream = newStreamMeter(w.meter, peer)
	}
	return &s
}

// Inbox returns the meter of the inbox of an actor, nil while nobody measures.
func (w *Watch) Inbox(actor Actor) stage.Meter {
	switch {
	case w == nil || w.node.meter == nil:
		return nil
	case w.meter != nil:
		return w.meter.inbox(actor)
	}
	return w.node.meter.inbox(actor)
}

// Actor is one whose inbox is measured: a place in metrics.Actors.
type Actor int

// The actors whose inboxes are measured.
const (
	ActorCore Actor = iota
	ActorLog
	ActorReplication
	ActorApply
)

func attributeNode(id membership.NodeID) attribute.KeyValue {
	return attribute.String(metrics.KeyNode, strconv.FormatUint(uint64(id), 10))
}
