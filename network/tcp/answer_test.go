package tcp

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network/wire"
)

// path passes bytes on. Connections that it has when it goes dark stay open and
// carry nothing any more; those made later work.
type path struct {
	listener net.Listener
	running  sync.WaitGroup
	mu       sync.Mutex
	passing  map[net.Conn]bool
}

func newPath(t *testing.T, to string) *path {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &path{listener: listener, passing: make(map[net.Conn]bool)}
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		for c := range p.passing {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.running.Wait()
	})
	p.running.Go(func() {
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
			p.mu.Lock()
			p.passing[in], p.passing[out] = true, true
			p.mu.Unlock()
			p.running.Go(func() { p.pass(out, in) })
			p.running.Go(func() { p.pass(in, out) })
		}
	})
	return p
}

func (p *path) pass(to, from net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		passing := p.passing[from]
		p.mu.Unlock()
		if n > 0 && passing {
			_, err = to.Write(b[:n])
		}
		if err != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}

func (p *path) goDark() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.passing {
		p.passing[c] = false
	}
}

// TestDarkLinkIsReplaced: connections that carry nothing any more, and were
// never closed, are replaced long before SilenceMax; first the one on which an
// answer is due, then the others with the same process. One on which nobody
// answers, but that is not dark, stays.
func TestDarkLinkIsReplaced(t *testing.T) {
	b, received := node(t, 2, Config{AnswerTimeout: 100 * time.Millisecond})
	p := newPath(t, b.Address())
	a, e := node(t, 1, Config{AnswerTimeout: 500 * time.Millisecond, BackoffMax: 50 * time.Millisecond})
	a.SetAddress(2, p.listener.Addr().String())
	bulk := &core.AppendEntries{Header: heartbeat(1, 2, 1).Header}
	a.Send(bulk)
	await(t, "an append", received.received)
	for round := range uint64(30) {
		a.Send(heartbeat(1, 2, round))
		await(t, "a heartbeat", received.received)
		time.Sleep(50 * time.Millisecond)
	}
	if len(e.disconnected) > 0 {
		t.Fatalf("disconnected without need: %v", <-e.disconnected)
	}
	for len(e.connected) > 0 {
		<-e.connected
	}
	p.goDark()
	began := time.Now()
	if !a.Send(&core.VoteRequest{Header: heartbeat(1, 2, 1).Header, ElectionTerm: 2}) {
		t.Fatal("refused")
	}
	for range 2 {
		if err := await(t, "a disconnection", e.disconnected); !errors.Is(err, ErrUnanswered) {
			t.Errorf("disconnected because of %v", err)
		}
	}
	if d := time.Since(began); d > 8*time.Second {
		t.Errorf("it took %v", d)
	}
	for range 2 {
		await(t, "a new connection", e.connected)
	}
	if !a.Send(heartbeat(1, 2, 99)) || !a.Send(bulk) {
		t.Error("refused on new connections")
	}
	for range 2 {
		await(t, "a message", received.received)
	}
}

// TestIdleLinkOwesNothing: where no request is out, silence is no sign.
func TestIdleLinkOwesNothing(t *testing.T) {
	b, received := node(t, 2, Config{AnswerTimeout: 100 * time.Millisecond, KeepAliveInterval: time.Minute})
	config := Config{AnswerTimeout: time.Second, KeepAliveInterval: time.Minute}
	a, e := node(t, 1, config)
	a.SetAddress(2, b.Address())
	a.Send(heartbeat(1, 2, 1))
	await(t, "a message", received.received)
	select {
	case err := <-e.disconnected:
		t.Errorf("disconnected: %v", err)
	case <-time.After(2 * config.AnswerTimeout):
	}
}

// TestRequestsAreAcknowledged by a sign of life if their answer takes its time:
// a vote request and a ping at once, others soon.
func TestRequestsAreAcknowledged(t *testing.T) {
	header := heartbeat(2, 1, 1).Header
	vote := frame(t, &core.VoteRequest{Header: header, ElectionTerm: 2})
	for _, c := range []struct {
		name    string
		class   core.Class
		request []byte
		// answers is the AnswerTimeout; an hour shows what comes at once.
		answers time.Duration
	}{
		{"a vote request", core.ClassControl, vote, time.Hour},
		{"a ping", core.ClassBulk, wire.AppendPing(nil), time.Hour},
		{"a heartbeat", core.ClassControl, frame(t, heartbeat(2, 1, 1)), 200 * time.Millisecond},
		{"an identify request", core.ClassControl, frame(t, &core.IdentifyRequest{Header: header}), 200 * time.Millisecond},
		{"a read", core.ClassControl, frame(t, &core.ReadIndexRequest{Header: header}), 200 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, _ := node(t, 1, Config{AnswerTimeout: c.answers, KeepAliveInterval: time.Hour})
			r := dialRaw(t, n)
			r.connect(c.class)
			reader := wire.NewFrameReader(r, wire.FrameBytesDefault)
			for range 2 {
				began := time.Now()
				r.send(c.request)
				if f, err := reader.Next(); err != nil || f.Kind != wire.KindKeepAlive {
					t.Fatalf("got %+v, %v", f, err)
				}
				if d := time.Since(began); d > 10*time.Second {
					t.Errorf("it took %v", d)
				}
			}
		})
	}
}

// TestHeldUpProcessBlamesNobody: a timer that is late says that this process
// was held up, and what came meanwhile is read first.
func TestHeldUpProcessBlamesNobody(t *testing.T) {
	const answers, wait = time.Second, 250 * time.Millisecond
	fresh := func() *paced {
		p := &paced{Conn: ended{}}
		p.begin(time.Minute, answers)
		p.due.Store(int64(clock() - 10*time.Second))
		return p
	}
	// On time: one more read, and then it is enough.
	p := fresh()
	if err := p.quiet(clock(), wait); err != nil || !p.missed {
		t.Errorf("at first: %v, %t", err, p.missed)
	}
	if err := p.quiet(clock(), wait); !errors.Is(err, ErrUnanswered) {
		t.Errorf("then: %v", err)
	}
	// Late: the peer has its time anew.
	p = fresh()
	for range 3 {
		if err := p.quiet(clock()-5*time.Second, wait); err != nil || p.missed {
			t.Errorf("late: %v, %t", err, p.missed)
		}
	}
	if since := clock() - time.Duration(p.due.Load()); since > answers/2 {
		t.Errorf("the answer is due since %v", since)
	}
	// So it is with SilenceMax.
	p = fresh()
	p.due.Store(0)
	p.quietSince = clock() - time.Hour
	if err := p.quiet(clock()-50*time.Second, time.Minute); err != nil {
		t.Errorf("late: %v", err)
	}
	p.quietSince = clock() - time.Hour
	_ = p.quiet(clock(), wait)
	if err := p.quiet(clock(), wait); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silent for an hour: %v", err)
	}
	// An answer that came is no longer due, whatever was written at the time.
	p = fresh()
	since := p.expectAnswer()
	if since != 0 {
		t.Error("an answer is due already, and the time began anew")
	}
	p.due.Store(0)
	since = p.expectAnswer()
	p.due.Store(0)
	if p.requestLeft(since); p.due.Load() != 0 {
		t.Error("an answer that came while its request was written is still due")
	}
}

// ended is a connection of which nothing can be asked.
type ended struct{ net.Conn }

func (ended) Read([]byte) (int, error) { return 0, io.EOF }

// TestUnacknowledgedBytes: on Linux it is known what the other side has taken.
func TestUnacknowledgedBytes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("known on Linux only")
	}
	listener := listening(t)
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	p := &paced{Conn: conn}
	p.begin(100*time.Millisecond, 0)
	if _, err := p.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("nobody reads, and the write says %v", err)
	}
	acked, waiting := p.taken()
	due, progressed := clock(), false
	for range 3 {
		progressed = p.progressed(due) || progressed
	}
	if progressed {
		t.Error("nothing moves, and it progresses")
	}
	if !waiting || acked >= p.written.Load() {
		t.Errorf("%d of %d bytes are acknowledged, waiting: %t", acked, p.written.Load(), waiting)
	}
	for n := uint64(0); n < p.written.Load(); {
		progressed = p.progressed(due) || progressed
		got, err := theirs.Read(make([]byte, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		n += uint64(got)
	}
	if !progressed {
		t.Error("all was read, and nothing progressed")
	}
	for deadline := time.Now().Add(limit); waiting; acked, waiting = p.taken() {
		if time.Now().After(deadline) {
			t.Fatal("they stay unacknowledged")
		}
		time.Sleep(time.Millisecond)
	}
	if acked != p.written.Load() {
		t.Errorf("%d of %d bytes are acknowledged", acked, p.written.Load())
	}
}

// TestSlowLinkIsNotDark: a large message that moves keeps its connection while
// it is suspected, for however long it takes.
func TestSlowLinkIsNotDark(t *testing.T) {
	b, received := node(t, 2, Config{})
	a, e := node(t, 1, Config{Dial: smallBuffers, AnswerTimeout: time.Second})
	a.SetAddress(2, narrow(t, b.Address(), 10<<10, 20*time.Millisecond))
	a.Send(&core.AppendEntries{Header: heartbeat(1, 2, 1).Header})
	await(t, "a small message", received.received)
	a.mu.RLock()
	l := a.peers[2].links[core.ClassBulk-1]
	a.mu.RUnlock()
	l.mu.Lock()
	c := l.connection
	l.mu.Unlock()
	data := make([]byte, 2<<20)
	a.Send(&core.AppendEntries{Header: heartbeat(1, 2, 1).Header, Entries: []core.Entry{{LogID: core.LogID{Term: 1, Index: 1}, Kind: core.EntryCommand, Data: data}}})
	a.start(c.probe)
	await(t, "a large message", received.received)
	if len(e.disconnected) > 0 {
		t.Errorf("disconnected: %v", <-e.disconnected)
	}
}
