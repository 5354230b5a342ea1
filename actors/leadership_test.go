package actors

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/metrics"
)

// transfer asks for one and waits for its end.
func transfer(t testing.TB, g *Group, to membership.NodeID) (Handover, error) {
	t.Helper()
	var h Handover
	var result error
	done := make(chan struct{})
	g.TransferLeadership(Transfer{To: to, ByHand: true}, func(got Handover, err error) { h, result = got, err; close(done) })
	await(t, done, "the transfer")
	return h, result
}

// TestTransferUnderLoad: while clients of all nodes write, the leadership goes round,
// asked for on any node. No write fails, none is lost, none is done twice.
func TestTransferUnderLoad(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	leaderOf(t, hosts)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var written atomic.Int64
	for c := range 12 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if p := call(t, hosts[c%3].group, &Proposal{Data: fmt.Appendf(nil, "%d/%d", c, i), WaitForRoom: true}); p.Err != nil {
					t.Errorf("client %d: %v", c, p.Err)
					return
				}
				written.Add(1)
			}
		})
	}
	for i := range 30 {
		to := membership.NodeID(i%3 + 1)
		if leads := hosts[to-1].group.Status(); leads.Role == core.RoleLeader {
			continue // who leads is no target
		}
		h, err := transfer(t, hosts[(i*7)%3].group, to)
		if err != nil || h.Leader != to || h.Term == 0 {
			t.Errorf("transfer %d to node %d: %+v, %v", i, to, h, err)
		}
	}
	close(stop)
	clients.Wait()
	converge(t, hosts)
	checkCommands(t, hosts[0], int(written.Load()), 0)
	for _, h := range hosts {
		allRoomReturned(t, h.group)
	}
}

// TestProposalInATransfer: while the leader hands over, a proposal waits; one that
// wants no waiting is told why.
func TestProposalInATransfer(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	leader := leaderOf(t, hosts)
	target := others(hosts, leader)[0]
	until(t, leader.group, "answers of all", func(s Status) bool {
		return len(s.Peers) == 2 && s.Peers[0].Answered != 0 && s.Peers[1].Answered != 0
	})
	// Nothing reaches the target: the transfer stays under way.
	target.hub.Hold(leader.id, target.id)
	ended := make(chan error, 1)
	cancel := leader.group.TransferLeadership(Transfer{To: target.id}, func(_ Handover, err error) { ended <- err })
	until(t, leader.group, "the transfer", func(s Status) bool { return s.TransferringTo == target.id })
	if p := call(t, leader.group, &Proposal{Data: []byte("in a hurry"), FailWithoutLeader: true}); !errors.Is(p.Err, core.ErrTransferring) {
		t.Errorf("a proposal that does not wait: %v", p.Err)
	}
	waits := make(chan error, 1)
	leader.group.Propose(&Proposal{Data: []byte("patient"), Completed: func(p *Proposal) { waits <- p.Err }})
	cause := errors.New("no time left")
	cancel(cause)
	var failed *core.TransferError
	if err := <-ended; !errors.As(err, &failed) || !errors.Is(err, cause) || failed.To != target.id {
		t.Errorf("a transfer that nobody waits for: %v", err)
	}
	target.hub.Release(leader.id, target.id)
	if err := <-waits; err != nil {
		t.Errorf("a proposal that waits: %v", err)
	}
}

// TestElectAndPause: an election by hand is refused under a leader, and elects where
// there is none; a node whose elections are paused is neither.
func TestElectAndPause(t *testing.T) {
	hosts := newCluster(t, 3, quickElections)
	leader := leaderOf(t, hosts)
	rest := others(hosts, leader)
	elect := func(h *host) (core.Term, error) {
		t.Helper()
		var term core.Term
		var result error
		done := make(chan struct{})
		h.group.Elect(func(got core.Term, err error) { term, result = got, err; close(done) })
		await(t, done, "the election")
		return term, result
	}
	pause := func(h *host, paused bool) {
		t.Helper()
		done := make(chan struct{})
		h.group.PauseElections(paused, func(err error) {
			if err != nil {
				t.Error(err)
			}
			close(done)
		})
		await(t, done, "the pause")
	}
	for _, h := range rest {
		until(t, h.group, "a leader, and its own vote", func(s Status) bool {
			return s.Leader != 0 && s.Configuration.Configuration.IsVoter(h.node.Identity()) && !s.Configuration.Configuration.Joint()
		})
	}
	var refused *core.ElectError
	if _, err := elect(rest[0]); !errors.As(err, &refused) || refused.Reason != core.ElectUnderLeader {
		t.Errorf("under a leader: %v", err)
	}
	pause(rest[1], true)
	if _, err := elect(rest[1]); !errors.As(err, &refused) {
		t.Errorf("paused: %v", err)
	}
	until(t, leader.group, "word of the pause", func(s Status) bool {
		for _, p := range s.Peers {
			if p.ID == rest[1].id && p.Unfit == core.UnfitPaused {
				return true
			}
		}
		return false
	})
	if _, err := transfer(t, leader.group, rest[1].id); err == nil || err.(*core.TransferError).Reason != core.TransferPaused {
		t.Errorf("to a paused node: %v", err)
	}
	pause(rest[0], true)
	leader.shutdown()
	// Nobody takes over, until somebody may.
	until(t, rest[0].group, "no leader", func(s Status) bool { return s.Leader == 0 })
	pause(rest[0], false)
	for {
		term, err := elect(rest[0])
		if err == nil {
			if s := rest[0].group.Status(); term == 0 || s.Role != core.RoleLeader {
				t.Errorf("elected in term %d, a %v", term, s.Role)
			}
			return
		}
		// The other's promise to the old leader may live on.
		if !errors.As(err, &refused) || refused.Reason != core.ElectTooFewVotes {
			t.Fatal(err)
		}
	}
}

// TestLeadershipRequestsEndWithTheGroup: whoever waits is told, and who comes too late
// as well.
func TestLeadershipRequestsEndWithTheGroup(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	leader := leaderOf(t, hosts)
	target := others(hosts, leader)[0]
	until(t, leader.group, "an answer of the target", func(s Status) bool {
		for _, p := range s.Peers {
			if p.ID == target.id && p.Answered != 0 {
				return true
			}
		}
		return false
	})
	target.hub.Hold(leader.id, target.id)
	ended := make(chan error, 1)
	leader.group.TransferLeadership(Transfer{To: target.id}, func(_ Handover, err error) { ended <- err })
	until(t, leader.group, "the transfer", func(s Status) bool { return s.TransferringTo != 0 })
	stopped := make(chan struct{})
	leader.group.Stop(func(error) { close(stopped) })
	await(t, stopped, "the group to stop")
	var failed *core.TransferError
	if err := <-ended; !errors.As(err, &failed) || failed.Reason != core.TransferStopped || !core.MayHaveHappened(err) {
		t.Errorf("a transfer under way: %v", err)
	}
	if _, err := transfer(t, leader.group, 0); !errors.Is(err, core.ErrStopped) {
		t.Errorf("a transfer after the end: %v", err)
	}
	late := make(chan error, 2)
	leader.group.Elect(func(_ core.Term, err error) { late <- err })
	leader.group.PauseElections(true, func(err error) { late <- err })
	for range 2 {
		if err := <-late; !errors.Is(err, core.ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
	}
}

// TestMeteredTransfers counts transfers, and the elections that they bring.
func TestMeteredTransfers(t *testing.T) {
	hosts, m := newMeteredCluster(t, 3, calm)
	leader := leaderOf(t, hosts)
	target := others(hosts, leader)[0]
	if _, err := transfer(t, leader.group, 99); err == nil {
		t.Fatal("to nobody")
	}
	if _, err := transfer(t, leader.group, target.id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the counts", func() bool {
		found := m.read()
		return sum(found["raft.transfers"], metrics.KeyNode, fmt.Sprint(leader.id), metrics.KeyOutcome, "done").sum == 1 &&
			sum(found["raft.transfers"], metrics.KeyOutcome, "failed").sum == 0 &&
			sum(found["raft.leader.departures"], metrics.KeyNode, fmt.Sprint(leader.id), metrics.KeyReason, "transferred").sum == 1 &&
			sum(found["raft.elections"], metrics.KeyNode, fmt.Sprint(target.id), metrics.KeyReason, "transfer", metrics.KeyOutcome, "won").sum == 1
	})
}

// TestPanicAnswersTheRestOfItsBurst: who came behind the item that breaks the core is
// answered like those who came before it, and so is whoever cancels afterwards.
func TestPanicAnswersTheRestOfItsBurst(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	g := leaderOf(t, hosts).group
	const asked = 5
	answers := make(chan error, 2*asked)
	g.core.inbox.Leave(struct{}{}) // nothing that it knows
	cancel := g.TransferLeadership(Transfer{}, func(_ Handover, err error) { answers <- err })
	g.Elect(func(_ core.Term, err error) { answers <- err })
	g.PauseElections(true, func(err error) { answers <- err })
	g.ReadIndex(&Read{Completed: func(r *Read) { answers <- r.Err }})
	g.Propose(&Proposal{Data: []byte("x"), Completed: func(p *Proposal) { answers <- p.Err }})
	await(t, g.Done(), "the end of the group")
	cancel(core.ErrStopped)
	if n := len(answers); n != asked {
		t.Fatalf("%d answers to %d requests", n, asked)
	}
	for range asked {
		if err := <-answers; err == nil {
			t.Error("a request of a group that failed has succeeded")
		}
	}
}
