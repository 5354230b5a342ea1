package main

import (
	"math/bits"
	"time"
)

// stepsPerOctave is into how many buckets a histogram divides the latencies
// from one power of two of microseconds to the next.
const stepsPerOctave = 32

// histogram counts latencies in buckets that grow with them: a microsecond wide
// below 64 us, and at most a 32nd of the latency above. It is the peers' to the
// bucket, so that quantiles compare. One goroutine adds to it.
type histogram [1024]uint32

func (h *histogram) add(latency time.Duration) {
	microseconds := uint64(max(latency, 0).Microseconds())
	bucket := microseconds
	if microseconds >= stepsPerOctave {
		shift := bits.Len64(microseconds) - 6
		bucket = uint64(shift)*stepsPerOctave + microseconds>>shift
	}
	h[min(bucket, uint64(len(h))-1)]++
}

// middle returns the middle of a bucket, in microseconds.
func middle(bucket int) float64 {
	if bucket < 2*stepsPerOctave {
		return float64(bucket)
	}
	shift := bucket/stepsPerOctave - 1
	low := uint64(bucket-shift*stepsPerOctave) << shift
	return float64(low) + float64(uint64(1)<<shift)/2
}

// distribution is the sum of histograms.
type distribution struct {
	buckets [len(histogram{})]uint64
	count   uint64
}

func (d *distribution) merge(h *histogram) {
	for bucket, n := range h {
		d.buckets[bucket] += uint64(n)
		d.count += uint64(n)
	}
}

func (d *distribution) add(other *distribution) {
	for bucket, n := range other.buckets {
		d.buckets[bucket] += n
	}
	d.count += other.count
}

// quantile returns the latency, in microseconds, below which the part q of all
// lie; 0 when there are none.
func (d *distribution) quantile(q float64) float64 {
	wanted, seen := uint64(q*float64(d.count)), uint64(0)
	for bucket, n := range d.buckets {
		if seen += n; seen > wanted {
			return middle(bucket)
		}
	}
	return 0
}
