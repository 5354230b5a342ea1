package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/memory"
)

// cluster is all nodes with all groups.
type cluster struct {
	settings *settings
	dir      string // "" when nothing is kept on disk
	hub      *inproc.Hub
	nodes    []*troupe.Node
	stores   []io.Closer
	groups   []*group
	spans    spans

	closing sync.Once
	closed  error
}

// group is one Raft group: handles and machines by node.
type group struct {
	rafts    []*troupe.Raft
	machines []*machine
	leader   int
}

// startLimit bounds the forming of all groups.
const startLimit = time.Minute

// openCluster starts the nodes and forms the groups. It leaves nothing behind
// when it fails.
func openCluster(ctx context.Context, s *settings) (*cluster, error) {
	c := &cluster{settings: s, hub: inproc.NewHub()}
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *cluster) open(ctx context.Context) (err error) {
	if c.settings.store == "badger" {
		if c.dir, err = os.MkdirTemp(c.settings.dir, "troupe-bench-"); err != nil {
			return fmt.Errorf("-dir: %w", err)
		}
	}
	for i := range c.settings.nodes {
		if err := c.openNode(ctx, troupe.NodeID(i+1)); err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for i := range c.settings.groups {
		g, err := c.openGroup(ctx, i)
		if err != nil {
			return fmt.Errorf("group %d: %w", i+1, err)
		}
		c.groups = append(c.groups, g)
	}
	return nil
}

func (c *cluster) openNode(ctx context.Context, id troupe.NodeID) error {
	traced, err := c.spans.node(ctx, id, c.settings.traceRatio)
	if err != nil {
		return fmt.Errorf("-trace-ratio: %w", err)
	}
	log, snapshots, err := c.openStores(id)
	if err != nil {
		return err
	}
	c.stores = append(c.stores, log)
	if by := c.slowness(int(id) - 1); by > 1 {
		log = slowStore{log, by}
	}
	network, err := c.openNetwork(id)
	if err != nil {
		return err
	}
	node, err := troupe.NewNode(troupe.NodeConfig{ID: id, Network: network, Log: log, Snapshots: snapshots, Tracing: traced})
	if err != nil {
		return errors.Join(err, network.Close())
	}
	c.nodes = append(c.nodes, node)
	return nil
}

func (c *cluster) openStores(id troupe.NodeID) (troupe.LogStore, troupe.SnapshotStore, error) {
	if c.settings.store == "memory" {
		return memory.New(id), memory.NewSnapshots(), nil
	}
	dir := filepath.Join(c.dir, fmt.Sprintf("node-%d", id))
	snapshots, err := files.Open(filepath.Join(dir, "snapshots"), nil)
	if err != nil {
		return nil, nil, err
	}
	c.stores = append(c.stores, snapshots)
	log, err := badger.Open(filepath.Join(dir, "log"), badger.Options{Node: id})
	if err != nil {
		return nil, nil, err
	}
	return log, snapshots, nil
}

func (c *cluster) openNetwork(id troupe.NodeID) (troupe.Network, error) {
	if c.settings.mode == "mem" {
		return c.hub.Network(fmt.Sprintf("node-%d", id)), nil
	}
	return tcp.Listen(tcp.Config{Address: "127.0.0.1:0"})
}

// openGroup starts a group on all nodes and forms it. The groups' leaders are
// spread over the nodes.
func (c *cluster) openGroup(ctx context.Context, number int) (*group, error) {
	g := &group{leader: number % len(c.nodes)}
	var members []troupe.Member
	for i, node := range c.nodes {
		machine := newMachine(c.settings.readPercent > 0)
		var asIs troupe.StateMachine = machine
		if by := c.slowness(i); by > 1 {
			machine.mayLag = true
			asIs = slowMachine{machine, by}
		}
		if bytes := c.settings.machineBytes; bytes > 0 {
			asIs = &filled{bytes: bytes}
		}
		config := troupe.Config{
			Group:            troupe.GroupID(number + 1),
			StateMachine:     asIs,
			SnapshotEntries:  troupe.Never,
			SnapshotLogBytes: troupe.Never,
		}
		if n := c.settings.snapshotEntries; n > 0 {
			config.SnapshotEntries = n
		}
		if c.settings.machineBytes > 0 {
			// What the memory holds of the log needs no snapshot.
			config.CommandBytesMax, config.LogCacheBytesMax = besideCommandMax, besideCacheBytes
		}
		raft, err := node.Start(ctx, config)
		if err != nil {
			return nil, err
		}
		g.rafts, g.machines = append(g.rafts, raft), append(g.machines, machine)
		members = append(members, troupe.At(troupe.NodeID(i+1), node.Address()))
	}
	if err := g.rafts[g.leader].Bootstrap(ctx, members...); err != nil {
		return nil, err
	}
	return g, g.findLeader(ctx)
}

// findLeader waits until some node leads the group and admits proposals. It is
// the one that was bootstrapped, unless the machine is so slow that there was
// an election.
func (g *group) findLeader(ctx context.Context) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		for i := range g.rafts {
			if candidate := (g.leader + i) % len(g.rafts); g.rafts[candidate].Status().Ready {
				g.leader = candidate
				return nil
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("no leader: %w", ctx.Err())
		}
	}
}

// slowness is by how many times a node is slower than the others: the last one is the
// slow follower, if there is one.
func (c *cluster) slowness(node int) slowness {
	if node == c.settings.nodes-1 {
		return slowness(c.settings.slowFollower)
	}
	return 1
}

// applied returns how many commands the slowest node of the group has applied, but for
// one that is slow on purpose.
func (g *group) applied() uint64 {
	least := g.machines[0].count.Load()
	for _, m := range g.machines {
		if !m.mayLag {
			least = min(least, m.count.Load())
		}
	}
	return least
}

// terms adds up the terms of all groups: it grows with each election.
func (c *cluster) terms() (sum uint64) {
	for _, g := range c.groups {
		sum += uint64(g.rafts[g.leader].Status().Term)
	}
	return sum
}

// close stops all nodes, whose waiting clients are answered, and removes the
// data. It may be called again, and concurrently.
func (c *cluster) close() error {
	c.closing.Do(func() {
		var stopping sync.WaitGroup
		for _, node := range c.nodes {
			stopping.Go(node.Kill)
		}
		stopping.Wait()
		c.spans.close()
		var failures []error
		for _, store := range c.stores {
			failures = append(failures, store.Close())
		}
		if c.dir != "" {
			failures = append(failures, os.RemoveAll(c.dir))
		}
		c.closed = errors.Join(failures...)
	})
	return c.closed
}
