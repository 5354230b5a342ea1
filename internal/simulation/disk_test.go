package simulation

import (
	"errors"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// quiet is a simulation without a story, for the tests of its parts.
func quiet(t *testing.T) *sim {
	t.Helper()
	s := newSim(1, Options{})
	s.plan.groups, s.groups = 1, s.groups[:1]
	s.plan.nodes, s.plan.driftPercent, s.plan.stall = 3, 0, 0
	s.plan.changes, s.plan.founders = false, 3
	s.plan.limits = storage.Limits{EntryBytesMax: 100, BatchBytesMax: 1000, BatchEntriesMax: 10}
	s.newNodes()
	for _, n := range s.nodes {
		n.disk.open()
		n.life = &life{sim: s, node: n, disk: n.disk, number: 1}
		r := &replica{life: n.life, group: s.groups[0], store: n.disk.of(1)}
		r.machine = &machine{replica: r}
		r.witness = newWitness(r)
		n.life.replicas = []*replica{r}
		n.life.environment = &environment{life: n.life}
		n.life.endpoint = &endpoint{fabric: s.fabric, life: n.life, address: n.address}
	}
	return s
}

func entry(term core.Term, index core.Index) core.Entry {
	return core.Entry{LogID: core.LogID{Term: term, Index: index}, Kind: core.EntryBlank}
}

func appends(term core.Term, first, last core.Index) storage.Operation {
	o := storage.Operation{Group: 1}
	for i := first; i <= last; i++ {
		o.Append = append(o.Append, entry(term, i))
	}
	return o
}

func write(t *testing.T, d *store, operations ...storage.Operation) {
	t.Helper()
	if err := d.Write(t.Context(), &storage.Batch{Operations: operations}); err != nil {
		t.Fatal(err)
	}
}

func TestDiskTearsABatch(t *testing.T) {
	for budget, last := range []core.Index{2, 4, 3, 5} {
		s := quiet(t)
		d := s.nodes[0].disk.of(1)
		write(t, d, appends(1, 1, 2))
		d.tearing, d.budget = true, budget
		err := d.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{
			appends(1, 3, 4), {Group: 1, TruncateFrom: 4}, appends(2, 4, 5),
		}})
		if (budget < 3) != errors.Is(err, errCrashed) {
			t.Errorf("budget %d: %v", budget, err)
		}
		if d.last().Index != last {
			t.Errorf("budget %d: the log ends at %v, want %d", budget, d.last(), last)
		}
		d.open()
		state, err := d.Load(t.Context(), 1)
		if err != nil || state.Last != d.last() {
			t.Errorf("budget %d: loaded %+v, %v", budget, state, err)
		}
	}
}

func TestDiskLoad(t *testing.T) {
	s := quiet(t)
	d := s.nodes[0].disk.of(1)
	hard := core.HardState{Term: 3, Vote: membership.Identity{ID: 2, Incarnation: 9}, Cluster: core.ClusterID{1}}
	write(t, d, storage.Operation{Group: 1, HardState: &hard}, appends(1, 1, 2), appends(3, 3, 5))
	d.snapshots = append(d.snapshots, &snapshot{meta: core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 2}}})
	write(t, d, storage.Operation{Group: 1, Purge: core.LogID{Term: 1, Index: 1}, Commit: 4})
	state, err := d.Load(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if state.HardState != hard || state.Purged.Index != 1 || state.Last.Index != 5 || state.Commit != 4 || len(state.Terms) != 2 ||
		state.Terms[0] != (core.LogID{Term: 1, Index: 2}) || state.Terms[1] != (core.LogID{Term: 3, Index: 3}) {
		t.Errorf("loaded %+v", state)
	}
	for _, c := range []struct {
		first, last core.Index
		bytesMax    int
		count       int
	}{{2, 5, 1000, 4}, {2, 5, 1, 1}, {2, 5, 100, 2}, {1, 2, 100, -1}, {5, 6, 100, -1}} {
		read, err := d.Read(t.Context(), 1, c.first, c.last, c.bytesMax)
		if c.count < 0 {
			if !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%+v: %v", c, err)
			}
		} else if len(read) != c.count || read[0].Index != c.first {
			t.Errorf("%+v: read %v, %v", c, read, err)
		}
	}
	if s.failure != nil {
		t.Error(s.failure)
	}
}

func TestDiskRefuses(t *testing.T) {
	large := appends(1, 1, 1)
	large.Append[0].Data = make([]byte, 101)
	for name, o := range map[string]storage.Operation{
		"a gap": appends(1, 4, 4), "too many": appends(1, 3, 13), "too large": large,
		"a purge beyond the end": {Group: 1, Purge: core.LogID{Term: 1, Index: 7}},
	} {
		s := quiet(t)
		d := s.nodes[0].disk.of(1)
		write(t, d, appends(1, 1, 2))
		if err := d.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{o}}); err == nil || s.failure == nil {
			t.Errorf("%s: %v, %v", name, err, s.failure)
		}
	}
}

func TestDiskFails(t *testing.T) {
	s := quiet(t)
	d := s.nodes[0].disk.of(1)
	d.failing = true
	if err := d.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{appends(1, 1, 1)}}); !errors.Is(err, errDiskFailed) {
		t.Errorf("written: %v", err)
	}
	if d.last().Index != 0 || s.failure != nil {
		t.Errorf("the disk has %v, %v", d.last(), s.failure)
	}
}
