package storage_test

import (
	"strings"
	"testing"

	"github.com/trouperaft/troupe/storage"
)

// TestRefusedErrorSaysTheWayBack: an operator reads nothing but the text.
func TestRefusedErrorSaysTheWayBack(t *testing.T) {
	text := (&storage.RefusedError{Store: "/data/3", Reason: "node 2 has seen start 9"}).Error()
	for _, want := range []string{"/data/3", "node 2 has seen start 9", "empty directory"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}
