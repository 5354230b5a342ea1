package storagetest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

const (
	killDirectory = "TROUPE_STORAGETEST_KILL"
	// killRefuses, if set, lets the process refuse the store before it writes.
	killRefuses = "TROUPE_STORAGETEST_KILL_REFUSES"
)

// KillLogStore starts the test binary again, as a process that writes batches,
// promises and peers and says which are acknowledged, and kills it without
// warning, several times on the same directory. Everything acknowledged must be
// there, and every batch whole. At last the process refuses the store, and is
// killed: it must stay refused. It must be called by a test function of the top level, and open must
// open directories of other processes.
func KillLogStore(t *testing.T, open OpenLog) {
	if dir := os.Getenv(killDirectory); dir != "" {
		killedWriter(dir, open)
	}
	if runtime.GOOS == "windows" {
		t.Skip("needs SIGKILL")
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(5, 6))
	for round := range 5 {
		acknowledged := runKilled(t, dir, 1+random.IntN(150))
		checkKilled(t, open, dir, acknowledged)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	if got := runKilled(t, dir, 1, killRefuses+"=yes"); got != killedRefusal {
		t.Fatalf("the writer acknowledged %d and not that it refused the store", got)
	}
	h := &home{T: t, opener: open, dir: dir}
	if got := h.checkRefused(); got != "killed" {
		t.Errorf("refused for %q", got)
	}
}

// killedRefusal is acknowledged in the place of a batch.
const killedRefusal = 1 << 40

// runKilled runs the writer until it has acknowledged n batches, and returns
// the number of the last acknowledged one.
func runKilled(t *testing.T, dir string, n int, environment ...string) uint64 {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.timeout=60s")
	cmd.Env = append(append(os.Environ(), killDirectory+"="+dir), environment...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last uint64
	lines := bufio.NewScanner(out)
	for seen := 0; lines.Scan(); {
		var k uint64
		if _, err := fmt.Sscanf(lines.Text(), "acknowledged %d", &k); err != nil {
			t.Errorf("the writer says %q", lines.Text())
			break
		}
		last = k
		if seen++; seen == n {
			// It writes on until the signal comes; what it says until then counts.
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if last == 0 {
		t.Fatal("the writer acknowledged nothing")
	}
	return last
}

// killedBatch is the k-th batch: entries to two groups, the k-th of them with a
// hard state that names k.
func killedBatch(k uint64) *storage.Batch {
	random := rand.New(rand.NewPCG(k, 0))
	hard := &core.HardState{Term: core.Term(k), Vote: membership.Identity{ID: 1, Incarnation: 1}}
	size := random.IntN(3000)
	first := core.Index(3*k - 2)
	op := storage.Operation{Group: 1, Append: commands(1, first, 3, size), Commit: core.Index(k)}
	if k%7 == 0 {
		op.HardState = hard
		op.HardState.Grant = core.Grant{To: hard.Vote, Attempt: k, LengthMillis: uint32(k)}
	}
	if k%11 == 0 {
		op.Purge = core.LogID{Term: 1, Index: first - 3}
	}
	return &storage.Batch{Operations: []storage.Operation{op, {Group: 2, HardState: op.HardState, Append: commands(2, first, 3, 10), Commit: core.Index(k)}}}
}

// killedPromise is recorded before the k-th batch: by turns more and less than
// the last.
func killedPromise(k uint64) time.Duration {
	return time.Duration(k%2)*time.Hour + time.Duration(k)
}

// killedWriter writes batches after those that are there, until it is killed.
func killedWriter(dir string, open OpenLog) {
	ctx := context.Background()
	err := func() error {
		store, err := open(dir, node)
		if err != nil {
			return err
		}
		s, err := store.Load(ctx, 2)
		if err != nil {
			return err
		}
		if os.Getenv(killRefuses) != "" {
			if err := store.Refuse(ctx, "killed"); err != nil {
				return err
			}
			fmt.Printf("acknowledged %d\n", killedRefusal)
			select {} // until it is killed
		}
		for k := uint64(s.Last.Index)/3 + 1; ; k++ {
			if err := store.KeepPeer(ctx, peer(1, k)); err != nil {
				return err
			}
			if err := store.RecordPromise(ctx, killedPromise(k)); err != nil {
				return err
			}
			if err := store.Write(ctx, killedBatch(k)); err != nil {
				return err
			}
			fmt.Printf("acknowledged %d\n", k)
		}
	}()
	fmt.Println("failed:", err)
	os.Exit(1)
}

func checkKilled(t *testing.T, open OpenLog, dir string, acknowledged uint64) {
	t.Helper()
	store, err := open(dir, node)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s, err := store.Load(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	there := uint64(s.Last.Index) / 3
	if there < acknowledged {
		t.Fatalf("%d batches are there, %d were acknowledged", there, acknowledged)
	}
	want := model{}
	for k := uint64(1); k <= there; k++ {
		want.write(killedBatch(k))
	}
	if err := want.differs(t, store); err != nil {
		t.Fatalf("%d batches are there, %d were acknowledged: %v", there, acknowledged, err)
	}
	// The next one was perhaps under way: the one or the other, never neither.
	if got := store.Header().Promise; got != killedPromise(there) && got != killedPromise(there+1) {
		t.Fatalf("promise %v with %d batches", got, there)
	}
	if got := store.Peers(); len(got) != 1 || got[0] != peer(1, there) && got[0] != peer(1, there+1) {
		t.Fatalf("peers %+v with %d batches", got, there)
	}
	t.Logf("%d batches are there, %d were acknowledged", there, acknowledged)
}
