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
// the longest time ago is forgotten. All of them were proved: strangers cannot
// push a member out (rule 29).
const identitiesMax = 4096

// Lives holds the newest proved life of each identity: its start counter and
// the nonce of its process. Safe for concurrent use.
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

// NewLives returns Lives that know the node's own life, for another process
// that shows it runs on a copy, and those that earlier lives of it met.
func NewLives(own network.Local, known []network.Peer) *Lives {
	l := &Lives{newest: make(map[membership.Identity]life)}
	l.newest[own.Identity] = life{startCounter: own.StartCounter, nonce: own.Nonce}
	for i := range known {
		// One that contradicts what stands before it says nothing new.
		_, _ = l.Meet(known[i].Local)
	}
	return l
}

// Check compares what a peer claims with what was proved. It remembers nothing:
// a claim is proved by nothing yet. The error wraps [network.ErrStale].
func (l *Lives) Check(claim network.Local) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.check(claim)
}

func (l *Lives) check(claim network.Local) error {
	before, known := l.newest[claim.Identity]
	switch {
	case !known:
	case claim.StartCounter < before.startCounter:
		return fmt.Errorf("%w: node %v shows start counter %d, and %d was seen", network.ErrStale, claim.Identity, claim.StartCounter, before.startCounter)
	case claim.StartCounter == before.startCounter && claim.Nonce != before.nonce:
		return fmt.Errorf("%w: two processes of node %v show start counter %d", network.ErrStale, claim.Identity, claim.StartCounter)
	}
	return nil
}

// Meet checks and remembers what a peer has proved. isNew reports whether
// this life was unknown. The error is that of Check.
func (l *Lives) Meet(proved network.Local) (isNew bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(proved); err != nil {
		return false, err
	}
	l.clock++
	before, known := l.newest[proved.Identity]
	if !known {
		l.makeRoom()
	}
	if known && before.metAt == 0 {
		// The node's own life stays what it is.
		return false, nil
	}
	l.newest[proved.Identity] = life{startCounter: proved.StartCounter, nonce: proved.Nonce, metAt: l.clock}
	return !known || proved.StartCounter > before.startCounter, nil
}

// Overtaken reports whether a later life than this one was proved.
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
