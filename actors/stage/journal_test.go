package stage_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/trouperaft/troupe/actors/stage/stagetest"
)

// brokenWriter fails, or panics.
type brokenWriter struct{ panics bool }

var errBroken = errors.New("broken")

func (w brokenWriter) Write([]byte) (int, error) {
	if w.panics {
		panic(errBroken)
	}
	return 0, errBroken
}

// journalRig is the example's journal, driven by hand.
type journalRig struct {
	env     *stagetest.Hand
	journal *journal
	answers []string
}

func (r *journalRig) append(texts ...string) {
	for _, text := range texts {
		r.journal.Append(line{text, func(err error) {
			switch {
			case errors.Is(err, errBroken):
				text += " broken"
			case errors.Is(err, errClosed):
				text += " closed"
			}
			r.answers = append(r.answers, text)
		}})
	}
	r.env.Settle()
}

func (r *journalRig) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(r.answers, want) {
		t.Errorf("answered %q, want %q", r.answers, want)
	}
}

func (r *journalRig) expectEnd(t *testing.T) {
	t.Helper()
	select {
	case <-r.journal.ended:
	default:
		t.Error("the journal has not ended")
	}
}

// TestActorWrittenFromTheDocumentation: the example's actor makes batches of
// what comes while it waits, and answers every line once, however it ends.
func TestActorWrittenFromTheDocumentation(t *testing.T) {
	t.Run("stopped while it writes", func(t *testing.T) {
		var out bytes.Buffer
		r := &journalRig{env: stagetest.NewHand()}
		r.journal = startJournal(r.env, &out)
		r.append("a")
		r.append("b", "c")
		r.expect(t)
		r.env.Finish()
		r.expect(t, "a")
		r.append("d")
		r.journal.Stop()
		r.env.Settle()
		r.expect(t, "a", "d closed")
		r.env.Finish()
		r.append("e")
		r.expect(t, "a", "d closed", "b closed", "c closed", "e closed")
		r.expectEnd(t)
		if out.String() != "a\nb\nc\n" {
			t.Errorf("written: %q", out.String())
		}
	})
	for name, panics := range map[string]bool{"the writer fails": false, "the writer panics": true} {
		t.Run(name, func(t *testing.T) {
			r := &journalRig{env: stagetest.NewHand()}
			r.journal = startJournal(r.env, brokenWriter{panics})
			r.append("a")
			r.append("b")
			r.env.Finish()
			r.append("c")
			r.expect(t, "a broken", "b closed", "c closed")
			r.expectEnd(t)
		})
	}
}
