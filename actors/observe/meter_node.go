package observe

import (
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/metrics"
	"github.com/trouperaft/troupe/network"
)

// nodeMeter takes the numbers of a node. Counters are plain numbers, read when a
// reader asks; a histogram takes a measurement once for a batch, and hands it on
// through the observer of measurements.
type nodeMeter struct {
	node        *Node
	env         stage.Environment
	instruments *metrics.Instruments
	// foldsGroups: groups share their series. groupHistograms: they do not share those of
	// histograms.
	foldsGroups, groupHistograms bool
	stop                         func() error

	sync, entries, bytes histogram
	failures             atomic.Int64
	// traffic counts what was sent and received, refused what was not taken, by
	// class.
	traffic [2][core.Classes]struct{ messages, bytes atomic.Int64 }
	refused [core.Classes]atomic.Int64
}

// measurement is one value for one histogram.
type measurement struct {
	recorder *metrics.Recorder
	duration bool
	value    int64
}

// record calls the meter, which may block.
func (m measurement) record() {
	if m.duration {
		m.recorder.Duration(time.Duration(m.value))
	} else {
		m.recorder.Count(int(m.value))
	}
}

// histogram takes measurements for a recorder. The zero value takes none.
type histogram struct {
	recorder *metrics.Recorder
	values   *observer[measurement]
}

// count takes a number of things or bytes.
func (h histogram) count(n int) { h.values.put(measurement{h.recorder, false, int64(n)}) }

// took takes a time.
func (h histogram) took(d time.Duration) { h.values.put(measurement{h.recorder, true, int64(d)}) }

func newNodeMeter(n *Node, instruments *metrics.Instruments, c *Config) (*nodeMeter, error) {
	m := &nodeMeter{node: n, env: n.env, instruments: instruments, foldsGroups: c.MeterFoldsGroups, groupHistograms: c.MeterGroupHistograms}
	m.sync = m.histogram(metrics.LogSync)
	m.entries = m.histogram(metrics.LogEntries)
	m.bytes = m.histogram(metrics.LogSize)
	var err error
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
	return attribute.NewSet(append(slices.Clip(others), attributeNode(m.node.id))...)
}

func (m *nodeMeter) histogram(id metrics.ID, others ...attribute.KeyValue) histogram {
	return histogram{m.instruments.Recorder(id, m.attributes(others...)), m.node.values}
}

// wrote takes a Write of the log store that began at begun.
func (m *nodeMeter) wrote(e *Wrote) {
	m.sync.took(instant(m.env).Sub(e.Span.Begun))
	m.entries.count(e.Entries)
	m.bytes.count(e.Bytes)
}

// Places in traffic.
const (
	trafficSent = iota
	trafficReceived
)

// handedOver takes a message that the network took, or not.
func (m *nodeMeter) handedOver(e *HandedOver) {
	if e.Taken {
		m.passed(trafficSent, e.Message)
	} else {
		m.refused[e.Message.Class()-1].Add(1)
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
	m.node.values.drain()
	m.node.mu.Lock()
	groups := m.node.groups
	m.node.mu.Unlock()
	k.put(metrics.Groups, int64(len(groups)))
	k.put(metrics.GroupFailures, m.failures.Load())
	for _, kind := range metrics.Observations {
		k.put(metrics.ObservationsDropped, m.node.Dropped(kind), attribute.String(metrics.KeyKind, kind))
	}
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
		g.observe(k)
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
