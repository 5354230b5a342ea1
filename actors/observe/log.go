package observe

import (
	"context"
	"log/slog"

	"github.com/trouperaft/troupe/core"
)

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
		core.NoticeTransferFailed, core.NoticeCannotWork, core.NoticeElectionsPaused, core.NoticeLeadingOverdue,
		core.NoticeChangeGivenUp, core.NoticeRemoved, core.NoticeLeftBehind, core.NoticeEntryTooLarge, core.NoticeClock, core.NoticeLogLetGo, core.NoticeVersion,
		core.NoticeAutopilotActs, core.NoticeAutopilotRefuses:
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
