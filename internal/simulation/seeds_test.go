package simulation

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
)

var (
	seedsFlag  = flag.Int("seeds", 0, "how many seeds TestSeeds runs; 0: 500, or 50 with -short or the race detector")
	firstFlag  = flag.Uint64("first", 1, "the first of them")
	traceFlag  = flag.Bool("trace", false, "print the trace of each seed")
	nodesFlag  = flag.String("nodes", "", "run only those of the seeds whose clusters have so many nodes, as 5 or 5-7")
	failsFlag  = flag.Int("failures", 1, "how many seeds may fail before TestSeeds gives up; 0: it runs all of them")
	updateFlag = flag.Bool("update", false, "write the counts of the situations into the guide")
)

// seedsDefault is how many seeds always run.
const seedsDefault = 500

// systemSeeds is after how many seeds a worker takes a new actor system: what
// crashed is never stopped, and stays in the system's registry.
const systemSeeds = 50

// traceWriter is where traces are printed, nil if they are not.
func traceWriter() io.Writer {
	if *traceFlag {
		return os.Stdout
	}
	return nil
}

// sizes returns the smallest and the largest cluster that -nodes asks for.
func sizes(t *testing.T) (least, most int) {
	t.Helper()
	if *nodesFlag == "" {
		return 1, nodesMax
	}
	from, to, isRange := strings.Cut(*nodesFlag, "-")
	if !isRange {
		to = from
	}
	least, err := strconv.Atoi(from)
	if err == nil {
		most, err = strconv.Atoi(to)
	}
	if err != nil || least < 1 || most < least || most > nodesMax {
		t.Fatalf("-nodes=%s is neither a number of nodes nor a range of them within 1-%d", *nodesFlag, nodesMax)
	}
	return least, most
}

// nextSeeds returns what hands out the seeds that are to be run, one after the other.
func nextSeeds(t *testing.T, count int) func() (seed uint64, ok bool) {
	t.Helper()
	least, most := sizes(t)
	seed, left := *firstFlag, count
	return func() (uint64, bool) {
		if left--; left < 0 {
			return 0, false
		}
		for ; least > 1 || most < nodesMax; seed++ {
			if p := planOf(seed); least <= p.nodes && p.nodes <= most {
				break
			}
		}
		seed++
		return seed - 1, true
	}
}

// harvest is what came of many seeds.
type harvest struct {
	sum   Result
	ran   int
	nodes [nodesMax + 1]int // seeds by the size of their clusters
	// met is how many seeds have met a situation.
	met [situations]int
}

func (h *harvest) add(r *Result) {
	h.ran++
	h.sum.add(r)
	h.nodes[r.Nodes]++
	for x, times := range r.Situations {
		h.met[x] += int(truth(times > 0))
	}
}

// TestSeeds runs seeds until one fails, or as many as -failures allows. -timeout 0 is
// needed for thousands.
func TestSeeds(t *testing.T) {
	count := *seedsFlag
	if count == 0 {
		count = seedsDefault
		if testing.Short() || raceEnabled {
			count = 50
		}
	}
	// The seeds that always run have to meet every situation.
	whole := *seedsFlag == 0 && *firstFlag == 1 && *nodesFlag == "" && count == seedsDefault
	workers, trace := min(runtime.GOMAXPROCS(0), count), traceWriter()
	if trace != nil {
		workers = 1
	}
	var (
		group  sync.WaitGroup
		lock   sync.Mutex // of what follows
		next   = nextSeeds(t, count)
		failed int
		all    harvest
		begun  = time.Now()
	)
	take := func() (seed uint64, ok bool) {
		lock.Lock()
		defer lock.Unlock()
		if *failsFlag > 0 && failed >= *failsFlag {
			return 0, false
		}
		return next()
	}
	for range workers {
		group.Go(func() {
			system := stage.NewSystem()
			for n := 1; ; n++ {
				seed, ok := take()
				if !ok {
					return
				}
				if n%systemSeeds == 0 {
					system = stage.NewSystem()
				}
				r := Run(seed, Options{Trace: trace, System: system})
				lock.Lock()
				all.add(&r)
				failed += int(truth(r.Failure != nil))
				lock.Unlock()
				if r.Failure != nil {
					t.Errorf("seed %d: %v\nreplay: %s", r.Seed, r.Failure, replay(r.Seed))
				}
			}
		})
	}
	group.Wait()
	all.tell(t, workers, time.Since(begun))
	if failed > 0 {
		return
	}
	if sum := &all.sum; count >= 50 && (sum.Writes == 0 || slices.Min(sum.ReadsOf[:]) == 0 || sum.Local == 0 || sum.Restores == 0 || sum.Faults == 0 || sum.Forged == 0 || sum.Jobs == 0 || sum.Transferred == 0 || sum.ElectedByHand == 0 || sum.Changed == 0) {
		t.Error("the seeds try nothing")
	}
	if !whole {
		return
	}
	for x := range situation(situations) {
		if all.met[x] == 0 {
			t.Errorf("no seed meets this: %v", x)
		}
	}
	if *updateFlag {
		updateGuide(t, &all)
	}
}

// tell prints what came of the seeds.
func (h *harvest) tell(t *testing.T, workers int, took time.Duration) {
	n, sum := float64(max(h.ran, 1)), &h.sum
	t.Logf("%d seeds in %v, %.1f a second on each of %d workers; clusters of 1 to %d nodes: %v", h.ran, took.Round(time.Millisecond), n/took.Seconds()/float64(workers), workers, nodesMax, h.nodes[1:])
	t.Logf("a seed on average: %.1f simulated seconds, %.0f events, %.0f entries, %.0f writes acknowledged, %.0f reads, %.1f elections, %.1f faults, %.1f lives, %.1f snapshots, %.1f restores, %.1f jobs of leaders, %.1f forged messages, %.1f requests of an operator, %.2f transfers and %.2f elections by hand that succeeded, %.1f changes of the members asked for and %.2f ended",
		sum.Simulated.Seconds()/n, float64(sum.Events)/n, float64(sum.Entries)/n, float64(sum.Writes)/n, float64(sum.Reads)/n, float64(sum.Elections)/n,
		float64(sum.Faults)/n, float64(sum.Lives)/n, float64(sum.Snapshots)/n, float64(sum.Restores)/n, float64(sum.Jobs)/n, float64(sum.Forged)/n, float64(sum.Hands)/n, float64(sum.Transferred)/n, float64(sum.ElectedByHand)/n, float64(sum.Asked)/n, float64(sum.Changed)/n)
	t.Logf("reads by mode: %d linearizable, %d lease, %d stale, %d at least; %d waited for nobody", sum.ReadsOf[0], sum.ReadsOf[1], sum.ReadsOf[2], sum.ReadsOf[3], sum.Local)
	for x := range situation(situations) {
		t.Logf("%5d seeds, %7d times: %v", h.met[x], sum.Situations[x], x)
	}
}

// replay is the line that runs a seed again and shows what happened.
func replay(seed uint64) string {
	return fmt.Sprintf("go test ./internal/simulation -run TestSeeds -args -seeds=1 -first=%d -trace", seed)
}

func (r *Result) add(o *Result) {
	r.Simulated += o.Simulated
	r.Events += o.Events
	r.Steps += o.Steps
	r.Entries += o.Entries
	r.Writes += o.Writes
	r.Reads += o.Reads
	r.Local += o.Local
	for mode, n := range o.ReadsOf {
		r.ReadsOf[mode] += n
	}
	r.Elections += o.Elections
	r.Faults += o.Faults
	r.Jobs += o.Jobs
	r.Forged += o.Forged
	r.Hands += o.Hands
	r.Asked += o.Asked
	r.Changed += o.Changed
	r.Transferred += o.Transferred
	r.ElectedByHand += o.ElectedByHand
	r.Lives += o.Lives
	r.Snapshots += o.Snapshots
	r.Restores += o.Restores
	for x := range o.Situations {
		r.Situations[x] += o.Situations[x]
	}
}
