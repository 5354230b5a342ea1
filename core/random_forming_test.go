package core_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	. "github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

var (
	formingSeeds = flag.Int("forming-seeds", 100, "how many schedules TestRandomForming runs")
	formingFirst = flag.Uint64("forming-first", 1, "the first of them")
)

// formingCluster is a random cluster that is still to be formed: some or all of its
// nodes are asked for it, with one list. Nodes start late, crash, lose what they
// have not flushed, and are wiped as long as they have acknowledged nothing; links
// break and lose what is on them, and some messages come once more, much too late;
// clocks drift; disks are slow.
type formingCluster struct {
	*randomCluster
	// asked: the user of this node calls Bootstrap, and does so again whenever it
	// ended with an error or with the process.
	asked   []bool
	waiting []bool
	// slow is how rarely a node's disk flushes.
	slow     []int
	askLimit time.Duration
	late     []Message
	counts   *formingCounts
}

// formingCounts tells whether the schedules did what they are for.
type formingCounts struct {
	grants, attempts, begun, exchanged, refused, wiped, crashes int
}

// TestRandomForming: rule 31: two clusters are never begun from one list; and when
// all faults have ended, one cluster of all members comes of it, soon after the last
// grant that nobody uses any more.
func TestRandomForming(t *testing.T) {
	var counts formingCounts
	seeds := *formingSeeds
	if testing.Short() {
		seeds = min(seeds, 25)
	}
	for seed := *formingFirst; seed < *formingFirst+uint64(seeds); seed++ {
		if !runForming(t, seed, &counts) {
			t.Fatalf("replay with: go test ./core -run TestRandomForming -args -forming-seeds=1 -forming-first=%d -random-trace", seed)
		}
	}
	t.Logf("%d seeds: %+v", seeds, counts)
}

func runForming(t *testing.T, seed uint64, counts *formingCounts) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d: %v", seed, p)
		}
	}()
	f := newFormingCluster(t, seed, counts)
	for range 1500 {
		f.turn()
		f.check()
	}
	f.heal()
	counts.crashes += f.crashes
	return !t.Failed()
}

func newFormingCluster(t *testing.T, seed uint64, counts *formingCounts) *formingCluster {
	r := rand.New(rand.NewPCG(seed, 31))
	f := &formingCluster{
		randomCluster: &randomCluster{
			t: t, rand: r, now: Instant(time.Second), links: map[randomLink][]Message{}, down: map[[2]NodeID]bool{},
			leaders: map[Term]Identity{}, faulty: true, pace: []int{50, 300, 2000}[r.IntN(3)],
		},
		askLimit: []time.Duration{3 * time.Second, 10 * time.Second, time.Hour}[r.IntN(3)], counts: counts,
	}
	f.watch = f.see
	size := 2 + r.IntN(6)
	for i := 1; i <= size; i++ {
		id := Identity{ID: NodeID(i), Incarnation: membership.Incarnation(100 + i)}
		f.members = append(f.members, membership.Member{Identity: Identity{ID: id.ID}, Address: fmt.Sprint("n", i)})
		f.nodes = append(f.nodes, &randomNode{c: f.randomCluster, id: id, drift: Instant(r.IntN(91) - 45), cfg: Config{
			Group: 1, Self: id, Settings: Settings{
				ElectionTimeout: time.Second, HeartbeatInterval: 100 * time.Millisecond, HungLimit: 3 * time.Second, ClockDriftMax: 0.1, UncommittedBytesMax: 1 << 20,
			},
		}})
		f.asked = append(f.asked, r.IntN(2) == 0)
		f.waiting = append(f.waiting, false)
		f.slow = append(f.slow, []int{1, 1, 10, 100}[r.IntN(4)])
	}
	f.asked[r.IntN(size)] = true
	return f
}

func (f *formingCluster) index(n *randomNode) int { return int(n.id.ID) - 1 }

// see follows what a node does, and holds a beginning against rule 31.
func (f *formingCluster) see(n *randomNode, cmd Command) {
	switch cmd := cmd.(type) {
	case *BootstrapEnded:
		f.waiting[f.index(n)] = false
		if cmd.Err != nil {
			f.counts.refused++
		}
	case *Write:
		if g := cmd.HardState.Grant; cmd.SaveHardState && !g.IsZero() {
			f.counts.grants++
			if g.To == n.id {
				f.counts.attempts++
			}
		}
		switch {
		case len(cmd.Append) == 0:
		case cmd.HardState.Vote == n.id && cmd.Append[0].Index == 1:
			f.counts.begun++
			f.checkGrants(n, &cmd.Append[0])
		case n.engine.Role() == RoleLeader && cmd.Append[0].Kind == EntryConfiguration:
			at := n.engine.Configurations()
			if before := &at[max(len(at)-2, 0)].Configuration; before.Target.IsFounding() && at[len(at)-1].Configuration.Target.IsFounding() && !slices.Equal(before.Target.Voters, at[len(at)-1].Configuration.Target.Voters) {
				f.counts.exchanged++
			}
		}
	}
}

// checkGrants: whoever begins has the grants of all that are members of its first
// entry, for this attempt, on the grants' own clocks.
func (f *formingCluster) checkGrants(beginner *randomNode, first *Entry) {
	c, err := membership.Decode(first.Data)
	if err != nil {
		panic(err)
	}
	for _, m := range c.Target.Members {
		n := f.nodes[m.ID-1]
		if n == beginner || n.id != m.Identity {
			continue // itself has the entry already; of the other, nothing is left
		}
		grant := n.hard.Grant
		if n.alive {
			grant = n.engine.GrantAt(n.now())
		}
		if grant.To != beginner.id {
			panic(fmt.Sprintf("node %v begins without the grant of %v, which stands to %v", beginner.id, n.id, grant.To))
		}
	}
}

// turn does one random thing.
func (f *formingCluster) turn() {
	i := f.rand.IntN(len(f.nodes))
	n := f.nodes[i]
	switch p := f.rand.IntN(1000); {
	case p < 450:
		// All ask all, ten times in a second: a network takes that.
		for range 1 + f.rand.IntN(8*len(f.nodes)) {
			f.deliver()
			f.again()
		}
	case p < 650:
		if f.rand.IntN(f.slow[i]) == 0 {
			n.flush()
		}
	case p < 780:
		n.pumpStreams()
	case p < 850:
		f.ask(i)
	case p < 950 || !f.faulty:
		f.advance(time.Duration(f.rand.IntN(f.pace)) * time.Millisecond)
	case p < 965:
		f.cut()
	case p < 975:
		clear(f.down)
	case !n.alive:
		n.start()
	case p < 985:
		n.crash()
		f.waiting[i] = false
	case p < 992:
		f.wipe(i)
	case p < 996 && f.waiting[i]:
		n.step(&BootstrapCancelled{})
		f.waiting[i] = n.engine.Forms()
	}
}

// again keeps a control message now and then, and delivers an old one once more: it
// was late on a connection of before, and may be meant for a life that is over.
func (f *formingCluster) again() {
	i, l := f.rand.IntN(len(f.nodes)), f.rand.IntN(40)
	if !f.faulty || l > 1 {
		return
	}
	if l == 0 {
		from := randomLink{f.nodes[i].id.ID, NodeID(1 + f.rand.IntN(len(f.nodes))), ClassControl, f.rand.IntN(2) == 0}
		if q := f.links[from]; len(q) > 0 {
			f.late = append(f.late, q[0])
		}
	} else if len(f.late) > 0 {
		m := f.late[f.rand.IntN(len(f.late))]
		if to := f.nodes[m.Head().To.ID-1]; to.alive {
			to.step(m)
		}
	}
}

// ask is what the user of a node does.
func (f *formingCluster) ask(i int) {
	n := f.nodes[i]
	if !n.alive || !f.asked[i] || f.waiting[i] {
		return
	}
	b := &Bootstrap{Cluster: ClusterOf(f.rand.Uint32()), Members: f.members, AskLimit: f.askLimit}
	f.waiting[i] = true // it may end at once
	n.step(b)
	if b.Done || b.Err != nil {
		f.waiting[i] = false
	}
	if b.Err != nil {
		panic(fmt.Sprintf("node %v: %v", n.id, b.Err))
	}
}

// wipe takes the disk of a node that has acknowledged nothing.
func (f *formingCluster) wipe(i int) {
	n := f.nodes[i]
	if len(n.disk.entries) > 0 {
		return
	}
	f.counts.wiped++
	n.pending = nil
	n.crash()
	n.disk, n.hard, n.applied, n.starts = randomLog{}, HardState{}, 0, 0
	n.id.Incarnation += 1000
	n.cfg.Self = n.id
	f.waiting[i] = false
}

// check: all disks that hold a first entry hold one of the same cluster.
func (f *formingCluster) check() {
	var cluster ClusterID
	for _, n := range f.nodes {
		switch {
		case len(n.disk.entries) == 0:
		case n.hard.Cluster.IsZero():
			panic(fmt.Sprintf("node %v holds entries of no cluster", n.id))
		case cluster.IsZero():
			cluster = n.hard.Cluster
		case cluster != n.hard.Cluster:
			panic(fmt.Sprintf("two clusters of one list: %v and %v", cluster, n.hard.Cluster))
		}
	}
}

// heal ends all faults. What is left of them are grants to lives that are over: they
// must run out, and then the cluster must form.
func (f *formingCluster) heal() {
	f.faulty, f.pace, f.askLimit = false, 150, time.Minute
	clear(f.down)
	longest := GrantLengthMin
	for i, n := range f.nodes {
		f.slow[i] = 1
		if !n.alive {
			n.start()
		}
		longest = max(longest, n.engine.FormingLength(), time.Duration(n.engine.Hard().Grant.LengthMillis)*time.Millisecond)
	}
	bound := f.now.Add(2*longest + 30*time.Second)
	for f.now < bound {
		f.turn()
		f.check()
		if f.complete() {
			f.checkComplete()
			return
		}
	}
	for _, n := range f.nodes {
		s := n.engine.Status()
		fmt.Printf("%v: %v of T%d, leader %d, %v, waits for %v, grant %+v\n", n.id, s.Role, s.Term, s.Leader, s.Configuration.Configuration, s.WaitsFor, n.engine.Hard().Grant)
	}
	panic(fmt.Sprintf("no cluster %v after all faults were healed", 2*longest+30*time.Second))
}

func (f *formingCluster) complete() bool {
	return !slices.ContainsFunc(f.nodes, func(n *randomNode) bool {
		c := n.engine.Latest()
		return len(c.Configuration.Voters) != len(f.nodes) || c.Configuration.Joint() || n.engine.Bootstraps()
	})
}

// checkComplete: everybody belongs to one cluster and says so when asked again.
func (f *formingCluster) checkComplete() {
	for i, n := range f.nodes {
		c := &n.engine.Latest().Configuration
		if !c.IsVoter(n.id) {
			panic(fmt.Sprintf("node %v is no voter of %v", n.id, c))
		}
		b := &Bootstrap{Cluster: ClusterOf(1), Members: f.members, AskLimit: f.askLimit}
		if n.step(b); !b.Done || b.Err != nil {
			panic(fmt.Sprintf("node %d is asked again: %+v", i+1, b))
		}
		n.engine.ForgetForming()
	}
}
