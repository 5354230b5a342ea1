package actors

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// unsentResults are results of forwarded proposals that the network does not take, oldest
// first. They are tried again at each retry. Their values are given up first: whoever
// asked is told that the outcome is unknown, as soon as that gets through.
type unsentResults struct {
	list []unsentResult
	// bytes is what the messages count, of which bytesMax may be kept.
	bytes, bytesMax int
	network         coreNetwork
	// refused counts what each node has not taken in the retry under way.
	refused map[membership.NodeID]int
}

type unsentResult struct {
	m     *core.ProposeResponse
	since core.Instant
	bytes int
	// bare: it holds no values any more.
	bare bool
}

// unsentPatience is for how many election time-outs results are kept, and barePatience
// for how many after that it is kept that there was one. The latter is for the end of
// what is kept for a node that never comes back: who asked over a connection that broke
// knows by that.
const (
	unsentPatience time.Duration = 10
	barePatience   time.Duration = 600
)

// refusedMax is how many messages a node may refuse before the others are left for the
// next retry.
const refusedMax = 8

// keep takes a message that was just refused.
func (u *unsentResults) keep(m *core.ProposeResponse, now core.Instant) {
	u.add(unsentResult{m: m, since: now})
	for i := 0; u.bytes > u.bytesMax && i < len(u.list); {
		if u.bares(i, now) {
			i++
		} else {
			u.remove(i)
		}
	}
	for u.bytes > u.bytesMax {
		u.remove(0) // even the bare outcomes are too many
	}
}

func (u *unsentResults) add(r unsentResult) {
	r.bytes = network.SizeBytes(r.m)
	u.list, u.bytes = append(u.list, r), u.bytes+r.bytes
}

func (u *unsentResults) remove(i int) {
	u.bytes -= u.list[i].bytes
	u.list = slices.Delete(u.list, i, i+1)
}

// bares takes the values out of a message, and reports whether it is still to be kept:
// the network may take the rest.
func (u *unsentResults) bares(i int, now core.Instant) bool {
	r := &u.list[i]
	if r.bare {
		return true
	}
	m := withoutValues(r.m)
	if u.network.Send(m) {
		return false
	}
	bytes := network.SizeBytes(m)
	u.bytes += bytes - r.bytes
	*r = unsentResult{m: m, since: now, bytes: bytes, bare: true}
	return true
}

// retry tries again what is kept.
func (u *unsentResults) retry(now core.Instant, electionTimeout time.Duration) {
	if u.refused == nil {
		u.refused = make(map[membership.NodeID]int)
	}
	clear(u.refused)
	for i := 0; i < len(u.list); {
		if u.tryAgain(i, now, electionTimeout) {
			i++
		} else {
			u.remove(i)
		}
	}
}

// tryAgain reports whether a message is still to be kept.
func (u *unsentResults) tryAgain(i int, now core.Instant, electionTimeout time.Duration) bool {
	r := &u.list[i]
	to, age := r.m.To.ID, now.Sub(r.since)
	switch {
	case r.bare && age >= barePatience*electionTimeout:
		return false
	case u.refused[to] >= refusedMax:
		return true
	case u.network.Send(r.m):
		return false
	}
	u.refused[to]++
	return r.bare || age < unsentPatience*electionTimeout || u.bares(i, now)
}
