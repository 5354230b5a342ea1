package core

import (
	"fmt"
	"time"
)

// This file is about what a leader tells of a newcomer that catches up. What it makes of
// it is in change_steps.go.

// catchUpParts is in how many parts it is told how far a newcomer has come.
const catchUpParts = 4

// tellCatchUp tells that a newcomer has come another quarter of its way nearer. Of who is
// there within an election time-out there is nothing to tell, and what a snapshot brings
// is told of the snapshot, too.
func (e *Engine) tellCatchUp(p *peer) {
	c, age := &p.catchUp, e.now.Sub(p.catchUp.since)
	if !p.comes || p.match <= c.from || p.match >= e.log.last.Index || age <= e.cfg.ElectionTimeout {
		return
	}
	done, rest := float64(p.match-c.from), float64(e.log.last.Index-p.match)
	part := int(catchUpParts * done / (done + rest))
	if part <= c.told {
		return
	}
	c.told = part
	rate := done / age.Seconds()
	left := time.Duration(min(rest/rate, 1<<30) * float64(time.Second)).Round(time.Second)
	text := fmt.Sprintf("%.0f %%, %.0f entries a second, %.0f entries and %d bytes to go, %v left", 100*done/(done+rest), rate, rest, e.lackedBytes(p), left)
	e.out.add(&Notice{Kind: NoticeCatchUpProgress, Peer: p.Identity, Term: e.hard.Term, Index: p.match, Text: text})
}

// lackedBytes are the sizes of the entries that a peer lacks, as far as the log holds them.
func (e *Engine) lackedBytes(p *peer) uint64 { return e.sizes.Between(p.match, e.log.last.Index) }
