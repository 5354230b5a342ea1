package actors

import (
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/metrics"
	"github.com/trouperaft/troupe/network"
)

// nodeMeter takes the numbers of a node. A nil one takes nothing, and so do the
// meters of groups, inboxes and streams: without a provider each hook in the
// actors costs one comparison. Counters are plain numbers, told when a reader
// asks; a histogram is recorded once for a batch.
type nodeMeter struct {
	node        *Node
	instruments *metrics.Instruments
	foldsGroups bool
	stop        func() error

	sync, entries, bytes *metrics.Recorder
	failures             atomic.Int64
	// traffic counts what was sent and received, refused what was not taken, by
	// class.
	traffic [2][core.Classes]struct{ messages, bytes atomic.Int64 }
	refused [core.Classes]atomic.Int64
}

// newNodeMeter returns nil without a provider.
func newNodeMeter(n *Node, provider metric.MeterProvider, foldsGroups bool) (*nodeMeter, error) {
	if provider == nil {
		return nil, nil
	}
	instruments, err := metrics.New(provider)
	if err != nil {
		return nil, err
	}
	m := &nodeMeter{node: n, instruments: instruments, foldsGroups: foldsGroups}
	m.sync = m.recorder(metrics.LogSync)
	m.entries = m.recorder(metrics.LogEntries)
	m.bytes = m.recorder(metrics.LogSize)
	m.stop, err = instruments.Observe(m.observe)
	return m, err
}

// close ends the observation.
func (m *nodeMeter) close() {
	if m != nil {
		_ = m.stop()
	}
}

// attributes returns the node's attribute with others.
func (m *nodeMeter) attributes(others ...attribute.KeyValue) attribute.Set {
	return attribute.NewSet(append(slices.Clip(others), attribute.String(metrics.KeyNode, strconv.FormatUint(uint64(m.node.identity.ID), 10)))...)
}

func (m *nodeMeter) recorder(id metrics.ID, others ...attribute.KeyValue) *metrics.Recorder {
	return m.instruments.Recorder(id, m.attributes(others...))
}

// now reads the clock for a later call, or returns 0.
func (m *nodeMeter) now() core.Instant {
	if m == nil {
		return 0
	}
	return instant(m.node.env)
}

// wrote takes a Write of the log store that began at begun.
func (m *nodeMeter) wrote(entries, bytes int, begun core.Instant) {
	if m != nil {
		m.sync.Duration(instant(m.node.env).Sub(begun))
		m.entries.Count(entries)
		m.bytes.Count(bytes)
	}
}

func (m *nodeMeter) failed() {
	if m != nil {
		m.failures.Add(1)
	}
}

// Places in traffic.
const (
	trafficSent = iota
	trafficReceived
)

// sent takes a message that the network took, or not.
func (m *nodeMeter) sent(message core.Message, ok bool) {
	switch {
	case m == nil:
	case ok:
		m.passed(trafficSent, message)
	default:
		m.refused[message.Class()-1].Add(1)
	}
}

func (m *nodeMeter) received(message core.Message) {
	if m != nil {
		m.passed(trafficReceived, message)
	}
}

func (m *nodeMeter) passed(way int, message core.Message) {
	t := &m.traffic[way][message.Class()-1]
	t.messages.Add(1)
	t.bytes.Add(int64(network.SizeBytes(message)))
}

// observe tells a reader what the node and its groups count.
func (m *nodeMeter) observe(o metrics.Observer) {
	k := &sink{m: m, o: o}
	groups := m.node.table.Load().ordered
	k.put(metrics.Groups, int64(len(groups)))
	k.put(metrics.GroupFailures, m.failures.Load())
	for class := range core.Classes {
		name := attribute.String(metrics.KeyClass, metrics.Classes[class])
		k.put(metrics.NetworkRefusals, m.refused[class].Load(), name)
		for way := range m.traffic {
			t, direction := &m.traffic[way][class], attribute.String(metrics.KeyDirection, metrics.Directions[way])
			k.put(metrics.NetworkMessages, t.messages.Load(), name, direction)
			k.put(metrics.NetworkBytes, t.bytes.Load(), name, direction)
		}
	}
	for _, g := range groups {
		g.meter.observe(k)
	}
	for _, f := range k.folded {
		o.Put(f.id, f.value, f.set)
	}
}

// sink hands observations on, those of groups folded if so configured.
type sink struct {
	m      *nodeMeter
	o      metrics.Observer
	folded []foldedValue
	places map[foldKey]int
}

type foldKey struct {
	id  metrics.ID
	set attribute.Distinct
}

type foldedValue struct {
	id    metrics.ID
	set   attribute.Set
	value int64
}

func (k *sink) put(id metrics.ID, value int64, others ...attribute.KeyValue) {
	k.o.Put(id, value, k.m.attributes(others...))
}

// putGroup takes a value of a group.
func (k *sink) putGroup(g *groupMeter, id metrics.ID, value int64, others ...attribute.KeyValue) {
	set := g.attributes(others...)
	if !k.m.foldsGroups {
		k.o.Put(id, value, set)
		return
	}
	key := foldKey{id, set.Equivalent()}
	i, known := k.places[key]
	switch {
	case !known:
		if k.places == nil {
			k.places = make(map[foldKey]int)
		}
		k.places[key] = len(k.folded)
		k.folded = append(k.folded, foldedValue{id, set, value})
	case metrics.FoldOf(id) == metrics.FoldMax:
		k.folded[i].value = max(k.folded[i].value, value)
	default:
		k.folded[i].value += value
	}
}

// inboxMeter takes how full an inbox was, and for how long its actor was called:
// every so many calls, because a write alone makes eleven of them. turns and since
// are guarded by the inbox's lock, the others are the taker's.
type inboxMeter struct {
	env         stage.Environment
	depth, wait *metrics.Recorder
	// timesAll: somebody wants to know how long every call waited.
	timesAll bool
	turns    uint64
	since    stage.Instant
	sampled  bool
	rung     stage.Instant
	waited   time.Duration
}

// Places in metrics.Actors.
const (
	meteredCore = iota
	meteredLog
	meteredReplication
	meteredApply
)

// inbox returns the meter of an inbox of the node, that of the log actor.
func (m *nodeMeter) inbox(actor int) *inboxMeter {
	if m == nil {
		return nil
	}
	name := attribute.String(metrics.KeyActor, metrics.Actors[actor])
	return &inboxMeter{env: m.node.env, depth: m.recorder(metrics.InboxDepth, name), wait: m.recorder(metrics.InboxWait, name)}
}

func (m *inboxMeter) samples() bool { return m.turns%metrics.InboxSampling == 1 }

// asMeter is the meter as an inbox has it, nil if it takes nothing.
func (m *inboxMeter) asMeter() stage.Meter {
	if m == nil {
		return nil
	}
	return m
}

// Rang implements stage.Meter.
func (m *inboxMeter) Rang() {
	if m.turns++; m.timesAll || m.samples() {
		m.since = m.env.Now()
	}
}

// Swapped implements stage.Meter.
func (m *inboxMeter) Swapped() { m.rung, m.since, m.sampled = m.since, 0, m.samples() }

// Took implements stage.Meter: it records what was taken last, unless the actor
// came by itself.
func (m *inboxMeter) Took(items int) {
	if m.rung == 0 {
		return
	}
	m.waited = m.env.Now().Sub(m.rung)
	if m.sampled {
		m.depth.Count(items)
		m.wait.Duration(m.waited)
	}
}
