package tcp

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// narrow passes bytes on to an address, at most so many in each interval, and
// buffers as few as it can.
func narrow(t *testing.T, to string, bytes int, interval time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []io.Closer
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	pass := func(to, from net.Conn) {
		_ = from.(*net.TCPConn).SetReadBuffer(64 << 10)
		b := make([]byte, bytes)
		for {
			n, err := from.Read(b)
			if n > 0 {
				time.Sleep(interval * time.Duration(n) / time.Duration(bytes))
				_, err = to.Write(b[:n])
			}
			if err != nil {
				break
			}
		}
		_ = from.Close()
		_ = to.Close()
	}
	running.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			running.Go(func() { pass(out, in) })
			running.Go(func() { pass(in, out) })
		}
	})
	return listener.Addr().String()
}

// smallBuffers dials as over a long link, on which little is in flight.
func smallBuffers(ctx context.Context, _ membership.NodeID, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(128 << 10)
	}
	return c, err
}

// TestSlowPeerIsNotSilent: a message that takes several times SilenceMax to
// leave arrives, and breaks nothing, as long as bytes leave.
func TestSlowPeerIsNotSilent(t *testing.T) {
	trusted := newAuthority(t)
	for name, test := range map[string]struct{ secure, largeBuffers bool }{
		"plain": {false, false}, "TLS": {true, false}, "all of it fits into the system's buffer": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := Config{KeepAliveInterval: 200 * time.Millisecond, SilenceMax: 2 * time.Second, Dial: smallBuffers}
			if test.largeBuffers {
				if runtime.GOOS != "linux" {
					t.Skip("the system does not tell what its buffer holds")
				}
				one.Dial = nil
			}
			other := one
			if test.secure {
				one.TLS, other.TLS = trusted.issue(nodeURI(1)), trusted.issue(nodeURI(2))
			}
			b, received := node(t, 2, other)
			a, told := node(t, 1, one)
			a.SetAddress(2, narrow(t, b.Address(), 10<<10, 60*time.Millisecond))
			if !a.Send(&core.SnapshotChunk{Header: heartbeat(1, 2, 1).Header, Data: make([]byte, 1<<20)}) {
				t.Fatal("refused")
			}
			// Sent grows all the time, and says at the end that all has left.
			grew := 0
			for before, deadline := uint64(0), time.Now().Add(3*limit); ; time.Sleep(50 * time.Millisecond) {
				sent := a.Sent(2, core.ClassSnapshot)
				if sent > before {
					grew++
				}
				if before = sent; sent >= 1<<20 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%d bytes have left", sent)
				}
			}
			await(t, "the message", received.received)
			if len(told.disconnected) > 0 {
				t.Errorf("disconnected: %v", <-told.disconnected)
			}
			if grew < 8 {
				t.Errorf("Sent grew %d times", grew)
			}
		})
	}
}

// TestTrickleIsNotSilence: a frame of which bytes come all the time is heard,
// however long it takes.
func TestTrickleIsNotSilence(t *testing.T) {
	n, e := node(t, 1, Config{KeepAliveInterval: 200 * time.Millisecond, SilenceMax: 600 * time.Millisecond})
	r := dialRaw(t, n)
	r.connect(core.ClassControl)
	for _, b := range frame(t, heartbeat(2, 1, 1)) {
		time.Sleep(40 * time.Millisecond)
		r.send([]byte{b})
	}
	await(t, "the message", e.received)
}
