//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

var hangsFor = flag.Duration("hangs", 0, "how long TestHangs goes on; 0 is one short phase")

// hangFaults is what TestHangs does: parts of a node hang, say no or run out.
var hangFaults = []soakFault{
	{"hung machine", 6, (*soak).drawHungMachine},   // Apply waits, and heeds no context
	{"pause", 4, (*soak).drawPause},                // SIGSTOP
	{"deaf log", 4, (*soak).drawDeafLog},           // a full pipe as standard error, which nobody reads
	{"small disk", 4, (*soak).drawSmallDisk},       // a little is left above what the store wants free
	{"refused write", 4, (*soak).drawRefusedWrite}, // the log store says no once
	{"refused files", 2, (*soak).drawRefusedFiles}, // the system does, to every file that grows
	{"kill", 2, (*soak).drawKill},
	{"handed over", 2, (*soak).drawHandOver},
}

// TestHangs is TestSoak for parts that hang, say no or run out: nothing that was
// acknowledged is lost, no read is older than its mode allows, and in the end every node is
// back. A node whose group has failed is started again, which is all that it needs.
//
//	go test ./examples/kv -run TestHangs -v -timeout 0 -args -hangs=30m -soak-seed=1
func TestHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	if deadline, ok := t.Deadline(); ok && time.Until(deadline) < *hangsFor+4*soakLimit {
		t.Fatalf("-hangs=%v takes longer than the test may: add -timeout 0", *hangsFor)
	}
	defer noGoroutineLeft(t, runtime.NumGoroutine())
	failing := filepath.Join(t.TempDir(), "kv")
	if out, err := exec.Command("go", "build", "-tags", "hang", "-o", failing, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	small := &smallDisks{t: t}
	end := time.Now().Add(*hangsFor)
	for round := uint64(0); ; round++ {
		s := &soak{
			seed: *soakSeed + round, size: 3, length: soakPhase, faults: hangFaults, pause: [2]time.Duration{2 * time.Second, 8 * time.Second},
			more: func(next int) bool { return next < soakPhases && time.Now().Before(end) },
			prepare: func(n *soakNode) {
				n.signs = filepath.Dir(n.dir)
				n.binary, n.environment = failing, []string{"KV_HANG_FILE=" + n.hangFile(), "KV_REFUSE_FILE=" + n.refuseFile()}
				small.prepare(n)
			},
		}
		if *hangsFor == 0 {
			s.length, s.pause = 4*soakPhaseShort, [2]time.Duration{time.Second, time.Second + 1}
		}
		s.replay = fmt.Sprintf("-run TestHangs -v -timeout 0 -args -hangs=%v -soak-seed=%d", max(*hangsFor, soakPhases*(soakPhase+soakLimit)), s.seed)
		if !t.Run(fmt.Sprintf("seed %d", s.seed), s.run) || !time.Now().Before(end) {
			break
		}
	}
}

// The files by which a node is told to fail.
func (n *soakNode) hangFile() string   { return filepath.Join(n.signs, "hang") }
func (n *soakNode) refuseFile() string { return filepath.Join(n.signs, "refuse") }

// while has a file exist for a time.
func while(ctx context.Context, file, content string, d time.Duration) error {
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return err
	}
	sleep(ctx, d)
	return os.Remove(file)
}

func (s *soak) drawHungMachine(r *rand.Rand) (string, func(context.Context) error) {
	n, d := s.pick(r), between(r, time.Second, 20*time.Second)
	return fmt.Sprintf("node %d for %v", n.id, d), func(ctx context.Context) error {
		return n.alone(ctx, func() error {
			s.did("hung machines")
			return while(ctx, n.hangFile(), "", d)
		})
	}
}

// drawDeafLog gives a node a standard error that is full from the start.
func (s *soak) drawDeafLog(r *rand.Rand) (string, func(context.Context) error) {
	n, d := s.pick(r), between(r, 2*time.Second, 15*time.Second)
	return fmt.Sprintf("node %d for %v", n.id, d), func(ctx context.Context) error {
		return n.alone(ctx, func() error {
			reader, writer, err := os.Pipe()
			if err != nil {
				return err
			}
			defer reader.Close()
			if err := fill(writer); err != nil {
				return errors.Join(err, writer.Close())
			}
			n.down()
			n.stderr = writer
			err = n.up()
			n.stderr = nil
			if err = errors.Join(err, writer.Close()); err != nil {
				return err
			}
			s.did("deaf logs")
			sleep(ctx, d)
			n.down()
			return n.up()
		})
	}
}

// failsThenBack waits until the group of a node has failed, or for a time, then lets undo
// take away what it fails for, and starts it again.
func (s *soak) failsThenBack(ctx context.Context, n *soakNode, d time.Duration, what string, undo func() error) error {
	for end := time.Now().Add(d); time.Now().Before(end) && sleep(ctx, 50*time.Millisecond); {
		if status, err := n.status(); err == nil && status.Fatal != "" {
			s.did(what)
			break
		}
	}
	if err := undo(); err != nil {
		return err
	}
	n.down()
	return n.up()
}

func (s *soak) drawRefusedWrite(r *rand.Rand) (string, func(context.Context) error) {
	n, d, how := s.pick(r), between(r, 2*time.Second, 6*time.Second), "late"
	if r.IntN(2) == 0 {
		how = "never"
	}
	return fmt.Sprintf("of node %d, written %s", n.id, how), func(ctx context.Context) error {
		return n.alone(ctx, func() error {
			if err := os.WriteFile(n.refuseFile(), []byte(how), 0o600); err != nil {
				return err
			}
			return s.failsThenBack(ctx, n, d, "refused writes", func() error { return os.Remove(n.refuseFile()) })
		})
	}
}

// smallDisks are the file systems of nodes, in memory. Without them their fault is left
// out.
type smallDisks struct {
	t    *testing.T
	once sync.Once
}

const (
	// diskBytes is the size of a node's disk; roomBytes is what a small one has left at first
	// above what the store wants to be free.
	diskBytes  = 2 << 30
	guardBytes = 256 << 20
	roomBytes  = 256 << 10
)

// prepare puts the node's directory on a disk of its own.
func (d *smallDisks) prepare(n *soakNode) {
	at := filepath.Join(n.signs, "disk")
	err := os.Mkdir(at, 0o700)
	if err == nil {
		err = mountMemory(at, diskBytes)
	}
	if err != nil {
		d.once.Do(func() { d.t.Logf("small disks are left out: %v", err) })
		return
	}
	n.t.Cleanup(func() {
		if err := unmountMemory(at); err != nil {
			n.t.Errorf("%s: %v", at, err)
		}
	})
	n.dir, n.disk = filepath.Join(at, "data"), at
}

func (s *soak) drawSmallDisk(r *rand.Rand) (string, func(context.Context) error) {
	n, d := s.pick(r), between(r, 3*time.Second, 15*time.Second)
	return fmt.Sprintf("of node %d for %v", n.id, d), func(ctx context.Context) error {
		if n.disk == "" {
			return nil
		}
		return n.alone(ctx, func() error {
			used, err := usedBytes(n.disk)
			if err == nil {
				err = resizeMemory(n.disk, used+guardBytes+roomBytes)
			}
			if err != nil {
				return err
			}
			return s.failsThenBack(ctx, n, d, "disks that filled", func() error { return resizeMemory(n.disk, diskBytes) })
		})
	}
}

// drawRefusedFiles has the system refuse every write by which a file grows.
func (s *soak) drawRefusedFiles(r *rand.Rand) (string, func(context.Context) error) {
	n, d := s.pick(r), between(r, time.Second, 8*time.Second)
	return fmt.Sprintf("of node %d for %v", n.id, d), func(ctx context.Context) error {
		return n.alone(ctx, func() error {
			lift, err := limitFiles(n.process.command.Process.Pid)
			if errors.Is(err, errors.ErrUnsupported) {
				return nil
			}
			if err != nil {
				return err
			}
			return s.failsThenBack(ctx, n, d, "refused files", lift)
		})
	}
}
