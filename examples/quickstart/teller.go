package main

import (
	"bytes"
	"io"
	"time"
)

// teller is a writer that keeps nobody waiting: what its reader does not take is lost.
// One goroutine writes to it.
type teller struct {
	lines chan []byte
	ended chan struct{}
}

func newTeller(to io.Writer) *teller {
	t := &teller{lines: make(chan []byte, 64), ended: make(chan struct{})}
	go func() {
		defer close(t.ended)
		for line := range t.lines {
			_, _ = to.Write(line) // whoever is gone reads no more
		}
	}()
	return t
}

// Write implements io.Writer.
func (t *teller) Write(line []byte) (int, error) {
	select {
	case t.lines <- bytes.Clone(line):
	default:
	}
	return len(line), nil
}

// close waits a while for what is left.
func (t *teller) close(patience time.Duration) {
	close(t.lines)
	select {
	case <-t.ended:
	case <-time.After(patience):
	}
}
