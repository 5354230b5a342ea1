package simulation

import (
	"math/rand/v2"
	"time"

	"github.com/trouperaft/troupe/core"
)

// Some situations need several things to go together, which a plan whose parts are
// drawn one by one has seldom. A theme draws them together.

// drawTheme gives some plans a theme.
func (p *plan) drawTheme(r *rand.Rand) {
	switch n := r.IntN(100); {
	case n < 8:
		p.drawChurn(r)
	case n < 16:
		p.drawSlowDisks(r)
	case n < 30:
		p.drawTransfers(r)
	case n < 35:
		p.drawStuckEntries(r)
	case n < 44:
		p.drawForming(r)
	case n < 55:
		p.drawLateAnswers(r)
	case n < 63:
		p.drawHands(r)
	}
}

// atLeast makes a cluster larger.
func (p *plan) atLeast(r *rand.Rand, nodes int) {
	p.nodes = max(p.nodes, nodes)
	for len(p.volatile) < p.nodes {
		p.volatile = append(p.volatile, chance(r, 60))
	}
}

// only lets some kinds of faults happen, and no others.
func (p *plan) only(kinds ...faultKind) {
	clear(p.weights[:])
	for _, k := range kinds {
		p.weights[k] = 1
	}
}

// drawChurn makes a seed of short reigns only: entries travel one at a time, and
// leaders end while the first of them are on their way (Raft, figure 8).
func (p *plan) drawChurn(r *rand.Rand) {
	p.atLeast(r, pick(r, 5, 5, 7))
	for i := range p.groups {
		if chance(r, 70) {
			p.beginnings[i] = begunBefore
		}
	}
	p.reigns, p.unchanged = 8, 70
	p.faultsEarly = true
	p.only(faultChurn)
	p.faultEvery = p.election / 2
	p.faultsFor = 40 * p.election
	p.group.EntriesPerMessageMax = 1
	p.group.WindowMessagesMax = pick(r, 1, 1, 4)
	p.netDelay.high = p.election / time.Duration(pick(r, 8, 20, 40))
	if chance(r, 50) {
		p.slowDisks, p.slowWrite = 1+r.IntN(p.nodes/2), span{p.election / 4, 3 * p.election}
	}
}

// drawSlowDisks makes disks slower than the election time-out: all of them, or
// some. Votes take several time-outs, and writes of one leader are under way when
// the next one comes, who may be the same.
func (p *plan) drawSlowDisks(r *rand.Rand) {
	p.groups = max(p.groups, pick(r, 1, 2, 3))
	p.slowWrite = span{p.election / 8, p.election * time.Duration(pick(r, 1, 2, 3))}
	p.slowDisks = pick(r, p.nodes, 1+r.IntN(p.nodes))
	p.limits.BatchEntriesMax = max(p.limits.BatchEntriesMax, 10)
	p.group.EntriesPerMessageMax = max(p.group.EntriesPerMessageMax, 5)
	p.group.WindowMessagesMax = max(p.group.WindowMessagesMax, 4)
	p.faultsFor = 60 * p.election
	p.faultEvery = 3 * p.election
	p.weights[faultDiskSlow], p.weights[faultDiskHangs] = 0, 0
	p.weights[faultCrash] = 4 // in the middle of a batch of several groups
	if p.slowDisks < p.nodes {
		p.weights[faultIsolateLeader], p.weights[faultPause] = 2, 2
	}
}

// drawTransfers makes snapshots large, and lets followers lag and connections break
// while a snapshot is on its way.
func (p *plan) drawTransfers(r *rand.Rand) {
	p.atLeast(r, 3)
	p.group.SnapshotEntries, p.group.KeepEntries = pick(r, uint64(3), 5, 20, 60), 0
	p.group.SnapshotChunkBytes, p.fillerBytes = 100, 3000
	p.snapshotWrite.high = pick(r, 2*millisecond, 10*millisecond)
	if chance(r, 50) {
		p.write.high = p.election / 8
	}
	p.burst, p.think.high = max(p.burst, 4), 10*millisecond
	p.clientPatience = span{5 * p.election, 20 * p.election}
	p.only(faultPartition, faultIsolateLeader, faultConnection, faultCrash, faultPause)
	p.weights[faultConnection], p.weights[faultIsolateLeader] = 4, 5
	p.faultClass = core.ClassSnapshot
	p.faultEvery = p.election
	p.faultsFor = 40 * p.election
}

// drawStuckEntries lets heartbeats pass and entries not.
func (p *plan) drawStuckEntries(r *rand.Rand) {
	p.atLeast(r, 2)
	p.hung = p.election
	p.group.HungLimit = p.hung
	p.only(faultStall, faultConnection, faultMachineHangs, faultDiskHangs)
	p.weights[faultStall] = 4
	p.faultClass = core.ClassBulk
	p.faultEvery = 2 * p.election
}

// drawForming lets everything go wrong while groups are formed, which takes its time.
func (p *plan) drawForming(r *rand.Rand) {
	p.atLeast(r, 2)
	for i := range p.groups {
		p.beginnings[i] = pick(r, begunByOne, begunBySeveral)
	}
	p.netDelay.high = p.election / time.Duration(pick(r, 8, 20))
	p.write.high = p.election / time.Duration(pick(r, 4, 8, 20))
	p.group.SnapshotEntries, p.group.KeepEntries = pick(r, uint64(0), 1, 2, 4), 0
	p.only(faultPartition, faultConnection, faultCrash, faultDelay, faultEmptied)
	p.weights[faultEmptied] = 5
	p.faultsEarly = true
	p.earlyFaults = 40
}

// drawLateAnswers lets answers take longer than it takes a leader to lose its office
// and to win it again.
func (p *plan) drawLateAnswers(r *rand.Rand) {
	p.atLeast(r, 3)
	p.only(faultDelay, faultIsolateLeader, faultStall, faultPause)
	p.weights[faultDelay] = 3
	p.faultEvery = p.election / 2
	p.faultsFor = 60 * p.election
}

// drawHands lets an operator move the leadership all the time, to nodes that have just
// become unfit for it, or that nothing reaches.
func (p *plan) drawHands(r *rand.Rand) {
	p.atLeast(r, 3)
	p.handsEvery = p.election / time.Duration(pick(r, 2, 8))
	p.netDelay.high = p.election / time.Duration(pick(r, 8, 20))
	p.heartbeat = p.election / 3
	p.group.HeartbeatInterval = p.heartbeat
	p.leaseReads, p.staleReads = 60, 10
	p.only(faultPause, faultOneWay, faultLinks, faultDelay, faultDiskHangs)
	p.weights[faultOneWay], p.weights[faultDelay] = 2, 3
	p.faultEvery = p.election
	p.faultsFor = 50 * p.election
}
