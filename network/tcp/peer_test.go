package tcp

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/wire"
)

const limit = 20 * time.Second

// events is a handler that hands on what it is told.
type events struct {
	received     chan core.Message
	connected    chan membership.Identity
	disconnected chan error
	learned      chan network.Peer
	outlived     chan membership.Identity
}

func newEvents() *events {
	return &events{
		make(chan core.Message, 1000), make(chan membership.Identity, 1000), make(chan error, 1000),
		make(chan network.Peer, 1000), make(chan membership.Identity, 1000),
	}
}

func (e *events) Receive(_ membership.Identity, m core.Message)    { e.received <- m }
func (e *events) Connected(peer membership.Identity, _ core.Class) { e.connected <- peer }
func (e *events) Disconnected(_ membership.NodeID, _ core.Class, cause error) {
	e.disconnected <- cause
}

func (e *events) Learned(peer network.Peer)       { e.learned <- peer }
func (e *events) Outlived(by membership.Identity) { e.outlived <- by }

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(limit):
		t.Fatalf("%s: not within %v", what, limit)
		panic("unreachable")
	}
}

// lines is a log that a test can read.
type lines struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(b)
}

// with returns the lines that hold all the words.
func (l *lines) with(words ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
next:
	for line := range strings.Lines(l.buffer.String()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// await waits for a line with the words.
func (l *lines) await(t *testing.T, words ...string) string {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		if found := l.with(words...); len(found) > 0 {
			return found[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no line with %q within %v in:\n%s", words, limit, strings.Join(l.with(), ""))
		}
	}
}

// of waits until n has written all that it has logged, and returns l.
func (l *lines) of(t *testing.T, n *Network) *lines {
	t.Helper()
	mark := fmt.Sprintf("mark %d", marks.Add(1))
	n.log.Info(mark)
	l.await(t, mark)
	return l
}

var marks atomic.Int64

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func local(id, startCounter uint64) network.Local {
	return network.Local{
		Identity:     membership.Identity{ID: membership.NodeID(id), Incarnation: membership.Incarnation(100 * id)},
		StartCounter: startCounter, Nonce: 1000*id + startCounter,
	}
}

// node starts a network for a node in its first life.
func node(t *testing.T, id uint64, config Config) (*Network, *events) {
	t.Helper()
	n, e := listen(t, config), newEvents()
	if err := n.Start(local(id, 1), nil, e); err != nil {
		t.Fatal(err)
	}
	return n, e
}

// cluster makes an id.
func cluster(n byte) core.ClusterID { return core.ClusterID{0xc, 15: n} }

func heartbeat(from, to, round uint64) *core.Heartbeat {
	return &core.Heartbeat{Header: core.Header{Group: 1, From: local(from, 1).Identity, To: local(to, 1).Identity, Term: 1}, Round: round}
}

// raw is a peer that does by hand what a network does.
type raw struct {
	net.Conn
	t *testing.T
	// session is of the hellos that greet exchanged.
	session *wire.Session
}

func dialRaw(t *testing.T, n *Network) raw {
	t.Helper()
	conn, err := net.DialTimeout("tcp", n.Address(), limit)
	if err != nil {
		t.Fatal(err)
	}
	return newRaw(t, conn)
}

func newRaw(t *testing.T, conn net.Conn) raw {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return raw{conn, t, new(wire.Session)}
}

// listening listens until the test ends.
func listening(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func acceptRaw(t *testing.T, listener net.Listener) raw {
	t.Helper()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return newRaw(t, conn)
}

// calledBy is whom node 1, which knows the cluster of group 1, calls as node 2: it
// has sent a heartbeat, which waits for the handshake.
func calledBy(t *testing.T) (n *Network, e *events, r raw) {
	t.Helper()
	listener := listening(t)
	n, e = node(t, 1, Config{})
	n.SetCluster(1, cluster(1))
	n.SetAddress(2, listener.Addr().String())
	n.Send(heartbeat(1, 2, 1))
	return n, e, acceptRaw(t, listener)
}

func (r raw) send(b []byte) {
	r.t.Helper()
	if _, err := r.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// greet sends a hello and returns what the other side says.
func (r raw) greet(h wire.Hello) (wire.Hello, wire.Verdict) {
	r.t.Helper()
	r.send(h.Append(nil))
	hello, err := wire.ReadHello(r)
	if err != nil {
		r.t.Fatalf("hello: %v", err)
	}
	*r.session = wire.NewSession(&h, &hello)
	verdict, err := wire.ReadVerdict(r)
	if err != nil {
		r.t.Fatalf("verdict: %v", err)
	}
	return hello, verdict
}

// connect makes a whole handshake as node 2 in its first life with node 1.
func (r raw) connect(class core.Class) {
	r.t.Helper()
	r.connectAs(wire.NewHello(local(2, 1), class, 1))
}

func (r raw) connectAs(h wire.Hello) {
	r.t.Helper()
	if _, v := r.greet(h); v.Code != wire.CodeAccepted {
		r.t.Fatalf("refused: %+v", v)
	}
	r.send((&wire.Verdict{}).Append(nil))
}

// prove proves to know the cluster of group 1.
func (r raw) prove() {
	r.t.Helper()
	r.send(wire.AppendProof(nil, r.session.Prove(wire.RoleDialler, 1, cluster(1))))
}

// next returns the next frame with a message, and what came before it.
func next(t *testing.T, reader *wire.FrameReader) (m core.Message, before []wire.Frame) {
	t.Helper()
	for {
		f, err := reader.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Message != nil {
			return f.Message, before
		}
		before = append(before, f)
	}
}

// closed waits until the other side has closed the connection.
func (r raw) closed() {
	r.t.Helper()
	var b [512]byte
	for {
		if _, err := r.Read(b[:]); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				r.t.Fatal("the connection is still open")
			}
			return
		}
	}
}

func frame(t *testing.T, m core.Message) []byte {
	t.Helper()
	b, err := wire.AppendFrame(nil, m, wire.FrameBytesMax)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
