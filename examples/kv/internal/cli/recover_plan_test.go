package cli

import (
	"errors"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/files"
)

// TestPlanSeesTheRecord: the plan of a recovery looks at a directory as its carrying out
// does. A record of a durable machine is no snapshot.
func TestPlanSeesTheRecord(t *testing.T) {
	dir := t.TempDir()
	s, err := files.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	recorded := core.SnapshotMeta{LogID: core.LogID{Term: 3, Index: 70}}
	if err := errors.Join(s.Record(t.Context(), 1, recorded), s.Close()); err != nil {
		t.Fatal(err)
	}
	looked := lookedAt(dir)
	if newest, err := looked.Newest(t.Context(), 1); err != nil && !errors.Is(err, storage.ErrNotFound) || newest.Index != 0 {
		t.Errorf("the newest snapshot is said to be %v, %v", newest.LogID, err)
	}
	if r, err := looked.Recorded(t.Context(), 1); err != nil || r.LogID != recorded.LogID {
		t.Errorf("the record is said to be %v, %v", r.LogID, err)
	}
	if r, err := looked.Recorded(t.Context(), 2); err != nil || r.Index != 0 {
		t.Errorf("of a group without a record: %v, %v", r.LogID, err)
	}
}
