package tcp

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network/wire"
)

// TestSentOverConnections: what was acknowledged on a connection that has ended has
// left, though nobody looked, and what was lost with one has not. Neither hides
// what leaves on the next.
func TestSentOverConnections(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the system does not tell what its buffer holds")
	}
	listener := listening(t)
	a, e := node(t, 1, Config{Dial: smallBuffers})
	a.SetAddress(2, listener.Addr().String())
	send := func(bytes int) {
		t.Helper()
		if !a.Send(&core.SnapshotChunk{Header: heartbeat(1, 2, 1).Header, Data: make([]byte, bytes)}) {
			t.Fatal("refused")
		}
	}
	accept := func() raw {
		t.Helper()
		r := acceptRaw(t, listener)
		if err := r.Conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		r.answer(t, local(2, 1))
		return r
	}
	read := func(r raw) { next(t, wire.NewFrameReader(r, wire.FrameBytesDefault)) }
	// fills waits until the buffers are full and says what has left by then.
	fills := func() (sent uint64) {
		since := time.Now()
		for begun := since; sent == 0 && time.Since(begun) < limit || time.Since(since) < 300*time.Millisecond; {
			time.Sleep(lookAgainAfter)
			if now := a.Sent(2, core.ClassSnapshot); now != sent {
				sent, since = now, time.Now()
			}
		}
		return sent
	}
	cut := func() {
		t.Helper()
		a.Break(2, core.ClassSnapshot)
		await(t, "a disconnection", e.disconnected)
	}
	const large, small = 2 << 20, 10_000

	send(large)
	r := accept()
	if sent := fills(); sent == 0 || sent >= large {
		t.Fatalf("%d bytes have left to who reads nothing", sent)
	}
	read(r)
	// The writer may not have said yet that the system took the last of it.
	for c, deadline := a.connectionTo(2, core.ClassSnapshot), time.Now().Add(limit); unacknowledgedBytes(c.raw.Conn) > 0 || c.leaving.taken.Load() < large; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what was read is not acknowledged")
		}
	}
	cut()
	sent := a.Sent(2, core.ClassSnapshot)
	if sent < large {
		t.Errorf("%d bytes have left of %d that arrived", sent, large)
	}

	send(large)
	accept()
	before, lost := sent, fills()
	cut()
	if sent = a.Sent(2, core.ClassSnapshot); sent < lost || sent >= before+large {
		t.Errorf("%d bytes have left, %d before and %d of what was lost", sent, before, lost-before)
	}

	send(small)
	read(accept())
	for deadline := time.Now().Add(limit); ; time.Sleep(lookAgainAfter) {
		now := a.Sent(2, core.ClassSnapshot)
		if now >= sent+small {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes have left of %d that arrived on a new connection", now-sent, small)
		}
	}
}
