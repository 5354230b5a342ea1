package core

import (
	"math"
	"time"
)

// This file is about a leader that hands over by itself, to a voter of a higher
// priority.

const (
	// restAfterTransferByHand is for how long the automatic hand-over rests after
	// somebody gave the leadership to this node by hand.
	restAfterTransferByHand = 10 * time.Minute
	// A hand-over that failed is tried again after failedWaitMin, which doubles up to
	// failedWaitMax with each that fails.
	failedWaitMin = 10 * time.Second
	failedWaitMax = 10 * time.Minute
	// A node that left office by rule 16 is not handed the leadership for
	// standBackMin, which doubles up to standBackMax each time that it leaves so
	// within twice the last wait after its end.
	standBackMin = 5 * time.Minute
	standBackMax = time.Hour
)

// handOver is what bears on hand-overs beyond one leadership.
type handOver struct {
	// restUntil: somebody wants this node to lead.
	restUntil Instant
	// failures are the targets of hand-overs that have failed lately.
	failures map[Identity]*backOff
	// standsBack is for how long this node wants no leadership from who leads.
	standsBack backOff
	// renewAt is when a leader that needs a new term (renews) asks for it, 0 if it need
	// not; renewing: it asks. lapses is how long one waits whose lease has run out.
	renewAt  Instant
	renewing bool
	lapses   backOff
	// counts are the transfers that have succeeded and that have failed.
	counts [2]uint64
}

// backOff is a wait that doubles.
type backOff struct {
	until Instant
	wait  time.Duration
}

// again begins the next wait. It begins anew at least if the last one ended long ago.
func (b *backOff) again(now Instant, least, most time.Duration) {
	if b.wait == 0 || now > b.until.Add(2*b.wait) {
		b.wait = least
	} else {
		b.wait = min(2*b.wait, most)
	}
	b.until = now.Add(b.wait)
}

// failed notes that a hand-over to a node has failed.
func (h *handOver) failed(to Identity, now Instant) {
	h.counts[1]++
	if h.failures == nil {
		h.failures = map[Identity]*backOff{}
	}
	for id, b := range h.failures {
		if now > b.until.Add(2*b.wait) {
			delete(h.failures, id)
		}
	}
	b := h.failures[to]
	if b == nil {
		b = &backOff{}
		h.failures[to] = b
	}
	b.again(now, failedWaitMin, failedWaitMax)
}

func (h *handOver) succeeded(to Identity) {
	h.counts[0]++
	delete(h.failures, to)
}

func (h *handOver) waitsFor(id Identity, now Instant) bool {
	b := h.failures[id]
	return b != nil && now < b.until
}

// failedAt is when the last hand-over to a node failed that is still remembered, or
// long ago.
func (h *handOver) failedAt(id Identity) Instant {
	b := h.failures[id]
	if b == nil {
		return math.MinInt64 / 2
	}
	return b.until.Add(-b.wait)
}

// standBack notes that this node leaves office by rule 16. It tells who leads next,
// so that the leadership does not come back at once and go again.
func (e *Engine) standBack() { e.handOver.standsBack.again(e.now, standBackMin, standBackMax) }

// restAfterTransfer lets a leader that somebody chose by hand lead for a while, although
// others have a higher priority. Where none had, there was nothing to override, and what
// is said of priorities later counts.
func (e *Engine) restAfterTransfer() {
	if e.election.reason == ElectionByTransfer && e.election.byHand && e.standing.ahead > 0 {
		e.handOver.restUntil = e.now.Add(restAfterTransferByHand)
	}
}

// handOverByPriority hands over to the best voter of a higher priority. It rests
// while the configuration changes or a snapshot is on its way, after a transfer by
// hand, and for each target after what failed with it.
func (e *Engine) handOverByPriority() {
	if e.standing.ahead == 0 || e.transfer.phase != transferNone || e.leaderState.leaving.why != "" || e.now < e.handOver.restUntil ||
		e.changing() || e.commit < e.leaderState.first || e.renews() {
		return
	}
	for _, p := range e.leaderState.peers {
		if p.snapshot && p.removal.at == 0 {
			return
		}
	}
	member, _ := e.configs.latest().Configuration.Member(e.cfg.Self)
	best := e.bestTarget(func(p *peer) bool {
		return p.Rank() > member.Rank() && e.answersNow(p) && p.unfit == Fit && !e.handOver.waitsFor(p.Identity, e.now)
	})
	if best != nil {
		e.startTransfer(best.Identity, false, "to a higher priority", 0)
	}
}
