package networktest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

func testUnknownNode(t *testing.T, m Medium) {
	a := m.start(t, 1, 1, 11)
	stranger := &node{local: network.Local{Identity: identity(9)}}
	for _, class := range classes {
		a.refused(a.request(stranger, class, 1))
		a.Break(9, class)
	}
	a.SetAddress(9, "")
	a.refused(a.request(stranger, core.ClassControl, 1))
	for _, class := range classes {
		if connected, disconnected := a.counts(class); connected+disconnected > 0 {
			t.Errorf("%s: told of %d connections and %d disconnections", class, connected, disconnected)
		}
	}
}

// testUnreachable: while a peer cannot be reached the handler is told once; when
// it can, messages flow again.
func testUnreachable(t *testing.T, m Medium) {
	a, b := m.start(t, 1, 1, 11), m.start(t, 2, 1, 22)
	a.SetAddress(2, m.Nowhere)
	for round := range uint64(200) {
		a.Send(a.request(b, core.ClassControl, round))
		if round == 0 {
			_ = a.awaitDisconnected(core.ClassControl, 1)
		}
	}
	if connected, disconnected := a.counts(core.ClassControl); connected != 0 || disconnected != 1 {
		t.Errorf("connected %d times, disconnected %d", connected, disconnected)
	}
	a.SetAddress(2, b.Address())
	a.sendUntil(a.request(b, core.ClassControl, 1000))
	if m := b.awaitReceived(1)[0]; number(m) != 1000 {
		t.Errorf("number %d arrived", number(m))
	}
	if connected, disconnected := a.counts(core.ClassControl); connected > 1 || disconnected != 1 {
		t.Errorf("afterwards: connected %d times, disconnected %d", connected, disconnected)
	}
}

func testWrongPeer(t *testing.T, m Medium) {
	a, b := m.pair(t)
	c := m.start(t, 3, 1, 33)
	a.SetAddress(2, c.Address())
	a.Send(a.request(b, core.ClassBulk, 1))
	var wrong *network.WrongPeerError
	if err := a.awaitDisconnected(core.ClassBulk, 1); !errors.As(err, &wrong) || wrong.Want != 2 || wrong.Got != 3 || wrong.Address != c.Address() {
		t.Errorf("disconnected because of %v", err)
	}
	a.SetAddress(2, b.Address())
	a.sendUntil(a.request(b, core.ClassBulk, 2))
	b.awaitReceived(1)
	if len(c.received) > 0 {
		t.Errorf("node 3 received %v", c.received)
	}
}

func testBreak(t *testing.T, m Medium) {
	a, b := m.pair(t)
	a.Break(2, core.ClassBulk)
	for i := range 5 {
		a.sendUntil(a.request(b, core.ClassBulk, uint64(i)))
		a.sendUntil(a.request(b, core.ClassControl, uint64(i)))
		a.awaitConnected(core.ClassBulk, i+1)
		b.awaitReceived(2 * (i + 1))
		a.Break(2, core.ClassBulk)
		_ = a.awaitDisconnected(core.ClassBulk, i+1)
	}
	a.Break(2, core.ClassBulk)
	a.sendUntil(a.request(b, core.ClassBulk, 5))
	b.awaitReceived(11)
	a.awaitConnected(core.ClassBulk, 6)
	a.awaitConnected(core.ClassControl, 1)
	if connected, disconnected := a.counts(core.ClassBulk); connected != 6 || disconnected != 5 {
		t.Errorf("bulk: connected %d times, disconnected %d", connected, disconnected)
	}
	if connected, disconnected := a.counts(core.ClassControl); connected != 1 || disconnected != 0 {
		t.Errorf("control: connected %d times, disconnected %d", connected, disconnected)
	}
}

// testBreakWhileSending: between two calls of Disconnected nothing is lost, and
// nothing comes twice or out of order.
func testBreakWhileSending(t *testing.T, m Medium) {
	a, b := m.pair(t)
	const count, breaks = 3000, 20
	for i := range uint64(count) {
		if i > 0 && i%(count/breaks) == 0 {
			a.Break(2, core.ClassBulk)
		}
		a.sendUntil(a.request(b, core.ClassBulk, i+1))
	}
	a.sendUntil(a.request(b, core.ClassBulk, count+1))
	b.await("the last message", func() bool {
		return len(b.received) > 0 && number(b.received[len(b.received)-1]) == count+1
	})
	holes, last := 0, uint64(0)
	for _, m := range b.received {
		if number(m) <= last {
			t.Fatalf("number %d came after %d", number(m), last)
		}
		if number(m) > last+1 {
			holes++
		}
		last = number(m)
	}
	if _, disconnected := a.counts(core.ClassBulk); holes > disconnected || disconnected > breaks {
		t.Errorf("%d holes, %d disconnections, %d breaks", holes, disconnected, breaks)
	}
}

func testAddressChange(t *testing.T, m Medium) {
	a, b := m.pair(t)
	a.sendUntil(a.request(b, core.ClassControl, 1))
	a.sendUntil(a.request(b, core.ClassBulk, 1))
	b.awaitReceived(2)
	a.SetAddress(2, b.Address())
	b.close()
	_ = a.awaitDisconnected(core.ClassControl, 1)
	moved := m.start(t, 2, 2, 23)
	a.SetAddress(2, moved.Address())
	a.sendUntil(a.request(moved, core.ClassControl, 2))
	a.sendUntil(a.request(moved, core.ClassBulk, 2))
	moved.awaitReceived(2)

	// Away from a peer that lives.
	a.SetAddress(2, m.Nowhere)
	_ = a.awaitDisconnected(core.ClassControl, 2)
	_ = a.awaitDisconnected(core.ClassBulk, 2)
	a.SetAddress(2, moved.Address())
	a.sendUntil(a.request(moved, core.ClassControl, 3))
	moved.awaitReceived(3)
}

func testAddressForgotten(t *testing.T, m Medium) {
	a, b := m.pair(t)
	a.sendUntil(a.request(b, core.ClassControl, 1))
	b.awaitReceived(1)
	a.SetAddress(2, "")
	a.refused(a.request(b, core.ClassControl, 2))
	_ = a.awaitDisconnected(core.ClassControl, 1)
	a.SetAddress(2, b.Address())
	a.sendUntil(a.request(b, core.ClassControl, 3))
	if m := b.awaitReceived(2)[1]; number(m) != 3 {
		t.Errorf("number %d arrived", number(m))
	}
}

// testPeerRestart: a peer goes and comes back as a later life.
func testPeerRestart(t *testing.T, m Medium) {
	a, b := m.pair(t)
	for life := uint64(1); life <= 4; life++ {
		request := a.request(b, core.ClassBulk, life)
		a.sendUntil(request)
		b.awaitReceived(1)
		// What was told of the life before came before this.
		a.awaitConnected(core.ClassBulk, int(life))
		if _, disconnected := a.counts(core.ClassBulk); disconnected != int(life-1) {
			t.Errorf("life %d: disconnected %d times", life, disconnected)
		}
		b.sendUntil(b.response(request))
		a.awaitReceived(int(life))
		b.close()
		_ = a.awaitDisconnected(core.ClassBulk, int(life))
		b.refused(b.response(request))
		for range 100 {
			a.Send(a.request(b, core.ClassBulk, 99))
		}
		b = m.start(t, 2, life+1, 22+life)
		a.SetAddress(2, b.Address())
	}
	// And its counterpart: the node that calls is the one that restarts.
	a.sendUntil(a.request(b, core.ClassBulk, 5))
	b.awaitReceived(1)
	a.close()
	a = m.start(t, 1, 2, 12)
	a.SetAddress(2, b.Address())
	a.sendUntil(a.request(b, core.ClassBulk, 6))
	b.awaitReceived(2)
	b.sendUntil(b.response(a.request(b, core.ClassBulk, 6)))
	a.awaitReceived(1)
}

// testLaterLife: a later process of a node shows itself while connections with
// an earlier one stand; those end on both sides.
func testLaterLife(t *testing.T, m Medium) {
	a, b := m.pair(t)
	b.SetAddress(1, a.Address())
	a.sendUntil(a.request(b, core.ClassBulk, 1))
	b.sendUntil(b.request(a, core.ClassControl, 1))
	b.awaitReceived(1)
	a.awaitReceived(1)
	later := m.start(t, 2, 2, 23)
	later.SetAddress(1, a.Address())
	later.sendUntil(later.request(a, core.ClassSnapshot, 2))
	a.awaitReceived(2)
	_ = a.awaitDisconnected(core.ClassBulk, 1)
	_ = b.awaitDisconnected(core.ClassControl, 1)
	// The earlier one cannot come back.
	b.until("the earlier life is refused", func() bool {
		b.Send(b.request(a, core.ClassBulk, 3))
		_, disconnected := b.counts(core.ClassBulk)
		return disconnected > 0
	})
	if err := b.awaitDisconnected(core.ClassBulk, 1); !errors.Is(err, network.ErrStale) {
		t.Errorf("the earlier life was refused because of %v", err)
	}
	// It is proved to it that a later one lives (rule 17).
	if by := b.awaitOutlived(); by != a.local.Identity {
		t.Errorf("outlived, says %v", by)
	}
	later.notOutlived()
	a.notOutlived()
}

func testCopyOfADirectory(t *testing.T, m Medium) {
	for _, c := range []struct {
		name                string
		startCounter, nonce uint64
	}{
		{"of the same time", 5, 56},
		{"of an earlier time", 4, 44},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := m.start(t, 1, 1, 11), m.start(t, 2, 5, 55)
			a.SetAddress(2, b.Address())
			a.sendUntil(a.request(b, core.ClassControl, 1))
			b.awaitReceived(1)
			a.awaitLearned(1)
			twin := m.start(t, 2, c.startCounter, c.nonce)

			// It is refused where it calls.
			twin.SetAddress(1, a.Address())
			twin.Send(twin.request(a, core.ClassControl, 1))
			if err := twin.awaitDisconnected(core.ClassControl, 1); !errors.Is(err, network.ErrStale) {
				t.Errorf("the copy was refused because of %v", err)
			}
			// And where it is called.
			a.SetAddress(2, twin.Address())
			_ = a.awaitDisconnected(core.ClassControl, 1)
			a.Send(a.request(twin, core.ClassControl, 2))
			if err := a.awaitDisconnected(core.ClassControl, 2); !errors.Is(err, network.ErrStale) {
				t.Errorf("the copy was not called because of %v", err)
			}
			if len(twin.received) > 0 || len(a.received) > 0 {
				t.Errorf("messages passed: %v, %v", twin.received, a.received)
			}
			// The true one is not harmed.
			a.SetAddress(2, b.Address())
			a.sendUntil(a.request(b, core.ClassControl, 3))
			b.awaitReceived(2)
			for _, n := range []*node{a, b, twin} {
				n.close()
			}
		})
	}
}

func testCloseWhileSending(t *testing.T, m Medium) {
	for round := range 6 {
		a := m.start(t, 1, uint64(2*round+1), 11)
		var answered atomic.Uint64
		b := m.startWith(t, 2, uint64(2*round+1), 22, func(n *node, m core.Message) {
			n.Send(n.response(m))
			// Breaks only as often as something arrives, or nothing ever would.
			if i := answered.Add(1); i%300 == 0 {
				a.Break(2, m.Class())
			}
		})
		a.SetAddress(2, b.Address())
		var stop atomic.Bool
		var running sync.WaitGroup
		for s := range 4 {
			running.Go(func() {
				for i := uint64(0); !stop.Load(); i++ {
					if !a.Send(a.request(b, classes[s%3], i)) {
						time.Sleep(100 * time.Microsecond)
					}
				}
			})
		}
		b.await("messages", func() bool { return len(b.received) > 500 })
		first, second := a, b
		if round%2 == 1 {
			first, second = b, a
		}
		first.close()
		second.close()
		stop.Store(true)
		running.Wait()
		a.refused(a.request(b, core.ClassControl, 1))
		b.refused(b.response(a.request(b, core.ClassControl, 1)))
	}
}

func testClose(t *testing.T, m Medium) {
	idle := m.New(1)
	for range 2 {
		if err := idle.Close(); err != nil {
			t.Errorf("Close without Start: %v", err)
		}
	}
	if err := idle.Start(network.Local{Identity: identity(1)}, nil, &node{}); err == nil {
		t.Error("a closed network was started")
	}
	a, b := m.pair(t)
	if err := a.Start(a.local, nil, a); err == nil {
		t.Error("a network was started twice")
	}
	a.sendUntil(a.request(b, core.ClassControl, 1))
	b.awaitReceived(1)
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			if err := a.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	running.Wait()
	a.closed.Store(true)
	a.refused(a.request(b, core.ClassControl, 1))
	a.SetAddress(2, b.Address())
	a.Break(membership.NodeID(2), core.ClassControl)
	a.refused(a.request(b, core.ClassControl, 1))
	if a.Address() == "" {
		t.Error("a closed network has forgotten its address")
	}
}
