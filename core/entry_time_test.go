package core

import (
	"strings"
	"testing"
	"time"
)

// noon is when the tests of times begin on the wall clock.
const noon = int64(1_800_000_000_000_000_000)

// clockRig is a leader whose wall clock a test sets.
type clockRig struct{ *rig }

func newClockRig(t *testing.T, last int64, configure func(*Config)) clockRig {
	t.Helper()
	s := rigState(rigOptions{voters: 1})
	s.LastTime = last
	r := newRigOf(t, s, func(c *Config) {
		c.Wall = WallClock{Time: noon, At: Instant(time.Hour)}
		if configure != nil {
			configure(c)
		}
	})
	return clockRig{r.lead()}
}

// passed is for how long the rig has run: it begins an hour after nothing.
func (r clockRig) passed() time.Duration { return r.now.Sub(Instant(time.Hour)) }

// write lets time pass, and then proposes with a wall clock that is off by so much. It
// returns the time of the entry since noon, and what was told.
func (r clockRig) write(passed, off time.Duration) (at time.Duration, told []string) {
	r.t.Helper()
	r.now = r.now.Add(passed)
	r.step(&Propose{Time: noon + int64(r.passed()+off), Entries: []Entry{{Kind: EntryCommand}}})
	w, ok := find[*Write](r.rig)
	if !ok {
		r.t.Fatal("nothing is written")
	}
	for _, c := range r.last {
		if n, ok := c.(*Notice); ok && n.Kind == NoticeClock {
			told = append(told, n.Text)
		}
	}
	return time.Duration(w.Append[len(w.Append)-1].Time - noon), told
}

// expectTold asserts that one thing, or nothing, was told.
func (r clockRig) expectTold(told []string, want string) {
	r.t.Helper()
	if want == "" && len(told) > 0 || want != "" && (len(told) != 1 || !strings.Contains(told[0], want)) {
		r.t.Errorf("told %q, want %q", told, want)
	}
}

const year = 365 * 24 * time.Hour

// TestWallClockThatJumps: within a life the wall clock counts as far as the other clock
// has moved and an hour. Both the jump and its end are told once, and counted.
func TestWallClockThatJumps(t *testing.T) {
	r := newClockRig(t, noon-int64(time.Minute), nil)
	right, told := r.write(time.Second, 0)
	r.expectTold(told, "")
	passed := r.passed()
	if right != passed {
		t.Errorf("the time is %v after noon, and the clock says %v", right, passed)
	}
	wrong, told := r.write(time.Second, 10*year)
	r.expectTold(told, "has jumped ahead")
	if want := r.passed() + jumpMax; wrong != want {
		t.Errorf("with a clock that is wrong the time is %v after noon, want %v", wrong, want)
	}
	later, told := r.write(time.Second, 10*year)
	r.expectTold(told, "")
	if later != wrong+time.Second {
		t.Errorf("a second later it is %v", later-wrong)
	}
	after, told := r.write(10*time.Second, 0)
	r.expectTold(told, "counts again")
	if after != later+5*time.Second {
		t.Errorf("the clock is right again, and within 10 s the time went on by %v", after-later)
	}
	for range 2 * 60 {
		_, told = r.write(time.Minute, 0)
		r.expectTold(told, "")
	}
	if at, _ := r.write(0, 0); at != r.passed() {
		t.Errorf("two hours later the time is still %v ahead", at-r.passed())
	}
	if n := r.e.Progress().ClockJumps; n != 2 {
		t.Errorf("%d jumps are counted", n)
	}
}

// TestTimeIsAheadAtTheStart: the last life's clock was wrong. The time of its entries stays,
// goes on at half speed, and is told of.
func TestTimeIsAheadAtTheStart(t *testing.T) {
	r := newClockRig(t, noon+int64(10*year), nil)
	first, told := r.write(time.Second, 0)
	r.expectTold(told, "goes on at half speed")
	second, told := r.write(2*time.Second, 0)
	r.expectTold(told, "")
	if first < 10*year || second != first+time.Second {
		t.Errorf("times %v and %v", first, second)
	}
}

// TestWallClockAtTheStart: a wrong clock at the start cannot be told from a long pause. It
// counts, and is told of. So it does always where the other clock may stand still.
func TestWallClockAtTheStart(t *testing.T) {
	r := newClockRig(t, noon-int64(year), nil)
	at, told := r.write(time.Second, 0)
	r.expectTold(told, "nothing was written for so long, or a clock is wrong")
	if at != r.passed() {
		t.Errorf("the time is %v after noon", at)
	}
	_, told = r.write(5*time.Hour, 0)
	r.expectTold(told, "") // nobody wrote, as the other clock says too
	for name, configure := range map[string]func(*Config){
		"a clock that stops": func(c *Config) { c.ClockStops = true },
		"no wall clock":      func(c *Config) { c.Wall = WallClock{} },
	} {
		r := newClockRig(t, noon, configure)
		at, told := r.write(time.Second, year)
		r.expectTold(told, "nothing was written for so long, or a clock is wrong")
		if at != r.passed()+year {
			t.Errorf("%s: the time is %v after noon", name, at)
		}
	}
}

// TestEntryTimesNeverDecrease: whatever the wall clock of a leader says, and whoever led
// before.
func TestEntryTimesNeverDecrease(t *testing.T) {
	r := newClockRig(t, noon, nil)
	last := time.Duration(0)
	for _, off := range []time.Duration{0, -year, time.Second, -time.Minute, year, 0} {
		at, _ := r.write(time.Millisecond, off)
		if at < last {
			t.Errorf("%v follows %v", at, last)
		}
		last = at
	}
}
