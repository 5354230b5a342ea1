package tcp

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

const (
	// wantedFor is for how long after the last request a peer that is down is
	// tried again.
	wantedFor = 10 * time.Second
	// steadyAfter is how long a connection must have stood for its loss to
	// begin the backoff anew.
	steadyAfter = time.Second
)

// link is this node's side of the connections that it makes to a node for a
// class, one after the other. A goroutine runs it while there is one, or one is
// wanted; it alone calls the handler about the link, so the calls keep their
// order.
//
//	idle        no queue, not down. A request begins an attempt and waits.
//	connecting  a queue, and no connection yet.
//	connected   a queue, which the connection writes from.
//	down        no queue: requests are refused while attempts go on.
type link struct {
	network *Network
	node    membership.NodeID
	class   core.Class
	// wake ends the wait between two attempts.
	wake chan struct{}

	mu      sync.Mutex
	address string
	queue   *queue
	down    bool
	running bool
	closed  bool
	// wantedAt is when a request was last refused because of down.
	wantedAt time.Time
	// owed is what the handler has yet to be told: what was queued is lost.
	owed error
	// interrupt ends the attempt or the connection of the moment.
	interrupt func(cause error)
	// connection is the one of the moment, nil if there is none.
	connection *connection

	// The rest belongs to the link's goroutine. attempts counts those that
	// failed since the last success.
	attempts int
	// logged are the kinds of trouble that were logged since the link went down.
	logged map[string]bool
}

// send hands a request over.
func (l *link) send(m core.Message, bytes int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || l.address == "":
		return false
	case l.queue != nil:
		return l.queue.put(m, bytes)
	case l.down:
		l.wantedAt = time.Now()
		l.ensureRunning()
		return false
	}
	l.queue = l.network.newQueue()
	l.ensureRunning()
	return l.queue.put(m, bytes)
}

// ensureRunning starts the link's goroutine if there is none. The lock is held.
func (l *link) ensureRunning() {
	if !l.running {
		l.running = l.network.start(l.run)
	}
}

// setAddress changes where the node is looked for.
func (l *link) setAddress(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.address == address {
		return
	}
	l.address = address
	l.down = false
	l.drop(ErrAddressChanged)
}

// breakConnection ends the connection, or the making of the first one.
func (l *link) breakConnection() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue != nil {
		l.drop(ErrBroken)
	}
}

// close ends the link for good.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.drop(ErrClosed)
}

// drop makes the link idle. The lock is held.
func (l *link) drop(cause error) {
	if l.queue != nil {
		l.queue.close()
		l.queue = nil
		l.owed = cause
	}
	if l.interrupt != nil {
		l.interrupt(cause)
	}
}

// dropOlder ends a connection with a process of the peer that has a later one
// by now.
func (l *link) dropOlder(peer *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.connection; c != nil && c.olderThan(peer) {
		c.fail(ErrReplaced)
	}
}

// retry ends the wait for the next attempt, for the peer has shown itself.
func (l *link) retry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down && l.running {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func (l *link) run() {
	for {
		a, lost := l.next()
		switch {
		case lost != nil:
			l.network.handler.Disconnected(l.node, l.class, lost)
		case a == nil:
			return
		default:
			if l.wait(a.context) {
				l.serve(a)
			}
			a.cancel(nil)
		}
	}
}

// attempt is one attempt to connect.
type attempt struct {
	// context ends when the attempt is no longer wanted.
	context context.Context
	cancel  context.CancelCauseFunc
	address string
}

// next says what to do: tell the handler of a loss, make an attempt, or end the
// goroutine.
func (l *link) next() (a *attempt, lost error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost, l.owed = l.owed, nil
	wanted := l.queue != nil || l.down && time.Since(l.wantedAt) < wantedFor
	switch {
	case l.closed || lost == nil && !wanted:
		l.running, l.interrupt = false, nil
		l.attempts = 0
		return nil, nil
	case lost != nil:
		return nil, lost
	}
	if !l.down {
		l.attempts = 0
	}
	a = &attempt{address: l.address}
	a.context, a.cancel = context.WithCancelCause(l.network.context)
	l.interrupt = a.cancel
	return a, nil
}

// wait waits until the next attempt is due and reports whether it is to be made.
func (l *link) wait(ctx context.Context) bool {
	if l.attempts > 0 {
		timer := time.NewTimer(l.backoff())
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.wake:
			l.attempts = 0
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// backoff doubles with each attempt; half of it is drawn, so that peers do not
// keep step.
func (l *link) backoff() time.Duration {
	d, most := l.network.config.BackoffMin, l.network.config.BackoffMax
	for i := 1; i < l.attempts && d < most; i++ {
		d *= 2
	}
	d = min(d, most)
	return d/2 + rand.N(d/2+1)
}

// serve makes a connection and serves it until it ends.
func (l *link) serve(a *attempt) {
	c, err := l.connect(a.context, a.address)
	if err == nil {
		if err = l.adopt(a, c); err != nil {
			c.abandon()
		}
	}
	if err == nil {
		began := time.Now()
		l.network.handler.Connected(c.peer.Identity, l.class)
		err = c.run()
		if time.Since(began) >= steadyAfter {
			l.attempts = 0
		}
	}
	l.lost(a, err)
}

// adopt makes c the link's connection, unless it was dropped or overtaken
// meanwhile.
func (l *link) adopt(a *attempt, c *connection) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.context.Err() != nil:
		return context.Cause(a.context)
	case l.network.lives.Overtaken(c.peer):
		return ErrReplaced
	}
	if l.queue == nil {
		l.queue = l.network.newQueue()
	}
	c.queue = l.queue
	l.connection, l.interrupt = c, c.fail
	if l.down {
		l.network.log.Info("connected again", "peer", l.node, "class", l.class, "address", l.address)
	} else {
		l.network.log.Debug("connected", "peer", l.node, "class", l.class, "address", l.address)
	}
	l.down = false
	return nil
}

// lost is called when an attempt failed or a connection ended.
func (l *link) lost(a *attempt, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := l.connection
	l.connection = nil
	if l.closed || a.context.Err() != nil || ended != nil && l.queue != ended.queue {
		// Dropped on request: what there is now is another story.
		return
	}
	l.attempts++
	if !l.down {
		l.down, l.wantedAt = true, time.Now()
		l.owed = cause
		l.queue.close()
		l.queue = nil
		l.logged = map[string]bool{"": true, name(cause): true}
		l.network.log.Warn("connection lost", "peer", l.node, "class", l.class, "address", l.address, "cause", cause)
	} else if kind := name(cause); !l.logged[kind] {
		l.logged[kind] = true
		l.network.log.Warn("cannot connect", "peer", l.node, "class", l.class, "address", l.address, "cause", cause)
	}
}

// connect dials and shakes hands.
func (l *link) connect(ctx context.Context, address string) (*connection, error) {
	n := l.network
	ctx, cancel := context.WithTimeout(ctx, n.config.HandshakeTimeout)
	defer cancel()
	if override, ok := n.config.DialAddress[l.node]; ok {
		address = override
	}
	raw, err := n.dial(ctx, l.node, address)
	if err != nil {
		return nil, n.late(ctx, err)
	}
	g, err := n.greet(ctx, raw, l.node, l.class, address)
	if err != nil {
		_ = raw.Close()
		return nil, n.late(ctx, err)
	}
	c := n.newConnection(g, raw)
	if g.newer {
		n.dropOlderLives(c)
	}
	return c, nil
}

func (n *Network) dial(ctx context.Context, node membership.NodeID, address string) (net.Conn, error) {
	if n.config.Dial != nil {
		return n.config.Dial(ctx, node, address)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", address)
}
