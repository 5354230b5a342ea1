package tcp

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/foreign"
)

// rude is a log handler that does something else than to write a line.
type rude struct{ do func() }

func (rude) Enabled(context.Context, slog.Level) bool    { return true }
func (r rude) WithAttrs([]slog.Attr) slog.Handler        { return r }
func (r rude) WithGroup(string) slog.Handler             { return r }
func (r rude) Handle(context.Context, slog.Record) error { r.do(); return nil }

// TestRudeLoggers: rule 28: a logger that hangs, panics or ends its goroutine holds up
// no connection, no caller and no end, and its lines are counted as lost.
func TestRudeLoggers(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, c := range map[string]struct {
		do    func()
		hangs bool
	}{
		"hangs":              {func() { <-release }, true},
		"panics":             {func() { panic("a logger") }, false},
		"ends its goroutine": {runtime.Goexit, false},
	} {
		t.Run(name, func(t *testing.T) {
			b, received := node(t, 2, Config{Logger: slog.New(rude{c.do})})
			a, e := node(t, 1, Config{Logger: slog.New(rude{c.do}), BackoffMin: time.Millisecond})
			a.SetAddress(2, nowhere)
			a.Send(heartbeat(1, 2, 1))
			await(t, "a disconnection", e.disconnected) // and a line about it
			a.SetAddress(2, b.Address())
			for round := uint64(2); !a.Send(heartbeat(1, 2, round)); round++ {
				time.Sleep(time.Millisecond)
			}
			await(t, "a message", received.received)
			a.Break(2, core.ClassControl)
			if !a.Send(heartbeat(1, 2, 100)) {
				t.Error("nothing is sent after a broken connection")
			}
			lost := int64(1)
			if c.hangs {
				for range foreign.LinesMax + 10 {
					a.log.Warn("a line")
				}
				lost = 10
			}
			begin := time.Now()
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 10*foreign.LinesPatience {
				t.Errorf("Close took %v", took)
			}
			if n := a.LinesDropped(); n < lost {
				t.Errorf("%d lines are lost, want at least %d", n, lost)
			}
		})
	}
}

// TestCloseWaitsForTheLog: what was logged before Close is written when it returns.
func TestCloseWaitsForTheLog(t *testing.T) {
	var log lines
	a, _ := node(t, 1, Config{Logger: log.logger()})
	for range foreign.LinesMax {
		a.log.Info("a line")
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if n := len(log.with("a line")); n+int(a.LinesDropped()) != foreign.LinesMax || n == 0 {
		t.Errorf("%d lines are written and %d lost, of %d", n, a.LinesDropped(), foreign.LinesMax)
	}
}
