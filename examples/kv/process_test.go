//go:build unix

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kv-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "kv")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// transport keeps a connection for each client that a test has: one closed after
// each request would use the system's ports up.
var transport = &http.Transport{MaxIdleConnsPerHost: 16}

// waitLimit bounds each wait for something that takes a moment.
const waitLimit = 30 * time.Second

// eventually asks again and again until there is no complaint.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(waitLimit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in %v: %v", what, waitLimit, err)
		}
		<-tick.C
	}
}

// during wants there to be no complaint for a time.
func during(t *testing.T, what string, d time.Duration, check func() error) {
	t.Helper()
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := check(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-tick.C:
		case <-end.C:
			return
		}
	}
}

// node is one server, over several lives of its process.
type node struct {
	t     *testing.T
	id    uint64
	dir   string
	flags []string
	// binary is the program, if not the one that is tested otherwise, and environment
	// is added to that of the test.
	binary      string
	environment []string
	// stderr, if set, is what the process gets as its standard error.
	stderr *os.File
	// history, if set, is written what each life of the process writes to its
	// standard error.
	history io.Writer
	// httpAddress and raftAddress stay the same once they are known, and so does
	// the client.
	httpAddress, raftAddress string
	client                   *client.Client

	mu      sync.Mutex
	process *process
}

// process is one life of a node.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
	err     error // valid when ended is closed
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newNode(t *testing.T, id uint64, flags ...string) *node {
	n := &node{t: t, id: id, dir: filepath.Join(t.TempDir(), "data"), flags: flags, httpAddress: "127.0.0.1:0", raftAddress: "127.0.0.1:0"}
	t.Cleanup(func() {
		n.kill()
		if t.Failed() {
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.process != nil {
				t.Logf("node %d wrote:\n%s", id, n.process.log)
			}
		}
	})
	return n
}

// start runs the node until it is ready.
func (n *node) start() {
	n.t.Helper()
	if err := n.startsUp(n.tryStart); err != nil {
		n.t.Fatal(err)
	}
}

// startsUp tries to start the node, again while a port is taken.
func (n *node) startsUp(try func() error) error {
	deadline := time.Now().Add(waitLimit)
	for {
		err := try()
		if err == nil {
			return nil
		}
		// While the node was down the system may have lent its port to somebody's
		// outgoing connection.
		if !strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) || time.Now().After(deadline) {
			return fmt.Errorf("node %d: %w", n.id, err)
		}
	}
}

// newCommand is a life of the process that has not begun.
func (n *node) newCommand() *exec.Cmd {
	args := append([]string{"serve", "--id", strconv.FormatUint(n.id, 10), "--http", n.httpAddress, "--raft", n.raftAddress, "--data", n.dir}, n.flags...)
	command := exec.Command(cmp.Or(n.binary, binary), args...)
	if len(n.environment) > 0 {
		command.Env = append(os.Environ(), n.environment...)
	}
	return command
}

func (n *node) tryStart() error {
	p := &process{command: n.newCommand(), ended: make(chan struct{}), log: &lockedBuffer{}}
	p.command.Stderr = p.log
	if n.history != nil {
		p.command.Stderr = io.MultiWriter(p.log, n.history)
	}
	if n.stderr != nil {
		p.command.Stderr = n.stderr
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.command.Start(); err != nil {
		return err
	}
	n.mu.Lock()
	n.process = p
	n.mu.Unlock()
	lines := make(chan string, 1)
	go func() {
		defer close(p.ended)
		// Wait must not be called before all was read.
		reader := bufio.NewReader(stdout)
		line, _ := reader.ReadString('\n')
		lines <- line
		_, _ = io.Copy(io.Discard, reader)
		p.err = p.command.Wait()
	}()
	select {
	case line := <-lines:
		return n.readyLine(p, line)
	case <-time.After(waitLimit):
		n.kill()
		return fmt.Errorf("not ready in %v: %s", waitLimit, p.log)
	}
}

func (n *node) readyLine(p *process, line string) error {
	var ready api.Ready
	if err := json.Unmarshal([]byte(line), &ready); err != nil {
		n.kill()
		return fmt.Errorf("ended (%v) after the line %q: %s", p.err, line, p.log)
	}
	if want := fmt.Sprintf("{\"ready\":true,\"id\":%d,\"http\":%q,\"raft\":%q}\n", n.id, ready.HTTP, ready.Raft); line != want {
		return fmt.Errorf("ready line %q, want %q", line, want)
	}
	n.httpAddress, n.raftAddress = ready.HTTP, ready.Raft
	if n.client != nil {
		return nil
	}
	var err error
	n.client, err = client.New(n.httpAddress, 2*time.Second, transport)
	return err
}

// kill ends the process without any warning, as kill -9 does.
func (n *node) kill() {
	n.mu.Lock()
	p := n.process
	n.mu.Unlock()
	if p == nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.ended
}

// terminate asks the process to end, and wants exit code 0.
func (n *node) terminate(signal os.Signal) {
	n.t.Helper()
	if err := n.ends(signal); err != nil {
		n.t.Fatal(err)
	}
}

// ends asks the process to end. It is an error if it does not, or not with exit code 0.
func (n *node) ends(signal os.Signal) error {
	if err := n.process.command.Process.Signal(signal); err != nil {
		return err
	}
	select {
	case <-n.process.ended:
	case <-time.After(waitLimit):
		return fmt.Errorf("node %d still runs %v after %v", n.id, waitLimit, signal)
	}
	if n.process.err != nil {
		return fmt.Errorf("node %d ended with %w after %v: %s", n.id, n.process.err, signal, n.process.log)
	}
	return nil
}

func (n *node) status() (api.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return n.client.Status(ctx)
}

// running reports an error if the process has ended.
func (n *node) running() error {
	select {
	case <-n.process.ended:
		return fmt.Errorf("node %d ended: %w: %s", n.id, n.process.err, n.process.log)
	default:
		return nil
	}
}

// cluster is three nodes that were made into a cluster.
type cluster struct {
	t     *testing.T
	nodes []*node
}

func newNodes(t *testing.T, flags ...string) *cluster {
	t.Helper()
	c := &cluster{t: t}
	for id := uint64(1); id <= 3; id++ {
		n := newNode(t, id, flags...)
		n.start()
		c.nodes = append(c.nodes, n)
	}
	return c
}

func newCluster(t *testing.T, flags ...string) *cluster {
	t.Helper()
	c := newNodes(t, flags...)
	c.nodes[0].mustKV("init", "--members", c.members())
	c.leader()
	return c
}

// members is the list as init takes it.
func (c *cluster) members() string {
	var list []string
	for _, n := range c.nodes {
		list = append(list, fmt.Sprintf("%d=%s", n.id, n.raftAddress))
	}
	return strings.Join(list, ",")
}

// leader waits until one of the given nodes, or of all, leads and all of them
// know it.
func (c *cluster) leader(among ...*node) *node {
	c.t.Helper()
	if len(among) == 0 {
		among = c.nodes
	}
	var leader *node
	eventually(c.t, "a leader that all know", func() error {
		leader = nil
		known := make(map[string]bool)
		for _, n := range among {
			s, err := n.status()
			if err != nil {
				return err
			}
			known[fmt.Sprintf("node %d in term %d", s.Leader, s.Term)] = true
			if s.Role == "leader" {
				leader = n
			}
		}
		if leader == nil || len(known) != 1 {
			return fmt.Errorf("they know %v", known)
		}
		return nil
	})
	return leader
}

func (c *cluster) others(than *node) []*node {
	var others []*node
	for _, n := range c.nodes {
		if n != than {
			others = append(others, n)
		}
	}
	return others
}

// caughtUp waits until all nodes have applied the same, and everything.
func (c *cluster) caughtUp() {
	c.t.Helper()
	eventually(c.t, "all have applied the same", func() error {
		var first api.Status
		for i, n := range c.nodes {
			s, err := n.status()
			if err != nil {
				return err
			}
			if i == 0 {
				first = s
			}
			if s.AppliedIndex != s.LastLogIndex || s.AppliedIndex != first.AppliedIndex || s.Leader == 0 {
				return fmt.Errorf("node %d has applied %d of %d, node %d %d", n.id, s.AppliedIndex, s.LastLogIndex, c.nodes[0].id, first.AppliedIndex)
			}
		}
		return nil
	})
}

// result is how a command of the client ended.
type result struct {
	code           int
	stdout, stderr string
}

// kv runs a command.
func kv(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	command := exec.CommandContext(ctx, binary, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("kv %.100q: %v %v", args, err, ctx.Err())
	}
	return result{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// mustKV runs a command against the node and returns what it wrote.
func (n *node) mustKV(args ...string) string {
	n.t.Helper()
	r := kv(n.t, append(args, "--http", "http://"+n.httpAddress)...)
	// Who waits for a change is told on the standard error what for.
	if r.code != 0 || r.stderr != "" && args[0] != "members" {
		n.t.Fatalf("kv %.100q: exit code %d: %s", args, r.code, r.stderr)
	}
	return r.stdout
}
