package troupe_test

import (
	"context"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// span is a span that has ended.
type span struct {
	// Service and Instance are of its resource.
	Service, Instance          string
	TraceID, SpanID, ParentID  string
	Name                       string
	Kind                       string // "internal", "server", "client"
	StartUnixNano, EndUnixNano uint64
	Attributes                 map[string]any
	Events                     []spanEvent
	Failed                     bool
}

// spanEvent is an event of a span.
type spanEvent struct {
	Name       string
	UnixNano   uint64
	Attributes map[string]any
}

// collector keeps the spans of all nodes of a test in memory. The library's own
// tests send none of them anywhere, so that its module needs no exporter;
// tracing/otlp and the examples assert what arrives at a real one.
type collector struct {
	mu      sync.Mutex
	spans   []span
	changed chan struct{}
}

func newCollector() *collector { return &collector{changed: make(chan struct{})} }

// OnStart implements sdktrace.SpanProcessor.
func (*collector) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (c *collector) OnEnd(s sdktrace.ReadOnlySpan) {
	resource := values(s.Resource().Attributes())
	service, _ := resource["service.name"].(string)
	instance, _ := resource["service.instance.id"].(string)
	ended := span{
		Service: service, Instance: instance,
		TraceID: s.SpanContext().TraceID().String(), SpanID: s.SpanContext().SpanID().String(),
		Name: s.Name(), Kind: s.SpanKind().String(), Attributes: values(s.Attributes()), Failed: s.Status().Code == codes.Error,
		StartUnixNano: uint64(s.StartTime().UnixNano()), EndUnixNano: uint64(s.EndTime().UnixNano()),
	}
	if s.Parent().SpanID().IsValid() {
		ended.ParentID = s.Parent().SpanID().String()
	}
	for _, e := range s.Events() {
		ended.Events = append(ended.Events, spanEvent{e.Name, uint64(e.Time.UnixNano()), values(e.Attributes)})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, ended)
	close(c.changed)
	c.changed = make(chan struct{})
}

// Shutdown implements sdktrace.SpanProcessor.
func (*collector) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (*collector) ForceFlush(context.Context) error { return nil }

// Spans are those that have ended, in the order of their ends.
func (c *collector) Spans() []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Wait waits until the spans are as they should be, and returns them; when ctx
// ends first, with its error.
func (c *collector) Wait(ctx context.Context, enough func([]span) bool) ([]span, error) {
	for {
		c.mu.Lock()
		spans, changed := slices.Clone(c.spans), c.changed
		c.mu.Unlock()
		if enough(spans) {
			return spans, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return spans, ctx.Err()
		}
	}
}

func values(attributes []attribute.KeyValue) map[string]any {
	all := make(map[string]any, len(attributes))
	for _, a := range attributes {
		all[string(a.Key)] = a.Value.AsInterface()
	}
	return all
}
