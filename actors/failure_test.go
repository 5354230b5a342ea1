package actors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/settingstest"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// flood keeps n clients busy until each of them has failed, and counts answers.
type flood struct {
	wg       sync.WaitGroup
	asked    atomic.Int64
	answered atomic.Int64
	mu       sync.Mutex
	errs     []error
}

func startFlood(g *Group, clients int) *flood {
	f := &flood{}
	for c := range clients {
		f.wg.Go(func() {
			done := make(chan struct{}, 2)
			p := &Proposal{WaitForRoom: true, Completed: func(*Proposal) { f.answered.Add(1); done <- struct{}{} }}
			for i := 0; ; i++ {
				p.Data = fmt.Appendf(nil, "%d/%d", c, i)
				f.asked.Add(1)
				g.Propose(p)
				<-done
				if p.Err != nil {
					f.mu.Lock()
					f.errs = append(f.errs, p.Err)
					f.mu.Unlock()
					return
				}
			}
		})
	}
	return f
}

// settle waits until every client has its error, and checks that each proposal
// was answered once.
func (f *flood) settle(t *testing.T) []error {
	t.Helper()
	done := make(chan struct{})
	go func() { f.wg.Wait(); close(done) }()
	await(t, done, "every waiter to be answered")
	if a, b := f.asked.Load(), f.answered.Load(); a != b {
		t.Errorf("%d proposals, %d answers", a, b)
	}
	return f.errs
}

func allRoomReturned(t *testing.T, g *Group) {
	t.Helper()
	if n, b := g.Inflight(); n != 0 || b != 0 {
		t.Errorf("room for %d proposals, %d bytes is not returned", n, b)
	}
	if n, _ := g.reads.Inflight(); n != 0 {
		t.Errorf("%d reads are not answered", n)
	}
}

func TestStateMachineFailureStopsTheGroup(t *testing.T) {
	cause := errors.New("boom")
	for name, fault := range map[string]func([]byte) error{
		"panic": func(c []byte) error {
			if string(c) == "now" {
				panic(cause)
			}
			return nil
		},
		"error": func(c []byte) error {
			if string(c) == "now" {
				return cause
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			hosts := newCluster(t, 1, nil)
			g := hosts[0].group
			hosts[0].machine.onApply = fault
			f := startFlood(g, 16)
			until(t, g, "some work", func(s Status) bool { return s.Applied > 100 })
			p := call(t, g, &Proposal{Data: []byte("now"), WaitForRoom: true})
			if !errors.Is(p.Err, cause) || !core.MayHaveHappened(p.Err) {
				t.Errorf("the proposal that did it: %v", p.Err)
			}
			for _, err := range f.settle(t) {
				var fatal *core.FatalError
				if !errors.As(err, &fatal) || !errors.Is(err, cause) {
					t.Errorf("a waiter was told %v", err)
				}
			}
			await(t, g.Done(), "the group to stop")
			var fatal *core.FatalError
			if err := g.Err(); !errors.As(err, &fatal) || !errors.Is(err, cause) {
				t.Errorf("Err is %v", err)
			}
			if s := g.Status(); !s.Stopped || s.Err == nil {
				t.Errorf("the status says %+v", s)
			}
			if p := call(t, g, &Proposal{Data: []byte("later")}); !errors.Is(p.Err, cause) || core.MayHaveHappened(p.Err) {
				t.Errorf("a later proposal: %v", p.Err)
			}
			if r := read(t, g); !errors.Is(r.Err, cause) {
				t.Errorf("a later read: %v", r.Err)
			}
			allRoomReturned(t, g)
		})
	}
}

// failingStore fails its writes when told.
type failingStore struct {
	*memory.Store
	fail   atomic.Bool
	writes atomic.Int64
}

var errDisk = errors.New("input/output error")

func (s *failingStore) Write(ctx context.Context, b *storage.Batch) error {
	s.writes.Add(1)
	if s.fail.Load() {
		return errDisk
	}
	return s.Store.Write(ctx, b)
}

func TestStoreFailureStopsAllItsGroups(t *testing.T) {
	h := newHost(t, inproc.NewHub(), 1, nil)
	store := &failingStore{Store: h.store}
	h.logs = store
	h.start()
	second := h.startGroup(2, &listMachine{})
	groups := []*Group{h.group, second}
	for _, g := range groups {
		if err := bootstrap(t, g, patience, members(1)...); err != nil {
			t.Fatal(err)
		}
	}
	var floods []*flood
	for _, g := range groups {
		until(t, g, "a leader", func(s Status) bool { return s.Ready })
		floods = append(floods, startFlood(g, 8))
		until(t, g, "some work", func(s Status) bool { return s.Applied > 50 })
	}
	store.fail.Store(true)
	for i, g := range groups {
		for _, err := range floods[i].settle(t) {
			if !errors.Is(err, errDisk) {
				t.Errorf("group %d: a waiter was told %v", i+1, err)
			}
		}
		await(t, g.Done(), "the group to stop")
		if !errors.Is(g.Err(), errDisk) {
			t.Errorf("group %d: Err is %v", i+1, g.Err())
		}
		allRoomReturned(t, g)
	}
	if _, err := h.node.Start(t.Context(), groupConfig(3, &listMachine{})); !errors.Is(err, errDisk) {
		t.Errorf("another group on the failed store: %v", err)
	}
}

func TestGroupsShareStoreAndLogActor(t *testing.T) {
	h := newHost(t, inproc.NewHub(), 1, nil)
	store := &failingStore{Store: h.store}
	h.logs = store
	h.start()
	second := h.startGroup(2, &listMachine{})
	if _, err := h.node.Start(t.Context(), groupConfig(2, &listMachine{})); err == nil {
		t.Error("a group runs twice")
	}
	for _, g := range []*Group{h.group, second} {
		if g.node.log != h.node.log {
			t.Fatal("a group has a log actor of its own")
		}
		if err := bootstrap(t, g, patience, members(1)...); err != nil {
			t.Fatal(err)
		}
		until(t, g, "a leader", func(s Status) bool { return s.Ready })
	}
	for i, g := range []*Group{h.group, second} {
		if p := call(t, g, &Proposal{Data: fmt.Appendf(nil, "to %d", i+1)}); p.Err != nil {
			t.Fatal(p.Err)
		}
	}
	if got := h.machine.list(); len(got) != 1 || string(got[0]) != "to 1" {
		t.Errorf("group 1 has %q", got)
	}
	// One stops, the other goes on, and the first can be started again.
	done := make(chan struct{})
	second.Stop(func(err error) {
		if err != nil {
			t.Error(err)
		}
		close(done)
	})
	await(t, done, "group 2 to stop")
	if p := call(t, h.group, &Proposal{Data: []byte("more")}); p.Err != nil {
		t.Error(p.Err)
	}
	again := &listMachine{}
	second = h.startGroup(2, again)
	until(t, second, "a leader again", func(s Status) bool { return s.Ready })
	if p := call(t, second, &Proposal{Data: []byte("again")}); p.Err != nil {
		t.Error(p.Err)
	}
	if got := again.list(); len(got) != 2 || string(got[0]) != "to 2" || string(got[1]) != "again" {
		t.Errorf("group 2 has %q after its restart", got)
	}
}

func TestOrderlyStopAnswersEveryWaiter(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) { c.InflightProposalsMax = 8 })
	leader := leaderOf(t, hosts)
	follower := others(hosts, leader)[0]
	var floods []*flood
	for _, h := range []*host{leader, follower} {
		floods = append(floods, startFlood(h.group, 32))
	}
	until(t, leader.group, "some work", func(s Status) bool { return s.Applied > 200 })
	stopped := make(chan struct{}, 4)
	for range 2 {
		leader.group.Stop(func(err error) {
			if err != nil {
				t.Errorf("an orderly stop says %v", err)
			}
			stopped <- struct{}{}
		})
	}
	await(t, stopped, "the leader's group to stop")
	await(t, stopped, "the second Stop to end too")
	for _, err := range floods[0].settle(t) {
		if !errors.Is(err, core.ErrStopped) {
			t.Errorf("a waiter was told %v", err)
		}
	}
	if err := leader.group.Err(); err != nil {
		t.Errorf("Err after an orderly stop: %v", err)
	}
	allRoomReturned(t, leader.group)
	follower.group.Stop(func(error) { stopped <- struct{}{} })
	await(t, stopped, "the follower's group to stop")
	for _, err := range floods[1].settle(t) {
		if !errors.Is(err, core.ErrStopped) && !core.MayHaveHappened(err) {
			t.Errorf("a waiter on the follower was told %v", err)
		}
	}
	allRoomReturned(t, follower.group)
}

func TestCancel(t *testing.T) {
	hub := inproc.NewHub()
	h := newHost(t, hub, 1, func(c *GroupConfig) { c.InflightProposalsMax = 2 })
	h.start()
	g := h.group
	begin := func(data string, wait bool) (*Proposal, chan struct{}) {
		done := make(chan struct{})
		p := &Proposal{Data: []byte(data), WaitForRoom: wait, Completed: func(*Proposal) { close(done) }}
		g.Propose(p)
		return p, done
	}
	// Nobody leads: two wait in the core, one for room.
	a, aDone := begin("a", false)
	b, bDone := begin("b", false)
	c, cDone := begin("c", true)
	if over, done := begin("over", false); true {
		await(t, done, "the one without room")
		if !errors.Is(over.Err, core.ErrOverloaded) {
			t.Errorf("without room: %v", over.Err)
		}
	}
	g.Cancel(c)
	await(t, cDone, "the one that waits for room")
	g.Cancel(a)
	await(t, aDone, "the one that waits for a leader")
	for _, p := range []*Proposal{a, c} {
		if !errors.Is(p.Err, context.Canceled) || core.MayHaveHappened(p.Err) {
			t.Errorf("cancelled before it was appended: %v", p.Err)
		}
	}
	blocked, release := make(chan struct{}, 16), make(chan struct{})
	h.machine.onApply = func([]byte) error { blocked <- struct{}{}; <-release; return nil }
	if err := bootstrap(t, g, patience, members(1)...); err != nil {
		t.Fatal(err)
	}
	await(t, blocked, "the machine to work on b")
	g.Cancel(b)
	await(t, bDone, "the one that is appended, while the machine hangs")
	if !errors.Is(b.Err, context.Canceled) || !core.MayHaveHappened(b.Err) {
		t.Errorf("cancelled after it was appended: %v", b.Err)
	}
	g.Cancel(b) // once more does nothing
	close(release)
	until(t, g, "b to be applied all the same", func(s Status) bool { return s.Applied == s.Last && s.Applied > 1 })
	if p := call(t, g, &Proposal{Data: []byte("d")}); p.Err != nil {
		t.Error(p.Err)
	}
	if got := h.machine.list(); len(got) != 2 || string(got[0]) != "b" {
		t.Errorf("applied %q", got)
	}
	allRoomReturned(t, g)
}

func TestRefusals(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) { c.CommandBytesMax = 100 })
	leader := leaderOf(t, hosts)
	follower := others(hosts, leader)[0]
	term := leader.group.Status().Term
	until(t, follower.group, "the follower to know the leader", func(s Status) bool { return s.Leader == leader.id })
	var notLeader *core.NotLeaderError
	var tooLarge *core.TooLargeError
	for _, test := range []struct {
		name string
		at   *host
		p    *Proposal
		ok   func(error) bool
	}{
		{"too large", leader, &Proposal{Data: make([]byte, 101)}, func(err error) bool { return errors.As(err, &tooLarge) }},
		{"not forwarded", follower, &Proposal{NoForward: true}, func(err error) bool { return errors.As(err, &notLeader) && notLeader.Leader == leader.id }},
		{"another term", leader, &Proposal{ExpectedTerm: term + 1}, func(err error) bool { return errors.Is(err, core.ErrTermChanged) }},
		{"another term, forwarded", follower, &Proposal{ExpectedTerm: term + 1}, func(err error) bool { return errors.Is(err, core.ErrTermChanged) }},
		{"this term, forwarded", follower, &Proposal{ExpectedTerm: term}, func(err error) bool { return err == nil }},
	} {
		p := test.p
		if call(t, test.at.group, p); !test.ok(p.Err) || core.MayHaveHappened(p.Err) {
			t.Errorf("%s: %v", test.name, p.Err)
		}
	}
	alone := newHost(t, inproc.NewHub(), 1, nil)
	alone.start()
	if p := call(t, alone.group, &Proposal{FailWithoutLeader: true}); !errors.Is(p.Err, core.ErrNoCluster) {
		t.Errorf("fail fast without a cluster: %v", p.Err)
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	store := memory.New(7)
	base := NodeConfig{ID: 7, Store: store, Snapshots: memory.NewSnapshots(), Network: inproc.NewHub().Network("")}
	for want, change := range map[string]func(*NodeConfig){
		"ID is 0":           func(c *NodeConfig) { c.ID = 0 },
		"Store":             func(c *NodeConfig) { c.Store = nil },
		"Snapshots":         func(c *NodeConfig) { c.Snapshots = nil },
		"Network":           func(c *NodeConfig) { c.Network = nil },
		"belongs to node 7": func(c *NodeConfig) { c.ID = 8 },
	} {
		cfg := base
		change(&cfg)
		if _, err := NewNode(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	settingstest.Negative(t, base, func(c NodeConfig) error { return c.Validate() })
	settingstest.Negative(t, groupConfig(2, &listMachine{}), func(c GroupConfig) error { return c.Validate() })
	h := newHost(t, inproc.NewHub(), 1, nil)
	h.start()
	for want, change := range map[string]func(*GroupConfig){
		"Group is 0":        func(c *GroupConfig) { c.Group = 0 },
		"StateMachine":      func(c *GroupConfig) { c.StateMachine = nil },
		"LogCacheBytesMax":  func(c *GroupConfig) { c.LogCacheBytesMax = 0 },
		"InflightBytesMax":  func(c *GroupConfig) { c.InflightBytesMax = 10 },
		"CommandBytesMax":   func(c *GroupConfig) { c.CommandBytesMax = 1 << 29; c.InflightBytesMax = 1 << 30 },
		"HeartbeatInterval": func(c *GroupConfig) { c.HeartbeatInterval = c.ElectionTimeout },
	} {
		cfg := groupConfig(2, &listMachine{})
		change(&cfg)
		if _, err := h.node.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
