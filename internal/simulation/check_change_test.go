package simulation

import (
	"testing"

	"github.com/trouperaft/troupe/core"
)

// TestChangeCheckerCanFail shows the checker of changes what it has to find, and what is
// right.
func TestChangeCheckerCanFail(t *testing.T) {
	for name, test := range map[string]struct {
		applied []core.LogID
		change  core.LogID
		early   bool
	}{
		"the first entry of a cluster":           {nil, core.LogID{Term: 1, Index: 1}, false},
		"in the term of what is committed":       {[]core.LogID{{Term: 1, Index: 1}, {Term: 2, Index: 2}}, core.LogID{Term: 2, Index: 3}, false},
		"before anything of the term is":         {[]core.LogID{{Term: 1, Index: 1}}, core.LogID{Term: 2, Index: 3}, true},
		"of a term that was over in between":     {[]core.LogID{{Term: 1, Index: 1}, {Term: 3, Index: 2}}, core.LogID{Term: 2, Index: 3}, true},
		"seen late, after a later term went on":  {[]core.LogID{{Term: 2, Index: 1}, {Term: 3, Index: 2}}, core.LogID{Term: 2, Index: 2}, false},
		"before anything at all is, after a gap": {nil, core.LogID{Term: 2, Index: 3}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			var before core.LogID
			for _, id := range test.applied {
				e := entry(id.Term, id.Index)
				s.check.entry(&e, before)
				s.apply(1, e)
				s.check.committed, before = id.Index, id
			}
			e := entry(test.change.Term, test.change.Index)
			e.Kind, e.Data = core.EntryConfiguration, s.configuration.Encode()
			s.check.entry(&e, before)
			if f := s.failure; f == nil && test.early || f != nil && (!test.early || f.Rule != ruleChangeEarly) {
				t.Errorf("found: %v", f)
			}
		})
	}
}
