package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

func init() { peers["etcd"] = peer{start: startEtcd, reads: []string{"linearizable", "lease"}} }

// etcd's library is a state machine only, so this file is the runtime its
// users have to write: one goroutine per node drains proposals and messages in
// batches, sends MsgApp before the leader's own disk write, syncs, and applies.
type etcdNode struct {
	id      uint64
	rn      *raft.RawNode
	mem     *raft.MemoryStorage
	wal     *etcdWAL // nil in mem mode
	m       *machine
	c       *etcdCluster
	props   chan etcdProp
	inbox   chan []*pb.Message
	out     [nodes + 1]chan []*pb.Message // disk mode: TCP senders
	waiting map[uint64]chan error
	// reads are those of a request for a read index, by its number; served wait until
	// an index is applied.
	reads   map[uint64][]chan error
	asked   uint64
	served  []etcdRead
	applied uint64
	leader  atomic.Bool
}

// etcdRead is the reads of one request that has its index.
type etcdRead struct {
	index uint64
	done  []chan error
}

// etcdProp is a command, or a read if it is nil.
type etcdProp struct {
	cmd  []byte
	done chan error
}

type etcdCluster struct {
	ns   [nodes]*etcdNode
	stop chan struct{}
	wg   sync.WaitGroup
	ls   []net.Listener
}

var errNotLeader = errors.New("not the leader")

func startEtcd(o options) (cluster, error) {
	c := &etcdCluster{stop: make(chan struct{})}
	ids := []uint64{1, 2, 3}
	readOnly := raft.ReadOnlySafe
	if o.read == "lease" {
		readOnly = raft.ReadOnlyLeaseBased
	}
	quiet := &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)}
	for i, id := range ids {
		mem := raft.NewMemoryStorage()
		if err := mem.ApplySnapshot(&pb.Snapshot{Metadata: &pb.SnapshotMetadata{
			ConfState: &pb.ConfState{Voters: ids}, Index: proto.Uint64(1), Term: proto.Uint64(1),
		}}); err != nil {
			return nil, err
		}
		rn, err := raft.NewRawNode(&raft.Config{
			ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: mem, Applied: 1,
			MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256,
			CheckQuorum: true, PreVote: true, ReadOnlyOption: readOnly, Logger: quiet,
		})
		if err != nil {
			return nil, err
		}
		n := &etcdNode{
			id: id, rn: rn, mem: mem, m: newMachine(), c: c,
			props: make(chan etcdProp, 4096), inbox: make(chan []*pb.Message, 4096),
			waiting: map[uint64]chan error{}, reads: map[uint64][]chan error{}, applied: 1,
		}
		if o.mode == "disk" {
			if n.wal, err = newEtcdWAL(filepath.Join(o.dir, fmt.Sprint("wal", id))); err != nil {
				return nil, err
			}
		}
		c.ns[i] = n
	}
	if o.mode == "disk" {
		if err := c.connect(); err != nil {
			return nil, err
		}
	}
	for _, n := range c.ns {
		c.wg.Add(1)
		go n.run()
	}
	for deadline := time.Now().Add(20 * time.Second); c.lead() == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return nil, errNoLeader
		}
	}
	return c, nil
}

func (c *etcdCluster) lead() *etcdNode {
	for _, n := range c.ns {
		if n.leader.Load() {
			return n
		}
	}
	return nil
}

func (c *etcdCluster) client(int) func([]byte) error {
	done := make(chan error, 1)
	n := c.lead()
	return func(cmd []byte) error {
		n.props <- etcdProp{cmd, done}
		return <-done
	}
}

func (c *etcdCluster) reader(id int) func() error {
	done := make(chan error, 1)
	n, seen := c.lead(), uint32(0)
	return func() error {
		n.props <- etcdProp{nil, done}
		if err := <-done; err != nil {
			return err
		}
		if last := n.m.lastOf(uint32(id)); last < seen {
			return errStaleRead
		} else {
			seen = last
		}
		return nil
	}
}

func (c *etcdCluster) machines() []*machine {
	ms := make([]*machine, nodes)
	for i, n := range c.ns {
		ms[i] = n.m
	}
	return ms
}

func (c *etcdCluster) close() {
	close(c.stop)
	for _, l := range c.ls {
		l.Close()
	}
	c.wg.Wait()
	for _, n := range c.ns {
		if n.wal != nil {
			n.wal.f.Close()
		}
	}
}

func (n *etcdNode) run() {
	defer n.c.wg.Done()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var batch []etcdProp
	for {
		batch = batch[:0]
		select {
		case <-n.c.stop:
			return
		case <-tick.C:
			n.rn.Tick()
		case p := <-n.props:
			batch = append(batch, p)
		case ms := <-n.inbox:
			n.step(ms)
		}
		runtime.Gosched() // let clients that were just answered propose again
	drain: // take whatever else is there, so one Ready covers it all
		for len(batch) < 4096 {
			select {
			case p := <-n.props:
				batch = append(batch, p)
			case ms := <-n.inbox:
				n.step(ms)
			default:
				break drain
			}
		}
		if len(batch) > 0 {
			n.propose(batch)
		}
		for n.rn.HasReady() {
			n.ready()
		}
	}
}

func (n *etcdNode) step(ms []*pb.Message) {
	for _, m := range ms {
		_ = n.rn.Step(m)
	}
}

// propose appends the whole batch with one MsgProp, hence one broadcast.
func (n *etcdNode) propose(batch []etcdProp) {
	es := make([]*pb.Entry, 0, len(batch))
	var reads []chan error
	for _, p := range batch {
		if p.cmd == nil {
			reads = append(reads, p.done)
			continue
		}
		es = append(es, &pb.Entry{Data: p.cmd})
		n.waiting[binary.LittleEndian.Uint64(p.cmd)] = p.done
	}
	n.askFor(reads)
	err := errNotLeader
	if len(es) == 0 {
		err = nil
	} else if n.leader.Load() {
		err = n.rn.Step(&pb.Message{Type: pb.MsgProp.Enum(), From: proto.Uint64(n.id), Entries: es})
	}
	if err != nil {
		for _, p := range batch {
			if p.cmd != nil {
				delete(n.waiting, binary.LittleEndian.Uint64(p.cmd))
				p.done <- err
			}
		}
	}
}

// askFor asks for one read index for all reads of a batch.
func (n *etcdNode) askFor(reads []chan error) {
	if len(reads) == 0 {
		return
	}
	n.asked++
	n.reads[n.asked] = reads
	n.rn.ReadIndex(binary.LittleEndian.AppendUint64(nil, n.asked))
}

// serve completes the reads whose index is applied.
func (n *etcdNode) serve(states []raft.ReadState) {
	for _, s := range states {
		number := binary.LittleEndian.Uint64(s.RequestCtx)
		n.served = append(n.served, etcdRead{s.Index, n.reads[number]})
		delete(n.reads, number)
	}
	kept := n.served[:0]
	for _, r := range n.served {
		if r.index > n.applied {
			kept = append(kept, r)
			continue
		}
		for _, done := range r.done {
			done <- nil
		}
	}
	n.served = kept
}

func (n *etcdNode) ready() {
	rd := n.rn.Ready()
	if rd.SoftState != nil {
		n.leader.Store(rd.SoftState.RaftState == raft.StateLeader)
	}
	lead := n.leader.Load()
	if lead {
		n.send(rd.Messages) // the leader replicates while it writes its own disk
	}
	if n.wal != nil && (len(rd.Entries) > 0 || rd.HardState != nil) {
		if err := n.wal.save(rd); err != nil {
			panic(err)
		}
	}
	if rd.HardState != nil {
		n.mem.SetHardState(rd.HardState)
	}
	if err := n.mem.Append(rd.Entries); err != nil {
		panic(err)
	}
	if !lead {
		n.send(rd.Messages)
	}
	for _, e := range rd.CommittedEntries {
		n.applied = e.GetIndex()
		if e.GetType() != pb.EntryNormal || len(e.Data) < 8 {
			continue
		}
		n.m.apply(e.Data)
		if lead {
			id := binary.LittleEndian.Uint64(e.Data)
			if done := n.waiting[id]; done != nil {
				delete(n.waiting, id)
				done <- nil
			}
		}
	}
	n.serve(rd.ReadStates)
	n.rn.Advance(rd)
}

func (n *etcdNode) send(ms []*pb.Message) {
	var by [nodes + 1][]*pb.Message
	for _, m := range ms {
		by[m.GetTo()] = append(by[m.GetTo()], m)
	}
	for to, b := range by {
		if len(b) == 0 {
			continue
		}
		ch := n.out[to]
		if ch == nil {
			ch = n.c.ns[to-1].inbox
		}
		select {
		case ch <- b:
		default: // full: drop, Raft resends
		}
	}
}

// connect gives every ordered pair of nodes one TCP connection.
func (c *etcdCluster) connect() error {
	for _, to := range c.ns {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		c.ls = append(c.ls, l)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go to.receive(conn)
			}
		}()
		for _, from := range c.ns {
			if from == to {
				continue
			}
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return err
			}
			ch := make(chan []*pb.Message, 4096)
			from.out[to.id] = ch
			go sendLoop(conn, ch, c.stop)
		}
	}
	return nil
}

func sendLoop(conn net.Conn, ch chan []*pb.Message, stop chan struct{}) {
	defer conn.Close()
	w := bufio.NewWriterSize(conn, 256<<10)
	var buf []byte
	for {
		var ms []*pb.Message
		select {
		case <-stop:
			return
		case ms = <-ch:
		}
		for more := true; more; {
			for _, m := range ms {
				buf = append(buf[:0], 0, 0, 0, 0)
				var err error
				if buf, err = (proto.MarshalOptions{}).MarshalAppend(buf, m); err != nil {
					panic(err)
				}
				binary.LittleEndian.PutUint32(buf, uint32(len(buf)-4))
				w.Write(buf)
			}
			select {
			case ms = <-ch:
			default:
				more = false
			}
		}
		if w.Flush() != nil {
			return
		}
	}
}

func (n *etcdNode) receive(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 256<<10)
	var hdr [4]byte
	for {
		if _, err := io.ReadFull(r, hdr[:]); err != nil {
			return
		}
		buf := make([]byte, binary.LittleEndian.Uint32(hdr[:]))
		if _, err := io.ReadFull(r, buf); err != nil {
			return
		}
		m := &pb.Message{}
		if err := proto.Unmarshal(buf, m); err != nil {
			return
		}
		select {
		case n.inbox <- []*pb.Message{m}:
		case <-n.c.stop:
			return
		}
	}
}

// etcdWAL appends length+crc framed records and fdatasyncs once per Ready.
type etcdWAL struct {
	f   *os.File
	buf []byte
}

func newEtcdWAL(path string) (*etcdWAL, error) {
	f, err := os.Create(path)
	return &etcdWAL{f: f}, err
}

func (w *etcdWAL) record(kind byte, m proto.Message) error {
	at := len(w.buf)
	w.buf = append(w.buf, 0, 0, 0, 0, 0, 0, 0, 0, kind)
	var err error
	if w.buf, err = (proto.MarshalOptions{}).MarshalAppend(w.buf, m); err != nil {
		return err
	}
	body := w.buf[at+8:]
	binary.LittleEndian.PutUint32(w.buf[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(w.buf[at+4:], crc32.Checksum(body, castagnoli))
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (w *etcdWAL) save(rd raft.Ready) error {
	w.buf = w.buf[:0]
	for _, e := range rd.Entries {
		if err := w.record(1, e); err != nil {
			return err
		}
	}
	if rd.HardState != nil {
		if err := w.record(2, rd.HardState); err != nil {
			return err
		}
	}
	if _, err := w.f.Write(w.buf); err != nil {
		return err
	}
	if rd.MustSync {
		return syscall.Fdatasync(int(w.f.Fd()))
	}
	return nil
}
