package actors

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// closedNetwork takes what fits.
type closedNetwork struct {
	sentNetwork
	fits  func(m core.Message) bool
	tried int
}

func (n *closedNetwork) Send(m core.Message) bool {
	n.tried++
	return n.fits(m) && n.sentNetwork.Send(m)
}

// resultsFor makes a message with one result of so many bytes.
func resultsFor(node membership.NodeID, id uint64, size int) *core.ProposeResponse {
	return &core.ProposeResponse{Header: core.Header{To: member(node)}, Results: []core.ForwardedResult{{ID: id, Code: core.ResultApplied, Value: make([]byte, size)}}}
}

// TestUnsentResultsAreBounded: results that the network does not take are kept within a
// bound of bytes. Beyond it their values go, of the oldest first, and are told at once as
// unknown where that gets through, and else as soon as it does.
func TestUnsentResultsAreBounded(t *testing.T) {
	const most = 10_000
	count := func(u *unsentResults) (total, bare int) {
		for _, r := range u.list {
			if total += network.SizeBytes(r.m); r.bare {
				bare++
			}
		}
		if total != u.bytes {
			t.Errorf("%d bytes are counted, and there are %d", u.bytes, total)
		}
		if total > most {
			t.Errorf("%d bytes are kept, at most %d", total, most)
		}
		return total, bare
	}
	t.Run("small ones get through", func(t *testing.T) {
		net := &closedNetwork{fits: func(m core.Message) bool { return network.SizeBytes(m) < 1000 }}
		u := unsentResults{network: net, bytesMax: most}
		for id := range uint64(20) {
			u.keep(resultsFor(2, id, 2000), 0)
			count(&u)
		}
		if kept := len(u.list); kept != 4 || len(net.sent) != 16 {
			t.Errorf("%d are kept, %d told as unknown", kept, len(net.sent))
		}
		for i, m := range net.sent {
			if r := m.(*core.ProposeResponse).Results[0]; r.ID != uint64(i) || r.Code != core.ResultUnknown || r.Value != nil {
				t.Fatalf("the %d. that was given up is told %+v", i, r)
			}
		}
	})
	t.Run("nothing gets through", func(t *testing.T) {
		net := &closedNetwork{fits: func(core.Message) bool { return false }}
		u := unsentResults{network: net, bytesMax: most}
		for id := range uint64(20) {
			u.keep(resultsFor(2, id, 2000), 0)
			count(&u)
		}
		if _, bare := count(&u); bare < 10 || len(u.list) != 20 {
			t.Errorf("%d of %d are bare", bare, len(u.list))
		}
		net.tried = 0
		if u.retry(1, 1<<40); net.tried > refusedMax {
			t.Errorf("a node that takes nothing is tried %d times", net.tried)
		}
		net.fits = func(core.Message) bool { return true }
		if u.retry(2, 1<<40); len(u.list) != 0 || len(net.sent) != 20 {
			t.Errorf("the way is free again, %d are told and %d kept", len(net.sent), len(u.list))
		}
		net.fits = func(core.Message) bool { return false }
		for id := range uint64(1000) {
			u.keep(resultsFor(3, id, 0), 0)
			count(&u)
		}
	})
	t.Run("nothing gets through for long", func(t *testing.T) {
		net := &closedNetwork{fits: func(core.Message) bool { return false }}
		u := unsentResults{network: net, bytesMax: most}
		u.keep(resultsFor(2, 1, 100), 0)
		for now := time.Duration(0); now <= unsentPatience+barePatience; now++ {
			u.retry(core.Instant(now), 1)
			_, bare := count(&u)
			if over := now == unsentPatience+barePatience; over != (len(u.list) == 0) || !over && (bare == 1) != (now >= unsentPatience) {
				t.Fatalf("after %d election time-outs %d are kept, %d of them bare", now, len(u.list), bare)
			}
		}
	})
}

// TestResultAboveTheFrame: a result that no message can carry is told as unknown at once.
func TestResultAboveTheFrame(t *testing.T) {
	net := &sentNetwork{}
	sender := &resultSender{
		bytesMax: 1000, takes: func(core.NodeID, core.Class) int { return 4000 }, send: net.Send, unsent: func(*core.ProposeResponse) { t.Error("refused") },
		header: func(to core.Identity) core.Header { return core.Header{Group: 1, To: to} },
	}
	var b resultBatches
	for i, size := range []int{100, 5000, 3000} {
		b.add(&Proposal{from: member(2), id: uint64(i)}, id(1, 7), make([]byte, size), nil)
	}
	b.send(sender)
	sizes := make(map[uint64]int)
	for _, m := range net.sent {
		if size := network.SizeBytes(m); size > 4000 {
			t.Errorf("a message of %d bytes", size)
		}
		for _, r := range m.(*core.ProposeResponse).Results {
			if sizes[r.ID] = len(r.Value); r.Code == core.ResultUnknown {
				sizes[r.ID] = -1
			}
		}
	}
	if sizes[1] != -1 || sizes[2] != 3000 {
		t.Errorf("the results have %v bytes", sizes)
	}
}

// TestCommandIsCopiedWithItsRoom: a command that waits for room takes none, and one that
// was given up is the caller's again.
func TestCommandIsCopiedWithItsRoom(t *testing.T) {
	g, release := hungGroup(t, func(c *GroupConfig) { c.InflightProposalsMax = 2 })
	command := []byte("waits")
	propose := func() (*Proposal, chan struct{}) {
		done := make(chan struct{})
		p := &Proposal{Data: command, Copy: true, WaitForRoom: true, Completed: func(*Proposal) { close(done) }}
		g.Propose(p)
		return p, done
	}
	first, firstDone := propose()
	if &first.Data[0] == &command[0] {
		t.Error("a command with room is not copied")
	}
	waits, waitsDone := propose()
	if _, _, waiting := g.admission.Figures(); waiting != 1 || &waits.Data[0] != &command[0] {
		t.Errorf("%d wait; the command of one that does is copied", waiting)
	}
	leaves, leavesDone := propose()
	g.Cancel(leaves)
	await(t, leavesDone, "one that is given up")
	if leaves.AwaitCopy(); !errors.Is(leaves.Err, context.Canceled) || core.MayHaveHappened(leaves.Err) {
		t.Errorf("given up while it waited for room: %v", leaves.Err)
	}
	release()
	await(t, firstDone, "the first")
	await(t, waitsDone, "the one that has waited")
	copy(command, "WAITS")
	want := [][]byte{[]byte("hang"), []byte("waits"), []byte("waits")}
	if got := g.cfg.StateMachine.(*hungMachine).list(); !equalLists(got, want) {
		t.Errorf("the machine has %q", got)
	}
	if n, size := g.Inflight(); n != 0 || size != 0 {
		t.Errorf("%d proposals of %d bytes are in flight", n, size)
	}
}

func equalLists(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}
