package core_test

import (
	"errors"
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
	changeSeeds = flag.Int("change-seeds", 100, "how many schedules TestRandomChanges runs")
	changeFirst = flag.Uint64("change-first", 1, "the first of them")
)

// changingCluster is a random cluster whose members change all the time: nodes are
// added, promoted, demoted, removed, added again with what they have or empty, and
// replaced when they have lost their data, while nodes crash and links break.
type changingCluster struct {
	*randomCluster
	counts *changeCounts
	orders uint64
	asked  map[askedID]ChangeOrder
	// lost is a member that has lost its data and was not replaced yet, 0 if none has.
	lost NodeID
	// deadSince is when a node was first seen dead.
	deadSince map[Identity]Instant
	// away have been removed at some time.
	away map[NodeID]bool
}

type askedID struct {
	node Identity
	life int
	id   uint64
}

// changeCounts tells whether the schedules did what they are for.
type changeCounts struct {
	asked, done, failed, givenUp, goOn, unknown, wiped, replaced, readded, removed, joints, led int
}

// TestRandomChanges: rules 18 and 20 to 23: whatever happens while members change, what
// is committed stays, nobody leads twice, and each order ends as the log says; and when
// all faults have ended every change comes to its end.
func TestRandomChanges(t *testing.T) {
	var counts changeCounts
	seeds := *changeSeeds
	if testing.Short() {
		seeds = min(seeds, 25)
	}
	for seed := *changeFirst; seed < *changeFirst+uint64(seeds); seed++ {
		if !runChanges(t, seed, &counts) {
			t.Fatalf("replay with: go test ./core -run TestRandomChanges -args -change-seeds=1 -change-first=%d -random-trace", seed)
		}
	}
	t.Logf("%d seeds: %+v", seeds, counts)
	if seeds >= 100 && (counts.done == 0 || counts.givenUp == 0 || counts.replaced == 0 || counts.removed == 0 || counts.readded == 0) {
		t.Error("the schedules do not do what they are for")
	}
}

func runChanges(t *testing.T, seed uint64, counts *changeCounts) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d: %v", seed, p)
		}
	}()
	r := rand.New(rand.NewPCG(seed, 21))
	c := &changingCluster{
		randomCluster: &randomCluster{
			t: t, rand: r, now: Instant(time.Second), links: map[randomLink][]Message{}, down: map[[2]NodeID]bool{},
			leaders: map[Term]Identity{}, faulty: true, pace: 50 + r.IntN(300),
		},
		counts: counts, asked: map[askedID]ChangeOrder{}, deadSince: map[Identity]Instant{}, away: map[NodeID]bool{},
	}
	c.watch = c.see
	size, founders := 3+r.IntN(4), 1+r.IntN(3)
	keep, every := uint64(r.IntN(20)), uint64(r.IntN(3)*15)
	for i := 1; i <= size; i++ {
		id := Identity{ID: NodeID(i), Incarnation: membership.Incarnation(100 + i)}
		c.nodes = append(c.nodes, &randomNode{c: c.randomCluster, id: id, volatile: r.IntN(2) == 0, drift: Instant(r.IntN(91) - 45), cfg: Config{
			Group: 1, Self: id, Settings: Settings{
				ElectionTimeout: time.Second, HeartbeatInterval: 100 * time.Millisecond, HungLimit: 3 * time.Second, ClockDriftMax: 0.1,
				UncommittedBytesMax: 1 << 20, KeepEntries: keep, KeepBytes: keep % 3 * 300, HoldBytesMax: keep * 100, HoldTimeMax: 10 * time.Second, SnapshotEntries: every,
			},
		}})
		if i <= founders {
			c.members = append(c.members, membership.Member{Identity: id, Address: fmt.Sprint("n", i)})
		}
	}
	for _, n := range c.nodes {
		n.start()
	}
	c.nodes[0].step(&Bootstrap{Cluster: ClusterOf(77), Members: c.members, AskLimit: time.Hour})
	for range 4000 {
		switch p := c.rand.IntN(1000); {
		case p < 12:
			c.orderSomething()
		case p < 18:
			c.wipe()
		default:
			c.turn()
		}
	}
	c.ends()
	return !t.Failed()
}

// configuration is the latest that is committed anywhere.
func (c *changingCluster) configuration() *membership.Configuration {
	var best *ConfigurationAt
	for _, n := range c.nodes {
		at := n.engine.ConfigurationAt(n.engine.CommitIndex())
		if best == nil || at.Index > best.Index {
			best = &at
		}
	}
	return &best.Configuration
}

func (c *changingCluster) orderSomething() {
	n := c.nodes[c.rand.IntN(len(c.nodes))]
	for range 3 {
		if !n.alive || n.engine.Latest().Configuration.IsZero() {
			n = c.nodes[c.rand.IntN(len(c.nodes))]
		}
	}
	if !n.alive {
		return
	}
	o := ChangeOrder{Cancel: c.rand.IntN(12) == 0}
	o.CatchUpLimit = time.Duration(1+c.rand.IntN(10)) * time.Second
	o.KeepAdded, o.Automatic = c.rand.IntN(6) == 0, c.rand.IntN(6) == 0
	for range []int{1, 1, 1, 2, 3}[c.rand.IntN(5)] {
		o.Changes = append(o.Changes, c.someChange())
	}
	c.order(n, o)
}

func (c *changingCluster) order(n *randomNode, o ChangeOrder) {
	c.orders++
	c.requests++
	o.ID, o.Since = membership.ChangeID(c.orders), int64(c.now)
	c.counts.asked++
	c.asked[askedID{n.id, n.starts, c.requests}] = o
	c.trace("node %d is asked %d: %+v", n.id.ID, c.requests, o)
	n.step(&ChangeMembers{ID: c.requests, Order: o, NoWait: c.rand.IntN(8) == 0})
	if c.rand.IntN(10) == 0 {
		n.step(&ChangeWaitEnded{ID: c.requests, Cause: errLeft})
	}
}

func (c *changingCluster) someChange() membership.Change {
	m := membership.Change{Op: membership.Op(1 + c.rand.IntN(10)), ID: NodeID(1 + c.rand.IntN(len(c.nodes))), KeepAsLearner: c.rand.IntN(2) == 0}
	at := c.configuration()
	ids := at.Incarnations(m.ID)
	switch {
	case c.rand.IntN(4) == 0: // it need not make sense
	case c.lost != 0 && c.rand.IntN(2) == 0:
		m.Op, m.ID = membership.OpReplace, c.lost
	case len(ids) == 0 && c.away[m.ID]:
		m.Op = membership.OpAdd // who was removed comes back
	case len(ids) == 0:
		m.Op = []membership.Op{membership.OpAdd, membership.OpAddLearner}[c.rand.IntN(2)]
	case at.IsVoter(ids[0]):
		m.Op = []membership.Op{membership.OpRemove, membership.OpDemote, membership.OpSetVoters, membership.OpSetTags}[c.rand.IntN(4)]
	default:
		m.Op = []membership.Op{membership.OpRemove, membership.OpPromote, membership.OpPromote, membership.OpSetPriority}[c.rand.IntN(4)]
	}
	switch m.Op {
	case membership.OpAdd, membership.OpAddLearner, membership.OpSetAddress:
		m.Address = fmt.Sprint("n", m.ID)
	case membership.OpSetVoters:
		for i := range c.nodes {
			if c.rand.IntN(2) == 0 {
				m.Voters = append(m.Voters, NodeID(i+1))
			}
		}
	case membership.OpSetPriority:
		m.Priority = uint32(c.rand.IntN(3))
	case membership.OpSetTags:
		m.Tags = map[string]string{"zone": fmt.Sprint(c.rand.IntN(3))}
	}
	return m
}

// known are all configurations that anybody may still act by.
func (c *changingCluster) known() (list []membership.Configuration) {
	for _, n := range c.nodes {
		for _, at := range n.engine.Configurations() {
			list = append(list, at.Configuration)
		}
	}
	return list
}

// wipe takes the data of a node that is no member of anything, or of one member at a
// time, where every half that may have to decide has a majority without it.
func (c *changingCluster) wipe() {
	n := c.nodes[c.rand.IntN(len(c.nodes))]
	if at := c.configuration(); at.IsZero() || at.Target.IsFounding() {
		return // the list names who they were
	}
	member, enough := false, true
	for _, at := range c.known() {
		halves := [][]Identity{at.Voters, at.Outgoing}
		if t := at.Target; t != nil {
			halves = append(halves, t.Voters)
			if _, wanted := t.Member(n.id); wanted {
				member = true
			}
		}
		if _, is := at.Member(n.id); is {
			member = true
		}
		for _, half := range halves {
			enough = enough && (!slices.Contains(half, n.id) || len(half) > 2)
		}
		enough = enough && !at.Target.IsFounding()
	}
	if n.alive {
		delete(c.deadSince, n.id)
	} else if c.deadSince[n.id] == 0 {
		c.deadSince[n.id] = c.now
	}
	// A leader that has heard of it a moment ago may yet begin a joint configuration that
	// needs it: that half would be lost for good.
	gone := c.deadSince[n.id] != 0 && c.now.Sub(c.deadSince[n.id]) > 3*time.Second
	if member && (c.lost != 0 || !enough || !gone) || !member && n.engine.Latest().Configuration.IsZero() {
		return
	}
	if n.alive {
		n.crash()
	}
	if member {
		c.lost = n.id.ID
	}
	c.counts.wiped++
	c.trace("node %d is wiped", n.id.ID)
	n.id.Incarnation += 1000
	n.cfg.Self = n.id
	n.pending, n.disk, n.hard, n.snapshot, n.applied = nil, randomLog{}, HardState{}, SnapshotMeta{}, 0
	n.starts = 0
	n.start()
}

// see follows what a node does, and holds answers against the log.
func (c *changingCluster) see(n *randomNode, cmd Command) {
	switch cmd := cmd.(type) {
	case *ConfigurationChanged:
		if c.lost != 0 {
			ids := cmd.At.Configuration.Incarnations(c.lost)
			now := c.nodes[c.lost-1].id
			if at := c.configuration(); len(at.Incarnations(c.lost)) == 0 || len(ids) == 1 && ids[0] == now && slices.Equal(at.Incarnations(c.lost), ids) {
				c.lost = 0
				c.counts.replaced++
			}
		}
		if cmd.At.Configuration.Joint() {
			c.counts.joints++
		}
	case *Notice:
		switch cmd.Kind {
		case NoticeRemoved:
			c.counts.removed++
			c.away[n.id.ID] = true
		case NoticeElected:
			if n.engine.Status().Removed {
				panic(fmt.Sprintf("node %v leads and was removed", n.id))
			}
			c.counts.led++
		}
	case *ChangeEnded:
		c.ended(n, cmd)
	}
}

func (c *changingCluster) ended(n *randomNode, e *ChangeEnded) {
	key := askedID{n.id, n.starts, e.ID}
	o, ok := c.asked[key]
	if !ok {
		panic(fmt.Sprintf("node %v answers %d, which nobody waits for", n.id, e.ID))
	}
	delete(c.asked, key)
	c.trace("node %d answers %d: %+v", n.id.ID, e.ID, *e)
	var (
		refused   *membership.ChangeError
		progress  *ChangeInProgressError
		behind    *NotCaughtUpError
		cancelled *ChangeCancelledError
		unknown   *UnknownOutcomeError
	)
	switch {
	case e.GoesOn:
		c.counts.goOn++
	case e.Err == nil:
		c.counts.done++
		c.holds(n, &o, &e.At.Configuration)
	case errors.As(e.Err, &behind), errors.As(e.Err, &cancelled):
		c.counts.givenUp++
	case errors.As(e.Err, &unknown):
		c.counts.unknown++
	case errors.As(e.Err, &refused), errors.As(e.Err, &progress), errors.Is(e.Err, ErrRemoved), errors.Is(e.Err, ErrNoChange), errors.Is(e.Err, ErrNotReady),
		errors.Is(e.Err, ErrNoCluster), errors.Is(e.Err, ErrOverloaded), errors.Is(e.Err, errLeft):
		c.counts.failed++
	default:
		panic(fmt.Sprintf("an error that does not belong here: %v", e.Err))
	}
}

// holds: what is said to be done is so in the configuration that is told.
func (c *changingCluster) holds(n *randomNode, o *ChangeOrder, at *membership.Configuration) {
	if o.Cancel || at.Target != nil || at.Joint() {
		return // another is under way by now
	}
	for _, m := range o.Changes {
		ids := at.Incarnations(m.ID)
		votes := len(ids) == 1 && at.IsVoter(ids[0])
		wrong := false
		if len(o.Changes) == 1 && at.Last.ID == o.ID {
			switch m.Op {
			case membership.OpAdd, membership.OpPromote:
				wrong = !votes
			case membership.OpAddLearner, membership.OpDemote:
				wrong = len(ids) != 1 || votes
			case membership.OpRemove:
				wrong = votes || len(ids) > 0 && !m.KeepAsLearner
			}
			if m.Op == membership.OpAdd && c.away[m.ID] {
				c.counts.readded++
			}
		}
		if wrong {
			panic(fmt.Sprintf("%v is said to be done by %v, and is not: %v", m, n.id, at))
		}
	}
}

// ends heals everything. What was begun must come to its end, and then the cluster can
// be made what one wants.
func (c *changingCluster) ends() {
	c.faulty, c.pace, c.quiet = false, 60, true
	clear(c.down)
	for _, n := range c.nodes {
		if !n.alive {
			n.start()
		}
		n.step(&PauseElections{})
	}
	c.nodes[0].step(&Bootstrap{Cluster: ClusterOf(77), Members: c.members, AskLimit: time.Hour})
	for i := range 150_000 {
		c.turn()
		if i%200 == 0 && c.cleanUp() {
			return
		}
	}
	for _, n := range c.nodes {
		s := n.engine.Status()
		fmt.Printf("%v %v of T%d, leader %d, last %d, committed %d, removed %t, change %+v, waits %v, no leader %q: %v at %v\n", n.id, s.Role, s.Term, s.Leader, s.Last, s.Committed, s.Removed, s.Change, s.WaitsFor, s.NoLeader, &s.Configuration.Configuration, s.Configuration.LogID)
	}
	panic(fmt.Sprintf("a change does not end after all faults were healed; lost is %d", c.lost))
}

// cleanUp replaces what was lost, and reports whether the cluster is at rest: one
// leader, no change, and all members have all.
func (c *changingCluster) cleanUp() bool {
	var leader *randomNode
	for _, n := range c.nodes {
		if n.engine.Role() == RoleLeader && (leader == nil || n.engine.Hard().Term > leader.engine.Hard().Term) {
			leader = n
		}
	}
	if leader == nil {
		return false
	}
	s := leader.engine.Status()
	at := &s.Configuration.Configuration
	if s.Change.State != ChangeIdle || s.Configuration.Index > s.Committed {
		return false
	}
	rest := true
	for _, n := range c.nodes {
		ids := at.Incarnations(n.id.ID)
		switch {
		case len(ids) == 1 && ids[0] == n.id:
			rest = rest && n.engine.CommitIndex() >= s.Configuration.Index && n.engine.Latest().LogID == s.Configuration.LogID
		case len(ids) > 0:
			if rest = false; c.rand.IntN(5) == 0 {
				c.order(leader, ChangeOrder{Order: membership.Order{Changes: []membership.Change{{Op: membership.OpReplace, ID: n.id.ID}}, CatchUpLimit: 20 * time.Second}})
			}
		case n.engine.Role() == RoleLeader || n.engine.Role() == RoleCandidate:
			rest = false
		}
	}
	return rest
}
