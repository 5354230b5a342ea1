package troupe_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/tracing"
)

// tracedCluster hands its spans to one collector, each node as a service of its
// own.
type tracedCluster struct {
	*cluster
	collector *collector
	providers []*sdktrace.TracerProvider
}

// newTraced starts nodes that sample by what sampler returns, nil meaning the
// default.
func newTraced(t *testing.T, nodes int, settings troupe.Config, sampler tracing.Sampler, prepare ...func(*member)) *tracedCluster {
	t.Helper()
	c := &tracedCluster{collector: newCollector()}
	t.Cleanup(func() { c.shutdown(t) })
	prepare = append(prepare, func(m *member) {
		id := fmt.Sprint(m.id)
		p := sdktrace.NewTracerProvider(
			sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "troupe-node-"+id), attribute.String("service.instance.id", id))),
			sdktrace.WithSpanProcessor(c.collector),
			sdktrace.WithIDGenerator(tracing.IDs{}),
		)
		c.providers = append(c.providers, p)
		m.tracing = tracing.Config{Provider: p, Sampler: sampler}
	})
	c.cluster = newCluster(t, nodes, settings, prepare...)
	return c
}

func (c *tracedCluster) form(t *testing.T) {
	t.Helper()
	if err := c.members[0].raft.Bootstrap(within(t, 20*time.Second), c.list()...); err != nil {
		t.Fatalf("bootstrap: %v", err)
	}
	c.settle(t)
}

// settle waits until all members have applied the same, so that every stream
// replicates.
func (c *tracedCluster) settle(t *testing.T) {
	t.Helper()
	var last troupe.Index
	formed := func(s troupe.Status) bool {
		last = s.Last
		return s.Ready && !s.Bootstrapping && !s.Configuration.Joint() && s.Applied == s.Last
	}
	if err := c.leader().raft.Wait(within(t, 20*time.Second), formed); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.running() {
		if err := m.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Applied >= last }); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *tracedCluster) shutdown(t *testing.T) {
	for _, p := range c.providers {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := p.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// wait waits until the traces are drawn like this, in any order, then stops the
// cluster and asserts that nothing else came.
func (c *tracedCluster) wait(t *testing.T, traces []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	drawAll := func(spans []span) []string {
		var all []string
		for _, id := range traces {
			all = append(all, draw(spans, id))
		}
		slices.Sort(all)
		return all
	}
	spans, err := c.collector.Wait(within(t, 20*time.Second), func(spans []span) bool { return slices.Equal(drawAll(spans), want) })
	if err == nil {
		spans = c.stop(t)
	}
	if got := drawAll(spans); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	inTable(t, spans)
}

// stop ends the cluster and returns all spans.
func (c *tracedCluster) stop(t *testing.T) []span {
	t.Helper()
	for _, m := range c.members {
		m.raft.Kill()
	}
	c.shutdown(t)
	return c.collector.Spans()
}

// draw draws a trace: each span with its service, its kind, its peer, its
// outcome, and whether it failed, children by name.
func draw(spans []span, traceID string) string {
	ids := make(map[string]bool)
	for _, s := range spans {
		if s.TraceID == traceID {
			ids[s.SpanID] = true
		}
	}
	var tree func(parent string, depth int) []string
	tree = func(parent string, depth int) []string {
		var blocks []string
		for _, s := range spans {
			top := depth == 0 && !ids[s.ParentID]
			if s.TraceID != traceID || !top && (depth == 0 || s.ParentID != parent) {
				continue
			}
			line := strings.Repeat("  ", depth) + s.Name + " " + s.Kind + " at " + s.Instance
			if peer, ok := s.Attributes["raft.peer"]; ok {
				line += fmt.Sprint(" peer ", peer)
			}
			if outcome, ok := s.Attributes["raft.outcome"]; ok {
				line += fmt.Sprintf(" %v", outcome)
			}
			if s.Failed {
				line += " FAILED"
			}
			for _, e := range s.Events {
				if reason, ok := e.Attributes["raft.reason"]; ok {
					line += fmt.Sprintf(": %v", reason)
				}
			}
			blocks = append(blocks, strings.Join(append([]string{line}, tree(s.SpanID, depth+1)...), "\n"))
		}
		slices.Sort(blocks)
		return blocks
	}
	return strings.Join(tree("", 0), "\n") + "\n"
}

// written is the tree of a write that the leader was asked for.
func written(leader troupe.NodeID, peers ...troupe.NodeID) string {
	return "raft.propose internal at " + fmt.Sprint(leader) + " applied\n" + stages("  ", leader, peers...)
}

// stages is what the leader records of a write.
func stages(indent string, leader troupe.NodeID, peers ...troupe.NodeID) string {
	text := ""
	for _, name := range []string{"raft.apply", "raft.commit", "raft.log.append", "raft.queue"} {
		text += fmt.Sprintf("%s%s internal at %d\n", indent, name, leader)
	}
	for _, p := range peers {
		text += fmt.Sprintf("%sraft.replicate client at %d peer %d\n", indent, leader, p)
		text += fmt.Sprintf("%s  raft.append server at %d peer %d written\n", indent, p, leader)
		text += fmt.Sprintf("%s    raft.log.append internal at %d\n", indent, p)
	}
	return text
}

// others are the members but one, in order.
func (c *tracedCluster) others(but *member) (ids []troupe.NodeID) {
	for _, m := range c.members {
		if m != but {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// inTable asserts that the table of spans knows every span, with its kind, its
// place, its attributes and its events, and that a span lies within its time.
func inTable(t *testing.T, spans []span) {
	t.Helper()
	kinds := map[trace.SpanKind]string{trace.SpanKindInternal: "internal", trace.SpanKindServer: "server", trace.SpanKindClient: "client"}
	byID := make(map[string]*span)
	for i := range spans {
		byID[spans[i].SpanID] = &spans[i]
	}
	for i := range spans {
		s := &spans[i]
		row := slices.IndexFunc(tracing.Spans(), func(r *tracing.SpanType) bool { return r.Name == s.Name && kinds[r.Kind] == s.Kind })
		if row < 0 {
			t.Errorf("the table has no %s of kind %s", s.Name, s.Kind)
			continue
		}
		r := tracing.Spans()[row]
		parent := ""
		if p := byID[s.ParentID]; p != nil {
			parent = p.Name
		}
		if !slices.Contains(r.Under, parent) {
			t.Errorf("%s stands under %q, the table says %q", s.Name, parent, r.Under)
		}
		for key := range s.Attributes {
			if !slices.ContainsFunc(r.Attributes, func(k attributeKey) bool { return string(k) == key }) {
				t.Errorf("%s has the attribute %s, and the table does not know it there", s.Name, key)
			}
		}
		if s.Attributes["raft.node"] == nil || s.Attributes["raft.group"] != int64(1) || s.Service != "troupe-node-"+s.Instance {
			t.Errorf("%s does not say where it is from: %+v", s.Name, s)
		}
		if s.EndUnixNano < s.StartUnixNano {
			t.Errorf("%s ends %d ns before it began", s.Name, s.StartUnixNano-s.EndUnixNano)
		}
		for _, e := range s.Events {
			if !slices.Contains(r.Events, e.Name) {
				t.Errorf("%s has the event %s, and the table does not know it there", s.Name, e.Name)
			}
			if e.UnixNano < s.StartUnixNano || e.UnixNano > s.EndUnixNano {
				t.Errorf("the event %s lies outside of its %s", e.Name, s.Name)
			}
			for key := range e.Attributes {
				if !slices.ContainsFunc(tracing.EventAttributes(e.Name), func(k attributeKey) bool { return string(k) == key }) {
					t.Errorf("the event %s has the attribute %s, and the table does not know it there", e.Name, key)
				}
			}
		}
	}
}

// callers numbers the sampled callers of a test.
var callers atomic.Uint64

// sampledCaller is a context with a span of somebody else, which is sampled or
// not, and the id of its trace.
func sampledCaller(ctx context.Context, sampled bool) (context.Context, string) {
	n := callers.Add(1)
	config := trace.SpanContextConfig{TraceID: trace.TraceID{15: byte(n), 14: byte(n >> 8), 0: 1}, SpanID: trace.SpanID{1}}
	if sampled {
		config.TraceFlags = trace.FlagsSampled
	}
	c := trace.NewSpanContext(config)
	return trace.ContextWithSpanContext(ctx, c), c.TraceID().String()
}

// handedOver is the context of a proposal. It tells when the proposal has been
// handed over: its client waits for the answer, or for the end of the context.
type handedOver struct {
	context.Context
	tell func()
}

// Done implements context.Context.
func (h handedOver) Done() <-chan struct{} {
	h.tell()
	return h.Context.Done()
}

// tracesOf finds the traces whose topmost span has this name.
func tracesOf(spans []span, name string) (ids []string) {
	for _, s := range spans {
		if s.Name == name && s.ParentID == "" {
			ids = append(ids, s.TraceID)
		}
	}
	return ids
}
