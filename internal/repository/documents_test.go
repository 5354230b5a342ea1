package repository

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestGoBlocksCompile takes the blocks of Go out of the documents, and lets a
// module of its own, as a user would have it, compile and vet them. Each block
// is a whole file; the blocks of one document are one package.
func TestGoBlocksCompile(t *testing.T) {
	top := root(t)
	dir := t.TempDir()
	blocks := 0
	for _, s := range sources(t, isDocument) {
		for i, match := range goBlock.FindAllSubmatch(s.content, -1) {
			if !bytes.HasPrefix(match[1], []byte("package ")) {
				t.Errorf("%s: block %d of Go is no whole file, so nobody can tell that it compiles", s.path, i+1)
				continue
			}
			blocks++
			name := strings.NewReplacer("/", "_", ".", "_").Replace(s.path)
			write(t, filepath.Join(dir, name, fmt.Sprintf("block%d.go", i+1)), string(match[1]))
		}
	}
	if blocks == 0 {
		t.Fatal("README.md shows no Go")
	}
	write(t, filepath.Join(dir, "go.mod"), userModule(t, top))
	sums, err := os.ReadFile(filepath.Join(top, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "go.sum"), string(sums))
	command := exec.CommandContext(t.Context(), "go", "vet", "-mod=mod", "./...")
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, output)
	}
}

// userModule is a go.mod that requires the repository, and what the
// repository requires.
func userModule(t *testing.T, top string) string {
	t.Helper()
	ours, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, requirements, found := strings.Cut(string(ours), "module "+module+"\n")
	if !found {
		t.Fatal("go.mod does not begin with its module")
	}
	return fmt.Sprintf("module example.com/embeds\n%s\nrequire %s v0.0.0\n\nreplace %[2]s => %s\n", requirements, module, top)
}

// TestReadmeNamesItsCommands asserts that CI runs what README.md promises.
func TestReadmeNamesItsCommands(t *testing.T) {
	top := root(t)
	for _, name := range []string{"README.md", ".ci/run"} {
		content, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"go run ./examples/quickstart", "go test ./..."} {
			if !strings.Contains(string(content), command+"\n") {
				t.Errorf("%s does not name the command %q on a line's end", name, command)
			}
		}
	}
}

func isDocument(path string) bool {
	return path == "README.md" || strings.HasPrefix(path, "guide/") && strings.HasSuffix(path, ".md")
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
