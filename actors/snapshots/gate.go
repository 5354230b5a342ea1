package snapshots

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/membership"
)

// Gate gives one transfer at a time its turn to each node: two would only share its
// connection. The others wait in the order of their coming. All groups of a node
// share it, and it numbers their transfers.
//
// A transfer that stands still while others wait, for an election time-out of its
// group, loses its turn and lines up again behind them: its snapshot store may hang, or
// that of its receiver (rule 28). Its pieces that are under way stay so.
type Gate struct {
	env   stage.Environment
	last  atomic.Uint64
	mu    sync.Mutex
	lines map[membership.NodeID]*line
}

// line is the transfers to a node, of which the first has its turn. patrol runs while
// others wait.
type line struct {
	senders []*sender
	patrol  stage.Timer
	armed   bool
}

// NewGate returns a gate. The number of its first transfer is drawn at random, so that
// an answer to an earlier life fits none.
func NewGate(env stage.Environment) *Gate {
	g := &Gate{env: env, lines: make(map[membership.NodeID]*line)}
	g.last.Store(env.Rand())
	return g
}

func (g *Gate) number() uint64 { return g.last.Add(1) }

// enter lines a sender up, unless it has left already.
func (g *Gate) enter(s *sender) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.left {
		return
	}
	node := s.peer.ID
	l := g.lines[node]
	if l == nil {
		l = &line{}
		g.lines[node] = l
	}
	l.senders = append(l.senders, s)
	if l.senders[0] == s {
		g.begin(s)
	}
	g.watch(node, l)
}

// leave takes a sender out, for good.
func (g *Gate) leave(s *sender) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.left = true
	node := s.peer.ID
	l := g.lines[node]
	if l == nil {
		return
	}
	i := slices.Index(l.senders, s)
	if i < 0 {
		return
	}
	l.senders = slices.Delete(l.senders, i, i+1)
	if i == 0 && len(l.senders) > 0 {
		g.begin(l.senders[0])
	}
	g.watch(node, l)
	if len(l.senders) == 0 {
		delete(g.lines, node)
	}
}

// has reports whether a sender has its turn.
func (g *Gate) has(s *sender) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lines[s.peer.ID]
	return l != nil && len(l.senders) > 0 && l.senders[0] == s
}

// begin gives a sender its turn. The lock is held.
func (g *Gate) begin(s *sender) {
	s.moved.Store(int64(g.env.Now()))
	s.inbox.Put(senderItem{begin: true}, true)
}

// watch lets the patrol run while anybody waits. The lock is held.
func (g *Gate) watch(node membership.NodeID, l *line) {
	switch waits := len(l.senders) > 1; {
	case waits == l.armed:
		return
	case !waits:
		l.patrol.Stop()
	case l.patrol == nil:
		l.patrol = g.env.AfterFunc(l.senders[0].group.ElectionTimeout, func() { g.passOn(node, l) })
	default:
		l.patrol.Reset(l.senders[0].group.ElectionTimeout)
	}
	l.armed = !l.armed
}

// passOn gives the turn of a sender that stands still to the next one.
func (g *Gate) passOn(node membership.NodeID, l *line) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !l.armed || g.lines[node] != l {
		return
	}
	first := l.senders[0]
	limit := first.group.ElectionTimeout
	if still := g.env.Now().Sub(stage.Instant(first.moved.Load())); still < limit {
		l.patrol.Reset(limit - still)
		return
	}
	l.senders = append(l.senders[1:], first)
	g.begin(l.senders[0])
	l.patrol.Reset(l.senders[0].group.ElectionTimeout)
}
