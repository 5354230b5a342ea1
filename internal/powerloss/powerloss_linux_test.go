package powerloss

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	enabled  = flag.Bool("powerloss", false, "run on real file systems; needs root")
	onlyFS   = flag.String("fs", "ext4,xfs,btrfs", "the file systems to run on")
	images   = flag.Int("images", 60, "images of each run")
	runs     = flag.Int("runs", 1, "runs for each file system, each with another workload")
	steps    = flag.Int("steps", 6000, "steps of the workload of each run")
	diskMiB  = flag.Int64("disk", 512, "size of the disk in MiB")
	seedFrom = flag.Uint64("seed", 1, "of the first run")
	workDir  = flag.String("work", "/dev/shm", "where the disk and its images lie: in memory, or it takes long")
)

func TestMain(m *testing.M) {
	runChild()
	os.Exit(m.Run())
}

// onEach runs a test on each file system, or says why it cannot.
func onEach(t *testing.T, do func(*testing.T, fileSystem)) {
	if !*enabled {
		t.Skip("needs root, FUSE and loop devices, and is run with -args -powerloss")
	}
	for _, name := range strings.Split(*onlyFS, ",") {
		i := slices.IndexFunc(fileSystems, func(fs fileSystem) bool { return fs.name == name })
		if i < 0 {
			t.Errorf("no file system %q is known", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			if why := lacks(fileSystems[i]); why != "" {
				t.Skip(why)
			}
			do(t, fileSystems[i])
		})
	}
}

// TestPowerLoss: whenever the power fails, everything that was acknowledged is there,
// nothing that was never begun is, and the stores go on.
func TestPowerLoss(t *testing.T) {
	onEach(t, func(t *testing.T, fs fileSystem) {
		eachSeed(t, func(t *testing.T, seed uint64) { newRecording(t, fs, seed).run() })
	})
}

// eachSeed runs a test for each run, one after the other: a recording is large.
func eachSeed(t *testing.T, do func(*testing.T, uint64)) {
	for i := range *runs {
		seed := *seedFrom + uint64(i)
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { do(t, seed) })
	}
}

// recording is one run: a workload that is recorded, and the images of it.
type recording struct {
	*testing.T
	stand  *stand
	job    job
	random *rand.Rand
	known  note
	// lives of the writing process, by how they ended.
	killed, closed, failed int
	// refusing chooses what the disk is going to refuse; nil: nothing.
	refusing func(r *recording, now *told)
	// refusals are the writes that it has refused.
	refusals int
}

func newRecording(t *testing.T, fs fileSystem, seed uint64) *recording {
	r := &recording{T: t, stand: newStand(t, fs, *diskMiB<<20), random: rand.New(rand.NewPCG(seed, 2))}
	r.job = job{Log: "badger", Snapshot: "files", Seed: seed}
	return r
}

func (r *recording) run() {
	live, err := r.stand.mount()
	if err != nil {
		r.Fatal(err)
	}
	begin := r.stand.disk.position()
	for r.known.Acknowledged < *steps {
		before, failed := r.known.Acknowledged, r.failed
		r.live(live)
		if r.Failed() {
			r.FailNow()
		}
		// Some file systems give up when the disk refuses what is their own.
		if r.failed > failed && r.known.Acknowledged == before && !r.remount() {
			break
		}
	}
	events := r.stand.disk.stop()
	r.stand.unmount() // no two file systems of one identity may be mounted
	r.Logf("%s, seed %d: %d steps, %d events, %d MiB written, %d kills, %d closes, %d failures, %d writes refused", r.stand.fs.name, r.job.Seed, r.known.Acknowledged,
		len(events), r.stand.disk.written>>20, r.killed, r.closed, r.failed, r.refusals)
	r.Images(events, r.moments(events, begin))
}

// remount lets the file system begin anew. It reports whether it does.
func (r *recording) remount() bool {
	r.stand.unmount()
	if _, err := r.stand.mount(); err != nil {
		r.Logf("%s, seed %d: the file system has not outlived what was refused: %v", r.stand.fs.name, r.job.Seed, err)
		return false
	}
	return true
}

// live is one life of the process that writes. Most are short; some are long enough for
// files to be made of what it has written.
func (r *recording) live(dir string) {
	end := r.known.Acknowledged + 1 + r.random.IntN(60)
	if r.random.IntN(8) == 0 {
		end += r.random.IntN(*steps / 3)
	}
	j := r.job
	j.Role, j.Dir, j.Known = "write", dir, r.known
	cmd, err := child(r.Context(), j)
	if err != nil {
		r.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		r.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		r.Fatal(err)
	}
	last := r.listen(out, in, end)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	r.refusals += r.stand.disk.allow()
	if last != "" {
		r.failed++
		if r.refusing == nil {
			r.Errorf("the process that writes has ended: %s%s", last, stderr.String())
		}
	}
}

// listen records what a process tells and lets it go on, until its end. It returns what
// the process said at its own end, if that came before.
func (r *recording) listen(out io.Reader, in io.Writer, end int) (last string) {
	closes := r.random.IntN(5) == 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var now told
		if err := json.Unmarshal(lines.Bytes(), &now); err != nil {
			return lines.Text()
		}
		if now.Acknowledged < r.known.Acknowledged {
			return fmt.Sprintf("%d steps are acknowledged, after %d", now.Acknowledged, r.known.Acknowledged)
		}
		over := now.Acknowledged >= min(end, *steps)
		known := now.note
		r.known = known
		r.stand.disk.record(event{note: &known})
		if over && closes {
			r.closed++
			_, _ = io.WriteString(in, "close\n")
			for lines.Scan() {
				last += lines.Text()
			}
			return last
		}
		if r.refusing != nil {
			r.refusing(r, &now)
		}
		if _, err := io.WriteString(in, "on\n"); err != nil {
			return err.Error()
		}
		if over { // in the middle of what it does next
			r.killed++
			time.Sleep(time.Duration(r.random.IntN(500)) * time.Microsecond)
			return ""
		}
	}
	return "it said nothing"
}

// moments chooses when the power fails: at any time; right after something was told;
// right before a flush; and while a store is opened, or right after that.
func (r *recording) moments(events []event, begin int) []int {
	var notes, flushes, opened []int
	var before uint64
	for i := begin; i < len(events); i++ {
		switch e := &events[i]; {
		case e.note != nil:
			notes = append(notes, i+1)
			if e.note.StartCounter != before {
				before = e.note.StartCounter
				opened = append(opened, i+1)
			}
		case e.flush && i > begin && !events[i-1].flush:
			flushes = append(flushes, i)
		}
	}
	moments := make([]int, *images)
	for i := range moments {
		switch i % 4 {
		case 0:
			moments[i] = begin + r.random.IntN(len(events)-begin+1)
		case 1:
			moments[i] = notes[r.random.IntN(len(notes))]
		case 2:
			moments[i] = flushes[r.random.IntN(len(flushes))]
		case 3:
			n := r.random.IntN(len(opened))
			moments[i] = opened[n]
			// What an opening writes lies before its first note.
			if last := slices.IndexFunc(notes, func(at int) bool { return at == opened[n] }); last > 0 && r.random.IntN(2) == 0 {
				moments[i] = notes[last-1] + r.random.IntN(opened[n]-notes[last-1])
			}
		}
	}
	slices.Sort(moments)
	return moments
}

// Images makes the images of these moments, and looks into each.
func (r *recording) Images(events []event, moments []int) {
	base, err := newDisk(r.stand.path("base.img"), r.stand.disk.size)
	if err != nil {
		r.Fatal(err)
	}
	defer base.file.Close()
	p := &player{events: events, base: base.file}
	var all loss
	mounted, bad := 0, 0
	for _, n := range moments {
		name := r.stand.path("image.img")
		known, lost, err := p.image(name, n, r.random)
		if err != nil {
			r.Fatal(err)
		}
		all.add(lost)
		ok, err := r.stand.inImage(name, func(dir string) error { return r.check(dir, known) })
		if ok {
			mounted++
		}
		if err != nil {
			bad++
			r.Errorf("%s, seed %d, after event %d (%d writes open, %d lost, %d torn): %+v: %v", r.stand.fs.name, r.job.Seed, n, lost.open, lost.lost, lost.torn, known, err)
		}
	}
	r.Logf("%s, seed %d: %d images, %d mounted; of %d writes that were not flushed %d lost, %d torn; %d images with a failure", r.stand.fs.name, r.job.Seed,
		len(moments), mounted, all.open, all.lost, all.torn, bad)
	if mounted < len(moments)*9/10 {
		r.Errorf("only %d of %d images could be mounted", mounted, len(moments))
	}
}

// check looks at the stores of an image, in a process of its own.
func (r *recording) check(dir string, known note) error {
	j := r.job
	j.Role, j.Dir, j.Known = "check", dir, known
	cmd, err := child(r.Context(), j)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %.1000s", err, bytes.TrimSpace(out))
	}
	return nil
}
