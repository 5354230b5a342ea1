// Package tracing says what troupe traces with OpenTelemetry: the table of its
// spans, which writes and reads are sampled, and how a trace goes from node to
// node. It records nothing itself, and knows the API of OpenTelemetry alone;
// package tracing/otlp sets up an export.
//
// A sampled write is one complete trace over all nodes that it touched. A write
// that is not sampled costs the decision and nothing else: no allocation, no
// call of the provider.
package tracing
