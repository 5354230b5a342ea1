package badger

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"

	"github.com/trouperaft/troupe/membership"
)

func created(ids ...uint64) (changes []*pb.ManifestChange) {
	for _, id := range ids {
		changes = append(changes, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_CREATE})
	}
	return changes
}

func deleted(ids ...uint64) (changes []*pb.ManifestChange) {
	for _, id := range ids {
		changes = append(changes, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_DELETE})
	}
	return changes
}

func setOf(changes ...[]*pb.ManifestChange) *pb.ManifestChangeSet {
	return &pb.ManifestChangeSet{Changes: slices.Concat(changes...)}
}

// TestFailedChanges: a change that the disk refused, and that badger has given up, is
// left out; one that lost a table later is not.
func TestFailedChanges(t *testing.T) {
	for name, c := range map[string]struct {
		sets  []*pb.ManifestChangeSet
		there []uint64
		live  []uint64
	}{
		"none":                        {[]*pb.ManifestChangeSet{setOf(created(1)), setOf(created(2))}, []uint64{1, 2}, []uint64{1, 2}},
		"a flush":                     {[]*pb.ManifestChangeSet{setOf(created(1)), setOf(created(2)), setOf(created(3))}, []uint64{1, 3}, []uint64{1, 3}},
		"a compaction":                {[]*pb.ManifestChangeSet{setOf(created(1)), setOf(created(2)), setOf(created(3, 4), deleted(1, 2))}, []uint64{1, 2}, []uint64{1, 2}},
		"a compaction done again":     {[]*pb.ManifestChangeSet{setOf(created(1)), setOf(created(3), deleted(1)), setOf(created(4), deleted(1))}, []uint64{4}, []uint64{4}},
		"a compaction that was good":  {[]*pb.ManifestChangeSet{setOf(created(1)), setOf(created(3), deleted(1))}, []uint64{1, 3}, []uint64{3}},
		"a compaction's table lost":   {[]*pb.ManifestChangeSet{setOf(created(1)), setOf(created(3, 4), deleted(1))}, []uint64{4}, []uint64{3, 4}},
		"all tables of one lost":      {[]*pb.ManifestChangeSet{setOf(created(1)), setOf(created(3, 4), deleted(1))}, nil, []uint64{3, 4}},
		"failed, and its table again": {[]*pb.ManifestChangeSet{setOf(created(1)), setOf(created(2), deleted(1)), setOf(created(5), deleted(2))}, []uint64{5}, []uint64{5}},
	} {
		there := numbered{}
		for _, id := range c.there {
			there[id] = true
		}
		if live := slices.Sorted(maps.Keys(applyChanges(c.sets, there))); !slices.Equal(live, c.live) {
			t.Errorf("%s: %v live, want %v", name, live, c.live)
		}
	}
}

// appendToManifest writes a change behind badger's back.
func appendToManifest(t *testing.T, dir string, set *pb.ManifestChangeSet) {
	t.Helper()
	name := filepath.Join(dir, logDir, badger.ManifestFilename)
	b, err := os.ReadFile(name)
	if err == nil {
		b, err = appendChangeSet(b, set)
	}
	if err == nil {
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRefusedManifestChange: the disk refuses to make a change of the manifest durable.
// Badger gives the change up, and it stands in the file all the same. The store opens,
// and nothing of it is lost.
func TestRefusedManifestChange(t *testing.T) {
	for name, set := range map[string]*pb.ManifestChangeSet{
		"a memory table becomes a table": setOf(created(90)),
		"tables are compacted":           setOf(created(90, 91), deleted(1)),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustClose(t, seeded(t, dir))
			appendToManifest(t, dir, set)
			for range 2 {
				s := mustOpen(t, dir, small(1))
				for group := range membership.GroupID(2) {
					if state, err := s.Load(t.Context(), group+1); err != nil || state.Last.Index != 9 {
						t.Errorf("group %d: last %v, %v", group+1, state.Last, err)
					}
				}
				mustClose(t, s)
			}
			if kept := keptFiles(filepath.Join(dir, logDir)); len(kept) > 0 {
				t.Errorf("%v are kept as damaged", kept)
			}
		})
	}
}

// TestManifestIsWrittenAgain: when badger tells of an error of the manifest, before it
// tries again, what the disk has refused is written anew.
func TestManifestIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, badger.ManifestFilename)
	content := bytes.Repeat([]byte("changes"), 2000)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	written := func() bool {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime().Sub(old) > time.Minute
	}
	l := badgerLogger{slog.New(slog.DiscardHandler), dir}
	for _, c := range []struct {
		tell  func()
		again bool
	}{
		{func() { l.Errorf("error flushing memtable: %v, retrying", errors.New("sync 000001.sst: no")) }, false},
		{func() { l.Errorf("error flushing memtable: %v, retrying", errors.New("sync "+name+": no")) }, true},
		{func() { l.Warningf("[%d] compaction failed: %+v", 1, errors.New("sync "+name+": no")) }, true},
	} {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
		if c.tell(); written() != c.again {
			t.Errorf("it was written again: %v, want %v", written(), c.again)
		}
		if b, err := os.ReadFile(name); err != nil || !bytes.Equal(b, content) {
			t.Errorf("it holds something else, %v", err)
		}
	}
}
