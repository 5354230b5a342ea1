package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestHandover does two rounds in each mode.
func TestHandover(t *testing.T) {
	for _, mode := range []string{"mem", "disk"} {
		code, stdout, stderr := bench(t, t.Context(), "handover", "-mode", mode, "-rounds", "2", "-clients", "3", "-window", "0.1")
		var r handoverResult
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK {
			t.Fatalf("mode %s: exit code %d, %v; it printed %q and complained %q", mode, code, err, stdout, stderr)
		}
		if r.Mode != mode || r.Nodes != 3 || r.Clients != 3 || r.Rounds != 2 || r.Errors != 0 || r.PerSecond <= 0 ||
			r.P50ms <= 0 || r.P50ms > r.P99ms || r.P99ms > r.MaxMs || r.BaseP99ms <= 0 || r.TransferP50 <= 0 {
			t.Errorf("mode %s gave %s", mode, stdout)
		}
	}
}

func TestHandoverMisuse(t *testing.T) {
	for arguments, want := range map[string]string{
		"-nodes 1":    "-nodes 1: there is nobody to hand over to",
		"-nodes 2":    "-nodes 2",
		"-rounds 0":   "-rounds 0",
		"-window 0":   "-window 0",
		"-window NaN": "-window NaN",
		"-clients 0":  "-clients 0",
		"-mode ram":   `-mode "ram"`,
		"-seconds 5":  "flag provided but not defined: -seconds",
		"now":         `unexpected argument "now"`,
	} {
		code, stdout, stderr := bench(t, t.Context(), append([]string{"handover"}, strings.Fields(arguments)...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("handover %s: exit code %d, %q", arguments, code, stderr)
		}
	}
}

func TestQuantile(t *testing.T) {
	var list []time.Duration
	for i := range 200 {
		list = append(list, time.Duration(i)*time.Millisecond)
	}
	for q, want := range map[float64]float64{0: 0, .5: 100, .99: 198, 1: 199} {
		if got := quantileMs(list, q); got != want {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}

// TestGuideListsTheHandover asserts that the guide explains each key of its line.
func TestGuideListsTheHandover(t *testing.T) {
	rows := guideTable(t, "Keys of a hand-over")
	keys := keysOf(reflect.TypeFor[handoverResult](), "")
	for i, key := range keys {
		if i >= len(rows) || rows[i][0] != "`"+key+"`" {
			t.Fatalf("row %d does not explain `%s`", i+1, key)
		}
	}
	if len(rows) > len(keys) {
		t.Errorf("the guide explains %s, which is no key", rows[len(keys)][0])
	}
}
