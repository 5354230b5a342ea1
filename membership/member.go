package membership

import (
	"cmp"
	"fmt"
)

// NodeID names a node for as long as the cluster lives. 0 is no node.
type NodeID uint64

// GroupID names one Raft group on the nodes that host it. 0 is no group.
type GroupID uint64

// Incarnation names the store of a node: a random number that is made together
// with the data directory. 0 means "not known".
type Incarnation uint64

// Identity is what quorum arithmetic counts: a node with its data.
type Identity struct {
	ID          NodeID
	Incarnation Incarnation
}

// IsZero reports whether i names nobody.
func (i Identity) IsZero() bool { return i == Identity{} }

// String writes the identity as id/incarnation, the incarnation in hexadecimal.
func (i Identity) String() string { return fmt.Sprintf("%d/%x", i.ID, uint64(i.Incarnation)) }

// Compare orders identities by id, then by incarnation.
func (i Identity) Compare(o Identity) int {
	if c := cmp.Compare(i.ID, o.ID); c != 0 {
		return c
	}
	return cmp.Compare(i.Incarnation, o.Incarnation)
}

// Kind says what a member may do.
type Kind uint8

const (
	// Learner receives the log and applies it, and is never counted.
	Learner Kind = iota + 1
	// Voter is counted in at least one half of the configuration.
	Voter
)

// String returns "learner" or "voter".
func (k Kind) String() string {
	switch k {
	case Learner:
		return "learner"
	case Voter:
		return "voter"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Member is one node of a cluster.
//
// Address is what the network dials to reach it; this package does not
// interpret it. Tags are carried for the application: nothing in this version
// reads them.
type Member struct {
	Identity
	Address string
	// Priority says how much this member is wanted as the leader, from PriorityLast
	// to PriorityMax. 0 is unset, and means PriorityNormal. Of members that could
	// lead alike the one with the higher priority is likelier to.
	Priority uint32
	Tags     map[string]string
	// Standby: this learner may take the place of a voter that is lost, if the cluster's
	// autopilot is on. Of a voter it says nothing.
	Standby bool
}

// Priorities of a member.
const (
	// PriorityLast is the lowest: such a member campaigns only when nobody else has
	// led for several election time-outs, and leads only until another can.
	PriorityLast = 1
	// PriorityNormal is what an unset priority means.
	PriorityNormal = 100
	// PriorityMax is the highest.
	PriorityMax = 1000
)

// Rank is the member's priority where it is compared: an unset one is the normal
// one, and one beyond the range, which only an older version can have stored, is the
// highest.
func (m *Member) Rank() uint32 {
	if m.Priority == 0 {
		return PriorityNormal
	}
	return min(m.Priority, PriorityMax)
}

// Limits of a member, checked by [Configuration.Validate].
const (
	// AddressBytesMax is the longest address, in bytes.
	AddressBytesMax = 1024
	// TagsMax is how many tags a member may carry.
	TagsMax = 64
	// TagBytesMax is the longest key or value of a tag, in bytes.
	TagBytesMax = 256
	// MembersMax is how many members a configuration may have.
	MembersMax = 255
)

// Validate returns an error that names the first limit that m breaks.
func (m Member) Validate() error {
	switch {
	case m.ID == 0:
		return fmt.Errorf("member with id 0: ids begin at 1")
	case len(m.Address) > AddressBytesMax:
		return fmt.Errorf("member %d: address of %d bytes, at most %d", m.ID, len(m.Address), AddressBytesMax)
	case len(m.Tags) > TagsMax:
		return fmt.Errorf("member %d: %d tags, at most %d", m.ID, len(m.Tags), TagsMax)
	}
	for k, v := range m.Tags {
		if len(k) > TagBytesMax || len(v) > TagBytesMax {
			return fmt.Errorf("member %d: a tag is longer than %d bytes", m.ID, TagBytesMax)
		}
	}
	return nil
}
