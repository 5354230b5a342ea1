package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// TestEveryAnswerIsTrue lets clients come and go while the leader is killed,
// and holds the answers they got against the logs: what was acknowledged is
// there once, what is said not to have happened is nowhere, and nothing is there
// twice.
func TestEveryAnswerIsTrue(t *testing.T) {
	c := formed(t, 3, config())
	const clients, each = 16, 150
	var mu sync.Mutex
	acknowledged, failed := make(map[string]bool), make(map[string]error)
	var group sync.WaitGroup
	halfway := make(chan struct{})
	var asked atomic.Int64
	for i := range clients {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		group.Go(func() {
			for j := range each {
				if asked.Add(1) == clients*each/2 {
					close(halfway)
				}
				command := fmt.Sprintf("%d/%d", i, j)
				limit := time.Duration(random.IntN(3000)) * time.Microsecond
				if j%10 == 0 {
					limit = 20 * time.Second // on a busy machine all others may be too late
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				_, err := c.members[random.IntN(3)].raft.Propose(ctx, []byte(command))
				if err != nil && !errors.Is(err, ctx.Err()) && !errors.Is(err, troupe.ErrStopped) && !troupe.MayHaveHappened(err) {
					t.Errorf("%s: %v, and the context says %v", command, err, ctx.Err())
				}
				cancel()
				mu.Lock()
				if err == nil {
					acknowledged[command] = true
				} else if !troupe.MayHaveHappened(err) {
					failed[command] = err
				}
				mu.Unlock()
			}
		})
	}
	<-halfway
	killed := c.leader()
	killed.raft.Kill()
	group.Wait()
	c.restart(killed, config())
	for _, m := range c.members {
		count := make(map[string]int)
		for _, command := range m.read(t) {
			count[command]++
			if err := failed[command]; err != nil {
				t.Errorf("node %d holds %s, of which the client was told %v", m.id, command, err)
			}
			if count[command] == 2 {
				t.Errorf("node %d holds %s twice", m.id, command)
			}
		}
		for command := range acknowledged {
			if count[command] == 0 {
				t.Errorf("node %d lost %s", m.id, command)
			}
		}
	}
	if len(acknowledged) == 0 || len(failed) == 0 {
		t.Errorf("%d acknowledged and %d failed: this tests nothing", len(acknowledged), len(failed))
	}
}

// TestStopAnswersEverybody asserts that no client is left behind, and what
// each is told.
func TestStopAnswersEverybody(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = 5 * time.Second // so that the leader stays one
	c := formed(t, 3, settings)
	leader := c.leader()
	for _, m := range c.members {
		if m != leader {
			m.raft.Kill()
		}
	}
	ask := func(raft *troupe.Raft) chan error {
		answer := make(chan error, 1)
		go func() {
			_, err := raft.Propose(t.Context(), []byte("a"))
			answer <- err
		}()
		return answer
	}
	last := leader.raft.Status().Last
	appended := ask(leader.raft)
	if err := leader.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Last > last }); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := leader.raft.ReadIndex(t.Context(), troupe.Linearizable)
		read <- err
	}()
	leader.raft.Kill()
	if err := answer(t, appended); !errors.Is(err, troupe.ErrStopped) || !troupe.MayHaveHappened(err) {
		t.Errorf("a write without a quorum is told %v", err)
	}
	if err := answer(t, read); !errors.Is(err, troupe.ErrStopped) {
		t.Errorf("a read without a quorum is told %v", err)
	}

	alone := newCluster(t, 1, config()).members[0].raft
	waiting := ask(alone)
	if err := alone.Shutdown(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := answer(t, waiting); !errors.Is(err, troupe.ErrStopped) || troupe.MayHaveHappened(err) {
		t.Errorf("a write without a leader is told %v", err)
	}
}

func answer(t *testing.T, from chan error) error {
	t.Helper()
	select {
	case err := <-from:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("a client was left behind")
		return nil
	}
}

// TestShutdownOutOfTime asserts that a stop goes on when nobody waits for it.
func TestShutdownOutOfTime(t *testing.T) {
	c := formed(t, 1, config())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	raft := c.members[0].raft
	if err := raft.Shutdown(over); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown says %v", err)
	}
	if err := raft.Shutdown(within(t, 20*time.Second)); err != nil {
		t.Errorf("the second Shutdown says %v", err)
	}
}

// failingLog fails to write one command.
type failingLog struct {
	troupe.LogStore
	command string
	failure error
}

func (l *failingLog) Write(ctx context.Context, batch *storage.Batch) error {
	for _, o := range batch.Operations {
		if slices.ContainsFunc(o.Append, func(e troupe.Entry) bool { return string(e.Data) == l.command }) {
			return l.failure
		}
	}
	return l.LogStore.Write(ctx, batch)
}

// TestDiskFails asserts that a failed write stops all groups on the store, with
// the cause, and leaves no write undecided without a word.
func TestDiskFails(t *testing.T) {
	cause := errors.New("the disk is gone")
	store := &failingLog{LogStore: memory.New(1), command: "a", failure: cause}
	node, err := troupe.NewNode(troupe.NodeConfig{ID: 1, Network: inproc.NewHub().Network(""), Log: store, Snapshots: memory.NewSnapshots()})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Kill()
	var rafts []*troupe.Raft
	for group := troupe.GroupID(1); group <= 2; group++ {
		raft, err := node.Start(t.Context(), troupe.Config{Group: group, StateMachine: &ledger{}, ElectionTimeout: electionTimeout})
		if err != nil {
			t.Fatal(err)
		}
		if err := raft.Bootstrap(within(t, 20*time.Second), troupe.At(1, "")); err != nil {
			t.Fatal(err)
		}
		rafts = append(rafts, raft)
	}
	_, err = rafts[0].Propose(within(t, 20*time.Second), []byte("a"))
	if !errors.Is(err, cause) || !troupe.MayHaveHappened(err) {
		t.Errorf("the write is told %v", err)
	}
	for _, raft := range rafts {
		select {
		case <-raft.Done():
		case <-time.After(20 * time.Second):
			t.Fatalf("group %d goes on", raft.Group())
		}
		if e := asError[*troupe.FatalError](t, raft.Err()); !errors.Is(e, cause) {
			t.Errorf("group %d: %v", raft.Group(), e)
		}
		_, err := raft.Propose(t.Context(), []byte("late"))
		if err == nil || troupe.MayHaveHappened(err) {
			t.Errorf("a write to group %d after the failure is told %v", raft.Group(), err)
		}
	}
}

// filter drops the entries for a node while it is told to.
type filter struct {
	troupe.Network
	drop *atomic.Uint64
}

func (f filter) Send(m core.Message) bool {
	if a, ok := m.(*core.AppendEntries); ok && uint64(a.To.ID) == f.drop.Load() {
		return false
	}
	return f.Network.Send(m)
}

// TestClusterIsFormedLater asserts that a bootstrap that cannot finish says for
// whom it waits, and finishes when it can.
func TestClusterIsFormedLater(t *testing.T) {
	var drop atomic.Uint64
	drop.Store(3)
	c := newCluster(t, 3, config(), func(m *member) {
		m.network = func(n troupe.Network) troupe.Network { return filter{n, &drop} }
	})
	raft := c.members[0].raft
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	defer cancel()
	told := make(chan error, 1)
	go func() { told <- raft.Bootstrap(ctx, c.list()...) }()
	waits := func(s troupe.Status) bool {
		return s.Bootstrapping && len(s.WaitsFor) == 1 && s.WaitsFor[0].Node == 3
	}
	if err := raft.Wait(ctx, waits); err != nil {
		t.Fatalf("%v: the status is %+v", err, raft.Status())
	}
	cancel()
	err := answer(t, told)
	e := asError[*troupe.FormingError](t, err)
	if len(e.WaitsFor) != 1 || e.WaitsFor[0].Node != 3 || !errors.Is(err, context.Canceled) || !troupe.MayHaveHappened(err) {
		t.Errorf("the error is %v", err)
	}
	if s := raft.Status(); !s.Bootstrapping || len(s.WaitsFor) != 1 || s.WaitsFor[0].Node != 3 {
		t.Errorf("the status is %+v", s)
	}
	if _, err := raft.Propose(within(t, 50*time.Millisecond), []byte("a")); err == nil || troupe.MayHaveHappened(err) {
		t.Errorf("a write before the cluster is formed is told %v", err)
	}
	asError[*troupe.BootstrapError](t, raft.Bootstrap(within(t, 20*time.Second), c.list()[0]))
	drop.Store(0)
	if err := raft.Bootstrap(within(t, 20*time.Second), c.list()...); err != nil {
		t.Fatalf("the same list again: %v", err)
	}
	c.members[2].propose(t, "b")
	for _, m := range c.members {
		if got := m.read(t); len(got) != 1 || got[0] != "b" {
			t.Errorf("node %d holds %q", m.id, got)
		}
	}
}
