package simulation

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// caughtLine is what a checker of this package has found, failedLine a test that
// failed elsewhere.
var (
	caughtLine = regexp.MustCompile(`(?m)((?:seed|forming|promises|drift|sick) \d+[^\n]*)`)
	failedLine = regexp.MustCompile(`(?m)^--- FAIL: ([^\n]*)`)
)

// hunt builds the mutant and runs what catches it.
func (m *mutant) hunt(t *testing.T, root, dir string) (caught string, err error) {
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	folder, test, _ := strings.Cut(m.by, " ")
	binary := filepath.Join(dir, "mutant.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, folder)
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("does not build: %w\n%s", err, output)
	}
	run := exec.CommandContext(t.Context(), binary, "-test.run", "^"+test+"$", "-test.v", "-test.timeout", "10m")
	run.Dir = filepath.Join(root, filepath.FromSlash(folder))
	output, err := run.CombinedOutput()
	if err == nil {
		return "", fmt.Errorf("%s did not catch it:\n%s", m.by, output)
	}
	line, checked := failedLine, true
	if folder == "./internal/simulation" {
		line, checked = caughtLine, strings.Contains(string(output), "replay: ")
	}
	found := line.FindSubmatch(output)
	if found == nil || !checked {
		return "", fmt.Errorf("%s failed, and not by a checker: %w\n%s", m.by, err, output)
	}
	return fmt.Sprintf("%.200s", found[1]), nil
}

// overlay writes the mutated file, and the file that puts it in its place.
func (m *mutant) overlay(root, dir string) (string, error) {
	path := filepath.Join(root, filepath.FromSlash(m.file))
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("does not apply: %q stands %d times in %s", m.old, n, m.file)
	}
	mutated := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	content, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutated}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, content, 0o600)
}
