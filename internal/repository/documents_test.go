package repository

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeNamesItsCommands asserts that CI runs what README.md promises.
func TestReadmeNamesItsCommands(t *testing.T) {
	top := root(t)
	for _, name := range []string{"README.md", ".ci/run"} {
		content, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"go run ./examples/quickstart", "go test ./...", "go test work"} {
			if !strings.Contains(string(content), command+"\n") {
				t.Errorf("%s does not name the command %q on a line's end", name, command)
			}
		}
	}
}

func isDocument(path string) bool {
	return path == "README.md" || strings.HasPrefix(path, "guide/") && strings.HasSuffix(path, ".md")
}
