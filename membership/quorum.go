package membership

import "slices"

// Tally is the state of a vote.
type Tally uint8

const (
	// Pending: neither won nor lost yet.
	Pending Tally = iota
	// Won: a majority of each half said yes.
	Won
	// Lost: a majority of some half can no longer be had.
	Lost
)

// String returns "pending", "won" or "lost".
func (t Tally) String() string { return [...]string{"pending", "won", "lost"}[t] }

// majority is the number of voters that decide among n.
func majority(n int) int { return n/2 + 1 }

// CountVotes tallies a vote. vote reports what a voter said; answered is false
// if it said nothing yet. A configuration without voters can never win.
func (c *Configuration) CountVotes(vote func(Identity) (granted, answered bool)) Tally {
	if len(c.Voters) == 0 {
		return Pending
	}
	in := countHalf(c.Voters, vote)
	if !c.Joint() {
		return in
	}
	out := countHalf(c.Outgoing, vote)
	switch {
	case in == Lost || out == Lost:
		return Lost
	case in == Won && out == Won:
		return Won
	}
	return Pending
}

func countHalf(half []Identity, vote func(Identity) (granted, answered bool)) Tally {
	yes, no := 0, 0
	for _, id := range half {
		granted, answered := vote(id)
		switch {
		case answered && granted:
			yes++
		case answered:
			no++
		}
	}
	need := majority(len(half))
	switch {
	case yes >= need:
		return Won
	case no > len(half)-need:
		return Lost
	}
	return Pending
}

// QuorumValue returns the largest v such that a majority of each half has
// value(voter) >= v. It is the commit rule with match indexes, the lease rule
// with send times and the read rule with round numbers. Without voters it
// returns 0.
func (c *Configuration) QuorumValue(value func(Identity) uint64) uint64 {
	if len(c.Voters) == 0 {
		return 0
	}
	v := halfValue(c.Voters, value)
	if c.Joint() {
		v = min(v, halfValue(c.Outgoing, value))
	}
	return v
}

// MajorityValue returns the largest v such that a majority of the voters has
// value(voter) >= v; 0 without voters.
func MajorityValue(voters []Identity, value func(Identity) uint64) uint64 {
	if len(voters) == 0 {
		return 0
	}
	return halfValue(voters, value)
}

func halfValue(half []Identity, value func(Identity) uint64) uint64 {
	// Clusters of up to seven voters need no allocation.
	var stack [7]uint64
	values := stack[:0]
	if len(half) > len(stack) {
		values = make([]uint64, 0, len(half))
	}
	for _, id := range half {
		values = append(values, value(id))
	}
	slices.Sort(values)
	return values[len(values)-majority(len(values))]
}
