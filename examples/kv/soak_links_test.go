//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network/wire"
)

// lane is one direction of the connections of one class between two nodes,
// whoever dialled.
type lane struct {
	from, to uint64
	class    core.Class
}

// trouble is what befalls lanes. Ids that are 0 stand for every node.
type trouble struct {
	from, to uint64
	// data: heartbeats, votes and reads pass, only entries and snapshots do not.
	data bool
	// hold keeps bytes back until the trouble is over, as a partition does. dark
	// loses them: a connection that lost some loses all that follows, and nobody
	// is told, not even of its end.
	hold, dark bool
	// bytesPerSecond and delay, if not 0, are what a slow line does.
	bytesPerSecond int
	delay          time.Duration

	// free is when the slow line has carried what was put on it.
	free time.Time
}

func (t *trouble) befalls(l lane) bool {
	return (t.from == 0 || t.from == l.from) && (t.to == 0 || t.to == l.to) && (!t.data || l.class != core.ClassControl)
}

// links is the network between the nodes: which troubles there are now, and
// what was heard on it.
type links struct {
	mu       sync.Mutex
	troubles []*trouble
	// over is closed when a trouble ends.
	over chan struct{}
	// overheard are the beginnings of the last connections, for whoever replays
	// them.
	overheard []conversation
	// open are the goroutines of the fronts and of their connections.
	open sync.WaitGroup
}

func newLinks() *links { return &links{over: make(chan struct{})} }

func (l *links) begin(troubles ...*trouble) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.troubles = append(l.troubles, troubles...)
}

func (l *links) end(troubles ...*trouble) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.troubles = slices.DeleteFunc(l.troubles, func(t *trouble) bool { return slices.Contains(troubles, t) })
	close(l.over)
	l.over = make(chan struct{})
}

// passes waits while the lane is held.
func (l *links) passes(ctx context.Context, on lane) bool {
	for {
		l.mu.Lock()
		held := slices.ContainsFunc(l.troubles, func(t *trouble) bool { return t.hold && t.befalls(on) })
		over := l.over
		l.mu.Unlock()
		if !held {
			return ctx.Err() == nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return false
		}
	}
}

// fate says what becomes of so many bytes: lost, or delivered at a time.
func (l *links) fate(on lane, bytes int) (lost bool, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at = time.Now()
	for _, t := range l.troubles {
		if !t.befalls(on) {
			continue
		}
		lost = lost || t.dark
		if t.bytesPerSecond > 0 {
			if t.free.Before(at) {
				t.free = at
			}
			t.free = t.free.Add(time.Duration(bytes) * time.Second / time.Duration(t.bytesPerSecond))
			at = t.free
		}
		at = at.Add(t.delay)
	}
	return lost, at
}

const (
	// chunkBytes is what a lane carries at once; so much of one connection goes
	// before another has its turn on a slow line.
	chunkBytes = 4096
	// inFlightChunks bounds what a slow line has taken and not delivered.
	inFlightChunks = 16
	// socketBytes bounds what the system takes from a node in a line's stead: a
	// line that takes all at once is not slow.
	socketBytes = 64 << 10
)

type chunk struct {
	data []byte
	at   time.Time
}

// carry moves bytes along a lane until their source ends. The end is carried as
// well, unless the connection has gone dark.
func (l *links) carry(ctx context.Context, on lane, source io.Reader, target net.Conn) {
	queue := make(chan chunk, inFlightChunks)
	var delivered sync.WaitGroup
	delivered.Go(func() {
		broken := false
		for c := range queue {
			if broken || !sleep(ctx, time.Until(c.at)) {
				continue
			}
			_, err := target.Write(c.data)
			broken = err != nil
		}
	})
	dark := false
	buffer := make([]byte, chunkBytes)
	for {
		n, err := source.Read(buffer)
		if !l.passes(ctx, on) {
			break
		}
		lost, at := l.fate(on, n)
		dark = dark || lost
		if n > 0 && !dark {
			queue <- chunk{slices.Clone(buffer[:n]), at}
		}
		if err != nil {
			break
		}
	}
	close(queue)
	delivered.Wait()
	if !dark {
		_ = target.Close()
	}
}

// front is an address at which a node is reached, through the links. Who dials
// is told by its hello.
type front struct {
	links    *links
	listener net.Listener
	to       uint64
	// where is the address behind, nil while the node is down.
	where *atomic.Pointer[string]
	// left: the node is here no more. Whoever has the address now takes
	// connections and says nothing, or what the node once said.
	left atomic.Bool
}

// newFront opens a front until ctx ends.
func newFront(ctx context.Context, l *links, to uint64, where *atomic.Pointer[string]) (*front, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{links: l, listener: listener, to: to, where: where}
	l.open.Go(func() {
		stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
		defer stop()
		for {
			dialled, err := listener.Accept()
			if err != nil {
				_ = listener.Close()
				return
			}
			l.open.Go(func() { f.serve(ctx, dialled) })
		}
	})
	return f, nil
}

func (f *front) address() string { return f.listener.Addr().String() }

func (f *front) serve(ctx context.Context, dialled net.Conn) {
	defer dialled.Close()
	stop := context.AfterFunc(ctx, func() { _ = dialled.Close() })
	defer stop()
	if f.left.Load() {
		f.squat(dialled)
		return
	}
	where := f.where.Load()
	if where == nil {
		return
	}
	behind, err := net.Dial("tcp", *where)
	if err != nil {
		return
	}
	defer behind.Close()
	stopBehind := context.AfterFunc(ctx, func() { _ = behind.Close() })
	defer stopBehind()
	for _, conn := range []net.Conn{dialled, behind} {
		_ = conn.(*net.TCPConn).SetReadBuffer(socketBytes)
		_ = conn.(*net.TCPConn).SetWriteBuffer(socketBytes)
	}

	// A stranger may say no hello: it belongs to node 0, which is nobody.
	said, answered := &recording{source: dialled}, &recording{source: behind}
	hello, err := wire.ReadHello(said)
	known := err == nil
	var from uint64
	if known {
		from = uint64(hello.ID)
	}
	begun := bytes.NewReader(said.bytes())
	if known {
		f.links.overhear(conversation{f.to, said, answered})
	}
	there := lane{from, f.to, hello.Class}
	back := lane{f.to, from, hello.Class}
	var both sync.WaitGroup
	both.Go(func() { f.links.carry(ctx, there, io.MultiReader(begun, said), behind) })
	both.Go(func() { f.links.carry(ctx, back, answered, dialled) })
	both.Wait()
}

// squat answers in a node's stead.
func (f *front) squat(dialled net.Conn) {
	if heard := f.links.heard(f.to); len(heard) > 0 && rand.IntN(2) == 0 {
		_, _ = dialled.Write(heard[len(heard)-1].answered.bytes())
	}
	_, _ = io.Copy(io.Discard, dialled)
}

// conversation is a connection to a node.
type conversation struct {
	to             uint64
	said, answered *recording
}

// recording keeps the beginning of what is read from a connection.
type recording struct {
	source io.Reader

	mu   sync.Mutex
	said []byte
}

const (
	recordingBytesMax = 16 << 10
	recordingsMax     = 32
)

func (r *recording) Read(b []byte) (int, error) {
	n, err := r.source.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, b[:min(n, recordingBytesMax-len(r.said))]...)
	return n, err
}

func (r *recording) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.said)
}

func (l *links) overhear(c conversation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.overheard) == recordingsMax {
		l.overheard = slices.Delete(l.overheard, 0, 1)
	}
	l.overheard = append(l.overheard, c)
}

// heard are the last connections to a node.
func (l *links) heard(to uint64) []conversation {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []conversation
	for _, c := range l.overheard {
		if c.to == to {
			all = append(all, c)
		}
	}
	return all
}

// sleep waits and reports whether that was not cut short.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
