package files

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/foreign"
)

// rude is a log handler that does something else than to write a line.
type rude struct{ do func() }

func (rude) Enabled(context.Context, slog.Level) bool    { return true }
func (r rude) WithAttrs([]slog.Attr) slog.Handler        { return r }
func (r rude) WithGroup(string) slog.Handler             { return r }
func (r rude) Handle(context.Context, slog.Record) error { r.do(); return nil }

// TestRudeLoggers: rule 28: a logger that hangs, panics or ends its goroutine holds
// up no call, and its lines are counted as lost.
func TestRudeLoggers(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, do := range map[string]func(){
		"hangs": func() { <-release }, "panics": func() { panic("a logger") }, "ends its goroutine": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := Open(dir, slog.New(rude{do}))
			if err != nil {
				t.Fatal(err)
			}
			write(t, s, 11, "good")
			for range foreign.LinesMax + 10 { // each says that one is damaged
				if err := os.WriteFile(filepath.Join(dir, "7", "3-12.snap"), []byte("none"), 0o600); err != nil {
					t.Fatal(err)
				}
				if meta, err := s.Newest(t.Context(), 7); err != nil || meta.LogID != (core.LogID{Term: 3, Index: 11}) {
					t.Fatalf("%v, %v", meta.LogID, err)
				}
			}
			s.lines.Close(foreign.LinesPatience)
			if n := s.LinesDropped(); n < 10 {
				t.Errorf("%d lines are lost, want at least 10", n)
			}
		})
	}
}
