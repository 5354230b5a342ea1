package tcp

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/settingstest"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/wire"
)

func TestPortInUse(t *testing.T) {
	n := listen(t, Config{})
	_, err := Listen(Config{Address: n.Address()})
	if err == nil || !strings.Contains(err.Error(), n.Address()) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second network at %s: %v", n.Address(), err)
	}
}

func TestAddress(t *testing.T) {
	n := listen(t, Config{})
	if host, port, err := net.SplitHostPort(n.Address()); err != nil || host != "127.0.0.1" || port == "0" {
		t.Errorf("address %q", n.Address())
	}
	n = listen(t, Config{Advertise: "node-1.example:0"})
	if host, port, _ := net.SplitHostPort(n.Address()); host != "node-1.example" || port == "0" {
		t.Errorf("address %q", n.Address())
	}
	n = listen(t, Config{Advertise: "node-1.example:77"})
	if n.Address() != "node-1.example:77" {
		t.Errorf("address %q", n.Address())
	}
}

func TestConfigIsValidated(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"Address is empty":      func(c *Config) { c.Address = "" },
		"Address: ":             func(c *Config) { c.Address = "localhost" },
		"Advertise: ":           func(c *Config) { c.Advertise = "localhost" },
		"FrameBytesMax":         func(c *Config) { c.FrameBytesMax = 1000 },
		"QueueMessagesMax":      func(c *Config) { c.QueueMessagesMax = -1 },
		"QueueBytesMax":         func(c *Config) { c.QueueBytesMax = 1000 },
		"InboundConnectionsMax": func(c *Config) { c.InboundConnectionsMax = -1 },
		"HandshakeTimeout":      func(c *Config) { c.HandshakeTimeout = -1 },
		"KeepAliveInterval":     func(c *Config) { c.KeepAliveInterval = -1 },
		"SilenceMax":            func(c *Config) { c.SilenceMax = c.KeepAliveInterval + 1 },
		"AnswerTimeout":         func(c *Config) { c.AnswerTimeout = time.Millisecond },
		"Peers: ":               func(c *Config) { c.Peers = map[membership.NodeID]string{7: "nonsense"} },
		"BackoffMin":            func(c *Config) { c.BackoffMin, c.BackoffMax = 2*time.Second, time.Second },
	} {
		c := Config{Address: "127.0.0.1:0"}
		change(&c)
		n, err := Listen(c)
		if err == nil {
			_ = n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	check := func(c Config) error {
		_, err := c.withDefaults()
		return err
	}
	settingstest.Negative(t, Config{Address: "127.0.0.1:0"}, check)
	settingstest.Brief(t, Config{Address: "127.0.0.1:0"}, check)
}

// TestGarbage: what is no frame of this protocol closes its connection, is
// named in the log, and harms nothing else.
func TestGarbage(t *testing.T) {
	good := frame(t, heartbeat(2, 1, 1))
	flipped := slices.Clone(good)
	flipped[20] ^= 4
	large := binary.LittleEndian.AppendUint64(nil, 1<<31)
	for _, c := range []struct {
		name   string
		before bool // before the handshake
		bytes  []byte
		half   bool // the rest never comes, the connection is closed
		want   string
	}{
		{name: "HTTP", before: true, bytes: []byte("GET / HTTP/1.1\r\n\r\n"), want: network.ErrFrame.Error()},
		{name: "zeros", before: true, bytes: make([]byte, 1000), want: network.ErrFrame.Error()},
		{name: "half a hello", before: true, bytes: []byte("troupe\x01"), half: true, want: network.ErrFrame.Error()},
		{name: "a flipped bit", bytes: flipped, want: network.ErrFrame.Error()},
		{name: "half a frame", bytes: good[:len(good)-3], half: true, want: network.ErrFrame.Error()},
		{name: "an oversized frame", bytes: large, want: network.ErrFrameTooLarge.Error()},
		{name: "a message of another node", bytes: frame(t, heartbeat(3, 1, 1)), want: "as node 3"},
		{name: "a message for another node", bytes: frame(t, heartbeat(2, 3, 1)), want: "for node 3"},
		{name: "a response", bytes: frame(t, &core.HeartbeatResponse{Header: heartbeat(2, 1, 1).Header}), want: "HeartbeatResponse on a control"},
		{name: "another class", bytes: frame(t, &core.AppendEntries{Header: heartbeat(2, 1, 1).Header}), want: "AppendEntries on a control"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log lines
			n, e := node(t, 1, Config{Logger: log.logger()})
			bystander := dialRaw(t, n)
			bystander.connect(core.ClassBulk)
			r := dialRaw(t, n)
			if !c.before {
				r.connect(core.ClassControl)
				r.send(good)
				await(t, "a good frame", e.received)
			}
			r.send(c.bytes)
			if c.half {
				_ = r.Conn.(*net.TCPConn).CloseWrite()
			}
			r.closed()
			if line := log.await(t, c.want); !strings.Contains(line, "level=WARN") {
				t.Errorf("logged as %s", line)
			}
			bystander.send(frame(t, &core.AppendEntries{Header: heartbeat(2, 1, 1).Header, Stream: 4}))
			if m := await(t, "the bystander's message", e.received); m.Class() != core.ClassBulk {
				t.Errorf("received %+v", m)
			}
		})
	}
}

// TestGarbageIsLoggedOnce: nobody can flood the log.
func TestGarbageIsLoggedOnce(t *testing.T) {
	var log lines
	n, _ := node(t, 1, Config{Logger: log.logger()})
	for range 20 {
		r := dialRaw(t, n)
		r.send([]byte("GET / HTTP/1.1\r\n\r\n"))
		r.closed()
	}
	r := dialRaw(t, n)
	r.greet(wire.NewHello(local(2, 1), core.ClassControl, 7))
	r.closed()
	log.await(t, "answered at")
	log.await(t, network.ErrFrame.Error()) // which another connection's goroutine logs
	if found := log.of(t, n).with(network.ErrFrame.Error()); len(found) != 1 {
		t.Errorf("logged %d times: %s", len(found), found)
	}
}

func TestHandshakeRefusals(t *testing.T) {
	later := wire.NewHello(local(2, 1), core.ClassControl, 1)
	later.Version, later.RequiredVersion = 9, 9
	twin := local(2, 1)
	twin.Nonce++
	for _, c := range []struct {
		name  string
		hello wire.Hello
		code  wire.Code
		want  string
	}{
		{"another version", later, wire.CodeVersion, "speaks version 9"},
		{"another node expected", wire.NewHello(local(2, 1), core.ClassControl, 3), wire.CodeWrongPeer, "node 1 answered at"},
		{"a copy", wire.NewHello(twin, core.ClassControl, 1), wire.CodeStale, "two processes of node 2/c8"},
		{"an earlier life", wire.NewHello(local(2, 0), core.ClassControl, 1), wire.CodeStale, "start counter 0, and 1 was seen"},
		{"a copy of this node", wire.NewHello(local(1, 2), core.ClassControl, 1), wire.CodeRefused, "the id of this node"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log lines
			n, e := node(t, 1, Config{Logger: log.logger()})
			n.SetCluster(1, cluster(1))
			proved := dialRaw(t, n)
			proved.connect(core.ClassControl)
			proved.prove()
			await(t, "the peer is learned", e.learned)
			r := dialRaw(t, n)
			hello, verdict := r.greet(c.hello)
			if hello.ID != 1 || verdict.Code != c.code || !strings.Contains(verdict.Reason, c.want) {
				t.Errorf("got %+v, %+v; want code %d and %q", hello, verdict, c.code, c.want)
			}
			if stale := c.code == wire.CodeStale; stale != (len(verdict.Proofs) == 1) || stale && !r.session.VerifyRefusal(wire.RoleListener, &verdict.Proofs[0], cluster(1)) {
				t.Errorf("proofs %+v", verdict.Proofs)
			}
			r.closed()
			log.await(t, "inbound connection refused", c.want)
		})
	}
}

// TestDialedPeerRefuses: what the peer says in the handshake reaches the handler
// by name.
func TestDialedPeerRefuses(t *testing.T) {
	later := wire.NewHello(local(2, 1), core.ClassControl, 1)
	later.Version, later.RequiredVersion = 9, 9
	mine := wire.NewHello(local(2, 1), core.ClassControl, 1)
	otherClass := wire.NewHello(local(2, 1), core.ClassBulk, 1)
	accepted := wire.Verdict{}
	refused := func(code wire.Code) []byte {
		return (&wire.Verdict{Code: code, Reason: "because"}).Append(mine.Append(nil))
	}
	for _, c := range []struct {
		name   string
		answer []byte
		want   error
		told   wire.Code
	}{
		{"another version", accepted.Append(later.Append(nil)), network.ErrVersion, wire.CodeVersion},
		{"another class", accepted.Append(otherClass.Append(nil)), network.ErrFrame, wire.CodeRefused},
		{"it finds this node stale", refused(wire.CodeStale), network.ErrStale, 0},
		{"it does not speak this version", refused(wire.CodeVersion), network.ErrVersion, 0},
		{"it refuses for another reason", refused(wire.CodeRefused), nil, 0},
		{"garbage", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), network.ErrFrame, 0},
		{"the end", nil, io.EOF, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			dialed := make(chan struct{}, 1)
			n, e := node(t, 1, Config{Dial: func(ctx context.Context, node membership.NodeID, address string) (net.Conn, error) {
				if node != 2 || address != "anywhere" {
					t.Errorf("dialled %d at %q", node, address)
				}
				select {
				case dialed <- struct{}{}:
					return ours, nil
				default:
					return nil, errors.New("once is enough")
				}
			}})
			n.SetAddress(2, "anywhere")
			n.Send(heartbeat(1, 2, 1))
			r := newRaw(t, theirs)
			if h, err := wire.ReadHello(r); err != nil || h.Local != local(1, 1) || h.Expected != 2 || h.Class != core.ClassControl {
				t.Errorf("hello %+v, %v", h, err)
			}
			// It may be closed before all of the garbage is through.
			_, _ = r.Write(c.answer)
			if c.told != 0 {
				if v, err := wire.ReadVerdict(r); err != nil || v.Code != c.told {
					t.Errorf("the peer was told %+v, %v", v, err)
				}
			}
			_ = r.Close()
			err := await(t, "a disconnection", e.disconnected)
			var refusal *RefusedError
			if c.want != nil && !errors.Is(err, c.want) || c.want == nil && (!errors.As(err, &refusal) || refusal.Reason != "because") {
				t.Errorf("disconnected because of %v", err)
			}
		})
	}
}

// TestDuplicateReplacesOlder: responses go by the newest connection, and what
// came by the older one is received first. It takes a proof.
func TestDuplicateReplacesOlder(t *testing.T) {
	n, e := node(t, 1, Config{})
	n.SetCluster(1, cluster(1))
	older, newer := dialRaw(t, n), dialRaw(t, n)
	older.connect(core.ClassControl)
	older.prove()
	older.send(frame(t, heartbeat(2, 1, 1)))
	await(t, "a message", e.received)
	newer.connect(core.ClassControl)
	newer.send(frame(t, heartbeat(2, 1, 2)))
	await(t, "a message that is not proved", e.received)
	older.send(frame(t, heartbeat(2, 1, 3)))
	if m := await(t, "a message of the older one", e.received); m.Head().Cluster != cluster(1) {
		t.Errorf("received %+v", m)
	}
	newer.prove()
	older.closed()
	newer.send(frame(t, heartbeat(2, 1, 4)))
	await(t, "a message", e.received)
	if !n.Send(&core.HeartbeatResponse{Header: heartbeat(1, 2, 1).Header, Round: 2}) {
		t.Error("the response was not taken")
	}
	if m, _ := next(t, wire.NewFrameReader(newer, wire.FrameBytesDefault)); m.(*core.HeartbeatResponse).Round != 2 {
		t.Errorf("got %+v", m)
	}
}

func TestInboundConnectionsAreBounded(t *testing.T) {
	var log lines
	n, e := node(t, 1, Config{InboundConnectionsMax: 2, Logger: log.logger()})
	// Mute ones count too.
	first, mute := dialRaw(t, n), dialRaw(t, n)
	first.connect(core.ClassControl)
	third := dialRaw(t, n)
	third.closed()
	log.await(t, ErrInboundFull.Error())
	_ = mute.Close()
	for {
		r := dialRaw(t, n)
		h := wire.NewHello(local(2, 1), core.ClassBulk, 1)
		if _, err := r.Write(h.Append(nil)); err != nil {
			continue
		}
		if _, err := wire.ReadHello(r); err != nil {
			continue
		}
		break
	}
	first.send(frame(t, heartbeat(2, 1, 1)))
	await(t, "a message", e.received)
}

func TestMutePeerIsDropped(t *testing.T) {
	var log lines
	config := Config{HandshakeTimeout: time.Second, Logger: log.logger()}
	n, _ := node(t, 1, config)
	dialRaw(t, n).closed()
	log.await(t, ErrHandshakeTimeout.Error())
	// After its hello as well.
	r := dialRaw(t, n)
	r.greet(wire.NewHello(local(2, 1), core.ClassControl, 1))
	r.closed()
	// And where it is called.
	listener := listening(t)
	a, e := node(t, 3, config)
	a.SetAddress(2, listener.Addr().String())
	a.Send(heartbeat(3, 2, 1))
	if err := await(t, "a disconnection", e.disconnected); !errors.Is(err, ErrHandshakeTimeout) {
		t.Errorf("disconnected because of %v", err)
	}
}

// TestSilentPeerIsDropped: a peer that is gone without a word is noticed on both
// sides, and one that has nothing to say is not taken for gone.
func TestSilentPeerIsDropped(t *testing.T) {
	config := Config{KeepAliveInterval: 20 * time.Millisecond, SilenceMax: time.Second}
	n, _ := node(t, 1, config)
	silent := dialRaw(t, n)
	silent.connect(core.ClassControl)
	began := time.Now()
	silent.closed()
	if d := time.Since(began); d < config.SilenceMax/2 {
		t.Errorf("dropped after %v", d)
	}

	b, _ := node(t, 2, config)
	a, e := node(t, 3, config)
	a.SetAddress(2, b.Address())
	a.Send(heartbeat(3, 2, 1))
	await(t, "a connection", e.connected)
	select {
	case err := <-e.disconnected:
		t.Errorf("an idle connection was dropped: %v", err)
	case <-time.After(2 * config.SilenceMax):
	}
}

// TestUnreadPeerIsDropped: a peer that lets nothing through is noticed.
func TestUnreadPeerIsDropped(t *testing.T) {
	n, _ := node(t, 1, Config{KeepAliveInterval: 50 * time.Millisecond, SilenceMax: 300 * time.Millisecond})
	r := dialRaw(t, n)
	r.connect(core.ClassSnapshot)
	r.send(frame(t, &core.SnapshotChunk{Header: heartbeat(2, 1, 1).Header}))
	response := &core.SnapshotResponse{Header: heartbeat(1, 2, 1).Header, Reason: strings.Repeat("x", 1<<20)}
	stop := time.Now().Add(limit / 2)
	// Something has to be said, or the silence is noticed first.
	keepAlive := frame(t, nil)
	for n.Send(response) || n.accepted1() {
		if time.Now().After(stop) {
			t.Fatal("the connection still stands")
		}
		_, _ = r.Write(keepAlive)
		time.Sleep(time.Millisecond)
	}
}

// accepted1 reports whether an inbound connection stands.
func (n *Network) accepted1() bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.accepted) > 0
}

// TestRoomComesBack when messages have been written.
func TestRoomComesBack(t *testing.T) {
	a, _ := node(t, 1, Config{QueueMessagesMax: 4})
	b, e := node(t, 2, Config{})
	a.SetAddress(2, b.Address())
	for round := range uint64(500) {
		for deadline := time.Now().Add(limit); !a.Send(heartbeat(1, 2, round)); time.Sleep(10 * time.Microsecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no room for message %d", round)
			}
		}
	}
	for round := range uint64(500) {
		if m := await(t, "a message", e.received); m.(*core.Heartbeat).Round != round {
			t.Fatalf("%+v came instead of round %d", m, round)
		}
	}
}

func TestTooLargeMessageIsRefused(t *testing.T) {
	var log lines
	a, _ := node(t, 1, Config{FrameBytesMax: 1 << 20, Logger: log.logger()})
	b, e := node(t, 2, Config{})
	a.SetAddress(2, b.Address())
	header := heartbeat(1, 2, 1).Header
	for range 10 {
		if a.Send(&core.SnapshotChunk{Header: header, Data: make([]byte, 1<<20)}) {
			t.Error("a message over the limit was taken")
		}
	}
	if found := log.of(t, a).with(network.ErrFrameTooLarge.Error()); len(found) != 1 {
		t.Errorf("logged %d times: %s", len(found), found)
	}
	if !a.Send(&core.SnapshotChunk{Header: header, Data: make([]byte, 1<<20-1000)}) {
		t.Error("a message within the limit was refused")
	}
	await(t, "a message", e.received)
}

// TestBrokenMessageBreaks: a message that has no encoding ends its connection,
// for nothing may be lost without that.
func TestBrokenMessageBreaks(t *testing.T) {
	var log lines
	a, e := node(t, 1, Config{Logger: log.logger()})
	b, _ := node(t, 2, Config{})
	a.SetAddress(2, b.Address())
	hole := []core.Entry{{LogID: core.LogID{Term: 1, Index: 7}, Kind: core.EntryBlank}}
	a.Send(&core.AppendEntries{Header: heartbeat(1, 2, 1).Header, Entries: hole})
	if err := await(t, "a disconnection", e.disconnected); !strings.Contains(err.Error(), "entry 1.7 after 0.0") {
		t.Errorf("disconnected because of %v", err)
	}
	log.await(t, "message not sent", "entry 1.7 after 0.0")
}

// TestRetries: while a peer is away the network tries on by itself, logs one
// line when it cannot be reached and one when it can, and tells the handler once.
func TestRetries(t *testing.T) {
	var log lines
	var attempts atomic.Int64
	var up atomic.Bool
	b, received := node(t, 2, Config{})
	a, e := node(t, 1, Config{
		BackoffMin: time.Millisecond, BackoffMax: 2 * time.Millisecond, Logger: log.logger(),
		Dial: func(ctx context.Context, _ membership.NodeID, address string) (net.Conn, error) {
			attempts.Add(1)
			if !up.Load() {
				return nil, errors.New("no route")
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
	})
	a.SetAddress(2, b.Address())
	begun := time.Now()
	a.Send(heartbeat(1, 2, 1))
	await(t, "a disconnection", e.disconnected)
	for deadline := time.Now().Add(limit); attempts.Load() < 20; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d attempts", attempts.Load())
		}
	}
	if a.Send(heartbeat(1, 2, 2)) {
		t.Error("a message for a peer that is away was taken")
	}
	up.Store(true)
	await(t, "a connection", e.connected)
	if !a.Send(heartbeat(1, 2, 3)) {
		t.Error("a message for a peer that is back was refused")
	}
	if m := await(t, "a message", received.received); m.(*core.Heartbeat).Round != 3 {
		t.Errorf("received %+v", m)
	}
	found := log.of(t, a).with("peer=2")
	last := len(found) - 1
	if last < 1 || last > linesWithin(time.Since(begun)) || !strings.Contains(found[0], "cannot connect") || !strings.Contains(found[last], "msg=connected ") {
		t.Errorf("logged %s", found)
	}
	if len(e.disconnected) > 0 {
		t.Error("the handler was told again")
	}
}

// linesWithin is how often it is logged at most within a time that a peer is away: at once,
// and after pauses that double.
func linesWithin(d time.Duration) (n int) {
	n = 1
	for pause := logPauseMin; d >= pause; pause *= 2 {
		d -= pause
		n++
	}
	return n
}

// TestInboundConnectionEndsTheWait: the backoff would be an hour.
func TestInboundConnectionEndsTheWait(t *testing.T) {
	var up atomic.Bool
	b, _ := node(t, 2, Config{})
	a, e := node(t, 1, Config{
		BackoffMin: time.Hour, BackoffMax: time.Hour,
		Dial: func(ctx context.Context, _ membership.NodeID, address string) (net.Conn, error) {
			if !up.Load() {
				return nil, errors.New("no route")
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
	})
	a.SetAddress(2, b.Address())
	a.Send(heartbeat(1, 2, 1))
	await(t, "a disconnection", e.disconnected)
	up.Store(true)
	b.SetAddress(1, a.Address())
	b.Send(heartbeat(2, 1, 1))
	await(t, "a connection", e.connected)
}

func TestBackoff(t *testing.T) {
	n := listen(t, Config{BackoffMin: 50 * time.Millisecond, BackoffMax: 2 * time.Second})
	l := &link{network: n}
	for attempts, most := range []time.Duration{0, 50, 100, 200, 400, 800, 1600, 2000, 2000, 2000} {
		most *= time.Millisecond
		l.attempts = attempts
		for range 20 {
			if d := l.backoff(); attempts > 0 && (d < most/2 || d > most) {
				t.Errorf("after %d attempts %v, want at most %v and at least half of it", attempts, d, most)
			}
		}
	}
	l.attempts = 1 << 40
	if d := l.backoff(); d > 2*time.Second || d < time.Second {
		t.Errorf("after very many attempts %v", d)
	}
}

func TestBreakEndsADial(t *testing.T) {
	dialling := make(chan struct{}, 10)
	a, e := node(t, 1, Config{Dial: func(ctx context.Context, _ membership.NodeID, _ string) (net.Conn, error) {
		dialling <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	a.SetAddress(2, nowhere)
	if !a.Send(heartbeat(1, 2, 1)) {
		t.Error("the first request was refused")
	}
	await(t, "a dial", dialling)
	a.Break(2, core.ClassControl)
	if err := await(t, "a disconnection", e.disconnected); !errors.Is(err, ErrBroken) {
		t.Errorf("disconnected because of %v", err)
	}
	if !a.Send(heartbeat(1, 2, 2)) {
		t.Error("the request after Break was refused")
	}
	await(t, "another dial", dialling)
	a.SetAddress(2, "")
	if err := await(t, "a disconnection", e.disconnected); !errors.Is(err, ErrAddressChanged) {
		t.Errorf("disconnected because of %v", err)
	}
}
