package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestCatchup lets two nodes come, each by a small snapshot.
func TestCatchup(t *testing.T) {
	code, stdout, stderr := bench(t, t.Context(), "catchup", "-bytes", "3MiB", "-rounds", "2", "-clients", "4", "-payload", "2048")
	var r catchupResult
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v; it printed %q and complained %q", code, err, stdout, stderr)
	}
	if r.Bytes != 3<<20 || r.Rounds != 2 || r.BaseRate <= 0 || r.Rate <= 0 || r.Ratio <= 0 || r.RatioLeast > r.Ratio || r.MiBPerSec <= 0 || r.Errors != 0 {
		t.Errorf("it gave %s", stdout)
	}
	// It went at the rate of snapshots beside writes, or more slowly: not by entries.
	if r.Seconds < 0.04 {
		t.Errorf("no snapshot has moved in %v s", r.Seconds)
	}
}

func TestCatchupMisuse(t *testing.T) {
	for arguments, want := range map[string]string{
		"-bytes 1":         "-bytes 1: not between 1KiB and 1024GiB",
		"-bytes 1GB":       `-bytes "1GB": it is no size such as 1GiB`,
		"-snapshot-rate x": `-snapshot-rate "x": it is no size such as 1GiB`,
		"-rounds 0":        "-rounds 0",
		"-payload 7":       "-payload 7",
		"-payload 1000000": "-payload 1000000: more than 16384",
		"now":              `unexpected argument "now"`,
	} {
		code, stdout, stderr := bench(t, t.Context(), append([]string{"catchup"}, strings.Fields(arguments)...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("catchup %s: exit code %d, %q", arguments, code, stderr)
		}
	}
}

// TestGuideListsTheCatchup asserts that the guide explains each key of its line.
func TestGuideListsTheCatchup(t *testing.T) {
	rows := guideTable(t, "Keys of a catch-up")
	keys := keysOf(reflect.TypeFor[catchupResult](), "")
	for i, key := range keys {
		if i >= len(rows) || rows[i][0] != "`"+key+"`" {
			t.Fatalf("row %d does not explain `%s`", i+1, key)
		}
	}
	if len(rows) > len(keys) {
		t.Errorf("the guide explains %s, which is no key", rows[len(keys)][0])
	}
}
