package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/core"
)

// TestRemovalPassesOverOthers: a name that cannot be removed is told, and keeps no
// snapshot and nothing that a crash left.
func TestRemovalPassesOverOthers(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for index := range core.Index(3) {
		write(t, s, 10+3*index, "content")
	}
	group := filepath.Join(dir, "7")
	stubborn := []string{"0.tmp", "3-11.snap"}
	for _, name := range stubborn {
		if err := os.MkdirAll(filepath.Join(group, name, "somebody's"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(group, "9.tmp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := s.RemoveBelow(t.Context(), 7, 16)
		for _, name := range stubborn {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("RemoveBelow: %v, which does not name %s", err, name)
			}
		}
		names, err := os.ReadDir(group)
		if err != nil || len(names) != 3 || names[2].Name() != "3-16.snap" {
			t.Errorf("%v are left, %v", names, err)
		}
	}
	for _, name := range stubborn {
		if err := os.RemoveAll(filepath.Join(group, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RemoveBelow(t.Context(), 7, 16); err != nil {
		t.Error(err)
	}
}
