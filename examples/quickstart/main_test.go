package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, t.TempDir(), 20); err != nil {
		t.Fatalf("%v after:\n%s", err, &out)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if want := "OK: 40 writes acknowledged, 40 present on all 3 nodes"; lines[len(lines)-1] != want {
		t.Errorf("the last line is %q, want %q", lines[len(lines)-1], want)
	}
	for _, part := range []string{"is killed", "writes were unavailable for", "is back"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no line says %q:\n%s", part, &out)
		}
	}
}

func TestRunRefusesNoWrites(t *testing.T) {
	if err := run(t.Context(), &bytes.Buffer{}, t.TempDir(), 0); err == nil {
		t.Error("-writes 0 was taken")
	}
}

// TestReaderGoesAway: the story is told to its end, whether its reader hangs or is gone.
func TestReaderGoesAway(t *testing.T) {
	for name, to := range map[string]*reader{"gone": {err: errors.New("broken pipe")}, "hanging": {hangs: make(chan struct{})}} {
		t.Run(name, func(t *testing.T) {
			out := newTeller(to)
			for range 200 {
				if n, err := out.Write([]byte("a line")); n != 6 || err != nil {
					t.Fatal(n, err)
				}
			}
			if out.close(0); to.hangs != nil {
				close(to.hangs)
			}
			<-out.ended
		})
	}
}

// reader is one that hangs until its channel is closed, or is gone.
type reader struct {
	hangs chan struct{}
	err   error
}

func (r *reader) Write(p []byte) (int, error) {
	if r.hangs != nil {
		<-r.hangs
	}
	return len(p), r.err
}
