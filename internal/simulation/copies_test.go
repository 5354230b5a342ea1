package simulation

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// restoring is a cluster in which an operator keeps a copy of a node's directory.
type restoring struct {
	*sickCluster
	rand *rand.Rand
	node *node
	// kept is the copy, and original the directory that has gone on.
	kept, original *disk
}

// TestRestoredCopies: rule 17: an operator puts an old copy of a directory in the place of
// one that has lived on since, and that all others have met. The process on the copy is
// refused by name, for good, before anything that it says counts: who speaks to it first
// may be heard, and what it answers comes behind its proof. It leads nothing, and nobody
// counts on what it has. With what it had the node goes on.
func TestRestoredCopies(t *testing.T) {
	system := stage.NewSystem()
	for seed := *firstFlag; seed < *firstFlag+40; seed++ {
		r := &restoring{sickCluster: newSickCluster(seed, system), rand: rand.New(rand.NewPCG(seed, 14))}
		why := "it is not formed"
		if r.serves() {
			why = r.story()
		}
		if why != "" {
			r.fail("identity: an old copy of a directory (rule 17)", "%s", why)
		}
		if r.failure != nil {
			t.Fatalf("seed %d: %v; %s\nreplay: go test ./internal/simulation -run TestRestoredCopies -args -first=%d -trace", seed, r.failure, r.summary(), seed)
		}
	}
}

// story says what has gone wrong, "" if nothing has.
func (r *restoring) story() string {
	r.node = r.nodes[r.rand.IntN(len(r.nodes))]
	if !r.writeSome(r.rand.IntN(30)) {
		return "it does not serve"
	}
	if chance(r.rand, 50) {
		r.kept = r.node.disk.copied() // while it runs, and writes
	}
	for range 1 + r.rand.IntN(3) {
		if why := r.livesOn(); why != "" {
			return why
		}
	}
	r.original = r.node.disk
	r.node.disk = r.kept
	return r.livesOnTheCopy()
}

// livesOn lets the directory live once more, and meet everybody.
func (r *restoring) livesOn() string {
	if !r.until(r.clock.now.Add(r.patience()), func() bool { return r.group.leader() != nil }) {
		return "nobody leads"
	}
	if chance(r.rand, 50) { // so that terms and votes go on
		leader := r.group.leader().node
		leader.life.crash()
		r.until(r.clock.now.Add(4*r.plan.electionMax()), func() bool { return false })
		leader.start()
	}
	r.node.life.crash()
	if r.kept == nil {
		r.kept = r.node.disk.copied() // while it is down
	}
	r.node.start()
	if !r.until(r.clock.now.Add(r.patience()), r.serves) || !r.writeSome(1+r.rand.IntN(30)) {
		return "it does not serve"
	}
	if !r.until(r.clock.now.Add(r.patience()), r.converged) {
		return "it does not converge"
	}
	met := func() bool {
		return !slices.ContainsFunc(r.nodes, func(n *node) bool { return n != r.node && !n.disk.hasMet(r.node.disk) })
	}
	// Followers meet when one of them asks for votes.
	for range 30 {
		if r.until(r.clock.now.Add(4*r.plan.electionMax()), met) {
			return ""
		}
		other := r.third(r.node, nil)
		if chance(r.rand, 50) {
			other = r.third(r.node, other)
		}
		other.life.crash()
		r.until(r.clock.now.Add(4*r.plan.electionMax()), met)
		other.start()
	}
	return "not all have kept the life that they have met"
}

// believed is up to where those who lead now count on the node, by their terms.
func (r *restoring) believed() map[core.Term]core.Index {
	all := make(map[core.Term]core.Index)
	for _, n := range r.nodes {
		other := r.group.on(n)
		if other == nil || n == r.node || other.status.Role != core.RoleLeader {
			continue
		}
		st := other.raft.Status()
		for _, p := range st.Peers {
			if p.ID == r.node.id {
				all[st.Term] = p.Match
			}
		}
	}
	return all
}

// writeSome lets a client write so many times, one after the other.
func (r *restoring) writeSome(count int) bool {
	for range count {
		if !r.until(r.clock.now.Add(r.patience()), r.serves) || !r.write(r.group.leader().node, 1) {
			return false
		}
	}
	return true
}

// hasMet reports whether the newest life of a directory is kept.
func (d *disk) hasMet(o *disk) bool {
	for i := range d.peers {
		if p := &d.peers[i]; p.Identity == o.identity {
			return p.StartCounter == o.startCounter
		}
	}
	return false
}

// livesOnTheCopy lets a process live on the copy.
func (r *restoring) livesOnTheCopy() string {
	r.node.life.crash()
	given := maps.Clone(r.group.check.matched) // by the original
	r.node.start()
	copied := r.group.on(r.node)
	ended := r.until(r.clock.now.Add(r.patience()), func() bool {
		if role := copied.status.Role; role == core.RoleLeader || role == core.RoleCandidate {
			r.fail("identity: an old copy campaigns (rule 17)", "%s", copied.summary())
		}
		for term, match := range r.believed() {
			if match > given[vote{r.kept.identity, term}] {
				r.fail("identity: an old copy is counted (rule 17)", "up to %d in term %d: %s", match, term, r.summary())
			}
		}
		return r.kept.refused != "" && r.node.life.dead
	})
	if !ended {
		return "the copy is not refused: " + r.kept.refused
	}
	if rest := r.third(r.node, nil); !r.write(rest, 3) {
		return "the others do not serve"
	}
	r.node.disk = r.original
	r.node.start()
	if !r.until(r.clock.now.Add(r.patience()), r.converged) {
		return "the original does not come back"
	}
	return ""
}
