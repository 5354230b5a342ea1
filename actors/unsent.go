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
// asked is told that the outcome is unknown. If not even that gets through, the
// connection to him is broken, which tells him too.
type unsentResults struct {
	list []unsentResult
	// bytes is what the messages count, of which bytesMax may be kept.
	bytes, bytesMax int
	network         coreNetwork
}

type unsentResult struct {
	m     *core.ProposeResponse
	since core.Instant
	bytes int
	// bare: it holds no values any more.
	bare bool
}

// unsentPatience is for how many election time-outs results are kept, and then their
// bare outcomes.
const unsentPatience time.Duration = 10

// keep takes a message that was just refused.
func (u *unsentResults) keep(m *core.ProposeResponse, now core.Instant) {
	u.add(unsentResult{m: m, since: now})
	for i := 0; u.bytes > u.bytesMax && i < len(u.list); {
		if u.bares(i, now) {
			i++
		}
	}
	for u.bytes > u.bytesMax {
		u.giveUp(u.list[0].m.To.ID)
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

// bares takes the values out of a message, and reports whether it is still there: the
// network may take the rest.
func (u *unsentResults) bares(i int, now core.Instant) bool {
	r := &u.list[i]
	if r.bare {
		return true
	}
	m := withoutValues(r.m)
	if u.network.Send(m) {
		u.remove(i)
		return false
	}
	bytes := network.SizeBytes(m)
	u.bytes += bytes - r.bytes
	*r = unsentResult{m: m, since: now, bytes: bytes, bare: true}
	return true
}

// giveUp drops what is kept for a node, and lets it know by its connection.
func (u *unsentResults) giveUp(node membership.NodeID) {
	for i := len(u.list) - 1; i >= 0; i-- {
		if u.list[i].m.To.ID == node {
			u.remove(i)
		}
	}
	u.network.Break(node, core.ClassBulk)
}

// retry tries again what is kept.
func (u *unsentResults) retry(now core.Instant, patience time.Duration) {
	for i := 0; i < len(u.list); {
		r := &u.list[i]
		old := now.Sub(r.since) >= patience
		switch {
		case u.network.Send(r.m):
			u.remove(i)
		case old && r.bare:
			u.giveUp(r.m.To.ID)
			i = 0
		case old && !u.bares(i, now):
		default:
			i++
		}
	}
}
