package main

import (
	"context"
	"slices"
	"strings"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/tracing"
)

// watcher sees the spans of all nodes as they are made, which is when they have
// ended, beside the export: so the program knows which trace shows what, and when
// it is complete.
type watcher struct {
	mu      sync.Mutex
	traces  map[trace.TraceID]*watched
	rare    []trace.TraceID // in the order of their coming
	changed chan struct{}   // closed with each end of a span
}

// watched is one trace that is followed.
type watched struct{ ended []sdktrace.ReadOnlySpan }

// missing counts the spans that others stand under and that have not come.
func (w *watched) missing() int {
	come, named := make(map[trace.SpanID]bool), make(map[trace.SpanID]bool)
	for _, s := range w.ended {
		come[s.SpanContext().SpanID()] = true
		if id := s.Parent().SpanID(); id.IsValid() {
			named[id] = true
		}
	}
	n := 0
	for id := range named {
		if !come[id] {
			n++
		}
	}
	return n
}

// isRootAlone reports whether nothing has come but a span of the program itself: what it has
// asked for is exported by others, who may be later.
func (w *watched) isRootAlone() bool {
	return len(w.ended) == 1 && strings.HasPrefix(w.ended[0].Name(), "example.")
}

// rareTracesMax bounds the traces that are followed for their name alone.
const rareTracesMax = 256

func newWatcher() *watcher {
	return &watcher{traces: make(map[trace.TraceID]*watched), changed: make(chan struct{})}
}

// follow begins to keep the spans of a trace, of which root has just begun.
func (w *watcher) follow(root sdktrace.ReadOnlySpan) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.traces[root.SpanContext().TraceID()] = &watched{}
}

// isRare reports whether spans of this name are followed without being asked for.
func isRare(name string) bool {
	switch name {
	case tracing.Bootstrap.Name, tracing.Recover.Name, tracing.Election.Name,
		tracing.SnapshotBuild.Name, tracing.SnapshotSend.Name, tracing.SnapshotInstall.Name,
		tracing.Vote.Name, tracing.SnapshotReceive.Name: // which end before what they stand under
		return true
	}
	return false
}

func (w *watcher) ended(span sdktrace.ReadOnlySpan) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := span.SpanContext().TraceID()
	t := w.traces[id]
	if t == nil && isRare(span.Name()) {
		t = &watched{}
		w.traces[id] = t
		w.rare = append(w.rare, id)
		if len(w.rare) > rareTracesMax {
			delete(w.traces, w.rare[0])
			w.rare = w.rare[1:]
		}
	}
	if t == nil {
		return
	}
	t.ended = append(t.ended, span)
	close(w.changed)
	w.changed = make(chan struct{})
}

// await calls look, under the lock, until it returns true or ctx ends.
func (w *watcher) await(ctx context.Context, look func() bool) error {
	for {
		w.mu.Lock()
		found, changed := look(), w.changed
		w.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// spans waits until a trace is complete, and returns the spans that have come by
// then, and how many are missing. When ctx ends first, these are what there is.
func (w *watcher) spans(ctx context.Context, id trace.TraceID, complete func(*watched) bool) (ended []sdktrace.ReadOnlySpan, missing int, err error) {
	err = w.await(ctx, func() bool {
		t := w.traces[id]
		if t == nil {
			return false
		}
		ended, missing = slices.Clone(t.ended), t.missing()
		return len(ended) > 0 && complete(t)
	})
	return ended, missing, err
}

// find waits for a span of a trace that is followed for its name, or otherwise.
func (w *watcher) find(ctx context.Context, match func(sdktrace.ReadOnlySpan) bool) (found sdktrace.ReadOnlySpan, err error) {
	err = w.await(ctx, func() bool {
		for _, t := range w.traces {
			if i := slices.IndexFunc(t.ended, match); i >= 0 {
				found = t.ended[i]
				return true
			}
		}
		return false
	})
	return found, err
}

// nodeSpans shows the spans of one node to the watcher.
type nodeSpans struct{ watcher *watcher }

// OnStart implements sdktrace.SpanProcessor.
func (nodeSpans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (n nodeSpans) OnEnd(s sdktrace.ReadOnlySpan) { n.watcher.ended(s) }

// ForceFlush implements sdktrace.SpanProcessor.
func (nodeSpans) ForceFlush(context.Context) error { return nil }

// Shutdown implements sdktrace.SpanProcessor.
func (nodeSpans) Shutdown(context.Context) error { return nil }
