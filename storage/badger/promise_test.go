package badger

import (
	"errors"
	"testing"
	"time"

	"github.com/trouperaft/troupe/storage"
)

// TestRefusedPromiseIsNotRecorded: rule 13: a promise that found no room is
// written when it is asked for again.
func TestRefusedPromiseIsNotRecorded(t *testing.T) {
	s, dir, o, free := guarded(t)
	*free = 249
	var full *storage.NoSpaceError
	if err := s.RecordPromise(t.Context(), time.Hour); !errors.As(err, &full) {
		t.Errorf("RecordPromise: %v", err)
	}
	*free = 1000
	if err := s.RecordPromise(t.Context(), time.Hour); err != nil {
		t.Error(err)
	}
	mustClose(t, s)
	s = mustOpen(t, dir, o)
	defer mustClose(t, s)
	if p := s.Header().Promise; p != time.Hour {
		t.Errorf("promise %v after a crash", p)
	}
}
