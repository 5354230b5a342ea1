package core

import (
	"flag"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts of testdata print as what is expected of them")

// compareScripts shows the first line that differs, with what comes before it.
func compareScripts(t *testing.T, path, want, got string) {
	t.Helper()
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b || i >= len(w) || i >= len(g) {
			t.Errorf("%s:%d: after\n%s\nwant %q\ngot  %q", path, i+1, strings.Join(w[max(0, i-6):min(i, len(w))], "\n"), a, b)
			return
		}
	}
}
