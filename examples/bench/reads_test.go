package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestReadsCommand asserts that each way to read has a line.
func TestReadsCommand(t *testing.T) {
	code, stdout, stderr := bench(t, t.Context(), append([]string{"reads"}, short100...)...)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var got []string
	for d := json.NewDecoder(strings.NewReader(stdout)); ; {
		var r result
		err := d.Decode(&r)
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if r.Reads == nil {
			got = append(got, "writes")
			continue
		}
		got = append(got, fmt.Sprintf("%s %s %d", r.Reads.At, r.Reads.Mode, r.Reads.Percent))
	}
	want := []string{"writes"}
	for _, at := range []string{"leader", "follower"} {
		for _, mode := range []string{"linearizable", "lease", "stale 100ms"} {
			want = append(want, at+" "+mode+" 100", at+" "+mode+" 90")
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("runs %q, want %q", got, want)
	}
}
