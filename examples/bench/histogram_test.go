package main

import (
	"math"
	"testing"
	"time"
)

// TestBuckets asserts that a latency can be read from its bucket: exactly below
// 64 us, else to a 32nd.
func TestBuckets(t *testing.T) {
	for microseconds := 0; microseconds < 100_000_000; microseconds += 1 + microseconds/100 {
		var h histogram
		h.add(time.Duration(microseconds) * time.Microsecond)
		var d distribution
		d.merge(&h)
		got, allowed := d.quantile(.5), float64(microseconds)/32
		if microseconds < 64 {
			allowed = 0
		}
		if math.Abs(got-float64(microseconds)) > allowed {
			t.Errorf("%d us are read as %g", microseconds, got)
		}
	}
}

func TestBucketsHaveAnEnd(t *testing.T) {
	var h histogram
	h.add(-time.Second)
	h.add(math.MaxInt64)
	if h[0] != 1 {
		t.Error("a clock that went back is not in the first bucket")
	}
	var d distribution
	d.merge(&h)
	if d.count != 2 {
		t.Errorf("%d were counted", d.count)
	}
}

func TestQuantiles(t *testing.T) {
	var first, second histogram
	for i := range 1000 {
		h := &first
		if i%2 == 0 {
			h = &second
		}
		h.add(time.Duration(i) * time.Millisecond)
	}
	var one, other, all distribution
	one.merge(&first)
	other.merge(&second)
	all.add(&one)
	all.add(&other)
	for q, want := range map[float64]float64{0: 0, .5: 500e3, .99: 990e3, .999: 999e3} {
		if got := all.quantile(q); math.Abs(got-want) > want/32 {
			t.Errorf("the quantile %v is %v us, want %v", q, got, want)
		}
	}
	var none distribution
	if got := none.quantile(.99); got != 0 {
		t.Errorf("the quantile of nothing is %v", got)
	}
}
