package stream

import (
	"testing"

	"github.com/trouperaft/troupe/core"
)

// TestStreamIntroduces: the streams' part of rules 27 and 29: the id is told until
// something was acknowledged, and only what acknowledges nothing counts unproved.
func TestStreamIntroduces(t *testing.T) {
	start := func(introduces bool) *Stream {
		s := New(testConfig(core.StartStream{Term: 2, Stream: 1, Introduces: introduces}))
		var out Output
		s.Step(1, &Grown{Last: 3, Commit: 1}, &out)
		s.Step(1, &Read{}, &out)
		if out.Send == nil || out.Send.Introduces != introduces || out.Send.Cluster != cluster {
			t.Fatalf("sends %+v", out.Send)
		}
		s.Step(1, &Sent{OK: true}, &out)
		return s
	}
	answer := func(cluster core.ClusterID, term core.Term, success bool, match core.Index) *core.AppendResponse {
		return &core.AppendResponse{Header: core.Header{Group: 1, Cluster: cluster, From: peer, To: self, Term: term}, Stream: 1, Success: success, Match: match}
	}
	claimed := answer(cluster, 2, true, 1)
	claimed.Introduces = true
	for name, test := range map[string]struct {
		introduces bool
		m          *core.AppendResponse
		counts     bool
	}{
		"proved":                                     {false, answer(cluster, 2, true, 1), true},
		"unproved":                                   {false, answer(core.ClusterID{}, 2, true, 1), false},
		"unproved, nothing acknowledged":             {false, answer(core.ClusterID{}, 2, true, 0), false},
		"unproved refusal":                           {false, answer(core.ClusterID{}, 2, false, 0), false},
		"claimed":                                    {false, claimed, false},
		"of another cluster":                         {true, answer(core.ClusterID{0xee}, 2, true, 1), false},
		"unproved higher term":                       {false, answer(core.ClusterID{}, 9, false, 0), false},
		"new learner, nothing acknowledged":          {true, answer(core.ClusterID{}, 2, true, 0), true},
		"new learner, unproved, acknowledges":        {true, answer(core.ClusterID{}, 2, true, 1), false},
		"new learner, unproved, of a higher term":    {true, answer(core.ClusterID{}, 9, true, 0), false},
		"new learner, proved, acknowledges, durably": {true, answer(cluster, 2, true, 1), true},
	} {
		s := start(test.introduces)
		var out Output
		s.Step(2, Answered{test.m}, &out)
		if counted := s.Mode() != core.StreamProbe || out.Matched > 0 || out.HigherTerm > 0; counted != test.counts {
			t.Errorf("%s: counts %t: %v, %+v", name, counted, s.Mode(), out)
		}
	}
	s := start(true)
	var out Output
	s.Step(2, Answered{answer(cluster, 2, true, 1)}, &out)
	s.Step(2, &Read{Prev: id(1, 1), Entries: []core.Entry{command(id(2, 2))}}, &out)
	if out.Send == nil || out.Send.Introduces {
		t.Errorf("behind an acknowledgement: %+v", out.Send)
	}
}
