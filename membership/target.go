package membership

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ChangeID names a change of the members: a random number that who asks for it draws.
// 0 is none.
type ChangeID uint64

// String writes the id in hexadecimal.
func (id ChangeID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// Target is where a change of the members leads that takes several entries. It stands
// in the configuration from the change's first entry until its last one, so that
// whoever leads finishes it. It is immutable.
type Target struct {
	// ID names the change. It is 0 for the founding of the cluster.
	ID ChangeID
	// Founding: the cluster is being formed. Nothing is admitted until it is complete.
	Founding bool
	// Automatic: nobody asked for it by hand. It yields to who asks for another one by
	// hand while it is catching up, and is one by hand if somebody asks for the same.
	Automatic bool
	// Members and Voters are those of the configuration that is wanted, sorted by
	// identity.
	Members []Member
	Voters  []Identity
	// Added are the learners that the change has added, sorted. They go if it is given
	// up, unless KeepAdded is set.
	Added     []Identity
	KeepAdded bool
	// Since is when it was asked for, on the leader's wall clock, in nanoseconds
	// since 1970 UTC.
	Since int64
	// CatchUpLimit is for how long a voter to be may make no progress until the change
	// is given up; whole milliseconds, 0 for ever.
	CatchUpLimit time.Duration
}

// IsFounding reports whether t, which may be nil, is that of a cluster that is being
// formed.
func (t *Target) IsFounding() bool { return t != nil && t.Founding }

// Member returns the wanted member with this identity.
func (t *Target) Member(id Identity) (Member, bool) {
	i, found := findMember(t.Members, id)
	if !found {
		return Member{}, false
	}
	return t.Members[i], true
}

// Equal reports whether t and o say the same; nil is equal to nil only.
func (t *Target) Equal(o *Target) bool {
	if t == nil || o == nil {
		return t == o
	}
	return t.ID == o.ID && t.Founding == o.Founding && t.Automatic == o.Automatic && t.leadsTo(o) &&
		slices.Equal(t.Added, o.Added) && t.KeepAdded == o.KeepAdded && t.Since == o.Since && t.CatchUpLimit == o.CatchUpLimit
}

// leadsTo reports whether both lead to the same members and voters.
func (t *Target) leadsTo(o *Target) bool {
	return slices.EqualFunc(t.Members, o.Members, memberEqual) && slices.Equal(t.Voters, o.Voters)
}

// Clone returns a target that is equal to t and shares nothing with it.
func (t *Target) Clone() *Target {
	if t == nil {
		return nil
	}
	c := *t
	c.Members, c.Voters, c.Added = cloneMembers(t.Members), slices.Clone(t.Voters), slices.Clone(t.Added)
	return &c
}

func (t *Target) validate() error {
	wanted := Configuration{Members: t.Members, Voters: t.Voters}
	if err := wanted.Validate(); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	for i, m := range t.Members {
		if i > 0 && t.Members[i-1].ID == m.ID {
			return fmt.Errorf("target: node %d stands there under two incarnations", m.ID)
		}
	}
	switch {
	case len(t.Added) > MembersMax:
		return fmt.Errorf("target: more than %d added members", MembersMax)
	case t.Founding != (t.ID == 0):
		return errors.New("target: a change without an id, or a founding with one")
	case t.Founding && !slices.Equal(t.Voters, identitiesOf(t.Members)):
		return errors.New("target: a founding in which somebody does not vote")
	case t.CatchUpLimit < 0 || t.CatchUpLimit%time.Millisecond != 0:
		return fmt.Errorf("target: catch-up limit of %v", t.CatchUpLimit)
	}
	for i, id := range t.Added {
		if i > 0 && t.Added[i-1].Compare(id) >= 0 {
			return fmt.Errorf("target: added members are not in strict order at %v", id)
		}
	}
	return nil
}

// Result is how a change of the members has ended.
type Result uint8

const (
	// ResultDone: the members are as they were wanted.
	ResultDone Result = iota + 1
	// ResultNotCaughtUp: a voter to be has not caught up.
	ResultNotCaughtUp
	// ResultCancelled: somebody gave it up.
	ResultCancelled
	// ResultYielded: another change took its place.
	ResultYielded

	resultsEnd
)

// String returns "done", "not caught up", "cancelled" or "yielded".
func (r Result) String() string {
	if r == 0 || r >= resultsEnd {
		return fmt.Sprintf("result %d", uint8(r))
	}
	return [...]string{ResultDone: "done", ResultNotCaughtUp: "not caught up", ResultCancelled: "cancelled", ResultYielded: "yielded"}[r]
}

// Outcome says what became of a change. It stands in the configuration that the
// change ended with, so that who asked for it learns it from the log.
type Outcome struct {
	ID     ChangeID
	Result Result
	// Node is who has not caught up, LagEntries by how much it lagged, and
	// SilentMillis for how many milliseconds nothing was heard of it, -1 if nothing
	// ever was in the leader's term.
	Node         NodeID
	LagEntries   uint64
	SilentMillis int64
}

// IsZero reports whether there is none.
func (o Outcome) IsZero() bool { return o == Outcome{} }
