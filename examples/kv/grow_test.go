//go:build unix

package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

var grow = flag.Bool("grow", false, "TestGrowReplaceShrink grows to five nodes and replaces all of them, not to three and one of them")

// pauseMost is for how long writes may stand still: two election time-outs of the default.
// TestGrowReplaceShrink holds them to that with -grow, on a machine that does nothing else.
// Else they may take ten times as long.
const pauseMost = 2 * time.Second

// changing are nodes that come and go while clients write through those that serve.
type changing struct {
	t *testing.T
	// pauseMost is for how long writes may stand still.
	pauseMost time.Duration
	serving   atomic.Pointer[[]*node]
	clients   sync.WaitGroup
	end       chan struct{}

	mu     sync.Mutex
	step   string
	last   time.Time
	acked  []string
	pauses []string
	worst  time.Duration
	err    error
}

func newChanging(t *testing.T, first *node) *changing {
	c := &changing{t: t, pauseMost: 10 * pauseMost, end: make(chan struct{}), step: "at first", last: time.Now()}
	c.serving.Store(&[]*node{first})
	for id := range 6 {
		c.clients.Go(func() { c.client(id) })
	}
	return c
}

func (c *changing) client(id int) {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-c.end:
			return
		case <-tick.C:
		}
		serving := *c.serving.Load()
		key := fmt.Sprintf("write-%d-%d", id, i)
		_, err := serving[rand.IntN(len(serving))].client.Put(c.t.Context(), key, []byte(key))
		c.judge(key, err)
	}
}

// judge notes an acknowledged write and how long there was none, and errors that no node
// which goes away explains.
func (c *changing) judge(key string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var answer *api.Error
	if errors.As(err, &answer) {
		switch answer.Code {
		case api.UnknownOutcome, api.Timeout, api.NoLeader, api.Stopped, api.Removed:
		default:
			c.err = errors.Join(c.err, err)
		}
	}
	if err != nil {
		return
	}
	now := time.Now()
	if pause := now.Sub(c.last); pause > 100*time.Millisecond {
		c.pauses = append(c.pauses, fmt.Sprintf("%v %s", pause.Round(time.Millisecond), c.step))
		c.worst = max(c.worst, pause)
	}
	c.last, c.acked = now, append(c.acked, key)
}

// does names what is done now, and by whom clients are served from now on.
func (c *changing) does(step string, serving ...*node) {
	c.t.Logf("%s", step)
	c.mu.Lock()
	c.step = step
	c.mu.Unlock()
	c.serving.Store(&serving)
}

// stop ends the clients, reports each pause, and wants everything to be on a node.
func (c *changing) stop(on *node) {
	c.t.Helper()
	close(c.end)
	c.clients.Wait()
	c.t.Logf("%d writes; pauses over 100 ms: %q", len(c.acked), c.pauses)
	if c.worst > c.pauseMost {
		c.t.Errorf("writes stood still for %v, more than %v", c.worst, c.pauseMost)
	}
	if c.err != nil {
		c.t.Errorf("unexpected answers: %v", c.err)
	}
	for _, key := range c.acked {
		if value, err := on.client.Get(c.t.Context(), key, client.Read{}); err != nil || string(value) != key {
			c.t.Fatalf("the acknowledged write of %s reads %q, %v", key, value, err)
		}
	}
}

// TestGrowReplaceShrink grows a cluster by processes that join, replaces them one by one,
// each with an emptied directory at a new address, and shrinks it to one, while clients
// write: nothing is lost, and no pause is longer than pauseMost.
func TestGrowReplaceShrink(t *testing.T) {
	size, replaced := 3, 1
	if *grow {
		size, replaced = 5, 5
	}
	one := alone(t)
	c := newChanging(t, one)
	if *grow {
		c.pauseMost = pauseMost
	}
	nodes := []*node{one}
	for len(nodes) < size {
		var two []*node
		for range 2 {
			n := newNode(t, uint64(len(nodes)+len(two)+1), "--join", "http://"+one.httpAddress)
			n.start()
			two = append(two, n)
		}
		c.does(fmt.Sprintf("growing from %d to %d", len(nodes), len(nodes)+2), nodes...)
		nodes = append(nodes, two...)
		one.membersAre(votersText(nodes))
	}
	for i := range replaced {
		// The last first: node 1 began, and may lead.
		n := nodes[size-1-i]
		rest := append(append([]*node(nil), nodes[:size-1-i]...), nodes[size-i:]...)
		c.does(fmt.Sprintf("replacing node %d", n.id), rest...)
		n.terminate(syscall.SIGTERM)
		if err := os.RemoveAll(n.dir); err != nil {
			t.Fatal(err)
		}
		n.raftAddress = freeAddress(t)
		n.start()
		eventually(t, "it is replaced", func() error {
			r := kv(t, "members", "replace", fmt.Sprint(n.id), "--address", n.raftAddress, "--http", rest[0].httpAddress)
			if r.code != 0 {
				return errors.New(r.stderr)
			}
			return nil
		})
		n.membersAre(votersText(nodes))
	}
	for len(nodes) > 1 {
		gone := nodes[0]
		nodes = nodes[1:]
		c.does(fmt.Sprintf("removing node %d", gone.id), nodes...)
		nodes[0].mustKV("members", "remove", fmt.Sprint(gone.id))
		nodes[0].membersAre(votersText(nodes))
		gone.terminate(syscall.SIGTERM)
	}
	c.stop(nodes[0])
}

// votersText is what membersText says of voters.
func votersText(nodes []*node) string {
	text := ""
	for i, n := range nodes {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%d voter", n.id)
	}
	return text
}
