package tcp

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
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
	// logPauseMin and logPauseMax are the bounds of the time after which the
	// log tells again of a node that cannot be reached.
	logPauseMin = time.Second
	logPauseMax = time.Minute
	// unprovedMax bounds for how long a connection may prove nothing while the
	// node may be elsewhere.
	unprovedMax = time.Minute
)

// errRedirected ends an attempt at an address where the node is no more.
var errRedirected = errors.New("tcp: the peer has proved itself at another address")

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

	// takes is the longest frame that the node takes, as it told last, 0 if it never did.
	takes atomic.Int64

	mu sync.Mutex
	// known: SetAddress told an address.
	known   bool
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
	// trying is the address of the attempt or the connection of the moment.
	trying string
	// fresh: the next attempt is as the first one, for something was learned.
	fresh bool

	// The rest belongs to the link's goroutine. attempts counts those that
	// failed since the last success, turn which address is the next.
	attempts int
	turn     int
	// stood: there was a connection once.
	stood bool
	// unproved counts the connections since the last proved one that were given
	// up because nothing was proved on them.
	unproved int
	// logged are the kinds of trouble that were logged since the link went down;
	// loggedAt and pause say when the log tells again that it is down.
	logged   map[string]bool
	loggedAt time.Time
	pause    time.Duration
}

// send hands a request over.
func (l *link) send(m core.Message, bytes int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || !l.known:
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

// setAddress is called when the address of the configuration has changed.
func (l *link) setAddress(known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = known
	l.down, l.fresh = false, true
	l.drop(ErrAddressChanged)
}

// redirect is called when it was learned where the node is: whoever is dialled
// elsewhere is given up, and who answers elsewhere has to prove itself soon.
func (l *link) redirect(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh = true
	switch {
	case l.interrupt == nil || l.trying == address:
	case l.connection == nil:
		l.interrupt(errRedirected)
	default:
		l.doubt(l.connection, l.network.config.AnswerTimeout)
	}
}

// doubt gives a connection up unless the peer proves itself on it within some
// time. It may be that of whoever sits at an old address of the node.
func (l *link) doubt(c *connection, patience time.Duration) {
	l.network.start(func() {
		for c.lasts(patience) {
			switch {
			case c.proven.Load():
				return
			case c.proofs.shownAny.Load():
				c.fail(ErrUnproved)
				return
			}
			// It has to prove only what this node has shown to know itself.
		}
	})
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
	// others: there are more addresses than this one.
	others bool
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
	if !l.down || l.fresh {
		l.attempts = 0
	}
	if l.fresh {
		l.fresh, l.turn = false, 0
	}
	// Rule 30: by turns.
	candidates := l.network.addresses.candidates(l.node)
	a = &attempt{others: len(candidates) > 1}
	if len(candidates) > 0 {
		a.address = candidates[l.turn%len(candidates)]
	}
	l.trying = a.address
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
			// Whose turn it is stays: a stranger may have called.
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
	stood := err == nil
	if stood {
		began := time.Now()
		l.network.handler.Connected(c.peer.Identity, l.class)
		if a.others && l.network.addresses.proven(l.node) {
			l.doubt(c, min(l.network.config.AnswerTimeout<<min(l.unproved, 10), unprovedMax))
		}
		err = c.run()
		if time.Since(began) >= steadyAfter {
			l.attempts = 0
		}
		l.judge(c, err)
	} else {
		l.turn++
	}
	l.lost(a, err)
}

// judge says which address is next after a connection that stood: the same,
// unless the peer did not prove itself there.
func (l *link) judge(c *connection, err error) {
	switch {
	case c.proven.Load():
		l.unproved, l.turn = 0, 0
	case errors.Is(err, ErrUnproved):
		l.unproved++
		fallthrough
	default:
		l.turn++
	}
	if errors.Is(err, ErrUnanswered) && c.class == core.ClassControl {
		l.network.suspect(c)
	}
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
	l.takes.Store(int64(c.takes))
	l.connection, l.interrupt = c, c.fail
	what := "connected"
	if l.stood {
		what = "connected again"
	}
	level := slog.LevelDebug
	if l.down {
		level = slog.LevelInfo
	}
	l.network.log.Log(context.Background(), level, what, "peer", l.node, "class", l.class, "address", a.address)
	l.down, l.stood = false, true
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
		l.pause = logPauseMin
		what := "connection lost"
		if ended == nil {
			what = "cannot connect"
		}
		l.log(what, a.address, cause)
		return
	}
	if kind := name(cause); !l.logged[kind] || time.Since(l.loggedAt) >= l.pause {
		if l.logged[kind] {
			l.pause = min(2*l.pause, logPauseMax)
		}
		l.logged[kind] = true
		l.log("cannot connect", a.address, cause)
	}
}

func (l *link) log(what, address string, cause error) {
	l.loggedAt = time.Now()
	l.network.log.Warn(what, "peer", l.node, "class", l.class, "address", address, "cause", cause)
}

// connect dials and shakes hands.
func (l *link) connect(ctx context.Context, address string) (*connection, error) {
	n := l.network
	ctx, cancel := context.WithTimeout(ctx, n.config.HandshakeTimeout)
	defer cancel()
	resolved := n.resolve(ctx, l.node, address)
	stream, err := n.dial(ctx, l.node, resolved)
	if err != nil {
		return nil, n.late(ctx, err)
	}
	raw := &paced{Conn: stream}
	g, err := n.greet(ctx, raw, l.node, l.class, resolved)
	if err != nil {
		_ = raw.Close()
		return nil, n.late(ctx, err)
	}
	c := n.newConnection(g, raw)
	if resolved == address {
		// What Resolve said is its own business.
		c.dialled = address
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
