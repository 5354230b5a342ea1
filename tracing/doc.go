// Package tracing says what troupe traces with OpenTelemetry: the table of its
// spans, which writes and reads are sampled, and how a trace goes from node to
// node. It records nothing itself, and uses only the API of OpenTelemetry.
// Package tracing/otlp sets up an export.
//
// A sampled write is one complete trace over all nodes that it touched. A write
// that is not sampled costs only the decision: no allocation, and no call of
// the provider.
package tracing
