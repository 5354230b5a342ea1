//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const patience = 60 * time.Second

// process is one node, as a user runs it.
type process struct {
	id      int
	command *exec.Cmd
	ended   chan struct{}
	err     error // valid when ended is closed
	stderr  bytes.Buffer
}

// said is a line of a node.
type said struct {
	id   int
	term int
	what string
}

// cluster is three of them.
type cluster struct {
	t         *testing.T
	binary    string
	data      string
	addresses []string
	processes map[int]*process
	lines     chan said

	mu  sync.Mutex
	all []said
}

var line = regexp.MustCompile(`^term (\d+): (.*)$`)

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, binary: filepath.Join(t.TempDir(), "election"), data: t.TempDir(), processes: map[int]*process{}, lines: make(chan said, 1<<16)}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", c.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var listeners []net.Listener
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		c.addresses = append(c.addresses, l.Addr().String())
	}
	for _, l := range listeners {
		l.Close()
	}
	t.Cleanup(func() {
		for _, p := range c.processes {
			p.command.Process.Kill()
			<-p.ended
		}
		if t.Failed() {
			t.Logf("all lines: %v", c.spoken())
			for _, p := range c.processes {
				t.Logf("node %d: %v\n%s", p.id, p.err, &p.stderr)
			}
		}
	})
	return c
}

func (c *cluster) start(id int) {
	c.t.Helper()
	p := &process{id: id, ended: make(chan struct{})}
	p.command = exec.Command(c.binary, append([]string{"-id", fmt.Sprint(id), "-data", c.data}, c.addresses...)...)
	p.command.Stderr = &p.stderr
	out, err := p.command.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.processes[id] = p
	go func() {
		defer close(p.ended)
		c.read(id, out)
		p.err = p.command.Wait()
	}()
}

func (c *cluster) read(id int, out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		match := line.FindStringSubmatch(lines.Text())
		if match == nil {
			match = []string{"", "0", lines.Text()}
		}
		s := said{id: id, what: match[2]}
		fmt.Sscan(match[1], &s.term)
		c.mu.Lock()
		c.all = append(c.all, s)
		c.mu.Unlock()
		c.lines <- s
	}
}

// runs waits until a node runs the job, in a later term.
func (c *cluster) runs(after int) said {
	c.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case s := <-c.lines:
			if s.what == "the job runs here" && s.term > after {
				return s
			}
		case <-limit:
			c.t.Fatalf("nobody runs the job in a term after %d", after)
		}
	}
}

// stops waits for the line that a node's job has stopped.
func (c *cluster) stops(of said) said {
	c.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case s := <-c.lines:
			if s.id != of.id || s.term != of.term {
				continue
			}
			if strings.HasPrefix(s.what, "the job has stopped") {
				return s
			}
		case <-limit:
			c.t.Fatalf("the job does not stop: %v", of)
		}
	}
}

// spoken are all lines up to now.
func (c *cluster) spoken() []said {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// steps counts those that a node's job has done in a term.
func (c *cluster) steps(of said) (n int) {
	for _, s := range c.spoken() {
		if s.id == of.id && s.term == of.term && s.what == "a step" {
			n++
		}
	}
	return n
}

// TestElection: the job runs on one node, moves when that is ended or killed, and a node
// that was stopped for a while does no step when it goes on.
func TestElection(t *testing.T) {
	c := newCluster(t)
	for id := 1; id <= 3; id++ {
		c.start(id)
	}
	first := c.runs(0)
	if c.processes[first.id].command.Process.Signal(syscall.SIGTERM) != nil {
		t.Fatal("it has ended by itself")
	}
	stopped := c.stops(first)
	<-c.processes[first.id].ended
	if err := c.processes[first.id].err; err != nil {
		t.Errorf("ended by %v after %v", err, stopped)
	}
	second := c.runs(first.term)
	if second.id == first.id {
		t.Errorf("node %d runs it after its end", second.id)
	}

	c.start(first.id)
	// It is needed for a majority, and answers when it has served its quiet period.
	c.processes[second.id].command.Process.Kill()
	<-c.processes[second.id].ended
	third := c.runs(second.term)
	if third.id == second.id {
		t.Errorf("node %d runs it after it was killed", third.id)
	}

	c.start(second.id)
	paused := c.processes[third.id].command.Process
	if err := paused.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	fourth := c.runs(third.term)
	done := c.steps(third)
	if err := paused.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.stops(third)
	if after := c.steps(third); fourth.id == third.id || after != done {
		t.Errorf("the job went on, on node %d: %d steps, and %d after others had taken over", third.id, done, after-done)
	}
	for _, s := range c.spoken() {
		if s.term == 0 {
			t.Errorf("node %d said %q", s.id, s.what)
		}
	}
}
