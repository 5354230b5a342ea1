package actors

import (
	"fmt"
	"testing"
)

func TestSnapshotBringsALaggingFollowerUp(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries = 100, 10
		c.SnapshotChunkBytes = 64
		c.LogCacheBytesMax = 4 << 10
		c.EntriesPerMessageMax = 7
		c.ApplyBatchEntriesMax = 11
	})
	leader := leaderOf(t, hosts)
	lagging := others(hosts, leader)[0]
	lagging.shutdown()
	doubts := 0
	for i := range 500 {
		doubts += insist(t, leader.group, fmt.Appendf(nil, "command %d", i))
	}
	until(t, leader.group, "the log to be purged", func(s Status) bool { return s.Purged > 300 })
	lagging.restart()
	until(t, lagging.group, "the follower to catch up", func(s Status) bool { return s.Applied >= 500 })
	if lagging.machine.restored == 0 {
		t.Error("the follower caught up without a snapshot")
	}
	doubts += insist(t, lagging.group, []byte("last"))
	converge(t, hosts)
	// Everybody restarts from snapshot and log.
	for _, h := range hosts {
		h.shutdown()
	}
	for _, h := range hosts {
		h.restart()
	}
	converge(t, hosts)
	checkCommands(t, hosts[0], 501, doubts)
}

func TestSmallLimitsAndALogCacheThatForgets(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) {
		quickElections(c)
		c.LogCacheBytesMax = 1 // everything that is flushed and applied is read from the store
		c.EntriesPerMessageMax = 1
		c.WindowMessagesMax = 2
		c.ApplyBatchEntriesMax = 1
		c.MessageBytesMax = 1
	})
	leader := leaderOf(t, hosts)
	lagging := others(hosts, leader)[1]
	lagging.shutdown()
	doubts := 0
	for i := range 200 {
		doubts += insist(t, leader.group, fmt.Appendf(nil, "command %d", i))
	}
	lagging.restart()
	converge(t, hosts)
	checkCommands(t, lagging, 200, doubts)
}
