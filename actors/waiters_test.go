package actors

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// sentNetwork notes what is sent.
type sentNetwork struct {
	network.Network
	mu   sync.Mutex
	sent []core.Message
}

func (n *sentNetwork) Send(m core.Message) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = append(n.sent, m)
	return true
}

// Introduce implements coreNetwork.
func (n *sentNetwork) Introduce(membership.NodeID, string) {}

// narrowNetwork takes only messages with small results.
type narrowNetwork struct{ sentNetwork }

func (n *narrowNetwork) Send(m core.Message) bool {
	if r, ok := m.(*core.ProposeResponse); ok && len(r.Results[0].Value) > 100 {
		return false
	}
	return n.sentNetwork.Send(m)
}

// followerCore is the core of node 1, which follows node 2 in a term, without an
// engine.
func followerCore(term core.Term) (*coreActor, *narrowNetwork) {
	net := &narrowNetwork{}
	id := func(n membership.NodeID) membership.Identity { return membership.Identity{ID: n, Incarnation: 1} }
	cfg, published := groupConfig(1, nil), &seen{group: 1, self: id(1)}
	published.setCluster(core.ClusterID{7})
	c := &coreActor{coreNeeds: coreNeeds{
		home: home{Home: stage.Home{Env: stage.Production()}}, cfg: &cfg, self: id(1), network: net, takes: takesAll, admission: admission.New[*Proposal](admission.Limits{}, nil, nil), seen: published,
		underWay: newReadRoom(100, nil), readable: &readable{}, closed: func() {}, stopCause: func() error { return core.ErrStopped },
		answers: &resultSender{header: published.header, bytesMax: cfg.MessageBytesMax, takes: takesAll, send: net.Send},
	}}
	c.Shell = c.Home.Shell("core", nil, nil)
	c.streams = newStreams(replicationNeeds{}, nil)
	c.jobs = snapshots.NewJobs(&snapshots.Group{})
	c.proposals.init(c)
	for n := membership.NodeID(1); n <= 3; n++ {
		c.config.Configuration.Members = append(c.config.Configuration.Members, membership.Member{Identity: id(n)})
		c.config.Configuration.Voters = append(c.config.Configuration.Voters, id(n))
	}
	c.onChanged(&core.Changed{Role: core.RoleFollower, Term: term, Leader: 2, LeaderIdentity: id(2)})
	return c, net
}

// TestForwardedToALeadershipThatIsOver: a group that is stopped answers nothing any
// more, over connections that stand. When its node leads again, with the group
// started anew, whoever handed it a proposal before is told, too.
func TestForwardedToALeadershipThatIsOver(t *testing.T) {
	c, net := followerCore(5)
	answered := 0
	p := &Proposal{Data: []byte("x"), Completed: func(*Proposal) { answered++ }}
	p.reset(nil)
	c.proposals.accept(p)
	c.proposals.pump()
	if p.stage.Load() != stageForwarded || len(net.sent) != 1 {
		t.Fatalf("stage %d, %d messages", p.stage.Load(), len(net.sent))
	}
	if c.proposals.needsRetry() {
		t.Error("the leader leads on, and is given up")
	}
	c.onChanged(&core.Changed{Role: core.RoleFollower, Term: 7, Leader: 2, LeaderIdentity: c.changed.LeaderIdentity})
	if !c.proposals.needsRetry() {
		t.Fatal("the proposal waits for ever")
	}
	c.now = c.now.Add(c.cfg.ElectionTimeout - 1)
	c.proposals.onRetry()
	if answered != 0 {
		t.Error("the answer may still be on its way")
	}
	c.now = c.now.Add(1)
	c.proposals.onRetry()
	if answered != 1 || !core.MayHaveHappened(p.Err) || !errors.Is(p.Err, errLeaderChanged) {
		t.Errorf("answered %d times, %v", answered, p.Err)
	}
}

// TestResultThatCannotBeSent: a result that the network never takes is replaced
// by word that there is one.
func TestResultThatCannotBeSent(t *testing.T) {
	c, net := followerCore(5)
	c.proposals.unsent.keep(&core.ProposeResponse{Results: []core.ForwardedResult{
		{ID: 1, Code: core.ResultApplied, Value: make([]byte, 200)}, {ID: 2, Code: core.ResultLost},
	}}, c.now)
	for range 3 {
		c.proposals.onRetry()
		c.now = c.now.Add(unsentPatience * c.cfg.ElectionTimeout)
	}
	if len(net.sent) != 1 || c.proposals.needsRetry() {
		t.Fatalf("%d messages were sent", len(net.sent))
	}
	got := net.sent[0].(*core.ProposeResponse).Results
	if len(got) != 2 || got[0].ID != 1 || got[0].Code != core.ResultUnknown || got[0].Value != nil || got[1].Code != core.ResultLost {
		t.Errorf("sent %+v", got)
	}
}

// slowLoad is a store whose Load waits.
type slowLoad struct {
	*memory.Store
	loading, release chan struct{}
}

func (s *slowLoad) Load(ctx context.Context, group membership.GroupID) (storage.State, error) {
	close(s.loading)
	<-s.release
	return s.Store.Load(ctx, group)
}

// TestStopDuringStart: after Stop the store may be closed, so Stop waits for who
// is starting a group.
func TestStopDuringStart(t *testing.T) {
	store := &slowLoad{memory.New(1), make(chan struct{}), make(chan struct{})}
	n, err := NewNode(NodeConfig{ID: 1, Store: store, Snapshots: memory.NewSnapshots(), Network: inproc.NewHub().Network(address(1))})
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() {
		_, err := n.Start(context.Background(), groupConfig(1, &listMachine{}))
		started <- err
	}()
	await(t, store.loading, "the start to read the store")
	stopped := make(chan struct{})
	n.Stop(func() { close(stopped) })
	select {
	case <-stopped:
		t.Error("stopped while the store is read")
	case <-time.After(50 * time.Millisecond):
	}
	close(store.release)
	await(t, stopped, "the node to stop")
	if err := <-started; !errors.Is(err, core.ErrStopped) {
		t.Errorf("Start: %v", err)
	}
}

// TestStopAnswersWhatWasForwarded: proposals of other nodes that lie in the inbox
// of a group that stops were certainly not appended, and who forwarded them is
// told so at once.
func TestStopAnswersWhatWasForwarded(t *testing.T) {
	for name, closed := range map[string]bool{"room is still given": false, "no room is given any more": true} {
		t.Run(name, func(t *testing.T) {
			c, net := followerCore(5)
			c.inbox.Wake = func() {}
			c.onChanged(&core.Changed{Role: core.RoleLeader, Term: 5, Leader: 1, LeaderIdentity: c.self})
			if closed {
				c.admission.Close()
			}
			m := &core.ProposeRequest{Header: core.Header{Group: 1, Cluster: core.ClusterID{7}, From: membership.Identity{ID: 3, Incarnation: 1}, To: c.self, Term: 5}}
			m.Proposals = []core.ForwardedProposal{{ID: 8, Data: []byte("x")}, {ID: 9, Data: []byte("y")}}
			c.put(m)
			c.finish()
			var codes []core.ResultCode
			for _, sent := range net.sent {
				if r, ok := sent.(*core.ProposeResponse); ok {
					for _, result := range r.Results {
						codes = append(codes, result.Code)
					}
				}
			}
			if len(codes) != 2 || codes[0] != core.ResultStopped || codes[1] != core.ResultStopped {
				t.Errorf("answered with the codes %v, want twice %d", codes, core.ResultStopped)
			}
			if entries, bytes := c.admission.Inflight(); entries != 0 || bytes != 0 {
				t.Errorf("%d entries and %d bytes of room are not returned", entries, bytes)
			}
		})
	}
}
