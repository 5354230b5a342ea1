//go:build unix

package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

var formingRounds = flag.Int("forming-rounds", 2, "rounds of TestFormedByAllAtOnce")

// freeAddress is unusedAddress for the test's own goroutine.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := unusedAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// unusedAddress is one at which nobody listens. Its port is drawn from below those
// that systems give to who asks for any. So whoever does, a node's HTTP or a
// connection, does not get it while its node is down.
func unusedAddress() (string, error) {
	const low, high = 10_000, 32_000
	var last error
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", low+rand.IntN(high-low))
		l, err := net.Listen("tcp", address)
		if err == nil {
			return address, l.Close()
		}
		last = err
	}
	return "", last
}

// preparedNodes have addresses, and do not run.
func preparedNodes(t *testing.T, flags ...string) *cluster {
	t.Helper()
	c := &cluster{t: t}
	for id := uint64(1); id <= 3; id++ {
		n := newNode(t, id, flags...)
		n.raftAddress = freeAddress(t)
		c.nodes = append(c.nodes, n)
	}
	return c
}

// startAll starts nodes at the same time.
func startAll(t *testing.T, nodes []*node) {
	t.Helper()
	errs := make(chan error, len(nodes))
	for _, n := range nodes {
		go func() { errs <- n.tryStart() }()
	}
	for range nodes {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

// complete waits until all nodes know the same leader and three voters, in one
// cluster.
func (c *cluster) complete() *node {
	c.t.Helper()
	eventually(c.t, "one cluster of three voters", func() error {
		clusters := make(map[string]bool)
		for _, n := range c.nodes {
			s, err := n.status()
			if err != nil {
				return err
			}
			if len(s.Members) != 3 || s.Joint || s.Forming || s.Leader == 0 {
				return fmt.Errorf("node %d: %+v", n.id, s)
			}
			for _, m := range s.Members {
				if m.Kind != "voter" {
					return fmt.Errorf("node %d: %+v", n.id, s)
				}
			}
			clusters[s.Cluster] = true
		}
		if len(clusters) != 1 {
			return fmt.Errorf("clusters %v", clusters)
		}
		return nil
	})
	return c.leader()
}

func (n *node) log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process.log.String()
}

func (n *node) says(text string) {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("node %d says %q", n.id, text), func() error {
		if log := n.log(); !strings.Contains(log, text) {
			return fmt.Errorf("it says: %s", log)
		}
		return nil
	})
}

// TestFormedByAllAtOnce starts all nodes with the same --init at the same time:
// one cluster comes of it. When all come back with the same flags nothing
// happens but that.
func TestFormedByAllAtOnce(t *testing.T) {
	for round := range *formingRounds {
		c := preparedNodes(t, "--election-timeout", "500ms")
		for _, n := range c.nodes {
			n.flags = append(n.flags, "--init", c.members())
		}
		begun := time.Now()
		startAll(t, c.nodes)
		c.complete()
		t.Logf("round %d: formed in %v", round+1, time.Since(begun).Round(time.Millisecond))
		c.nodes[round%3].mustKV("put", "k", "v")
		for _, n := range c.nodes {
			n.says("this node belongs to the cluster of --init")
			n.mustKV("init", "--members", c.members()) // the same over HTTP
		}
		if round == 0 {
			before := statusOf(t, c.nodes[0]).Cluster
			for _, n := range c.nodes {
				n.kill()
			}
			startAll(t, c.nodes)
			c.complete()
			for _, n := range c.nodes {
				n.says("this node belongs to the cluster of --init")
				if got := statusOf(t, n).Cluster; got != before {
					t.Fatalf("node %d: the cluster was %s and is %s", n.id, before, got)
				}
				if got := n.mustKV("get", "k"); got != "v" {
					t.Fatalf("node %d reads %q", n.id, got)
				}
			}
		}
		for _, n := range c.nodes {
			n.terminate(syscall.SIGTERM)
		}
	}
}

// TestFormingWaits: while a member is missing the others say for whom they wait,
// and why; when it comes the cluster is formed.
func TestFormingWaits(t *testing.T) {
	c := preparedNodes(t, "--election-timeout", "500ms")
	for _, n := range c.nodes {
		n.flags = append(n.flags, "--init", c.members())
	}
	startAll(t, c.nodes[:2])
	for _, n := range c.nodes[:2] {
		eventually(t, "it waits for node 3", func() error {
			s, err := n.status()
			if err != nil {
				return err
			}
			for _, w := range s.WaitsFor {
				if w.ID == 3 && strings.HasPrefix(w.Why, "unreachable: ") && s.Role == "none" && !s.Forming {
					return nil
				}
			}
			return fmt.Errorf("%+v", s)
		})
		if answer := wantCode(t, n, "GET", "/readyz", "", 503, api.NoCluster); !strings.Contains(answer, "node 3: unreachable: ") {
			t.Errorf("node %d is not ready, and says %s", n.id, answer)
		}
		n.says("node 3: unreachable: ")
	}
	refused := kv(t, "init", "--members", c.members(), "--timeout", "300ms", "--http", c.nodes[0].httpAddress)
	if refused.code != 1 || !strings.Contains(refused.stderr, "forming: ") || !strings.Contains(refused.stderr, "node 3: unreachable: ") {
		t.Errorf("init beside --init: %+v", refused)
	}
	startAll(t, c.nodes[2:])
	c.complete()
}

// TestInitOfAnotherList: a node that belongs to a cluster serves on, and says
// that the flag does not fit.
func TestInitOfAnotherList(t *testing.T) {
	n := newNode(t, 1)
	n.start()
	n.mustKV("init", "--members", "1="+n.raftAddress)
	n.mustKV("put", "k", "v")
	n.terminate(syscall.SIGTERM)
	n.flags = []string{"--init", "1=" + n.raftAddress + ",2=127.0.0.1:1"}
	n.start()
	n.says("this node belongs to a cluster that was founded with another list than --init")
	if log := n.log(); !strings.Contains(log, "level=ERROR") {
		t.Errorf("it says: %s", log)
	}
	if got := n.mustKV("get", "k"); got != "v" {
		t.Errorf("it reads %q", got)
	}
}

// TestEmptiedMemberIsNamed: a member that lost its data, started with the same
// --init as ever, does not begin anything, and says what happened.
func TestEmptiedMemberIsNamed(t *testing.T) {
	c := preparedNodes(t, "--election-timeout", "500ms")
	for _, n := range c.nodes {
		n.flags = append(n.flags, "--init", c.members())
	}
	startAll(t, c.nodes)
	leader := c.complete()
	leader.mustKV("put", "k", "v")
	emptied := c.others(leader)[0]
	emptied.kill()
	if err := os.RemoveAll(emptied.dir); err != nil {
		t.Fatal(err)
	}
	emptied.start()
	emptied.says("lost its data")
	if log := emptied.log(); !strings.Contains(log, "level=ERROR") {
		t.Errorf("it says: %s", log)
	}
	if s := statusOf(t, emptied); s.Role != "none" || s.Cluster != "none" || len(s.Members) != 0 {
		t.Errorf("its status is %+v", s)
	}
	wantCode(t, emptied, "GET", "/readyz", "", 503, api.NoCluster)
	answer := kv(t, "init", "--members", c.members(), "--http", emptied.httpAddress)
	if answer.code != 1 || !strings.Contains(answer.stderr, "lost") {
		t.Errorf("init: %+v", answer)
	}
	if got := leader.mustKV("get", "k"); got != "v" {
		t.Errorf("the leader reads %q", got)
	}
}
