package simulation

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// recovering is a cluster that loses its quorum for good.
type recovering struct {
	*sickCluster
	rand     *rand.Rand
	survivor *node
}

// TestRecoveries: an operator makes a survivor the only voter of another cluster, which may
// lag, or hold what nobody has committed. It keeps all that it held, an old member that comes
// back with its data takes no part in it, and the others come in with clean directories.
// From then on everybody serves.
func TestRecoveries(t *testing.T) {
	system, met := stage.NewSystem(), map[string]int{}
	for seed := *firstFlag; seed < *firstFlag+60; seed++ {
		r := &recovering{sickCluster: newSickCluster(seed, system), rand: rand.New(rand.NewPCG(seed, 15))}
		why := "it is not formed"
		if r.serves() {
			why = r.story(met)
		}
		if why != "" {
			r.fail("recovery: a survivor does not go on (rule 21)", "%s", why)
		}
		if r.failure != nil {
			t.Fatalf("seed %d: %v; %s\nreplay: go test ./internal/simulation -run TestRecoveries -args -first=%d -trace", seed, r.failure, r.summary(), seed)
		}
	}
	for _, what := range []string{"lags", "has more", "behind a snapshot", "former snapshot", "left behind"} {
		if met[what] < 3 {
			t.Errorf("a survivor %s in %d clusters of 60: the test is worthless", what, met[what])
		}
	}
}

// story says what has gone wrong, "" if nothing has.
func (r *recovering) story(met map[string]int) string {
	r.survivor = r.nodes[r.rand.IntN(len(r.nodes))]
	if !r.writeSome(r.rand.IntN(30)) {
		return "it does not serve"
	}
	switch r.rand.IntN(3) {
	case 0: // it lags
		r.survivor.life.crash()
		if !r.writeSome(r.rand.IntN(30)) {
			return "two of three do not serve"
		}
	case 1: // it has what nobody else has
		if !r.until(r.clock.now.Add(r.patience()), r.serves) {
			return "it does not serve"
		}
		r.survivor = r.group.leader().node
		for _, n := range r.nodes {
			if n != r.survivor {
				r.fabric.block(r.survivor.id, n.id)
			}
		}
		leader := r.group.on(r.survivor)
		for range 1 + r.rand.IntN(5) {
			r.group.clients[0].writes(leader, true, func(*work) {})
		}
		r.until(r.clock.now.Add(r.plan.election/4), func() bool { return false })
	}
	for _, n := range r.nodes {
		n.life.crash()
		for _, m := range r.nodes {
			if n != m {
				r.fabric.unblock(n.id, m.id)
			}
		}
	}
	before, d := r.group.check, r.survivor.disk.of(r.group.id)
	renamed := chance(r.rand, 50)
	p, err := r.group.goesOnAlone(r.survivor, r.rand, renamed)
	if err != nil {
		return err.Error()
	}
	count := func(what string, is bool) {
		if is {
			met[what]++
		}
	}
	count("lags", p.Last.Index < before.committed)
	count("has more", int(p.Last.Index) > len(before.history))
	count("behind a snapshot", d.purged.Index > 0)
	count("former snapshot", !renamed && d.newestSnapshot().Index > 0)
	r.survivor.start()
	if !r.until(r.clock.now.Add(r.patience()), func() bool { return r.leads(r.survivor) }) {
		return "the survivor does not lead"
	}
	back, why := r.comesBack()
	if count("left behind", back); why != "" {
		return why
	}
	return r.grows()
}

func (r *recovering) leads(n *node) bool {
	leader := r.group.leader()
	return leader != nil && leader.node == n
}

// writeSome lets a client write so many times, one after the other.
func (r *recovering) writeSome(count int) bool {
	for range count {
		leads := func() bool { return r.group.leader() != nil }
		if !r.until(r.clock.now.Add(r.patience()), leads) || !r.write(r.group.leader().node, 1) {
			return false
		}
	}
	return true
}

// comesBack lets an old member live for a while with all that it had, if that is no more
// than the new cluster began with: the checker knows of no other cluster.
func (r *recovering) comesBack() (back bool, why string) {
	old := r.third(r.survivor, nil)
	d := old.disk.of(r.group.id)
	if max(d.commit, d.purged.Index, d.newestSnapshot().Index, d.machine.applied.Index) >= r.group.check.history[len(r.group.check.history)-1].id.Index {
		return false, ""
	}
	for i := core.Index(1); i <= d.commit; i++ {
		if at, held := d.at(i); held && at != r.group.check.history[i-1].id {
			return false, ""
		}
	}
	held := d.hard
	old.start()
	replica := r.group.on(old)
	if !r.until(r.clock.now.Add(r.patience()), func() bool { return replica.leftBehind }) {
		return true, "an old member does not hear that the cluster goes on without it"
	}
	if !r.write(r.survivor, 3) {
		return true, "an old member keeps the survivor from its writes"
	}
	if d.hard.Cluster != held.Cluster || d.hard.Term >= r.group.on(r.survivor).status.Term || len(r.group.on(r.survivor).status.Peers) > 0 {
		return true, fmt.Sprintf("an old member takes part: %+v", d.hard)
	}
	old.life.crash()
	return true, ""
}

// grows lets the others come in with clean directories.
func (r *recovering) grows() string {
	order := core.ChangeOrder{}
	for _, n := range r.nodes {
		if n == r.survivor {
			continue
		}
		n.disk = r.newDisk(n.id)
		n.member = n.disk.identity
		n.start()
		order.Changes = append(order.Changes, membership.Change{Op: membership.OpAdd, ID: n.id, Address: n.address})
	}
	all := func() bool {
		leader := r.group.leader()
		return leader != nil && len(leader.status.Configuration.Configuration.Voters) == len(r.nodes) && r.changer.idle()
	}
	r.changer.orders(r.group.on(r.survivor), order, false)
	if !r.until(r.clock.now.Add(r.patience()), all) {
		return "the others do not come in"
	}
	if !r.until(r.clock.now.Add(r.patience()), r.converged) {
		return "it does not converge"
	}
	r.epilogue()
	return ""
}
