package cli

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// lineWriter is a writer of whole lines, to a pipe for instance whose reader may hang or go
// away. Nobody waits for it: what it does not take is lost, and counted.
type lineWriter struct {
	to    io.Writer
	ended chan struct{}

	mu     sync.Mutex
	queue  chan []byte
	closed bool
	lost   int
}

// linesMax is how many lines may wait, and lineBytesMax how much one may carry.
const (
	linesMax     = 1024
	lineBytesMax = 64 << 10
)

func newLineWriter(to io.Writer) *lineWriter {
	l := &lineWriter{to: to, ended: make(chan struct{}), queue: make(chan []byte, linesMax)}
	go l.run()
	return l
}

// Write implements io.Writer. It never fails, and never waits.
func (l *lineWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(line) > lineBytesMax {
		l.lost++
		return len(line), nil
	}
	select {
	case l.queue <- bytes.Clone(line):
	default:
		l.lost++
	}
	return len(line), nil
}

func (l *lineWriter) run() {
	defer close(l.ended)
	for line := range l.queue {
		if n := l.takeLost(); n > 0 {
			line = append(fmt.Appendf(nil, "kv: %d lines were lost\n", n), line...)
		}
		if _, err := l.to.Write(line); err != nil {
			l.mu.Lock()
			l.lost++
			l.mu.Unlock()
		}
	}
}

func (l *lineWriter) takeLost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.lost
	l.lost = 0
	return n
}

// close takes no more lines, and waits a while for what is left.
func (l *lineWriter) close(patience time.Duration) {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.ended:
	case <-timer.C:
	}
}
