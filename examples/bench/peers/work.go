package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// nodes is how many nodes a cluster has.
const nodes = 3

// cluster is one running group of three; the file of each library has one.
type cluster interface {
	// client returns what one client proposes by. It returns nil only after the
	// command was committed and applied on the leader.
	client(id int) func(command []byte) error
	// reader returns what one client reads by, of a library that has reads. It returns
	// nil only when the machine of the leader has everything that was acknowledged
	// before the call.
	reader(id int) func() error
	// machines returns the state machine of each node.
	machines() []*machine
	close()
}

// machine is the state machine of all libraries: the last number of each client,
// and a counter. A command begins with client<<32 | number, little endian.
type machine struct {
	// mu is for reads beside apply.
	mu    sync.RWMutex
	last  map[uint32]uint32
	count atomic.Uint64
}

func newMachine() *machine { return &machine{last: map[uint32]uint32{}} }

func (m *machine) apply(command []byte) {
	if len(command) < 8 {
		return
	}
	id := binary.LittleEndian.Uint64(command)
	m.mu.Lock()
	m.last[uint32(id>>32)] = uint32(id)
	m.mu.Unlock()
	m.count.Add(1)
}

// lastOf returns the last number that a client has written.
func (m *machine) lastOf(client uint32) uint32 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.last[client]
}

// The phases of a run.
const (
	warmingUp int32 = iota
	measuring
	stopping
)

// load is the clients of a run, and what they have counted.
type load struct {
	phase        atomic.Int32
	done, errors atomic.Uint64
	reads        atomic.Uint64 // those of done that were reads
	histograms   []histogram   // by client
	running      sync.WaitGroup
}

func startLoad(o options, c cluster) *load {
	l := &load{histograms: make([]histogram, o.clients)}
	for i := range o.clients {
		propose, read := c.client(i), func() error { return nil }
		if o.readPercent > 0 {
			read = c.reader(i)
		}
		l.running.Go(func() { l.client(i, o, propose, read) })
	}
	return l
}

// client begins each operation when the one before it was answered, and records
// what began and ended in the measured time.
func (l *load) client(i int, o options, propose func([]byte) error, read func() error) {
	number, due := uint64(0), 0
	for {
		before := l.phase.Load()
		if before == stopping {
			return
		}
		do, reading := read, true
		if due += o.readPercent; due >= 100 {
			due -= 100
		} else {
			number++
			command := make([]byte, o.payload)
			binary.LittleEndian.PutUint64(command, uint64(i)<<32|number&0xffffffff)
			do, reading = func() error { return propose(command) }, false
		}
		begin := time.Now()
		if err := do(); err != nil {
			if l.errors.Add(1) < 4 {
				fmt.Fprintln(os.Stderr, "an operation:", err)
			}
			time.Sleep(time.Millisecond)
			continue
		}
		if before == measuring && l.phase.Load() == measuring {
			l.histograms[i].add(time.Since(begin))
		}
		if reading {
			l.reads.Add(1)
		}
		l.done.Add(1)
	}
}

// reading is what stood on the meters at one end of the measured time.
type reading struct {
	done   uint64
	reads  uint64
	at     time.Time
	cpu    time.Duration
	memory runtime.MemStats // read apart, since that stops the world
}

func (r *reading) take(l *load) {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	r.done, r.reads, r.at, r.cpu = l.done.Load(), l.reads.Load(), time.Now(), time.Duration(u.Utime.Nano()+u.Stime.Nano())
}

// measure runs one cluster under load.
func measure(ctx context.Context, o options) (result, error) {
	c, err := peers[o.peer].start(o)
	if err != nil {
		return result{}, fmt.Errorf("%s: %w", o.peer, err)
	}
	defer c.close()
	defer startHogs(o.hogs)()
	l := startLoad(o, c)
	defer l.stop()
	if !pause(ctx, o.warmup) {
		return result{}, errStoppedEarly
	}
	var before, after reading
	runtime.ReadMemStats(&before.memory)
	stopProfile, err := startCPUProfile(o.cpuProfile)
	if err != nil {
		return result{}, err
	}
	before.take(l)
	l.phase.Store(measuring)
	whole := pause(ctx, o.measured)
	after.take(l)
	l.phase.Store(stopping)
	stopProfile()
	if !whole {
		return result{}, errStoppedEarly
	}
	runtime.ReadMemStats(&after.memory)
	if err := writeAllocations(o.memProfilePath); err != nil {
		return result{}, err
	}
	l.stop()
	r := l.result(o, &before, &after)
	r.Replicated = replicated(ctx, c.machines(), l.done.Load()-l.reads.Load())
	return r, nil
}

// errStaleRead: a read missed a write that was acknowledged to its client.
var errStaleRead = errors.New("a read missed a write that was acknowledged before it")

var errStoppedEarly = errors.New("stopped early")

// pause waits, and reports whether it did so to the end.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// stopLimit is for how long a run waits for the clients' last answers; a library
// may leave some of them for ever, and the process ends all the same.
const stopLimit = 15 * time.Second

func (l *load) stop() {
	l.phase.Store(stopping)
	finished := make(chan struct{})
	go func() {
		l.running.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(stopLimit):
		fmt.Fprintf(os.Stderr, "some commands were not answered within %v\n", stopLimit)
	}
}

// replicated waits until each node has applied as many commands as were
// acknowledged, and reports whether that came to pass.
func replicated(ctx context.Context, machines []*machine, acknowledged uint64) bool {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		behind := false
		for _, m := range machines {
			behind = behind || m.count.Load() < acknowledged
		}
		if !behind {
			return true
		}
		if !pause(ctx, 20*time.Millisecond) {
			return false
		}
	}
	return false
}

func startCPUProfile(name string) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		file.Close()
	}, nil
}

func writeAllocations(name string) error {
	if name == "" {
		return nil
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}
