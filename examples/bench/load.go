package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe"
)

// The phases of a run.
const (
	warmingUp int32 = iota
	measuring
	stopping
)

// load is the clients of a run.
type load struct {
	settings *settings
	stderr   io.Writer
	clients  []*client
	schedule *schedule // nil in a closed loop
	running  sync.WaitGroup

	phase  atomic.Int32
	done   atomic.Uint64 // acknowledged operations, of every phase
	reads  atomic.Uint64 // those of them that were reads
	errors atomic.Uint64
}

// client does one operation at a time. What it counts is read when it has ended.
type client struct {
	load  *load
	id    uint32
	group int
	// write and read return when the operation is acknowledged.
	write func(command []byte) error
	read  func() error

	number  uint32 // of the last command
	reading int    // per cent of a read that are due

	written  uint64 // acknowledged writes
	writes   histogram
	reads    histogram
	lags     histogram // open loop: from the intended to the real start
	unserved uint64    // open loop: operations that there was no time for
}

// newLoad makes the clients, which propose to the leaders of their groups.
func newLoad(s *settings, c *cluster, stderr io.Writer) *load {
	l := &load{settings: s, stderr: stderr}
	for i := range s.clients * s.batch {
		// The members of a batch have one group.
		number := i / s.batch % len(c.groups)
		g := c.groups[number]
		client := &client{load: l, id: uint32(i), group: number}
		reads := g.leader
		if s.readAt == "follower" {
			reads = (g.leader + 1 + i%(len(g.rafts)-1)) % len(g.rafts)
		}
		client.connect(g.rafts[g.leader], g.rafts[reads], g.machines[reads])
		l.clients = append(l.clients, client)
	}
	if s.rate > 0 {
		l.schedule = newSchedule(s.rate)
	}
	return l
}

// start lets the clients run until the phase is stopping.
func (l *load) start() {
	switch batch := l.settings.batch; {
	case l.schedule != nil:
		l.running.Go(l.schedule.run)
		for _, client := range l.clients {
			l.running.Go(client.openLoop)
		}
	case batch > 1:
		for i := 0; i < len(l.clients); i += batch {
			members := l.clients[i : i+batch]
			l.running.Go(func() { batchLoop(members) })
		}
	default:
		for _, client := range l.clients {
			l.running.Go(client.closedLoop)
		}
	}
}

// shared is made once: options would be allocated by each proposal.
var shared = []troupe.ProposeOption{troupe.SharedCommand()}

var errStaleRead = errors.New("a read missed a write that was acknowledged before it")

// connect tells a client whom to ask: the leader for writes, and for reads a handle
// with the machine behind it. The contexts have no end: a shared one would cost every wait its lock. Whoever
// wants to stop early closes the cluster, which answers all.
func (c *client) connect(leader, raft *troupe.Raft, machine *machine) {
	c.write = func(command []byte) error {
		_, err := leader.Propose(context.Background(), command, shared...)
		return err
	}
	var acknowledged uint32 // the newest number that a read has seen
	mode, stale := c.load.settings.readMode(), c.load.settings.read == "stale"
	c.read = func() error {
		if _, err := raft.ReadIndex(context.Background(), mode); err != nil {
			return err
		}
		// Only acknowledged writes are sure to be seen, and a failed one may be. A stale
		// read may miss some, and never goes back.
		last := machine.lastOf(c.id)
		if last < acknowledged || !stale && c.load.errors.Load() == 0 && last != c.number {
			return errStaleRead
		}
		acknowledged = last
		return nil
	}
}

// next returns the next command: fresh bytes, which the log may keep; or nil if
// a read is due.
func (c *client) next() []byte {
	if c.reading += c.load.settings.readPercent; c.reading >= 100 {
		c.reading -= 100
		return nil
	}
	c.number++
	command := make([]byte, c.load.settings.payloadBytes)
	binary.LittleEndian.PutUint64(command, uint64(c.id)<<32|uint64(c.number))
	return command
}

// do carries out what next has returned, and reports whether it was
// acknowledged.
func (c *client) do(command []byte) bool {
	if command == nil {
		if err := c.read(); err != nil {
			return c.failed("read", err)
		}
		c.load.reads.Add(1)
	} else {
		if err := c.write(command); err != nil {
			return c.failed("propose", err)
		}
		c.written++
	}
	c.load.done.Add(1)
	return true
}

// record notes the latency of an operation of the measured time.
func (c *client) record(command []byte, latency time.Duration) {
	if command == nil {
		c.reads.add(latency)
	} else {
		c.writes.add(latency)
	}
}

// failed counts an error, tells the first few, and waits a moment.
func (c *client) failed(what string, err error) bool {
	if c.load.errors.Add(1) < 4 {
		fmt.Fprintf(c.load.stderr, "%s: %v\n", what, err)
	}
	time.Sleep(time.Millisecond)
	return false
}

// closedLoop begins each operation when the one before it was answered. It
// reads the clock as often as the peers' does, and records what began and ended
// in the measured time.
func (c *client) closedLoop() {
	for {
		before := c.load.phase.Load()
		if before == stopping {
			return
		}
		command := c.next()
		begin := time.Now()
		if c.do(command) && before == measuring && c.load.phase.Load() == measuring {
			c.record(command, time.Since(begin))
		}
	}
}

// batchLoop is one client that has several proposals under way at a time, one
// by each of members, and waits for all of them. The latency of each counts from
// the begin of its batch.
func batchLoop(members []*client) {
	l := members[0].load
	var before int32
	var begin time.Time
	// The channels order what the members read of before and begin.
	starts, ends := make(chan struct{}), make(chan struct{}, len(members))
	one := func(c *client) {
		command := c.next()
		if c.do(command) && before == measuring && l.phase.Load() == measuring {
			c.record(command, time.Since(begin))
		}
	}
	var others sync.WaitGroup
	for _, c := range members[1:] {
		others.Go(func() {
			for range starts {
				one(c)
				ends <- struct{}{}
			}
		})
	}
	for before = l.phase.Load(); before != stopping; before = l.phase.Load() {
		begin = time.Now()
		for range members[1:] {
			starts <- struct{}{}
		}
		one(members[0])
		for range members[1:] {
			<-ends
		}
	}
	close(starts)
	others.Wait()
}
