package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// naiveLog knows the term of every entry by keeping it.
type naiveLog struct {
	purged LogID
	terms  []Term // those of purged.Index+1 and on
}

func (l *naiveLog) last() LogID {
	if n := len(l.terms); n > 0 {
		return LogID{l.terms[n-1], l.purged.Index + Index(n)}
	}
	return l.purged
}

func (l *naiveLog) term(i Index) (Term, bool) {
	switch {
	case i == l.purged.Index:
		return l.purged.Term, true
	case i < l.purged.Index || i > l.last().Index:
		return 0, false
	}
	return l.terms[i-l.purged.Index-1], true
}

func (l *naiveLog) floor(bound LogID) LogID {
	for i := min(bound.Index, l.last().Index); i >= l.purged.Index; i-- {
		if term, _ := l.term(i); term <= bound.Term {
			return LogID{term, i}
		}
		if i == 0 {
			break
		}
	}
	return LogID{}
}

// check compares everything that can be asked.
func (l *naiveLog) check(runs *termRuns) error {
	if runs.last != l.last() || runs.purged != l.purged {
		return fmt.Errorf("last %v, purged %v, want %v, %v", runs.last, runs.purged, l.last(), l.purged)
	}
	for i := Index(0); i <= l.last().Index+2; i++ {
		want, wantOK := l.term(i)
		if got, ok := runs.term(i); got != want || ok != wantOK {
			return fmt.Errorf("term(%d) = %d, %t, want %d, %t", i, got, ok, want, wantOK)
		}
		for term := Term(0); term <= l.last().Term+1; term++ {
			if got, want := runs.holds(LogID{term, i}), wantOK && term == want; got != want {
				return fmt.Errorf("holds(%d.%d) = %t", term, i, got)
			}
			if got, want := runs.floor(LogID{term, i}), l.floor(LogID{term, i}); got != want {
				return fmt.Errorf("floor(%d.%d) = %v, want %v", term, i, got, want)
			}
		}
	}
	if n := len(slices.Compact(slices.Clone(l.terms))); len(runs.runs) != n {
		return fmt.Errorf("%d runs for %d terms", len(runs.runs), n)
	}
	return nil
}

// TestTermRunsAgainstNaiveLog plays random changes on both.
func TestTermRunsAgainstNaiveLog(t *testing.T) {
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 4))
		naive, runs := &naiveLog{}, &termRuns{}
		var story []string
		for range 25 {
			last := naive.last()
			switch random.IntN(6) {
			case 0, 1, 2:
				var entries []Entry
				term := max(1, last.Term+Term(random.IntN(2)))
				for i := range random.IntN(4) {
					entries = append(entries, command(LogID{term, last.Index + 1 + Index(i)}))
					naive.terms = append(naive.terms, term)
					term += Term(random.IntN(3) / 2)
				}
				runs.extend(entries)
				story = append(story, fmt.Sprint("extend ", printEntries(entries)))
			case 3:
				if n := random.IntN(len(naive.terms) + 1); n < len(naive.terms) {
					i := naive.purged.Index + 1 + Index(n)
					naive.terms = naive.terms[:n]
					runs.truncate(i)
					story = append(story, fmt.Sprint("truncate ", i))
				}
			case 4:
				if n := random.IntN(len(naive.terms) + 1); n > 0 {
					i := naive.purged.Index + Index(n)
					term, _ := naive.term(i)
					naive.terms = naive.terms[n:]
					naive.purged = LogID{term, i}
					runs.purge(naive.purged)
					story = append(story, fmt.Sprint("purge ", naive.purged))
				}
			case 5:
				if random.IntN(5) == 0 {
					id := LogID{last.Term + 1, last.Index + Index(random.IntN(4))}
					*naive = naiveLog{purged: id}
					runs.reset(id)
					story = append(story, fmt.Sprint("reset ", id))
				}
			}
			if err := naive.check(runs); err != nil {
				t.Fatalf("seed %d, after %q: %v", seed, story, err)
			}
		}
		clone := runs.clone()
		runs.extend([]Entry{command(LogID{naive.last().Term + 1, naive.last().Index + 1})})
		if err := naive.check(&clone); err != nil {
			t.Fatalf("seed %d: a clone changed with its original: %v", seed, err)
		}
	}
}

func TestTermRunsTruncateBelowPurgedPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	runs := termRuns{purged: LogID{1, 5}, last: LogID{1, 5}}
	runs.truncate(5)
}

// TestWriteTracker: rule 1: a watermark of durable writes, and truncations that
// clip what earlier writes count for.
func TestWriteTracker(t *testing.T) {
	type state struct {
		flushed Index
		term    Term
	}
	var w writeTracker
	check := func(what string, want state) {
		t.Helper()
		if got := (state{w.flushed, w.flushedTerm}); got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	if w.submit(0, 3, 1) != 1 || w.submit(0, 5, 1) != 2 || w.submit(0, 5, 2) != 3 {
		t.Error("numbers do not count up from 1")
	}
	check("nothing is durable before a notice", state{})
	w.flush(0, 2)
	check("a watermark covers all before", state{5, 1})
	w.flush(0, 1)
	check("an old notice changes nothing", state{5, 1})
	if w.durable(5, 2) || !w.durable(5, 1) || w.durable(6, 1) {
		t.Error("what is durable is neither more nor less than 5 in T1")
	}
	w.clip(3) // truncate from 4, then another 4 and 5
	check("a truncation takes back what was durable", state{3, 1})
	w.submit(0, 5, 2)
	w.flush(0, 3)
	check("the write of the removed entries counts up to the truncation", state{3, 2})
	if w.durable(4, 2) {
		t.Error("entry 4 of before counts for entry 4 of now")
	}
	w.flush(0, 4)
	check("the new ones", state{5, 2})
	w.flush(0, 99)
	check("a notice that nothing stands behind", state{5, 2})
	if !w.durable(100, 100) {
		t.Error("with nothing under way everything is durable")
	}
}

// TestWriteTrackerAgainstModel compares it with a disk that keeps whole logs: what
// is durable of the accepted log is the common beginning of both.
func TestWriteTrackerAgainstModel(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 5))
		var w writeTracker
		accepted := []int{}
		images := [][]int{{}} // the log after each write
		durable, next := 0, 0
		for range 40 {
			switch random.IntN(4) {
			case 0, 1:
				if keep := random.IntN(len(accepted) + 1); random.IntN(3) == 0 {
					accepted = accepted[:keep]
					w.clip(Index(keep))
				}
				for range random.IntN(3) {
					next++
					accepted = append(slices.Clone(accepted), next)
				}
				w.submit(0, Index(len(accepted)), 1)
				images = append(images, accepted)
			default:
				durable += random.IntN(len(images) - durable)
				w.flush(0, IOID(durable))
			}
			common := 0
			for common < len(accepted) && common < len(images[durable]) && accepted[common] == images[durable][common] {
				common++
			}
			if int(w.flushed) > common {
				t.Fatalf("seed %d: flushed %d, and the disk agrees up to %d", seed, w.flushed, common)
			}
			if durable == len(images)-1 && int(w.flushed) != len(accepted) {
				t.Fatalf("seed %d: all is durable, and flushed is %d of %d", seed, w.flushed, len(accepted))
			}
		}
	}
}
