package main

import (
	"math/bits"
	"time"
)

// result is the line of JSON that a run prints.
type result struct {
	Peer       string  `json:"peer"`
	Store      string  `json:"store"`
	Mode       string  `json:"mode"`
	Clients    int     `json:"clients"`
	Payload    int     `json:"payload"`
	Operations uint64  `json:"ops"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"ops_per_sec"`
	P50us      float64 `json:"p50_us"`
	P99us      float64 `json:"p99_us"`
	P999us     float64 `json:"p999_us"`
	// Allocations, Bytes and CPUus are those of the whole process, clients
	// included, for each operation.
	Allocations float64 `json:"allocs_per_op"`
	Bytes       float64 `json:"bytes_per_op"`
	CPUus       float64 `json:"cpu_us_per_op"`
	// Errors are refused or failed commands, which Operations leaves out.
	Errors uint64 `json:"errors"`
	// Replicated: all nodes applied as many commands as were acknowledged.
	Replicated bool `json:"replicated"`
	// Reads is there if some operations were reads.
	Reads *readResult `json:"reads,omitempty"`
}

// readResult says how many of the operations were reads.
type readResult struct {
	Mode       string  `json:"mode"`
	At         string  `json:"at"`
	Percent    int     `json:"percent"`
	Operations uint64  `json:"ops"`
	PerSecond  float64 `json:"ops_per_sec"`
}

func (l *load) result(o options, before, after *reading) result {
	operations, seconds := after.done-before.done, after.at.Sub(before.at).Seconds()
	r := result{
		Peer: o.peer, Store: o.store, Mode: o.mode, Clients: o.clients, Payload: o.payload,
		Operations: operations, Seconds: seconds, PerSecond: float64(operations) / seconds,
		P50us: quantile(l.histograms, .5), P99us: quantile(l.histograms, .99), P999us: quantile(l.histograms, .999),
		Errors: l.errors.Load(),
	}
	if o.readPercent > 0 {
		n := after.reads - before.reads
		r.Reads = &readResult{Mode: o.read, At: "leader", Percent: o.readPercent, Operations: n, PerSecond: float64(n) / seconds}
	}
	if operations > 0 {
		each := 1 / float64(operations)
		r.Allocations = each * float64(after.memory.Mallocs-before.memory.Mallocs)
		r.Bytes = each * float64(after.memory.TotalAlloc-before.memory.TotalAlloc)
		r.CPUus = each * float64((after.cpu - before.cpu).Microseconds())
	}
	return r
}

// histogram counts latencies in buckets: a microsecond wide below 64 us, and 32
// for each power of two above.
type histogram [1024]uint32

func (h *histogram) add(latency time.Duration) {
	microseconds := uint64(latency.Microseconds())
	bucket := microseconds
	if microseconds >= 32 {
		shift := bits.Len64(microseconds) - 6
		bucket = uint64(shift)*32 + microseconds>>shift
	}
	h[min(bucket, uint64(len(h))-1)]++
}

// middle returns the middle of a bucket, in microseconds.
func middle(bucket int) float64 {
	if bucket < 64 {
		return float64(bucket)
	}
	shift := bucket/32 - 1
	return float64(uint64(bucket-shift*32)<<shift) + float64(uint64(1)<<shift)/2
}

// quantile returns the latency, in microseconds, below which the part q lies.
func quantile(histograms []histogram, q float64) float64 {
	var sum [len(histogram{})]uint64
	var count uint64
	for i := range histograms {
		for bucket, n := range histograms[i] {
			sum[bucket] += uint64(n)
			count += uint64(n)
		}
	}
	wanted, seen := uint64(q*float64(count)), uint64(0)
	for bucket, n := range sum {
		if seen += n; seen > wanted {
			return middle(bucket)
		}
	}
	return 0
}
