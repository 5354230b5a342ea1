// Package outline knows of one group's log what a store has to tell beside the
// entries: where it begins and ends, its terms, its configurations.
package outline

import (
	"fmt"
	"slices"
	"sort"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// Outline is that of one log. Its zero value is an empty log that begins at
// index 1.
type Outline struct {
	Purged core.LogID
	// Last is the last entry, or Purged if there is none.
	Last core.LogID
	// LastTime is the time of the last entry, 0 if there is none.
	LastTime       int64
	terms          []core.LogID
	configurations []core.ConfigurationAt
}

// Check returns an error that names why entries cannot follow after: a gap, a
// term that decreases, a configuration that cannot be decoded.
func Check(after core.LogID, entries []core.Entry) error {
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Index != after.Index+1:
			return fmt.Errorf("entry %v follows %v: a hole", e.LogID, after)
		case e.Term < after.Term || e.Term == 0:
			return fmt.Errorf("entry %v follows %v: the term decreases", e.LogID, after)
		}
		after = e.LogID
		if e.Kind != core.EntryConfiguration {
			continue
		}
		if _, err := membership.Decode(e.Data); err != nil {
			return fmt.Errorf("entry %v: %w", e.LogID, err)
		}
	}
	return nil
}

// Append adds entries. Nothing is added if there is an error.
func (o *Outline) Append(entries []core.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := Check(o.Last, entries); err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if len(o.terms) == 0 || o.terms[len(o.terms)-1].Term != e.Term {
			o.terms = append(o.terms, e.LogID)
		}
		if e.Kind == core.EntryConfiguration {
			c, err := membership.Decode(e.Data)
			if err != nil {
				return err
			}
			o.configurations = append(o.configurations, core.ConfigurationAt{LogID: e.LogID, Configuration: c})
		}
	}
	o.Last, o.LastTime = entries[len(entries)-1].LogID, entries[len(entries)-1].Time
	return nil
}

// Truncate makes last, whose time is lastTime, the last entry. It must be an
// entry of the log, or Purged.
func (o *Outline) Truncate(last core.LogID, lastTime int64) {
	o.terms = o.terms[:sort.Search(len(o.terms), func(i int) bool { return o.terms[i].Index > last.Index })]
	n := sort.Search(len(o.configurations), func(i int) bool { return o.configurations[i].Index > last.Index })
	clear(o.configurations[n:])
	o.configurations = o.configurations[:n]
	o.Last, o.LastTime = last, lastTime
}

// Purge removes the entries up to id. Beyond the end it is a Reset.
func (o *Outline) Purge(id core.LogID) {
	if id.Index >= o.Last.Index {
		o.Reset(id)
		return
	}
	next := id.Index + 1
	runs := sort.Search(len(o.terms), func(i int) bool { return o.terms[i].Index > next })
	// The run that next lies in begins there from now on.
	o.terms = slices.Clone(o.terms[runs-1:])
	o.terms[0].Index = next
	n := sort.Search(len(o.configurations), func(i int) bool { return o.configurations[i].Index >= next })
	o.configurations = slices.Clone(o.configurations[n:])
	o.Purged = id
}

// Reset empties the log: id is both its purged and its last id.
func (o *Outline) Reset(id core.LogID) { *o = Outline{Purged: id, Last: id} }

// Fill sets the fields of state that the outline knows. They share nothing with
// it that later changes would touch.
func (o *Outline) Fill(state *storage.State) {
	state.Purged, state.Last, state.LastTime = o.Purged, o.Last, o.LastTime
	state.Terms = slices.Clone(o.terms)
	state.Configurations = slices.Clone(o.configurations)
}
