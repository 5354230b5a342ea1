package actors

import (
	"slices"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// placesNetwork is the network of one node with several groups. It keeps where the node
// looks for others.
type placesNetwork struct {
	sentNetwork
	at   map[membership.NodeID]string
	told []string
}

func (n *placesNetwork) SetAddress(node membership.NodeID, address string) {
	n.at[node] = address
	n.told = append(n.told, address)
}

// TestOldAddressIsNoNews: node 2 has moved, and only the first of two groups has that in
// its configuration. The next configuration of the second group still says where node 2
// was. That is nothing new, and so the network goes on looking where the first group has
// said (rule 30).
func TestOldAddressIsNoNews(t *testing.T) {
	n := &placesNetwork{at: make(map[membership.NodeID]string)}
	group := func() *coreActor {
		c := newCoreRig(t).core
		c.network, c.unreachable = n, func(membership.NodeID) error { return nil }
		return c
	}
	first, second := group(), group()
	says := func(c *coreActor, index core.Index, addresses ...string) {
		at := core.ConfigurationAt{LogID: id(1, index)}
		for i, address := range addresses {
			at.Configuration.Members = append(at.Configuration.Members, membership.Member{Identity: member(membership.NodeID(i + 2)), Address: address})
		}
		c.onConfiguration(at)
	}
	says(first, 2, "old", "three")
	says(second, 2, "old", "three")
	says(first, 3, "new", "three")
	n.told = nil
	says(second, 3, "old", "three")
	if len(n.told) > 0 || n.at[2] != "new" {
		t.Errorf("a configuration that moves nobody sets %q; node 2 is looked for at %q", n.told, n.at[2])
	}
	// What is new is told, and so is what is taken back (rule 23).
	says(second, 4, "newer", "three")
	says(second, 3, "old", "three")
	// Whoever was away is told anew.
	says(second, 5, "old")
	says(second, 6, "old", "three")
	if want := []string{"newer", "old", "three"}; !slices.Equal(n.told, want) {
		t.Errorf("told %q, want %q", n.told, want)
	}
}
