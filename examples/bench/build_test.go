package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestBuild builds two small snapshots beside writes, on either side.
func TestBuild(t *testing.T) {
	for _, at := range []string{"leader", "follower"} {
		code, stdout, stderr := bench(t, t.Context(), "build", "-bytes", "3MiB", "-rounds", "2", "-clients", "4", "-payload", "100", "-at", at)
		var r buildResult
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK {
			t.Fatalf("exit code %d, %v; it printed %q and complained %q", code, err, stdout, stderr)
		}
		if r.Bytes != 3<<20 || r.At != at || r.Clients != 4 || r.PayloadBytes != 100 || r.Rounds != 2 || r.Errors != 0 ||
			r.BuildMiBs <= 0 || r.BuildLeast > r.BuildMiBs || r.IdleMiBs <= 0 || r.BaseRate <= 0 || r.BaseP50us <= 0 || r.BaseP50us > r.BaseP99us ||
			r.P50us > r.P99us || r.RatioLeast > r.RatioMost {
			t.Errorf("it gave %s", stdout)
		}
	}
}

// TestRatioOfAllWrites: the p99 is that of all writes, and not a mean of the stretches'.
func TestRatioOfAllWrites(t *testing.T) {
	of := func(writes int, latency time.Duration) *stretch {
		s := &stretch{took: time.Second}
		for range writes {
			s.latencies.add(latency)
		}
		return s
	}
	var r buildResult
	err := r.compare([]*stretch{of(10_000, 40*time.Microsecond), of(50, 60*time.Microsecond)},
		[]*stretch{of(10_000, 20*time.Microsecond), of(200, 60*time.Microsecond)})
	if err != nil || r.P99us != 40 || r.BaseP99us != 60 || r.Ratio != 40./60 || r.RatioLeast != 1 || r.RatioMost != 2 || r.Rate != 5025 || r.P50us != 40 {
		t.Errorf("it gave %+v, %v", r, err)
	}
	if err := r.compare([]*stretch{of(1, 1)}, []*stretch{of(0, 0)}); err == nil {
		t.Error("a ratio to nothing")
	}
}

func TestBuildMisuse(t *testing.T) {
	for arguments, want := range map[string]string{
		"-bytes 1":         "-bytes 1: not between 1KiB and 1024GiB",
		"-bytes 1GB":       `-bytes "1GB": it is no size such as 1GiB`,
		"-at learner":      `-at "learner": leader or follower`,
		"-rounds 0":        "-rounds 0",
		"-clients 0":       "-clients 0",
		"-payload 1000000": "-payload 1000000: more than 16384",
		"now":              `unexpected argument "now"`,
	} {
		code, stdout, stderr := bench(t, t.Context(), append([]string{"build"}, strings.Fields(arguments)...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("build %s: exit code %d, %q", arguments, code, stderr)
		}
	}
}

// TestGuideListsTheBuild asserts that the guide explains each key of its line.
func TestGuideListsTheBuild(t *testing.T) {
	rows := guideTable(t, "Keys of a build")
	keys := keysOf(reflect.TypeFor[buildResult](), "")
	for i, key := range keys {
		if i >= len(rows) || rows[i][0] != "`"+key+"`" {
			t.Fatalf("row %d does not explain `%s`", i+1, key)
		}
	}
	if len(rows) > len(keys) {
		t.Errorf("the guide explains %s, which is no key", rows[len(keys)][0])
	}
}
