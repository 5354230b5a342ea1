package simulation

import (
	"testing"

	"github.com/trouperaft/troupe/core"
)

// TestDescriptionCheckersCanFail shows the checkers of times and of what snapshots say
// of themselves what they have to find, and what is right.
func TestDescriptionCheckersCanFail(t *testing.T) {
	at := func(i core.Index, time int64) core.Entry {
		e := entry(1, i)
		e.Time = time
		return e
	}
	for name, test := range map[string]struct {
		rule   string
		second int64
		change func(*core.SnapshotMeta)
	}{
		"all is right":           {"", 10, func(*core.SnapshotMeta) {}},
		"an earlier entry":       {ruleTimeBack, 9, func(*core.SnapshotMeta) {}},
		"another time":           {ruleSnapshotTime, 20, func(m *core.SnapshotMeta) { m.Time-- }},
		"an older configuration": {ruleSnapshotConfiguration, 20, func(m *core.SnapshotMeta) { m.Configuration = core.ConfigurationAt{} }},
		"other voters": {ruleSnapshotConfiguration, 20, func(m *core.SnapshotMeta) {
			m.Configuration.Configuration.Voters = m.Configuration.Configuration.Voters[1:]
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			first, second := at(1, 10), at(2, test.second)
			first.Kind, first.Data = core.EntryConfiguration, s.configuration.Encode()
			s.check.entry(&first, core.LogID{})
			s.check.entry(&second, first.LogID)
			s.apply(1, first)
			s.apply(1, second)
			meta := core.SnapshotMeta{LogID: second.LogID, Time: test.second, Configuration: core.ConfigurationAt{LogID: first.LogID, Configuration: s.configuration}}
			test.change(&meta)
			s.check.describes(s.id(1), &meta)
			if f := s.failure; f == nil && test.rule != "" || f != nil && f.Rule != test.rule {
				t.Errorf("found: %v", f)
			}
		})
	}
}
