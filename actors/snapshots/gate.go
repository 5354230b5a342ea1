package snapshots

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
)

// Limits are those of a node for the transfers of all its groups. A number that is 0 sets
// no limit.
type Limits struct {
	// SendsMax is how many snapshots are sent at a time, each to another node, and
	// ReceivesMax how many are received.
	SendsMax, ReceivesMax int
	// BytesPerSecond bounds what is sent of all snapshots together. Where it is 0, they
	// are sent gently while the node writes commands, as they are always built: Written says
	// when it last did. It is nil if nobody can say.
	BytesPerSecond uint64
	Written        func() stage.Instant
}

// Gate gives transfers their turn: one at a time to each node, because two would only
// share its connection, and so many in all as the node may send. The others wait in the
// order of their coming. All groups of a node share it, and it numbers their transfers.
//
// A transfer that stands still while another could have its turn, for an election
// time-out of its group, loses it and lines up again behind the others: its snapshot
// store may hang, or that of its receiver (rule 28). Its pieces that are under way stay
// so.
type Gate struct {
	env    stage.Environment
	limits Limits
	last   atomic.Uint64
	pace   pace // of what is sent
	builds pace

	mu sync.Mutex
	// active have their turn, waiting line up for it.
	active, waiting []*sender
	// receiving counts the snapshots that are being received.
	receiving int
	// patrol runs while somebody waits for the turn of another.
	patrol stage.Timer
	armed  bool
}

// NewGate returns a gate. The number of its first transfer is drawn at random, so that
// an answer to an earlier life fits none.
func NewGate(env stage.Environment, limits Limits) *Gate {
	g := &Gate{env: env, limits: limits}
	g.last.Store(env.Rand())
	g.pace.rate.Store(limits.BytesPerSecond)
	g.pace.written, g.pace.gentle = limits.Written, gentleSendBytesPerSecond
	g.builds.written, g.builds.gentle, g.builds.lag = limits.Written, gentleBuildBytesPerSecond, buildLag
	return g
}

func (g *Gate) number() uint64 { return g.last.Add(1) }

// enter lines a sender up, unless it stands there or has left for good.
func (g *Gate) enter(s *sender) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.left || slices.Contains(g.active, s) || slices.Contains(g.waiting, s) {
		return
	}
	g.waiting = append(g.waiting, s)
	g.admit()
}

// leave takes a sender out, for good.
func (g *Gate) leave(s *sender) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.left = true
	g.remove(s)
}

// stepAside takes a sender out until it enters again.
func (g *Gate) stepAside(s *sender) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(s)
}

// remove takes a sender out. The lock is held.
func (g *Gate) remove(s *sender) {
	same := func(o *sender) bool { return o == s }
	g.active = slices.DeleteFunc(g.active, same)
	g.waiting = slices.DeleteFunc(g.waiting, same)
	g.admit()
}

// has reports whether a sender has its turn.
func (g *Gate) has(s *sender) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Contains(g.active, s)
}

// admit gives their turn to those who can have it. The lock is held.
func (g *Gate) admit() {
	for i := 0; i < len(g.waiting) && !g.full(); {
		s := g.waiting[i]
		if g.busy(s) {
			i++
			continue
		}
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.active = append(g.active, s)
		s.moved.Store(int64(g.env.Now()))
		s.inbox.Put(senderItem{begin: true}, true)
	}
	g.watch()
}

func (g *Gate) full() bool { return g.limits.SendsMax > 0 && len(g.active) >= g.limits.SendsMax }

// busy reports whether another transfer to the same node has its turn.
func (g *Gate) busy(s *sender) bool {
	return slices.ContainsFunc(g.active, func(o *sender) bool { return o.peer.ID == s.peer.ID })
}

// wanted reports whether somebody waits for the turn of a sender that has one.
func (g *Gate) wanted(s *sender) bool {
	return slices.ContainsFunc(g.waiting, func(o *sender) bool {
		return o.peer.ID == s.peer.ID || g.full() && !g.busy(o)
	})
}

// watch lets the patrol come when the next one that is waited for may lose its turn. The
// lock is held.
func (g *Gate) watch() {
	now, next := g.env.Now(), time.Duration(-1)
	for _, s := range g.active {
		if g.wanted(s) {
			left := max(s.group.ElectionTimeout-s.still(now), time.Millisecond)
			if next < 0 || left < next {
				next = left
			}
		}
	}
	switch {
	case next < 0 && g.armed:
		g.patrol.Stop()
	case next < 0:
	case g.patrol == nil:
		g.patrol = g.env.AfterFunc(next, g.passOn)
	default:
		g.patrol.Reset(next)
	}
	g.armed = next >= 0
}

// passOn gives the turns of those who stand still to others.
func (g *Gate) passOn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.armed {
		return
	}
	now := g.env.Now()
	for _, s := range slices.Clone(g.active) {
		if s.still(now) >= s.group.ElectionTimeout && g.wanted(s) {
			g.active = slices.DeleteFunc(g.active, func(o *sender) bool { return o == s })
			g.waiting = append(g.waiting, s)
		}
	}
	g.admit()
}

// SetRate changes, from now on, how many bytes a second are sent of all snapshots
// together; 0 sets no limit but that beside writes.
func (g *Gate) SetRate(bytesPerSecond uint64) {
	g.pace.set(bytesPerSecond)
	g.mu.Lock()
	defer g.mu.Unlock()
	// One that waits for its turn may have been held back before it lost it.
	for _, s := range slices.Concat(g.active, g.waiting) {
		s.inbox.Put(senderItem{rate: true}, true)
	}
}

// Rate returns that limit.
func (g *Gate) Rate() uint64 { return g.pace.rate.Load() }

// beginReceiving reports whether one more snapshot may be received; endReceiving follows
// then.
func (g *Gate) beginReceiving() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.limits.ReceivesMax > 0 && g.receiving >= g.limits.ReceivesMax {
		return false
	}
	g.receiving++
	return true
}

func (g *Gate) endReceiving() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.receiving--
}
