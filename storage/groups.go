package storage

import (
	"context"

	"github.com/trouperaft/troupe/membership"
)

// GroupLister is a LogStore that knows its groups. The stores of this module are. It is
// for those who go through a whole store, such as an offline recovery: a node is told
// its groups.
type GroupLister interface {
	// Groups returns the groups of which the store holds anything, in the order of their
	// ids. It may be called from any goroutine, and may wait for a write.
	Groups(ctx context.Context) ([]membership.GroupID, error)
}
