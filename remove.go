package troupe

import (
	"context"
	"fmt"
)

// Remove stops a group from which this node was removed, and deletes what the log store
// and the snapshot store hold of it. The data of its state machine is the application's to
// delete. Other groups of the node go on.
//
// Nothing is deleted before it is known that the removal is committed: [Status.Removed]
// says so. Until then, and of a group that does not run, the error wraps ErrNotRemoved. It
// may be that the node is added again while the group stops; then the group has stopped,
// nothing was deleted, and the group can be started again.
//
// A group that is started again is empty, and this node is another identity in it, as with
// an empty directory: [Status.Self]. So it can be added again, and what it has voted for or
// acknowledged before counts for nothing. The stores keep a short record of each replica
// that was deleted.
//
// A node with a single group, from [Start], has nothing else: remove its directory. Group
// ids above 2^48-1 cannot be removed.
func (n *Node) Remove(ctx context.Context, group GroupID) error {
	n.mu.Lock()
	raft := n.groups[group]
	n.mu.Unlock()
	switch {
	case raft == nil || raft.group == nil:
		return fmt.Errorf("troupe: group %d does not run here: %w", group, ErrNotRemoved)
	case raft.ownsNode:
		return fmt.Errorf("troupe: group %d is the only one of its node, which goes with it: remove the node's directory", group)
	case !raft.Status().Removed:
		return fmt.Errorf("troupe: group %d: %w", group, ErrNotRemoved)
	}
	if err := raft.Shutdown(ctx); err != nil {
		return err
	}
	if err := n.actors.Remove(ctx, raft.group); err != nil {
		return fmt.Errorf("troupe: group %d: %w", group, err)
	}
	n.release(raft)
	return nil
}
