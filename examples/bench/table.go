package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// readResults reads the lines of JSON of many runs.
func readResults(name string) ([]result, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []result
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(all) == 0 {
		return nil, errors.New(name + " holds no results")
	}
	return all, nil
}

// summary is what the runs of one contender in one cell come to: medians.
type summary struct {
	cell
	name string
	peer bool // rather than ours
	runs int

	perSecond                  float64
	slowest, fastest           float64 // of perSecond
	p50us, p99us               float64
	p99Low, p99High            float64
	allocations, bytes, cpuUS  float64
	speedRatio, p99Ratio       float64 // to the best peer of the cell, 0 without peers
	errors, unfit, termChanges uint64  // sums; unfit are runs that were not replicated
}

// name tells contenders apart: the store is named unless it is the memory.
func (r *result) name() string {
	if r.Store == "" || r.Store == "memory" {
		return r.Peer
	}
	return r.Peer + "-" + r.Store
}

// summarize returns a summary for each cell and contender: by mode, payload and
// clients, then ours first, then the peers, the fastest first.
func summarize(results []result) []summary {
	type key struct {
		cell
		name string
	}
	runs := make(map[key][]result)
	for _, r := range results {
		k := key{cell{r.Mode, r.PayloadBytes, r.Clients}, r.name()}
		runs[k] = append(runs[k], r)
	}
	var all []summary
	for k, of := range runs {
		all = append(all, summaryOf(k.cell, k.name, of))
	}
	compare(all)
	slices.SortFunc(all, func(a, b summary) int {
		return cmp.Or(
			-cmp.Compare(a.mode, b.mode), // mem before disk
			cmp.Compare(a.payloadBytes, b.payloadBytes),
			cmp.Compare(a.clients, b.clients),
			cmp.Compare(number(a.peer), number(b.peer)),
			-cmp.Compare(a.perSecond, b.perSecond),
			cmp.Compare(a.name, b.name),
		)
	})
	return all
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func summaryOf(c cell, name string, runs []result) summary {
	values := func(of func(*result) float64) []float64 {
		var all []float64
		for i := range runs {
			all = append(all, of(&runs[i]))
		}
		slices.Sort(all)
		return all
	}
	perSecond := values(func(r *result) float64 { return r.PerSecond })
	p99 := values(func(r *result) float64 { return r.P99us })
	s := summary{
		cell: c, name: name, peer: runs[0].Peer != ours, runs: len(runs),
		perSecond: median(perSecond), slowest: perSecond[0], fastest: perSecond[len(runs)-1],
		p50us: median(values(func(r *result) float64 { return r.P50us })),
		p99us: median(p99), p99Low: p99[0], p99High: p99[len(runs)-1],
		allocations: median(values(func(r *result) float64 { return r.Allocations })),
		bytes:       median(values(func(r *result) float64 { return r.Bytes })),
		cpuUS:       median(values(func(r *result) float64 { return r.CPUus })),
	}
	for i := range runs {
		s.errors += runs[i].Errors
		s.termChanges += runs[i].TermChanges
		if !runs[i].Replicated {
			s.unfit++
		}
	}
	return s
}

// median of values in order; that of an even number is the mean of the middle two.
func median(values []float64) float64 {
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// compare fills in the ratios. The best peer is the one with the most operations
// a second, and, for the p99, the one with the lowest.
func compare(all []summary) {
	type best struct{ perSecond, p99us float64 }
	peers := make(map[cell]best)
	for _, s := range all {
		if !s.peer {
			continue
		}
		b, found := peers[s.cell]
		if !found {
			b = best{s.perSecond, s.p99us}
		}
		peers[s.cell] = best{max(b.perSecond, s.perSecond), min(b.p99us, s.p99us)}
	}
	for i := range all {
		if b, found := peers[all[i].cell]; found && b.perSecond > 0 && b.p99us > 0 {
			all[i].speedRatio = all[i].perSecond / b.perSecond
			all[i].p99Ratio = all[i].p99us / b.p99us
		}
	}
}

// table writes the summaries in Markdown, a table for each mode and payload.
func table(all []summary) string {
	var b strings.Builder
	var mode string
	var payloadBytes int
	for _, s := range all {
		if s.mode != mode || s.payloadBytes != payloadBytes {
			mode, payloadBytes = s.mode, s.payloadBytes
			fmt.Fprintf(&b, "\n**%s, %d B**\n\n", mode, payloadBytes)
			b.WriteString("| clients | | ops/s (range) | to best peer | p50 ms | p99 ms | to best peer | allocs/op | B/op | CPU µs/op | runs |\n")
			b.WriteString("|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
		}
		fmt.Fprintf(&b, "| %d | %s | %s (%s–%s) | %s | %.3f | %.3f | %s | %.1f | %s | %.1f | %d |\n",
			s.clients, s.title(), thousands(s.perSecond), thousands(s.slowest), thousands(s.fastest), ratio(s.speedRatio),
			s.p50us/1000, s.p99us/1000, ratio(s.p99Ratio), s.allocations, thousands(s.bytes), s.cpuUS, s.runs)
	}
	for _, text := range doubts(all) {
		b.WriteString("\n" + text + "\n")
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// title is the name in the table: ours stands out.
func (s *summary) title() string {
	if s.peer {
		return s.name
	}
	return "**" + s.name + "**"
}

// doubts are the sentences on runs that were not clean.
func doubts(all []summary) (sentences []string) {
	said := make(map[string]bool)
	for _, s := range all {
		where := fmt.Sprintf("%s, %d B, %d clients, %s", s.mode, s.payloadBytes, s.clients, s.name)
		if s.errors > 0 {
			said[fmt.Sprintf("%s: %s operations failed, and were counted as errors only.", where, thousands(float64(s.errors)))] = true
		}
		if s.unfit > 0 {
			said[fmt.Sprintf("%s: in %d runs some node did not apply all that was acknowledged.", where, s.unfit)] = true
		}
		if s.termChanges > 0 {
			said[fmt.Sprintf("%s: the term changed %d times during the runs.", where, s.termChanges)] = true
		}
	}
	return slices.Sorted(maps.Keys(said))
}

func ratio(r float64) string {
	if r == 0 {
		return ""
	}
	return strconv.FormatFloat(r, 'f', 2, 64)
}

// thousands writes a whole number with commas.
func thousands(f float64) string {
	digits := strconv.FormatFloat(f, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
