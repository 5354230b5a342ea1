//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// soakNode is a node with its addresses.
type soakNode struct {
	*node
	s *soak
	// busy is held by the fault that is at work on the process.
	busy chan struct{}
	// where is the raft address of this life, nil while there is none.
	where atomic.Pointer[string]
	// straight is where --dial leads, at all times; public is the address that
	// the node tells, until it moves.
	straight *front
	lives    int
	// disk is the node's own file system, "" if it has none. signs is where the files
	// are by which it is told to fail, if it can be.
	disk, signs string

	mu     sync.Mutex
	public *front
	moved  bool
	// lost is set while the node has no data; lostUntil is when it last had none.
	lost      bool
	lostUntil time.Time
}

func (n *soakNode) knowsItsLoss() error {
	s, err := n.status()
	if err == nil && (!s.UnknownToGroup || s.Role != "none") {
		err = fmt.Errorf("%+v", s)
	}
	return err
}

// alone does something to the process while nobody else does, or nothing if ctx
// ends first or the node has lost its data for good.
func (n *soakNode) alone(ctx context.Context, do func() error) error {
	select {
	case n.busy <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-n.busy }()
	if n.isLost() {
		return nil
	}
	return do()
}

// allAlone is alone for all nodes.
func (s *soak) allAlone(ctx context.Context, do func() error) error {
	var held []*soakNode
	defer func() {
		for _, n := range held {
			<-n.busy
		}
	}()
	for _, n := range s.nodes {
		select {
		case n.busy <- struct{}{}:
			held = append(held, n)
		case <-ctx.Done():
			return nil
		}
	}
	return do()
}

// up starts a life. In every other one the node dials where it was told to, in
// the rest where it has learned that the others are.
func (n *soakNode) up() error {
	n.mu.Lock()
	straight := n.lives%2 == 0 && !n.moved
	flags := n.flags
	n.flags = append(slices.Clone(flags), "--advertise", n.public.address())
	n.moved = false
	n.lives++
	n.mu.Unlock()
	defer func() { n.flags = flags }()
	if straight {
		for _, other := range n.s.nodes {
			if other != n {
				n.flags = append(n.flags, "--dial", fmt.Sprintf("%d=%s", other.id, other.straight.address()))
			}
		}
	}
	fmt.Fprintf(n.history, "---- %s: life %d, %q\n", time.Now().Format(time.RFC3339Nano), n.lives, n.flags)
	// Each life listens elsewhere. The ready line tells the public address.
	var where string
	err := n.startsUp(func() (err error) {
		if where, err = unusedAddress(); err != nil {
			return err
		}
		n.raftAddress = where
		return n.tryStart()
	})
	if err == nil {
		n.where.Store(&where)
	}
	return err
}

func (n *soakNode) down() {
	n.where.Store(nil)
	n.kill()
	fmt.Fprintf(n.history, "---- %s: killed\n", time.Now().Format(time.RFC3339Nano))
}

// move takes another address for the node's lives from now on, while it is down.
// At the old one somebody else is then.
func (n *soakNode) move() error {
	f, err := newFront(n.s.ctx, n.s.links, n.id, &n.where)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.public.left.Store(true)
	n.public, n.moved = f, true
	return nil
}

func (n *soakNode) advertised() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.public.address()
}

func (n *soakNode) hasLost() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost = true
}

func (n *soakNode) hasFound() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost, n.lostUntil = false, time.Now()
}

func (n *soakNode) isLost() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}

// excused: a node without its data says that it is part of no cluster.
func (s *soak) excused(n *node, begun time.Time, code api.Code) bool {
	at := s.nodes[n.id-1]
	at.mu.Lock()
	defer at.mu.Unlock()
	return code == api.NoCluster && (at.lost || begun.Before(at.lostUntil))
}
