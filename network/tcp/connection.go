package tcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
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
	stream, raw net.Conn
	peer        network.Local
	class       core.Class
	// inbound: the peer made it, so requests come in and responses go out.
	inbound bool
	// sequence orders inbound connections by when they were accepted.
	sequence uint64
	queue    *queue
	// done is closed when nothing of it runs any more.
	done chan struct{}

	mu    sync.Mutex
	cause error
}

// run serves the connection until it ends and returns why. The writer runs on
// the caller's goroutine.
func (c *connection) run() error {
	defer close(c.done)
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
	_ = c.raw.Close()
	c.queue.close()
}

// abandon closes a connection that run was never called for.
func (c *connection) abandon() {
	c.fail(ErrClosed)
	close(c.done)
}

func (c *connection) read() error {
	reader := wire.NewFrameReader(c, c.network.config.FrameBytesMax)
	for {
		m, err := reader.Next()
		if err != nil {
			return c.named(err)
		}
		if m == nil {
			continue
		}
		if err := c.check(m); err != nil {
			return err
		}
		c.network.handler.Receive(c.peer.Identity, m)
	}
}

// Read is where the frame reader reads: a peer that has nothing to say still
// sends keep-alives, so silence means that it is gone.
func (c *connection) Read(b []byte) (int, error) {
	if err := c.stream.SetReadDeadline(time.Now().Add(c.network.config.SilenceMax)); err != nil {
		return 0, err
	}
	return c.stream.Read(b)
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

func (c *connection) write() error {
	var buffer []byte
	var batch []queued
	quiet := true
	ticker := time.NewTicker(c.network.config.KeepAliveInterval)
	defer ticker.Stop()
	for {
		var closed bool
		batch, closed = c.queue.take(batch)
		if closed {
			return ErrClosed
		}
		if len(batch) > 0 {
			quiet = false
			var err error
			if buffer, err = c.writeAll(buffer, batch); err != nil {
				return c.named(err)
			}
			clear(batch)
			continue
		}
		select {
		case <-c.queue.bell:
		case <-ticker.C:
			if quiet {
				frame, err := wire.AppendFrame(buffer[:0], nil, c.network.config.FrameBytesMax)
				if err != nil {
					return err
				}
				if err := c.flush(frame); err != nil {
					return c.named(err)
				}
			}
			quiet = true
		}
	}
}

// writeAll encodes and writes a batch, and returns the buffer for the next.
func (c *connection) writeAll(buffer []byte, batch []queued) ([]byte, error) {
	messages, bytes := 0, 0
	b := buffer[:0]
	for i := range batch {
		var err error
		if b, err = wire.AppendFrame(b, batch[i].message, c.network.config.FrameBytesMax); err != nil {
			c.network.refuse(batch[i].message, err)
			return nil, err
		}
		messages++
		bytes += batch[i].bytes
		if len(b) >= writeBytesMax || i == len(batch)-1 {
			if err := c.flush(b); err != nil {
				return nil, err
			}
			c.queue.written(messages, bytes)
			messages, bytes = 0, 0
			if cap(b) > keptBufferBytesMax {
				b = nil
			}
			b = b[:0]
		}
	}
	return b, nil
}

func (c *connection) flush(b []byte) error {
	if err := c.stream.SetWriteDeadline(time.Now().Add(c.network.config.SilenceMax)); err != nil {
		return err
	}
	_, err := c.stream.Write(b)
	return err
}

// named says what an error of reading or writing means.
func (c *connection) named(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("tcp: node %d closed the connection: %w", c.peer.ID, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("tcp: node %d was silent for %v: %w", c.peer.ID, c.network.config.SilenceMax, err)
	}
	return err
}
