package disk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/actors/stage/stagetest"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// sentNetwork notes what is sent.
type sentNetwork struct {
	mu   sync.Mutex
	sent []core.Message
}

func (n *sentNetwork) Send(m core.Message) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = append(n.sent, m)
	return true
}

func (n *sentNetwork) SetCluster(membership.GroupID, core.ClusterID) {}

// entriesOf makes entries of a term from first to last, each of size bytes.
func entriesOf(term core.Term, first, last core.Index, size int) []core.Entry {
	var entries []core.Entry
	for i := first; i <= last; i++ {
		entries = append(entries, core.Entry{LogID: id(term, i), Kind: core.EntryCommand, Data: make([]byte, size-core.EntryOverheadBytes)})
	}
	return entries
}

func id(term core.Term, i core.Index) core.LogID { return core.LogID{Term: term, Index: i} }

// scriptedStore notes the batches, with narrow limits.
type scriptedStore struct {
	*memory.Store
	limits  storage.Limits
	batches []string
	onWrite func(n int) error
}

func (s *scriptedStore) Limits() storage.Limits { return s.limits }

func (s *scriptedStore) Write(ctx context.Context, b *storage.Batch) error {
	var ops []string
	for _, op := range b.Operations {
		text := fmt.Sprintf("group %d", op.Group)
		if op.HardState != nil {
			text += fmt.Sprintf(" vote %d", op.HardState.Term)
		}
		if op.Reset.Index != 0 {
			text += fmt.Sprintf(" reset %d", op.Reset.Index)
		}
		if op.TruncateFrom != 0 {
			text += fmt.Sprintf(" truncate %d", op.TruncateFrom)
		}
		if n := len(op.Append); n > 0 {
			text += fmt.Sprintf(" append %d-%d", op.Append[0].Index, op.Append[n-1].Index)
		}
		if op.Purge.Index != 0 {
			text += fmt.Sprintf(" purge %d", op.Purge.Index)
		}
		ops = append(ops, text)
	}
	s.batches = append(s.batches, strings.Join(ops, "; "))
	if s.onWrite != nil {
		if err := s.onWrite(len(s.batches)); err != nil {
			return err
		}
	}
	return s.Store.Write(ctx, b)
}

// logRig is a log actor that a test steps by hand: calls end when it says so.
type logRig struct {
	env     *stagetest.Hand
	store   *scriptedStore
	net     *sentNetwork
	actor   *LogActor
	logs    map[membership.GroupID]*GroupLog
	flushed []string
	lost    error
}

func newLogRig(limits storage.Limits) *logRig {
	r := &logRig{env: stagetest.NewHand(), net: &sentNetwork{}, logs: map[membership.GroupID]*GroupLog{}}
	r.store = &scriptedStore{Store: memory.New(1), limits: limits}
	r.actor = NewLogActor(LogNeeds{
		Env: r.env, Store: r.store, Network: r.net, Exclusive: func(f func() error) error { return f() },
		StoreFailed: func(err error) { r.lost = err }, Ended: func() {},
	})
	r.actor.inbox.Wake = func() {}
	r.actor.Start()
	return r
}

func (r *logRig) write(group membership.GroupID, w core.Write) {
	g := r.logs[group]
	if g == nil {
		g = &GroupLog{Group: group, MemoryLog: memlog.New(1<<30, core.LogID{}, core.LogID{}, 0)}
		g.Flushed = func(id core.IOID) { r.flushed = append(r.flushed, fmt.Sprintf("%d:%d", group, id)) }
		r.logs[group] = g
	}
	g.MemoryLog.Submit(&w)
	r.actor.Write(g, &w)
}

// work lets the actor work until it has nothing to do.
func (r *logRig) work() {
	r.actor.Wake()
	r.env.Settle()
}

// run carries out the calls until there is none.
func (r *logRig) run() {
	r.work()
	for r.env.Calls() > 0 {
		r.env.Finish()
	}
}

func (r *logRig) expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("%s:\n%s\nwant:\n%s", what, g, w)
	}
}

var wide = storage.Limits{EntryBytesMax: 1 << 20, BatchBytesMax: 1 << 20, BatchEntriesMax: 1000}

func TestLogActorCoalescesAndKeepsOrder(t *testing.T) {
	r := newLogRig(wide)
	r.write(1, core.Write{IOID: 1, Append: entriesOf(1, 1, 2, 100)})
	r.write(1, core.Write{IOID: 2, Append: entriesOf(1, 3, 4, 100)})
	r.write(1, core.Write{IOID: 3, Then: []core.Message{&core.AppendResponse{Match: 4}}})
	r.write(2, core.Write{IOID: 1, Append: entriesOf(1, 1, 1, 100)})
	r.write(1, core.Write{IOID: 4, TruncateFrom: 4, Append: entriesOf(2, 4, 5, 100)})
	r.write(1, core.Write{IOID: 5, SaveHardState: true, HardState: core.HardState{Term: 3}})
	r.write(1, core.Write{IOID: 6, Append: entriesOf(3, 6, 6, 100), Purge: id(1, 2)})
	r.run()
	// Group 1 saves a vote: it goes first. Its order stays: the truncation has an
	// operation of its own, what follows joins it.
	r.expect(t, "batches", r.store.batches, "group 1 append 1-4; group 1 vote 3 truncate 4 append 4-6 purge 2; group 2 append 1-1")
	r.expect(t, "flushed", r.flushed, "1:6", "2:1")
	if len(r.net.sent) != 1 {
		t.Errorf("%d messages were released, want 1", len(r.net.sent))
	}
}

func TestLogActorReleasesOnlyWhatIsDurable(t *testing.T) {
	r := newLogRig(wide)
	answer := func(n core.Index) []core.Message { return []core.Message{&core.AppendResponse{Match: n}} }
	r.write(1, core.Write{IOID: 1, Append: entriesOf(1, 1, 1, 100), Then: answer(1)})
	r.work()
	r.write(1, core.Write{IOID: 2, Append: entriesOf(1, 2, 2, 100), Then: answer(2)})
	r.work()
	if len(r.net.sent) != 0 || len(r.flushed) != 0 || r.env.Calls() != 1 {
		t.Fatalf("%d sent, %v flushed, %d calls before the first write is durable", len(r.net.sent), r.flushed, r.env.Calls())
	}
	r.env.Finish()
	if len(r.net.sent) != 1 || len(r.flushed) != 1 {
		t.Fatalf("%d sent, %v flushed after the first write", len(r.net.sent), r.flushed)
	}
	r.run()
	r.expect(t, "flushed", r.flushed, "1:1", "1:2")
	// An answer alone needs no write.
	r.write(1, core.Write{IOID: 3, Then: answer(2)})
	r.run()
	r.expect(t, "batches", r.store.batches, "group 1 append 1-1", "group 1 append 2-2")
	r.expect(t, "flushed", r.flushed, "1:1", "1:2", "1:3")
	if len(r.net.sent) != 3 {
		t.Errorf("%d sent, want 3", len(r.net.sent))
	}
}

func TestLogActorSplits(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits storage.Limits
		want   []string
	}{
		{"by entries", storage.Limits{EntryBytesMax: 100, BatchBytesMax: 10000, BatchEntriesMax: 4},
			[]string{"group 1 vote 1 append 1-4", "group 1 append 5-8", "group 1 append 9-10 purge 1"}},
		{"by bytes", storage.Limits{EntryBytesMax: 100, BatchBytesMax: 500, BatchEntriesMax: 100},
			[]string{"group 1 vote 1 append 1-5", "group 1 append 6-10 purge 1"}},
		{"one at a time", storage.Limits{EntryBytesMax: 100, BatchBytesMax: 50, BatchEntriesMax: 100},
			[]string{"group 1 vote 1 append 1-1", "group 1 append 2-2", "group 1 append 3-3", "group 1 append 4-4", "group 1 append 5-5",
				"group 1 append 6-6", "group 1 append 7-7", "group 1 append 8-8", "group 1 append 9-9", "group 1 append 10-10 purge 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newLogRig(test.limits)
			r.write(1, core.Write{IOID: 1, SaveHardState: true, HardState: core.HardState{Term: 1}, Append: entriesOf(1, 1, 10, 100), Purge: id(1, 1),
				Then: []core.Message{&core.AppendResponse{}}})
			r.work()
			for n := 1; r.env.Calls() > 0; n++ {
				if len(r.net.sent) != 0 || len(r.flushed) != 0 {
					t.Errorf("a split write is durable with its last part, not after part %d", n-1)
				}
				r.env.Finish()
			}
			r.expect(t, "batches", r.store.batches, test.want...)
			r.expect(t, "flushed", r.flushed, "1:1")
			if len(r.net.sent) != 1 {
				t.Errorf("%d sent", len(r.net.sent))
			}
		})
	}
}

func TestLogActorSharesABatch(t *testing.T) {
	r := newLogRig(storage.Limits{EntryBytesMax: 100, BatchBytesMax: 1000, BatchEntriesMax: 100})
	r.write(1, core.Write{IOID: 1, Append: entriesOf(1, 1, 20, 100)})
	r.write(2, core.Write{IOID: 1, Append: entriesOf(1, 1, 3, 100)})
	r.write(3, core.Write{IOID: 1, SaveHardState: true, HardState: core.HardState{Term: 2}})
	r.run()
	// The vote is first; group 2 has its share beside the many of group 1, which
	// takes what is left.
	r.expect(t, "batches", r.store.batches,
		"group 3 vote 2; group 1 append 1-7; group 2 append 1-3",
		"group 1 append 8-17", "group 1 append 18-20")
	r.expect(t, "flushed", r.flushed, "3:1", "2:1", "1:1")
}

// TestOnlyCommandsCountAsWrites: beside a snapshot that is sent it is clients that wait. The
// configuration that brings its receiver in is no such write.
func TestOnlyCommandsCountAsWrites(t *testing.T) {
	for _, kind := range []core.EntryKind{core.EntryBlank, core.EntryConfiguration, core.EntryCommand} {
		r := newLogRig(wide)
		r.write(1, core.Write{IOID: 1, Append: []core.Entry{{LogID: id(1, 1), Kind: kind}}})
		r.run()
		if at := r.actor.CommandsAt(); at != 0 != (kind == core.EntryCommand) {
			t.Errorf("after a %v commands were written at %v", kind, at)
		}
	}
}

func TestLogActorFailedWriteReleasesNothing(t *testing.T) {
	for name, fault := range map[string]func(int) error{
		"error": func(int) error { return errors.New("the disk is gone") },
		"panic": func(int) error { panic(errors.New("the disk is gone")) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newLogRig(wide)
			r.store.onWrite = fault
			r.write(1, core.Write{IOID: 1, Append: entriesOf(1, 1, 1, 100), Then: []core.Message{&core.AppendResponse{}}})
			r.write(2, core.Write{IOID: 1, Then: []core.Message{&core.AppendResponse{}}})
			r.run()
			r.write(1, core.Write{IOID: 2, Append: entriesOf(1, 2, 2, 100)})
			left := 0
			r.actor.Leave(r.logs[1], true, func() { left++ })
			r.run()
			if r.lost == nil || !strings.Contains(r.lost.Error(), "the disk is gone") {
				t.Errorf("the cause is %v", r.lost)
			}
			if len(r.store.batches) != 1 || len(r.net.sent) != 0 || len(r.flushed) != 0 {
				t.Errorf("%d batches, %d sent, %v flushed after a failed write", len(r.store.batches), len(r.net.sent), r.flushed)
			}
			if left != 1 {
				t.Errorf("the group left %d times", left)
			}
		})
	}
}

func TestLogActorLetsAGroupLeave(t *testing.T) {
	r := newLogRig(wide)
	r.write(1, core.Write{IOID: 1, Append: entriesOf(1, 1, 1, 100)})
	r.work()
	r.write(1, core.Write{IOID: 2, Append: entriesOf(1, 2, 2, 100)})
	left := 0
	r.actor.Leave(r.logs[1], false, func() { left++ })
	r.work()
	if left != 0 {
		t.Fatal("the group left while its writes were under way")
	}
	r.run()
	if left != 1 {
		t.Errorf("the group left %d times", left)
	}
	r.expect(t, "batches", r.store.batches, "group 1 append 1-1", "group 1 append 2-2")

	r.write(1, core.Write{IOID: 3, Append: entriesOf(1, 3, 3, 100)})
	r.actor.Leave(r.logs[1], true, func() { left++ })
	r.run()
	if left != 2 || len(r.store.batches) != 2 {
		t.Errorf("a failed group's queue is dropped: left %d times, %d batches", left, len(r.store.batches))
	}
}

// TestLargeEntryIsNotStarved: an entry above its group's share of a batch is
// written however much another group has.
func TestLargeEntryIsNotStarved(t *testing.T) {
	r := newLogRig(storage.Limits{EntryBytesMax: 400, BatchBytesMax: 400, BatchEntriesMax: 1000})
	index, ioid := core.Index(0), core.IOID(0)
	busy := func() {
		for range 8 {
			index, ioid = index+1, ioid+1
			e := core.Entry{LogID: core.LogID{Term: 1, Index: index}, Kind: core.EntryCommand, Data: make([]byte, 52)}
			r.write(1, core.Write{IOID: ioid, Append: []core.Entry{e}})
		}
	}
	busy()
	large := core.Entry{LogID: core.LogID{Term: 1, Index: 1}, Kind: core.EntryCommand, Data: make([]byte, 252)}
	r.write(2, core.Write{IOID: 1, Append: []core.Entry{large}})
	r.store.onWrite = func(n int) error {
		if n < 50 {
			busy()
		}
		return nil
	}
	r.run()
	for i, batch := range r.store.batches {
		if len(batch) >= 7 && fmt.Sprint(batch[:7]) == "group 2" {
			if i > 2 {
				t.Errorf("written in batch %d", i)
			}
			return
		}
	}
	t.Errorf("not among the first operations of a batch: %q", r.store.batches[:3])
}

// TestLogActorCopiesABacklogOnce: what piles up behind a slow disk is joined in one
// slice of its size, which the store may keep, and not in one that grows with each
// write.
func TestLogActorCopiesABacklogOnce(t *testing.T) {
	r := newLogRig(wide)
	r.write(1, core.Write{IOID: 1, Append: entriesOf(1, 1, 3, 64)})
	r.work()
	const writes, each = 30, 7
	for i := range core.Index(writes) {
		r.write(1, core.Write{IOID: core.IOID(i) + 2, Append: entriesOf(1, 4+each*i, 3+each*(i+1), 64)})
	}
	length, capacity := 0, 0
	r.store.onWrite = func(int) error {
		joined := r.actor.batch.Operations[0].Append
		length, capacity = len(joined), cap(joined)
		return nil
	}
	r.run()
	if length != writes*each || capacity != length {
		t.Errorf("%d entries in a slice for %d, want %d", length, capacity, writes*each)
	}
	// More than a batch holds takes no more than a batch.
	r = newLogRig(storage.Limits{EntryBytesMax: 1 << 20, BatchBytesMax: 1 << 20, BatchEntriesMax: 50})
	for i := range core.Index(writes) {
		r.write(1, core.Write{IOID: core.IOID(i) + 1, Append: entriesOf(1, 1+each*i, each*(i+1), 64)})
	}
	r.store.onWrite = func(int) error {
		if joined := r.actor.batch.Operations[0].Append; cap(joined) > 50+each {
			t.Errorf("%d entries in a slice for %d", len(joined), cap(joined))
		}
		return nil
	}
	r.run()
	if got := r.flushed[len(r.flushed)-1]; got != fmt.Sprintf("1:%d", writes) {
		t.Errorf("flushed %v", got)
	}
}
