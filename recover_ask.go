package troupe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network"
)

// askEvery is how often a member that has not answered is asked again.
const askEvery = 50 * time.Millisecond

// ask asks the other members of all groups who they are, until all have answered or the
// limit has passed.
func (r *recovery) ask(ctx context.Context) error {
	a := &asking{network: r.config.Network, self: r.self, heard: make(map[NodeID]*askedNode), news: make(chan struct{}, 1)}
	for i := range r.groups {
		for _, p := range r.groups[i].told.Others {
			a.add(r.groups[i].told.Group, &p.Member)
		}
	}
	if a.network == nil {
		return nil
	}
	if len(a.heard) == 0 {
		return a.network.Close()
	}
	err := a.run(ctx, r.config.Log, r.config.AskLimit)
	if err := errors.Join(err, a.network.Close()); err != nil {
		return fmt.Errorf("troupe: the other members cannot be asked: %w", err)
	}
	for i := range r.groups {
		g := &r.groups[i].told
		for j := range g.Others {
			g.Others[j].Alive, g.Others[j].Said = a.heard[g.Others[j].ID].says(g.Group)
		}
	}
	return nil
}

// asking is the network's handler while members are asked. It has proved nothing, and
// believes what it is told: whoever answers in a member's place stands in the way of a
// recovery until somebody has looked.
type asking struct {
	network Network
	self    Identity

	mu    sync.Mutex
	heard map[NodeID]*askedNode
	news  chan struct{}
}

// askedNode is what was heard of a node.
type askedNode struct {
	address string
	// groups are those of which it is asked, with the answers.
	groups map[GroupID]*core.IdentifyResponse
	// connected is who answers under the id, zero if nobody does. trouble is why it could
	// not be reached, nil if it could be.
	connected Identity
	trouble   error
}

func (a *asking) add(group GroupID, m *Member) {
	n := a.heard[m.ID]
	if n == nil {
		n = &askedNode{groups: make(map[GroupID]*core.IdentifyResponse)}
		a.heard[m.ID] = n
	}
	n.groups[group] = nil
	if m.Address != "" {
		n.address = m.Address
	}
}

func (a *asking) run(ctx context.Context, log LogStore, limit time.Duration) error {
	var known []network.Peer
	for _, p := range log.Peers() {
		known = append(known, network.Peer{Local: network.Local{Identity: p.Identity, StartCounter: p.StartCounter, Nonce: p.Nonce}, Address: p.Address})
	}
	// A life to come, as far as a peer can tell: the last one is known to it, perhaps.
	// Nothing is proved, so that nobody keeps it (rule 29).
	local := network.Local{Identity: a.self, StartCounter: log.Header().StartCounter + 1, Nonce: rand.Uint64()}
	if err := a.network.Start(local, known, a); err != nil {
		return err
	}
	for id, n := range a.heard {
		a.network.SetAddress(id, n.address)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	again := time.NewTicker(askEvery)
	defer again.Stop()
	for !a.all() {
		select {
		case <-a.news:
		case <-again.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return nil
		}
	}
	return nil
}

// all asks whoever has not answered, and reports whether nobody is left.
func (a *asking) all() bool {
	var requests []core.Message
	a.mu.Lock()
	for id, n := range a.heard {
		for group, answer := range n.groups {
			if answer == nil {
				requests = append(requests, &core.IdentifyRequest{Header: core.Header{Group: group, From: a.self, To: Identity{ID: id}}, ID: 1})
			}
		}
	}
	a.mu.Unlock()
	for _, m := range requests {
		a.network.Send(m)
	}
	return len(requests) == 0
}

// says reports whether a node may hold what a group has decided, and what is known of it.
func (n *askedNode) says(group GroupID) (alive bool, text string) {
	switch answer := n.groups[group]; {
	case answer != nil && answer.Empty:
		return false, fmt.Sprintf("it runs as %v, and holds nothing of the group", answer.From)
	case answer != nil:
		return true, fmt.Sprintf("it answers as %v, and holds data of the group", answer.From)
	case !n.connected.IsZero():
		return true, fmt.Sprintf("it answers as %v, and does not say what it holds of the group", n.connected)
	case errors.Is(n.trouble, network.ErrStale), errors.Is(n.trouble, network.ErrVersion):
		return true, fmt.Sprintf("it answers, and refuses the connection: %v", n.trouble)
	case n.trouble != nil:
		return false, fmt.Sprintf("it cannot be reached: %v", n.trouble)
	}
	return false, "it does not answer"
}

func (a *asking) note(node NodeID, change func(n *askedNode)) {
	a.mu.Lock()
	if n := a.heard[node]; n != nil {
		change(n)
	}
	a.mu.Unlock()
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// Receive implements network.Handler.
func (a *asking) Receive(from Identity, m core.Message) {
	answer, ok := m.(*core.IdentifyResponse)
	if !ok {
		return
	}
	a.note(from.ID, func(n *askedNode) {
		if _, asked := n.groups[answer.Group]; asked {
			n.groups[answer.Group] = answer
		}
	})
}

// Connected implements network.Handler.
func (a *asking) Connected(peer Identity, _ core.Class) {
	a.note(peer.ID, func(n *askedNode) { n.connected = peer })
}

// Disconnected implements network.Handler.
func (a *asking) Disconnected(node NodeID, _ core.Class, cause error) {
	a.note(node, func(n *askedNode) { n.trouble = cause })
}

// Learned implements network.Handler.
func (a *asking) Learned(network.Peer) {}

// Outlived implements network.Handler.
func (a *asking) Outlived(by Identity) {
	a.note(by.ID, func(n *askedNode) { n.connected = by })
}
