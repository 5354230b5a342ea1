package disk

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestOpenDirect reads a file piece by piece, whatever the file system, and its end.
func TestOpenDirect(t *testing.T) {
	content := bytes.Repeat([]byte("piece by piece"), 1000)
	name := filepath.Join(t.TempDir(), "FILE")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenDirect(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []byte
	for b := Aligned(DirectBytes); ; {
		n, err := f.ReadAt(b, int64(len(got)))
		got = append(got, b[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, content) {
		t.Errorf("%d bytes of %d, or others", len(got), len(content))
	}
}
