// Package replica says where a store has the replicas of a group, of which a node may
// have had several, one after the other: it deletes one when it was removed from the
// group, and gets another when it is added again. Each has another identity, because it
// has other data (rule 18 of package core).
//
// A replica that was deleted leaves a tombstone under its key: a hard state that no group
// can have. The next one has the next key. So a store needs to know nothing of it.
package replica

import (
	"context"
	"fmt"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

const (
	// GroupMax is the highest id of a group of which a replica can be deleted.
	GroupMax = 1<<shift - 1
	// follows marks the keys of replicas that follow others; no group has such an id.
	follows = 1 << 63
	shift   = 48
	// tombstone is a term beyond all that are believed (rule 32).
	tombstone core.Term = 1 << 63
)

// Valid reports whether a group may have the id.
func Valid(group membership.GroupID) bool { return group != 0 && group < follows }

// Key returns under which id a store has the replica of a group that follows n others.
func Key(group membership.GroupID, n uint16) membership.GroupID {
	if n == 0 {
		return group
	}
	return follows | membership.GroupID(n)<<shift | group
}

// GroupOf returns the group to which a key belongs.
func GroupOf(key membership.GroupID) membership.GroupID {
	if key&follows == 0 {
		return key
	}
	return key & GroupMax
}

// Load loads the replica of a group that is there now, and tells how many it follows. It
// may be an empty one.
func Load(ctx context.Context, log storage.LogStore, group membership.GroupID) (storage.State, uint16, error) {
	for n := uint16(0); ; n++ {
		state, err := log.Load(ctx, Key(group, n))
		if err != nil || state.HardState.Term != tombstone {
			return state, n, err
		}
		if n == membership.GenerationsMax {
			return storage.State{}, n, fmt.Errorf("replica: group %d had %d replicas in this store: it takes no more", group, n)
		}
	}
}

// Delete is what takes the place of a replica: nothing but its tombstone.
func Delete(key membership.GroupID, last core.LogID) storage.Operation {
	return storage.Operation{Group: key, HardState: &core.HardState{Term: tombstone}, Purge: last}
}
