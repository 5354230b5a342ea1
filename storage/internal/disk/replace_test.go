package disk

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReplace: the content is the new one or, after an error, the old one, and
// nothing is left aside.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "FILE")
	for i, atOnce := range []bool{true, false, true} {
		content := []byte{byte(i)}
		if err := Replace(name, content, atOnce); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(name); err != nil || string(b) != string(content) {
			t.Errorf("%q, %v", b, err)
		}
	}
	taken := filepath.Join(dir, "TAKEN")
	if err := os.MkdirAll(filepath.Join(taken, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(taken, []byte("x"), true); err == nil {
		t.Error("a directory was replaced")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
}
