package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/logger"
	"github.com/lni/dragonboat/v4/plugin/tan"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"github.com/lni/vfs"
)

func init() {
	peers["dragonboat"] = peer{startDragonboat, []string{"tan", "pebble"}, []string{"linearizable"}}
}

const dbShard = 1

// dbSM implements IConcurrentStateMachine, the batched in-memory kind.
type dbSM struct{ *machine }

func (s dbSM) Update(es []sm.Entry) ([]sm.Entry, error) {
	for i := range es {
		s.apply(es[i].Cmd)
	}
	return es, nil
}

func (s dbSM) Lookup(client any) (any, error) { return s.lastOf(client.(uint32)), nil }
func (s dbSM) PrepareSnapshot() (any, error)  { return nil, nil }
func (s dbSM) Close() error                   { return nil }
func (s dbSM) SaveSnapshot(any, io.Writer, sm.ISnapshotFileCollection, <-chan struct{}) error {
	return errNoSnapshots
}
func (s dbSM) RecoverFromSnapshot(io.Reader, []sm.SnapshotFile, <-chan struct{}) error {
	return errNoSnapshots
}

type dbCluster struct {
	ms     []*machine
	hosts  []*dragonboat.NodeHost
	leader *dragonboat.NodeHost
}

func startDragonboat(o options) (cluster, error) {
	for _, name := range []string{
		"raft", "rsm", "transport", "dragonboat", "logdb", "grpc", "utils", "config", "raftpb",
		"tan", "settings", "registry", "server", "order", "pebblekv", "tests",
	} {
		logger.GetLogger(name).SetLevel(logger.ERROR)
	}
	c := &dbCluster{}
	members := map[uint64]string{}
	for i := range uint64(nodes) {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		members[i+1] = addr
	}
	for i := range uint64(nodes) {
		id := i + 1
		hc := config.NodeHostConfig{
			NodeHostDir:    filepath.Join(o.dir, fmt.Sprint("nh", id)),
			RTTMillisecond: 100,
			RaftAddress:    members[id],
			Expert:         config.GetDefaultExpertConfig(),
		}
		if o.store != "pebble" {
			hc.Expert.LogDBFactory = tan.Factory
		}
		if o.mode == "mem" {
			hc.NodeHostDir = fmt.Sprint("/nh", id)
			hc.Expert.FS = vfs.NewMem()
			hc.Expert.LogDBFactory = dbMemLogFactory{}
			hc.Expert.TransportFactory = dbMemTransportFactory{}
		}
		nh, err := dragonboat.NewNodeHost(hc)
		if err != nil {
			return nil, err
		}
		m := newMachine()
		c.hosts, c.ms = append(c.hosts, nh), append(c.ms, m)
		err = nh.StartConcurrentReplica(members, false,
			func(_, _ uint64) sm.IConcurrentStateMachine { return dbSM{m} },
			config.Config{
				ReplicaID: id, ShardID: dbShard, ElectionRTT: 10, HeartbeatRTT: 1,
				CheckQuorum: true, PreVote: true,
			})
		if err != nil {
			return nil, err
		}
	}
	for deadline := time.Now().Add(30 * time.Second); c.leader == nil; time.Sleep(20 * time.Millisecond) {
		for i, nh := range c.hosts {
			if id, _, ok, err := nh.GetLeaderID(dbShard); err == nil && ok && id == uint64(i+1) {
				c.leader = nh
			}
		}
		if time.Now().After(deadline) {
			return nil, errNoLeader
		}
	}
	return c, nil
}

func (c *dbCluster) client(int) func([]byte) error {
	session := c.leader.GetNoOPSession(dbShard)
	return func(cmd []byte) error {
		rs, err := c.leader.Propose(session, cmd, 10*time.Second)
		if err != nil {
			return err
		}
		defer rs.Release()
		if r := <-rs.ResultC(); !r.Completed() {
			return fmt.Errorf("not completed (timeout %v, rejected %v, dropped %v)",
				r.Timeout(), r.Rejected(), r.Dropped())
		}
		return nil
	}
}

func (c *dbCluster) reader(id int) func() error {
	seen, client := uint32(0), any(uint32(id))
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		last, err := c.leader.SyncRead(ctx, dbShard, client)
		if err != nil {
			return err
		}
		if last.(uint32) < seen {
			return errStaleRead
		}
		seen = last.(uint32)
		return nil
	}
}

func (c *dbCluster) machines() []*machine { return c.ms }

func (c *dbCluster) close() {
	for _, nh := range c.hosts {
		nh.Close()
	}
}

// In mem mode two plug-ins of our own replace the log store and the transport:
// tan on dragonboat's in-memory file system copies a file on every growth and
// is slower than tan on a disk, and its channel transport serializes.

type dbMemTransport struct {
	addr string
	msgs raftio.MessageHandler
}

var dbMemPeers sync.Map // address -> *dbMemTransport

type dbMemTransportFactory struct{}

func (dbMemTransportFactory) Validate(string) bool { return true }
func (dbMemTransportFactory) Create(c config.NodeHostConfig, m raftio.MessageHandler, _ raftio.ChunkHandler) raftio.ITransport {
	return &dbMemTransport{addr: c.RaftAddress, msgs: m}
}

func (t *dbMemTransport) Name() string { return "peers-mem" }
func (t *dbMemTransport) Start() error { dbMemPeers.Store(t.addr, t); return nil }
func (t *dbMemTransport) Close() error { dbMemPeers.Delete(t.addr); return nil }
func (t *dbMemTransport) GetConnection(_ context.Context, to string) (raftio.IConnection, error) {
	p, ok := dbMemPeers.Load(to)
	if !ok {
		return nil, errors.New("no such peer")
	}
	return dbMemConn{p.(*dbMemTransport)}, nil
}
func (t *dbMemTransport) GetSnapshotConnection(context.Context, string) (raftio.ISnapshotConnection, error) {
	return nil, errNoSnapshots
}

type dbMemConn struct{ to *dbMemTransport }

func (c dbMemConn) Close() {}
func (c dbMemConn) SendMessageBatch(b pb.MessageBatch) error {
	reqs := append([]pb.Message(nil), b.Requests...) // the sender reuses the slice
	for i := range reqs {
		reqs[i].Entries = append([]pb.Entry(nil), reqs[i].Entries...)
	}
	b.Requests = reqs
	c.to.msgs(b)
	return nil
}

// dbMemLog is an in-memory ILogDB for one replica per NodeHost.
type dbMemLog struct {
	mu   sync.RWMutex
	node raftio.NodeInfo
	boot *pb.Bootstrap
	st   pb.State
	snap pb.Snapshot
	ents []pb.Entry // contiguous from ents[0].Index
}

type dbMemLogFactory struct{}

func (dbMemLogFactory) Name() string { return "peers-mem" }
func (dbMemLogFactory) Create(config.NodeHostConfig, config.LogDBCallback, []string, []string) (raftio.ILogDB, error) {
	return &dbMemLog{}, nil
}

func (l *dbMemLog) Name() string         { return "peers-mem" }
func (l *dbMemLog) Close() error         { return nil }
func (l *dbMemLog) BinaryFormat() uint32 { return raftio.PlainLogDBBinVersion }
func (l *dbMemLog) ListNodeInfo() ([]raftio.NodeInfo, error) {
	if l.boot == nil {
		return nil, nil
	}
	return []raftio.NodeInfo{l.node}, nil
}
func (l *dbMemLog) SaveBootstrapInfo(s, r uint64, b pb.Bootstrap) error {
	l.node, l.boot = raftio.NodeInfo{ShardID: s, ReplicaID: r}, &b
	return nil
}
func (l *dbMemLog) GetBootstrapInfo(uint64, uint64) (pb.Bootstrap, error) {
	if l.boot == nil {
		return pb.Bootstrap{}, raftio.ErrNoBootstrapInfo
	}
	return *l.boot, nil
}
func (l *dbMemLog) SaveRaftState(us []pb.Update, _ uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range us {
		if !pb.IsEmptyState(us[i].State) {
			l.st = us[i].State
		}
		if es := us[i].EntriesToSave; len(es) > 0 {
			if n := len(l.ents); n > 0 {
				l.ents = l.ents[:min(es[0].Index-l.ents[0].Index, uint64(n))]
			}
			l.ents = append(l.ents, es...)
		}
	}
	return nil
}
func (l *dbMemLog) IterateEntries(es []pb.Entry, size, _, _, low, high, maxSize uint64) ([]pb.Entry, uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for i := low; i < high && len(l.ents) > 0; i++ {
		at := i - l.ents[0].Index
		if at >= uint64(len(l.ents)) {
			break
		}
		size += uint64(l.ents[at].SizeUpperLimit())
		es = append(es, l.ents[at])
		if size > maxSize {
			break
		}
	}
	return es, size, nil
}
func (l *dbMemLog) ReadRaftState(uint64, uint64, uint64) (raftio.RaftState, error) {
	if len(l.ents) == 0 {
		return raftio.RaftState{}, raftio.ErrNoSavedLog
	}
	return raftio.RaftState{State: l.st, FirstIndex: l.ents[0].Index, EntryCount: uint64(len(l.ents))}, nil
}
func (l *dbMemLog) RemoveEntriesTo(uint64, uint64, uint64) error { return nil }
func (l *dbMemLog) CompactEntriesTo(uint64, uint64, uint64) (<-chan struct{}, error) {
	ch := make(chan struct{})
	close(ch)
	return ch, nil
}
func (l *dbMemLog) SaveSnapshots([]pb.Update) error                 { return nil }
func (l *dbMemLog) GetSnapshot(uint64, uint64) (pb.Snapshot, error) { return l.snap, nil }
func (l *dbMemLog) RemoveNodeData(uint64, uint64) error             { return nil }
func (l *dbMemLog) ImportSnapshot(pb.Snapshot, uint64) error        { return nil }

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
