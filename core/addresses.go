package core

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// This file is about members that have moved. The network finds them again (rule 30);
// the leader then writes where they are into the configuration, so that those who come
// later, and know nothing else, find them too.

// addressHolds is for how long a member must have been reached at an address before
// that is written, and the least time between two such entries.
const addressHolds = time.Minute

// reachedAt is where this node has reached another one.
type reachedAt struct {
	Identity
	address string
	since   Instant
}

// addresses are those that this node knows of its own experience.
type addresses struct {
	reached []reachedAt
	// written is when this leader last wrote some, 0 if it never did in its term, and
	// count how many it has written in this life.
	written Instant
	count   uint64
}

// addressesMax bounds them: two incarnations of each member.
const addressesMax = 2 * membership.MembersMax

func (e *Engine) onPeerAddress(ev *PeerAddress) {
	a := &e.addresses
	i := slices.IndexFunc(a.reached, func(r reachedAt) bool { return r.Identity == ev.Peer })
	switch {
	case i >= 0 && a.reached[i].address == ev.Address:
		return
	case i >= 0:
		a.reached = slices.Delete(a.reached, i, i+1)
	case len(a.reached) == addressesMax:
		a.reached = slices.Delete(a.reached, 0, 1)
	}
	if ev.Address != "" && len(ev.Address) <= membership.AddressBytesMax {
		a.reached = append(a.reached, reachedAt{ev.Peer, ev.Address, e.now})
	}
}

// writeAddresses appends, as one entry, where members are that have moved: not during a
// change, and at most one a minute. Only what this leader has reached itself, and that
// for a minute, is written: a member that tells an address at which nobody reaches it
// stays where the configuration says. Once a round of heartbeats.
func (e *Engine) writeAddresses() {
	a, l := &e.addresses, &e.leaderState
	at := e.configs.latest()
	if len(a.reached) == 0 || at.Configuration.Target != nil || at.Configuration.Joint() || !e.settled() ||
		l.changes.pending != nil || len(l.changes.queue) > 0 || a.written != 0 && e.now.Sub(a.written) < addressHolds {
		return
	}
	next := at.Configuration
	next.Members = slices.Clone(next.Members)
	var moved []string
	for i := range next.Members {
		m := &next.Members[i]
		if address := e.heldAddress(m); address != "" {
			moved = append(moved, fmt.Sprintf("node %d from %s to %s", m.ID, m.Address, address))
			m.Address = address
		}
	}
	if len(moved) == 0 || addressTwice(next.Members) || e.cfg.ConfigurationBytesMax > 0 && next.SizeBytes() > e.cfg.ConfigurationBytesMax {
		return
	}
	next.Last = membership.Outcome{ID: membership.ChangeID(e.rand.Uint64() | 1), Result: membership.ResultDone}
	e.appendConfiguration(&next)
	a.written = e.now
	a.count++
	e.out.add(&Notice{Kind: NoticeAddressesWritten, Peer: e.cfg.Self, Term: e.hard.Term, Index: e.log.last.Index, Text: strings.Join(moved, ", ")})
}

// heldAddress is where a member has been reached for long enough, "" if that is what the
// configuration says, or it does not answer now.
func (e *Engine) heldAddress(m *membership.Member) string {
	p := e.leaderState.peer(m.Identity)
	i := slices.IndexFunc(e.addresses.reached, func(r reachedAt) bool { return r.Identity == m.Identity })
	if p == nil || i < 0 || !e.answersNow(p) {
		return ""
	}
	r := &e.addresses.reached[i]
	if r.address == m.Address || e.now.Sub(r.since) < addressHolds {
		return ""
	}
	return r.address
}

// addressTwice reports whether two nodes would have one address: one of them is somewhere
// else by now, and is waited for.
func addressTwice(members []membership.Member) bool {
	for i := range members {
		for j := range i {
			if a, b := &members[i], &members[j]; a.ID != b.ID && a.Address == b.Address && a.Address != "" {
				return true
			}
		}
	}
	return false
}
