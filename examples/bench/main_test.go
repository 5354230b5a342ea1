package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench runs the command in a directory of its own, and asserts that nothing is
// left there.
func bench(t *testing.T, ctx context.Context, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	var out, complaints bytes.Buffer
	code = command(ctx, append(arguments, "-dir", dir), &out, &complaints)
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%v left %s behind", arguments, entry.Name())
	}
	return code, out.String(), complaints.String()
}

var short100 = []string{"-clients", "2", "-seconds", "0.1", "-warmup", "0.02"}

func TestRuns(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags string
		check func(r result) bool
	}{
		{"memory", "-mode mem", func(r result) bool { return r.Store == "memory" && r.Nodes == 3 }},
		{"disk", "-mode disk", func(r result) bool { return r.Store == "badger" }},
		{"beside busy goroutines", "-hogs 2", func(r result) bool { return r.Hogs == 2 }},
		{"a slow follower", "-slow-follower 100", func(r result) bool { return r.SlowFollower == 100 && r.Replicated }},
		{"one voter, with snapshots", "-nodes 1 -snapshots 100", func(r result) bool { return r.Nodes == 1 && r.SnapshotEntries == 100 }},
		{"groups and batches", "-groups 2 -propose-batch 4", func(r result) bool { return r.Groups == 2 && r.Batch == 4 }},
		{"reads", "-read-percent 50", func(r result) bool {
			return r.Reads != nil && r.Reads.Operations > 0 && r.Reads.Operations < r.Operations && r.Reads.Mode == "linearizable"
		}},
		{"lease reads", "-read-percent 100 -read lease", func(r result) bool { return r.Reads.Mode == "lease" && r.Reads.At == "leader" && r.Errors == 0 }},
		{"stale reads on followers", "-read-percent 50 -read stale -read-at follower -max-staleness 5ms", func(r result) bool {
			return r.Reads.Mode == "stale 5ms" && r.Reads.At == "follower" && r.Errors == 0
		}},
		{"open loop", "-rate 400", func(r result) bool {
			return r.Open != nil && r.Open.Rate == 400 && r.Open.Unserved == 0 && r.Operations < 1000 // a closed loop does more
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			arguments := append(strings.Fields(test.flags), short100...)
			code, stdout, stderr := bench(t, t.Context(), arguments...)
			var r result
			if err := json.Unmarshal([]byte(stdout), &r); code != exitOK || err != nil {
				t.Fatalf("exit code %d, %v; it printed %q and complained %q", code, err, stdout, stderr)
			}
			if !plausible(&r) || !test.check(r) {
				t.Fatalf("%v gave %s", arguments, stdout)
			}
		})
	}
}

// plausible reports whether a run of short100 went well and measured something. A
// read that asks nobody takes less than the microsecond that a histogram can tell.
func plausible(r *result) bool {
	return r.Peer == "troupe" && r.Clients == 2 && r.PayloadBytes == 16 && r.Operations > 0 && r.PerSecond > 0 && r.Errors == 0 && r.Replicated &&
		r.Allocations > 0 && r.Bytes > 0 && r.CPUus >= 0 && (r.P50us > 0 || r.Reads != nil) && r.P50us <= r.P99us && r.P99us <= r.P999us
}

func TestStopsEarly(t *testing.T) {
	for _, test := range []struct {
		flags string
		after time.Duration
	}{
		{"-mode mem", 100 * time.Millisecond},
		{"-mode disk", 300 * time.Millisecond},
		{"-mode disk", time.Millisecond}, // while the cluster is being formed
		{"-rate 1000", 100 * time.Millisecond},
	} {
		flags := test.flags
		ctx, cancel := context.WithTimeout(t.Context(), test.after)
		begin := time.Now()
		code, stdout, stderr := bench(t, ctx, append(strings.Fields(flags), "-clients", "2", "-seconds", "3600")...)
		cancel()
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "deadline") {
			t.Errorf("%s: exit code %d, it printed %q and complained %q", flags, code, stdout, stderr)
		}
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("%s took %v to stop", flags, took)
		}
	}
}

func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	flags := append([]string{"-cpuprofile", dir + "/cpu", "-memprofile", dir + "/mem", "-exectrace", dir + "/trace"}, short100...)
	if code, _, stderr := bench(t, t.Context(), flags...); code != exitOK {
		t.Fatal(stderr)
	}
	for _, name := range []string{"cpu", "mem", "trace"} {
		if info, err := os.Stat(dir + "/" + name); err != nil || info.Size() == 0 {
			t.Errorf("no profile %s: %v", name, err)
		}
	}
	if code, _, stderr := bench(t, t.Context(), append([]string{"-exectrace", dir + "/none/trace"}, short100...)...); code != exitFailed || !strings.Contains(stderr, "-exectrace") {
		t.Errorf("a profile where nobody can write: exit code %d, %s", code, stderr)
	}
}
