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
	ID   membership.GroupID
	Self membership.Identity
	// Cluster is the group's cluster now, and Header begins a message.
	Cluster func() core.ClusterID
	Header  func(to core.Identity) core.Header

	Env     stage.Environment
	Watch   *observe.Watch
	Store   storage.SnapshotStore
	Network Network
	// Gate is the node's.
	Gate *Gate
	// Context ends when the group has failed.
	Context context.Context

	// ChunkBytes is the size of a piece on the wire; ElectionTimeout measures a
	// transfer that stands still.
	ChunkBytes      int
	ElectionTimeout time.Duration

	// Core takes what came of a job: *core.SnapshotBuilt, *core.SnapshotSent or
	// *core.SnapshotReceived.
	Core func(core.Event)
	// Spawn starts an actor that ends before the group does, and Ended is called at
	// its end. Failed takes the cause of its failure.
	Spawn  func(*stage.Shell)
	Ended  func()
	Failed func(error)
}

// Network is what jobs use of network.Network.
type Network interface {
	Send(core.Message) bool
	Sent(membership.NodeID, core.Class) uint64
}

func (g *Group) shell(name string, next func() bool, closing, ended func()) stage.Shell {
	return stage.Shell{Env: g.Env, Name: name, Next: next, Closing: closing, Failed: g.Failed, Ended: ended}
}
