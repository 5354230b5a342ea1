// Package seen remembers which lives of its peers a network has met, so that a
// process that runs on a copy of an old data directory is found out (rule 17).
package seen

import (
	"fmt"
	"sync"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// identitiesMax bounds what is remembered. Beyond it the identity that was met
// the longest time ago is forgotten.
const identitiesMax = 4096

// Lives holds the newest life of each identity: its start counter and the nonce
// of its process. Safe for concurrent use.
type Lives struct {
	mu     sync.Mutex
	clock  uint64
	newest map[membership.Identity]life
}

type life struct {
	startCounter, nonce uint64
	// metAt orders lives by when they were last met.
	metAt uint64
}

// NewLives returns Lives that know the node's own life: another process that
// shows it runs on a copy.
func NewLives(own network.Local) *Lives {
	l := &Lives{newest: make(map[membership.Identity]life)}
	l.newest[own.Identity] = life{startCounter: own.StartCounter, nonce: own.Nonce}
	return l
}

// Meet checks and remembers what a peer shows. Newer reports that it is a later
// life than the one met before. The error wraps [network.ErrStale].
func (l *Lives) Meet(peer network.Local) (newer bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	before, known := l.newest[peer.Identity]
	switch {
	case !known:
		l.makeRoom()
	case peer.StartCounter < before.startCounter:
		return false, fmt.Errorf("%w: node %v shows start counter %d, and %d was seen", network.ErrStale, peer.Identity, peer.StartCounter, before.startCounter)
	case peer.StartCounter == before.startCounter && peer.Nonce != before.nonce:
		return false, fmt.Errorf("%w: two processes of node %v show start counter %d", network.ErrStale, peer.Identity, peer.StartCounter)
	}
	l.newest[peer.Identity] = life{startCounter: peer.StartCounter, nonce: peer.Nonce, metAt: l.clock}
	return known && peer.StartCounter > before.startCounter, nil
}

// Overtaken reports whether a later life of the peer was met since Meet took
// this one.
func (l *Lives) Overtaken(peer network.Local) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return peer.StartCounter < l.newest[peer.Identity].startCounter
}

// makeRoom forgets the identity that was met the longest time ago, never the
// node's own, which has no metAt.
func (l *Lives) makeRoom() {
	if len(l.newest) < identitiesMax {
		return
	}
	var oldest membership.Identity
	at := l.clock
	for id, life := range l.newest {
		if life.metAt > 0 && life.metAt < at {
			oldest, at = id, life.metAt
		}
	}
	delete(l.newest, oldest)
}
