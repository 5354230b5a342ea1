package tracing

import (
	"math"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"
)

// Sampler decides whether a write or a read without a caller's span begins a
// trace. It is asked for each of them: it must be quick, must not allocate when
// it says no, and is called concurrently.
type Sampler interface {
	Sample() bool
}

// TracesPerSecondDefault is how many traces a second the default sampler begins
// at most.
const TracesPerSecondDefault = 10

// RateSampler begins at most so many traces in any second, and all of them where
// there are fewer: under load it can be left on.
type RateSampler struct {
	tokens    atomic.Int64
	perSecond int64
}

// NewRateSampler returns a sampler of at most perSecond traces in any second;
// 0 or less is none.
func NewRateSampler(perSecond int) *RateSampler {
	s := &RateSampler{perSecond: int64(max(perSecond, 0))}
	s.tokens.Store(s.perSecond)
	return s
}

// Sample takes a token if there is one. Each comes back a second after it was
// taken, by a timer of its own: an idle sampler has none, and nothing reads a
// clock.
func (s *RateSampler) Sample() bool {
	for {
		left := s.tokens.Load()
		if left <= 0 {
			return false
		}
		if s.tokens.CompareAndSwap(left, left-1) {
			time.AfterFunc(time.Second, s.giveBack)
			return true
		}
	}
}

func (s *RateSampler) giveBack() { s.tokens.Add(1) }

// String returns for instance "at most 10 a second".
func (s *RateSampler) String() string {
	return "at most " + strconv.FormatInt(s.perSecond, 10) + " a second"
}

// RatioSampler begins a trace with a fixed probability.
type RatioSampler struct {
	ratio float64
	// upTo is the largest of all 64-bit numbers that is sampled; never: none is.
	upTo  uint64
	never bool
}

// NewRatioSampler returns a sampler of the given probability: 0 or less is
// never, 1 or more always.
func NewRatioSampler(ratio float64) *RatioSampler {
	s := &RatioSampler{ratio: ratio, upTo: math.MaxUint64}
	if !(ratio >= 1) {
		below := uint64(math.Ldexp(max(ratio, 0), 64))
		s.upTo, s.never = below-1, below == 0 || !(ratio > 0)
	}
	return s
}

// Sample draws.
func (s *RatioSampler) Sample() bool { return rand.Uint64() <= s.upTo && !s.never }

// String returns for instance "a ratio of 0.25".
func (s *RatioSampler) String() string {
	return "a ratio of " + strconv.FormatFloat(s.ratio, 'g', -1, 64)
}
