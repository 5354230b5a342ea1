package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"go.etcd.io/bbolt"
)

func init() { peers["hashicorp"] = peer{start: startHashicorp, stores: []string{"wal", "bolt"}} }

// hcFSM is the machine as a raft.BatchingFSM.
type hcFSM struct{ *machine }

func (f hcFSM) Apply(l *raft.Log) any { f.apply(l.Data); return nil }

func (f hcFSM) ApplyBatch(ls []*raft.Log) []any {
	for _, l := range ls {
		if l.Type == raft.LogCommand {
			f.apply(l.Data)
		}
	}
	return make([]any, len(ls))
}

func (f hcFSM) Snapshot() (raft.FSMSnapshot, error) { return nil, errNoSnapshots }
func (f hcFSM) Restore(io.ReadCloser) error         { return errNoSnapshots }

var errNoSnapshots = errors.New("no snapshots here")

type hcCluster struct {
	options options
	quiet   hclog.Logger
	ms      []*machine
	rafts   []*raft.Raft
	closers []io.Closer
	leader  *raft.Raft
}

func startHashicorp(o options) (cluster, error) {
	c := &hcCluster{options: o, quiet: hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})}
	if err := c.start(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *hcCluster) start() error {
	transports, err := c.transports()
	if err != nil {
		return err
	}
	var configuration raft.Configuration
	for i, t := range transports {
		configuration.Servers = append(configuration.Servers, raft.Server{ID: raft.ServerID(fmt.Sprint("n", i)), Address: t.LocalAddr()})
	}
	for i, t := range transports {
		if err := c.startNode(i, t, configuration); err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(20 * time.Second); c.leader == nil; time.Sleep(20 * time.Millisecond) {
		for _, r := range c.rafts {
			if r.State() == raft.Leader && r.VerifyLeader().Error() == nil {
				c.leader = r
			}
		}
		if time.Now().After(deadline) {
			return errNoLeader
		}
	}
	return nil
}

var errNoLeader = errors.New("no leader")

// transports are the nodes' own: in memory and connected with each other, or on
// TCP.
func (c *hcCluster) transports() (all []raft.Transport, err error) {
	var inMemory []*raft.InmemTransport
	for range nodes {
		if c.options.mode == "mem" {
			address, t := raft.NewInmemTransport("")
			for _, other := range inMemory {
				other.Connect(address, t)
				t.Connect(other.LocalAddr(), other)
			}
			inMemory, all = append(inMemory, t), append(all, t)
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		t := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: &hcStream{l}, MaxPool: 3, Timeout: 10 * time.Second,
			MaxRPCsInFlight: c.options.inflight, Logger: c.quiet,
		})
		c.closers, all = append(c.closers, t), append(all, t)
	}
	return all, nil
}

func (c *hcCluster) startNode(i int, transport raft.Transport, configuration raft.Configuration) error {
	cfg := raft.DefaultConfig()
	cfg.LocalID = configuration.Servers[i].ID
	cfg.Logger = c.quiet
	cfg.BatchApplyCh = true
	cfg.MaxAppendEntries = c.options.batch
	cfg.SnapshotThreshold = 1 << 40 // no compaction during a run, for any peer
	cfg.NoLegacyTelemetry = true
	logs, stable, err := c.stores(i)
	if err != nil {
		return err
	}
	m, snapshots := newMachine(), raft.NewDiscardSnapshotStore()
	if err := raft.BootstrapCluster(cfg, logs, stable, snapshots, transport, configuration); err != nil {
		return err
	}
	r, err := raft.NewRaft(cfg, hcFSM{m}, logs, stable, snapshots, transport)
	if err != nil {
		return err
	}
	c.ms, c.rafts = append(c.ms, m), append(c.rafts, r)
	return nil
}

// stores opens what a node keeps. Those on disk have a cache in front, as the
// products that use this library do.
func (c *hcCluster) stores(i int) (raft.LogStore, raft.StableStore, error) {
	var store interface {
		raft.LogStore
		raft.StableStore
		io.Closer
	}
	var err error
	switch c.options.store {
	case "": // mode mem
		s := raft.NewInmemStore()
		return s, s, nil
	case "bolt":
		store, err = boltdb.New(boltdb.Options{
			Path:        filepath.Join(c.options.dir, fmt.Sprint("bolt", i)),
			BoltOptions: &bbolt.Options{NoFreelistSync: true},
		})
	default:
		dir := filepath.Join(c.options.dir, fmt.Sprint("wal", i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, nil, err
		}
		store, err = wal.Open(dir, wal.WithLogger(c.quiet))
	}
	if err != nil {
		return nil, nil, err
	}
	c.closers = append(c.closers, store)
	cache, err := raft.NewLogCache(4096, store)
	return cache, store, err
}

func (c *hcCluster) client(int) func([]byte) error {
	return func(command []byte) error { return c.leader.Apply(command, 0).Error() }
}

// reader is never asked for: the library has no reads.
func (c *hcCluster) reader(int) func() error { return nil }

func (c *hcCluster) machines() []*machine { return c.ms }

func (c *hcCluster) close() {
	for _, r := range c.rafts {
		_ = r.Shutdown().Error()
	}
	for _, x := range c.closers {
		x.Close()
	}
}

// hcStream is a raft.StreamLayer on plain TCP.
type hcStream struct{ net.Listener }

func (s *hcStream) Dial(a raft.ServerAddress, d time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(a), d)
}
