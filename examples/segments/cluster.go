package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

const nodes = 3

// node is one member: what it keeps, and what runs while it is up.
type node struct {
	id           troupe.NodeID
	dir          string
	segmentBytes int64
	hub          *inproc.Hub
	// sent counts the bytes of snapshots that it has sent.
	sent atomic.Int64

	machine *machine
	raft    *troupe.Raft
	stores  []io.Closer
}

// counting is a network that counts the bytes of snapshots.
type counting struct {
	troupe.Network
	sent *atomic.Int64
}

// Send implements network.Network.
func (n counting) Send(m core.Message) bool {
	taken := n.Network.Send(m)
	if chunk, is := m.(*core.SnapshotChunk); is && taken {
		n.sent.Add(int64(len(chunk.Data)))
	}
	return taken
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
	if n.machine, err = openMachine(ctx, filepath.Join(n.dir, "machine"), n.segmentBytes); err != nil {
		return errors.Join(err, n.kill())
	}
	n.stores = append(n.stores, closing(n.machine.close))
	network := n.hub.Network(address(n.id))
	n.raft, err = troupe.Start(ctx,
		// So slow that the leader writes and compacts while it sends.
		troupe.NodeConfig{ID: n.id, Network: counting{network, &n.sent}, Log: store, Snapshots: snapshots, SnapshotBytesPerSecond: 256 << 10},
		// Little of the log is kept, so that who was away for a moment needs a snapshot.
		troupe.Config{StateMachine: n.machine, SnapshotEntries: troupe.Never, SnapshotLogBytes: troupe.Never, KeepEntries: 1, HoldBytesMax: troupe.Never, CommandBytesMax: 32 << 10, LogCacheBytesMax: 64 << 10})
	if err != nil {
		return errors.Join(err, network.Close(), n.kill())
	}
	return nil
}

func address(id troupe.NodeID) string { return fmt.Sprintf("node-%d", id) }

// closing is an io.Closer.
type closing func() error

// Close implements io.Closer.
func (f closing) Close() error { return f() }

// kill ends the node without a word to the others.
func (n *node) kill() error {
	if n.raft != nil {
		n.raft.Kill()
		n.raft = nil
	}
	var err error
	for _, store := range slices.Backward(n.stores) {
		err = errors.Join(err, store.Close())
	}
	n.stores = nil
	return err
}

// cluster is the three of them.
type cluster struct{ nodes []*node }

func openCluster(ctx context.Context, dir string, segmentBytes int64) (*cluster, error) {
	c, hub := &cluster{}, inproc.NewHub()
	var members []troupe.Member
	for i := range nodes {
		id := troupe.NodeID(i + 1)
		n := &node{id: id, dir: filepath.Join(dir, address(id)), segmentBytes: segmentBytes, hub: hub}
		if err := n.start(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("node %d: %w", id, err), c.close())
		}
		c.nodes = append(c.nodes, n)
		members = append(members, troupe.At(id, address(id)))
	}
	if err := c.nodes[0].raft.Bootstrap(ctx, members...); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *cluster) close() error {
	var err error
	for _, n := range c.nodes {
		err = errors.Join(err, n.kill())
	}
	return err
}

// leader waits until a node leads.
func (c *cluster) leader(ctx context.Context) (*node, error) {
	var id troupe.NodeID
	err := c.nodes[0].raft.Wait(ctx, func(s troupe.Status) bool {
		id = s.Leader
		return id != 0
	})
	if err != nil {
		return nil, err
	}
	return c.nodes[id-1], nil
}

// clients is how many writes are under way at a time.
const clients = 32

// write gives all keys from first on, up to last, new values through a node. A key may be
// written twice: it has the same value then.
func write(ctx context.Context, n *node, first, last int, value func(key int) []byte) error {
	keys := make(chan int)
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for key := range keys {
				_, err := n.raft.Propose(ctx, put(keyName(key), value(key)))
				for ctx.Err() == nil && troupe.MayHaveHappened(err) {
					_, err = n.raft.Propose(ctx, put(keyName(key), value(key)))
				}
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	for key := first; key < last && failed.Load() == nil; key++ {
		keys <- key
	}
	close(keys)
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func keyName(key int) string { return fmt.Sprintf("key-%06d", key) }
