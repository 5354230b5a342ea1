package core

import "slices"

// termRuns knows the term of every entry of a log: the first LogID of each run
// of equal term. A log has a run for each leader that wrote to it, which are
// few, so that the term of any entry is known without reading it.
type termRuns struct {
	purged LogID
	last   LogID
	// runs are in order; the first begins above purged.
	runs []LogID
}

// term returns the term of the entry at i: of the purged one and of all that the
// log holds. Index 0 has term 0.
func (t *termRuns) term(i Index) (Term, bool) {
	switch {
	case i == t.purged.Index:
		return t.purged.Term, true
	case i < t.purged.Index || i > t.last.Index:
		return 0, false
	case i == t.last.Index:
		return t.last.Term, true
	}
	for r := len(t.runs) - 1; r >= 0; r-- {
		if t.runs[r].Index <= i {
			return t.runs[r].Term, true
		}
	}
	return 0, false
}

// holds reports whether the log holds, or has purged as its last, exactly id.
func (t *termRuns) holds(id LogID) bool {
	term, ok := t.term(id.Index)
	return ok && term == id.Term
}

// floor returns the last entry at or below bound.Index whose term is not above
// bound.Term: a log that holds bound cannot agree with this one beyond it. Below
// the purged entry nothing is known and it returns zero.
func (t *termRuns) floor(bound LogID) LogID {
	i := min(bound.Index, t.last.Index)
	for r := len(t.runs) - 1; r >= 0; r-- {
		run := t.runs[r]
		if run.Index > i {
			continue
		}
		if run.Term <= bound.Term {
			return LogID{run.Term, i}
		}
		i = run.Index - 1
	}
	if i >= t.purged.Index && t.purged.Term <= bound.Term {
		return t.purged
	}
	return LogID{}
}

// extend adds entries that follow the last one.
func (t *termRuns) extend(entries []Entry) {
	for i := range entries {
		if entries[i].Term != t.last.Term || len(t.runs) == 0 {
			t.runs = append(t.runs, entries[i].LogID)
		}
		t.last = entries[i].LogID
	}
}

// truncate removes the entries from i on.
func (t *termRuns) truncate(i Index) {
	term, ok := t.term(i - 1)
	if !ok {
		panic("core: truncation below the purged entry")
	}
	t.last = LogID{term, i - 1}
	for len(t.runs) > 0 && t.runs[len(t.runs)-1].Index >= i {
		t.runs = t.runs[:len(t.runs)-1]
	}
}

// reset empties the log behind id.
func (t *termRuns) reset(id LogID) { t.purged, t.last, t.runs = id, id, nil }

// purge removes the entries up to id, which the log holds.
func (t *termRuns) purge(id LogID) {
	drop := 0
	for drop < len(t.runs) && t.runs[drop].Index <= id.Index {
		drop++
	}
	if id.Index < t.last.Index {
		// The run that contains the next entry begins with it now.
		next, _ := t.term(id.Index + 1)
		if drop == len(t.runs) || t.runs[drop].Index > id.Index+1 {
			drop--
			t.runs[drop] = LogID{next, id.Index + 1}
		}
	}
	t.runs = slices.Delete(t.runs, 0, drop)
	t.purged = id
}

// clone returns a copy that later changes do not touch.
func (t *termRuns) clone() termRuns {
	c := *t
	c.runs = slices.Clone(t.runs)
	return c
}
