package troupe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// restored makes a member of a backup, and starts it.
func restored(t *testing.T, from io.Reader, change func(*troupe.RestoreConfig)) (*cluster, *member, troupe.Restored) {
	t.Helper()
	const id = 9
	m := &member{id: id, store: memory.New(id), snapshots: memory.NewSnapshots()}
	into := troupe.RestoreConfig{Address: address(id), Log: m.store, Snapshots: m.snapshots}
	if change != nil {
		change(&into)
	}
	r, err := troupe.Restore(t.Context(), from, into)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, hub: inproc.NewHub()}
	c.start(m, config())
	t.Cleanup(func() { m.raft.Kill() })
	return c, m, r
}

// TestBackupUnderLoad: a backup of each member holds what was acknowledged before it, is a
// prefix of the log, and becomes a cluster of its own that goes on from there.
func TestBackupUnderLoad(t *testing.T) {
	c := formed(t, 3, slowElections()) // an election would end the load
	const clients = 4
	var acknowledged [clients]atomic.Int64
	ctx, stop := context.WithCancel(within(t, time.Minute))
	var load sync.WaitGroup
	for client := range clients {
		load.Go(func() {
			for n := int64(1); ctx.Err() == nil; n++ {
				if _, err := c.members[client%3].raft.Propose(ctx, fmt.Appendf(nil, "%d.%d", client, n)); err != nil {
					return
				}
				acknowledged[client].Store(n)
			}
		})
	}
	var files [3]bytes.Buffer
	var metas [3]troupe.BackupMeta
	var before [3][clients]int64
	for i, m := range c.members {
		for acknowledged[0].Load() < int64(50*(i+1)) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		for client := range clients {
			before[i][client] = acknowledged[client].Load()
		}
		meta, err := m.raft.Backup(within(t, time.Minute), &files[i])
		if err != nil {
			t.Fatal(err)
		}
		metas[i] = meta
	}
	stop()
	load.Wait()
	all := c.leader().read(t)
	for i := range files {
		if verified, err := troupe.VerifyBackup(bytes.NewReader(files[i].Bytes())); err != nil || verified.LogID != metas[i].LogID || verified.Checksum != metas[i].Checksum {
			t.Errorf("%+v, %v: Backup said %+v", verified, err, metas[i])
		}
		into, m, r := restored(t, &files[i], nil)
		got := m.read(t)
		if len(got) > len(all) || !slices.Equal(got, all[:len(got)]) {
			t.Fatalf("backup %d holds %d commands, which are no prefix of %d", i, len(got), len(all))
		}
		for client, want := range before[i] {
			if want > 0 && !slices.Contains(got, fmt.Sprintf("%d.%d", client, want)) {
				t.Errorf("backup %d lacks command %d of client %d, which was acknowledged before", i, want, client)
			}
		}
		result := m.propose(t, "after")
		if result.LogID.Term <= metas[i].HardTerm+troupe.RestoreBumpTerm-1 || result.LogID.Index != metas[i].Index+2 {
			t.Errorf("the first write is %v, after a backup up to %v in term %d", result.LogID, metas[i].LogID, metas[i].HardTerm)
		}
		if s := m.raft.Status(); s.Cluster == c.members[0].raft.Status().Cluster || s.Cluster != r.Cluster || len(s.Configuration.Voters) != 1 || s.Configuration.Voters[0] != r.Node {
			t.Errorf("cluster %v, voters %v", s.Cluster, s.Configuration.Voters)
		}
		// The founding list is the one of this member, and it starts again.
		if err := m.raft.Bootstrap(within(t, 10*time.Second), troupe.At(m.id, address(m.id))); err != nil {
			t.Error(err)
		}
		m.raft.Kill()
		into.restart(m, config())
		if again := m.read(t); !slices.Equal(again, append(got, "after")) {
			t.Errorf("after a restart it holds %d commands, want %d", len(again), len(got)+1)
		}
	}
}

// TestBackupLocal: without a leader, a node gives what it has, and only if it is asked for
// just that.
func TestBackupLocal(t *testing.T) {
	c := formed(t, 2, config())
	c.members[0].propose(t, "a")
	c.members[1].read(t)
	c.members[0].raft.Kill()
	m := c.members[1]
	var file bytes.Buffer
	if _, err := m.raft.Backup(within(t, electionTimeout), &file); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a leader: %v", err)
	}
	meta, err := m.raft.Backup(within(t, 10*time.Second), &file, troupe.BackupLocal())
	if err != nil || meta.Index == 0 {
		t.Fatalf("%+v, %v", meta, err)
	}
	if _, m, _ := restored(t, &file, nil); !slices.Equal(m.read(t), []string{"a"}) {
		t.Error("another state was restored")
	}
}

// heldWriter takes nothing until it is let go.
type heldWriter struct {
	begun   chan struct{}
	release chan struct{}
	once    sync.Once
}

func (w *heldWriter) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.begun) })
	<-w.release
	return len(p), nil
}

// TestBackupOfASlowReader: one that takes no bytes is cut off, holds up nobody, and lets
// the view go; beside four of them a fifth is refused.
func TestBackupOfASlowReader(t *testing.T) {
	c := formed(t, 1, config())
	m := c.members[0]
	m.propose(t, "a")
	release := make(chan struct{})
	ended := make(chan error, 4)
	for range 4 {
		w := &heldWriter{begun: make(chan struct{}), release: release}
		go func() {
			_, err := m.raft.Backup(t.Context(), w, troupe.BackupStall(100*time.Millisecond))
			ended <- err
		}()
		<-w.begun
	}
	m.propose(t, "b")
	close(release)
	for range 4 {
		if err := <-ended; err != nil && !errors.Is(err, troupe.ErrBackupStalled) {
			t.Errorf("the slow reader: %v", err)
		}
	}
	// Held for longer than the limit, each of them is cut off.
	w := &heldWriter{begun: make(chan struct{}), release: make(chan struct{})}
	go func() {
		_, err := m.raft.Backup(t.Context(), w, troupe.BackupStall(time.Millisecond))
		ended <- err
	}()
	<-w.begun
	time.Sleep(50 * time.Millisecond)
	close(w.release)
	if err := <-ended; !errors.Is(err, troupe.ErrBackupStalled) {
		t.Errorf("the slow reader: %v", err)
	}
	if _, err := m.raft.Backup(within(t, 10*time.Second), io.Discard); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// TestBackupEnds: with its context, with its writer, and with its group.
func TestBackupEnds(t *testing.T) {
	c := formed(t, 1, config())
	m := c.members[0]
	m.propose(t, "a")
	refused := errors.New("no room")
	if _, err := m.raft.Backup(within(t, 10*time.Second), failing{refused}); !errors.Is(err, refused) {
		t.Errorf("of a writer that fails: %v", err)
	}
	if _, err := newCluster(t, 1, config()).members[0].raft.Backup(within(t, 10*time.Second), io.Discard, troupe.BackupLocal()); !errors.Is(err, troupe.ErrNoCluster) {
		t.Errorf("of an empty group: %v", err)
	}
	m.raft.Kill()
	if _, err := m.raft.Backup(within(t, 10*time.Second), io.Discard, troupe.BackupLocal()); !errors.Is(err, troupe.ErrStopped) {
		t.Errorf("of a group that has ended: %v", err)
	}
	if _, err := m.raft.Backup(t.Context(), io.Discard, troupe.BackupStall(-1)); err == nil {
		t.Error("a negative limit is taken")
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// aBackup is one of a group with a few commands.
func aBackup(t *testing.T) []byte {
	t.Helper()
	c := formed(t, 1, config())
	for n := range 5 {
		c.members[0].propose(t, fmt.Sprint("command ", n))
	}
	var file bytes.Buffer
	if _, err := c.members[0].raft.Backup(within(t, 10*time.Second), &file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestRestoreOfABadFile: what is no whole backup is refused by what is wrong with it, and
// leaves nothing that a node could start with.
func TestRestoreOfABadFile(t *testing.T) {
	whole := aBackup(t)
	try := func(what string, file []byte, want ...troupe.BackupFault) {
		t.Helper()
		log, snapshots := memory.New(9), memory.NewSnapshots()
		_, err := troupe.Restore(t.Context(), bytes.NewReader(file), troupe.RestoreConfig{Address: "a:1", Log: log, Snapshots: snapshots})
		var bad *troupe.BackupError
		if !errors.As(err, &bad) || !slices.Contains(want, bad.Fault) {
			t.Fatalf("%s: %v, want %v", what, err, want)
		}
		if damaged := bad.Fault == troupe.BackupCut || bad.Fault == troupe.BackupDamaged; errors.Is(err, troupe.ErrCorrupt) != damaged {
			t.Errorf("%s: %v", what, err)
		}
		if state, err := log.Load(t.Context(), 1); err != nil || state.Last.Index != 0 || state.HardState != (core.HardState{}) {
			t.Errorf("%s: the log has %+v, %v", what, state, err)
		}
		if newest, err := snapshots.Newest(t.Context(), 1); err != nil || newest.Index != 0 {
			t.Errorf("%s: there is a snapshot %v, %v", what, newest.LogID, err)
		}
	}
	try("of zero bytes", nil, troupe.BackupEmpty)
	try("something else", []byte("something else, and long enough"), troupe.BackupNone)
	try("something short", []byte("no"), troupe.BackupNone)
	try("with something behind it", append(bytes.Clone(whole), 0), troupe.BackupDamaged)
	for at := 1; at < len(whole); at++ {
		try(fmt.Sprint("cut at ", at), whole[:at], troupe.BackupCut)
	}
	for at := range whole {
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << (at % 8)
		want := []troupe.BackupFault{troupe.BackupDamaged, troupe.BackupCut}
		switch {
		case at < 8:
			want = []troupe.BackupFault{troupe.BackupNone}
		case at == 8:
			want = []troupe.BackupFault{troupe.BackupVersion}
		}
		try(fmt.Sprint("flipped at ", at), flipped, want...)
	}
}

// TestRestoreRefusesWhatIsInUse: stores that hold anything stay as they are.
func TestRestoreRefusesWhatIsInUse(t *testing.T) {
	file := aBackup(t)
	empty := func() troupe.RestoreConfig {
		return troupe.RestoreConfig{Address: "a:1", Log: memory.New(9), Snapshots: memory.NewSnapshots()}
	}
	for what, change := range map[string]func(*troupe.RestoreConfig) error{
		"a log": func(c *troupe.RestoreConfig) error {
			op := storage.Operation{Group: 1, HardState: &core.HardState{Term: 1}}
			return c.Log.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{op}})
		},
		"a snapshot": func(c *troupe.RestoreConfig) error {
			w, err := c.Snapshots.Create(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 1}})
			if err == nil {
				_, err = w.Commit(core.SnapshotMeta{})
			}
			return err
		},
		"a record": func(c *troupe.RestoreConfig) error {
			return c.Snapshots.(storage.Recorder).Record(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 1}})
		},
		"a store of another life": func(c *troupe.RestoreConfig) error {
			store := c.Log.(*memory.Store)
			return errors.Join(store.Close(), store.Reopen())
		},
	} {
		c := empty()
		if err := change(&c); err != nil {
			t.Fatal(err)
		}
		_, err := troupe.Restore(t.Context(), bytes.NewReader(file), c)
		if refused := (*troupe.NotEmptyError)(nil); !errors.As(err, &refused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for field, change := range map[string]func(*troupe.RestoreConfig){
		"Address":   func(c *troupe.RestoreConfig) { c.Address = "" },
		"Log":       func(c *troupe.RestoreConfig) { c.Log = nil },
		"Snapshots": func(c *troupe.RestoreConfig) { c.Snapshots = nil },
		"BumpIndex": func(c *troupe.RestoreConfig) { c.BumpIndex = 1<<20 + 1 },
		"BumpTerm":  func(c *troupe.RestoreConfig) { c.BumpTerm = 1 << 62 },
	} {
		c := empty()
		change(&c)
		_, err := troupe.Restore(t.Context(), bytes.NewReader(file), c)
		if wrong := asError[*troupe.ConfigError](t, err); wrong.Field != "RestoreConfig."+field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestRestoreBumps: term and index begin where they are told to.
func TestRestoreBumps(t *testing.T) {
	file := aBackup(t)
	meta, err := troupe.VerifyBackup(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	_, m, r := restored(t, bytes.NewReader(file), func(c *troupe.RestoreConfig) { c.BumpTerm, c.BumpIndex = 7, 100_000 })
	if r.Term != meta.HardTerm+7 || r.Last != (troupe.LogID{Term: r.Term, Index: meta.Index + 100_000}) {
		t.Errorf("%+v, of %+v", r, meta)
	}
	if got := m.read(t); len(got) != 5 {
		t.Errorf("it holds %q", got)
	}
	if id := m.propose(t, "after").LogID; id.Index != r.Last.Index+2 || id.Term != r.Term+1 {
		t.Errorf("the first write is %v, after %v", id, r.Last)
	}
}

// failingCommit is a snapshot store whose disk fails at the end of a snapshot.
type failingCommit struct{ troupe.SnapshotStore }

type failingWriter struct{ storage.SnapshotWriter }

func (s failingCommit) Create(ctx context.Context, group troupe.GroupID, meta troupe.SnapshotMeta) (storage.SnapshotWriter, error) {
	w, err := s.SnapshotStore.Create(ctx, group, meta)
	return failingWriter{w}, err
}

func (w failingWriter) Commit(troupe.SnapshotMeta) (troupe.SnapshotMeta, error) {
	return troupe.SnapshotMeta{}, errors.Join(errors.New("the disk"), w.Abort())
}

// TestRestoreThatFails: at whatever step, no node starts as a cluster whose term has not
// risen.
func TestRestoreThatFails(t *testing.T) {
	m := &member{id: 9, store: memory.New(9), snapshots: memory.NewSnapshots()}
	into := troupe.RestoreConfig{Address: address(9), Log: m.store, Snapshots: failingCommit{m.snapshots}}
	if _, err := troupe.Restore(t.Context(), bytes.NewReader(aBackup(t)), into); err == nil {
		t.Fatal("a restore whose snapshot failed ended well")
	}
	_, err := troupe.Start(t.Context(), troupe.NodeConfig{
		ID: 9, Network: inproc.NewHub().Network("a"), Log: m.store, Snapshots: m.snapshots,
	}, troupe.Config{StateMachine: &ledger{}})
	if !errors.Is(err, troupe.ErrCorrupt) {
		t.Errorf("a start on what it left: %v", err)
	}
}

// rottenStore is a snapshot store of which the end of each snapshot is rotten.
type rottenStore struct{ troupe.SnapshotStore }

type rottenReader struct{ storage.SnapshotReader }

func (s rottenStore) Open(ctx context.Context, group troupe.GroupID, id troupe.LogID) (storage.SnapshotReader, error) {
	r, err := s.SnapshotStore.Open(ctx, group, id)
	return rottenReader{r}, err
}

func (r rottenReader) Read(p []byte) (int, error) {
	n, err := r.SnapshotReader.Read(p)
	if err == io.EOF {
		err = troupe.ErrCorrupt
	}
	return n, err
}

// hastyMachine replaces its state with the first bytes that it is given.
type hastyMachine struct {
	ledger
	replaced atomic.Bool
}

func (m *hastyMachine) Restore(_ context.Context, r io.Reader) error {
	_, err := r.Read(make([]byte, 1))
	m.replaced.Store(true)
	return err
}

// TestRestoreSeesTheChecksumFirst: a machine is not given what is rotten, at whatever byte.
func TestRestoreSeesTheChecksumFirst(t *testing.T) {
	log, snapshots := memory.New(9), memory.NewSnapshots()
	if _, err := troupe.Restore(t.Context(), bytes.NewReader(aBackup(t)), troupe.RestoreConfig{Address: address(9), Log: log, Snapshots: snapshots}); err != nil {
		t.Fatal(err)
	}
	machine := &hastyMachine{}
	raft, err := troupe.Start(t.Context(), troupe.NodeConfig{
		ID: 9, Network: inproc.NewHub().Network("a"), Log: log, Snapshots: rottenStore{snapshots},
	}, troupe.Config{StateMachine: machine, ElectionTimeout: electionTimeout})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-raft.Done():
	case <-time.After(20 * time.Second):
		t.Error("the group goes on")
	}
	if err := raft.Err(); !errors.Is(err, troupe.ErrCorrupt) || machine.replaced.Load() {
		t.Errorf("the machine was replaced: %t; %v", machine.replaced.Load(), err)
	}
	raft.Kill()
}
