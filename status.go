package troupe

import "github.com/trouperaft/troupe/actors"

// Status is what a group says of itself at one moment: a value, of which
// nothing may be changed. Its fields:
//
//   - Group, Self: the group, and this node with its incarnation;
//   - Role, Term, Leader: what this node is doing; Leader is 0 while none is known;
//   - Ready: this node leads and admits proposals;
//   - Last, Committed, Applied, Flushed, Purged, SnapshotIndex: the log;
//   - Configuration, Joint: the members in force, and whether two majorities are
//     needed; Bootstrapping and WaitsFor: a cluster that is still being formed, and
//     for whom it waits;
//   - UnknownToGroup: the group knows this node under another incarnation, because
//     its data was lost; it is not counted;
//   - Peers: how far the others are, on a leader;
//   - Err, Stopped: the end.
type Status = actors.Status
