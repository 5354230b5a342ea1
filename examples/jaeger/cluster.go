package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

const nodes = 3

// A snapshot is made often, and little of the log is kept behind it or in memory,
// so that a node that was away for a moment needs one.
const (
	snapshotEntries  = 100
	keepEntries      = 20
	commandBytesMax  = 1 << 10
	logCacheBytesMax = 2 << 10
	// logCacheEntriesMax is how many entries, of an overhead each, the
	// in-memory log has at most: twice what is asked for.
	logCacheEntriesMax = 2 * logCacheBytesMax / core.EntryOverheadBytes
)

// node is one member: what it keeps, and what runs while it is up.
type node struct {
	id              troupe.NodeID
	dir             string
	electionTimeout time.Duration
	exporter        *exporter

	address string // the real one, once it has listened
	stores  []io.Closer

	mu      sync.Mutex // the load runs beside kill and start
	raft    *troupe.Raft
	machine *machine
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
	machine := newMachine()
	raft, err := troupe.Start(ctx,
		troupe.NodeConfig{ID: n.id, Network: network, Log: store, Snapshots: snapshots, Tracing: n.exporter.Tracing()},
		troupe.Config{
			StateMachine: machine, ElectionTimeout: n.electionTimeout,
			SnapshotEntries: snapshotEntries, KeepEntries: keepEntries,
			CommandBytesMax: commandBytesMax, LogCacheBytesMax: logCacheBytesMax,
		})
	if err != nil {
		return errors.Join(err, network.Close(), n.kill())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.raft, n.machine = raft, machine
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

// running returns the handle and the state machine, nil while the node is down.
func (n *node) running() (*troupe.Raft, *machine) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.raft, n.machine
}

// kill ends the node without a word to the others, as far as a node can be
// killed whose process lives on.
func (n *node) kill() error {
	raft, _ := n.running()
	if raft != nil {
		raft.Kill()
	}
	n.mu.Lock()
	n.raft, n.machine = nil, nil
	n.mu.Unlock()
	var err error
	for _, store := range n.stores {
		err = errors.Join(err, store.Close())
	}
	n.stores = nil
	return err
}

// cluster is the three of them.
type cluster struct{ nodes []*node }

// openCluster starts the nodes. It leaves nothing running when it fails.
func openCluster(ctx context.Context, s *settings, dir string, exporters []*exporter) (*cluster, error) {
	c := &cluster{}
	for i, e := range exporters {
		n := &node{
			id: troupe.NodeID(i + 1), dir: filepath.Join(dir, fmt.Sprintf("node-%d", i+1)),
			electionTimeout: s.electionTimeout, exporter: e,
		}
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
	raft, _ := c.nodes[0].running()
	return raft.Bootstrap(ctx, members...)
}

// up returns the nodes that run.
func (c *cluster) up() []*node {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n *node) bool {
		raft, _ := n.running()
		return raft == nil
	})
}

// leader waits until some running node leads and admits proposals, and all
// running ones know it. The others are those that run and follow.
func (c *cluster) leader(ctx context.Context) (leader *node, others []*node, err error) {
	up := c.up()
	for {
		leader, others = nil, nil
		var id troupe.NodeID
		for _, n := range up {
			raft, _ := n.running()
			if err := raft.Wait(ctx, func(s troupe.Status) bool {
				id = s.Leader
				return slices.ContainsFunc(up, func(o *node) bool { return o.id == s.Leader })
			}); err != nil {
				return nil, nil, fmt.Errorf("node %d knows no leader: %w", n.id, err)
			}
		}
		for _, n := range up {
			if n.id == id {
				leader = n
			} else {
				others = append(others, n)
			}
		}
		// It may have stepped down since.
		raft, _ := leader.running()
		if err := raft.Wait(ctx, func(s troupe.Status) bool { return s.Ready || s.Leader != leader.id }); err != nil {
			return nil, nil, fmt.Errorf("node %d is not ready: %w", leader.id, err)
		}
		if raft.Status().Ready {
			return leader, others, nil
		}
	}
}
