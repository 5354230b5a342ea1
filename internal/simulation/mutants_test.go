package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// mutant is one rule broken on purpose: in a file, a text that stands there
// exactly once is replaced by another.
type mutant struct {
	name string
	rule string // that it breaks
	file string // from the root of the module
	old  string
	new  string
}

var allMutants = flag.Bool("mutants", false, "run all mutants, not the usual ones alone")

// usualMutants is how many of the mutants, from the first, run always. Each costs
// a build and a hunt.
const usualMutants = 8

var mutants = []mutant{
	{
		"commit of an earlier term by counting", "Raft 5.4.2", "core/commit.go",
		"if term, ok := e.log.term(c); !ok || term != e.hard.Term {",
		"if _, ok := e.log.term(c); !ok {",
	},
	{
		"two votes in a term", "Raft 5.2", "core/vote.go",
		"free := e.hard.Vote.IsZero() || e.hard.Vote == m.From",
		"free := true",
	},
	{
		"append acknowledged before it is durable", "rule 3", "core/append_entries.go",
		"w.Then = append(w.Then, r)\n\te.submit(w)",
		"e.out.send(r)\n\te.submit(w)",
	},
	{
		"no truncation on conflict", "Raft 5.3", "core/append_entries.go",
		"if !e.log.holds(entries[i].LogID) {",
		"if entries[i].Index > e.log.last.Index {",
	},
	{
		"leadership resumed after a restart", "rule 7", "core/engine.go",
		"\te.role = e.idleRole()\n\tif e.configs.everySoleVoter(e.cfg.Self) {",
		"\te.role = e.idleRole()\n\tif e.hard.Vote == e.cfg.Self {\n\t\te.takeOffice()\n\t} else if e.configs.everySoleVoter(e.cfg.Self) {",
	},
	{
		"commit by a heartbeat that proves nothing", "rule 4", "core/append_entries.go",
		"min(leaderCommit, e.proved)",
		"min(leaderCommit, e.log.last.Index)",
	},
	{
		"stale answers of an earlier campaign counted", "rule 5", "core/election.go",
		"clear(c.votes)",
		"_ = c.votes",
	},
	{
		"read without a round of confirmation", "rule 26", "core/read_index.go",
		"r.index, r.round = e.commit, e.office.round+1\n\te.reads.confirming = append(e.reads.confirming, r)",
		"r.index = e.commit\n\te.answerRead(r)",
	},
	{
		"own vote asked for before it is durable", "rule 3", "core/election.go",
		"w.Then = e.voteRequests(false)",
		"for _, m := range e.voteRequests(false) {\n\t\te.out.send(m)\n\t}",
	},
	{
		"leader counts itself before its disk", "rule 2", "core/commit.go",
		"c := e.quorumIndex(e.writes.flushed)",
		"c := e.quorumIndex(e.log.last.Index)",
	},
	{
		"flushed watermark not clipped by truncation", "rule 1", "core/writes.go",
		"w.pending[i].last = min(w.pending[i].last, last)",
		"_ = i",
	},
	{
		"message for another incarnation accepted", "rule 18", "core/identity.go",
		"if h.To != e.cfg.Self {\n\t\tif h.To.Incarnation",
		"if h.To.ID != e.cfg.Self.ID {\n\t\tif h.To.Incarnation",
	},
	{
		"failed write released", "rule 6", "actors/log_actor.go",
		"\t\tl.giveUp(err)\n\t\treturn\n",
		"",
	},
	{
		"promise given before it stands on the disk", "rule 13", "actors/node.go",
		"if err := n.cfg.Store.RecordPromise(ctx, d); err != nil {",
		"if err := ctx.Err(); err != nil {",
	},
	{
		"promise forgotten", "rule 12", "core/heartbeat.go",
		"e.promise.until, e.promise.to = e.now.Add(ms*time.Millisecond), m.From",
		"_ = time.Millisecond",
	},
}

// TestMutantsApply asserts that every mutant changes the code as it stands, those
// that seldom run too.
func TestMutantsApply(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		if _, err := m.overlay(root, t.TempDir()); err != nil {
			t.Errorf("%s (%s): %v", m.name, m.rule, err)
		}
	}
}

// TestMutants proves that the simulator has teeth: each mutant is caught by a
// checker within the seeds that TestSeeds runs by default. -args -mutants runs
// the unusual ones too.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test binary for each mutant")
	}
	if raceEnabled {
		t.Skip("builds test binaries without the race detector")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// Two at a time: building one overlaps with running another.
	places := make(chan struct{}, 2)
	var group sync.WaitGroup
	var lock sync.Mutex
	begun := time.Now()
	hunted := mutants
	if !*allMutants {
		hunted = hunted[:usualMutants]
	}
	for _, m := range hunted {
		dir := t.TempDir()
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			caught, err := m.hunt(t, root, dir)
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				t.Errorf("%s (%s): %v", m.name, m.rule, err)
				return
			}
			t.Logf("%-50s (%s): %s", m.name, m.rule, caught)
		})
	}
	group.Wait()
	t.Logf("%d of %d mutants in %v", len(hunted), len(mutants), time.Since(begun).Round(time.Second))
}

var caughtLine = regexp.MustCompile(`(?m)seed (\d+): ([^\n]*)`)

// hunt builds the mutant and runs the default seeds on it, until one fails.
func (m *mutant) hunt(t *testing.T, root, dir string) (caught string, err error) {
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "simulation.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, "./internal/simulation")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("does not build: %w\n%s", err, output)
	}
	output, err := exec.CommandContext(t.Context(), binary, "-test.run", "^TestSeeds$", "-test.v", "-test.timeout", "2m").CombinedOutput()
	if err == nil {
		return "", fmt.Errorf("was not caught:\n%s", output)
	}
	found := caughtLine.FindSubmatch(output)
	if found == nil || !strings.Contains(string(output), "replay: ") {
		return "", fmt.Errorf("failed, and not by a checker: %w\n%s", err, output)
	}
	return fmt.Sprintf("seed %s: %.200s", found[1], found[2]), nil
}

// overlay writes the mutated file, and the file that puts it in its place.
func (m *mutant) overlay(root, dir string) (string, error) {
	path := filepath.Join(root, filepath.FromSlash(m.file))
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("does not apply: %q stands %d times in %s", m.old, n, m.file)
	}
	mutated := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	content, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutated}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, content, 0o600)
}
