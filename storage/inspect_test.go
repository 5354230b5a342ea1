package storage_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// TestSetAsideIsNoDamageForEver: a snapshot that was set aside counts as damage while
// nothing else reaches the log's first entry, and no longer.
func TestSetAsideIsNoDamageForEver(t *testing.T) {
	rotten := fmt.Errorf("%w: rotten", core.ErrCorrupt)
	at := func(index core.Index) core.SnapshotMeta {
		return core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: index}}
	}
	aside := storage.FoundSnapshot{Meta: at(6), Name: "aside", SetAside: true, Err: rotten}
	for name, test := range map[string]struct {
		purged core.Index
		others []storage.FoundSnapshot
		damage string
	}{
		"the log is whole":              {0, nil, ""},
		"nothing else":                  {5, nil, "the snapshot aside"},
		"an older one":                  {5, []storage.FoundSnapshot{{Meta: at(5)}}, ""},
		"an older one, too old":         {5, []storage.FoundSnapshot{{Meta: at(4)}}, "the snapshot aside"},
		"a newer one":                   {5, []storage.FoundSnapshot{{Meta: at(7)}}, ""},
		"a newer one, damaged, as well": {5, []storage.FoundSnapshot{{Meta: at(5)}, {Meta: at(7), Name: "newer", Err: rotten}}, "the snapshot newer"},
		"a record":                      {5, []storage.FoundSnapshot{{Meta: at(5), Record: true}}, ""},
		"a record, damaged":             {5, []storage.FoundSnapshot{{Meta: at(5), Record: true, Err: rotten}}, "the record"},
	} {
		t.Run(name, func(t *testing.T) {
			log := memory.New(1)
			defer log.Close()
			var entries []core.Entry
			for index := core.Index(1); index <= 8; index++ {
				entries = append(entries, core.Entry{LogID: core.LogID{Term: 1, Index: index}})
			}
			op := storage.Operation{Group: 1, HardState: &core.HardState{Term: 1}, Append: entries, Commit: 8}
			err := log.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{op}})
			if err == nil && test.purged > 0 {
				op = storage.Operation{Group: 1, Purge: core.LogID{Term: 1, Index: test.purged}}
				err = log.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{op}})
			}
			if err != nil {
				t.Fatal(err)
			}
			i, err := storage.Inspect(t.Context(), log, 1, append(test.others, aside))
			if err != nil || i.Log.Purged.Index != test.purged || len(i.Snapshots) != len(test.others)+1 {
				t.Fatalf("%+v, %v", i, err)
			}
			if test.damage == "" {
				if len(i.Damage) != 0 {
					t.Errorf("it is called damaged: %v", i.Damage)
				}
				return
			}
			for _, d := range i.Damage {
				if strings.Contains(d.Err.Error(), test.damage) && errors.Is(d.Err, core.ErrCorrupt) && d.Advice != "" {
					return
				}
			}
			t.Errorf("%v, want %q", i.Damage, test.damage)
		})
	}
}
