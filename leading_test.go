package troupe_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

// job is what the nodes of a test run while they lead.
type job struct {
	runs chan *jobRun
	// twice: two contexts of one group lived at a time.
	twice atomic.Bool
	mu    sync.Mutex
	begun []*jobRun
	// does, if not nil, is what is done instead of waiting for the context's end.
	does func(*jobRun)
}

type jobRun struct {
	ctx  context.Context
	raft *troupe.Raft
	term troupe.Term
	node troupe.NodeID
	over chan struct{} // closed when the function returns
}

func newJob() *job { return &job{runs: make(chan *jobRun, 256)} }

func (j *job) lead(ctx context.Context, raft *troupe.Raft, term troupe.Term) {
	run := &jobRun{ctx, raft, term, raft.Status().Self.ID, make(chan struct{})}
	defer close(run.over)
	j.mu.Lock()
	for _, o := range j.begun {
		if o.raft.Group() == raft.Group() && o.ctx.Err() == nil && ctx.Err() == nil {
			j.twice.Store(true)
		}
	}
	j.begun = append(j.begun, run)
	j.mu.Unlock()
	j.runs <- run
	if j.does != nil {
		j.does(run)
		return
	}
	<-ctx.Done()
}

// next waits for a run.
func (j *job) next(t *testing.T) *jobRun {
	t.Helper()
	select {
	case run := <-j.runs:
		return run
	case <-time.After(20 * time.Second):
		t.Fatal("nobody runs it")
		return nil
	}
}

func (j *job) on(settings troupe.Config) troupe.Config {
	settings.OnLeading = j.lead
	return settings
}

func ended(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not end", what)
	}
}

// TestOnLeading: the job moves with the leadership, by hand, by a pause and by a stop,
// in rising terms, and with a handle that works.
func TestOnLeading(t *testing.T) {
	j := newJob()
	c := formed(t, 3, j.on(slowElections()))
	run := j.next(t)
	for i := range 6 {
		asked := c.members[i%3].raft
		if err := asked.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Term == run.term && s.Leader != 0 }); err != nil || run.ctx.Err() != nil {
			t.Fatalf("run %d in term %d: %v; node %d is in term %d: %v", i, run.term, run.ctx.Err(), i%3+1, asked.Status().Term, err)
		}
		if _, err := run.raft.Propose(within(t, 20*time.Second), []byte("x"), troupe.ExpectedTerm(run.term)); err != nil {
			t.Errorf("run %d proposes: %v", i, err)
		}
		id, where, term := asked.Leader()
		if id != run.node || where != address(run.node) || term != run.term {
			t.Errorf("node %d leads term %d from %q, the job runs on node %d in term %d", id, term, where, run.node, run.term)
		}
		if s := run.raft.Status(); s.LeadingTerm != run.term || s.LeadingOverdue != 0 {
			t.Errorf("the status says term %d, overdue for %v", s.LeadingTerm, s.LeadingOverdue)
		}
		for _, paused := range []bool{true, false} {
			if err := run.raft.PauseElections(within(t, 20*time.Second), paused); err != nil || run.ctx.Err() != nil {
				t.Errorf("a pause: %v, and the run: %v", err, run.ctx.Err())
			}
		}
		if err := asked.TransferLeadership(within(t, 20*time.Second), 0); err != nil {
			t.Fatal(err)
		}
		ended(t, "the run", run.over)
		_, err := run.raft.Propose(within(t, 20*time.Second), []byte("late"), troupe.ExpectedTerm(run.term))
		if !errors.Is(err, troupe.ErrTermChanged) {
			t.Errorf("a proposal of the old term: %v", err)
		}
		next := j.next(t)
		if next.term <= run.term || next.node == run.node {
			t.Errorf("node %d in term %d, after node %d in term %d", next.node, next.term, run.node, run.term)
		}
		run = next
	}
	// A shutdown hands over first.
	if err := run.raft.Shutdown(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	ended(t, "the run of who has stopped", run.over)
	if next := j.next(t); next.term <= run.term || next.node == run.node {
		t.Errorf("node %d in term %d, after node %d in term %d", next.node, next.term, run.node, run.term)
	}
	if j.twice.Load() {
		t.Error("two ran at a time")
	}
}

// TestOnLeadingOfADrainedNode: all groups of the node stop their jobs, and others go on.
func TestOnLeadingOfADrainedNode(t *testing.T) {
	const groups = 10
	hub := inproc.NewHub()
	j := newJob()
	var nodes []*troupe.Node
	var list []troupe.Member
	var mine []*troupe.Raft
	for id := troupe.NodeID(1); id <= 3; id++ {
		list = append(list, troupe.At(id, address(id)))
		node, err := troupe.NewNode(troupe.NodeConfig{ID: id, Network: hub.Network(address(id)), Log: memory.New(id), Snapshots: memory.NewSnapshots()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(node.Kill)
		nodes = append(nodes, node)
		for g := range groups {
			raft, err := node.Start(t.Context(), j.on(troupe.Config{Group: troupe.GroupID(g + 1), StateMachine: &ledger{}, ElectionTimeout: time.Minute}))
			if err != nil {
				t.Fatal(err)
			}
			if id == 1 {
				mine = append(mine, raft)
			}
		}
	}
	for _, raft := range mine {
		if err := raft.Bootstrap(within(t, 60*time.Second), list...); err != nil {
			t.Fatal(err)
		}
	}
	var before []*jobRun
	for range groups {
		before = append(before, j.next(t))
	}
	if err := nodes[0].Drain(within(t, 60*time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, run := range before {
		ended(t, "the run of a drained node", run.over)
	}
	for range groups {
		if run := j.next(t); run.node == 1 || run.term < 2 {
			t.Errorf("group %d runs on node %d in term %d", run.raft.Group(), run.node, run.term)
		}
	}
	if j.twice.Load() {
		t.Error("two of a group ran at a time")
	}
}

// TestOnLeadingAlone: a single node runs the job as soon as it leads, which may be
// before Start has returned, and again after a restart. Its lease outlasts the test.
func TestOnLeadingAlone(t *testing.T) {
	j := newJob()
	c := formed(t, 1, j.on(slowElections()))
	m := c.members[0]
	first := j.next(t)
	if first.raft != m.raft || first.term == 0 {
		t.Errorf("%+v", first)
	}
	if err := m.raft.Shutdown(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	ended(t, "the run", first.over)
	if !errors.Is(context.Cause(first.ctx), troupe.ErrStopped) {
		t.Errorf("ended by %v", context.Cause(first.ctx))
	}
	m.store.Close()
	if err := m.store.Reopen(); err != nil {
		t.Fatal(err)
	}
	c.start(m, j.on(slowElections()))
	if again := j.next(t); again.term <= first.term {
		t.Errorf("term %d after term %d", again.term, first.term)
	}
	// One who leads nobody runs nothing, and knows no leader.
	lonely := newCluster(t, 1, j.on(slowElections()))
	if id, where, term := lonely.members[0].raft.Leader(); id != 0 || where != "" || term != 0 {
		t.Errorf("node %d at %q leads term %d", id, where, term)
	}
}

// TestOnLeadingOfACutOffLeader: it stops before others have elected somebody, though it
// does not know of that, and says why.
func TestOnLeadingOfACutOffLeader(t *testing.T) {
	j := newJob()
	c := formed(t, 3, j.on(config()))
	run := j.next(t)
	leader := c.leader()
	for run.node != leader.id { // a busy machine may have elected another meanwhile
		run, leader = j.next(t), c.leader()
	}
	for _, m := range c.members {
		if m != leader {
			c.hub.Cut(leader.id, m.id)
		}
	}
	ended(t, "the run of who was cut off", run.over)
	next := j.next(t)
	for next.node == run.node {
		next = j.next(t)
	}
	if next.term <= run.term || j.twice.Load() {
		t.Errorf("node %d in term %d, after term %d; two ran at a time: %v", next.node, next.term, run.term, j.twice.Load())
	}
}

// TestOnLeadingOfAnElectionByHand: the job runs on the node that somebody has elected.
func TestOnLeadingOfAnElectionByHand(t *testing.T) {
	j := newJob()
	c := formed(t, 3, j.on(config()))
	run := j.next(t)
	c.leader().raft.Kill()
	chosen := c.running()[0]
	for chosen.raft.Status().Role != troupe.RoleLeader {
		if err := chosen.raft.Elect(within(t, 20*time.Second)); err == nil {
			break
		}
		if id, _, _ := chosen.raft.Leader(); id != 0 && id != run.node { // the other was faster
			_ = chosen.raft.TransferLeadership(within(t, 20*time.Second), chosen.id)
		}
	}
	for next := j.next(t); ; next = j.next(t) {
		if next.term <= run.term {
			t.Errorf("term %d after term %d", next.term, run.term)
		}
		if next.node == chosen.id {
			break
		}
	}
	if j.twice.Load() {
		t.Error("two ran at a time")
	}
}

// TestOnLeadingReturnsByItself: nothing is called again in the term.
func TestOnLeadingReturnsByItself(t *testing.T) {
	j := newJob()
	j.does = func(*jobRun) {}
	c := formed(t, 2, j.on(slowElections()))
	run := j.next(t)
	ended(t, "the run", run.over)
	m := c.leader()
	if err := m.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.LeadingTerm == 0 }); err != nil {
		t.Fatal(err)
	}
	m.propose(t, "x") // the leader goes on
	select {
	case again := <-j.runs:
		t.Errorf("called again, in term %d", again.term)
	default:
	}
	if err := m.raft.TransferLeadership(within(t, 20*time.Second), 0); err != nil {
		t.Fatal(err)
	}
	if next := j.next(t); next.term <= run.term {
		t.Errorf("term %d after term %d", next.term, run.term)
	}
}

// TestOnLeadingThatDoesNotReturn holds up neither a transfer, nor writes, nor Shutdown
// beyond its context. It is told, and keeps only itself from being called.
func TestOnLeadingThatDoesNotReturn(t *testing.T) {
	j, release := newJob(), make(chan struct{})
	j.does = func(*jobRun) { <-release }
	var once sync.Once
	goOn := func() { once.Do(func() { close(release) }) }
	c := formed(t, 2, j.on(config()))
	defer goOn()
	run := j.next(t)
	m := c.members[run.node-1]
	overdue := make(chan troupe.Event, 1)
	ctx := within(t, 60*time.Second)
	events := m.raft.Events(ctx)
	go func() {
		for e := range events {
			if e.Kind == troupe.EventLeadingOverdue {
				overdue <- e
				return
			}
		}
	}()
	for m.raft.Status().Role == troupe.RoleLeader {
		if err := m.raft.TransferLeadership(within(t, 20*time.Second), 0); err != nil {
			t.Log(err) // a busy machine may have elected another meanwhile
		}
	}
	if s := m.raft.Status(); s.LeadingTerm != run.term || s.LeadingOverdue <= 0 {
		t.Errorf("the status says term %d, overdue for %v", s.LeadingTerm, s.LeadingOverdue)
	}
	m.propose(t, "written all the same")
	select {
	case e := <-overdue:
		if e.Term != run.term || e.Text == "" {
			t.Errorf("%v", e)
		}
	case <-ctx.Done():
		t.Error("nobody tells of it")
	}
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := m.raft.Shutdown(brief); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown says %v", err)
	}
	select {
	case <-m.raft.Done():
		t.Error("it has stopped, and the function runs")
	default:
	}
	goOn()
	if err := m.raft.Shutdown(within(t, 20*time.Second)); err != nil {
		t.Errorf("Shutdown afterwards: %v", err)
	}
}

// TestOnLeadingBreaks: a panic, or the end of its goroutine, ends the run alone, and is
// told loudly.
func TestOnLeadingBreaks(t *testing.T) {
	for name, test := range map[string]struct {
		does func(*jobRun)
		says string
	}{
		"panics":             {func(*jobRun) { panic("a job gone wrong") }, "it panicked: a job gone wrong"},
		"ends its goroutine": {func(*jobRun) { runtime.Goexit() }, "it ended its goroutine"},
	} {
		t.Run(name, func(t *testing.T) {
			j, log := newJob(), &logged{}
			j.does = test.does
			c := newCluster(t, 1, j.on(slowElections()), func(m *member) { m.logger = slog.New(slog.NewTextHandler(log, nil)) })
			m := c.members[0]
			told := make(chan troupe.Event, 1)
			events := m.raft.Events(within(t, 60*time.Second))
			go func() {
				for e := range events {
					if e.Kind == troupe.EventLeadingEnded {
						told <- e
						return
					}
				}
			}()
			if err := m.raft.Bootstrap(within(t, 20*time.Second), c.list()...); err != nil {
				t.Fatal(err)
			}
			run := j.next(t)
			if e := <-told; e.Term != run.term || e.Text != test.says {
				t.Errorf("%v", e)
			}
			m.propose(t, "the group goes on")
			if s := m.raft.Status(); s.Role != troupe.RoleLeader || s.LeadingTerm != 0 || s.Err != nil {
				t.Errorf("%+v", s)
			}
			m.raft.Kill()
			if len(j.runs) > 0 {
				t.Error("it was called again in its term")
			}
			said := log.String()
			if !strings.Contains(said, "level=ERROR") || !strings.Contains(said, test.says) || strings.Contains(said, "goroutine ") != (name == "panics") {
				t.Errorf("the log says\n%s", said)
			}
		})
	}
}

// TestKillWaitsForOnLeading: what has stopped runs nothing any more.
func TestKillWaitsForOnLeading(t *testing.T) {
	j := newJob()
	after := make(chan struct{})
	var returned atomic.Bool
	j.does = func(run *jobRun) {
		<-run.ctx.Done()
		<-after
		returned.Store(true)
	}
	c := formed(t, 1, j.on(config()))
	run := j.next(t)
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		c.members[0].raft.Kill()
		if !returned.Load() {
			t.Error("Kill returned before the function")
		}
	}()
	ended(t, "the context", run.ctx.Done())
	close(after)
	ended(t, "Kill", killed)
}
