package membership

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Configuration is the membership of a cluster at one entry of its log. It is a
// value that nobody changes once it is in use: changes return a new one.
type Configuration struct {
	// Members lists all members, voters of either half and learners, sorted by
	// identity. Two incarnations of a node may stand side by side while one
	// replaces the other.
	Members []Member
	// Voters is the incoming half, sorted; it is the only half unless the
	// configuration is joint.
	Voters []Identity
	// Outgoing is the half that is leaving, sorted. It is empty except while
	// the configuration is joint.
	Outgoing []Identity
	// Target is where the change leads that is under way, nil if none is: a change
	// that touches a voter takes several entries, and so does bootstrap.
	Target *Target
	// Last is what became of the change that ended last, zero if none did.
	Last Outcome
	// Founding is the hash of the list that bootstrap was asked for. It stays as
	// it is when members change.
	Founding Founding
	// Recovered says how a survivor made this cluster of another, nil if none did.
	Recovered *Recovery
}

// Joint reports whether two majorities are needed.
func (c *Configuration) Joint() bool { return len(c.Outgoing) > 0 }

// IsZero reports whether c has no member, as before bootstrap.
func (c *Configuration) IsZero() bool { return len(c.Members) == 0 }

// IsVoter reports whether id votes in either half.
func (c *Configuration) IsVoter(id Identity) bool {
	return contains(c.Voters, id) || contains(c.Outgoing, id)
}

// IsSoleVoter reports whether id alone decides.
func (c *Configuration) IsSoleVoter(id Identity) bool {
	return len(c.Voters) == 1 && c.Voters[0] == id && (len(c.Outgoing) == 0 || len(c.Outgoing) == 1 && c.Outgoing[0] == id)
}

// Member returns the member with this identity.
func (c *Configuration) Member(id Identity) (Member, bool) {
	i, found := findMember(c.Members, id)
	if !found {
		return Member{}, false
	}
	return c.Members[i], true
}

// Incarnations returns the identities under which node is a member: none, one,
// or two while it is being replaced.
func (c *Configuration) Incarnations(node NodeID) []Identity {
	var ids []Identity
	for _, m := range c.Members {
		if m.ID == node {
			ids = append(ids, m.Identity)
		}
	}
	return ids
}

// Kind returns what the member is: a voter of either half counts as a voter.
func (c *Configuration) Kind(id Identity) Kind {
	if c.IsVoter(id) {
		return Voter
	}
	return Learner
}

// Equal reports whether c and o say the same.
func (c *Configuration) Equal(o *Configuration) bool {
	return slices.EqualFunc(c.Members, o.Members, memberEqual) && slices.Equal(c.Voters, o.Voters) &&
		slices.Equal(c.Outgoing, o.Outgoing) && c.Target.Equal(o.Target) &&
		c.Last == o.Last && c.Founding == o.Founding && c.Recovered.Equal(o.Recovered)
}

// Clone returns a configuration that is equal to c and shares nothing with it.
func (c *Configuration) Clone() Configuration {
	return Configuration{
		Members: cloneMembers(c.Members), Voters: slices.Clone(c.Voters), Outgoing: slices.Clone(c.Outgoing),
		Target: c.Target.Clone(), Last: c.Last, Founding: c.Founding, Recovered: c.Recovered.Clone(),
	}
}

func cloneMembers(members []Member) []Member {
	members = slices.Clone(members)
	for i := range members {
		members[i].Tags = maps.Clone(members[i].Tags)
	}
	return members
}

func memberEqual(a, b Member) bool {
	if a.Identity != b.Identity || a.Address != b.Address || a.Priority != b.Priority || a.Standby != b.Standby || len(a.Tags) != len(b.Tags) {
		return false
	}
	for k, v := range a.Tags {
		if w, ok := b.Tags[k]; !ok || w != v {
			return false
		}
	}
	return true
}

// Validate returns an error that names the first rule that c breaks.
func (c *Configuration) Validate() error {
	if err := c.validateMembers(); err != nil {
		return err
	}
	if len(c.Voters) == 0 {
		return errors.New("configuration without a voter")
	}
	if err := c.validateHalf("voters", c.Voters); err != nil {
		return err
	}
	if err := c.validateHalf("outgoing voters", c.Outgoing); err != nil {
		return err
	}
	if err := c.Recovered.validate(); err != nil {
		return err
	}
	if c.Target == nil {
		return nil
	}
	if c.Joint() && !slices.Equal(c.Voters, c.Target.Voters) {
		return errors.New("target: the incoming half is another one")
	}
	return c.Target.validate()
}

func (c *Configuration) validateMembers() error {
	if len(c.Members) > MembersMax {
		return fmt.Errorf("configuration with more than %d members", MembersMax)
	}
	for i, m := range c.Members {
		if err := m.Validate(); err != nil {
			return err
		}
		if i > 0 && c.Members[i-1].Compare(m.Identity) >= 0 {
			return fmt.Errorf("members are not in strict order at %v", m.Identity)
		}
	}
	return nil
}

func (c *Configuration) validateHalf(name string, half []Identity) error {
	for i, id := range half {
		if _, ok := c.Member(id); !ok {
			return fmt.Errorf("%s: %v is not a member", name, id)
		}
		if i == 0 {
			continue
		}
		if half[i-1].Compare(id) >= 0 {
			return fmt.Errorf("%s are not in strict order at %v", name, id)
		}
		if half[i-1].ID == id.ID {
			// Each half counts a node once; its two incarnations may only stand in different halves.
			return fmt.Errorf("%s: node %d stands there under two incarnations", name, id.ID)
		}
	}
	return nil
}

// String writes c for people: "voters 1 2 3, learner 4". Who votes in either half
// is a voter, and a joint configuration says between which halves it stands:
// "voters 1 2 3 4; joint: 1 2 3 -> 1 2 4". One on its way there says who is to vote:
// "voters 1 2 3, learner 4; to be: 1 2 3 4". A node that is a member under two
// incarnations is written with them, as in "voters 1 2 3/a1, learner 3/b2".
func (c Configuration) String() string {
	if c.IsZero() && len(c.Voters) == 0 {
		return "no members"
	}
	voting := slices.Concat(c.Voters, c.Outgoing)
	slices.SortFunc(voting, Identity.Compare)
	var learning []Identity
	for _, m := range c.Members {
		if !c.IsVoter(m.Identity) {
			learning = append(learning, m.Identity)
		}
	}
	var b strings.Builder
	c.writeNodes(&b, "voter", slices.Compact(voting))
	if len(learning) > 0 {
		b.WriteString(", ")
		c.writeNodes(&b, "learner", learning)
	}
	if c.Joint() {
		b.WriteString("; joint:")
		c.writeIDs(&b, c.Outgoing)
		b.WriteString(" ->")
		c.writeIDs(&b, c.Voters)
	} else if t := c.Target; t != nil && !t.Founding {
		b.WriteString("; to be:")
		c.writeIDs(&b, t.Voters)
	}
	return b.String()
}

// writeNodes writes what one or several nodes are, and which they are.
func (c *Configuration) writeNodes(b *strings.Builder, are string, ids []Identity) {
	b.WriteString(are)
	if len(ids) != 1 {
		b.WriteByte('s')
	}
	c.writeIDs(b, ids)
}

func (c *Configuration) writeIDs(b *strings.Builder, ids []Identity) {
	for _, id := range ids {
		if len(c.Incarnations(id.ID)) > 1 {
			fmt.Fprintf(b, " %v", id)
		} else {
			fmt.Fprintf(b, " %d", id.ID)
		}
	}
}

func contains(half []Identity, id Identity) bool {
	_, found := slices.BinarySearchFunc(half, id, Identity.Compare)
	return found
}
