package disk

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestRenew: the content stays as it is, holes and zeros at the end included, and lies
// in another file under the same name.
func TestRenew(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "FILE")
	content := make([]byte, 3*copyBytes+100)
	copy(content[10:], "begin")
	copy(content[2*copyBytes-2:], "middle")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := Renew(name); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(name)
	if err != nil || os.SameFile(before, after) || after.Mode() != before.Mode() {
		t.Errorf("%v is still the same file, or another mode: %v, %v", name, after.Mode(), err)
	}
	if b, err := os.ReadFile(name); err != nil || !bytes.Equal(b, content) {
		t.Errorf("%d bytes of other content, %v", len(b), err)
	}
	if err := Renew(filepath.Join(dir, "NONE")); err == nil {
		t.Error("a file that is not there was renewed")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}
