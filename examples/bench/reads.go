package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// readsCommand does a run for each way to read, with the flags of one run: first
// writes alone, of the same sitting, then each mode on the leader and on followers,
// once without writes and once with one write to nine reads. It prints a line for
// each.
func readsCommand(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	given, err := parseSettings(arguments, stdout)
	if err != nil {
		return err
	}
	for _, argument := range arguments {
		name, _, _ := strings.Cut(strings.TrimLeft(argument, "-"), "=")
		if strings.HasPrefix(argument, "-") && (name == "read" || name == "read-at" || name == "read-percent") {
			return misuse("-%s: bench reads chooses that itself", name)
		}
	}
	for _, s := range readRuns(given) {
		if err := measureAndPrint(ctx, s, stdout, stderr); err != nil {
			return fmt.Errorf("%d%% %s reads at the %s: %w", s.readPercent, s.read, s.readAt, err)
		}
	}
	return nil
}

// readRuns are the runs of bench reads.
func readRuns(s settings) []settings {
	runs := []settings{s}
	places := []string{"leader", "follower"}
	if s.nodes == 1 {
		places = places[:1]
	}
	for _, s.readAt = range places {
		for _, s.read = range []string{"linearizable", "lease", "stale"} {
			for _, s.readPercent = range []int{100, 90} {
				runs = append(runs, s)
			}
		}
	}
	return runs
}
