package metrics

import (
	"slices"
	"strings"
)

// Kind sorts instruments.
type Kind uint8

const (
	// Counter only grows, from 0 at the start of the node or group.
	Counter Kind = iota + 1
	// Gauge goes up and down.
	Gauge
	// Histogram counts values in buckets.
	Histogram
)

// String returns "counter", "gauge" or "histogram".
func (k Kind) String() string { return [...]string{"unknown kind", "counter", "gauge", "histogram"}[k] }

// Units, as OpenTelemetry writes them.
const (
	seconds = "s"
	bytes   = "By"
)

// Fold says how a gauge of many groups becomes one.
type Fold uint8

const (
	// FoldSum adds the groups' values up.
	FoldSum Fold = iota
	// FoldMax takes the largest.
	FoldMax
)

// Row describes one instrument.
type Row struct {
	ID   ID
	Kind Kind
	// Unit is "s", "By" or what is counted, in braces.
	Unit string
	// Description is what a reader shows as help.
	Description string
	// When says when a value is recorded or observed, and of what.
	When string
	// Attributes are the keys, beside raft.node, which is always there.
	Attributes []Attribute
	// Bounds are the upper bounds of a histogram's buckets, ascending.
	Bounds []float64
	Fold   Fold
}

// Attribute is a key with the values that it can have, nil if they are not known
// beforehand.
type Attribute struct {
	Key    string
	Values []string
}

// Keys of attributes.
const (
	KeyNode      = "raft.node"
	KeyGroup     = "raft.group"
	KeyKind      = "raft.kind"
	KeyPeer      = "raft.peer"
	KeyActor     = "raft.actor"
	KeyClass     = "raft.class"
	KeyDirection = "raft.direction"
	KeyOperation = "raft.operation"
	KeyOutcome   = "raft.outcome"
	KeyMode      = "raft.mode"
	KeyReason    = "raft.reason"
	KeyRole      = "raft.role"
)

// Values of attributes, in the order of the numbers by which they are counted.
var (
	Actors           = []string{"core", "log", "replication", "apply"}
	Classes          = []string{"control", "bulk", "snapshot"}
	Directions       = []string{"sent", "received"}
	Operations       = []string{"build", "send", "receive", "install", "backup", "record"}
	ElectionReasons  = []string{"timeout", "start", "by_hand", "transfer", "renewal"}
	Departed         = []string{"superseded", "transferred", "no_quorum", "disk", "machine", "entries", "removed"}
	LetGo            = []string{"bytes", "time", "node", "room"}
	ElectionOutcomes = []string{"won", "lost", "superseded", "expired"}
	Overloads        = []string{"refused", "waited", "log_full"}
	ReadOutcomes     = []string{"served", "overloaded", "ended"}
	LocalModes       = []string{"lease", "stale", "at_least"}
	Outcomes         = []string{"done", "failed"}
	Observations     = []string{"line", "span", "measurement"}
	Roles            = []string{"follower", "pre-candidate", "candidate", "leader", "learner", "none"}
)

var (
	group     = Attribute{Key: KeyGroup}
	peer      = Attribute{Key: KeyPeer}
	actor     = Attribute{KeyActor, Actors}
	class     = Attribute{KeyClass, Classes}
	direction = Attribute{KeyDirection, Directions}
	operation = Attribute{KeyOperation, Operations}
	outcome   = Attribute{KeyOutcome, Outcomes}
)

// Table returns a row for each instrument. It is the caller's.
func Table() []Row { return slices.Clone(table) }

// PerGroup reports whether the row has a series for each group.
func (r *Row) PerGroup() bool {
	return slices.ContainsFunc(r.Attributes, func(a Attribute) bool { return a.Key == KeyGroup })
}

// PrometheusName is the name that OpenTelemetry's exporter for Prometheus gives
// the instrument's family.
func (r *Row) PrometheusName() string {
	name := strings.ReplaceAll(string(r.ID), ".", "_")
	switch r.Unit {
	case seconds:
		name += "_seconds"
	case bytes:
		name += "_bytes"
	}
	if r.Kind == Counter {
		name += "_total"
	}
	return name
}

// bounds of durations: 5 us to 10 s, each at most twice the one before, so that a
// quantile of 100 us is known to within half of it.
var durationBounds = []float64{
	5e-6, 10e-6, 20e-6, 30e-6, 50e-6, 75e-6, 100e-6, 150e-6, 200e-6, 300e-6, 500e-6, 750e-6,
	1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3, 7.5e-3, 10e-3, 15e-3, 20e-3, 30e-3, 50e-3, 75e-3,
	100e-3, 150e-3, 200e-3, 300e-3, 500e-3, 750e-3, 1, 1.5, 2, 3, 5, 7.5, 10,
}

var (
	// longBounds are for what takes seconds or hours: 1 ms to 2 h.
	longBounds = powers(1e-3, 2, 24)
	// countBounds are 1 to 16,384; sizeBounds 64 B to 16 MiB.
	countBounds = powers(1, 2, 15)
	sizeBounds  = powers(64, 2, 19)
	// snapshotBounds are 1 KiB to 1 TiB.
	snapshotBounds = powers(1024, 4, 16)
)

// powers returns n bounds, each so many times the one before.
func powers(first, factor float64, n int) []float64 {
	bounds := make([]float64, n)
	for i := range bounds {
		bounds[i] = first
		first *= factor
	}
	return bounds
}

// folds are those of the table.
var folds = func() map[ID]Fold {
	all := make(map[ID]Fold, len(table))
	for i := range table {
		all[table[i].ID] = table[i].Fold
	}
	return all
}()

// FoldOf says how the instrument's values of many groups become one.
func FoldOf(id ID) Fold { return folds[id] }
