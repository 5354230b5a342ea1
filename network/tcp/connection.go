package tcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/wire"
)

const (
	// writeBytesMax is about how much is encoded before it is written.
	writeBytesMax = 256 << 10
	// keptBufferBytesMax is how large an encoding buffer may be to be kept.
	keptBufferBytesMax = 1 << 20
)

// connection is one connection after its handshake.
type connection struct {
	network *Network
	// stream carries the frames; raw is below it, the same without TLS. Closing
	// raw never waits.
	stream net.Conn
	raw    *paced
	peer   network.Local
	class  core.Class
	// inbound: the peer made it, so requests come in and responses go out.
	inbound bool
	// dialled is where this node reached the peer, empty if Config.Resolve said
	// where; said and guess are as in greeted.
	dialled, said, guess string
	// takes is the longest frame to the peer.
	takes int
	// sequence orders inbound connections by when they were accepted.
	sequence uint64
	queue    *queue
	// done is closed when nothing of it runs any more.
	done chan struct{}

	proofs *proofs
	// proven: the peer has proved to know a cluster of this node, so it is who it
	// says. It stays so.
	proven atomic.Bool
	// over: it has failed.
	over atomic.Bool
	// yielding are older connections of which all has to be received first.
	yielding atomic.Pointer[[]*connection]
	// counter is where the bytes of messages count: in leaving, or as responses
	// once the peer that made the connection has proved itself.
	counter atomic.Pointer[atomic.Uint64]
	leaving leaving

	// sign: a sign of life is asked for at once. owes: a request came, and
	// nothing was written since. telling: addresses are to be told. probing: the
	// peer is to be asked for a sign of life.
	sign, owes, telling, probing atomic.Bool

	mu    sync.Mutex
	cause error
}

func (n *Network) newConnection(g greeted, raw *paced) *connection {
	c := &connection{
		network: n, stream: g.stream, raw: raw, peer: g.peer, class: g.class, said: g.said, guess: g.guess, takes: g.takes,
		queue: n.newQueue(), done: make(chan struct{}), proofs: newProofs(g.session, g.role),
	}
	c.inbound = g.role == wire.RoleListener
	c.counter.Store(&c.leaving.taken)
	answers := time.Duration(0)
	if c.asks() {
		answers = n.config.AnswerTimeout
	}
	raw.begin(n.config.SilenceMax, answers)
	return c
}

// asks reports whether answers are due on the connection that wait for no disk
// (rule 30).
func (c *connection) asks() bool { return !c.inbound && c.class == core.ClassControl }

// run serves the connection until it ends and returns why. The writer runs on
// the caller's goroutine.
func (c *connection) run() error {
	defer close(c.done)
	if !c.network.enlist(c) {
		c.fail(ErrClosed)
		return ErrClosed
	}
	defer c.network.delist(c)
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.fail(c.read())
	}()
	c.fail(c.write())
	<-read
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// fail ends the connection. The first cause is kept.
func (c *connection) fail(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	c.mu.Unlock()
	c.over.Store(true)
	c.settle()
	_ = c.raw.Close()
	c.queue.close()
}

// abandon closes a connection that run was never called for.
func (c *connection) abandon() {
	c.fail(ErrClosed)
	close(c.done)
}

// lasts waits for d, or until nothing of the connection runs any more, and
// reports whether it outlasted d.
func (c *connection) lasts(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
		return false
	case <-timer.C:
		return true
	}
}

func (c *connection) read() error {
	reader := wire.NewFrameReader(c.stream, c.network.config.FrameBytesMax)
	for {
		f, err := reader.Next()
		if err != nil {
			return c.named(err)
		}
		switch {
		case f.Message != nil:
			err = c.receive(f.Message)
		case f.Kind == wire.KindProof:
			err = c.receiveProof(f.Proof)
		case f.Kind == wire.KindAddresses:
			c.receiveAddresses(f.Addresses)
		case f.Kind == wire.KindPing:
			c.signOfLife()
		}
		if err != nil {
			return err
		}
	}
}

func (c *connection) receive(m core.Message) error {
	if err := c.check(m); err != nil {
		return err
	}
	if c.inbound && c.class == core.ClassControl {
		if _, vote := m.(*core.VoteRequest); vote {
			// Rule 30: its answer may wait for a disk, the sign of life does not.
			c.signOfLife()
		} else if !c.owes.Load() {
			c.owes.Store(true)
		}
	}
	if c.yielding.Load() != nil {
		for _, older := range *c.yielding.Swap(nil) {
			<-older.done
		}
	}
	c.proofs.mark(m, c.proven.Load())
	c.network.handler.Receive(c.peer.Identity, m)
	return nil
}

// signOfLife has the writer say something at once.
func (c *connection) signOfLife() {
	c.sign.Store(true)
	c.queue.wake()
}

// check refuses what does not belong on this connection.
func (c *connection) check(m core.Message) error {
	h := m.Head()
	switch {
	case h.From != c.peer.Identity:
		return fmt.Errorf("%w: node %v sent a %T as node %v", network.ErrFrame, c.peer.Identity, m, h.From)
	case h.To.ID != c.network.local.ID:
		return fmt.Errorf("%w: a %T for node %d", network.ErrFrame, m, h.To.ID)
	case m.Class() != c.class || m.Response() == c.inbound:
		return fmt.Errorf("%w: a %T on a %s connection, inbound: %t", network.ErrFrame, m, c.class, c.inbound)
	}
	return nil
}

// writer is the state of the goroutine that writes.
type writer struct {
	*connection
	buffer []byte
	batch  []queued
	// quiet is for how long nothing was written, as far as the beats tell; owed
	// says that a request came before the last beat.
	quiet time.Duration
	owed  bool
}

func (c *connection) write() error {
	w := &writer{connection: c}
	beat := c.network.config.KeepAliveInterval
	if c.inbound && c.class == core.ClassControl {
		// A request is acknowledged at the second beat after it.
		beat = min(beat, c.network.config.AnswerTimeout/4)
	}
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		var closed bool
		w.batch, closed = c.queue.take(w.batch)
		if closed {
			return ErrClosed
		}
		err := w.writeAll()
		if err != nil {
			return c.named(err)
		}
		if len(w.batch) > 0 {
			clear(w.batch)
			continue
		}
		select {
		case <-c.queue.wakeUp:
		case <-ticker.C:
			err = w.beat(beat)
		}
		if err != nil {
			return c.named(err)
		}
	}
}

// beat writes a sign of life where one is due.
func (w *writer) beat(interval time.Duration) error {
	w.quiet += interval
	owes := w.owes.Load()
	if w.quiet >= w.network.config.KeepAliveInterval || owes && w.owed {
		return w.keepAlive()
	}
	w.owed = owes
	return nil
}

func (w *writer) keepAlive() error {
	frame, err := wire.AppendFrame(w.buffer[:0], nil, w.network.config.FrameBytesMax)
	if err != nil {
		return err
	}
	return w.flush(frame, false)
}

// writeAll encodes and writes the batch, and what the connection itself has to say.
func (w *writer) writeAll() error {
	b := w.appendOwn(w.buffer[:0])
	if len(b) > 0 {
		if err := w.flush(b, false); err != nil {
			return err
		}
	} else if w.sign.Load() && len(w.batch) == 0 {
		if err := w.keepAlive(); err != nil {
			return err
		}
	}
	messages, bytes := 0, 0
	b = b[:0]
	for i := range w.batch {
		m := w.batch[i].message
		// Rule 29: the proof comes before the group's first message.
		b = w.proofs.appendDue(b, m.Head().Group, w.network.clusters)
		var err error
		if b, err = wire.AppendFrame(b, m, w.takes); err != nil {
			w.network.refuse(m, err)
			return err
		}
		messages++
		bytes += w.batch[i].bytes
		if len(b) >= writeBytesMax || i == len(w.batch)-1 {
			if err := w.flush(b, true); err != nil {
				return err
			}
			w.queue.written(messages, bytes)
			messages, bytes = 0, 0
			if cap(b) > keptBufferBytesMax {
				b = nil
			}
			b = b[:0]
		}
	}
	w.buffer = b
	return nil
}

// appendOwn appends proofs and addresses that are due, and pings.
func (w *writer) appendOwn(b []byte) []byte {
	if w.proofs.owes.Load() {
		b = w.proofs.appendOwed(b, w.network.clusters)
	}
	if w.telling.Load() && w.telling.Swap(false) {
		if known := w.network.addresses.learned(w.peer.ID); len(known) > 0 {
			b = wire.AppendAddresses(b, known)
		}
	}
	if w.probing.Load() && w.probing.Swap(false) {
		b = wire.AppendPing(b)
	}
	return b
}

// flush writes, and counts it if it is messages.
func (w *writer) flush(b []byte, messages bool) error {
	w.quiet, w.owed = 0, false
	// Before it leaves: a request that comes meanwhile is not answered by it.
	w.owes.Store(false)
	w.sign.Store(false)
	if !messages {
		_, err := w.stream.Write(b)
		return err
	}
	w.raw.counter.Store(w.counter.Load())
	since := time.Duration(0)
	if w.raw.answers > 0 {
		since = w.raw.expectAnswer()
	}
	_, err := w.stream.Write(b)
	w.raw.counter.Store(nil)
	w.raw.requestLeft(since)
	return err
}

// named says what an error of reading or writing means.
func (c *connection) named(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("tcp: node %d closed the connection: %w", c.peer.ID, err)
	case errors.Is(err, ErrUnanswered):
		return fmt.Errorf("%w: node %d, for %v", ErrUnanswered, c.peer.ID, c.network.config.AnswerTimeout)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("tcp: node %d was silent for %v: %w", c.peer.ID, c.network.config.SilenceMax, err)
	}
	return err
}
