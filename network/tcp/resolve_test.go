package tcp

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// TestResolveFails: the known address serves while the one that is asked fails,
// says nonsense or hangs, and the log tells of it.
func TestResolveFails(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for _, c := range []struct {
		name, want string
		resolve    func(ctx context.Context, node membership.NodeID, address string) (string, error)
	}{
		{"an error", "no such host", func(context.Context, membership.NodeID, string) (string, error) {
			return "10.0.0.1:1", errors.New("no such host")
		}},
		{"nonsense", "no host:port", func(context.Context, membership.NodeID, string) (string, error) { return "nonsense", nil }},
		{"nothing", "no host:port", func(context.Context, membership.NodeID, string) (string, error) { return "", nil }},
		{"it hangs", "deadline exceeded", func(context.Context, membership.NodeID, string) (string, error) {
			<-release
			return "", nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log lines
			b, received := node(t, 2, Config{})
			a, _ := node(t, 1, Config{Resolve: c.resolve, HandshakeTimeout: time.Second, Logger: log.logger()})
			a.SetAddress(2, b.Address())
			for round := range uint64(8) {
				for !a.Send(heartbeat(1, 2, round)) {
					time.Sleep(time.Millisecond)
				}
				await(t, "a message", received.received)
				a.Break(2, core.ClassControl)
			}
			if found := log.of(t, a).with("level=WARN", "peer=2", "address="+b.Address(), c.want); len(found) != 1 {
				t.Errorf("logged %d times: %v", len(found), log.with())
			}
		})
	}
}

// TestResolveHangsAlone: calls that do not return are not piled up, and Close
// does not wait for them.
func TestResolveHangsAlone(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var calls atomic.Int64
	b, received := node(t, 2, Config{})
	a, _ := node(t, 1, Config{HandshakeTimeout: time.Second, Resolve: func(context.Context, membership.NodeID, string) (string, error) {
		calls.Add(1)
		<-release
		return "", nil
	}})
	a.SetAddress(2, b.Address())
	for round := range uint64(10) {
		for !a.Send(heartbeat(1, 2, round)) {
			time.Sleep(time.Millisecond)
		}
		await(t, "a message", received.received)
		a.Break(2, core.ClassControl)
	}
	if n := calls.Load(); n < 1 || n > core.Classes {
		t.Errorf("%d calls", n)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// TestResolveIsAskedAtEachDial, with the address that would be dialled.
func TestResolveIsAskedAtEachDial(t *testing.T) {
	b, received := node(t, 2, Config{})
	asked := make(chan string, 100)
	a, _ := node(t, 1, Config{Resolve: func(_ context.Context, _ membership.NodeID, address string) (string, error) {
		asked <- address
		return b.Address(), nil
	}})
	a.SetAddress(2, nowhere)
	for round := range uint64(3) {
		for !a.Send(heartbeat(1, 2, round)) {
			time.Sleep(time.Millisecond)
		}
		await(t, "a message", received.received)
		if address := await(t, "the question", asked); address != nowhere {
			t.Errorf("asked with %q", address)
		}
		a.Break(2, core.ClassControl)
	}
}

func TestOverride(t *testing.T) {
	b, received := node(t, 2, Config{})
	a, _ := node(t, 1, Config{Resolve: Override(map[membership.NodeID]string{2: b.Address()})})
	if a.Send(heartbeat(1, 2, 1)) {
		t.Error("a node without an address was dialled")
	}
	a.SetAddress(2, nowhere)
	a.Send(heartbeat(1, 2, 2))
	if m := await(t, "a message", received.received); m.(*core.Heartbeat).Round != 2 {
		t.Errorf("received %+v", m)
	}
}
