package snapshots

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/membership"
)

// Gate lets one transfer at a time go to each node: two would only share its
// connection. The others wait in the order of their coming. All groups of a node
// share it, and it numbers their transfers.
type Gate struct {
	last  atomic.Uint64
	mu    sync.Mutex
	lines map[membership.NodeID][]*sender // the first one is under way
}

// NewGate returns a gate. first is drawn at random, so that an answer to an earlier
// life fits no transfer.
func NewGate(first uint64) *Gate {
	g := &Gate{lines: make(map[membership.NodeID][]*sender)}
	g.last.Store(first)
	return g
}

func (g *Gate) number() uint64 { return g.last.Add(1) }

func (g *Gate) enter(s *sender) {
	g.mu.Lock()
	node := s.peer.ID
	g.lines[node] = append(g.lines[node], s)
	first := g.lines[node][0] == s
	g.mu.Unlock()
	if first {
		s.inbox.Put(senderItem{begin: true}, true)
	}
}

func (g *Gate) leave(s *sender) {
	g.mu.Lock()
	node := s.peer.ID
	line := g.lines[node]
	i := slices.Index(line, s)
	var next *sender
	if i >= 0 {
		line = slices.Delete(line, i, i+1)
		if i == 0 && len(line) > 0 {
			next = line[0]
		}
		if len(line) == 0 {
			delete(g.lines, node)
		} else {
			g.lines[node] = line
		}
	}
	g.mu.Unlock()
	if next != nil {
		next.inbox.Put(senderItem{begin: true}, true)
	}
}
