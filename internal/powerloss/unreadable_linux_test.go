package powerloss

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestUnreadableBlocks: some blocks of a store cannot be read any more. The process that
// opens it lives. Only the group that needs them cannot be read, and its error names a
// file.
func TestUnreadableBlocks(t *testing.T) {
	onEach(t, func(t *testing.T, fs fileSystem) {
		t.Run("of a table", func(t *testing.T) { unreadable(t, fs, 50, false) })
		t.Run("of a log", func(t *testing.T) { unreadable(t, fs, fillEntries-3, true) })
	})
}

// unreadable spoils blocks of an entry that is in a table when the store was closed, or
// in a log when the process was killed.
func unreadable(t *testing.T, fs fileSystem, entry int, killed bool) {
	s := newStand(t, fs, *diskMiB<<20)
	s.disk.stop()
	in := func(role string) ([]byte, error) {
		dir, err := s.mount()
		if err != nil {
			return nil, err
		}
		defer s.unmount()
		cmd, err := child(t.Context(), job{Role: role, Log: "badger", Dir: dir, Killed: killed})
		if err != nil {
			return nil, err
		}
		return cmd.CombinedOutput()
	}
	if out, err := in("fill"); (err != nil) != killed {
		t.Fatalf("%v: %s", err, out)
	}
	spoilt, err := s.disk.spoil(fillEntry(spoiltGroup, entry).Data[8<<10 : 12<<10])
	if err != nil || spoilt == 0 {
		t.Fatalf("%d blocks are spoilt, %v", spoilt, err)
	}
	for range 2 { // a second opening finds the same
		out, err := in("look")
		if err != nil {
			t.Fatalf("the process has ended: %v: %.2000s", err, out)
		}
		var found seen
		if err := json.Unmarshal(out, &found); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		t.Logf("%d blocks are unreadable: %+v", spoilt, found)
		if err := found.check(); err != nil {
			t.Error(err)
		}
	}
}

// check expects that the spoilt group alone has an error, which names a file.
func (s *seen) check() error {
	if s.Open != "" {
		return errors.New("the store did not open: " + s.Open)
	}
	for group, err := range s.Groups {
		if group != spoiltGroup {
			return errors.New("another group has an error: " + err)
		}
	}
	if err := s.Groups[spoiltGroup]; !strings.Contains(err, "/log/") {
		return errors.New("the group whose entry cannot be read says: " + err)
	}
	return nil
}
