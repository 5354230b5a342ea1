package stream

import (
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
)

// TestDeniedMatchIsProbedSeldom: a peer that denies what it had acknowledged is asked
// again once a sign of life at most, and less and less often; the second denial in a
// row is told.
func TestDeniedMatchIsProbedSeldom(t *testing.T) {
	r := replicating(t)
	last := r.log.last()
	r.expect(r.pump(&Alive{Match: last.Index, Sent: r.now}), "matched 10")
	refusal := r.answer(core.AppendResponse{Rejected: last, Hint: id(2, 2)})
	r.expect(r.pump(&Down{}), "after 5.10 [], commit 9")
	r.expect(r.pump(refusal)) // nothing follows, and it may be a late answer
	var probes []time.Duration
	begun, told := r.now, 0
	for range 600 {
		r.now = r.now.Add(100 * time.Millisecond)
		for _, line := range r.pump(&Alive{Sent: r.now - 1}) {
			if !strings.HasPrefix(line, "after 5.10 []") {
				t.Fatalf("sends %q", line)
			}
			probes = append(probes, r.now.Sub(begun))
			if len(r.pump(refusal)) == 1 {
				told++
			}
		}
	}
	// 100 ms after the first denial, and then always twice as long up to ten seconds.
	if len(probes) != 11 || probes[0] != 100*time.Millisecond || probes[1] != 300*time.Millisecond || probes[10]-probes[9] != denialWaitMax {
		t.Errorf("probed after %v", probes)
	}
	if told != len(probes) {
		t.Errorf("told %d times at %d denials after the first", told, len(probes))
	}
	// The right disk is back.
	r.now = r.now.Add(denialWaitMax)
	r.pump(&Alive{Sent: r.now - 1})
	r.pump(r.answer(core.AppendResponse{Success: true, Match: last.Index}))
	r.state("replicate match 10 next 11 in flight 0")
	r.expect(r.pump(&Down{}), "after 5.10 [], commit 9")
	r.expect(r.pump(refusal)) // the first denial again
}
