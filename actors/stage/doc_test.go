package stage_test

import (
	"os"
	"strings"
	"testing"
)

// TestDocumentationRuns asserts that the actor in the package's documentation is
// the one of the example, which is compiled and run.
func TestDocumentationRuns(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for block := range strings.SplitSeq(string(doc), "\n//\n") {
		if !strings.HasPrefix(block, "//\t") {
			continue
		}
		blocks++
		code := strings.ReplaceAll(strings.TrimPrefix(block, "//\t"), "\n//\t", "\n")
		if !strings.Contains(string(example), code+"\n") {
			t.Errorf("not in the example:\n%s", code)
		}
	}
	if blocks < 5 {
		t.Errorf("%d blocks of code were found", blocks)
	}
}
