//go:build !race

package stream

import (
	"testing"

	"github.com/trouperaft/troupe/core"
)

// TestStreamAllocations: a message, and nothing for what is in it.
func TestStreamAllocations(t *testing.T) {
	entries := []core.Entry{command(id(5, 3))}
	s := New(testConfig(core.StartStream{Term: 5, Stream: 7, Terms: []core.LogID{id(1, 1), id(5, 3)}, Last: 2}))
	var out Output
	grown, read, sent, answer := &Grown{}, &Read{}, &Sent{OK: true}, &core.AppendResponse{}
	last := core.Index(2)
	run := func() {
		last++
		*grown = Grown{Last: last, Commit: last - 1}
		s.Step(1, grown, &out)
		entries[0].LogID = id(5, last)
		*read = Read{Prev: id(5, last-1), Entries: entries}
		s.Step(1, read, &out)
		if out.Send == nil {
			t.Fatal("nothing is sent")
		}
		s.Step(1, sent, &out)
		*answer = core.AppendResponse{Header: core.Header{Cluster: cluster, From: peer, Term: 5}, Stream: 7, Success: true, Match: last}
		s.Step(1, Answered{answer}, &out)
	}
	for range 100 {
		run()
	}
	if n := testing.AllocsPerRun(1000, run); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
