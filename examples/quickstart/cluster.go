package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

const nodes = 3

// node is one member: what it keeps, and what runs while it is up.
type node struct {
	id      troupe.NodeID
	dir     string
	address string // the real one, once it has listened

	machine *machine
	raft    *troupe.Raft
	stores  []io.Closer
}

// start opens what the node keeps and lets it run, again or for the first time.
func (n *node) start(ctx context.Context) error {
	store, err := badger.Open(filepath.Join(n.dir, "log"), badger.Options{Node: n.id})
	if err != nil {
		return err
	}
	n.stores = append(n.stores, store)
	snapshots, err := files.Open(filepath.Join(n.dir, "snapshots"), nil)
	if err != nil {
		return errors.Join(err, n.kill())
	}
	n.stores = append(n.stores, snapshots)
	network, err := listen(ctx, n.address)
	if err != nil {
		return errors.Join(err, n.kill())
	}
	n.address = network.Address()
	n.machine = newMachine()
	n.raft, err = troupe.Start(ctx,
		troupe.NodeConfig{ID: n.id, Network: network, Log: store, Snapshots: snapshots},
		troupe.Config{StateMachine: n.machine})
	if err != nil {
		return errors.Join(err, network.Close(), n.kill())
	}
	return nil
}

// listen opens a port of the system's choice, or the one that the node had:
// its members know it by that.
func listen(ctx context.Context, address string) (troupe.Network, error) {
	if address == "" {
		return tcp.Listen(tcp.Config{Address: "127.0.0.1:0"})
	}
	for {
		network, err := tcp.Listen(tcp.Config{Address: address})
		if err == nil {
			return network, nil
		}
		// A program that was handed the free port meanwhile may let go of it.
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// kill ends the node without a word to the others, as far as a node can be
// killed whose process lives on.
func (n *node) kill() error {
	if n.raft != nil {
		n.raft.Kill()
		n.raft = nil
	}
	var err error
	for _, store := range n.stores {
		err = errors.Join(err, store.Close())
	}
	n.stores = nil
	return err
}

// cluster is the three of them.
type cluster struct{ nodes []*node }

func openCluster(ctx context.Context, dir string) (*cluster, error) {
	c := &cluster{}
	for i := range nodes {
		n := &node{id: troupe.NodeID(i + 1), dir: filepath.Join(dir, fmt.Sprintf("node-%d", i+1))}
		if err := n.start(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("node %d: %w", n.id, err), c.close())
		}
		c.nodes = append(c.nodes, n)
	}
	return c, nil
}

func (c *cluster) close() error {
	var failures []error
	for _, n := range c.nodes {
		failures = append(failures, n.kill())
	}
	return errors.Join(failures...)
}

func (c *cluster) bootstrap(ctx context.Context) error {
	var members []troupe.Member
	for _, n := range c.nodes {
		members = append(members, troupe.At(n.id, n.address))
	}
	return c.nodes[0].raft.Bootstrap(ctx, members...)
}

// running returns the nodes that are up.
func (c *cluster) running() []*node {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n *node) bool { return n.raft == nil })
}

// leader waits until some running node leads, and all running ones know it.
func (c *cluster) leader(ctx context.Context) (*node, error) {
	var id troupe.NodeID
	for _, n := range c.running() {
		if err := n.raft.Wait(ctx, func(s troupe.Status) bool {
			id = s.Leader
			return slices.ContainsFunc(c.running(), func(n *node) bool { return n.id == s.Leader })
		}); err != nil {
			return nil, fmt.Errorf("node %d knows no leader: %w", n.id, err)
		}
	}
	return c.nodes[id-1], nil
}

// compare waits until every node has applied all that was written before, and
// returns an error unless all hold the wanted commands and nothing else.
func (c *cluster) compare(ctx context.Context, wanted map[string]bool) error {
	for _, n := range c.nodes {
		if _, err := n.raft.ReadIndex(ctx, troupe.Linearizable); err != nil {
			return fmt.Errorf("node %d does not catch up: %w", n.id, err)
		}
		content := n.machine.content()
		for _, command := range content {
			if !wanted[command] {
				return fmt.Errorf("node %d holds %q, which was never written", n.id, command)
			}
		}
		if len(content) != len(wanted) {
			return fmt.Errorf("node %d lost %d of %d acknowledged writes", n.id, len(wanted)-len(content), len(wanted))
		}
	}
	return nil
}

// writer writes commands through all running nodes, leader or not.
type writer struct {
	cluster *cluster

	mu           sync.Mutex
	next         int
	acknowledged map[string]bool
}

// clients is how many writes are under way at a time.
const clients = 16

// write returns when so many more commands were acknowledged, and how long
// that took.
func (w *writer) write(ctx context.Context, count int) (time.Duration, error) {
	begin := time.Now()
	tickets := make(chan int, count)
	for range count {
		tickets <- w.next
		w.next++
	}
	close(tickets)
	running := w.cluster.running()
	failures := make([]error, min(clients, count))
	var group sync.WaitGroup
	for i := range failures {
		group.Go(func() {
			for ticket := range tickets {
				n := running[ticket%len(running)]
				if failures[i] = w.one(ctx, n, fmt.Sprintf("write %06d", ticket)); failures[i] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return time.Since(begin), cmp.Or(failures...)
}

// one writes a command until it is acknowledged.
func (w *writer) one(ctx context.Context, n *node, command string) error {
	for {
		_, err := n.raft.Propose(ctx, []byte(command))
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.acknowledged == nil {
				w.acknowledged = make(map[string]bool)
			}
			w.acknowledged[command] = true
			return nil
		}
		if ctx.Err() != nil || !troupe.MayHaveHappened(err) {
			return fmt.Errorf("%s on node %d: %w", command, n.id, err)
		}
	}
}
