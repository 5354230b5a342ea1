package simulation

import (
	"slices"
	"testing"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
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

// without is the scene's configuration without a node.
func (s scene) without(n int) membership.Configuration {
	c := s.configuration.Clone()
	c.Members = slices.Delete(c.Members, n-1, n)
	c.Voters = slices.Delete(c.Voters, n-1, n)
	return c
}

// TestChangeStepsCheckerCanFail shows the checker of steps what it has to find, and what
// is right. The cluster has the voters 1 and 2.
func TestChangeStepsCheckerCanFail(t *testing.T) {
	two := func(s scene) membership.Configuration { return s.without(3) }
	target := func(s scene, id membership.ChangeID) *membership.Target {
		return &membership.Target{ID: id, Members: s.configuration.Members, Voters: s.configuration.Voters}
	}
	learner := func(s scene) membership.Configuration {
		c := two(s)
		c.Members, c.Target = s.configuration.Members, target(s, 7)
		return c
	}
	joint := func(s scene) membership.Configuration {
		c := learner(s)
		c.Voters, c.Outgoing = s.configuration.Voters, c.Voters
		return c
	}
	acks := func(s scene, match core.Index) { s.check.matched[vote{s.id(3), 1}] = match }
	for name, test := range map[string]struct {
		play func(s scene) []membership.Configuration
		want string
	}{
		"a whole change": {func(s scene) []membership.Configuration {
			end := s.configuration.Clone()
			end.Last = membership.Outcome{ID: 7, Result: membership.ResultDone}
			acks(s, 2)
			return []membership.Configuration{two(s), learner(s), joint(s), end}
		}, ""},
		"a change that is given up": {func(s scene) []membership.Configuration {
			end := two(s)
			end.Last = membership.Outcome{ID: 7, Result: membership.ResultCancelled}
			return []membership.Configuration{two(s), learner(s), end}
		}, ""},
		"tags set beside a change": {func(s scene) []membership.Configuration {
			other := learner(s)
			other.Last = membership.Outcome{ID: 8, Result: membership.ResultDone}
			return []membership.Configuration{two(s), learner(s), other}
		}, ""},
		"a voter that has acknowledged nothing": {func(s scene) []membership.Configuration {
			return []membership.Configuration{two(s), learner(s), joint(s)}
		}, ruleVoterAdmitted},
		"a voter that lacks its admission": {func(s scene) []membership.Configuration {
			acks(s, 1)
			return []membership.Configuration{two(s), learner(s), joint(s)}
		}, ruleVoterAdmitted},
		"a voter that is no member before": {func(s scene) []membership.Configuration {
			acks(s, 9)
			return []membership.Configuration{two(s), joint(s)}
		}, ruleVoterAdmitted},
		"a voter that comes at once": {func(s scene) []membership.Configuration {
			return []membership.Configuration{two(s), s.configuration}
		}, ruleOneChange},
		"a voter exchanged at once": {func(s scene) []membership.Configuration {
			return []membership.Configuration{s.without(2), s.without(1)}
		}, ruleOneChange},
		"no quorum in common": {func(s scene) []membership.Configuration {
			one, other := s.configuration.Clone(), s.configuration.Clone()
			one.Voters, other.Voters = one.Voters[:1], other.Voters[1:]
			return []membership.Configuration{one, other}
		}, ruleQuorumsMeet},
		"a change inside another": {func(s scene) []membership.Configuration {
			other := learner(s)
			other.Target = target(s, 8)
			return []membership.Configuration{two(s), learner(s), other}
		}, ruleOneChange},
		"a change that is forgotten": {func(s scene) []membership.Configuration {
			return []membership.Configuration{two(s), learner(s), two(s)}
		}, ruleOneChange},
		"from one joint configuration to another": {func(s scene) []membership.Configuration {
			other := joint(s)
			other.Outgoing = other.Outgoing[:1]
			acks(s, 2)
			return []membership.Configuration{two(s), learner(s), joint(s), other}
		}, ruleOneChange},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.check.leaders[1] = s.id(1)
			before := core.LogID{}
			for i, c := range test.play(s) {
				e := entry(1, core.Index(i+1))
				e.Kind, e.Data = core.EntryConfiguration, c.Encode()
				s.check.entry(&e, before)
				s.check.committed, s.check.certain[e.Index], before = e.Index, e.LogID, e.LogID
			}
			if f := s.failure; f == nil && test.want != "" || f != nil && (f.Rule != test.want && !(f.Rule == ruleQuorumsMeet && test.want == ruleOneChange)) {
				t.Errorf("found: %v, want %q", f, test.want)
			}
		})
	}
}

// TestChangeBeforeTheLastIsCommitted: the configuration before is not committed, or
// another entry is in its place.
func TestChangeBeforeTheLastIsCommitted(t *testing.T) {
	for name, test := range map[string]struct {
		committed core.Index
		id        core.LogID
		want      bool
	}{
		"committed":               {2, core.LogID{Term: 1, Index: 2}, false},
		"not committed":           {1, core.LogID{Term: 1, Index: 1}, true},
		"another one is there":    {2, core.LogID{Term: 2, Index: 2}, true},
		"nobody knows what it is": {3, core.LogID{Term: 1, Index: 3}, false},
	} {
		s := newScene(t)
		before := core.LogID{}
		for i := range core.Index(3) {
			e := entry(1, i+1)
			if i > 0 {
				e.Kind, e.Data = core.EntryConfiguration, s.configuration.Encode()
			}
			if i == 2 {
				s.check.committed, s.check.certain[test.id.Index] = test.committed, test.id
				s.check.entries[core.LogID{Term: 2, Index: 2}] = entryFacts{before: core.LogID{Term: 1, Index: 1}}
				s.check.entries[core.LogID{Term: 1, Index: 3}] = entryFacts{before: core.LogID{Term: 1, Index: 2}}
				f := &configurationFact{core.ConfigurationAt{LogID: core.LogID{Term: 1, Index: 3}, Configuration: s.configuration}, s.check.configurationBefore(before)}
				s.check.follows(f)
				break
			}
			s.check.committed = 1
			s.check.certain[1] = core.LogID{Term: 1, Index: 1}
			s.check.entry(&e, before)
			before = e.LogID
		}
		if f := s.failure; (f != nil) != test.want || f != nil && f.Rule != ruleChangeBefore {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// TestMajoritiesMeet holds the arithmetic against all sets of up to five of six.
func TestMajoritiesMeet(t *testing.T) {
	set := func(bits int) (ids []membership.Identity) {
		for i := range 6 {
			if bits>>i&1 == 1 {
				ids = append(ids, membership.Identity{ID: membership.NodeID(i + 1), Incarnation: 1})
			}
		}
		return ids
	}
	majority := func(of, some int) bool { return 2*len(set(of&some)) > len(set(of)) }
	for x := 1; x < 64; x++ {
		for y := 1; y < 64; y++ {
			want := true
			for some := range 64 {
				want = want && !(majority(x, some) && majority(y, ^some&63))
			}
			if got := majoritiesMeet(set(x), set(y)); got != want {
				t.Fatalf("%v and %v: %v", set(x), set(y), got)
			}
		}
	}
}

// TestTurns shows what is counted of a change.
func TestTurns(t *testing.T) {
	ended := func(c membership.Configuration, result membership.Result) membership.Configuration {
		c.Last = membership.Outcome{ID: 7, Result: result}
		return c
	}
	// another puts another incarnation in the place of node 3.
	another := func(s scene) membership.Configuration {
		c := s.configuration.Clone()
		c.Members[2].Incarnation++
		c.Voters[2].Incarnation++
		return c
	}
	for name, test := range map[string]struct {
		terms []core.Term
		play  func(s scene) []membership.Configuration
		want  []situation
	}{
		"cancelled": {nil, func(s scene) []membership.Configuration {
			return []membership.Configuration{s.configuration, ended(s.configuration, membership.ResultCancelled)}
		}, []situation{changeCancelled}},
		"not caught up": {nil, func(s scene) []membership.Configuration {
			return []membership.Configuration{s.configuration, ended(s.configuration, membership.ResultNotCaughtUp)}
		}, []situation{changeNotCaughtUp}},
		"yielded": {nil, func(s scene) []membership.Configuration {
			return []membership.Configuration{s.configuration, ended(s.configuration, membership.ResultYielded)}
		}, []situation{changeYielded}},
		"done": {nil, func(s scene) []membership.Configuration {
			return []membership.Configuration{s.configuration, ended(s.without(3), membership.ResultDone)}
		}, nil},
		"back in the term": {nil, func(s scene) []membership.Configuration {
			return []membership.Configuration{s.configuration, s.without(3), s.configuration}
		}, []situation{removedReturns, readdedInTerm}},
		"back later": {[]core.Term{1, 1, 2}, func(s scene) []membership.Configuration {
			return []membership.Configuration{s.configuration, s.without(3), s.configuration}
		}, []situation{removedReturns}},
		"back empty": {nil, func(s scene) []membership.Configuration {
			return []membership.Configuration{s.configuration, s.without(3), another(s)}
		}, []situation{removedReturnsEmpty}},
		"replaced": {nil, func(s scene) []membership.Configuration {
			return []membership.Configuration{s.configuration, another(s)}
		}, []situation{emptiedReplaced}},
		"beside a change": {nil, func(s scene) []membership.Configuration {
			c := s.configuration
			c.Target = &membership.Target{ID: 9}
			return []membership.Configuration{c, ended(c, membership.ResultDone)}
		}, []situation{attributesBeside}},
	} {
		s := newScene(t)
		for i, c := range test.play(s) {
			id := core.LogID{Term: 1, Index: core.Index(i + 1)}
			if test.terms != nil {
				id.Term = test.terms[i]
			}
			s.check.turns(&core.ConfigurationAt{LogID: id, Configuration: c})
		}
		if got := s.counted(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestPhases: who dies in which phase of a change.
func TestPhases(t *testing.T) {
	for name, test := range map[string]struct {
		play func(s scene, st *actors.Status)
		want []situation
	}{
		"no change": {func(scene, *actors.Status) {}, nil},
		"no leader": {func(s scene, st *actors.Status) {
			st.Role = core.RoleFollower
			st.Configuration.Configuration.Outgoing = s.configuration.Voters
		}, nil},
		"catching up": {func(_ scene, st *actors.Status) { st.Configuration.Configuration.Target = &membership.Target{ID: 7} }, []situation{diesCatchingUp}},
		"forming": {func(_ scene, st *actors.Status) {
			st.Configuration.Configuration.Target = &membership.Target{Founding: true}
		}, nil},
		"joint": {func(s scene, st *actors.Status) { st.Configuration.Configuration.Outgoing = s.configuration.Voters }, []situation{diesJointCommitted}},
		"joint, not committed": {func(s scene, st *actors.Status) {
			st.Configuration.Configuration.Outgoing, st.Committed = s.configuration.Voters, 4
		}, []situation{diesJointAppended}},
		"new, not committed": {func(s scene, st *actors.Status) {
			joint := &configurationFact{}
			joint.Configuration.Outgoing = s.configuration.Voters
			s.check.seen[st.Configuration.LogID], st.Committed = &configurationFact{st.Configuration, joint}, 4
		}, []situation{diesNewAppended}},
		"one entry, not committed": {func(s scene, st *actors.Status) {
			s.check.seen[st.Configuration.LogID], st.Committed = &configurationFact{st.Configuration, &configurationFact{}}, 4
		}, nil},
	} {
		s := newScene(t)
		r := s.replica(1)
		r.status.Role, r.status.Committed = core.RoleLeader, 5
		r.status.Configuration = core.ConfigurationAt{LogID: core.LogID{Term: 1, Index: 5}, Configuration: s.configuration.Clone()}
		test.play(s, &r.status)
		r.dies()
		if got := s.counted(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestSurvives: a directory may be lost where every half that decides keeps a majority.
func TestSurvives(t *testing.T) {
	s := newScene(t)
	g := s.groups[0]
	s.check.seen[core.LogID{Term: 1, Index: 1}] = &configurationFact{core.ConfigurationAt{LogID: core.LogID{Term: 1, Index: 1}, Configuration: s.configuration}, nil}
	for n := range s.nodes {
		g.holds(n+1, 1)
	}
	if !g.survives(s.nodes[2]) || !g.belongs(s.nodes[2]) {
		t.Error("one of three may be lost")
	}
	joint := s.configuration.Clone()
	joint.Outgoing = joint.Voters[:2]
	s.check.seen[core.LogID{Term: 1, Index: 2}] = &configurationFact{core.ConfigurationAt{LogID: core.LogID{Term: 1, Index: 2}, Configuration: joint}, nil}
	if g.survives(s.nodes[0]) || !g.survives(s.nodes[2]) {
		t.Error("one of two is not to be lost, one of three is")
	}
	s.nodes[2].disk = s.newDisk(3)
	if g.survives(s.nodes[1]) {
		t.Error("two of three may not be lost")
	}
}
