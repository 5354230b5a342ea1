package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// errDiffers: the store gave an answer, and it is not the right one.
var errDiffers = errors.New("the store holds something else")

// differs compares what store holds with m: Load, every entry by Read, and that
// nothing is read beside the log. It returns an error of the store as it is, but only
// if the groups without one hold what they should: the damage of one group excuses no
// other.
func (m model) differs(t *testing.T, store storage.LogStore) (refused error) {
	t.Helper()
	for _, id := range slices.Sorted(maps.Keys(m)) {
		switch err := m[id].differs(t.Context(), store, id); {
		case errors.Is(err, errDiffers):
			return fmt.Errorf("group %d: %w", id, err)
		case err != nil && refused == nil:
			refused = fmt.Errorf("group %d: %w", id, err)
		}
	}
	return refused
}

func (g *groupModel) differs(ctx context.Context, store storage.LogStore, id membership.GroupID) error {
	state, err := store.Load(ctx, id)
	if err != nil {
		return err
	}
	if err := sameState(state, g.state()); err != nil {
		return err
	}
	last := g.last().Index
	for next := g.purged.Index + 1; next <= last; {
		want := g.fitting(next, last, 1<<20)
		if err := g.readDiffers(ctx, store, id, next, last, 1<<20); err != nil {
			return err
		}
		next += core.Index(len(want))
	}
	for _, beside := range []core.Index{g.purged.Index, last + 1} {
		if err := g.readDiffers(ctx, store, id, beside, beside, 1<<20); err != nil {
			return err
		}
	}
	return nil
}

// readDiffers compares one Read with g. It returns an error of the store as it
// is, but for ErrNotFound.
func (g *groupModel) readDiffers(ctx context.Context, store storage.LogStore, id membership.GroupID, first, last core.Index, bytesMax int) error {
	got, err := store.Read(ctx, id, first, last, bytesMax)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return g.sameRead(got, err, first, last, bytesMax)
}

// sameRead compares what a Read returned, which is entries or ErrNotFound, with
// what it has to return of g.
func (g *groupModel) sameRead(got []core.Entry, err error, first, last core.Index, bytesMax int) error {
	call := fmt.Sprintf("Read(%d, %d) of at most %d bytes", first, last, bytesMax)
	inside := first > g.purged.Index && first <= last && last <= g.last().Index
	switch {
	case !inside && err == nil:
		return fmt.Errorf("%w: %s returned %s, and not all of it is in the log (%v, %v]", errDiffers, call, extent(got), g.purged, g.last())
	case inside && err != nil:
		return fmt.Errorf("%w: %s: %w, and the log is (%v, %v]", errDiffers, call, err, g.purged, g.last())
	case !inside:
		return nil
	}
	if err := sameEntries(got, g.fitting(first, last, bytesMax)); err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	return nil
}

// fitting returns the entries that a Read has to return. All of them must be in
// the log.
func (g *groupModel) fitting(first, last core.Index, bytesMax int) []core.Entry {
	after := g.purged.Index + 1
	entries, _ := core.Fitting(g.entries[first-after:last-after+1], bytesMax, 0)
	return entries
}

func sameState(got, want storage.State) error {
	switch {
	case got.HardState != want.HardState:
		return fmt.Errorf("%w: hard state %+v, want %+v", errDiffers, got.HardState, want.HardState)
	case got.Commit != want.Commit:
		return fmt.Errorf("%w: commit %d, want %d", errDiffers, got.Commit, want.Commit)
	case got.Purged != want.Purged || got.Last != want.Last:
		return fmt.Errorf("%w: log (%v, %v], want (%v, %v]", errDiffers, got.Purged, got.Last, want.Purged, want.Last)
	case got.LastTime != want.LastTime:
		return fmt.Errorf("%w: time of the last entry %d, want %d", errDiffers, got.LastTime, want.LastTime)
	case !slices.Equal(got.Terms, want.Terms):
		return fmt.Errorf("%w: %s", errDiffers, firstDifference("term runs", got.Terms, want.Terms))
	}
	if a, b := positions(got.Configurations), positions(want.Configurations); !slices.Equal(a, b) {
		return fmt.Errorf("%w: %s", errDiffers, firstDifference("configurations", a, b))
	}
	for i := range got.Configurations {
		if err := sameConfiguration(&got.Configurations[i], &want.Configurations[i]); err != nil {
			return err
		}
	}
	return nil
}

// positions are the entries that brought configurations.
func positions(configurations []core.ConfigurationAt) (at []core.LogID) {
	for i := range configurations {
		at = append(at, configurations[i].LogID)
	}
	return at
}

// firstDifference says where two lists part, which may be long.
func firstDifference(what string, got, want []core.LogID) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	at := func(ids []core.LogID) string {
		if i == len(ids) {
			return "none"
		}
		return ids[i].String()
	}
	return fmt.Sprintf("%d %s, want %d; number %d is %s, want %s", len(got), what, len(want), i+1, at(got), at(want))
}

// sameConfiguration compares two. What prints a configuration leaves much of it
// out, so that the first part that differs is named.
func sameConfiguration(got, want *core.ConfigurationAt) error {
	a, b := &got.Configuration, &want.Configuration
	different := func(format string, args ...any) error {
		return fmt.Errorf("%w: configuration of entry %v: %s", errDiffers, want.LogID, fmt.Sprintf(format, args...))
	}
	switch {
	case got.LogID != want.LogID:
		return different("it is said to be of entry %v", got.LogID)
	case len(a.Members) != len(b.Members) || len(wanted(a)) != len(wanted(b)):
		return different("%d members and %d wanted, want %d and %d", len(a.Members), len(wanted(a)), len(b.Members), len(wanted(b)))
	case !slices.Equal(a.Voters, b.Voters) || !slices.Equal(a.Outgoing, b.Outgoing):
		return different("voters %v, outgoing %v, want %v, %v", a.Voters, a.Outgoing, b.Voters, b.Outgoing)
	case a.Founding != b.Founding:
		return different("founding list %x, want %x", a.Founding, b.Founding)
	}
	for i := range a.Members {
		if m, n := &a.Members[i], &b.Members[i]; !sameMember(m, n) {
			return different("member %s, want %s", memberParts(m), memberParts(n))
		}
	}
	for i := range wanted(a) {
		if m, n := &a.Target.Members[i], &b.Target.Members[i]; !sameMember(m, n) {
			return different("wanted %s, want %s", memberParts(m), memberParts(n))
		}
	}
	switch {
	case !a.Target.Equal(b.Target):
		return different("target %+v, want %+v", a.Target, b.Target)
	case a.Last != b.Last:
		return different("outcome %+v, want %+v", a.Last, b.Last)
	}
	return nil
}

// wanted are the members of a configuration's target.
func wanted(c *membership.Configuration) []membership.Member {
	if c.Target == nil {
		return nil
	}
	return c.Target.Members
}

func sameMember(a, b *membership.Member) bool {
	return a.Identity == b.Identity && a.Address == b.Address && a.Priority == b.Priority && maps.Equal(a.Tags, b.Tags)
}

// memberParts writes m with all that it has: its String is that of its identity.
func memberParts(m *membership.Member) string {
	return fmt.Sprintf("%v at %q, priority %d, tags %q", m.Identity, m.Address, m.Priority, m.Tags)
}

func sameEntries(got, want []core.Entry) error {
	if len(got) == 0 || len(got) != len(want) {
		return fmt.Errorf("%w: %s, want %s", errDiffers, extent(got), extent(want))
	}
	for i := range got {
		a, b := &got[i], &want[i]
		if a.LogID != b.LogID || a.Kind != b.Kind || a.Time != b.Time || a.Version != b.Version || !bytes.Equal(a.Data, b.Data) {
			return fmt.Errorf("%w: entry %v, %v, time %d, version %d, %d bytes, want %v, %v, time %d, version %d, %d bytes (or other bytes)", errDiffers,
				a.LogID, a.Kind, a.Time, a.Version, len(a.Data), b.LogID, b.Kind, b.Time, b.Version, len(b.Data))
		}
	}
	return nil
}

// extent says which entries these are.
func extent(entries []core.Entry) string {
	switch n := len(entries); n {
	case 0:
		return "no entry"
	case 1:
		return fmt.Sprintf("entry %v of %d bytes", entries[0].LogID, core.SizeOf(entries))
	default:
		return fmt.Sprintf("%d entries %v to %v of %d bytes", n, entries[0].LogID, entries[n-1].LogID, core.SizeOf(entries))
	}
}
