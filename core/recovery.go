package core

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// This file is about a group that has lost its quorum for good: how a survivor goes on
// alone, in another cluster, and what those hear that it went on without.

// recoveryTerms is by how much a recovery raises the term: nobody whom the survivor did
// not hear of has reached it, so that what is drawn from terms never repeats.
const recoveryTerms = 1 << 20

// Recovery is what makes a survivor the only voter of another cluster: PlanRecovery.
type Recovery struct {
	// Before is the cluster before, and Configuration the last one of it that the
	// survivor knows.
	Before        ClusterID
	Configuration ConfigurationAt
	// Term is the survivor's, Last the last entry that it holds, in its log or in a
	// snapshot, LastTime the time of that, and Commit the last index that it knows to be
	// committed. What lies between becomes committed.
	Term     Term
	Last     LogID
	LastTime int64
	Commit   Index
	// Alone: the survivor decides alone already, and there is nothing to recover.
	Alone bool

	// What is to be written, as one operation: the hard state, with the new cluster's id;
	// the log reset to a snapshot whose installation a crash has interrupted, unless it is
	// zero; and the entry that follows, the new configuration, as committed.
	HardState HardState
	Reset     LogID
	Entry     Entry
}

// PlanRecovery finds out what makes self the only voter of cluster, a new one, at an
// address; empty, it stays where it is. now is the wall clock. What the machine has
// applied is not looked at. The error is ErrNoCluster if the group belongs to none, and
// wraps ErrCorrupt if the parts of the state contradict each other.
func PlanRecovery(s State, self Identity, address string, cluster ClusterID, now int64) (*Recovery, error) {
	s.takeFormerSnapshot()
	before := s.HardState.Cluster
	if before.IsZero() {
		before = s.Snapshot.Cluster
	}
	if before.IsZero() || !s.HardState.Grant.IsZero() && s.Last.Index == 0 {
		return nil, ErrNoCluster
	}
	if s.Applied = s.Purged; s.Purged.Index == 0 {
		s.Applied = LogID{}
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	var snapshots snapshots
	snapshots.start(&s, false)
	var configs configurations
	configs.start(&s)
	r := &Recovery{Before: before, Term: s.HardState.Term, Last: s.Last, LastTime: s.LastTime, Commit: s.Commit}
	// Where nothing is left of the log, the snapshot or the record alone has a time.
	if snapshots.usable {
		r.Commit, r.LastTime = max(r.Commit, s.Snapshot.Index), max(r.LastTime, s.Snapshot.Time)
	}
	r.Commit, r.LastTime = max(r.Commit, s.Record.Index), max(r.LastTime, s.Record.Time)
	if snapshots.resetAtStart {
		r.Last, r.LastTime, r.Reset = s.Snapshot.LogID, s.Snapshot.Time, s.Snapshot.LogID
		configs.at = []ConfigurationAt{s.Snapshot.Configuration}
	}
	r.Commit = min(r.Commit, r.Last.Index)
	r.Configuration = *configs.latest()
	last := &r.Configuration.Configuration
	r.Alone = last.IsSoleVoter(self) && last.Target == nil
	return r, r.write(&configs, self, address, cluster, now)
}

// write makes what is to be written.
func (r *Recovery) write(configs *configurations, self Identity, address string, cluster ClusterID, now int64) error {
	term := max(r.Term, r.Last.Term) + recoveryTerms
	entry := LogID{term, r.Last.Index + 1}
	if entry.Term > CounterMax || entry.Index > CounterMax {
		return fmt.Errorf("%w: the last entry is %v in term %d", ErrCorrupt, r.Last, r.Term)
	}
	var others []Identity
	for _, at := range slices.Backward(configs.at) {
		for i := range at.Configuration.Members {
			others = append(others, at.Configuration.Members[i].Identity)
		}
	}
	last := r.Configuration.Configuration
	last.Founding = foundingOf(&last)
	next, err := last.Recover(self, address, r.Before.hash(), uint64(entry.Index), others)
	if err != nil {
		return err
	}
	// Raft 5.2: whoever wrote an entry of a term votes for nobody else in it.
	r.HardState = HardState{Term: term, Vote: self, Cluster: cluster}
	r.Entry = Entry{LogID: entry, Kind: EntryConfiguration, Time: max(now, r.LastTime), Data: next.Encode()}
	return nil
}

// hash tells a cluster from others and does not give its id away.
func (c ClusterID) hash() (h [16]byte) {
	sum := sha256.Sum256(append([]byte("troupe cluster before a recovery:"), c[:]...))
	copy(h[:], sum[:])
	return h
}

// RecoveredFrom reports whether the cluster of a configuration was made of another, by
// the last recovery.
func RecoveredFrom(c *membership.Configuration, cluster ClusterID) bool {
	return c.Recovered != nil && c.Recovered.From == cluster.hash()
}

// FormerSnapshot reports whether a snapshot or a record is of the cluster before the
// recovery of which a later configuration tells: then it is this cluster's as well.
func FormerSnapshot(meta *SnapshotMeta, c *membership.Configuration) bool {
	return meta.Index > 0 && RecoveredFrom(c, meta.Cluster) && uint64(meta.Index) < c.Recovered.Index
}

// takeFormerSnapshot: the newest snapshot has the new id a moment after the log has it,
// and if a crash comes between, never. So has the record.
func (s *State) takeFormerSnapshot() {
	n := len(s.Configurations)
	for _, meta := range []*SnapshotMeta{&s.Snapshot, &s.Record} {
		if n > 0 && FormerSnapshot(meta, &s.Configurations[n-1].Configuration) {
			meta.Cluster = s.HardState.Cluster
		}
	}
}

// foundingOf is the hash of the list that a cluster was founded with, whatever version
// wrote its configuration.
func foundingOf(c *membership.Configuration) membership.Founding {
	switch {
	case c.Founding != (membership.Founding{}) || c.IsZero():
		return c.Founding
	case c.Target.IsFounding():
		return membership.FoundingOf(c.Target.Members)
	}
	return membership.FoundingOf(c.Members)
}

// tellLeftBehind tells a member of the cluster before, by the identity that it had in
// it, that this one goes on without it. The refusal proves nothing and gives nothing
// away.
func (e *Engine) tellLeftBehind(m Message, h *Header) {
	if h.To == e.cfg.Self && e.configs.latest().Configuration.Recovered.Left(h.From) {
		e.refuse(m, h, &Refusal{Reason: RefusedLeftBehind, Known: h.From})
	}
}

// onLeftBehind takes what a member of this node's cluster says that was recovered
// without it. Nobody has proved it, so it is only reported: this cluster may have a
// quorum of its own.
func (e *Engine) onLeftBehind(m *Refusal) {
	if _, member := e.configs.member(m.From, e.commit); member && m.To == e.cfg.Self {
		e.notice(Notice{Kind: NoticeLeftBehind, Peer: m.From, Text: "its group was recovered without this node, and is another cluster now: nothing that is decided here reaches it"})
	}
}
