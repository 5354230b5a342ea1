package core

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// TestNewEngineRefusesDamage: rule 24: parts of the stored state that contradict
// each other are reported by name. A lost hard state would let the node vote twice in a
// term, a snapshot of another cluster replace the machine's state by a stranger's.
func TestNewEngineRefusesDamage(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *State)
		says   string
	}{
		"a term below the last entry's": {func(s *State) { s.HardState.Term = 1 }, "the hard state is of term 1"},
		"no hard state":                 {func(s *State) { s.HardState = HardState{} }, "there is no hard state"},
		"another cluster": {func(s *State) {
			s.Snapshot = SnapshotMeta{LogID: LogID{1, 2}, Cluster: otherCluster, Configuration: s.Configurations[0]}
		}, "belongs to another cluster"},
		"a configuration beyond the end": {func(s *State) {
			s.Configurations = append(s.Configurations, ConfigurationAt{LogID{2, 9}, s.Configurations[0].Configuration})
		}, "that of the entry 2.9"},
		"a snapshot's configuration beyond it": {func(s *State) {
			s.Snapshot = SnapshotMeta{LogID: LogID{1, 2}, Cluster: worldCluster, Configuration: ConfigurationAt{LogID{2, 3}, s.Configurations[0].Configuration}}
		}, "the snapshot 1.2 has a configuration of the entry 2.3"},
		"a vote without a term": {func(s *State) { *s = State{HardState: HardState{Vote: rigPeers[1]}} }, "no term"},
	} {
		s := rigState(rigOptions{terms: []Term{1, 2, 2}})
		test.change(&s)
		if _, err := NewEngine(testConfig(rigPeers[0]), s, Instant(time.Hour)); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var otherCluster = clusterID(0xee)

// TestSnapshotAheadOfHardState: rule 24: a crash between the snapshot's file and the
// reset leaves a snapshot of a term and a cluster that the hard state does not know.
func TestSnapshotAheadOfHardState(t *testing.T) {
	var c membership.Configuration
	for _, id := range rigPeers[:3] {
		c.Members = append(c.Members, membership.Member{Identity: id})
		c.Voters = append(c.Voters, id)
	}
	meta := SnapshotMeta{LogID: LogID{4, 9}, Cluster: worldCluster, Configuration: ConfigurationAt{LogID{1, 1}, c}}
	r := newRigOf(t, State{Snapshot: meta}, nil)
	if w, ok := find[*Write](r); !ok || w.Reset != meta.LogID || w.HardState != (HardState{Term: 4, Cluster: worldCluster}) {
		t.Errorf("%q", r.lines())
	}
}
