package simulation

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
)

// addressKnown reports whether every running replica's configuration tells where a node
// listens.
func (s *sickCluster) addressKnown(n *node, address string) bool {
	for _, other := range s.nodes {
		r := s.group.on(other)
		if r == nil {
			return false
		}
		if m, member := r.status.Configuration.Configuration.Member(n.disk.identity); !member || m.Address != address {
			return false
		}
	}
	return true
}

// TestMovedMemberIsWrittenDown: a member comes back at another address, and is found. When
// that has held for a minute the leader writes it into the configuration, not before, and
// as one entry.
func TestMovedMemberIsWrittenDown(t *testing.T) {
	system, written := stage.NewSystem(), 0
	for seed := *firstFlag; seed < *firstFlag+10; seed++ {
		s := newSickCluster(seed, system)
		if !s.serves() {
			t.Fatalf("seed %d: %v; %s", seed, s.failure, s.summary())
		}
		moved := s.third(s.group.leader().node, nil)
		before := s.group.leader().status.Configuration
		moved.address = "elsewhere"
		moved.life.crash()
		moved.start()
		begun := s.clock.now
		if !s.until(begun.Add(3*time.Minute), func() bool { return s.addressKnown(moved, "elsewhere") }) {
			if s.failure == nil && s.group.leader().node == moved {
				continue // it does not write its own
			}
			t.Fatalf("seed %d: not written: %v; %s", seed, s.failure, s.summary())
		}
		written++
		// A minute of the leader's clock, which may be a tenth fast.
		if took := s.clock.now.Sub(begun); took < 54*time.Second {
			t.Errorf("seed %d: written after %v", seed, took)
		}
		after := s.group.leader().status.Configuration
		s.until(s.clock.now.Add(2*time.Minute), func() bool { return false })
		if now := s.group.leader().status.Configuration; s.failure != nil || now.LogID != after.LogID || after.Index <= before.Index || now.Configuration.Target != nil {
			t.Errorf("seed %d: %v, the configurations are those of %v, %v and %v", seed, s.failure, before.LogID, after.LogID, now.LogID)
		}
	}
	if written < 5 {
		t.Errorf("it was written in %d clusters of 10: the test is worthless", written)
	}
}
