package troupe

import (
	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// Status is what a group says of itself at one moment: a value that shares
// nothing with the group, nor with any other status. Its fields:
//
//   - Group, Self: the group, and this node with its incarnation;
//   - Role, Term, Leader: what this node is doing; Leader is 0 while none is known,
//     and NoLeader says then what an election waits for;
//   - Cluster: the id of the cluster, which prints as a hash; zero with RoleNone;
//   - Ready: this node leads and admits proposals;
//   - Last, Committed, Applied, Flushed, Purged, SnapshotIndex: the log;
//   - Heard, LastContact: when, and how long ago, this node heard of its leader;
//   - InflightProposals, InflightBytes, WaitingProposals: what this node's clients
//     have under way, and what waits for room;
//   - Configuration, Joint: the members in force, and whether two majorities are
//     needed; Bootstrapping: a cluster that is still being formed; WaitsFor: for
//     whom it waits and why, on the leader, and on a node that was asked to form
//     one and has not begun it;
//   - UnknownToGroup: the group knows this node under another incarnation, because
//     its data was lost; it is not counted;
//   - Contradiction: this node has heard what no correct member can say, and
//     answers no reads;
//   - Peers: the other members, on a leader, see [PeerStatus];
//   - Err, Stopped: the end.
type Status = actors.Status

// PeerStatus is what a leader knows of another member: how far its log is
// (Match, LagEntries, Lag), what its stream is doing (Mode, InflightMessages,
// InflightBytes), whether it is there (LastContact, SendErrors, LostData), and how
// far a snapshot has come that is on its way to it.
type PeerStatus = core.PeerStatus

// StreamMode is what a stream to a peer is doing.
type StreamMode = core.StreamMode

// Modes of a stream: it looks for where the logs agree, it sends ahead of the
// answers, or its peer needs a snapshot first.
const (
	StreamProbe     = core.StreamProbe
	StreamReplicate = core.StreamReplicate
	StreamSnapshot  = core.StreamSnapshot
)
