// Package otlptest is a collector for tests: it takes spans by OTLP, over gRPC
// and over HTTP, on loopback, and keeps them in memory. A test starts one, hands
// its address to otlp.Setup, and waits for the spans that it expects:
//
//	collector, err := otlptest.Start()
//	...
//	defer collector.Close()
//	exporter, err := otlp.Setup(ctx, otlp.Options{Node: 1, Endpoint: collector.GRPC})
//	...
//	spans, err := collector.Wait(ctx, func(spans []otlptest.Span) bool { return len(spans) == 11 })
package otlptest

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	pb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Span is a span as it arrived.
type Span struct {
	// Service and Instance are of its resource.
	Service, Instance          string
	TraceID, SpanID, ParentID  string
	Name                       string
	Kind                       string // "internal", "server", "client"
	StartUnixNano, EndUnixNano uint64
	Attributes                 map[string]any
	Events                     []Event
	Failed                     bool
	StatusText                 string
}

// Event is an event of a span.
type Event struct {
	Name       string
	UnixNano   uint64
	Attributes map[string]any
}

// Receiver listens on loopback. Its methods are safe for concurrent use.
type Receiver struct {
	collector.UnimplementedTraceServiceServer

	// GRPC and HTTP are the addresses, HOST:PORT.
	GRPC, HTTP string

	grpc *grpc.Server
	http *http.Server
	wait sync.WaitGroup

	mu      sync.Mutex
	spans   []Span
	headers []http.Header
	changed chan struct{}
	hold    chan struct{} // nil unless held
	fail    error
}

// Start starts a receiver. Close ends it.
func Start() (*Receiver, error) {
	r := &Receiver{grpc: grpc.NewServer(), changed: make(chan struct{})}
	collector.RegisterTraceServiceServer(r.grpc, r)
	r.http = &http.Server{Handler: http.HandlerFunc(r.serveHTTP)}
	forGRPC, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	forHTTP, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, forGRPC.Close())
	}
	r.GRPC, r.HTTP = forGRPC.Addr().String(), forHTTP.Addr().String()
	r.wait.Go(func() { _ = r.grpc.Serve(forGRPC) })
	r.wait.Go(func() { _ = r.http.Serve(forHTTP) })
	return r, nil
}

// Close ends all connections, and whatever is held.
func (r *Receiver) Close() {
	r.Release()
	r.grpc.Stop()
	_ = r.http.Close()
	r.wait.Wait()
}

// Hold lets no export end, until Release.
func (r *Receiver) Hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hold == nil {
		r.hold = make(chan struct{})
	}
}

// Release ends Hold.
func (r *Receiver) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hold != nil {
		close(r.hold)
		r.hold = nil
	}
}

// Fail lets every export over gRPC fail with err, nil lets them succeed again.
func (r *Receiver) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// Spans are those that have arrived, in the order of their coming.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

// Headers are those of the exports over HTTP.
func (r *Receiver) Headers() []http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.headers)
}

// Wait waits until the spans are as they should be, and returns them; when ctx
// ends first, with its error.
func (r *Receiver) Wait(ctx context.Context, enough func([]Span) bool) ([]Span, error) {
	for {
		r.mu.Lock()
		spans, changed := slices.Clone(r.spans), r.changed
		r.mu.Unlock()
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

// Export implements the gRPC service.
func (r *Receiver) Export(ctx context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	hold, fail := r.hold, r.fail
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if fail != nil {
		return nil, fail
	}
	r.take(request)
	return &collector.ExportTraceServiceResponse{}, nil
}

func (r *Receiver) serveHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	var request collector.ExportTraceServiceRequest
	if err != nil || q.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		http.Error(w, "not an export", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.headers = append(r.headers, q.Header.Clone())
	r.mu.Unlock()
	r.take(&request)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (r *Receiver) take(request *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range request.ResourceSpans {
		resource := values(of.GetResource().GetAttributes())
		service, _ := resource["service.name"].(string)
		instance, _ := resource["service.instance.id"].(string)
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				span := spanOf(s)
				span.Service, span.Instance = service, instance
				r.spans = append(r.spans, span)
			}
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func spanOf(s *pb.Span) Span {
	kinds := map[pb.Span_SpanKind]string{pb.Span_SPAN_KIND_INTERNAL: "internal", pb.Span_SPAN_KIND_SERVER: "server", pb.Span_SPAN_KIND_CLIENT: "client"}
	span := Span{
		TraceID: hex.EncodeToString(s.TraceId), SpanID: hex.EncodeToString(s.SpanId), ParentID: hex.EncodeToString(s.ParentSpanId),
		Name: s.Name, Kind: kinds[s.Kind], StartUnixNano: s.StartTimeUnixNano, EndUnixNano: s.EndTimeUnixNano,
		Attributes: values(s.Attributes), Failed: s.GetStatus().GetCode() == pb.Status_STATUS_CODE_ERROR, StatusText: s.GetStatus().GetMessage(),
	}
	for _, e := range s.Events {
		span.Events = append(span.Events, Event{e.Name, e.TimeUnixNano, values(e.Attributes)})
	}
	return span
}

func values(attributes []*common.KeyValue) map[string]any {
	all := make(map[string]any, len(attributes))
	for _, a := range attributes {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.Key] = v.IntValue
		case *common.AnyValue_BoolValue:
			all[a.Key] = v.BoolValue
		default:
			all[a.Key] = a.GetValue().String()
		}
	}
	return all
}
