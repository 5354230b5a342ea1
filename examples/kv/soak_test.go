//go:build unix

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var (
	soakFor   = flag.Duration("soak", 0, "how long TestSoak goes on; 0 is one short phase")
	soakSeed  = flag.Uint64("soak-seed", 1, "what TestSoak draws its faults from")
	soakNodes = flag.Int("soak-nodes", 0, "nodes of TestSoak's clusters; 0 is 3 and 5 by turns")
	soakLogs  = flag.String("soak-logs", "", "directory where TestSoak leaves the nodes' logs")
)

const (
	// soakPhase is for how long faults come and go before all of them end.
	soakPhase      = 30 * time.Second
	soakPhaseShort = 3 * time.Second
	// soakPhases is how many phases a cluster lives.
	soakPhases = 4
	// soakLimit bounds what has to be right again after all faults have ended.
	// Elections that failed have doubled the waits to at most 32 time-outs of 1 s
	// (rule 11), of which up to two are waited.
	soakLimit = 90 * time.Second
	// soakSlow is what is worth a line in the log.
	soakSlow = 3 * time.Second
)

// TestSoak runs clusters of real processes under load, and does to them what
// soakFaults lists, as a seed draws it. After each phase all faults end; then,
// within soakLimit, there is a leader that all know, a write through each node
// succeeds, and through each node every acknowledged put and each counter is
// read. While faults are at work no read is older than its mode allows and no
// compare-and-swap has two winners; see load. In the last phase of a cluster
// one node loses its data for good, and the others have all.
//
//	go test ./examples/kv -run TestSoak -v -timeout 0 -args -soak=25m -soak-seed=1
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	if deadline, ok := t.Deadline(); ok && time.Until(deadline) < *soakFor+4*soakLimit {
		t.Fatalf("-soak=%v takes longer than the test may: add -timeout 0", *soakFor)
	}
	defer noGoroutineLeft(t, runtime.NumGoroutine())
	sizes := []int{3, 5}
	if *soakNodes != 0 {
		sizes = []int{*soakNodes}
	}
	end := time.Now().Add(*soakFor)
	for round := 0; ; round++ {
		s := &soak{
			seed: *soakSeed + uint64(round), size: sizes[round%len(sizes)], length: soakPhase, faults: soakFaults, empties: true,
			pause: [2]time.Duration{2 * time.Second, 8 * time.Second},
			more:  func(next int) bool { return next < soakPhases && time.Now().Before(end) },
		}
		if *soakFor == 0 {
			s.length, s.pause = soakPhaseShort, [2]time.Duration{time.Second, time.Second + 1}
		}
		s.replay = fmt.Sprintf("-run TestSoak -v -timeout 0 -args -soak=%v -soak-seed=%d -soak-nodes=%d", max(*soakFor, soakPhases*(soakPhase+soakLimit)), s.seed, s.size)
		if !t.Run(fmt.Sprintf("seed %d, %d nodes", s.seed, s.size), s.run) || !time.Now().Before(end) {
			break
		}
	}
}

func noGoroutineLeft(t *testing.T, before int) {
	t.Helper()
	transport.CloseIdleConnections()
	eventually(t, "no goroutine is left", func() error {
		if now := runtime.NumGoroutine(); now > before {
			return fmt.Errorf("%d, and %d before", now, before)
		}
		return nil
	})
}

// soak is one cluster, from its forming to its end.
type soak struct {
	t    *testing.T
	seed uint64
	size int
	// length is that of a phase, in which faults begin at most a time apart that is
	// drawn from pause for each phase. more says whether there is another phase.
	length time.Duration
	pause  [2]time.Duration
	faults []soakFault
	more   func(next int) bool
	// hands, if set, is from what the times between two hand-overs are drawn that go
	// on beside the faults.
	hands [2]time.Duration
	// empties: in the last of soakPhases a node loses its data for good.
	empties bool
	// prepare, if set, is done to each node before its first life.
	prepare func(n *soakNode)
	replay  string

	cluster *cluster
	nodes   []*soakNode
	links   *links
	load    *load
	// ctx is that of the fronts and of all that goes through them.
	ctx context.Context
	// mayMove is set with each phase, for one node.
	mayMove atomic.Bool
	// checked is how many of the acknowledged puts were looked for.
	checked int

	mu sync.Mutex
	// counts is what was done, and leaders who led which term.
	counts  map[string]int
	leaders map[uint64]uint64
}

func (s *soak) run(t *testing.T) {
	s.t = t
	s.counts, s.leaders = make(map[string]int), make(map[uint64]uint64)
	ctx, cancel := context.WithCancel(t.Context())
	s.ctx, s.links = ctx, newLinks()
	defer func() {
		cancel()
		s.links.open.Wait()
	}()
	s.form()
	s.load = newLoad(s.cluster)
	s.load.think, s.load.excused = 20*time.Millisecond, s.excused
	s.load.start()
	defer s.load.stop()
	for phase := 0; phase == 0 || s.more(phase); phase++ {
		s.phase(phase)
		s.settle(phase)
	}
	s.load.stop()
	s.lookFor(s.load.acknowledged(), time.Now())
	s.complain(s.load.failure())
	t.Logf("%d nodes, seed %d: %v, %d terms; %d puts and %d swaps acknowledged, all looked for; checked: %v",
		s.size, s.seed, s.counts, len(s.leaders), len(s.load.acknowledged()), s.load.swaps(), s.load.reads)
	// A server that ends waits for connections that were made and not used yet.
	transport.CloseIdleConnections()
	for _, n := range s.nodes {
		n.terminate(syscall.SIGTERM)
	}
}

// complain ends the test with what it takes to see it again.
func (s *soak) complain(err error) {
	s.t.Helper()
	if err == nil {
		return
	}
	var now strings.Builder
	for _, n := range s.nodes {
		if n.client == nil {
			continue // it never served
		}
		status, err := n.status()
		text, _ := json.Marshal(status)
		fmt.Fprintf(&now, "\nnode %d: %s %v", n.id, text, err)
	}
	s.t.Fatalf("seed %d, %d nodes: %v%s\nto replay: go test ./examples/kv %s -soak-logs=DIR", s.seed, s.size, err, &now, s.replay)
}

// within asks again and again until there is no complaint, and returns how long
// that took.
func (s *soak) within(limit time.Duration, what string, check func() error) time.Duration {
	s.t.Helper()
	begun := time.Now()
	var complaint error
	for {
		err := check()
		took := time.Since(begun)
		switch {
		case err == nil && s.load.failure() == nil:
			if took > soakSlow {
				s.t.Logf("%s: only after %v, having seen: %v", what, took.Round(time.Millisecond), complaint)
			}
			return took
		case took > limit:
			s.complain(fmt.Errorf("%s: not in %v: %w", what, limit, err))
		}
		s.complain(s.load.failure())
		complaint = cmp.Or(complaint, err)
		sleep(s.ctx, 20*time.Millisecond)
	}
}

// form starts all nodes at once, each with the same --init.
func (s *soak) form() {
	s.cluster = &cluster{t: s.t}
	for id := uint64(1); id <= uint64(s.size); id++ {
		n := &soakNode{node: newNode(s.t, id), s: s, busy: make(chan struct{}, 1)}
		n.history = s.historyOf(n)
		n.straight, n.public = s.newFront(n), s.newFront(n)
		if s.prepare != nil {
			s.prepare(n)
		}
		s.nodes, s.cluster.nodes = append(s.nodes, n), append(s.cluster.nodes, n.node)
	}
	var init []string
	for _, n := range s.nodes {
		init = append(init, fmt.Sprintf("%d=%s", n.id, n.public.address()))
	}
	for _, n := range s.nodes {
		n.flags = []string{"--init", strings.Join(init, ","), "--snapshot-entries", "2000"}
	}
	begun := time.Now()
	s.complain(s.each((*soakNode).up))
	s.cluster.leader()
	s.t.Logf("a cluster of %d: formed in %v", s.size, time.Since(begun).Round(time.Millisecond))
}

func (s *soak) newFront(n *soakNode) *front {
	f, err := newFront(s.ctx, s.links, n.id, &n.where)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// historyOf is where the logs of all lives of a node go. Without -soak-logs they
// go with the test; a failure shows that of the last life.
func (s *soak) historyOf(n *soakNode) *os.File {
	dir := *soakLogs
	if dir == "" {
		dir = s.t.TempDir()
	} else if err := os.MkdirAll(dir, 0o777); err != nil {
		s.t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("soak-%d-node-%d.log", s.seed, n.id)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = f.Close() })
	return f
}

// each does something to all nodes at once.
func (s *soak) each(do func(n *soakNode) error) error {
	errs := make([]error, len(s.nodes))
	var all sync.WaitGroup
	for i, n := range s.nodes {
		all.Go(func() { errs[i] = do(n) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// phase plans faults and lets them go.
func (s *soak) phase(number int) {
	s.load.acks.mark()
	s.mayMove.Store(true)
	r := rand.New(rand.NewPCG(s.seed, uint64(number)))
	// Some phases are rough, in others a fault is over before the next begins.
	pause := between(r, s.pause[0], s.pause[1])
	ctx, cancel := context.WithTimeout(s.ctx, s.length)
	defer cancel()
	var faults sync.WaitGroup
	begun := time.Now()
	start := func(at time.Duration, text string, do func(context.Context) error) {
		s.t.Logf("%s phase %d, %6v: %s", begun.Format("15:04:05"), number, at, text)
		faults.Go(func() {
			if !sleep(ctx, time.Until(begun.Add(at))) {
				return
			}
			if err := do(ctx); err != nil {
				s.load.fail(fmt.Errorf("%s: %w", text, err))
			}
		})
	}
	for at := between(r, 0, time.Second); at < s.length; at += between(r, 300*time.Millisecond, pause) {
		text, do := s.drawFault(r)
		start(at, text, do)
	}
	if s.hands[1] > 0 {
		start(0, "the leadership goes round", func(ctx context.Context) error { return s.handsOn(ctx, rand.New(rand.NewPCG(s.seed, ^uint64(number)))) })
	}
	if s.empties && number == soakPhases-1 {
		n := s.pick(r)
		start(between(r, 0, s.length), fmt.Sprintf("emptied: node %d for good", n.id), func(ctx context.Context) error {
			return n.alone(context.WithoutCancel(ctx), n.empty)
		})
	}
	for s.load.failure() == nil && sleep(ctx, 100*time.Millisecond) {
	}
	cancel()
	faults.Wait()
	s.complain(s.load.failure())
}

// settle is what has to be right after the faults.
func (s *soak) settle(phase int) {
	ended := time.Now()
	limit := func() time.Duration { return soakLimit - time.Since(ended) }
	members := s.members()
	for _, n := range s.nodes {
		s.complain(n.running())
		if n.isLost() {
			s.within(limit(), fmt.Sprintf("node %d knows that it has lost its data", n.id), n.knowsItsLoss)
		}
	}
	led := s.within(limit(), "a leader that all know", func() error { return s.agree(members) })
	for _, n := range members {
		s.within(limit(), fmt.Sprintf("a write through node %d", n.id), func() error {
			key := fmt.Sprintf("settled-%d-%d", phase, n.id)
			_, err := n.client.Put(s.ctx, key, []byte(key))
			return err
		})
	}
	written := time.Since(ended)

	all := s.load.acknowledged()
	fresh := all[s.checked:]
	s.checked = len(all)
	s.lookFor(fresh, ended)
	s.t.Logf("phase %d: a leader after %v, writes through all after %v, %d puts read through each after %v; at most %v without a write; so far %v",
		phase, led.Round(time.Millisecond), written.Round(time.Millisecond), len(fresh), time.Since(ended).Round(time.Millisecond),
		s.load.acks.worstGap().Round(time.Millisecond), s.counts)
}

// members are the nodes that have their data.
func (s *soak) members() []*soakNode {
	var members []*soakNode
	for _, n := range s.nodes {
		if !n.isLost() {
			members = append(members, n)
		}
	}
	return members
}

// lookFor reads what was put, and the counters, through each member, within soakLimit
// from a time on.
func (s *soak) lookFor(puts []put, since time.Time) {
	for _, n := range s.members() {
		s.within(soakLimit-time.Since(since), fmt.Sprintf("all that is acknowledged is read through node %d", n.id), func() error {
			return errors.Join(s.load.has(n.node, puts, "linearizable"), s.load.counts(n.node, "linearizable"))
		})
	}
}

// agree wants all of them to be members of one cluster that know one leader.
func (s *soak) agree(members []*soakNode) error {
	views := make(map[string][]uint64)
	leads := false
	for _, n := range members {
		status, err := n.status()
		switch {
		case err != nil:
			return fmt.Errorf("node %d: %w", n.id, err)
		case status.Fatal != "" || status.UnknownToGroup || status.Forming || status.Joint || len(status.Members) != s.size:
			return fmt.Errorf("node %d: %+v", n.id, status)
		}
		if err := s.leads(status.Term, status.Leader); err != nil {
			s.load.fail(err)
		}
		leads = leads || status.Role == "leader"
		view := fmt.Sprintf("cluster %s, leader %d, term %d", status.Cluster, status.Leader, status.Term)
		views[view] = append(views[view], n.id)
	}
	if !leads || len(views) != 1 {
		return fmt.Errorf("they know %v", views)
	}
	return nil
}
