package tracing

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/core"
)

// Inject turns the context of a span into what travels in messages: the trace
// id, the span id and the flags of a W3C traceparent, without its text. The
// trace state stays behind. What is not sampled does not travel: it is zero.
func Inject(span trace.SpanContext) (c core.TraceContext) {
	if !span.IsValid() || !span.IsSampled() {
		return c
	}
	traceID, spanID := span.TraceID(), span.SpanID()
	copy(c[:16], traceID[:])
	copy(c[16:24], spanID[:])
	c[24] = byte(span.TraceFlags())
	return c
}

// Extract is Inject's opposite. What no node of this version sends, an invalid
// or unsampled context, reports false.
func Extract(c core.TraceContext) (span trace.SpanContext, ok bool) {
	span = trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(c[:16]), SpanID: trace.SpanID(c[16:24]), TraceFlags: trace.TraceFlags(c[24]), Remote: true,
	})
	return span, span.IsValid() && span.IsSampled()
}
