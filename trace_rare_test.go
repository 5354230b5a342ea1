package troupe_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// TestTracesOfAFormation asserts the traces of what a cluster does before its
// first write: recovery, elections, bootstrap; and that no write was sampled.
func TestTracesOfAFormation(t *testing.T) {
	c := newTraced(t, 3, slowElections(), nobody)
	c.form(t)
	c.leader().propose(t, "not sampled")
	spans := c.stop(t)
	inTable(t, spans)
	count := make(map[string]int)
	for _, s := range spans {
		count[s.Name]++
		switch s.Name {
		case "raft.recover":
			if !eventsAre(s, "raft.recover.promise", "raft.recover.log", "raft.recover.snapshot", "raft.recover.machine") || s.Failed {
				t.Errorf("raft.recover says %+v", s)
			}
		case "raft.bootstrap":
			if s.Attributes["raft.members"] != int64(3) || !eventsAre(s, "raft.begun") || s.Failed || s.Instance != "1" {
				t.Errorf("raft.bootstrap says %+v", s)
			}
		case "raft.election":
			if s.Attributes["raft.term"] == nil || s.Attributes["raft.outcome"] == nil {
				t.Errorf("raft.election says %+v", s)
			}
		}
	}
	if count["raft.recover"] != 3 || count["raft.bootstrap"] != 1 || count["raft.election"] == 0 {
		t.Errorf("the spans are %v", count)
	}
	for name := range count {
		if name != "raft.recover" && name != "raft.bootstrap" && name != "raft.election" && name != "raft.vote" {
			t.Errorf("there is a %s", name)
		}
	}
}

// logged is what a node writes to its log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestTraceOfAnElection asserts the tree of an election that a lost leader made
// necessary, over the nodes, and that the lines of the log name it.
func TestTraceOfAnElection(t *testing.T) {
	var log logged
	c := newTraced(t, 3, config(), nobody, func(m *member) { m.logger = slog.New(slog.NewTextHandler(&log, nil)) })
	c.form(t)
	old, voter := c.leader(), c.follower()
	// Else both might campaign at once, and neither would win the first time.
	if err := voter.raft.PauseElections(within(t, 20*time.Second), true); err != nil {
		t.Fatal(err)
	}
	old.raft.Kill()
	elected := c.leader()
	spans, err := c.collector.Wait(within(t, 20*time.Second), func(spans []span) bool { return len(won(spans, elected.id)) > 0 })
	if err != nil {
		t.Fatal(err)
	}
	election := won(spans, elected.id)[0]
	vote := fmt.Sprintf("  raft.vote server at %d peer %d\n", voter.id, elected.id)
	want := fmt.Sprintf("raft.election internal at %d won\n", elected.id) + vote + vote
	if spans, err = c.collector.Wait(within(t, 20*time.Second), func(spans []span) bool { return draw(spans, election.TraceID) == want }); err != nil {
		t.Errorf("%v: got\n%swant\n%s", err, draw(spans, election.TraceID), want)
	}
	var asked []bool
	for _, s := range spans {
		if s.TraceID != election.TraceID || s.Name != "raft.vote" {
			continue
		}
		asked = append(asked, s.Attributes["raft.vote.pre"] == true)
		if s.Attributes["raft.vote.granted"] != true || s.Attributes["raft.reason"] != nil || s.Attributes["raft.term"] != int64(elected.raft.Status().Term) {
			t.Errorf("raft.vote says %v", s.Attributes)
		}
	}
	if len(asked) != 2 || asked[0] == asked[1] {
		t.Errorf("the voter was asked, pre or not: %v", asked)
	}
	if election.Attributes["raft.term"] != int64(elected.raft.Status().Term) {
		t.Errorf("the election says %v, the term is %d", election.Attributes, elected.raft.Status().Term)
	}
	votes, pre, campaigns := 0, 0, 0
	for _, e := range election.Events {
		switch {
		case e.Name == "raft.campaign":
			campaigns++
		case e.Attributes["raft.vote.granted"] == true && e.Attributes["raft.vote.pre"] == true:
			pre++
		case e.Attributes["raft.vote.granted"] == true:
			votes++
		}
	}
	if votes != 1 || pre != 1 || campaigns != 1 {
		t.Errorf("the election has the events %+v", election.Events)
	}
	term := elected.raft.Status().Term
	inTable(t, c.stop(t))
	// The lines are written by an actor that nobody waits for, but the end of the node.
	line := regexp.MustCompile(`(?m)^.*msg=elected.* term=` + fmt.Sprint(term) + ` .*trace_id=` + election.TraceID + ` span_id=` + election.SpanID)
	if !line.MatchString(log.String()) {
		t.Errorf("no line of the log names the trace %s:\n%s", election.TraceID, log.String())
	}
}

// TestTraceOfATransfer asserts the tree of a transfer that one node is asked for, another
// carries out and a third wins, and that it is under the caller's span.
func TestTraceOfATransfer(t *testing.T) {
	c := newTraced(t, 3, slowElections(), nobody)
	c.form(t)
	leader, asked := c.leader(), c.follower()
	target := c.members[slices.IndexFunc(c.members, func(m *member) bool { return m != leader && m != asked })]
	ctx, id := sampledCaller(within(t, 20*time.Second), true)
	if err := asked.raft.TransferLeadership(ctx, target.id); err != nil {
		t.Fatal(err)
	}
	// One that fails says why.
	again, failedID := sampledCaller(within(t, 20*time.Second), true)
	if err := asked.raft.TransferLeadership(again, 9); err == nil {
		t.Fatal("to nobody")
	}
	votes := fmt.Sprintf("      raft.vote server at %d peer %d\n", min(leader.id, asked.id), target.id) +
		fmt.Sprintf("      raft.vote server at %d peer %d\n", max(leader.id, asked.id), target.id)
	want := fmt.Sprintf("raft.transfer internal at %d peer %d\n  raft.transfer.lead internal at %d peer %d\n    raft.election internal at %d won\n",
		asked.id, target.id, leader.id, target.id, target.id) + votes
	c.wait(t, []string{id}, want)
	for _, s := range c.collector.Spans() {
		told := eventsAre(s, "raft.told")
		if s.Name == "raft.transfer.lead" && (!told || s.Failed) {
			t.Errorf("the leader's part says %+v", s)
		}
		if s.Name == "raft.transfer" && s.TraceID == id && (s.Failed || s.Attributes["raft.term"] != int64(target.raft.Status().Term)) {
			t.Errorf("the asked node's part says %+v", s)
		}
	}
	spans := c.stop(t)
	inTable(t, spans)
	failed := 0
	for _, s := range spans {
		if s.TraceID == failedID && s.Name == "raft.transfer" && s.Failed {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d failed transfers", failed)
	}
}

// TestTraceOfOnLeading: a run is a trace of its own, which tells why its context ended,
// and fails if it panicked.
func TestTraceOfOnLeading(t *testing.T) {
	j := newJob()
	var runs atomic.Int64
	j.does = func(run *jobRun) {
		if runs.Add(1) == 3 {
			panic("a job gone wrong")
		}
		<-run.ctx.Done()
	}
	c := newTraced(t, 2, j.on(slowElections()), nobody)
	c.form(t)
	run := j.next(t)
	if err := run.raft.TransferLeadership(within(t, 20*time.Second), 0); err != nil {
		t.Fatal(err)
	}
	ended(t, "the run", run.over)
	j.next(t)
	if err := run.raft.TransferLeadership(within(t, 20*time.Second), run.node); err != nil {
		t.Fatal(err)
	}
	ended(t, "the run that breaks", j.next(t).over) // it begins when all is applied, and not with the transfer
	spans := c.stop(t)
	inTable(t, spans)
	ends := map[bool]int{}
	for _, s := range spans {
		if s.Name != "raft.leading" {
			continue
		}
		ends[s.Failed]++
		if s.ParentID != "" || s.Attributes["raft.term"] == nil || !s.Failed && (!eventsAre(s, "raft.context.ended") || s.Events[0].Attributes["raft.reason"] == "") {
			t.Errorf("%+v", s)
		}
	}
	if ends[false] != 2 || ends[true] != 1 {
		t.Errorf("%d runs, and %d that failed", ends[false], ends[true])
	}
}

// TestTraceOfAChange asserts the tree of a change that one node is asked for and another
// leads, and that each configuration on the way is an event.
func TestTraceOfAChange(t *testing.T) {
	c := newTraced(t, 3, slowElections(), nobody)
	c.form(t)
	leader, asked := c.leader(), c.follower()
	gone := c.members[slices.IndexFunc(c.members, func(m *member) bool { return m != leader && m != asked })]
	ctx, id := sampledCaller(within(t, 20*time.Second), true)
	if _, err := asked.raft.ChangeMembers(ctx, []troupe.Change{troupe.Remove(gone.id)}); err != nil {
		t.Fatal(err)
	}
	again, failedID := sampledCaller(within(t, 20*time.Second), true)
	if _, err := asked.raft.ChangeMembers(again, []troupe.Change{troupe.Promote(leader.id)}); err == nil {
		t.Fatal("of a voter")
	}
	c.wait(t, []string{id}, fmt.Sprintf("raft.change internal at %d\n  raft.change.lead internal at %d\n", asked.id, leader.id))
	spans := c.stop(t)
	inTable(t, spans)
	failed := 0
	for _, s := range spans {
		switch {
		case s.Name == "raft.change.lead" && s.TraceID == id:
			if !eventsAre(s, "raft.configuration") || s.Failed || s.Attributes["raft.changes"] == nil {
				t.Errorf("the leader's part says %+v", s)
			}
		case s.Name == "raft.change" && s.TraceID == id:
			if s.Failed || s.Attributes["raft.changes"] != fmt.Sprintf("remove %d", gone.id) || s.Attributes["raft.change.id"] == nil {
				t.Errorf("the asked node's part says %+v", s)
			}
		case s.Name == "raft.change" && s.TraceID == failedID && s.Failed:
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d failed changes", failed)
	}
}

func won(spans []span, node troupe.NodeID) []span {
	return slices.DeleteFunc(slices.Clone(spans), func(s span) bool {
		return s.Name != "raft.election" || s.Instance != fmt.Sprint(node) || s.Attributes["raft.outcome"] != "won"
	})
}

// TestTraceOfARead asserts the tree of a sampled read, on the leader and on
// followers, and that the leader's part names who has confirmed that it leads.
func TestTraceOfARead(t *testing.T) {
	c := newTraced(t, 3, slowElections(), nobody)
	c.form(t)
	leader := c.leader()
	var traces, want []string
	for _, m := range c.members {
		ctx, id := sampledCaller(within(t, 20*time.Second), true)
		if _, err := m.raft.ReadIndex(ctx, troupe.Linearizable); err != nil {
			t.Fatal(err)
		}
		traces = append(traces, id)
		tree := fmt.Sprintf("raft.read internal at %[1]d\n  raft.read.apply_wait internal at %[1]d\n  raft.read.confirm internal at %[1]d\n", m.id)
		if m != leader {
			tree += fmt.Sprintf("    raft.read.index server at %d peer %d\n", leader.id, m.id)
		}
		want = append(want, tree)
	}
	c.wait(t, traces, want...)
	for _, s := range c.collector.Spans() {
		if s.Name != "raft.read.confirm" && s.Name != "raft.read.index" {
			continue
		}
		confirmed := 0
		for _, e := range s.Events {
			if e.Name == "raft.confirmed" && e.Attributes["raft.peer"] != int64(leader.id) {
				confirmed++
			}
		}
		byLeader := s.Instance == fmt.Sprint(leader.id)
		if s.Attributes["raft.index"] == nil || byLeader != (confirmed > 0) || confirmed > 2 || len(s.Events) != confirmed {
			t.Errorf("%s at %s says %v, %v", s.Name, s.Instance, s.Attributes, s.Events)
		}
	}
}

// TestTraceOfALeaseRead asserts that a read which waits for nobody has the same tree,
// and says its mode.
func TestTraceOfALeaseRead(t *testing.T) {
	c := newTraced(t, 3, slowElections(), nobody)
	c.form(t)
	leader, follower := c.leader(), c.follower()
	err := leader.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Lease > 0 && s.Applied == s.Last })
	if err != nil {
		t.Fatal(err)
	}
	var traces, want []string
	for _, m := range []*member{leader, follower} {
		ctx, id := sampledCaller(within(t, 20*time.Second), true)
		if _, err := m.raft.ReadIndex(ctx, troupe.Lease); err != nil {
			t.Fatal(err)
		}
		traces = append(traces, id)
		tree := fmt.Sprintf("raft.read internal at %[1]d\n  raft.read.apply_wait internal at %[1]d\n  raft.read.confirm internal at %[1]d\n", m.id)
		if m != leader {
			tree += fmt.Sprintf("    raft.read.index server at %d peer %d\n", leader.id, m.id)
		}
		want = append(want, tree)
	}
	c.wait(t, traces, want...)
	for _, s := range c.collector.Spans() {
		if s.Name == "raft.read" && (s.Attributes["raft.mode"] != "lease" || s.Attributes["raft.index"] == nil) {
			t.Errorf("%s at %s says %v", s.Name, s.Instance, s.Attributes)
		}
	}
}

// TestTraceOfASnapshot asserts the trace of a snapshot that is sent to a member
// which was away for too long, over both nodes.
func TestTraceOfASnapshot(t *testing.T) {
	settings := config()
	settings.ElectionTimeout, settings.HoldBytesMax = 2*time.Second, troupe.Never // the leader stays, also beside other work
	settings.SnapshotEntries, settings.KeepEntries = 10, 1
	settings.CommandBytesMax, settings.LogCacheBytesMax = 256, 512 // memory does not make up for the log
	c := newTraced(t, 3, settings, nobody)
	c.form(t)
	leader, away := c.leader(), c.follower()
	away.raft.Kill()
	for i := range 40 {
		leader.propose(t, fmt.Sprint("write ", i))
	}
	if err := leader.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Purged > 20 }); err != nil {
		t.Fatal(err)
	}
	c.restart(away, settings)
	last := leader.raft.Status().Last
	if err := away.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Applied >= last }); err != nil {
		t.Fatal(err)
	}
	spans := c.stop(t)
	inTable(t, spans)
	want := fmt.Sprintf("raft.snapshot.send client at %[1]d peer %[2]d\n  raft.snapshot.receive server at %[2]d peer %[1]d\n    raft.snapshot.install internal at %[2]d\n", leader.id, away.id)
	var sent []string
	for _, id := range tracesOf(spans, "raft.snapshot.send") {
		sent = append(sent, draw(spans, id))
	}
	if !slices.Equal(sent, []string{want}) {
		t.Errorf("the transfers are %q, want %q", sent, want)
	}
	built := tracesOf(spans, "raft.snapshot.build")
	if len(built) == 0 {
		t.Error("no snapshot was built")
	}
	for _, s := range spans {
		if s.Name == "raft.snapshot.build" || s.Name == "raft.snapshot.receive" {
			if n, ok := s.Attributes["raft.snapshot.bytes"].(int64); !ok || n == 0 || s.Attributes["raft.index"] == nil {
				t.Errorf("%s says %v", s.Name, s.Attributes)
			}
		}
	}
}
