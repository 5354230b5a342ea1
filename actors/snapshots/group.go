package snapshots

import (
	"context"
	"time"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// Group is what the jobs of one group are given.
type Group struct {
	// Home is where the jobs live. Failed takes the cause of a job's failure, and
	// Ended is called at its end.
	stage.Home

	ID   membership.GroupID
	Self membership.Identity
	// Cluster is the group's cluster now, and Header begins a message.
	Cluster func() core.ClusterID
	Header  func(to core.Identity) core.Header

	Watch   *observe.Watch
	Store   storage.SnapshotStore
	Network Network
	// Recycle takes back the data of a piece that came from the network (network.Recycling);
	// nil if it does not. Then a piece may be the very message that was sent, and is only read.
	Recycle func([]byte)
	// Takes is the largest message of a class that can be sent to a node, 0 if any.
	Takes func(membership.NodeID, core.Class) int
	// OwnFiles returns the sealed files of the state machine; nil if it has none. It may
	// block as the machine does.
	OwnFiles func() []storage.File
	// Gate is the node's.
	Gate *Gate
	// Context ends as soon as the group begins to end.
	Context context.Context
	// Removal removes what a new snapshot takes the place of.
	Removal *Removal

	// ChunkBytes is the size of a piece on the wire, at most; ElectionTimeout measures a
	// transfer that stands still.
	ChunkBytes      int
	ElectionTimeout time.Duration

	// Core takes what came of a job: *core.SnapshotBuilt, *core.SnapshotSent or
	// *core.SnapshotReceived.
	Core func(core.Event)
	// Tell tells the operator of a notice. It may be called from any actor.
	Tell func(*core.Notice)
	// Spawn starts an actor that ends before the group does.
	Spawn func(*stage.Shell)
}

// tellProgress tells how far a transfer has come.
func (g *Group) tellProgress(span observe.Span, p Progress, term core.Term) {
	observe.Progressed{Span: span, Bytes: p.Bytes, BytesPerSecond: p.BytesPerSecond}.Tell(g.Watch)
	g.Tell(&core.Notice{Kind: core.NoticeSnapshotProgress, Peer: p.Peer, Term: term, Index: p.Snapshot.Index, Text: p.String()})
}

// Network is what jobs use of network.Network.
type Network interface {
	Send(core.Message) bool
	Sent(membership.NodeID, core.Class) uint64
}
