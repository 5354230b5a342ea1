package actors

import (
	"context"
	"errors"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network/inproc"
)

// hungMachine applies nothing once it is told to hang.
type hungMachine struct {
	listMachine
	hangs, release chan struct{}
}

func (m *hungMachine) Apply(ctx context.Context, entries []core.Entry) ([][]byte, error) {
	for _, e := range entries {
		if string(e.Data) == "hang" {
			close(m.hangs)
			<-m.release
		}
	}
	return m.listMachine.Apply(ctx, entries)
}

// hungGroup is a group of one voter whose Apply hangs until release is called.
func hungGroup(t *testing.T, configure func(*GroupConfig)) (g *Group, release func()) {
	t.Helper()
	m := &hungMachine{hangs: make(chan struct{}), release: make(chan struct{})}
	h := newHost(t, inproc.NewHub(), 1, configure)
	h.start()
	g = h.startGroup(2, m)
	if err := bootstrap(t, g, patience, members(1)...); err != nil {
		t.Fatal(err)
	}
	g.Propose(&Proposal{Data: []byte("hang"), Completed: func(*Proposal) {}})
	await(t, m.hangs, "Apply to hang")
	return g, func() { close(m.release) }
}

// TestReadsGivenUpAreBounded: however many give up while Apply hangs, the actors keep no
// more than have room, and room comes back when Apply returns.
func TestReadsGivenUpAreBounded(t *testing.T) {
	const most = 8
	g, release := hungGroup(t, func(c *GroupConfig) { c.InflightProposalsMax = most })
	next := g.StatusToRead().Last + 1
	giveUp := func(r *Read) {
		t.Helper()
		ended := make(chan struct{})
		r.Completed = func(*Read) { close(ended) }
		g.ReadIndex(r)
		g.CancelRead(r)
		await(t, ended, "a read to be given up")
		if !errors.Is(r.Err, context.Canceled) {
			t.Fatalf("it is told %v", r.Err)
		}
	}
	for range 20 * most {
		giveUp(&Read{Mode: ReadAtLeast, AtLeast: next, WaitForRoom: true})
	}
	held, bytes, waiting := g.reads.Figures()
	if held > most || bytes > most*readBytes || waiting != 0 {
		t.Errorf("%d reads of %d bytes are held, and %d wait; there is room for %d", held, bytes, waiting, most)
	}
	// Each is there with its request and its cancellation.
	if items := g.apply.inbox.Drain(); len(items) > 2*most+1 {
		t.Errorf("%d messages wait for the apply actor", len(items))
	} else {
		for _, item := range items {
			g.apply.inbox.Put(item, true)
		}
	}
	refused := &Read{Mode: ReadAtLeast, AtLeast: next, Completed: func(*Read) {}}
	if g.ReadIndex(refused); !errors.Is(refused.Err, core.ErrOverloaded) {
		t.Errorf("without room one that does not wait is told %v", refused.Err)
	}
	waits, served := &Read{Mode: ReadAtLeast, AtLeast: 1, WaitForRoom: true}, make(chan struct{})
	waits.AtLeast = next - 1 // of the entry whose Apply hangs
	waits.Completed = func(*Read) { close(served) }
	g.ReadIndex(waits)
	release()
	await(t, served, "a read that has waited for room")
	if waits.Err != nil {
		t.Errorf("it is told %v", waits.Err)
	}
	stopped := make(chan struct{})
	g.Stop(func(error) { close(stopped) })
	await(t, stopped, "the group to stop")
	if held, _, waiting := g.reads.Figures(); held != 0 || waiting != 0 {
		t.Errorf("at the end %d reads are held and %d wait", held, waiting)
	}
}

// TestReadsEndWithoutRoom: those that wait for room are answered when their group ends.
func TestReadsEndWithoutRoom(t *testing.T) {
	g, release := hungGroup(t, func(c *GroupConfig) { c.InflightProposalsMax = 2 })
	var answers []chan error
	for range 6 {
		answer := make(chan error, 1)
		g.ReadIndex(&Read{Mode: ReadAtLeast, AtLeast: 1000, WaitForRoom: true, Completed: func(r *Read) { answer <- r.Err }})
		answers = append(answers, answer)
	}
	g.Abandon()
	for _, answer := range answers {
		if err := <-answer; !errors.Is(err, core.ErrStopped) {
			t.Errorf("told %v", err)
		}
	}
	release()
	await(t, g.Done(), "the end")
	if held, _, waiting := g.reads.Figures(); held != 0 || waiting != 0 {
		t.Errorf("at the end %d reads are held and %d wait", held, waiting)
	}
	late := &Read{WaitForRoom: true, Completed: func(*Read) {}}
	if g.ReadIndex(late); !errors.Is(late.Err, core.ErrStopped) {
		t.Errorf("after the end: %v", late.Err)
	}
}

// TestRequestOfReadsGivenUp: a request goes with the last of its reads.
func TestRequestOfReadsGivenUp(t *testing.T) {
	r := newCoreRig(t)
	var reads []*Read
	begin := func(n int) {
		for range n {
			read := &Read{Completed: func(*Read) {}}
			read.reset(nil, stageRoom)
			r.core.underWay.Acquire(&read.room, read, readBytes, false)
			read.stage.Store(stageCore)
			reads = append(reads, read)
			r.core.put(read)
		}
		r.turn()
	}
	r.core.changed.Leader = 2
	begin(2)
	begin(1)
	if len(r.core.reads.asked) != 2 {
		t.Fatalf("%d requests are under way, want 2", len(r.core.reads.asked))
	}
	for i, left := range []int{2, 1, 0} {
		r.turn(&cancelRead{reads[i]})
		if len(r.core.reads.asked) != left {
			t.Errorf("after %d of the reads have gone %d requests are left, want %d", i+1, len(r.core.reads.asked), left)
		}
	}
	late := &Read{Completed: func(*Read) {}}
	late.stage.Store(stageDone)
	r.turn(late)
	if len(r.core.reads.asked) != 0 {
		t.Error("a read that was given up before it came is asked for")
	}
	if held, _ := r.core.underWay.Inflight(); held != 0 {
		t.Errorf("%d reads hold room", held)
	}
}
