package membership

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"
)

// quickCases is how many random cases each property is tried with.
var quickCases = &quick.Config{MaxCount: 5_000}

// voters returns identities with the given ids, sorted.
func voters(ids ...NodeID) []Identity {
	half := make([]Identity, len(ids))
	for i, id := range ids {
		half[i] = Identity{ID: id, Incarnation: Incarnation(id) * 16}
	}
	slices.SortFunc(half, Identity.Compare)
	return half
}

// halves returns a configuration that consists of nothing but its halves.
func halves(incoming, outgoing []Identity) *Configuration {
	return &Configuration{Voters: incoming, Outgoing: outgoing}
}

// ballot is one random case: two halves over at most nine nodes, and a value
// and an answer for each of them.
type ballot struct {
	incoming, outgoing []Identity
	values             map[NodeID]uint64
	votes              map[NodeID]bool
}

func randomBallot(seed uint64) ballot {
	r := rand.New(rand.NewPCG(seed, 1))
	b := ballot{values: map[NodeID]uint64{}, votes: map[NodeID]bool{}}
	draw := func(n int) []Identity {
		ids := make([]NodeID, 0, n)
		for _, i := range r.Perm(12)[:n] {
			ids = append(ids, NodeID(i+1))
		}
		return voters(ids...)
	}
	b.incoming = draw(1 + r.IntN(9))
	b.outgoing = draw(r.IntN(10))
	// Few distinct values, so that ties are common.
	span := 1 + r.Uint64N(8)
	for id := NodeID(1); id <= 12; id++ {
		b.values[id] = r.Uint64N(span)
		switch r.IntN(3) {
		case 0:
			b.votes[id] = true
		case 1:
			b.votes[id] = false
		}
	}
	return b
}

func (b *ballot) value(id Identity) uint64 { return b.values[id.ID] }

func (b *ballot) vote(id Identity) (granted, answered bool) {
	granted, answered = b.votes[id.ID]
	return granted, answered
}

// decided says, word for word, what a majority is: more than half of the half.
func decided(half []Identity, yes func(Identity) bool) bool {
	n := 0
	for _, id := range half {
		if yes(id) {
			n++
		}
	}
	return 2*n > len(half)
}

// naiveValue tries every value that somebody has, from the greatest down.
func naiveValue(c *Configuration, value func(Identity) uint64) uint64 {
	best := uint64(0)
	for _, half := range [][]Identity{c.Voters, c.Outgoing} {
		for _, id := range half {
			v := value(id)
			reached := func(id Identity) bool { return value(id) >= v }
			if v > best && decided(c.Voters, reached) && (len(c.Outgoing) == 0 || decided(c.Outgoing, reached)) {
				best = v
			}
		}
	}
	return best
}

// naiveTally tries what those who have not answered could still say.
func naiveTally(c *Configuration, vote func(Identity) (bool, bool)) Tally {
	outcome := func(rest bool) bool {
		yes := func(id Identity) bool {
			granted, answered := vote(id)
			return answered && granted || !answered && rest
		}
		return decided(c.Voters, yes) && (len(c.Outgoing) == 0 || decided(c.Outgoing, yes))
	}
	switch {
	case outcome(false):
		return Won
	case !outcome(true):
		return Lost
	}
	return Pending
}

func TestQuorumAgainstBruteForce(t *testing.T) {
	property := func(seed uint64) bool {
		b := randomBallot(seed)
		c := halves(b.incoming, b.outgoing)
		return c.QuorumValue(b.value) == naiveValue(c, b.value) && c.CountVotes(b.vote) == naiveTally(c, b.vote)
	}
	if err := quick.Check(property, quickCases); err != nil {
		t.Error(err)
	}
}

// TestQuorumProperties holds for any configuration, whatever the arithmetic.
func TestQuorumProperties(t *testing.T) {
	properties := map[string]func(b ballot) bool{
		"a joint configuration of equal halves decides like one half": func(b ballot) bool {
			single, twice := halves(b.incoming, nil), halves(b.incoming, b.incoming)
			return single.QuorumValue(b.value) == twice.QuorumValue(b.value) && single.CountVotes(b.vote) == twice.CountVotes(b.vote)
		},
		"the halves may change places": func(b ballot) bool {
			if len(b.outgoing) == 0 {
				return true
			}
			c, d := halves(b.incoming, b.outgoing), halves(b.outgoing, b.incoming)
			return c.QuorumValue(b.value) == d.QuorumValue(b.value) && c.CountVotes(b.vote) == d.CountVotes(b.vote)
		},
		"a joint decision is never beyond that of a half": func(b ballot) bool {
			if len(b.outgoing) == 0 {
				return true
			}
			in, out := halves(b.incoming, nil), halves(b.outgoing, nil)
			return halves(b.incoming, b.outgoing).QuorumValue(b.value) == min(in.QuorumValue(b.value), out.QuorumValue(b.value))
		},
		"lowering a value that is above the result, down to it, changes nothing": func(b ballot) bool {
			c := halves(b.incoming, b.outgoing)
			before := c.QuorumValue(b.value)
			for id, v := range b.values {
				if v > before {
					b.values[id] = before
				}
			}
			return c.QuorumValue(b.value) == before
		},
		"raising a value never lowers the result": func(b ballot) bool {
			c := halves(b.incoming, b.outgoing)
			before := c.QuorumValue(b.value)
			b.values[b.incoming[0].ID] += 3
			return c.QuorumValue(b.value) >= before
		},
		"who is no voter does not matter": func(b ballot) bool {
			c := halves(b.incoming, b.outgoing)
			value, tally := c.QuorumValue(b.value), c.CountVotes(b.vote)
			for id := range NodeID(13) {
				if identity := voters(id)[0]; !c.IsVoter(identity) {
					b.values[id], b.votes[id] = 1<<63, true
				}
			}
			return c.QuorumValue(b.value) == value && c.CountVotes(b.vote) == tally
		},
		"an answer never takes back what was decided": func(b ballot) bool {
			c := halves(b.incoming, b.outgoing)
			before := c.CountVotes(b.vote)
			for id := NodeID(1); id <= 12; id++ {
				if _, answered := b.votes[id]; !answered {
					b.votes[id] = id%2 == 0
				}
			}
			after := c.CountVotes(b.vote)
			return after != Pending && (before == Pending || before == after)
		},
		"two groups that both win, in configurations one step apart, have a voter in common": func(b ballot) bool {
			// What makes a joint change safe (dissertation 4.3): old and joint,
			// joint and new.
			c := halves(b.incoming, b.outgoing)
			if len(b.outgoing) == 0 {
				return true
			}
			yes := func(id Identity) (bool, bool) { return b.votes[id.ID], true }
			no := func(id Identity) (bool, bool) { return !b.votes[id.ID], true }
			for _, step := range []*Configuration{halves(b.incoming, nil), halves(b.outgoing, nil)} {
				if c.CountVotes(yes) == Won && step.CountVotes(no) == Won {
					return false
				}
			}
			return true
		},
	}
	for name, property := range properties {
		t.Run(name, func(t *testing.T) {
			if err := quick.Check(func(seed uint64) bool { return property(randomBallot(seed)) }, quickCases); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestQuorumValueTable(t *testing.T) {
	tests := []struct {
		incoming, outgoing []NodeID
		values             map[NodeID]uint64
		want               uint64
	}{
		{incoming: nil, want: 0},
		{incoming: []NodeID{1}, values: map[NodeID]uint64{1: 7}, want: 7},
		{incoming: []NodeID{1, 2}, values: map[NodeID]uint64{1: 7, 2: 3}, want: 3},
		{incoming: []NodeID{1, 2, 3}, values: map[NodeID]uint64{1: 7, 2: 3}, want: 3},
		{incoming: []NodeID{1, 2, 3, 4}, values: map[NodeID]uint64{1: 9, 2: 8, 3: 7, 4: 6}, want: 7},
		{incoming: []NodeID{1, 2, 3, 4, 5}, values: map[NodeID]uint64{1: 9, 2: 8, 3: 7, 4: 6, 5: 5}, want: 7},
		{incoming: []NodeID{1, 2, 3}, outgoing: []NodeID{1}, values: map[NodeID]uint64{2: 9, 3: 9}, want: 0},
		{incoming: []NodeID{1, 2, 3}, outgoing: []NodeID{4, 5, 6}, values: map[NodeID]uint64{1: 9, 2: 9, 4: 5, 5: 4}, want: 4},
		{incoming: []NodeID{2, 3, 4}, outgoing: []NodeID{1, 2, 3}, values: map[NodeID]uint64{1: 9, 2: 9, 4: 9}, want: 9},
		{incoming: []NodeID{1, 2, 3, 4, 5, 6, 7, 8, 9}, values: map[NodeID]uint64{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9}, want: 5},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.incoming, test.outgoing), func(t *testing.T) {
			c := halves(voters(test.incoming...), voters(test.outgoing...))
			if got := c.QuorumValue(func(id Identity) uint64 { return test.values[id.ID] }); got != test.want {
				t.Errorf("QuorumValue = %d, want %d", got, test.want)
			}
		})
	}
}

func TestCountVotesTable(t *testing.T) {
	tests := []struct {
		incoming, outgoing []NodeID
		yes, no            []NodeID
		want               Tally
	}{
		{incoming: nil, yes: []NodeID{1}, want: Pending}, // nobody can ever win without voters
		{incoming: []NodeID{1}, want: Pending},
		{incoming: []NodeID{1}, yes: []NodeID{1}, want: Won},
		{incoming: []NodeID{1}, no: []NodeID{1}, want: Lost},
		{incoming: []NodeID{1, 2}, yes: []NodeID{1}, want: Pending},
		{incoming: []NodeID{1, 2}, yes: []NodeID{1}, no: []NodeID{2}, want: Lost},
		{incoming: []NodeID{1, 2, 3}, yes: []NodeID{1}, no: []NodeID{2}, want: Pending},
		{incoming: []NodeID{1, 2, 3}, yes: []NodeID{1, 3}, no: []NodeID{2}, want: Won},
		{incoming: []NodeID{1, 2, 3}, yes: []NodeID{1, 4, 5}, want: Pending},
		{incoming: []NodeID{1, 2, 3}, outgoing: []NodeID{1}, yes: []NodeID{2, 3}, want: Pending},
		{incoming: []NodeID{1, 2, 3}, outgoing: []NodeID{1}, yes: []NodeID{2, 3}, no: []NodeID{1}, want: Lost},
		{incoming: []NodeID{1, 2, 3}, outgoing: []NodeID{1}, yes: []NodeID{1, 3}, want: Won},
		{incoming: []NodeID{1, 2, 3}, outgoing: []NodeID{4, 5, 6}, yes: []NodeID{1, 2, 3}, no: []NodeID{4, 5}, want: Lost},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.incoming, test.outgoing, test.yes, test.no), func(t *testing.T) {
			c := halves(voters(test.incoming...), voters(test.outgoing...))
			got := c.CountVotes(func(id Identity) (granted, answered bool) {
				granted = slices.Contains(test.yes, id.ID)
				return granted, granted || slices.Contains(test.no, id.ID)
			})
			if got != test.want {
				t.Errorf("CountVotes = %v, want %v", got, test.want)
			}
		})
	}
}

// TestQuorumCountsIncarnations: a voter is a node with its data (rule 18).
func TestQuorumCountsIncarnations(t *testing.T) {
	c := halves([]Identity{{1, 1}, {2, 1}, {3, 2}}, []Identity{{1, 1}, {2, 1}, {3, 1}})
	match := map[Identity]uint64{{1, 1}: 9, {3, 2}: 9}
	if got := c.QuorumValue(func(id Identity) uint64 { return match[id] }); got != 0 {
		t.Errorf("the new incarnation of node 3 counted for the old one: %d", got)
	}
	match[Identity{3, 1}] = 4
	if got := c.QuorumValue(func(id Identity) uint64 { return match[id] }); got != 4 {
		t.Errorf("QuorumValue = %d, want 4", got)
	}
}

func TestQuorumAllocatesNothingUpToSevenVoters(t *testing.T) {
	c := halves(voters(1, 2, 3, 4, 5, 6, 7), voters(1, 2, 3))
	value := func(id Identity) uint64 { return uint64(id.ID) }
	if n := testing.AllocsPerRun(100, func() { c.QuorumValue(value) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
