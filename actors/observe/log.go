package observe

import (
	"context"
	"log/slog"

	"github.com/trouperaft/troupe/core"
)

// handler hands lines of the log to an observer. What writes them may block.
type handler struct {
	lines *observer[logLine]
	to    slog.Handler
}

// logLine is a line for a handler of the user's.
type logLine struct {
	to     slog.Handler
	record slog.Record
}

// write writes the line, if its handler wants it.
func (l logLine) write() {
	if ctx := context.Background(); l.to.Enabled(ctx, l.record.Level) {
		_ = l.to.Handle(ctx, l.record)
	}
}

// Enabled implements slog.Handler. Whether a line is wanted its handler is asked
// later, by whom it may block.
func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	h.lines.put(logLine{h.to, r.Clone()})
	return nil
}

// WithAttrs implements slog.Handler. It calls the user's: troupe does so only
// where a node or a group is started.
func (h *handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return &handler{h.lines, h.to.WithAttrs(attributes)}
}

// WithGroup implements slog.Handler, likewise.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.lines, h.to.WithGroup(name)}
}

// noticed writes a notice to the log.
func (w *Watch) noticed(n *core.Notice) {
	attributes := noticeAttributes(n)
	if w.traces != nil {
		if c := w.traces.noticed(n); !c.IsZero() {
			attributes = append(attributes, logIDs(c)...)
		}
	}
	w.logger.LogAttrs(context.Background(), noticeLevel(n.Kind), n.Kind.String(), attributes...)
}

// noticeLevel is a warning for what an operator should look into.
func noticeLevel(kind core.NoticeKind) slog.Level {
	switch kind {
	case core.NoticeLostData, core.NoticeUnknownToGroup, core.NoticeOtherCluster, core.NoticeConnectionBroken, core.NoticeContradiction, core.NoticeSnapshotFailed,
		core.NoticeTransferFailed, core.NoticeElectionsPaused:
		return slog.LevelWarn
	case core.NoticeFailed:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// noticeAttributes are the fields of a notice that say something.
func noticeAttributes(n *core.Notice) []slog.Attr {
	var attributes []slog.Attr
	add := func(says bool, a slog.Attr) {
		if says {
			attributes = append(attributes, a)
		}
	}
	add(n.Term != 0, slog.Uint64("term", uint64(n.Term)))
	add(!n.Peer.IsZero(), slog.Any("peer", n.Peer))
	add(!n.Known.IsZero(), slog.Any("known", n.Known))
	add(n.Index != 0, slog.Uint64("index", uint64(n.Index)))
	add(n.Text != "", slog.String("text", n.Text))
	return attributes
}
