package otlp

import (
	"context"
	"log/slog"
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
	exporter sdktrace.SpanExporter
	settings batchSettings
	logger   *slog.Logger
	dropped  atomic.Uint64

	mu     sync.Mutex
	queue  []sdktrace.ReadOnlySpan
	closed bool

	// some has a token when there is something to send, full when there is a
	// whole batch.
	some, full chan struct{}
	flush      chan chan struct{}
	stop       chan struct{}
	done       chan struct{}
	// ctx bounds every export; it ends with that of Shutdown.
	ctx     context.Context
	cancel  context.CancelFunc
	failing bool // the goroutine's
}

func newProcessor(exporter sdktrace.SpanExporter, settings *batchSettings, logger *slog.Logger) *processor {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	p := &processor{
		exporter: exporter, settings: *settings, logger: logger,
		some: make(chan struct{}, 1), full: make(chan struct{}, 1),
		flush: make(chan chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
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
			p.export()
			close(flushed)
		case <-p.stop:
			p.export()
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
		p.export()
	case <-p.full:
		p.export()
	case flushed := <-p.flush:
		p.export()
		close(flushed)
	case <-p.stop:
		p.export()
		return true
	}
	return false
}

// export sends all that waits.
func (p *processor) export() {
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
			return
		}
		ctx, cancel := context.WithTimeout(p.ctx, p.settings.timeout)
		p.note(n, p.exporter.ExportSpans(ctx, batch))
		cancel()
	}
}

// note counts what an export has lost, and says when exports begin to fail and
// when they go well again.
func (p *processor) note(spans int, err error) {
	if err != nil {
		p.dropped.Add(uint64(spans))
	}
	if failing := err != nil; failing != p.failing {
		p.failing = failing
		if failing {
			p.logger.Warn("spans cannot be exported, and are lost", slog.Any("error", err))
		} else {
			p.logger.Info("spans are exported again", slog.Uint64("dropped", p.dropped.Load()))
		}
	}
}

// ForceFlush implements sdktrace.SpanProcessor.
func (p *processor) ForceFlush(ctx context.Context) error {
	flushed := make(chan struct{})
	select {
	case p.flush <- flushed:
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
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
	close(p.stop)
	<-p.done
	err := p.exporter.Shutdown(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
