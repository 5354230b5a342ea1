package simulation

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// upkeep looks after what nodes keep, as an operator does: it has snapshots made and logs
// purged, and follows logs. And it takes snapshots away, or lets them rot.
type upkeep struct {
	sim   *sim
	rand  *rand.Rand
	every time.Duration
	// spoilt are the nodes that have lost a snapshot: one of each group at most.
	spoilt map[*group]*node
}

// Names of what is checked.
const (
	ruleMade     = "snapshots: one that was made by hand is not on the disk, or is older than what was there"
	rulePurged   = "purge: an answer contradicts the disk"
	ruleFollowed = "entries: whoever follows a log is given another one"
)

func newUpkeep(s *sim, r *rand.Rand) *upkeep {
	return &upkeep{sim: s, rand: r, every: s.plan.election * time.Duration(pick(r, 0, 1, 3)), spoilt: map[*group]*node{}}
}

// later does something after a while, again and again until everything heals.
func (u *upkeep) later() {
	if u.every == 0 {
		return
	}
	u.sim.clock.after(span{0, 2 * u.every}.draw(u.rand), nil, func() {
		if u.sim.faults.healed {
			return
		}
		if r := u.someone(); r != nil && !r.stopping && !r.leaving {
			u.acts(r)
		}
		u.later()
	})
}

// someone draws a group on a node, nil where it does not run.
func (u *upkeep) someone() *replica {
	s := u.sim
	return s.groups[u.rand.IntN(len(s.groups))].on(s.nodes[u.rand.IntN(len(s.nodes))])
}

func (u *upkeep) acts(r *replica) {
	switch k := u.rand.IntN(100); {
	case k < 30:
		u.snapshots(r)
	case k < 60:
		u.purges(r)
	case k < 85:
		u.follows(r)
	default:
		u.spoils(r)
	}
}

func (u *upkeep) snapshots(r *replica) {
	before := r.raft.Status().SnapshotIndex
	q := u.sim.operator.asks(r, "for a snapshot")
	r.raft.Snapshot(func(meta core.SnapshotMeta, err error) {
		if !q.ends(err) || err != nil {
			return
		}
		u.sim.saw(snapshotByHand)
		if id, known := r.group.check.certainID(meta.Index); known && id != meta.LogID || meta.Index < before {
			u.sim.fail(ruleMade, "%v: %v, and %d was there before", r, meta.LogID, before)
		}
		if u.spoilt[r.group] != r.node && r.store.newestSnapshot().Index < meta.Index {
			u.sim.fail(ruleMade, "%v: %v, and the disk has %v", r, meta.LogID, r.store.newestSnapshot().LogID)
		}
	})
}

func (u *upkeep) purges(r *replica) {
	upTo := r.raft.Status().SnapshotIndex + core.Index(u.rand.IntN(6))
	upTo -= min(upTo, core.Index(u.rand.IntN(8)))
	q := u.sim.operator.asks(r, "to purge up to %d", upTo)
	r.raft.Purge(upTo, func(first core.Index, err error) {
		if !q.ends(err) {
			return
		}
		var beyond *core.PurgeError
		switch {
		case err == nil:
			u.sim.saw(purgeByHand)
			if has := r.store.purged.Index + 1; has < first {
				u.sim.fail(rulePurged, "%v: the log begins at %d, and on the disk at %d", r, first, has)
			}
		case errors.As(err, &beyond) && beyond.UpTo <= beyond.Snapshot:
			u.sim.fail(rulePurged, "%v: %v", r, err)
		}
	})
}

// follows reads the log from somewhere on, for a while.
func (u *upkeep) follows(r *replica) {
	st := r.raft.Status()
	from := 1 + core.Index(u.rand.Int64N(int64(st.Last)+1))
	if chance(u.rand, 50) {
		from = st.Purged + 1
	}
	u.sim.trace.say("%v is followed from %d on", r, from)
	u.reads(r, r.raft.Follow(from), from, 2+u.rand.IntN(20))
}

// reads takes what there is, of which next is the first, and comes again later.
func (u *upkeep) reads(r *replica, f *actors.Follower, next core.Index, times int) {
	entries, err := f.Read(context.Background())
	for i := range entries {
		u.followed(r, next, &entries[i])
		next++
	}
	var gone *core.CompactedError
	switch {
	case errors.As(err, &gone):
		u.sim.saw(followCompacted)
		if gone.First <= next {
			u.sim.fail(ruleFollowed, "%v: entry %d is said to be gone, and the log to begin at %d", r, next, gone.First)
		}
	case err != nil && !r.disk.failing && !r.raft.Ending():
		u.sim.fail(ruleFollowed, "%v: entry %d: %v", r, next, err)
	}
	if times--; err != nil || times == 0 || r.leaving || r.stopping {
		f.Leave()
		return
	}
	u.sim.clock.after(span{0, u.sim.plan.election / 2}.draw(u.rand), r.life, func() { u.reads(r, f, next, times) })
}

// followed checks an entry that was given to who follows the log.
func (u *upkeep) followed(r *replica, want core.Index, e *core.Entry) {
	u.sim.saw(logFollowed)
	c := r.group.check
	id, known := c.certainID(e.Index)
	if e.Index != want || int(e.Index) > len(c.history) || known && id != e.LogID || c.history[e.Index-1].content != contentOf(e) {
		u.sim.fail(ruleFollowed, "%v: %v, and entry %d comes next, of which %v was applied", r, e.LogID, want, id)
	}
}

// spoils takes the snapshots of a group on a node away while its process is down, its record
// too, or lets the newest snapshot rot under a process that lives. Everything else is on the
// disk; so it needs a snapshot of the leader's, unless its machine has kept all that was
// purged and its log tells who votes (rule 24).
func (u *upkeep) spoils(r *replica) {
	if !u.maySpoil(r) {
		return
	}
	s, st := u.sim, r.raft.Status()
	newest := r.store.newestSnapshot()
	if chance(u.rand, 50) {
		if st.Unfit == core.UnfitInstalling || st.SnapshotIndex < newest.Index || st.Applied < newest.Index {
			return // it may be about to be restored
		}
		s.saw(snapshotRots)
		r.store.rots(newest.LogID)
	} else {
		u.loses(r)
	}
	s.trace.say("n%d: the snapshots of group %d are spoilt, the newest was %v", r.node.id, r.group.id, newest.LogID)
	u.spoilt[r.group] = r.node
}

// loses takes all snapshots away, and perhaps the record. The node may move as well.
func (u *upkeep) loses(r *replica) {
	s, held := u.sim, r.store
	s.saw(snapshotsLost)
	r.life.crash()
	if held.snapshots = nil; chance(u.rand, 50) {
		held.record = core.SnapshotMeta{}
	}
	if held.purged.Index > 0 && held.machine.applied.Index >= held.purged.Index && !held.tellsMembers() {
		s.saw(recordLost)
	}
	if chance(u.rand, 30) {
		s.faults.move(r.node)
	}
	r.node.restartAfter(s.faults.lasts())
}

// maySpoil: others can send the snapshot, and the node can know that.
func (u *upkeep) maySpoil(r *replica) bool {
	s, held := u.sim, r.store
	if s.plan.changes || u.spoilt[r.group] != nil || len(s.nodes) < 3 || !s.formed() || len(r.disk.peers) == 0 || !s.found(r.node) || held.newestSnapshot().Index == 0 {
		return false
	}
	if k := r.raft.Status().Configuration.Configuration; len(k.Voters) < 3 || k.Joint() {
		return false
	}
	return !slices.ContainsFunc(s.nodes, func(n *node) bool { return n.emptied })
}
