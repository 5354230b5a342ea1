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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
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
// read. While faults are at work no linearizable or lease read is stale and no
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
	before := runtime.NumGoroutine()
	sizes := []int{3, 5}
	if *soakNodes != 0 {
		sizes = []int{*soakNodes}
	}
	end := time.Now().Add(*soakFor)
	for round := 0; ; round++ {
		s := &soak{seed: *soakSeed + uint64(round), size: sizes[round%len(sizes)], end: end}
		if !t.Run(fmt.Sprintf("seed %d, %d nodes", s.seed, s.size), s.run) || !time.Now().Before(end) {
			break
		}
	}
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
	t       *testing.T
	seed    uint64
	size    int
	end     time.Time
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
}

// soakNode is a node with its addresses.
type soakNode struct {
	*node
	s *soak
	// busy is held by the fault that is at work on the process.
	busy chan struct{}
	// where is the raft address of this life, nil while there is none.
	where atomic.Pointer[string]
	// straight is where --dial leads, at all times; public is the address that
	// the node tells, until it moves.
	straight *front
	lives    int

	mu     sync.Mutex
	public *front
	moved  bool
	// lost is set while the node has no data; lostUntil is when it last had none.
	lost      bool
	lostUntil time.Time
}

func (s *soak) run(t *testing.T) {
	s.t = t
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
	for phase := range soakPhases {
		s.phase(phase)
		s.settle(phase)
		if !time.Now().Before(s.end) {
			break
		}
	}
	s.load.stop()
	s.complain(s.load.failure())
	t.Logf("%d nodes, seed %d: %d puts and %d swaps acknowledged", s.size, s.seed, len(s.load.acknowledged()), s.load.swaps())
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
	s.t.Fatalf("seed %d, %d nodes: %v%s\nto replay: go test ./examples/kv -run TestSoak -v -timeout 0 -args -soak=%v -soak-seed=%d -soak-nodes=%d -soak-logs=DIR",
		s.seed, s.size, err, &now, max(*soakFor, soakPhases*(soakPhase+soakLimit)), s.seed, s.size)
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
	length := soakPhase
	s.load.acks.mark()
	s.mayMove.Store(true)
	r := rand.New(rand.NewPCG(s.seed, uint64(number)))
	// Some phases are rough, in others a fault is over before the next begins.
	pause := between(r, 2*time.Second, 8*time.Second)
	if *soakFor == 0 {
		length, pause = soakPhaseShort, time.Second
	}
	ctx, cancel := context.WithTimeout(s.ctx, length)
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
	for at := between(r, 0, time.Second); at < length; at += between(r, 300*time.Millisecond, pause) {
		text, do := s.drawFault(r)
		start(at, text, do)
	}
	if number == soakPhases-1 {
		n := s.pick(r)
		start(between(r, 0, length), fmt.Sprintf("emptied: node %d for good", n.id), func(ctx context.Context) error {
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
	var members []*soakNode
	for _, n := range s.nodes {
		s.complain(n.running())
		if n.isLost() {
			s.within(limit(), fmt.Sprintf("node %d knows that it has lost its data", n.id), n.knowsItsLoss)
		} else {
			members = append(members, n)
		}
	}
	led := s.within(limit(), "a leader that all know", func() error { return agree(members) })
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
	if last := phase == soakPhases-1; last {
		fresh = all
	}
	for _, n := range members {
		s.within(limit(), fmt.Sprintf("all that is acknowledged is read through node %d", n.id), func() error {
			return errors.Join(s.load.has(n.node, fresh, "linearizable"), s.load.counts(n.node, "linearizable"))
		})
	}
	s.t.Logf("phase %d: a leader after %v, writes through all after %v, %d puts read through each after %v; at most %v without a write",
		phase, led.Round(time.Millisecond), written.Round(time.Millisecond), len(fresh), time.Since(ended).Round(time.Millisecond),
		s.load.acks.worstGap().Round(time.Millisecond))
}

// agree wants all of them to be members of one cluster that know one leader.
func agree(members []*soakNode) error {
	views := make(map[string][]uint64)
	leads := false
	for _, n := range members {
		s, err := n.status()
		switch {
		case err != nil:
			return fmt.Errorf("node %d: %w", n.id, err)
		case s.Fatal != "" || s.UnknownToGroup || s.Forming || s.Joint || len(s.Members) != n.s.size:
			return fmt.Errorf("node %d: %+v", n.id, s)
		}
		leads = leads || s.Role == "leader"
		view := fmt.Sprintf("cluster %s, leader %d, term %d", s.Cluster, s.Leader, s.Term)
		views[view] = append(views[view], n.id)
	}
	if !leads || len(views) != 1 {
		return fmt.Errorf("they know %v", views)
	}
	return nil
}

func (n *soakNode) knowsItsLoss() error {
	s, err := n.status()
	if err == nil && (!s.UnknownToGroup || s.Role != "none") {
		err = fmt.Errorf("%+v", s)
	}
	return err
}

// alone does something to the process while nobody else does, or nothing if ctx
// ends first or the node has lost its data for good.
func (n *soakNode) alone(ctx context.Context, do func() error) error {
	select {
	case n.busy <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-n.busy }()
	if n.isLost() {
		return nil
	}
	return do()
}

// allAlone is alone for all nodes.
func (s *soak) allAlone(ctx context.Context, do func() error) error {
	var held []*soakNode
	defer func() {
		for _, n := range held {
			<-n.busy
		}
	}()
	for _, n := range s.nodes {
		select {
		case n.busy <- struct{}{}:
			held = append(held, n)
		case <-ctx.Done():
			return nil
		}
	}
	return do()
}

// up starts a life. In every other one the node dials where it was told to, in
// the rest where it has learned that the others are.
func (n *soakNode) up() error {
	n.mu.Lock()
	straight := n.lives%2 == 0 && !n.moved
	flags := n.flags
	n.flags = append(slices.Clone(flags), "--advertise", n.public.address())
	n.moved = false
	n.lives++
	n.mu.Unlock()
	defer func() { n.flags = flags }()
	if straight {
		for _, other := range n.s.nodes {
			if other != n {
				n.flags = append(n.flags, "--dial", fmt.Sprintf("%d=%s", other.id, other.straight.address()))
			}
		}
	}
	fmt.Fprintf(n.history, "---- %s: life %d, %q\n", time.Now().Format(time.RFC3339Nano), n.lives, n.flags)
	// Each life listens elsewhere. The ready line tells the public address.
	var where string
	err := n.startsUp(func() (err error) {
		if where, err = unusedAddress(); err != nil {
			return err
		}
		n.raftAddress = where
		return n.tryStart()
	})
	if err == nil {
		n.where.Store(&where)
	}
	return err
}

func (n *soakNode) down() {
	n.where.Store(nil)
	n.kill()
	fmt.Fprintf(n.history, "---- %s: killed\n", time.Now().Format(time.RFC3339Nano))
}

// move takes another address for the node's lives from now on, while it is down.
// At the old one somebody else is then.
func (n *soakNode) move() error {
	f, err := newFront(n.s.ctx, n.s.links, n.id, &n.where)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.public.left.Store(true)
	n.public, n.moved = f, true
	return nil
}

func (n *soakNode) advertised() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.public.address()
}

func (n *soakNode) hasLost() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost = true
}

func (n *soakNode) hasFound() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost, n.lostUntil = false, time.Now()
}

func (n *soakNode) isLost() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}

// excused: a node without its data says that it is part of no cluster.
func (s *soak) excused(n *node, begun time.Time, code api.Code) bool {
	at := s.nodes[n.id-1]
	at.mu.Lock()
	defer at.mu.Unlock()
	return code == api.NoCluster && (at.lost || begun.Before(at.lostUntil))
}
