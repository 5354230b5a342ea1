package simulation

import "github.com/trouperaft/troupe/core"

// strangerID is the node that a stranger says it is, if it does not say that it
// is a member.
const strangerID core.NodeID = nodesMax + 4
