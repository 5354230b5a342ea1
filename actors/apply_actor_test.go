package actors

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/actors/stage/stagetest"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// work wakes an actor and lets it work until it has nothing to do.
func work(env *stagetest.Hand, s *stage.Shell) {
	s.Wake()
	env.Settle()
}

// entriesOf makes entries of a term from first to last, each of size bytes.
func entriesOf(term core.Term, first, last core.Index, size int) []core.Entry {
	var entries []core.Entry
	for i := first; i <= last; i++ {
		entries = append(entries, core.Entry{LogID: id(term, i), Kind: core.EntryCommand, Data: make([]byte, size-core.EntryOverheadBytes)})
	}
	return entries
}

func id(term core.Term, i core.Index) core.LogID { return core.LogID{Term: term, Index: i} }

// applyRig is an apply actor that a test steps by hand; nothing else of its
// group runs.
type applyRig struct {
	apply   *applyActor
	env     *stagetest.Hand
	net     *sentNetwork
	answers []string
}

// keepSnapshots gives the actor a snapshot store.
func (r *applyRig) keepSnapshots(store storage.SnapshotStore) {
	r.apply.files, r.apply.removal = store, snapshots.NewRemoval(store, 1, nil)
}

func newApplyRig(t *testing.T) *applyRig {
	r := &applyRig{env: stagetest.NewHand(), net: &sentNetwork{}}
	answers := &resultSender{bytesMax: 1 << 20, takes: takesAll, send: r.net.Send, header: func(to core.Identity) core.Header { return core.Header{Group: 1, To: to} }}
	files := memory.NewSnapshots()
	r.apply = newApplyActor(applyNeeds{
		home: home{Home: stage.Home{Env: r.env}}, group: 1, machine: &listMachine{}, ctx: t.Context(), work: t.Context(),
		memoryLog: memlog.New(1<<20, core.LogID{}, core.LogID{}, 0), store: memory.New(1), files: files, removal: snapshots.NewRemoval(files, 1, nil),
		admission: admission.New[*Proposal](admission.Limits{EntriesMax: 100, BytesMax: 1 << 20}, nil, nil), underWay: newReadRoom(1000, nil), readable: &readable{},
		answers: answers, core: &coreActor{inbox: coreInbox{Inbox: stage.Inbox[any]{Wake: func() {}}}},
		stopCause: func() error { return core.ErrStopped }, entriesMax: 100, bytesMax: 1 << 20,
	}, core.LogID{}, 0, core.ConfigurationAt{})
	r.keepSnapshots(memory.NewSnapshots())
	r.apply.inbox.Wake = func() {}
	r.apply.Start()
	return r
}

// handOver hands over proposals that were appended from first on.
func (r *applyRig) handOver(first core.LogID, n int, from core.Identity) {
	held := pendingProposals{first: first}
	at := first
	for range n {
		name := at.String()
		p := &Proposal{from: from, id: uint64(at.Index), Completed: func(p *Proposal) {
			r.answers = append(r.answers, fmt.Sprintf("%s: %s", name, outcome(p.Err)))
		}}
		r.apply.admission.Acquire(&p.room, p, 100, false)
		p.stage.Store(stageApply)
		held.proposals.push(p)
		at.Index++
	}
	r.apply.inbox.Put(applyItem{pending: held}, true)
}

func outcome(err error) string {
	var lost *core.LostError
	switch {
	case err == nil:
		return "applied"
	case errors.As(err, &lost):
		return "lost"
	case core.MayHaveHappened(err):
		return "unknown"
	}
	return "certainly not: " + err.Error()
}

func (r *applyRig) run() {
	work(r.env, &r.apply.Shell)
	for r.env.Calls() > 0 {
		r.env.Finish()
	}
}

func (r *applyRig) expect(t *testing.T, want ...string) {
	t.Helper()
	if g, w := strings.Join(r.answers, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("answers:\n%s\nwant:\n%s", g, w)
	}
	r.answers = nil
}

func TestPendingProposalsAreDecidedByWhatIsApplied(t *testing.T) {
	r := newApplyRig(t)
	// This node led term 1 and appended 2, 3 and 5; another leader of term 2 kept
	// 2 and 3 and put its own entry at 4; then this node led term 3.
	r.handOver(id(1, 2), 2, core.Identity{})
	r.handOver(id(1, 5), 1, core.Identity{})
	r.handOver(id(3, 6), 2, core.Identity{})
	log := entriesOf(1, 1, 3, 100)
	log = append(log, entriesOf(2, 4, 5, 100)...)
	log = append(log, entriesOf(3, 6, 7, 100)...)
	r.apply.memoryLog.Submit(&core.Write{IOID: 1, Append: log})

	r.apply.inbox.Put(applyItem{upTo: 3}, true)
	r.run()
	r.expect(t, "1.2: applied", "1.3: applied")
	r.apply.inbox.Put(applyItem{upTo: 4}, true)
	r.run()
	r.expect(t, "1.5: lost")
	r.apply.inbox.Put(applyItem{upTo: 6}, true)
	r.run()
	r.expect(t, "3.6: applied")
	if n, _ := r.apply.admission.Inflight(); n != 1 {
		t.Errorf("room for %d proposals is out, want 1", n)
	}
	r.apply.finish()
	r.expect(t, "3.7: unknown")
	if n, b := r.apply.admission.Inflight(); n != 0 || b != 0 {
		t.Errorf("room for %d proposals, %d bytes is out", n, b)
	}
}

// TestSlotIsOfATerm: an entry of an older term may come to stand where this node has
// appended its own: a leader of a newer term has it, and brings it along. It is not
// what was proposed here, which is lost when an entry of that term is applied.
func TestSlotIsOfATerm(t *testing.T) {
	r := newApplyRig(t)
	r.handOver(id(3, 5), 2, core.Identity{})
	r.apply.memoryLog.Submit(&core.Write{IOID: 1, Append: append(entriesOf(1, 1, 6, 100), entriesOf(4, 7, 7, 100)...)})
	r.apply.inbox.Put(applyItem{upTo: 6}, true)
	r.run()
	r.expect(t)
	r.apply.inbox.Put(applyItem{upTo: 7}, true)
	r.run()
	r.expect(t, "3.5: lost", "3.6: lost")
}

func TestPendingProposalsThatASnapshotOvertakes(t *testing.T) {
	r := newApplyRig(t)
	r.handOver(id(1, 2), 2, core.Identity{})
	r.handOver(id(2, 9), 3, core.Identity{})
	r.apply.accept(applyItem{})
	for _, item := range r.apply.inbox.Take() {
		r.apply.accept(item)
	}
	r.apply.settleJump(id(2, 10))
	r.expect(t, "1.2: unknown", "1.3: unknown", "2.9: unknown", "2.10: unknown")
	r.apply.settleJump(id(3, 10))
	r.expect(t, "2.11: lost")
	if n, _ := r.apply.admission.Inflight(); n != 0 {
		t.Errorf("room for %d proposals is out", n)
	}
}

func TestForwardedResultsAreBatched(t *testing.T) {
	r := newApplyRig(t)
	a, b := core.Identity{ID: 2, Incarnation: 2}, core.Identity{ID: 3, Incarnation: 3}
	r.handOver(id(1, 1), 2, a)
	r.handOver(id(1, 3), 1, b)
	r.handOver(id(1, 4), 1, a)
	r.apply.memoryLog.Submit(&core.Write{IOID: 1, Append: entriesOf(1, 1, 4, 100)})
	r.apply.inbox.Put(applyItem{upTo: 4}, true)
	r.run()
	var got []string
	for _, m := range r.net.sent {
		p := m.(*core.ProposeResponse)
		text := fmt.Sprintf("to %d:", p.To.ID)
		for _, result := range p.Results {
			text += fmt.Sprintf(" %d=%d", result.ID, result.Code)
		}
		got = append(got, text)
	}
	if want := "to 2: 1=1 2=1 4=1|to 3: 3=1"; strings.Join(got, "|") != want {
		t.Errorf("sent %q, want %q", strings.Join(got, "|"), want)
	}
	if n, _ := r.apply.admission.Inflight(); n != 0 {
		t.Errorf("room for %d proposals is out", n)
	}
}

func TestReadsWaitForTheirIndex(t *testing.T) {
	r := newApplyRig(t)
	r.apply.memoryLog.Submit(&core.Write{IOID: 1, Append: entriesOf(1, 1, 4, 100)})
	wait := func(index core.Index) *Read {
		read := &Read{Completed: func(read *Read) {
			r.answers = append(r.answers, fmt.Sprintf("read %d at %d, current at %d", read.Index, r.apply.applied.Index, r.apply.readable.current.Load()))
		}}
		r.apply.underWay.Acquire(&read.room, read, readBytes, false)
		read.stage.Store(stageApply)
		batch := readBatch{index: index, since: core.Instant(10 * index)}
		batch.reads.push(read)
		r.apply.serve(batch)
		return read
	}
	wait(3)
	wait(0)
	wait(2)
	r.run()
	r.expect(t, "read 0 at 0, current at 0")
	r.apply.entriesMax = 1
	// Of those that were cancelled few are kept until their index comes.
	for range 10 * sweepMin {
		read := wait(9)
		read.Completed = func(*Read) {}
		r.apply.underWay.cancelServed(r.apply, read)
	}
	r.apply.inbox.Put(applyItem{upTo: 4}, true)
	r.run()
	r.expect(t, "read 2 at 2, current at 20", "read 3 at 3, current at 30")
	if len(r.apply.reads) > sweepMin {
		t.Errorf("%d reads are kept", len(r.apply.reads))
	}
	// The state was current when the read was asked for, and an older one brings
	// nothing back.
	wait(2)
	r.run()
	r.expect(t, "read 2 at 4, current at 30")
}

// TestErrorsSurviveTheWire: what a forwarded proposal is told means the same as
// what a local one is told.
func TestErrorsSurviveTheWire(t *testing.T) {
	for _, err := range []error{
		core.ErrOverloaded, core.ErrTermChanged, &core.LostError{LogID: id(1, 2)}, &core.TooLargeError{Size: 5, Max: 4},
		&core.UnknownOutcomeError{Cause: core.ErrStopped}, &core.UnknownOutcomeError{Cause: &core.FatalError{Cause: errors.New("disk")}},
	} {
		r := resultOf(1, id(1, 2), nil, err)
		back := forwardedError(&r, 5, 4)
		if fmt.Sprintf("%T", back) != fmt.Sprintf("%T", err) || core.MayHaveHappened(back) != core.MayHaveHappened(err) {
			t.Errorf("%v (%T) came back as %v (%T)", err, err, back, back)
		}
	}
	for _, err := range []error{core.ErrStopped, &core.FatalError{Cause: errors.New("disk")}} {
		if r := resultOf(1, core.LogID{}, nil, err); r.Code != core.ResultStopped {
			t.Errorf("%v: code %d", err, r.Code)
		}
	}
	for _, err := range []error{core.ErrNotReady, &core.NotLeaderError{Leader: membership.NodeID(2)}} {
		if r := resultOf(1, core.LogID{}, nil, err); r.Code != core.ResultNotLeader {
			t.Errorf("%v: code %d", err, r.Code)
		}
	}
}
