//go:build unix

package main

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"
)

var (
	rounds              = flag.Int("rounds", 3, "how often TestKillLeader kills the leader")
	killElectionTimeout = flag.Duration("election-timeout", time.Second, "election time-out of TestKillLeader's nodes")
)

// TestKillLeader kills the leader under load and starts it again, -rounds
// times. Checked is what load checks, and that writes are acknowledged again before
// ten election time-outs are over.
func TestKillLeader(t *testing.T) {
	c := newCluster(t, "--election-timeout", killElectionTimeout.String(), "--snapshot-entries", "500")
	l := newLoad(c)
	l.start()
	defer l.stop()

	var outages []time.Duration
	for round := range *rounds {
		l.flows(t, 100)
		leader := c.leader()
		l.acks.mark()
		leader.kill()
		l.flows(t, 50)
		outage := l.acks.worstGap()
		outages = append(outages, outage)
		t.Logf("round %d: killed node %d, %v without writes", round+1, leader.id, outage.Round(time.Millisecond))
		leader.start()
		c.leader()
		c.following(leader)
		if err := l.failure(); err != nil {
			t.Fatal(err)
		}
	}
	l.stop()
	if err := l.failure(); err != nil {
		t.Fatal(err)
	}
	c.caughtUp()
	acknowledged := l.verify(t)

	slices.Sort(outages)
	median, worst := outages[len(outages)/2], outages[len(outages)-1]
	t.Logf("%d rounds, %d puts and %d swaps acknowledged and looked for; without writes: median %v, worst %v; election time-out %v",
		*rounds, acknowledged, l.swaps(), median.Round(time.Millisecond), worst.Round(time.Millisecond), *killElectionTimeout)
	if worst >= 10**killElectionTimeout {
		t.Errorf("%v without writes: ten election time-outs or more", worst)
	}
}

// following waits until the node has applied what the others had committed
// when it was asked.
func (c *cluster) following(n *node) {
	c.t.Helper()
	ahead, err := c.others(n)[0].status()
	if err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, "it has caught up", func() error {
		s, err := n.status()
		if err != nil || s.AppliedIndex >= ahead.CommitIndex {
			return err
		}
		return fmt.Errorf("applied %d of %d", s.AppliedIndex, ahead.CommitIndex)
	})
}
