package actors

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
)

// clockAt is an environment whose clock shows an instant, and calls reading first.
type clockAt struct {
	stage.Environment
	at      stage.Instant
	reading func()
	stops   bool
}

func (c *clockAt) ClockStops() bool { return c.stops }

func (c *clockAt) Now() stage.Instant {
	if c.reading != nil {
		c.reading()
	}
	return c.at
}

// TestCommitIsReadBehindTheLease: rule 12: what is committed while the lease is
// looked at is not missed: the commit index is read last.
func TestCommitIsReadBehindTheLease(t *testing.T) {
	clock := &clockAt{at: 100}
	r := &readable{env: clock}
	r.show(core.Readable{Lease: 200, Commit: 5})
	clock.reading = func() { r.show(core.Readable{Lease: 300, Commit: 9}) }
	if index, at, holds := r.byLease(); index != 9 || at != 100 || !holds {
		t.Errorf("read at %d, at %v: %v; 9 was committed before the lease was known to hold", index, at, holds)
	}
	// A lease that is given up while the clock is read, or before, answers nothing: the
	// instant may be a later one.
	clock.reading = func() { r.show(core.Readable{Commit: 9}) }
	if _, _, holds := r.byLease(); holds {
		t.Error("a lease that was given up before the instant that the clock showed")
	}
	if _, _, holds := r.byLease(); holds {
		t.Error("a lease that was given up")
	}
}

// TestLeaseRunsOut: not at its end, and not an instant later.
func TestLeaseRunsOut(t *testing.T) {
	clock := &clockAt{}
	r := &readable{env: clock}
	r.show(core.Readable{Lease: 200, Commit: 5})
	for at, want := range map[stage.Instant]bool{0: true, 199: true, 200: false, 201: false, 1 << 40: false} {
		clock.at = at
		if _, _, holds := r.byLease(); holds != want {
			t.Errorf("at %d: %v", at, holds)
		}
	}
}

// TestFreshState: the state is as old as the instant at which it was known to be
// current, and nothing brings that back.
func TestFreshState(t *testing.T) {
	clock := &clockAt{at: 1000}
	r := &readable{env: clock}
	fresh := func(most time.Duration) bool { _, fresh := r.fresh(most); return fresh }
	r.applied.Store(7)
	if fresh(time.Hour) || r.age() != -1 {
		t.Errorf("nothing is known, and the state is %v old", r.age())
	}
	r.isCurrent(900)
	r.isCurrent(600)
	if !fresh(100) || fresh(99) || r.age() != 100 {
		t.Errorf("current at 900: fresh %v, %v, %v old", fresh(100), fresh(99), r.age())
	}
	clock.stops = true
	if fresh(time.Hour) {
		t.Error("fresh by a clock that stands still while the machine is suspended")
	}
	clock.stops = false
	if index, _ := r.fresh(100); index != 7 {
		t.Errorf("what is applied is %d", index)
	}
	r.applied.Store(0)
	if fresh(time.Hour) || r.has(0) {
		t.Error("a machine that is being restored is read")
	}
}

// leaseHolder waits until a host leads and holds a lease.
func leaseHolder(t testing.TB, hosts []*host) *host {
	t.Helper()
	leader := leaderOf(t, hosts)
	until(t, leader.group, "a lease", func(s Status) bool { return s.Lease != 0 })
	return leader
}

// readOf carries out a read and returns it.
func readOf(t testing.TB, g *Group, r *Read) *Read {
	t.Helper()
	done := make(chan struct{})
	r.Completed = func(*Read) { close(done) }
	g.ReadIndex(r)
	await(t, done, "a read's index")
	return r
}

// countReads counts the requests for a read index that leave a node.
type countReads struct {
	network.Network
	asked atomic.Int64
}

func (c *countReads) Send(m core.Message) bool {
	if _, asks := m.(*core.ReadIndexRequest); asks {
		c.asked.Add(1)
	}
	return c.Network.Send(m)
}

// TestReadsOfEveryMode: every member answers reads of every mode, and sees what was
// acknowledged before.
func TestReadsOfEveryMode(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	leaseHolder(t, hosts)
	for i := range 5 {
		at := hosts[i%3]
		p := call(t, at.group, &Proposal{Data: []byte{byte(i)}, WaitForRoom: true})
		if p.Err != nil {
			t.Fatal(p.Err)
		}
		for _, h := range hosts {
			for _, r := range []*Read{{Mode: ReadLease}, {Mode: ReadStale, StaleMax: 1}, {Mode: ReadAtLeast, AtLeast: p.LogID.Index}, {}} {
				readOf(t, h.group, r)
				if got := len(h.machine.list()); r.Err != nil || r.Index < p.LogID.Index || got != i+1 {
					t.Errorf("mode %d on node %d after a write at %v: %d commands at %d, %v", r.Mode, h.id, p.LogID, got, r.Index, r.Err)
				}
			}
		}
	}
}

// TestLeaseReadsAskNobody: on the leader a lease read sends nothing and wakes no
// actor, and on others one that finds the state current enough asks nobody.
func TestLeaseReadsAskNobody(t *testing.T) {
	var counts []*countReads
	hosts := newClusterOf(t, 3, nil, func(n network.Network) network.Network {
		c := &countReads{Network: n}
		counts = append(counts, c)
		return c
	})
	leader := leaseHolder(t, hosts)
	readOf(t, leader.group, &Read{}) // all is applied
	for range 100 {
		if r := (&Read{Mode: ReadLease}); !leader.group.ReadNow(r) || r.Err != nil || r.Index == 0 {
			t.Fatalf("a lease read waits: %+v", r)
		}
		if r := (&Read{Mode: ReadStale, StaleMax: time.Nanosecond}); !leader.group.ReadNow(r) {
			t.Fatal("a stale read waits where the lease holds")
		}
	}
	follower := others(hosts, leader)[0]
	asked := &counts[follower.id-1].asked
	before := asked.Load()
	if r := (&Read{Mode: ReadStale, StaleMax: time.Hour}); follower.group.ReadNow(r) {
		t.Fatalf("nothing is known of the state, and it is read: %+v", r)
	}
	readOf(t, follower.group, &Read{Mode: ReadLease})
	if n := asked.Load() - before; n != 1 {
		t.Errorf("a lease read of a follower asked %d times", n)
	}
	for range 100 {
		readOf(t, follower.group, &Read{Mode: ReadStale, StaleMax: time.Hour})
	}
	if n := asked.Load() - before; n != 1 {
		t.Errorf("reads of a state that is fresh asked %d times", n-1)
	}
	readOf(t, follower.group, &Read{Mode: ReadStale, StaleMax: 1})
	if n := asked.Load() - before; n != 2 {
		t.Errorf("a read of a state that is older than a nanosecond asked %d times", n-1)
	}
}

// stoppingClock is an environment whose clock stands still while the machine sleeps.
type stoppingClock struct{ stage.Environment }

func (stoppingClock) ClockStops() bool { return true }

// TestNoLeaseWhereTheClockStops: lease reads take a round there, and the status says
// why.
func TestNoLeaseWhereTheClockStops(t *testing.T) {
	h := newHost(t, inproc.NewHub(), 1, nil)
	h.env = stoppingClock{stage.Production()}
	h.start()
	if err := bootstrap(t, h.group, patience, members(1)...); err != nil {
		t.Fatal(err)
	}
	leaderOf(t, []*host{h})
	p := call(t, h.group, &Proposal{Data: []byte("x"), WaitForRoom: true})
	if r := (&Read{Mode: ReadLease}); h.group.ReadNow(r) {
		t.Error("a lease on a clock that stops")
	}
	if r := readOf(t, h.group, &Read{Mode: ReadLease}); r.Err != nil || r.Index < p.LogID.Index {
		t.Errorf("a lease read: %+v", r)
	}
	if s := h.group.Status(); s.LeaseLeft != 0 || !strings.Contains(s.NoLease, "stands still") {
		t.Errorf("the status says %v, %q", s.LeaseLeft, s.NoLease)
	}
}

// TestShownBeforeItIsTold: what readers see is shown before any command of the same
// step is carried out. A notice is one.
func TestShownBeforeItIsTold(t *testing.T) {
	hosts := newCluster(t, 3, quickElections)
	leader := leaseHolder(t, hosts)
	left := make(chan core.Instant, 1)
	cancel := leader.group.Events(func(e Event) {
		if e.Kind == core.NoticeSteppedDown {
			left <- core.Instant(leader.group.readable.lease.Load())
		}
	})
	defer cancel()
	for _, h := range others(hosts, leader) {
		h.shutdown()
	}
	select {
	case lease := <-left:
		if lease != 0 {
			t.Errorf("a leader that steps down still shows a lease until %v", lease)
		}
	case <-time.After(patience):
		t.Fatal("a leader without a quorum stays")
	}
}

// TestCommitIsShownBeforeItIsTold: the same of the commit index: the cluster is
// complete when an entry is committed, and a notice says so in that step.
func TestCommitIsShownBeforeItIsTold(t *testing.T) {
	hub := inproc.NewHub()
	h, other := newHost(t, hub, 1, nil), newHost(t, hub, 2, nil)
	h.start()
	other.start()
	shown := make(chan [2]core.Index, 1)
	cancel := h.group.Events(func(e Event) {
		if e.Kind == core.NoticeBootstrapped {
			shown <- [2]core.Index{e.Index, core.Index(h.group.readable.commit.Load())}
		}
	})
	defer cancel()
	if err := bootstrap(t, h.group, patience, members(1, 2)...); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-shown:
		if got[1] < got[0] {
			t.Errorf("complete at %d, and readers see %d committed", got[0], got[1])
		}
	case <-time.After(patience):
		t.Fatal("the cluster is not complete")
	}
}

// TestStaleReadsWithoutALeader: a member that is alone answers from a state that is
// current enough, and waits with any other read.
func TestStaleReadsWithoutALeader(t *testing.T) {
	hosts := newCluster(t, 3, quickElections)
	leader := leaderOf(t, hosts)
	alone := others(hosts, leader)[0]
	readOf(t, alone.group, &Read{})
	for _, h := range others(hosts, alone) {
		h.shutdown()
	}
	until(t, alone.group, "the leader to be missed", func(s Status) bool { return s.Leader == 0 })
	if r := readOf(t, alone.group, &Read{Mode: ReadStale, StaleMax: time.Hour}); r.Err != nil || r.Index == 0 {
		t.Errorf("a state that is fresh enough: %+v", r)
	}
	for _, r := range []*Read{{Mode: ReadStale, StaleMax: time.Nanosecond}, {Mode: ReadLease}, {}, {Mode: ReadAtLeast, AtLeast: 1 << 40}} {
		done := make(chan struct{})
		r.Completed = func(*Read) { close(done) }
		alone.group.ReadIndex(r)
		alone.group.CancelRead(r)
		if await(t, done, "a cancelled read"); r.Err == nil {
			t.Errorf("a read of mode %d without a leader: %+v", r.Mode, r)
		}
	}
	if age := alone.group.StateAge(); age <= 0 || age > patience {
		t.Errorf("the state is %v old", age)
	}
}

// TestReadsEndWithTheGroup: nothing is answered any more when a group has stopped,
// not even what a lease or a fresh state would allow.
func TestReadsEndWithTheGroup(t *testing.T) {
	hosts := newCluster(t, 1, nil)
	leader := leaseHolder(t, hosts)
	readOf(t, leader.group, &Read{})
	waits := &Read{Mode: ReadAtLeast, AtLeast: 1 << 40}
	done := make(chan struct{})
	waits.Completed = func(*Read) { close(done) }
	leader.group.ReadIndex(waits)
	g := leader.group
	leader.shutdown()
	if await(t, done, "a read that waits"); !errors.Is(waits.Err, core.ErrStopped) {
		t.Errorf("a read that waits for an index: %v", waits.Err)
	}
	for _, r := range []*Read{{}, {Mode: ReadLease}, {Mode: ReadStale, StaleMax: time.Hour}, {Mode: ReadAtLeast, AtLeast: 1}} {
		if readOf(t, g, r); !errors.Is(r.Err, core.ErrStopped) {
			t.Errorf("mode %d: %v", r.Mode, r.Err)
		}
	}
}

// TestMaxLag: a read that does not wait for a machine so far behind is told at once.
func TestMaxLag(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	leader := leaseHolder(t, hosts)
	slow := others(hosts, leader)[0]
	release := make(chan struct{})
	slow.machine.onApply = func([]byte) error { <-release; return nil }
	for i := range 5 {
		call(t, leader.group, &Proposal{Data: []byte{byte(i)}, WaitForRoom: true})
	}
	for _, mode := range []ReadMode{ReadLinearizable, ReadLease, ReadStale} {
		r := readOf(t, slow.group, &Read{Mode: mode, StaleMax: 1, LimitLag: true, LagMax: 4})
		var stale *core.TooStaleError
		if !errors.As(r.Err, &stale) || stale.LagEntries < 5 {
			t.Errorf("mode %d, five entries behind: %v", mode, r.Err)
		}
	}
	done := make(chan struct{})
	patient := &Read{LimitLag: true, LagMax: 1000, Completed: func(*Read) { close(done) }}
	slow.group.ReadIndex(patient)
	close(release)
	if await(t, done, "a read that waits"); patient.Err != nil {
		t.Errorf("a read that allows the lag: %v", patient.Err)
	}
}

// TestReadChain: a chain keeps the order, whoever has ended.
func TestReadChain(t *testing.T) {
	reads := make([]*Read, 5)
	for _, test := range []struct {
		ended []int
		want  string
	}{{nil, "[0 1 2 3 4]"}, {[]int{0}, "[1 2 3 4]"}, {[]int{4}, "[0 1 2 3]"}, {[]int{2}, "[0 1 3 4]"}, {[]int{1, 2, 3}, "[0 4]"}, {[]int{0, 1, 2, 3, 4}, "[]"}} {
		var a, b readChain
		for i := range reads {
			reads[i] = &Read{AtLeast: core.Index(i)}
			if i < 3 {
				a.push(reads[i])
			} else {
				b.push(reads[i])
			}
		}
		a.append(b)
		a.append(readChain{})
		for _, i := range test.ended {
			reads[i].stage.Store(stageDone)
		}
		if left := a.sweep(); left != len(reads)-len(test.ended) {
			t.Errorf("without %v: %d are left", test.ended, left)
		}
		var got []core.Index
		for r := a.pop(); r != nil; r = a.pop() {
			got = append(got, r.AtLeast)
		}
		if fmt.Sprint(slices.Clip(got)) != test.want || !a.empty() || a.last != nil {
			t.Errorf("without %v: %v", test.ended, got)
		}
	}
}

// TestManyReadsGiveUp: what one read costs that gives up does not grow with those that
// wait, and what is kept of them does not grow with those that gave up.
func TestManyReadsGiveUp(t *testing.T) {
	const reads = 1 << 17
	room := newReadRoom(reads, nil)
	for name, test := range map[string]struct {
		stage  uint32
		actors func() (push, giveUp func(*Read), kept func() int)
	}{
		"the core": {stageCore, func() (push, giveUp func(*Read), kept func() int) {
			c := &coreActor{coreNeeds: coreNeeds{underWay: room, apply: deafApply{}}}
			giveUp = func(r *Read) { c.reads.cancel(c, r) }
			return c.reads.accept, giveUp, func() int { return length(c.reads.waiting) + length(c.reads.byLease) }
		}},
		"the apply actor": {stageApply, func() (push, giveUp func(*Read), kept func() int) {
			a := &applyActor{applyNeeds: applyNeeds{underWay: room}}
			a.inbox.Wake = func() {}
			push = func(r *Read) {
				b := readBatch{index: 9}
				b.reads.push(r)
				a.accept(applyItem{read: b})
			}
			giveUp = func(r *Read) {
				room.cancelServed(a, r)
				for _, item := range a.inbox.Take() {
					a.accept(item)
				}
			}
			return push, giveUp, func() int { return len(a.reads) }
		}},
	} {
		push, giveUp, kept := test.actors()
		all := make([]*Read, reads)
		for i := range all {
			all[i] = &Read{Mode: ReadMode(i % 2), Completed: func(*Read) {}}
			all[i].stage.Store(test.stage)
			room.Acquire(&all[i].room, all[i], readBytes, false)
			push(all[i])
		}
		// It takes some ten milliseconds. A walk for each of them takes minutes.
		limit := time.Now().Add(10 * time.Second)
		for i, r := range all[1:] {
			if giveUp(r); time.Now().After(limit) {
				t.Fatalf("%s: in 10 s %d of %d reads have given up", name, i, reads)
			}
		}
		if n := kept(); n > 1+sweepMin+1 {
			t.Errorf("%s: %d reads are kept", name, n)
		}
		if all[0].stage.Load() != test.stage {
			t.Errorf("%s: the one that waits on has ended", name)
		}
		giveUp(all[0])
		if n, _ := room.Inflight(); n != 0 {
			t.Errorf("%s: %d reads are under way", name, n)
		}
	}
}

// length counts the reads of a chain.
func length(c readChain) (n int) {
	for r := c.first; r != nil; r = r.next {
		n++
	}
	return n
}
