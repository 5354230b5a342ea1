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
	// machines returns the state machine of each node.
	machines() []*machine
	close()
}

// machine is the state machine of all libraries: the last number of each client,
// and a counter. A command begins with client<<32 | number, little endian.
type machine struct {
	last  map[uint32]uint32
	count atomic.Uint64
}

func newMachine() *machine { return &machine{last: map[uint32]uint32{}} }

func (m *machine) apply(command []byte) {
	if len(command) < 8 {
		return
	}
	id := binary.LittleEndian.Uint64(command)
	m.last[uint32(id>>32)] = uint32(id)
	m.count.Add(1)
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
	histograms   []histogram // by client
	running      sync.WaitGroup
}

func startLoad(o options, c cluster) *load {
	l := &load{histograms: make([]histogram, o.clients)}
	for i := range o.clients {
		propose := c.client(i)
		l.running.Go(func() { l.client(i, o.payload, propose) })
	}
	return l
}

// client begins each command when the one before it was answered, and records
// what began and ended in the measured time.
func (l *load) client(i, payload int, propose func([]byte) error) {
	for number := uint64(1); ; number++ {
		before := l.phase.Load()
		if before == stopping {
			return
		}
		command := make([]byte, payload)
		binary.LittleEndian.PutUint64(command, uint64(i)<<32|number&0xffffffff)
		begin := time.Now()
		if err := propose(command); err != nil {
			if l.errors.Add(1) < 4 {
				fmt.Fprintln(os.Stderr, "propose:", err)
			}
			time.Sleep(time.Millisecond)
			continue
		}
		if before == measuring && l.phase.Load() == measuring {
			l.histograms[i].add(time.Since(begin))
		}
		l.done.Add(1)
	}
}

// reading is what stood on the meters at one end of the measured time.
type reading struct {
	done   uint64
	at     time.Time
	cpu    time.Duration
	memory runtime.MemStats // read apart, since that stops the world
}

func (r *reading) take(l *load) {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	r.done, r.at, r.cpu = l.done.Load(), time.Now(), time.Duration(u.Utime.Nano()+u.Stime.Nano())
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
	r.Replicated = replicated(ctx, c.machines(), l.done.Load())
	return r, nil
}

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
