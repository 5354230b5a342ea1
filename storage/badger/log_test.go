package badger

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/trouperaft/troupe/internal/foreign"
	"github.com/trouperaft/troupe/storage"
)

// rude is a log handler that does something else than to write a line.
type rude struct{ do func() }

func (rude) Enabled(context.Context, slog.Level) bool    { return true }
func (r rude) WithAttrs([]slog.Attr) slog.Handler        { return r }
func (r rude) WithGroup(string) slog.Handler             { return r }
func (r rude) Handle(context.Context, slog.Record) error { r.do(); return nil }

// TestRudeLoggers: rule 28: a logger that hangs, panics or ends its goroutine holds
// up no opening, no call and no end, and its lines are counted as lost.
func TestRudeLoggers(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, do := range map[string]func(){
		"hangs": func() { <-release }, "panics": func() { panic("a logger") }, "ends its goroutine": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			o := small(1)
			o.Logger = slog.New(rude{do})
			s := mustOpen(t, t.TempDir(), o)
			for range foreign.LinesMax + 10 {
				badgerLogger{logger: s.logger}.Warningf("a line")
			}
			mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 1, 10)})
			begin := time.Now()
			mustClose(t, s)
			if took := time.Since(begin); took > 10*foreign.LinesPatience {
				t.Errorf("Close took %v", took)
			}
			if n := s.LinesDropped(); n < 10 {
				t.Errorf("%d lines are lost, want at least 10", n)
			}
		})
	}
}
