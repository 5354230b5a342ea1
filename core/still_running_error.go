package core

import (
	"fmt"
	"time"
)

// StillRunningError: a group, or a node on the same store, has not ended yet, so that
// it cannot be started again and its store cannot be closed. Nothing happened.
type StillRunningError struct {
	Node NodeID
	// Group is the one that has not ended, 0 if it is the node.
	Group GroupID
	// Call is the call that has not returned: "write" of the log store, "apply" of the
	// state machine, or another that the text of the error tells. It is empty while none
	// is out: then the node or the group just runs, or is about to end.
	Call string
	// Since is when the call was made.
	Since time.Time
}

// Error implements error.
func (e *StillRunningError) Error() string {
	what := fmt.Sprintf("node %d", e.Node)
	if e.Group != 0 {
		what = fmt.Sprintf("group %d of node %d", e.Group, e.Node)
	}
	if e.Call == "" {
		return fmt.Sprintf("troupe: %s has not ended yet", what)
	}
	return fmt.Sprintf("troupe: %s has not ended: its call %q has not returned since %s", what, e.Call, e.Since.Format(time.RFC3339))
}
