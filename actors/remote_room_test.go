package actors

import (
	"errors"
	"testing"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// crowded is a cluster whose leader has room for one proposal, which its machine holds.
type crowded struct {
	t                *testing.T
	hosts            []*host
	leader, follower *host
	release          chan struct{}
	done             chan *Proposal
}

func newCrowded(t *testing.T) *crowded {
	c := &crowded{t: t, release: make(chan struct{}), done: make(chan *Proposal, 16)}
	c.hosts = newCluster(t, 3, func(g *GroupConfig) {
		calm(g)
		g.InflightProposalsMax = 1
	})
	c.leader = leaderOf(t, c.hosts)
	c.follower = others(c.hosts, c.leader)[0]
	until(t, c.follower.group, "the follower to know the leader", func(s Status) bool { return s.Leader == c.leader.id })
	working := make(chan struct{}, 16)
	c.leader.machine.onApply = func([]byte) error { working <- struct{}{}; <-c.release; return nil }
	c.propose(c.leader, "first", false)
	await(t, working, "the leader to apply")
	return c
}

func (c *crowded) propose(h *host, command string, waits bool) {
	h.group.Propose(&Proposal{Data: []byte(command), WaitForRoom: waits, Completed: func(p *Proposal) { c.done <- p }})
}

// waiting waits until so many proposals wait for room at the leader.
func (c *crowded) waiting(n int) {
	c.t.Helper()
	eventually(c.t, "proposals to wait for room", func() bool { return c.leader.group.Status().WaitingProposals == n })
}

// ended returns the next that ends.
func (c *crowded) ended() *Proposal {
	c.t.Helper()
	p, ended := (*Proposal)(nil), make(chan struct{})
	go func() { p = <-c.done; close(ended) }()
	await(c.t, ended, "a proposal's result")
	return p
}

// TestForwardedWaitForRoomByTurns: at a leader without room a proposal of another node
// waits in one line with the leader's own. Who does not want to wait is refused.
func TestForwardedWaitForRoomByTurns(t *testing.T) {
	c := newCrowded(t)
	c.propose(c.follower, "not waiting", false)
	if p := c.ended(); !errors.Is(p.Err, core.ErrOverloaded) {
		t.Fatalf("%q: %v", p.Data, p.Err)
	}
	c.propose(c.leader, "second", true)
	c.waiting(1)
	c.propose(c.follower, "third", true)
	c.waiting(2)
	c.propose(c.leader, "fourth", true)
	c.waiting(3)
	close(c.release)
	order := map[string]core.Index{}
	for range 4 {
		p := c.ended()
		if p.Err != nil {
			t.Fatalf("%q: %v", p.Data, p.Err)
		}
		order[string(p.Data)] = p.LogID.Index
	}
	if order["first"] > order["second"] || order["second"] > order["third"] || order["third"] > order["fourth"] {
		t.Errorf("appended at %v", order)
	}
}

// TestForwardedThatWaitsMovesOn: what waits for room at a leader that leaves office was
// not appended, and goes on to the next.
func TestForwardedThatWaitsMovesOn(t *testing.T) {
	c := newCrowded(t)
	c.propose(c.follower, "second", true)
	c.waiting(1)
	third := others(c.hosts, c.leader)[1]
	if _, err := transfer(t, c.leader.group, third.id); err != nil {
		t.Fatal(err)
	}
	if p := c.ended(); string(p.Data) != "second" || p.Err != nil {
		t.Errorf("%q: %v", p.Data, p.Err)
	}
	close(c.release)
	if p := c.ended(); string(p.Data) != "first" || p.Err != nil {
		t.Errorf("%q: %v", p.Data, p.Err)
	}
}

// TestForwardedThatWaitsIsTold: what waits for room in a group that is stopped was not
// appended, and its node is told so.
func TestForwardedThatWaitsIsTold(t *testing.T) {
	c, net := followerCore(5)
	c.inbox.Wake = func() {}
	c.cfg.InflightProposalsMax = 1 // and so one that waits, of whatever size
	c.admission = admission.New[*Proposal](admission.Limits{EntriesMax: 1}, nil, nil)
	c.onChanged(&core.Changed{Role: core.RoleLeader, Term: 5, Leader: 1, LeaderIdentity: c.self})
	m := &core.ProposeRequest{Header: core.Header{Group: 1, Cluster: core.ClusterID{7}, From: membership.Identity{ID: 3, Incarnation: 1}, To: c.self, Term: 5}}
	m.Proposals = []core.ForwardedProposal{{ID: 8, Data: []byte("x")}, {ID: 9, Data: []byte("y")}, {ID: 10, Data: []byte("z"), Refuse: true}, {ID: 11, Data: []byte("one too many")}}
	c.handle(m)
	for _, p := range c.admission.Close() {
		c.put(&roomless{p})
	}
	c.finish()
	codes := map[uint64]core.ResultCode{}
	for _, sent := range net.sent {
		if r, ok := sent.(*core.ProposeResponse); ok {
			for _, result := range r.Results {
				codes[result.ID] = result.Code
			}
		}
	}
	if len(codes) != 4 || codes[8] != core.ResultStopped || codes[9] != core.ResultStopped || codes[10] != core.ResultOverloaded || codes[11] != core.ResultOverloaded {
		t.Errorf("answered with the codes %v", codes)
	}
	if entries, bytes := c.admission.Inflight(); entries != 0 || bytes != 0 || !c.proposals.queued.empty() || c.proposals.queuedBytes != 0 {
		t.Errorf("%d entries and %d bytes of room are not returned, %d proposals of %d bytes wait", entries, bytes, c.proposals.queued.length, c.proposals.queuedBytes)
	}
}
