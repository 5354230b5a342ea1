package actors

import (
	"slices"
	"sync"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// snapshotViewed is a view that the apply actor took, for the builder.
type snapshotViewed struct {
	meta core.SnapshotMeta
	view storage.SnapshotView
}

// transfersInCore starts and stops the actors that build, send and receive
// snapshots for a group.
type transfersInCore struct {
	core     *coreActor
	builders []*snapshotBuilder // at most one
	senders  []*snapshotSender
	receiver *snapshotReceiver
}

func (t *transfersInCore) build(v *snapshotViewed) {
	b := newSnapshotBuilder(t.core.group, v)
	t.builders = append(t.builders[:0], b)
	t.core.group.spawn(&b.Shell)
	b.Ring()
}

func (t *transfersInCore) send(cmd *core.SendSnapshot) {
	key := streamKey{cmd.Peer.Identity, cmd.Stream}
	t.streamStopped(key) // one at a time
	s := newSnapshotSender(t.core.group, cmd)
	t.senders = append(t.senders, s)
	t.core.group.setSenders(t.senders)
	t.core.group.spawn(&s.Shell)
	t.core.group.node.gate.enter(s)
}

// sent ends a transfer and lets its stream go on.
func (t *transfersInCore) sent(ev *core.SnapshotSent) {
	key := streamKey{ev.Peer, ev.Stream}
	t.streamStopped(key)
	for _, s := range t.core.streams {
		if s.key == key {
			s.inbox.Put(&core.StreamSnapshotSent{LogID: ev.LogID, OK: ev.OK}, true)
		}
	}
}

func (t *transfersInCore) streamStopped(key streamKey) {
	for i, s := range t.senders {
		if s.key == key {
			s.Stop()
			t.senders = slices.Delete(slices.Clone(t.senders), i, i+1)
			t.core.group.setSenders(t.senders)
			return
		}
	}
}

func (t *transfersInCore) onPeerDown(node membership.NodeID) {
	for _, s := range t.senders {
		if s.key.peer.ID == node {
			s.inbox.Put(senderItem{down: true}, true)
		}
	}
}

func (t *transfersInCore) receive(m *core.SnapshotChunk) {
	if t.receiver == nil {
		t.receiver = newSnapshotReceiver(t.core.group)
		t.core.group.spawn(&t.receiver.Shell)
	}
	t.receiver.inbox.Put(m, true)
}

func (t *transfersInCore) finish() {
	for _, b := range t.builders {
		b.Stop()
	}
	for _, s := range t.senders {
		s.Stop()
	}
	t.core.group.setSenders(nil)
	if t.receiver != nil {
		t.receiver.Stop()
	}
}

// transferGate lets one transfer at a time go to each node: two would only share
// its connection. The others wait in the order of their coming.
type transferGate struct {
	mu    sync.Mutex
	lines map[membership.NodeID][]*snapshotSender // the first one is under way
}

func (g *transferGate) enter(s *snapshotSender) {
	g.mu.Lock()
	if g.lines == nil {
		g.lines = make(map[membership.NodeID][]*snapshotSender)
	}
	node := s.key.peer.ID
	g.lines[node] = append(g.lines[node], s)
	first := g.lines[node][0] == s
	g.mu.Unlock()
	if first {
		s.inbox.Put(senderItem{begin: true}, true)
	}
}

func (g *transferGate) leave(s *snapshotSender) {
	g.mu.Lock()
	node := s.key.peer.ID
	line := g.lines[node]
	i := slices.Index(line, s)
	var next *snapshotSender
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
