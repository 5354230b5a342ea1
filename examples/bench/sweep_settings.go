package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sweepSettings are what a sweep is told by its flags.
type sweepSettings struct {
	modes             []string
	clients, payloads []int
	repeats           int
	seconds, warmup   float64
	peers, peerBinary string
	with              []string
	dir, out, from    string
	guide             string
	add               bool
}

const sweepUsageText = `Bench sweep runs each cell of a grid several times, each run in a process of its
own, and by turns with the peers if it is told where they are. It writes, into
the directory of -out:

    results.jsonl    the line of JSON of each run
    table.md         medians, and ratios to the best peer
    *.svg            throughput and p99 over the number of clients

Flags:
`

// list is a flag of values with commas between them.
type list[T any] struct {
	to   *[]T
	read func(string) (T, error)
}

// String implements flag.Value.
func (l *list[T]) String() string {
	if l.to == nil {
		return ""
	}
	var words []string
	for _, value := range *l.to {
		words = append(words, fmt.Sprint(value))
	}
	return strings.Join(words, ",")
}

// Set implements flag.Value.
func (l *list[T]) Set(text string) error {
	var values []T
	for _, part := range strings.Split(text, ",") {
		value, err := l.read(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		values = append(values, value)
	}
	*l.to = values
	return nil
}

// word reads a value as it is.
func word(text string) (string, error) { return text, nil }

func sweepFlags(s *sweepSettings) *flag.FlagSet {
	flags := flag.NewFlagSet("bench sweep", flag.ContinueOnError)
	s.modes = []string{"mem", "disk"}
	flags.Var(&list[string]{&s.modes, word}, "modes", "`list` of modes, as in -mode of a run")
	s.clients = []int{1, 64, 256, 1024}
	flags.Var(&list[int]{&s.clients, strconv.Atoi}, "clients", "`list` of numbers of clients")
	s.payloads = []int{16}
	flags.Var(&list[int]{&s.payloads, strconv.Atoi}, "payloads", "`list` of command sizes in bytes")
	flags.IntVar(&s.repeats, "repeats", 5, "runs of each cell and contender, by turns")
	flags.Float64Var(&s.seconds, "seconds", 3, "`seconds` measured by a run")
	flags.Float64Var(&s.warmup, "warmup", 1, "`seconds` of the same load before that")
	flags.StringVar(&s.peers, "peers", "", "`directory` of the peers' module, which is built first")
	flags.StringVar(&s.peerBinary, "peer-binary", "", "`file` of the peers' program, already built")
	s.with = []string{"hashicorp", "etcd", "dragonboat"}
	flags.Var(&list[string]{&s.with, word}, "with", "`list` of the peers to run")
	flags.StringVar(&s.dir, "dir", "", "`directory` in which the data directories are made, and removed at the end (default the system's for temporary files)")
	flags.StringVar(&s.out, "out", "bench-results", "`directory` for what is written, made if it is not there")
	flags.BoolVar(&s.add, "append", false, "add to the results that are in -out already")
	flags.StringVar(&s.from, "from", "", "`file` of results: nothing is run, the table and the plots are made of these")
	flags.StringVar(&s.guide, "guide", "", "`file` of Markdown in which the table replaces what stands between "+guideBegin+" and "+guideEnd)
	return flags
}

// parseSweepSettings is for a sweep what parseSettings is for a run.
func parseSweepSettings(arguments []string, out io.Writer) (sweepSettings, error) {
	var s sweepSettings
	if err := parse(sweepFlags(&s), sweepUsageText, arguments, out); err != nil {
		return s, err
	}
	switch {
	case s.repeats < 1 || s.repeats > 1000:
		return s, misuse("-repeats %d: not between 1 and 1000", s.repeats)
	case s.peers != "" && s.peerBinary != "":
		return s, misuse("-peers and -peer-binary: one of them, or none")
	case s.from != "" && (s.peers != "" || s.peerBinary != ""):
		return s, misuse("-from: nothing is run, so that there is no use for the peers")
	case s.out == "":
		return s, misuse("-out: is empty")
	}
	for _, name := range s.with {
		if !slices.ContainsFunc(peers, func(p contender) bool { return p.peer == name }) {
			return s, misuse("-with %q: hashicorp, etcd or dragonboat", name)
		}
	}
	for _, cell := range s.cells() {
		if _, err := parseSettings(s.arguments(cell), io.Discard); err != nil {
			return s, err
		}
	}
	for _, name := range []string{s.peerBinary, s.from, s.guide} {
		if name == "" {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			return s, usageError{err}
		}
	}
	return s, nil
}

// cell is one point of the grid.
type cell struct {
	mode         string
	payloadBytes int
	clients      int
}

func (s *sweepSettings) cells() (all []cell) {
	for _, mode := range s.modes {
		for _, payload := range s.payloads {
			for _, clients := range s.clients {
				all = append(all, cell{mode, payload, clients})
			}
		}
	}
	return all
}

// arguments are the flags that a run of the cell has, whoever it is that runs.
func (s *sweepSettings) arguments(c cell) []string {
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	return []string{
		"-mode", c.mode, "-clients", strconv.Itoa(c.clients), "-payload", strconv.Itoa(c.payloadBytes),
		"-seconds", number(s.seconds), "-warmup", number(s.warmup),
	}
}

// runLimit bounds one run, which has to start and to end beside its load.
func (s *sweepSettings) runLimit() time.Duration {
	return time.Duration((s.seconds+s.warmup)*float64(time.Second)) + time.Minute
}
