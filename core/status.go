package core

// EngineStatus is what an engine says of itself.
type EngineStatus struct {
	Role   Role
	Term   Term
	Leader NodeID
	// Ready: this node leads and admits proposals.
	Ready bool

	Last, Committed, Applied, Flushed, Purged, SnapshotIndex Index

	// Configuration is the one in force.
	Configuration ConfigurationAt
	// Bootstrapping: the cluster is not yet what it was asked to be.
	// WaitsFor, on the leader, are the members that keep it.
	Bootstrapping bool
	WaitsFor      []NodeID
	// UnknownToGroup: the group knows this node under another incarnation: its
	// data was lost, and it does not count.
	UnknownToGroup bool
	Cluster        ClusterID
	// Peers are the other members, on the leader.
	Peers []PeerStatus
}

// PeerStatus is what a leader knows of another member.
type PeerStatus struct {
	Identity
	Match Index
	// Answered is when it last answered a heartbeat, 0 if it never did.
	Answered Instant
	// Snapshot: a snapshot is on its way to it.
	Snapshot bool
	// LostData: another incarnation answers in its place.
	LostData bool
}

// Status returns the engine's state as a value.
func (e *Engine) Status() EngineStatus {
	s := EngineStatus{
		Role: e.role, Term: e.hard.Term, Leader: e.leader.ID, Ready: e.ready(),
		Last: e.log.last.Index, Committed: e.commit, Applied: e.applied, Flushed: e.writes.flushed,
		Purged: e.log.purged.Index, SnapshotIndex: e.snapshots.newest.Index,
		Configuration: *e.configs.latest(), Bootstrapping: e.configs.bootstrapping(e.commit),
		Cluster: e.hard.Cluster,
	}
	if s.Bootstrapping {
		s.WaitsFor = e.waitsFor()
	}
	if e.unknownToGroup {
		_, member := e.configs.member(e.cfg.Self, e.commit)
		s.UnknownToGroup = !member
	}
	for _, p := range e.office.peers {
		s.Peers = append(s.Peers, PeerStatus{p.Identity, p.match, p.answered, p.snapshot, p.lostData})
	}
	return s
}
