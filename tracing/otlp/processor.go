package otlp

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// batchSettings bound what waits for export.
type batchSettings struct {
	// queueSpansMax is how many spans wait at most, batchSpansMax how many are
	// sent at once.
	queueSpansMax, batchSpansMax int
	// delay is for how long a span waits for others, timeout for how long one
	// export may take.
	delay, timeout time.Duration
}

// processor exports spans in batches, and counts each one that it loses: the
// SDK's own does not tell how many it had no room for.
type processor struct {
	exporter          sdktrace.SpanExporter
	settings          batchSettings
	attempts          *attempts
	exported, dropped atomic.Uint64

	mu     sync.Mutex
	queue  []sdktrace.ReadOnlySpan
	closed bool

	// some has a token when there is something to send, full when there is a
	// whole batch.
	some, full chan struct{}
	flush      chan chan error
	stop       chan struct{}
	done       chan struct{}
	// ctx bounds every export; it ends with that of Shutdown.
	ctx    context.Context
	cancel context.CancelFunc
	last   error // the first of the exports that failed since Shutdown; valid when done is closed
}

func newProcessor(exporter sdktrace.SpanExporter, settings *batchSettings, attempts *attempts) *processor {
	p := &processor{
		exporter: exporter, settings: *settings, attempts: attempts,
		some: make(chan struct{}, 1), full: make(chan struct{}, 1),
		flush: make(chan chan error), stop: make(chan struct{}), done: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.run()
	return p
}

// OnStart implements sdktrace.SpanProcessor.
func (p *processor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor. It never blocks.
func (p *processor) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	p.mu.Lock()
	if p.closed || len(p.queue) >= p.settings.queueSpansMax {
		p.mu.Unlock()
		p.dropped.Add(1)
		return
	}
	p.queue = append(p.queue, s)
	n := len(p.queue)
	p.mu.Unlock()
	if n == 1 {
		signal(p.some)
	}
	if n == p.settings.batchSpansMax {
		signal(p.full)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (p *processor) run() {
	defer close(p.done)
	for {
		select {
		case <-p.some:
			if p.gather() {
				return
			}
		case flushed := <-p.flush:
			flushed <- p.export()
		case <-p.stop:
			_ = p.export()
			return
		}
	}
}

// gather waits for a batch, sends it, and reports whether that was the last.
func (p *processor) gather() (last bool) {
	timer := time.NewTimer(p.settings.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		_ = p.export()
	case <-p.full:
		_ = p.export()
	case flushed := <-p.flush:
		flushed <- p.export()
	case <-p.stop:
		_ = p.export()
		return true
	}
	return false
}

// export sends all that waits, and returns why the first batch that was lost
// could not be sent.
func (p *processor) export() (first error) {
	for {
		p.mu.Lock()
		n := min(len(p.queue), p.settings.batchSpansMax)
		batch := p.queue[:n:n]
		p.queue = p.queue[n:]
		if len(p.queue) == 0 {
			p.queue = nil
		}
		p.mu.Unlock()
		if n == 0 {
			return first
		}
		if err := p.exportBatch(batch); err != nil && first == nil {
			first = err
		}
	}
}

func (p *processor) exportBatch(batch []sdktrace.ReadOnlySpan) error {
	limited, cancel := context.WithTimeout(p.ctx, p.settings.timeout)
	defer cancel()
	ctx, cut := context.WithCancelCause(limited)
	defer cut(nil)
	p.attempts.begin(cut)
	err := p.exporter.ExportSpans(p.attempts.watch(ctx), batch)
	p.attempts.over()
	if err == nil {
		p.exported.Add(uint64(len(batch)))
		p.attempts.succeeded(p.dropped.Load())
		return nil
	}
	p.dropped.Add(uint64(len(batch)))
	p.attempts.failed(ctx, err)
	if context.Cause(ctx) == errNoSecondAttempt {
		err = p.attempts.reason(err) // and not that it was cut
	}
	err = p.attempts.explain(err)
	if p.last == nil && p.ending() {
		p.last = err
	}
	return err
}

// ending reports whether Shutdown was called.
func (p *processor) ending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// ForceFlush implements sdktrace.SpanProcessor.
func (p *processor) ForceFlush(ctx context.Context) error {
	flushed := make(chan error, 1)
	select {
	case p.flush <- flushed:
	case <-p.done:
		return nil
	case <-ctx.Done():
		return p.attempts.explain(ctx.Err())
	}
	select {
	case err := <-flushed:
		return err
	case <-ctx.Done():
		return p.attempts.explain(ctx.Err())
	}
}

// Shutdown implements sdktrace.SpanProcessor.
func (p *processor) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	begun := p.closed
	p.closed = true
	p.mu.Unlock()
	if begun {
		<-p.done
		return nil
	}
	defer p.cancel()
	defer context.AfterFunc(ctx, p.cancel)()
	p.attempts.end()
	close(p.stop)
	<-p.done
	err := p.exporter.Shutdown(ctx)
	switch {
	case ctx.Err() != nil:
		return p.attempts.explain(ctx.Err())
	case p.last != nil:
		return p.last
	}
	return err
}
