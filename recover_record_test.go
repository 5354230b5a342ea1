package troupe_test

import (
	"testing"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// TestRecoverWithARecord: a survivor whose machine keeps its state has a record in place of
// a snapshot. The record comes along into each cluster that it is recovered to, also if a
// crash has come between the log and it.
func TestRecoverWithARecord(t *testing.T) {
	d := openDirectory(t, t.TempDir(), 1)
	defer d.close()
	self := membership.Identity{ID: 1, Incarnation: d.log.Header().Incarnation}
	c := membership.Configuration{Voters: []membership.Identity{self, {ID: 2, Incarnation: 22}, {ID: 3, Incarnation: 33}}}
	for _, id := range c.Voters {
		c.Members = append(c.Members, membership.Member{Identity: id, Address: address(id.ID)})
	}
	entries := []core.Entry{{LogID: core.LogID{Term: 1, Index: 1}, Kind: core.EntryConfiguration, Data: c.Encode()}}
	for i := core.Index(2); i <= 9; i++ {
		entries = append(entries, core.Entry{LogID: core.LogID{Term: 2, Index: i}, Kind: core.EntryCommand, Time: int64(i)})
	}
	first := troupe.ClusterID{1}
	record := core.SnapshotMeta{LogID: entries[5].LogID, Time: 6, Cluster: first, Configuration: core.ConfigurationAt{LogID: entries[0].LogID, Configuration: c}}
	err := d.log.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{{
		Group: 1, HardState: &core.HardState{Term: 3, Cluster: first}, Append: entries, Purge: entries[3].LogID, Commit: 6,
	}}})
	if err == nil {
		err = d.snapshots.Record(t.Context(), 1, record)
	}
	if err != nil {
		t.Fatal(err)
	}
	recovers := func() troupe.GroupRecovery {
		t.Helper()
		told, err := troupe.Recover(t.Context(), troupe.RecoverConfig{Log: d.log, Snapshots: d.snapshots, Force: true, Groups: []troupe.GroupID{1}})
		if err != nil || len(told) != 1 {
			t.Fatalf("%+v, %v", told, err)
		}
		return told[0]
	}
	expect := func(what string, want troupe.ClusterID) {
		t.Helper()
		got, err := d.snapshots.Recorded(t.Context(), 1)
		if err != nil || got.Cluster != want || got.LogID != record.LogID || got.Time != 6 || len(got.Configuration.Configuration.Voters) != 3 {
			t.Fatalf("%s: a record of %v, %v of %v, want %v", what, got.LogID, err, got.Cluster, want)
		}
	}
	told := recovers()
	if !told.Done || told.Committed != 6 || told.MayAppear() != 3 || len(told.Others) != 2 {
		t.Errorf("%+v", told)
	}
	expect("recovered", told.Cluster)
	// As if a crash had come between.
	if err := d.snapshots.Record(t.Context(), 1, record); err != nil {
		t.Fatal(err)
	}
	if again := recovers(); !again.Alone || again.Before != told.Cluster {
		t.Errorf("%+v", again)
	}
	expect("once more", told.Cluster)
}
