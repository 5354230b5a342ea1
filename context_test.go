package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// TestNothingHappens asserts that a request that got nowhere says so.
func TestNothingHappens(t *testing.T) {
	c := newCluster(t, 1, config()) // no bootstrap, so no cluster
	raft := c.members[0].raft
	over := func() context.Context {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return ctx
	}
	short := func() context.Context { return within(t, 30*time.Millisecond) }
	for _, test := range []struct {
		name string
		ctx  func() context.Context
		ask  func(context.Context) error
	}{
		{"propose, over before it began", over, func(ctx context.Context) error { _, err := raft.Propose(ctx, []byte("a")); return err }},
		{"propose, no cluster", short, func(ctx context.Context) error { _, err := raft.Propose(ctx, []byte("a")); return err }},
		{"read, over before it began", over, func(ctx context.Context) error { _, err := raft.ReadIndex(ctx, troupe.Linearizable); return err }},
		{"read, no cluster", short, func(ctx context.Context) error { _, err := raft.ReadIndex(ctx, troupe.Linearizable); return err }},
		{"bootstrap, over before it began", over, func(ctx context.Context) error { return raft.Bootstrap(ctx, c.list()...) }},
		{"wait", short, func(ctx context.Context) error {
			return raft.Wait(ctx, func(s troupe.Status) bool { return s.Leader != 0 })
		}},
	} {
		ctx := test.ctx()
		err := test.ask(ctx)
		if !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
			t.Errorf("%s: %v does not wrap %v", test.name, err, ctx.Err())
		}
		if troupe.MayHaveHappened(err) {
			t.Errorf("%s: %v says that it may have happened", test.name, err)
		}
		if got := errors.Is(err, troupe.ErrNoCluster); got != strings.HasSuffix(test.name, "no cluster") {
			t.Errorf("%s: %v says that there is no cluster: %v", test.name, err, got)
		}
	}
	if got := c.members[0].machine.content(); len(got) != 0 {
		t.Errorf("the machine holds %q", got)
	}
}

// TestOutcomeIsUnknown asserts that a write that was appended, and has no
// quorum, is left with an error that says so.
func TestOutcomeIsUnknown(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = 5 * time.Second // so that the leader stays one
	c := formed(t, 3, settings)
	leader := c.leader()
	for _, m := range c.members {
		if m != leader {
			m.raft.Kill()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	appended := leader.raft.Status().Last
	answer := make(chan error, 1)
	go func() {
		_, err := leader.raft.Propose(ctx, []byte("a"))
		answer <- err
	}()
	if err := leader.raft.Wait(within(t, 10*time.Second), func(s troupe.Status) bool { return s.Last > appended }); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-answer:
		asError[*troupe.UnknownOutcomeError](t, err)
		if !errors.Is(err, context.Canceled) || !troupe.MayHaveHappened(err) {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Propose did not return when its context ended")
	}
}

func TestOptions(t *testing.T) {
	empty := newCluster(t, 1, config())
	_, err := empty.members[0].raft.Propose(t.Context(), []byte("a"), troupe.FailWithoutLeader())
	if !errors.Is(err, troupe.ErrNoCluster) || troupe.MayHaveHappened(err) {
		t.Errorf("without a cluster: %v", err)
	}

	c := formed(t, 3, slowElections())
	leader, follower := c.leader(), c.follower()
	_, err = follower.raft.Propose(within(t, 20*time.Second), []byte("a"), troupe.NoForwarding())
	if e := asError[*troupe.NotLeaderError](t, err); e.Leader != leader.id {
		t.Errorf("node %d is named, node %d leads", e.Leader, leader.id)
	}
	term := leader.raft.Status().Term
	if _, err := leader.raft.Propose(within(t, 20*time.Second), []byte("b"), troupe.ExpectedTerm(term+1)); !errors.Is(err, troupe.ErrTermChanged) {
		t.Errorf("a proposal for another term: %v", err)
	}
	if _, err := follower.raft.Propose(within(t, 20*time.Second), []byte("c"), troupe.ExpectedTerm(term+1)); !errors.Is(err, troupe.ErrTermChanged) {
		t.Errorf("a forwarded proposal for another term: %v", err)
	}
	if _, err := leader.raft.Propose(within(t, 20*time.Second), []byte("d"), troupe.ExpectedTerm(term), troupe.NoForwarding(), troupe.FailWithoutLeader(), troupe.SharedCommand()); err != nil {
		t.Errorf("a proposal for this term: %v", err)
	}
	for _, m := range c.members {
		if got := m.read(t); len(got) != 1 || got[0] != "d" {
			t.Errorf("node %d holds %q", m.id, got)
		}
	}
}

// TestRoom asserts what happens when no more may be in flight.
func TestRoom(t *testing.T) {
	gate := make(chan struct{})
	reached := make(chan struct{})
	machine := &ledger{before: func(command string) error {
		if command == "slow" {
			close(reached)
			<-gate
		}
		return nil
	}}
	settings := config()
	settings.StateMachine = machine
	settings.InflightProposalsMax = 1
	c := formed(t, 1, settings)
	raft := c.members[0].raft
	answers := make(chan error, 2)
	propose := func(command string) {
		_, err := raft.Propose(t.Context(), []byte(command))
		answers <- err
	}
	go propose("slow")
	<-reached
	if _, err := raft.Propose(t.Context(), []byte("a"), troupe.FailWithoutRoom()); !errors.Is(err, troupe.ErrOverloaded) || troupe.MayHaveHappened(err) {
		t.Errorf("without waiting: %v", err)
	}
	if _, err := raft.Propose(within(t, 20*time.Millisecond), []byte("b")); !errors.Is(err, context.DeadlineExceeded) || troupe.MayHaveHappened(err) {
		t.Errorf("waiting in vain: %v", err)
	}
	go propose("c")
	close(gate)
	for range 2 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if got := machine.content(); len(got) != 2 || got[0] != "slow" || got[1] != "c" {
		t.Errorf("the machine holds %q", got)
	}
}

func TestReadModes(t *testing.T) {
	c := formed(t, 1, config())
	if mode := (troupe.ReadMode{}); mode != troupe.Linearizable || fmt.Sprint(mode) != "linearizable" {
		t.Errorf("the zero mode is %v", mode)
	}
	if _, err := c.members[0].raft.ReadIndex(within(t, 10*time.Second), troupe.Linearizable); err != nil {
		t.Error(err)
	}
}
