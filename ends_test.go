package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/memory"
)

// gate is where a test holds a call of foreign code.
type gate struct{ reached, open chan struct{} }

func newGate() *gate { return &gate{make(chan struct{}), make(chan struct{})} }

// pass holds the command "hang", once.
func (g *gate) pass(command string) error {
	if command == "hang" {
		select {
		case <-g.reached:
		default:
			close(g.reached)
			<-g.open
		}
	}
	return nil
}

// gatedLog passes each command that is written through a function.
type gatedLog struct {
	troupe.LogStore
	pass func(command string) error
}

func (l gatedLog) Write(ctx context.Context, b *storage.Batch) error {
	for _, o := range b.Operations {
		for _, e := range o.Append {
			if err := l.pass(string(e.Data)); err != nil {
				return err
			}
		}
	}
	return l.LogStore.Write(ctx, b)
}

// soleNode is a node of a network of its own, on a store of its own.
func soleNode(t *testing.T, log troupe.LogStore) *troupe.Node {
	t.Helper()
	node, err := troupe.NewNode(troupe.NodeConfig{ID: 1, Network: inproc.NewHub().Network(""), Log: log, Snapshots: memory.NewSnapshots()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Kill)
	return node
}

// soleVoter starts group 1 and forms a cluster of its only member.
func soleVoter(t *testing.T, node *troupe.Node, machine troupe.StateMachine) *troupe.Raft {
	t.Helper()
	settings := config()
	settings.StateMachine = machine
	raft, err := node.Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := raft.Bootstrap(within(t, 20*time.Second), troupe.At(1, "")); err != nil {
		t.Fatal(err)
	}
	return raft
}

// comesTrue waits for a channel, with far more patience than it should need.
func comesTrue[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: not within 20 s", what)
	}
	return v
}

// asks asks a group for something, with a context without an end.
func asks(f func(ctx context.Context) error) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- f(context.Background()) }()
	return answer
}

// TestEndWhileACallHangs: whoever waits is answered by Kill, and by the end of
// Shutdown's context, though a call hangs. Until it returns nobody starts the group
// again, nor another node on its store, and the store is not closed. Afterwards the
// group starts, and each entry is applied once.
func TestEndWhileACallHangs(t *testing.T) {
	ends := map[string]func(*troupe.Raft){
		"kill":     (*troupe.Raft).Kill,
		"shutdown": shutDownInVain,
	}
	for call, kind := range map[string]string{"apply": "state machine", "write": "log store"} {
		for name, end := range ends {
			t.Run(name+" while the "+kind+" hangs", func(t *testing.T) { endWhileACallHangs(t, call, end) })
		}
	}
}

// shutDownInVain shuts a group down that does not end in time.
func shutDownInVain(r *troupe.Raft) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	var running *troupe.StillRunningError
	if err := r.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &running) || running.Call == "" {
		panic(fmt.Sprintf("the group was shut down in vain, and says %v", err))
	}
}

func endWhileACallHangs(t *testing.T, call string, end func(*troupe.Raft)) {
	held, store, machine := newGate(), memory.New(1), &ledger{}
	var log troupe.LogStore = store
	if call == "write" {
		log = gatedLog{store, held.pass}
	} else {
		machine.before = held.pass
	}
	node := soleNode(t, log)
	raft := soleVoter(t, node, machine)
	propose := func(command string) <-chan error {
		return asks(func(ctx context.Context) error { _, err := raft.Propose(ctx, []byte(command)); return err })
	}
	last := raft.Status().Last
	waiters := map[string]<-chan error{"the write that hangs": propose("hang")}
	comesTrue(t, "the call that hangs", held.reached)
	waiters["a write behind it"] = propose("behind")
	waiters["a read behind it"] = asks(func(ctx context.Context) error { _, err := raft.ReadIndex(ctx, troupe.AtLeast(1000)); return err })
	waiters["who waits for a status"] = asks(func(ctx context.Context) error { return raft.Wait(ctx, func(troupe.Status) bool { return false }) })
	// What is not written yet when the group ends is not there in its second life.
	if err := raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool {
		return s.Last == last+2 && (call == "write" || s.Flushed == s.Last)
	}); err != nil {
		t.Fatal(err)
	}
	go end(raft)
	for name, answer := range waiters {
		if err := comesTrue(t, name, answer); err == nil {
			t.Errorf("%s is told that all is well", name)
		}
	}
	expectStillRunning := func(what, call string, err error) {
		t.Helper()
		if e := asError[*troupe.StillRunningError](t, err); e.Call != call || e.Since.IsZero() || !strings.Contains(e.Error(), call) {
			t.Errorf("%s: %v", what, err)
		}
	}
	settings := config()
	again := &ledger{}
	settings.StateMachine = again
	_, err := node.Start(t.Context(), settings)
	expectStillRunning("the group again", call, err)
	_, err = troupe.NewNode(troupe.NodeConfig{ID: 1, Network: inproc.NewHub().Network(""), Log: store, Snapshots: memory.NewSnapshots()})
	expectStillRunning("another node", call, err)
	expectStillRunning("closing the store", call, store.Close())
	select {
	case <-raft.Done():
		t.Error("done while a call is out")
	default:
	}
	close(held.open)
	comesTrue(t, "the end", raft.Done())
	second, err := node.Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Propose(within(t, 20*time.Second), []byte("new")); err != nil {
		t.Fatal(err)
	}
	// What the call that hung was about may have become durable or not.
	got := again.content()
	if want := []string{"hang", "behind", "new"}; call == "apply" && !slices.Equal(got, want) {
		t.Errorf("the second life holds %q, want %q", got, want)
	}
	if sorted := slices.Sorted(slices.Values(got)); len(slices.Compact(sorted)) != len(got) || got[len(got)-1] != "new" {
		t.Errorf("the second life holds %q", got)
	}
}

// heedsContext is a machine whose Apply waits until its context ends.
type heedsContext struct {
	ledger
	reached chan struct{}
}

func (m *heedsContext) Apply(ctx context.Context, entries []troupe.Entry) ([][]byte, error) {
	if slices.ContainsFunc(entries, func(e troupe.Entry) bool { return string(e.Data) == "hang" }) {
		close(m.reached)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return m.ledger.Apply(ctx, entries)
}

// TestKillEndsTheContextOfApply: a machine that heeds it is stopped, and has not failed.
func TestKillEndsTheContextOfApply(t *testing.T) {
	for name, end := range map[string]func(*troupe.Raft){"kill": (*troupe.Raft).Kill, "shutdown": shutDownInVain} {
		t.Run(name, func(t *testing.T) {
			machine := &heedsContext{reached: make(chan struct{})}
			raft := soleVoter(t, soleNode(t, memory.New(1)), machine)
			answer := asks(func(ctx context.Context) error { _, err := raft.Propose(ctx, []byte("hang")); return err })
			comesTrue(t, "Apply", machine.reached)
			end(raft)
			comesTrue(t, "the end", raft.Done())
			if err := comesTrue(t, "the write", answer); !errors.Is(err, troupe.ErrStopped) || !troupe.MayHaveHappened(err) {
				t.Errorf("the write is told %v", err)
			}
			if err := raft.Err(); err != nil {
				t.Errorf("a group that was stopped says %v", err)
			}
		})
	}
}

// TestStoreOfALivingNodeIsNotClosed: a store that a node uses stays open and locked.
func TestStoreOfALivingNodeIsNotClosed(t *testing.T) {
	dir := t.TempDir()
	store, err := badger.Open(dir, badger.Options{Node: 1})
	if err != nil {
		t.Fatal(err)
	}
	held := newGate()
	node := soleNode(t, store)
	raft := soleVoter(t, node, &ledger{before: held.pass})
	go raft.Propose(context.Background(), []byte("hang"))
	comesTrue(t, "Apply", held.reached)
	go node.Kill()
	for range 3 {
		if e := asError[*troupe.StillRunningError](t, store.Close()); e.Call != "apply" {
			t.Errorf("closing says %v", e)
		}
		_, err := badger.Open(dir, badger.Options{Node: 1})
		asError[*badger.LockedError](t, err)
	}
	close(held.open)
	node.Kill()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// TestGroupThatHasFailedStartsAgain: nothing stays claimed by a group that has failed,
// or by a start that panicked or ended its goroutine.
func TestGroupThatHasFailedStartsAgain(t *testing.T) {
	node := soleNode(t, memory.New(1))
	raft := soleVoter(t, node, &ledger{before: func(string) error { return errors.New("cannot") }})
	_, _ = raft.Propose(within(t, 20*time.Second), []byte("a"))
	comesTrue(t, "the end", raft.Done())
	for _, end := range []func(){func() { panic("unreadable") }, runtime.Goexit} {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() { _ = recover() }()
			settings := config()
			settings.StateMachine = unreadable{&ledger{}, end}
			_, _ = node.Start(t.Context(), settings)
			t.Error("the start has returned")
		}()
		comesTrue(t, "a start that ends early", ended)
	}
	settings, machine := config(), &ledger{}
	settings.StateMachine = machine
	again, err := node.Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Propose(within(t, 20*time.Second), []byte("b")); err != nil {
		t.Error(err)
	}
	if got := machine.content(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the machine holds %q", got)
	}
	_, err = node.Start(t.Context(), settings)
	asError[*troupe.GroupExistsError](t, err)
}

// unreadable is a machine that ends whoever asks what it has applied.
type unreadable struct {
	*ledger
	end func()
}

func (m unreadable) Applied() (troupe.LogID, error) {
	m.end()
	return troupe.LogID{}, nil
}

// TestGoexitFailsTheGroup: a call that ends its goroutine is a failure like a panic, of
// the group or of the store with all of its groups.
func TestGoexitFailsTheGroup(t *testing.T) {
	exit := func(command string) error {
		if command == "exit" {
			runtime.Goexit()
		}
		return nil
	}
	for name, parts := range map[string]func() (troupe.LogStore, *ledger){
		"apply": func() (troupe.LogStore, *ledger) { return memory.New(1), &ledger{before: exit} },
		"write": func() (troupe.LogStore, *ledger) { return gatedLog{memory.New(1), exit}, &ledger{} },
	} {
		t.Run(name, func(t *testing.T) {
			log, machine := parts()
			raft := soleVoter(t, soleNode(t, log), machine)
			_, err := raft.Propose(context.Background(), []byte("exit"))
			if e := asError[*troupe.FatalError](t, err); !troupe.MayHaveHappened(err) || !strings.Contains(e.Error(), "Goexit") {
				t.Errorf("the write is told %v", err)
			}
			comesTrue(t, "the end", raft.Done())
			asError[*troupe.FatalError](t, raft.Err())
		})
	}
}

// TestStartHeedsItsContext: the lease promise of a group that starts cannot be recorded,
// because a write of another group hangs.
func TestStartHeedsItsContext(t *testing.T) {
	held := newGate()
	node := soleNode(t, gatedLog{memory.New(1), held.pass})
	raft := soleVoter(t, node, &ledger{})
	go raft.Propose(context.Background(), []byte("hang"))
	comesTrue(t, "the write", held.reached)
	settings := config()
	settings.Group, settings.StateMachine = 2, &ledger{}
	same, err := node.Start(within(t, 20*time.Second), settings)
	if err != nil {
		t.Errorf("a group with a promise that is recorded already: %v", err)
	} else {
		go same.Kill()
	}
	settings.Group, settings.ElectionTimeout = 3, 2*electionTimeout
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := node.Start(ctx, settings); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a group with a longer promise: %v", err)
	}
	close(held.open)
	third, err := node.Start(within(t, 20*time.Second), settings)
	if err != nil {
		t.Fatal(err)
	}
	third.Kill()
}

// slowView is a machine whose views are written for as long as their writer takes it.
type slowView struct {
	ledger
	writes  chan struct{}
	aborted chan struct{}
}

func (m *slowView) View() (troupe.SnapshotView, error) { return m, nil }

func (m *slowView) WriteTo(w io.Writer) (n int64, err error) {
	for {
		select {
		case m.writes <- struct{}{}:
		default:
		}
		written, err := w.Write(make([]byte, 1<<10))
		if n += int64(written); err != nil {
			return n, err
		}
		runtime.Gosched()
	}
}

func (m *slowView) Close() error {
	close(m.aborted)
	return nil
}

// TestEndCutsASnapshotShort: a snapshot that is being made ends at its next write when
// its group is shut down.
func TestEndCutsASnapshotShort(t *testing.T) {
	machine := &slowView{writes: make(chan struct{}, 1), aborted: make(chan struct{})}
	node := soleNode(t, memory.New(1))
	settings := config()
	settings.StateMachine, settings.SnapshotEntries = machine, 2
	raft, err := node.Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := raft.Bootstrap(within(t, 20*time.Second), troupe.At(1, "")); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := raft.Propose(within(t, 20*time.Second), []byte("a")); err != nil {
			t.Fatal(err)
		}
	}
	comesTrue(t, "the snapshot", machine.writes)
	if err := raft.Shutdown(within(t, 20*time.Second)); err != nil {
		t.Error(err)
	}
	comesTrue(t, "the end of the view", machine.aborted)
}
