package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

var (
	compactionFor = flag.Duration("compaction", 0, "how long TestCompaction goes on; 0 is a short one")
	memoryFor     = flag.Duration("compaction-memory", 0, "how long TestMemoryUnderCompaction goes on; 0 skips it")
)

// compacting is a cluster whose clients write without a pause to a bounded set of keys,
// while each node makes a snapshot every few seconds.
type compacting struct {
	*cluster
	t         *testing.T
	valueSize int
	// stopped: a node is down on purpose.
	down [3]atomic.Bool

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	begun   time.Time
	writes  atomic.Int64
	// last are the newest writes of each key: the one that was acknowledged, and the one
	// that was tried.
	last [compactingClients][compactingKeys]struct{ acknowledged, tried int }

	mu   sync.Mutex
	rows []compactionRow
}

const (
	compactingClients   = 16
	compactingKeys      = 200 // of each client
	compactingKeepBytes = 16 << 20
	compactingHoldBytes = 12 << 20
	compactingEntries   = 4000
	compactingValue     = 8 << 10
)

// compactionRow is what each node had at one moment.
type compactionRow struct {
	at     time.Duration
	log    [3]uint64
	held   [3]uint64
	memory [3]uint64 // of the process's own
	mapped [3]uint64 // of files
	disk   [3]uint64
	writes int64
}

var compactionFlags = []string{
	"--election-timeout", "1s", "--snapshot-entries", strconv.Itoa(compactingEntries), "--keep-entries", "1000", "--keep-bytes", strconv.Itoa(compactingKeepBytes),
	"--hold-bytes", strconv.Itoa(compactingHoldBytes),
}

func newCompacting(t *testing.T, c *cluster, valueSize int) *compacting {
	k := &compacting{cluster: c, t: t, valueSize: valueSize, begun: time.Now()}
	k.ctx, k.cancel = context.WithCancel(t.Context())
	t.Cleanup(k.stop)
	return k
}

func (k *compacting) start(every time.Duration) {
	for id := range compactingClients {
		k.running.Go(func() { k.client(id) })
	}
	for i := range k.nodes {
		k.running.Go(func() { k.snapshots(i) })
	}
	k.running.Go(func() {
		for tick := time.NewTicker(every); ; {
			k.sample()
			select {
			case <-tick.C:
			case <-k.ctx.Done():
				return
			}
		}
	})
}

func (k *compacting) stop() {
	k.cancel()
	k.running.Wait()
}

func compactingKey(client, key int) string { return fmt.Sprintf("key-%d-%d", client, key) }

// value is that of the n-th write of a key.
func (k *compacting) value(client, key, n int) []byte {
	begin := fmt.Appendf(nil, "%d-%d-%d ", client, key, n)
	return append(begin, bytes.Repeat([]byte{byte('a' + n%26)}, k.valueSize-len(begin))...)
}

// client writes its keys, through any node that is up.
func (k *compacting) client(id int) {
	for n := 1; k.ctx.Err() == nil; n++ {
		key := rand.IntN(compactingKeys)
		i := rand.IntN(len(k.nodes))
		if k.down[i].Load() {
			continue
		}
		last := &k.last[id][key]
		last.tried++
		if _, err := k.nodes[i].client.Put(k.ctx, compactingKey(id, key), k.value(id, key, last.tried)); err == nil {
			last.acknowledged = last.tried
			k.writes.Add(1)
		}
	}
}

// snapshots asks a node for a snapshot every few seconds, beside its policy.
func (k *compacting) snapshots(i int) {
	for tick := time.NewTicker(3 * time.Second); ; {
		select {
		case <-tick.C:
		case <-k.ctx.Done():
			return
		}
		if !k.down[i].Load() {
			_, _ = k.nodes[i].client.Snapshot(k.ctx)
		}
	}
}

func (k *compacting) sample() {
	row := compactionRow{at: time.Since(k.begun), writes: k.writes.Load()}
	for i, n := range k.nodes {
		if k.down[i].Load() {
			continue
		}
		if s, err := n.status(); err == nil {
			row.log[i], row.held[i] = s.LogBytes, s.HeldBytes
		}
		row.memory[i], row.mapped[i] = n.memory()
		row.disk[i] = diskUse(n.dir)
	}
	k.mu.Lock()
	k.rows = append(k.rows, row)
	k.mu.Unlock()
}

// memory is what the process has of its own, and what it has mapped of files.
func (n *node) memory() (own, mapped uint64) {
	n.mu.Lock()
	p := n.process
	n.mu.Unlock()
	if p == nil || p.command.Process == nil {
		return 0, 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseUint(fields[1], 10, 64)
		switch fields[0] {
		case "RssAnon:":
			own = kib << 10
		case "RssFile:", "RssShmem:":
			mapped += kib << 10
		}
	}
	return own, mapped
}

// diskUse is how many bytes the files of a directory take.
func diskUse(dir string) (all uint64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				if s, ok := info.Sys().(*syscall.Stat_t); ok {
					all += uint64(s.Blocks) * 512
				}
			}
		}
		return nil
	})
	return all
}

// table prints some rows, evenly spread.
func (k *compacting) table(rows int) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var b strings.Builder
	b.WriteString("\n| time | writes | log of 1, 2, 3 | held for others | own memory | mapped files | disk |\n|---|---|---|---|---|---|---|\n")
	mib := func(n [3]uint64) string {
		return fmt.Sprintf("%d, %d, %d", n[0]>>20, n[1]>>20, n[2]>>20)
	}
	for i := range rows {
		r := k.rows[i*(len(k.rows)-1)/(rows-1)]
		fmt.Fprintf(&b, "| %.0f s | %d | %s | %s | %s | %s | %s |\n", r.at.Seconds(), r.writes, mib(r.log), mib(r.held), mib(r.memory), mib(r.mapped), mib(r.disk))
	}
	return b.String()
}

// most is the most of something that a node had between two moments.
func (k *compacting) most(of func(*compactionRow) [3]uint64, from, to time.Duration) (most [3]uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.rows {
		if r := &k.rows[i]; r.at >= from && r.at <= to {
			for n, v := range of(r) {
				most[n] = max(most[n], v)
			}
		}
	}
	return most
}

// verify reads every key through every node: what was acknowledged last is there, or what
// was tried later.
func (k *compacting) verify() {
	k.t.Helper()
	k.caughtUp()
	for _, n := range k.nodes {
		s, err := n.status()
		if err != nil {
			k.t.Fatal(err)
		}
		checked := 0
		for id := range k.last {
			for key := range k.last[id] {
				last := &k.last[id][key]
				if last.tried == 0 {
					continue
				}
				got, err := n.client.Get(k.ctx, compactingKey(id, key), client.Read{MinIndex: s.AppliedIndex})
				if err != nil {
					if last.acknowledged > 0 || !notFound(err) {
						k.t.Fatalf("node %d: %s: %v", n.id, compactingKey(id, key), err)
					}
					continue
				}
				found := false
				for try := max(last.acknowledged, 1); try <= last.tried && !found; try++ {
					found = bytes.Equal(got, k.value(id, key, try))
				}
				if !found {
					k.t.Errorf("node %d: %s is %.30q, and the write %d was acknowledged and %d tried", n.id, compactingKey(id, key), got, last.acknowledged, last.tried)
				}
				checked++
			}
		}
		k.t.Logf("node %d has %d keys", n.id, checked)
	}
}

// smallDisk mounts a file system of so many bytes for the data of a node.
func smallDisk(t *testing.T, n *node, size int) {
	t.Helper()
	dir := filepath.Dir(n.dir)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("no file system of its own can be mounted for the node: %v", err)
	}
	t.Cleanup(func() {
		n.kill()
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

// leave fills the node's disk, or empties it again, so that so much is left.
func leave(t *testing.T, n *node, left uint64) {
	t.Helper()
	filler := filepath.Join(filepath.Dir(n.dir), "filler")
	if err := os.Remove(filler); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(n.dir), &fs); err != nil {
		t.Fatal(err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free <= left {
		return
	}
	f, err := os.Create(filler)
	if err == nil {
		err = errors.Join(syscall.Fallocate(int(f.Fd()), 0, 0, int64(free-left)), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCompaction: under load, with a snapshot every few seconds, a follower is away for long,
// comes back to a disk that is nearly full, is killed while it receives the snapshot, stops
// because the disk is full, and goes on when there is room. In the end all nodes have the
// same, and no log has grown meanwhile.
//
//	go test ./examples/kv -run TestCompaction -v -timeout 0 -args -compaction=6m
func TestCompaction(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	length := max(*compactionFor, 24*time.Second)
	c := &cluster{t: t}
	for id := uint64(1); id <= 3; id++ {
		n := newNode(t, id, append(compactionFlags, "--snapshot-rate", strconv.Itoa(8<<20))...)
		c.nodes = append(c.nodes, n)
	}
	away := c.nodes[2]
	smallDisk(t, away, 1500<<20)
	for _, n := range c.nodes {
		n.start()
	}
	c.nodes[0].mustKV("init", "--members", c.members())
	c.leader()
	k := newCompacting(t, c, compactingValue)
	k.start(max(length/200, 250*time.Millisecond))
	pass := func(part int) { time.Sleep(length * time.Duration(part) / 12) }

	pass(2)
	if c.leader() == away {
		c.nodes[0].mustKV("transfer", "--to", "1")
	}
	k.down[2].Store(true)
	had, err := away.status()
	if err != nil {
		t.Fatal(err)
	}
	away.kill()
	pass(5)
	eventually(t, "nobody to have the log from there on", func() error {
		for _, n := range c.others(away) {
			if s, err := n.status(); err != nil || s.FirstIndex <= had.LastLogIndex+1000 {
				return fmt.Errorf("the log of node %d begins at %d, and node %d had %d, %v", n.id, s.FirstIndex, away.id, had.LastLogIndex, err)
			}
		}
		return nil
	})
	// Its disk is nearly full: less is free than twice the log store's guard of 256 MiB.
	leave(t, away, 500<<20)
	away.start()
	eventually(t, "a snapshot to arrive in part", func() error {
		if s, err := away.status(); err != nil || s.Receiving == nil || s.Receiving.Bytes < 1<<20 {
			return fmt.Errorf("%+v, %v", s.Receiving, err)
		}
		return nil
	})
	away.kill()
	// It is full: when the guard is met the node stops, and says why.
	leave(t, away, 262<<20)
	away.start()
	eventually(t, "the guard to be met", func() error {
		if s, err := away.status(); err != nil || !strings.Contains(s.Fatal, "bytes left") {
			return fmt.Errorf("%q, %v", s.Fatal, err)
		}
		return nil
	})
	away.kill()
	leave(t, away, 500<<20)
	away.start()
	eventually(t, "the follower to be up to date", func() error {
		s, err := away.status()
		if err != nil || s.SnapshotIndex == 0 || s.CommitIndex > s.AppliedIndex+5000 || s.Receiving != nil {
			return fmt.Errorf("%+v, %v", s, err)
		}
		return nil
	})
	k.down[2].Store(false)
	pass(2)
	leave(t, away, 1500<<20)
	pass(3)
	k.cancel()
	k.running.Wait()
	k.ctx = t.Context()
	k.sample()
	t.Log(k.table(min(13, len(k.rows))))
	k.verify()
	// What is kept behind a snapshot, and for others, the entries up to the next snapshot, and
	// as many again that come while it is made.
	const bound = compactingKeepBytes + compactingHoldBytes + 2*compactingEntries*(compactingValue+200)
	for i, most := range k.most(func(r *compactionRow) [3]uint64 { return r.log }, 0, time.Since(k.begun)) {
		if t.Logf("the log of node %d had at most %d MiB", i+1, most>>20); most > bound {
			t.Errorf("that is more than %d", bound>>20)
		}
	}
}

// TestMemoryUnderCompaction: what nodes have in memory does not grow: in the second half it
// is at most a tenth above what it was from the tenth to the half.
//
//	go test ./examples/kv -run TestMemoryUnderCompaction -v -timeout 0 -args -compaction-memory=10m
func TestMemoryUnderCompaction(t *testing.T) {
	length := *memoryFor
	if length == 0 {
		t.Skip("-compaction-memory says for how long")
	}
	c := newCluster(t, compactionFlags...)
	k := newCompacting(t, c, 1<<10)
	k.start(time.Second)
	time.Sleep(length)
	k.cancel()
	k.running.Wait()
	k.ctx = t.Context()
	t.Log(k.table(min(21, len(k.rows))))
	memory := func(r *compactionRow) [3]uint64 { return r.memory }
	early, late := k.most(memory, length/10, length/2), k.most(memory, length/2, length)
	for i := range early {
		t.Logf("node %d: %d MiB from minute 2 to 5, %d MiB from 6 to 10: %.3f times", i+1, early[i]>>20, late[i]>>20, float64(late[i])/float64(early[i]))
		if late[i] > early[i]+early[i]/10 {
			t.Errorf("the memory of node %d grows", i+1)
		}
	}
	k.verify()
}
