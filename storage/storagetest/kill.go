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

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

const killDirectory = "TROUPE_STORAGETEST_KILL"

// KillLogStore starts the test binary again, as a process that writes batches
// and says which are acknowledged, and kills it without warning, several times
// on the same directory. Everything acknowledged must be there, and every batch
// whole. It must be called by a test function of the top level, and open must
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
}

// runKilled runs the writer until it has acknowledged n batches, and returns
// the number of the last acknowledged one.
func runKilled(t *testing.T, dir string, n int) uint64 {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), killDirectory+"="+dir)
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
	}
	if k%11 == 0 {
		op.Purge = core.LogID{Term: 1, Index: first - 3}
	}
	return &storage.Batch{Operations: []storage.Operation{op, {Group: 2, HardState: op.HardState, Append: commands(2, first, 3, 10), Commit: core.Index(k)}}}
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
		for k := uint64(s.Last.Index)/3 + 1; ; k++ {
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
	t.Logf("%d batches are there, %d were acknowledged", there, acknowledged)
}
