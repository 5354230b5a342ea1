package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/trouperaft/troupe"
)

// Build measures for how long writes wait while a node builds a snapshot.

// buildSettings are the flags of bench build.
type buildSettings struct {
	besideSettings
	at string
}

const buildUsage = `Bench build measures for how long writes wait while a node builds a snapshot, and prints
one line of JSON. Clients on the leader write in a closed loop to three voters, over TCP on
127.0.0.1 and with synced logs. By turns, for the same time, a node builds a snapshot, and
none does.

Flags of a build:
`

func buildFlags(s *buildSettings) (flags *flag.FlagSet, bytes *string) {
	flags, bytes = besideFlags(&s.besideSettings, "bench build", "snapshots, one after the other, and as many stretches without one")
	flags.StringVar(&s.at, "at", "leader", "`member` that builds: leader or follower")
	return flags, bytes
}

func parseBuild(arguments []string, out io.Writer) (s buildSettings, err error) {
	flags, bytes := buildFlags(&s)
	if err := parse(flags, buildUsage, arguments, out); err != nil {
		return s, err
	}
	if s.at != "leader" && s.at != "follower" {
		return s, misuse("-at %q: leader or follower", s.at)
	}
	return s, s.complete(*bytes)
}

// buildResult is the line of JSON.
type buildResult struct {
	Bytes        uint64  `json:"bytes"`
	At           string  `json:"at"`
	Clients      int     `json:"clients"`
	PayloadBytes int     `json:"payload"`
	Rounds       int     `json:"rounds"`
	BuildMiBs    float64 `json:"build_mib_per_sec"`
	BuildLeast   float64 `json:"build_mib_per_sec_least"`
	IdleMiBs     float64 `json:"idle_build_mib_per_sec"`
	BaseRate     float64 `json:"base_ops_per_sec"`
	Rate         float64 `json:"ops_per_sec"`
	BaseP50us    float64 `json:"base_p50_us"`
	P50us        float64 `json:"p50_us"`
	BaseP99us    float64 `json:"base_p99_us"`
	P99us        float64 `json:"p99_us"`
	Ratio        float64 `json:"p99_ratio"`
	RatioLeast   float64 `json:"p99_ratio_least"`
	RatioMost    float64 `json:"p99_ratio_most"`
	Errors       uint64  `json:"errors"`
}

func buildCommand(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	s, err := parseBuild(arguments, stderr)
	if err != nil {
		return err
	}
	r, err := measureBuilds(ctx, &s, stderr)
	if err != nil {
		return err
	}
	return tell(stdout, r, r.Errors, "some writes have failed")
}

// stretch is a time in which a snapshot is built, or none. The clients' lock guards its
// latencies.
type stretch struct {
	latencies histogram
	took      time.Duration
}

// stretches are those of one kind.
type stretches struct {
	all  distribution
	took time.Duration
}

// add returns the p99 of one more of them, in microseconds.
func (s *stretches) add(one *stretch) float64 {
	var d distribution
	d.merge(&one.latencies)
	s.all.add(&d)
	s.took += one.took
	return d.quantile(.99)
}

func (s *stretches) perSecond() float64 { return float64(s.all.count) / s.took.Seconds() }

// during returns the latencies of the writes that began while do was called.
func (w *writers) during(do func() error) (*stretch, error) {
	s, begun := new(stretch), time.Now()
	w.stretch.Store(s)
	err := do()
	s.took = time.Since(begun)
	w.stretch.Store(nil)
	return s, err
}

func measureBuilds(ctx context.Context, s *buildSettings, stderr io.Writer) (r buildResult, err error) {
	c, err := openCluster(ctx, &s.settings)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	g := c.groups[0]
	builder := g.rafts[g.leader]
	if s.at == "follower" {
		builder = g.rafts[(g.leader+1)%len(g.rafts)]
	}
	if err := pause(ctx, s.baseAtMin); err != nil { // the node has forgotten its first entries
		return r, err
	}
	idle, err := build(ctx, s, builder)
	if err != nil {
		return r, err
	}
	w := &writers{stderr: stderr, last: time.Now(), at: g.rafts[g.leader]}
	w.start(c)
	defer w.stop(c)
	if err := pause(ctx, s.baseAtMin); err != nil { // the same load before that
		return r, err
	}
	var beside, without []*stretch
	var rates []float64
	for range s.rounds {
		one, err := w.during(func() error {
			rate, err := build(ctx, s, builder)
			rates = append(rates, rate)
			return err
		})
		if err != nil {
			return r, err
		}
		other, err := w.during(func() error { return pause(ctx, max(one.took, s.baseAtMin)) })
		if err != nil {
			return r, err
		}
		beside, without = append(beside, one), append(without, other)
	}
	r.Errors = w.errors()
	w.stop(c) // nobody writes to the histograms any more
	r.Bytes, r.At, r.Clients, r.PayloadBytes, r.Rounds = s.machineBytes, s.at, s.clients, s.payloadBytes, s.rounds
	slices.Sort(rates)
	r.BuildMiBs, r.BuildLeast, r.IdleMiBs = median(rates), rates[0], idle
	return r, r.compare(beside, without)
}

// build has a node build a snapshot, and returns how many MiB a second it went at.
func build(ctx context.Context, s *buildSettings, raft *troupe.Raft) (rate float64, err error) {
	begun := time.Now()
	meta, err := raft.Snapshot(ctx)
	took := time.Since(begun)
	switch {
	case err != nil:
		return 0, fmt.Errorf("the snapshot: %w", err)
	case meta.SizeBytes != s.machineBytes:
		return 0, fmt.Errorf("the snapshot has %d bytes", meta.SizeBytes)
	}
	return float64(s.machineBytes) / (1 << 20) / took.Seconds(), nil
}

// compare fills in what the clients have seen. The p99s are those of all writes of one
// kind, and the least and most of their ratios those of one stretch each.
func (r *buildResult) compare(beside, without []*stretch) error {
	var with, base stretches
	var ratios []float64
	for i := range beside {
		p99, baseP99 := with.add(beside[i]), base.add(without[i])
		if baseP99 == 0 {
			return errors.New("no write was acknowledged in a stretch without a build")
		}
		ratios = append(ratios, p99/baseP99)
	}
	r.BaseRate, r.Rate = base.perSecond(), with.perSecond()
	r.BaseP50us, r.P50us = base.all.quantile(.5), with.all.quantile(.5)
	r.BaseP99us, r.P99us = base.all.quantile(.99), with.all.quantile(.99)
	r.Ratio, r.RatioLeast, r.RatioMost = r.P99us/r.BaseP99us, slices.Min(ratios), slices.Max(ratios)
	return nil
}
