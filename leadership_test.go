package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

// slowElections has time-outs that no test waits for: whoever leads then was handed
// the leadership.
func slowElections() troupe.Config { return troupe.Config{ElectionTimeout: time.Minute} }

// TestTransferLeadership: any node may be asked, and sees the new leader at once.
func TestTransferLeadership(t *testing.T) {
	c := formed(t, 3, slowElections())
	for i := range 9 {
		to := troupe.NodeID(i%3 + 1)
		asked := c.members[(i*5)%3]
		leader := c.leader()
		if to == leader.id {
			if to = 0; i%2 == 0 {
				to = leader.id%3 + 1
			}
		}
		before := leader.raft.Status().Term
		if err := asked.raft.TransferLeadership(within(t, 20*time.Second), to); err != nil {
			t.Fatalf("transfer %d to node %d, asked of node %d: %v", i, to, asked.id, err)
		}
		s := asked.raft.Status()
		if s.Leader == leader.id || to != 0 && s.Leader != to || s.Term <= before {
			t.Errorf("transfer %d to node %d: node %d sees node %d lead term %d", i, to, asked.id, s.Leader, s.Term)
		}
		asked.propose(t, fmt.Sprint(i))
	}
	if got := c.leader().read(t); len(got) != 9 {
		t.Errorf("%q", got)
	}
}

// TestTransferAskedOfANodeThatIsCutOff: the leader tells whoever asked that it is done,
// and the new leader's word never comes.
func TestTransferAskedOfANodeThatIsCutOff(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = 2 * time.Second // the leader stays until it hands over
	c := formed(t, 3, settings)
	leader, asked := c.leader(), c.follower()
	target := c.members[slices.IndexFunc(c.members, func(m *member) bool { return m != leader && m != asked })]
	c.hub.Hold(target.id, asked.id)
	c.hub.Hold(asked.id, target.id)
	ctx := within(t, 20*time.Second)
	if err := asked.raft.TransferLeadership(ctx, target.id); err != nil || ctx.Err() != nil {
		t.Errorf("%v; time left: %v", err, ctx.Err() == nil)
	}
	if s := asked.raft.Status(); s.Leader == target.id {
		t.Error("it is not cut off")
	}
}

// TestTransferErrors: each says what is wrong, and changes nothing.
func TestTransferErrors(t *testing.T) {
	c := formed(t, 3, slowElections())
	leader := c.leader()
	follower := c.follower()
	for name, test := range map[string]struct {
		to     troupe.NodeID
		reason troupe.TransferReason
	}{
		"to itself":  {leader.id, troupe.TransferToItself},
		"to nobody":  {9, troupe.TransferUnknownMember},
		"far beyond": {1 << 63, troupe.TransferUnknownMember},
	} {
		for _, m := range []*member{leader, follower} {
			err := m.raft.TransferLeadership(within(t, 20*time.Second), test.to)
			failed := asError[*troupe.TransferError](t, err)
			if failed.Reason != test.reason || failed.To != test.to || failed.Leader != leader.id || troupe.MayHaveHappened(err) {
				t.Errorf("%s, asked of node %d: %+v", name, m.id, failed)
			}
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"transfer": leader.raft.TransferLeadership(over, 0),
		"elect":    leader.raft.Elect(over),
		"pause":    leader.raft.PauseElections(over, true),
	} {
		if !errors.Is(err, context.Canceled) || troupe.MayHaveHappened(err) {
			t.Errorf("%s with a context that is over: %v", name, err)
		}
	}
	// A context that ends while the target does not answer.
	c.hub.Hold(leader.id, follower.id)
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := leader.raft.TransferLeadership(brief, follower.id)
	if failed := asError[*troupe.TransferError](t, err); failed.Reason != troupe.TransferTimedOut || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a context that ends: %v", err)
	}
	c.hub.Release(leader.id, follower.id)
	if s := leader.raft.Status(); s.Priority != troupe.PriorityNormal || s.ElectionsPaused {
		t.Errorf("priority %d, paused %v", s.Priority, s.ElectionsPaused)
	}
	alone := newCluster(t, 1, config())
	err = alone.members[0].raft.TransferLeadership(within(t, 20*time.Second), 0)
	if e := asError[*troupe.NotLeaderError](t, err); e.Leader != 0 {
		t.Errorf("without a cluster: %v", err)
	}
	if e := asError[*troupe.ElectError](t, alone.members[0].raft.Elect(within(t, 20*time.Second))); e.Reason != troupe.ElectNotVoter {
		t.Errorf("without a cluster: %v", e)
	}
}

// endedContext shows its end only to those who wait for it.
type endedContext struct {
	context.Context
	asked atomic.Bool
}

func (c *endedContext) Done() <-chan struct{} {
	ended := make(chan struct{})
	close(ended)
	return ended
}

func (c *endedContext) Err() error {
	if !c.asked.Swap(true) {
		return nil
	}
	return context.Canceled
}

// TestLeadershipRequestsMayHaveHappened: a caller that waits no more is told whether what
// it asked for goes on.
func TestLeadershipRequestsMayHaveHappened(t *testing.T) {
	c := formed(t, 3, config())
	leader, follower := c.leader(), c.follower()
	// The answer is there before its caller looks for it once in a very long while.
	for err := error(nil); err == nil; {
		if err = follower.raft.PauseElections(&endedContext{Context: t.Context()}, true); err != nil && (!troupe.MayHaveHappened(err) || !errors.Is(err, context.Canceled)) {
			t.Errorf("a pause: %v", err)
		}
	}
	if err := follower.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.ElectionsPaused }); err != nil {
		t.Errorf("the pause did not come: %v", err)
	}
	if err := follower.raft.PauseElections(within(t, 20*time.Second), false); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.members {
		if m != follower {
			m.raft.Kill()
		}
	}
	if err := follower.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Leader == 0 && s.Role != troupe.RoleFollower }); err != nil {
		t.Fatal(err)
	}
	// Nobody votes for it, and it goes on.
	err := follower.raft.Elect(&endedContext{Context: t.Context()})
	if e := asError[*troupe.ElectError](t, err); e.Reason != troupe.ElectTimedOut || !errors.Is(err, context.Canceled) || troupe.MayHaveHappened(err) != e.UnderWay {
		t.Errorf("a campaign after node %d: %v", leader.id, err)
	}
}

// TestElectByHand: refused under a leader that lives, and a node may be kept from it.
func TestElectByHand(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = 3 * time.Second // the leader stays until it is killed
	c := formed(t, 3, settings)
	leader, follower := c.leader(), c.follower()
	if err := leader.raft.Elect(within(t, 20*time.Second)); err != nil {
		t.Errorf("the leader: %v", err)
	}
	err := follower.raft.Elect(within(t, 20*time.Second))
	if e := asError[*troupe.ElectError](t, err); e.Reason != troupe.ElectUnderLeader || e.Leader != leader.id {
		t.Errorf("under a leader: %v", err)
	}
	if err := follower.raft.PauseElections(within(t, 20*time.Second), true); err != nil || !follower.raft.Status().ElectionsPaused {
		t.Errorf("a pause: %v", err)
	}
	if e := asError[*troupe.TransferError](t, leader.raft.TransferLeadership(within(t, 20*time.Second), follower.id)); e.Reason != troupe.TransferPaused {
		t.Errorf("to a node that is paused: %v", e)
	}
	third := c.members[slices.IndexFunc(c.members, func(m *member) bool { return m != leader && m != follower })]
	leader.raft.Kill()
	if err := third.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Leader == third.id }); err != nil {
		t.Errorf("only node %d may lead: %v", third.id, err)
	}
}

// TestShutdownHandsOver: the others have a leader long before they would have missed
// the one that stops. One that is killed, or alone, hands over to nobody.
func TestShutdownHandsOver(t *testing.T) {
	c := formed(t, 3, slowElections())
	for left := 3; left > 1; left-- {
		leader := c.leader()
		if err := leader.raft.Shutdown(within(t, 20*time.Second)); err != nil {
			t.Fatal(err)
		}
		next := c.leader()
		if next == leader {
			t.Fatal("who has stopped leads")
		}
		if left == 3 {
			next.propose(t, "after it")
		}
	}
	// The last one has no quorum: nobody to hand over to.
	if err := c.leader().raft.Shutdown(within(t, 20*time.Second)); err != nil {
		t.Error(err)
	}

	c = formed(t, 3, slowElections())
	leader := c.leader()
	leader.raft.Kill()
	for _, m := range c.running() {
		if s := m.raft.Status(); s.Leader != 0 && s.Leader != leader.id {
			t.Errorf("node %d knows node %d as the leader after a kill", m.id, s.Leader)
		}
	}
}

// TestShutdownInSpiteOfAHandOver: nobody takes over, and the stop is in time all the same.
func TestShutdownInSpiteOfAHandOver(t *testing.T) {
	for name, stop := range map[string]func(m *member, ctx context.Context) error{
		"of the group": func(m *member, ctx context.Context) error { return m.raft.Shutdown(ctx) },
		"of the node":  func(m *member, ctx context.Context) error { return m.raft.Node().Shutdown(ctx) },
	} {
		c := formed(t, 3, slowElections())
		leader := c.leader()
		if err := leader.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool {
			return !slices.ContainsFunc(s.Peers, func(p troupe.PeerStatus) bool { return p.LastContact < 0 })
		}); err != nil {
			t.Fatal(err)
		}
		for _, m := range c.members {
			if m != leader {
				c.hub.Hold(leader.id, m.id)
			}
		}
		if err := stop(leader, saying(t, 2*time.Second)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		select {
		case <-leader.raft.Done():
		default:
			t.Errorf("%s: it has not stopped", name)
		}
	}
}

// TestShutdownTriesTheNext: the best does not answer, and the next one leads.
func TestShutdownTriesTheNext(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = 3 * time.Second // whoever is told to lead stays
	c := newCluster(t, 3, settings)
	list := c.list()
	list[1].Priority = 200
	if err := c.members[0].raft.Bootstrap(within(t, 20*time.Second), list...); err != nil {
		t.Fatal(err)
	}
	leader, best := c.members[0].raft, c.members[1].raft
	// The best leads as soon as it may, and gives it back by hand.
	if err := leader.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Leader == 2 }); err != nil {
		t.Fatal(err)
	}
	if err := best.TransferLeadership(within(t, 20*time.Second), 1); err != nil {
		t.Fatal(err)
	}
	if s := leader.Status(); s.Leader != 1 || best.Status().Priority != 200 {
		t.Fatalf("node %d leads", s.Leader)
	}
	// The pause is not known to the leader yet, or not if it is: either way it is
	// no target.
	if err := best.PauseElections(within(t, 20*time.Second), true); err != nil {
		t.Fatal(err)
	}
	if err := leader.Shutdown(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if next := c.leader(); next.id != 3 {
		t.Errorf("node %d leads", next.id)
	}
}

// TestPriorityOutOfRange names the member and the field.
func TestPriorityOutOfRange(t *testing.T) {
	c := newCluster(t, 2, config())
	list := c.list()
	list[1].Priority = troupe.PriorityMax + 1
	err := c.members[0].raft.Bootstrap(within(t, 20*time.Second), list...)
	e := asError[*troupe.BootstrapError](t, err)
	if e.Node != 2 || e.Reason != "has the Priority 1001: it is 0 for the normal one, or 1 to 1000" || c.members[0].raft.Status().Last != 0 {
		t.Errorf("%+v", e)
	}
}

// TestDrain: a node hands over all that it leads at the same time, and gets none back.
// 200 groups take at most 2 s; on a machine that is busy with other things the test allows
// ten times as much.
func TestDrain(t *testing.T) {
	const limit = 20 * time.Second
	groups := 200
	if testing.Short() {
		groups = 40
	}
	hub := inproc.NewHub()
	var nodes []*troupe.Node
	var rafts [3][]*troupe.Raft
	var list []troupe.Member
	for i := range 3 {
		id := troupe.NodeID(i + 1)
		list = append(list, troupe.At(id, address(id)))
		node, err := troupe.NewNode(troupe.NodeConfig{ID: id, Network: hub.Network(address(id)), Log: memory.New(id), Snapshots: memory.NewSnapshots()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(node.Kill)
		nodes = append(nodes, node)
		for g := range groups {
			raft, err := node.Start(t.Context(), troupe.Config{Group: troupe.GroupID(g + 1), StateMachine: &ledger{}, ElectionTimeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			rafts[i] = append(rafts[i], raft)
		}
	}
	for _, raft := range rafts[0] {
		if err := raft.Bootstrap(within(t, 60*time.Second), list...); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	if err := nodes[0].Drain(within(t, limit)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d groups were handed over in %v", groups, time.Since(begun).Round(time.Millisecond))
	for g, raft := range rafts[0] {
		if s := raft.Status(); s.Leader == 0 || s.Leader == 1 || !s.ElectionsPaused {
			t.Errorf("group %d: node %d leads, paused %v", g+1, s.Leader, s.ElectionsPaused)
		}
	}
	// Nobody is left for the last one, and the error says so.
	if err := nodes[1].Drain(within(t, 60*time.Second)); err != nil {
		t.Fatal(err)
	}
	err := nodes[2].Drain(within(t, 60*time.Second))
	if e := asError[*troupe.TransferError](t, err); e.Reason != troupe.TransferNoTarget {
		t.Errorf("%v", err)
	}
}
