package actors

import (
	"fmt"
	"testing"

	"github.com/trouperaft/troupe/storage/memory"
)

// TestSnapshotsAreLost: rule 24: a node that comes back without its snapshots, and with a
// log that begins behind them, starts, gets a snapshot of the leader's, restores its
// machine and keeps its log. With all snapshots of a sole voter gone there is nobody to ask.
func TestSnapshotsAreLost(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries = 100, 10
		c.LogCacheBytesMax = 4 << 10
	})
	leader := leaderOf(t, hosts)
	lost := others(hosts, leader)[0]
	doubts := 0
	for i := range 250 {
		doubts += insist(t, leader.group, fmt.Appendf(nil, "command %d", i))
	}
	before := until(t, lost.group, "the log to be purged", func(s Status) bool { return s.Purged > 100 && s.Applied >= 250 })
	lost.shutdown()
	lost.snapshots = memory.NewSnapshots()
	lost.restart()
	after := until(t, lost.group, "the machine to be restored", func(s Status) bool { return s.Applied >= 250 })
	if after.LacksMachine || after.Purged < before.Purged || after.Purged > before.Last || lost.machine.restored == 0 {
		t.Errorf("lacks its machine: %t, purged %d, before %d; restored %d times", after.LacksMachine, after.Purged, before.Purged, lost.machine.restored)
	}
	doubts += insist(t, lost.group, []byte("last"))
	converge(t, hosts)
	checkCommands(t, lost, 251, doubts)
}
