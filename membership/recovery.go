package membership

import (
	"errors"
	"fmt"
	"slices"
)

// Recovery says that a cluster was made of one that had lost its quorum: a survivor
// became its only voter. Every configuration has it from then on. It is immutable.
type Recovery struct {
	// From is a hash of the id of the cluster before.
	From [16]byte
	// Index is that of the entry which made the new cluster. What lies below it is of
	// the cluster before.
	Index uint64
	// Without are the identities that were left behind, sorted: the members of the
	// cluster before, as far as the survivor knew them, and whoever earlier recoveries
	// have left behind. There are at most MembersMax.
	Without []Identity
}

// Equal reports whether r and o say the same; nil is equal to nil only.
func (r *Recovery) Equal(o *Recovery) bool {
	if r == nil || o == nil {
		return r == o
	}
	return r.From == o.From && r.Index == o.Index && slices.Equal(r.Without, o.Without)
}

// Left reports whether id was left behind. r may be nil.
func (r *Recovery) Left(id Identity) bool { return r != nil && contains(r.Without, id) }

// Clone returns a recovery that is equal to r and shares nothing with it.
func (r *Recovery) Clone() *Recovery {
	if r == nil {
		return nil
	}
	c := *r
	c.Without = slices.Clone(r.Without)
	return &c
}

func (r *Recovery) validate() error {
	switch {
	case r == nil:
		return nil
	case r.Index == 0:
		return errors.New("recovery by no entry")
	case len(r.Without) > MembersMax:
		return fmt.Errorf("recovery: more than %d were left behind", MembersMax)
	}
	for i, id := range r.Without {
		if i > 0 && r.Without[i-1].Compare(id) >= 0 {
			return fmt.Errorf("recovery: those left behind are not in strict order at %v", id)
		}
	}
	return nil
}

// Recover returns the configuration with which a survivor of c goes on alone, as its
// only member and voter. An empty address leaves it where it is. From and index are
// those of the [Recovery]; others are identities that were members before c and are left
// behind too. No change is under way any more, and the founding list is the same.
func (c *Configuration) Recover(survivor Identity, address string, from [16]byte, index uint64, others []Identity) (Configuration, error) {
	self, member := c.Member(survivor)
	if !member {
		self = Member{Identity: survivor}
	}
	if address != "" {
		self.Address = address
	}
	r := &Recovery{From: from, Index: index}
	leave := func(ids []Identity) {
		for _, id := range ids {
			if id != survivor && len(r.Without) < MembersMax && !slices.Contains(r.Without, id) {
				r.Without = append(r.Without, id)
			}
		}
	}
	leave(identitiesOf(c.Members))
	leave(others)
	if c.Recovered != nil {
		leave(c.Recovered.Without)
	}
	slices.SortFunc(r.Without, Identity.Compare)
	next := Configuration{Members: []Member{self}, Voters: []Identity{survivor}, Founding: c.Founding, Recovered: r}
	return next, next.Validate()
}
