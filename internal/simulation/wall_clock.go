package simulation

import (
	"math/rand/v2"
	"time"
)

// The wall clocks of a third of the clusters jump: ahead or back, by seconds or by years,
// and come right again some time later, or at the next jump. A process that starts while
// its clock is wrong believes it. Nothing but the times of entries comes of it, and those
// never decrease. The generator is one of their own, so that no other concern of a seed
// depends on them.
func (s *sim) jumpClocks(r *rand.Rand) {
	if r.IntN(3) > 0 {
		return
	}
	var later func()
	later = func() {
		d := time.Duration(float64(s.plan.faultEvery) * 4 * r.ExpFloat64())
		s.clock.after(d, nil, func() {
			if s.faults.healed {
				return
			}
			n := s.nodes[r.IntN(len(s.nodes))]
			n.wallAhead = pick(r, 0, 0, 0, time.Second, -time.Second, 2*time.Hour, -2*time.Hour, 10*365*24*time.Hour, -10*365*24*time.Hour)
			s.trace.say("the wall clock of n%d is %v ahead", n.id, n.wallAhead)
			later()
		})
	}
	later()
}
