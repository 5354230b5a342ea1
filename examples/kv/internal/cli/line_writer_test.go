package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// pipe is a writer that hangs until it is opened, and may be gone.
type pipe struct {
	open chan struct{}
	gone bool
	got  bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) {
	<-p.open
	if p.gone {
		p.gone = false
		return 0, errors.New("broken pipe")
	}
	return p.got.Write(b)
}

// TestLinesWaitForNobody: a reader that hangs costs lines, which are counted, and holds
// up neither who writes nor the end.
func TestLinesWaitForNobody(t *testing.T) {
	p := &pipe{open: make(chan struct{}), gone: true}
	l := newLineWriter(p)
	for range 3 * linesMax {
		if n, err := l.Write([]byte("a line\n")); n != 7 || err != nil {
			t.Fatal(n, err)
		}
	}
	l.close(0)
	close(p.open)
	l.close(time.Minute)
	if _, err := l.Write([]byte("late\n")); err != nil {
		t.Error(err)
	}
	text := p.got.String()
	if n := strings.Count(text, "a line\n"); n < linesMax-1 || n > linesMax+1 { // the first is lost with the pipe
		t.Errorf("%d lines arrived", n)
	}
	if !strings.Contains(text, "lines were lost\n") || strings.Contains(text, "late") {
		t.Errorf("it begins with %q", text[:100])
	}
}
