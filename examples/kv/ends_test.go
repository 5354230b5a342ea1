//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReadersOfTheOutputGoAway: nodes whose readers of standard output and standard
// error are gone, or hang while the pipes are full, elect and serve on. Only lines are
// lost.
func TestReadersOfTheOutputGoAway(t *testing.T) {
	for _, how := range []string{"gone", "full"} {
		t.Run(how, func(t *testing.T) {
			var nodes []*node
			for id := uint64(1); id <= 3; id++ {
				n := newNode(t, id, "--log-level", "debug")
				n.start() // its addresses are known from now on
				n.terminate(syscall.SIGTERM)
				n.startWith(t, how)
				nodes = append(nodes, n)
			}
			c := &cluster{t: t, nodes: nodes}
			for _, n := range nodes {
				eventually(t, "a node to serve", func() error { _, err := n.status(); return err })
			}
			nodes[0].mustKV("init", "--members", c.members())
			leader := c.leader()
			leader.kill()
			rest := c.others(leader)
			c.leader(rest...)
			rest[0].mustKV("put", "k", "v")
			for _, n := range rest {
				if err := n.running(); err != nil {
					t.Error(err)
				}
				n.terminate(syscall.SIGTERM)
			}
		})
	}
}

// startWith starts the node with pipes for its output whose reader is gone, or never
// reads and lets no byte in.
func (n *node) startWith(t *testing.T, how string) {
	t.Helper()
	p := &process{command: n.newCommand(), ended: make(chan struct{}), log: &lockedBuffer{}}
	var ours []*os.File
	for range 2 {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		ours = append(ours, writer)
		if how == "gone" {
			reader.Close()
			continue
		}
		t.Cleanup(func() { reader.Close() })
		if err := fill(writer); err != nil {
			t.Fatal(err)
		}
	}
	p.command.Stdout, p.command.Stderr = ours[0], ours[1]
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range ours {
		f.Close()
	}
	n.mu.Lock()
	n.process = p
	n.mu.Unlock()
	go func() {
		defer close(p.ended)
		p.err = p.command.Wait()
	}()
}

// fill writes to a pipe until it takes no more.
func fill(pipe *os.File) error {
	if err := pipe.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	for _, size := range []int{4096, 1} {
		for {
			if _, err := pipe.Write(make([]byte, size)); errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// TestEndWithAHungCall: a node whose state machine hangs in Apply hands over, answers who
// waits, and ends with exit code 1 at its limit, naming the call. Started again it has
// everything.
func TestEndWithAHungCall(t *testing.T) {
	hanging := filepath.Join(t.TempDir(), "kv")
	if out, err := exec.Command("go", "build", "-tags", "hang", "-o", hanging, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	file := filepath.Join(t.TempDir(), "hang")
	n := newNode(t, 1)
	n.binary, n.environment = hanging, []string{"KV_HANG_FILE=" + file}
	n.start()
	n.mustKV("init", "--members", fmt.Sprintf("1=%s", n.raftAddress))
	n.mustKV("put", "before", "1")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPut, "http://"+n.httpAddress+"/kv/hung?timeout=60s", strings.NewReader("2"))
		if err == nil {
			var response *http.Response
			if response, err = transport.RoundTrip(request); err == nil {
				response.Body.Close()
				if response.StatusCode < 500 {
					err = fmt.Errorf("the write that hangs was answered with %s", response.Status)
				}
			}
		}
		answered <- err
	}()
	eventually(t, "the write to hang", func() error {
		if s, err := n.status(); err != nil || s.AppliedIndex >= s.CommitIndex {
			return fmt.Errorf("%d applied of %d, %v", s.AppliedIndex, s.CommitIndex, err)
		}
		return nil
	})
	n.endsAtItsLimit(`its call "apply" has not returned`)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	n.start()
	eventually(t, "the node to have everything", func() error {
		for key, want := range map[string]string{"before": "1", "hung": "2"} {
			if r := kv(t, "get", key, "--http", "http://"+n.httpAddress); r.stdout != want {
				return fmt.Errorf("%s is %q: %s", key, r.stdout, r.stderr)
			}
		}
		return nil
	})
	n.terminate(syscall.SIGTERM)
}

// TestEndWithoutADirectory: a node whose data directory is gone ends at its limit, though its
// database would try to write there for ever.
func TestEndWithoutADirectory(t *testing.T) {
	n := newNode(t, 1)
	n.start()
	n.mustKV("init", "--members", fmt.Sprintf("1=%s", n.raftAddress))
	n.mustKV("put", "k", "v")
	if err := os.RemoveAll(n.dir); err != nil {
		t.Fatal(err)
	}
	n.endsAtItsLimit("--data: not closed")
}

// endsAtItsLimit asks a node to end, which something keeps from it. It ends with exit code 1
// nevertheless, and its log has why.
func (n *node) endsAtItsLimit(why string) {
	n.t.Helper()
	if err := n.process.command.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	select {
	case <-n.process.ended:
	case <-time.After(waitLimit):
		n.t.Fatal("it does not end")
	}
	if code := n.process.command.ProcessState.ExitCode(); code != 1 {
		n.t.Errorf("exit code %d", code)
	}
	if text := n.process.log.String(); !strings.Contains(text, why) {
		n.t.Errorf("its log does not say %q: %s", why, text)
	}
}
