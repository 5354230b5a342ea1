package simulation

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// nodesMax is the largest cluster, with nodes from 1 to nodesMax.
const nodesMax = 7

// Causes of a lost connection.
var (
	errRefused = errors.New("simulation: connection refused")
	errTimeout = errors.New("simulation: connection timed out")
	errReset   = errors.New("simulation: connection reset")
)

// redialAfter is for how long nobody dials again after a failure.
const redialAfter = 20 * time.Millisecond

// fabric is what lies between the nodes: links that faults block or slow down,
// and the connections on them.
type fabric struct {
	sim  *sim
	rand *rand.Rand
	// blocked counts the faults that block the way from one node to another.
	blocked [nodesMax + 1][nodesMax + 1]int
	// slow is added to the delay of that way.
	slow        [nodesMax + 1][nodesMax + 1]time.Duration
	connections []*connection // those that may still deliver something
	// squatters answer at the addresses of nodes that are down.
	squatters [nodesMax + 1]*endpoint
}

// connection is one connection of one class, from a dialer to an acceptor.
// Requests go forth on it and responses back.
type connection struct {
	fabric   *fabric
	class    core.Class
	dialer   *endpoint
	acceptor *endpoint // nil while it is being made
	target   core.NodeID
	address  string // that is dialled
	up       bool
	// closing: nothing new gets through. The dialer knows it when it has read
	// what was under way, and sends into the void until then.
	closing, closed bool
	forth, back     pipe
}

// pipe is one direction of a connection, first in, first out.
type pipe struct {
	connection *connection
	from, to   core.NodeID
	flights    []flight
	event      *event // delivers the first flight, nil if there is none or it waits
	waits      bool   // for the link to be unblocked
	stalled    bool   // nothing moves in it for a while, whatever moves beside it
	// proved are the clusters that its sender has proved to know, of each group,
	// as far as the receiver has read.
	proved clusters
	// told is the sender's moves, as far as it has told the receiver of them.
	told int
}

// flight is a message under way, or the proof of a group. Without either it is
// the end of the connection.
type flight struct {
	message core.Message
	group   membership.GroupID
	proof   core.ClusterID
	digest  uint64
	at      core.Instant // not before
}

// endpoint is the network of one life, or of a squatter.
type endpoint struct {
	fabric  *fabric
	life    *life // nil: a squatter's
	local   network.Local
	handler network.Handler
	closed  bool
	address string
	places  [nodesMax + 1]place
	// moves counts the peers that this one has found at another address.
	moves    int
	out, in  [nodesMax + 1][core.Classes + 1]*connection
	reported [nodesMax + 1][core.Classes + 1]bool
	redial   [nodesMax + 1][core.Classes + 1]core.Instant
	clusters clusters // of SetCluster
	sent     [nodesMax + 1][core.Classes + 1]uint64
}

var _ network.Network = (*endpoint)(nil)

func (n *endpoint) Start(local network.Local, known []network.Peer, h network.Handler) error {
	n.local, n.handler = local, h
	for i := range known {
		// Of several incarnations nobody knows which is the latest.
		p := &n.places[known[i].ID]
		p.former, p.who, p.learned = p.learned, known[i].Local, known[i].Address
	}
	return nil
}

func (n *endpoint) Address() string { return n.address }

// Send hands m to the connection that it belongs on.
func (n *endpoint) Send(m core.Message) bool {
	h := m.Head()
	s := n.fabric.sim
	if n.closed || n.handler == nil {
		return false
	}
	stranger := h.To.ID == strangerID && m.Response()
	if !h.From.SameStore(n.local.Identity) || h.To.ID < 1 || h.To.ID > nodesMax && !stranger || h.To.ID == n.local.ID {
		s.fail("network: a message that nobody may send", "%v sends %T from %v to %v", n.life, m, h.From, h.To)
		return false
	}
	d := digest(m)
	n.life.replicas[h.Group-1].sent(m)
	ok := !stranger && n.send(m, d)
	sent := truth(ok)
	if !ok {
		n.life.replicas[h.Group-1].witness.loses(m)
	}
	s.trace.add(traceSend, uint64(n.local.ID), uint64(h.To.ID), uint64(h.Term), d, sent)
	if s.trace.on() {
		s.trace.say("to n%d, accepted %v: %s", h.To.ID, ok, describe(m))
	}
	return ok
}

func (n *endpoint) send(m core.Message, d uint64) bool {
	to, class := m.Head().To.ID, m.Class()
	if m.Response() {
		c := n.in[to][class]
		return c != nil && c.up && c.back.push(m, d)
	}
	c := n.out[to][class]
	if c == nil {
		if n.places[to].next() == "" || n.fabric.sim.clock.now < n.redial[to][class] {
			return false
		}
		c = n.dial(to, class)
	}
	switch {
	case c.closing:
		return true // The dialer cannot know yet that nobody reads.
	case c.up || n.fabric.sim.plan.queueOnDial && !n.reported[to][class]:
		return c.forth.push(m, d)
	}
	// While the handler knows that the peer is down it would not be told of what
	// is lost again.
	return false
}

func (n *endpoint) dial(to core.NodeID, class core.Class) *connection {
	c := &connection{fabric: n.fabric, class: class, dialer: n, target: to, address: n.places[to].next()}
	c.forth = pipe{connection: c, from: n.local.ID, to: to}
	c.back = pipe{connection: c, from: to, to: n.local.ID}
	n.out[to][class] = c
	n.fabric.connections = append(n.fabric.connections, c)
	n.fabric.sim.clock.after(n.fabric.delay(n.local.ID, to), n.life, c.reach)
	return c
}

// reach is the first half of a handshake: is there anybody?
func (c *connection) reach() {
	if c.closed {
		return
	}
	f, from, to := c.fabric, c.dialer.local.ID, c.target
	if f.blocked[from][to] > 0 || f.blocked[to][from] > 0 {
		f.sim.clock.after(f.sim.plan.election, c.dialer.life, func() { c.abort(errTimeout) })
		return
	}
	at := f.at(c.address)
	switch {
	case at == nil:
		c.abort(errRefused)
	case at.local.ID != to:
		c.abort(&network.WrongPeerError{Address: c.address, Want: to, Got: at.local.ID})
	default:
		c.acceptor = at
		f.sim.clock.after(f.delay(to, from), at.life, c.establish)
	}
}

// establish is the second half: both sides know each other.
func (c *connection) establish() {
	if c.closed || c.dialer.closed || c.acceptor.closed {
		return
	}
	from := c.dialer.local.ID
	if old := c.acceptor.in[from][c.class]; old != nil && old != c && !old.closed {
		old.close()
	}
	c.up = true
	c.acceptor.in[from][c.class] = c
	c.dialer.reported[c.target][c.class] = false
	c.fabric.sim.trace.add(traceConnection, uint64(from), uint64(c.target), uint64(c.class), 1)
	c.introduce()
	c.dialer.handler.Connected(c.acceptor.local.Identity, c.class)
	c.forth.arm()
}

// abort ends the connection at the dialer, at once.
func (c *connection) abort(cause error) {
	if c.closed {
		return
	}
	c.closed, c.up = true, false
	c.forth.clear()
	c.back.clear()
	n := c.dialer
	if n.out[c.target][c.class] == c {
		n.out[c.target][c.class] = nil
	}
	if c.acceptor != nil && c.acceptor.in[n.local.ID][c.class] == c {
		c.acceptor.in[n.local.ID][c.class] = nil
	}
	if n.life.dead || n.closed {
		return
	}
	n.redial[c.target][c.class] = c.fabric.sim.clock.now.Add(redialAfter)
	n.places[c.target].turn++
	if n.reported[c.target][c.class] {
		return
	}
	n.reported[c.target][c.class] = true
	c.fabric.sim.trace.add(traceConnection, uint64(n.local.ID), uint64(c.target), uint64(c.class), 0)
	c.fabric.sim.clock.after(time.Microsecond, n.life, func() {
		if !n.closed {
			n.handler.Disconnected(c.target, c.class, cause)
		}
	})
}

// close ends the connection from the other side or in between. The dialer
// learns of it behind what is still under way to it.
func (c *connection) close() {
	if c.closing || c.closed {
		return
	}
	c.closing, c.up = true, false
	if c.acceptor != nil && c.acceptor.in[c.dialer.local.ID][c.class] == c {
		c.acceptor.in[c.dialer.local.ID][c.class] = nil
	}
	c.back.append(flight{})
}

// push takes a message, unless the window is full, which all groups share.
func (p *pipe) push(m core.Message, d uint64) bool {
	s := p.connection.fabric.sim
	if len(p.flights) >= s.plan.netWindow*len(s.groups) {
		return false
	}
	p.append(flight{message: m, digest: d})
	return true
}

func (p *pipe) append(f flight) {
	fabric := p.connection.fabric
	f.at = fabric.sim.clock.now.Add(fabric.delay(p.from, p.to))
	p.flights = append(p.flights, f)
	p.arm()
}

// arm sets the event that delivers the first flight.
func (p *pipe) arm() {
	c := p.connection
	if p.event != nil || p.waits || len(p.flights) == 0 || !c.up && !c.closing {
		return
	}
	receiver := c.acceptor
	if p == &c.back {
		receiver = c.dialer
	}
	if receiver == nil {
		return
	}
	now := c.fabric.sim.clock.now
	p.event = c.fabric.sim.clock.after(p.flights[0].at.Sub(now), receiver.life, func() { p.deliver(receiver) })
}

func (p *pipe) deliver(receiver *endpoint) {
	p.event = nil
	c := p.connection
	if len(p.flights) == 0 || c.closed {
		return
	}
	if c.fabric.blocked[p.from][p.to] > 0 || p.stalled {
		p.waits = true
		return
	}
	f := p.flights[0]
	p.flights = slices.Delete(p.flights, 0, 1)
	if f.message == nil && f.proof.IsZero() {
		c.abort(errReset)
		return
	}
	p.arm()
	if receiver.closed {
		return
	}
	s := c.fabric.sim
	if f.message == nil {
		p.proved[f.group] = f.proof
		s.trace.add(traceConnection, uint64(p.from), uint64(p.to), uint64(c.class), 3)
		receiver.learn(c)
		receiver.takeHints(c)
		return
	}
	p.passOn(receiver)
	c.other(receiver).sent[p.to][c.class] += uint64(network.SizeBytes(f.message))
	if digest(f.message) != f.digest {
		s.fail("network: a message was changed after it was sent", "from n%d to n%d: %s", p.from, p.to, describe(f.message))
	}
	s.trace.add(traceDeliver, uint64(p.to), uint64(p.from), f.digest)
	if s.trace.on() {
		s.trace.say("from n%d: %s", p.from, describe(f.message))
	}
	if m, ok := f.message.(*core.IdentifyRequest); ok && receiver.life != nil {
		r := receiver.life.replicas[m.Group-1]
		r.group.check.askedFor(r, m)
	}
	m := p.received(receiver, f.message)
	if c.other(receiver).life == nil {
		s.saw(squatterAnswers)
	} else if receiver.life != nil && !m.Head().Cluster.IsZero() {
		receiver.life.replicas[m.Head().Group-1].witness.delivered(m)
	}
	receiver.handler.Receive(c.other(receiver).local.Identity, m)
}

func (p *pipe) clear() {
	if p.event != nil {
		p.connection.fabric.sim.clock.cancel(p.event)
		p.event = nil
	}
	p.lose(p.flights)
	p.flights, p.waits = nil, false
}

// lose takes note of what will not arrive.
func (p *pipe) lose(flights []flight) {
	sender := p.connection.dialer
	if p == &p.connection.back {
		sender = p.connection.acceptor
	}
	for i := range flights {
		if m := flights[i].message; m != nil && sender.life != nil {
			sender.life.replicas[m.Head().Group-1].witness.loses(m)
		}
	}
}

// cut loses all but a random number of the first flights.
func (p *pipe) cut() {
	n := p.connection.fabric.rand.IntN(len(p.flights) + 1)
	p.lose(p.flights[n:])
	p.flights = p.flights[:n]
	if n == 0 {
		p.clear()
	}
}

// MessageBytesMax implements network.Network.
func (n *endpoint) MessageBytesMax() int { return 0 }

// Sent counts what has arrived: what a blocked or stalled connection holds has
// not left.
func (n *endpoint) Sent(node membership.NodeID, class core.Class) uint64 {
	if node < 1 || node > nodesMax {
		return 0
	}
	return n.sent[node][class]
}

func (n *endpoint) Break(node membership.NodeID, class core.Class) {
	if node >= 1 && node <= nodesMax && n.out[node][class] != nil {
		n.out[node][class].abort(errReset)
	}
}

// Close ends all connections, as a process does that ends.
func (n *endpoint) Close() error {
	if !n.closed {
		n.fabric.leave(n)
	}
	return nil
}

// leave ends the connections of a process that ended, on whatever way. Part of
// what it had sent may still arrive.
func (f *fabric) leave(n *endpoint) {
	n.closed = true
	for _, c := range f.connections {
		switch {
		case c.closed:
		case c.dialer == n:
			c.forth.cut()
			c.back.clear()
			if c.acceptor == nil || len(c.forth.flights) == 0 {
				c.abort(errReset)
			} else if !c.closing {
				c.closing, c.up = true, false
				c.acceptor.in[n.local.ID][c.class] = nil
			}
		case c.acceptor == n:
			c.forth.clear()
			switch {
			case c.closing: // its end is under way already
			case c.up:
				c.back.cut()
				c.close()
			default:
				c.abort(errRefused)
			}
		}
	}
	f.connections = slices.DeleteFunc(f.connections, func(c *connection) bool { return c.closed || c.spent() })
}

// spent reports whether a connection whose dialer has ended has nothing left.
func (c *connection) spent() bool { return c.dialer.closed && len(c.forth.flights) == 0 }

// delay draws how long something takes from a node to another.
func (f *fabric) delay(from, to core.NodeID) time.Duration {
	return f.sim.plan.netDelay.draw(f.rand) + f.slow[from][to]
}

// block blocks the way from a node to another. Connections on it stall, and
// some of them are given up.
func (f *fabric) block(from, to core.NodeID) {
	f.blocked[from][to]++
	for _, c := range f.connections {
		d := c.dialer.local.ID
		if c.closed || !(d == from && c.target == to || d == to && c.target == from) || !chance(f.rand, 50) {
			continue
		}
		f.sim.clock.after(time.Duration(f.rand.Int64N(int64(3*f.sim.plan.election))), c.dialer.life, func() {
			if f.blocked[from][to] > 0 {
				c.abort(errTimeout)
			}
		})
	}
}

// unblock takes one block away; what waited goes on.
func (f *fabric) unblock(from, to core.NodeID) {
	if f.blocked[from][to]--; f.blocked[from][to] > 0 {
		return
	}
	for _, c := range f.connections {
		for _, p := range []*pipe{&c.forth, &c.back} {
			if p.from == from && p.to == to {
				p.goOn()
			}
		}
	}
}

// goOn lets what waited for a link or a stall move again.
func (p *pipe) goOn() {
	if c := p.connection; p.waits && !c.closed {
		p.waits = false
		p.flights[0].at = c.fabric.sim.clock.now.Add(c.fabric.delay(p.from, p.to))
		p.arm()
	}
}

// stall stops connections between two nodes while the others go on, as when
// packets are lost: what is said on different classes then arrives in a very
// different order, and answers pile up. It returns what ends it.
func (f *fabric) stall(a, b core.NodeID, class core.Class, forth, back bool) (undo func()) {
	var stalled []*pipe
	take := func(p *pipe, wanted bool) {
		if wanted && !p.stalled {
			p.stalled = true
			stalled = append(stalled, p)
		}
	}
	for _, c := range f.connections {
		if !c.closed && c.dialer.local.ID == a && c.target == b && (class == 0 || c.class == class) {
			take(&c.forth, forth)
			take(&c.back, back)
		}
	}
	return func() {
		for _, p := range stalled {
			p.stalled = false
			p.goOn()
		}
	}
}

// lose breaks connections between two nodes: one class, or all of them if it is
// 0. All that is under way on them is lost.
func (f *fabric) lose(a, b core.NodeID, class core.Class) {
	for _, c := range f.connections {
		d := c.dialer.local.ID
		if c.closed || c.closing || class != 0 && c.class != class || !(d == a && c.target == b || d == b && c.target == a) {
			continue
		}
		c.forth.clear()
		c.back.clear()
		if c.up {
			c.close()
		}
	}
}
