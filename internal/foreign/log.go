package foreign

import (
	"context"
	"log/slog"
	"time"
)

// Line is a line for a handler of the user's.
type Line struct {
	to     slog.Handler
	record slog.Record
}

// Write writes the line, if its handler wants it. The handler may do what it likes.
func (l Line) Write() {
	if ctx := context.Background(); l.to.Enabled(ctx, l.record.Level) {
		_ = l.to.Handle(ctx, l.record)
	}
}

// handler hands lines to what writes them later.
type handler struct {
	to  slog.Handler
	put func(Line)
}

// Bounds of a log that nobody waits for.
const (
	// LinesMax is how many lines wait for a logger.
	LinesMax = 1024
	// LinesPatience is for how long their queue is to be waited for at an end.
	LinesPatience = time.Second
)

// NewLogger returns a logger for which nobody waits, and the queue of its lines. They
// are written to the one that is given by another goroutine than the one that logs
// them, which may hold a lock. nil discards them.
func NewLogger(to *slog.Logger) (*slog.Logger, *Queue[Line]) {
	lines := NewQueue(LinesMax, Line.Write)
	if to == nil {
		return slog.New(slog.DiscardHandler), lines
	}
	return slog.New(NewHandler(to.Handler(), lines.Put)), lines
}

// NewHandler returns a handler that gives its lines, which are for another one, to
// put. What they say is not touched until they are written.
func NewHandler(to slog.Handler, put func(Line)) slog.Handler { return &handler{to, put} }

// Enabled implements slog.Handler. Whether a line is wanted its handler is asked
// later, by whom it may block.
func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	h.put(Line{h.to, r.Clone()})
	return nil
}

// WithAttrs implements slog.Handler. It calls the user's: troupe does so only
// where a node or a group is started.
func (h *handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return &handler{h.to.WithAttrs(attributes), h.put}
}

// WithGroup implements slog.Handler, likewise.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.to.WithGroup(name), h.put}
}
