package troupe_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// TestHungMachineHandsOver: rule 16: a leader whose state machine hangs hands over. Its
// events, its status and a trace say why, until it is well again.
func TestHungMachineHandsOver(t *testing.T) {
	const why = "own state machine hangs"
	// Nobody is missed, and no other machine taken for one that hangs, because others compute.
	c := newTraced(t, 3, troupe.Config{ElectionTimeout: time.Second, HungLimit: 2 * time.Second}, nobody)
	var hung atomic.Uint64 // the node whose machine hangs
	free := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(free) })
	t.Cleanup(goOn)
	for _, m := range c.members {
		m.machine.before = func(string) error {
			if hung.Load() == uint64(m.id) {
				<-free
			}
			return nil
		}
	}
	c.form(t)
	leader, follower := c.leader(), c.follower()
	told := make(chan []troupe.EventKind, 1)
	events := leader.raft.Events(within(t, 20*time.Second))
	go func() {
		var kinds []troupe.EventKind
		for e := range events {
			switch e.Kind {
			case troupe.EventCannotWork, troupe.EventTransferStarted, troupe.EventSteppedDown:
				if strings.HasPrefix(e.Text, why) {
					kinds = append(kinds, e.Kind)
				}
			}
			if e.Kind == troupe.EventSteppedDown {
				break
			}
		}
		told <- kinds
	}()
	hung.Store(uint64(leader.id))
	// The leader does not tell any more what becomes of it.
	if _, err := follower.raft.Propose(within(t, 20*time.Second), []byte("a")); err != nil && !troupe.MayHaveHappened(err) {
		t.Fatal(err)
	}
	if err := leader.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool {
		return s.Leader != 0 && s.Leader != leader.id && s.LeftTerm != 0
	}); err != nil {
		t.Fatalf("nobody else leads: %v; %+v", err, leader.raft.Status())
	}
	if s := leader.raft.Status(); !strings.HasPrefix(s.LeftOffice, why) || s.LeftTerm >= s.Term || s.Unfit != troupe.UnfitSick || s.Leaving != "" {
		t.Errorf("left T%d of %d for %q, is %v, leaves for %q", s.LeftTerm, s.Term, s.LeftOffice, s.Unfit, s.Leaving)
	}
	if kinds := <-told; !slices.Equal(kinds, []troupe.EventKind{troupe.EventCannotWork, troupe.EventTransferStarted, troupe.EventSteppedDown}) {
		t.Errorf("events %v", kinds)
	}
	goOn()
	if err := leader.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Unfit == troupe.UnfitStandsBack }); err != nil {
		t.Errorf("it is %v: %v", leader.raft.Status().Unfit, err)
	}
	left, handed := 0, 0
	spans := c.stop(t)
	for _, s := range spans {
		reason, _ := s.Attributes["raft.reason"].(string)
		if s.Instance != fmt.Sprint(leader.id) || !strings.HasPrefix(reason, why) {
			continue
		}
		switch s.Name {
		case "raft.step_down":
			if left++; s.Attributes["raft.outcome"] != "left" || s.Failed {
				t.Errorf("raft.step_down says %+v", s)
			}
		case "raft.transfer.lead":
			handed++
		}
	}
	if left != 1 || handed != 1 {
		t.Errorf("%d spans of leaving, %d of handing over", left, handed)
	}
	inTable(t, spans)
}
