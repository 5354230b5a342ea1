//go:build unix

package idle

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage/memory"
)

var (
	groups  = flag.Int("groups", 20, "how many groups each process hosts")
	seconds = flag.Float64("seconds", 0.5, "for how long the idle groups are watched")
)

// childVariable names the child's node id; it makes the test binary a node, or
// all three if it is "all".
const childVariable = "TROUPE_IDLE_NODE"

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(childVariable) != "" {
		run := serve
		if os.Getenv(childVariable) == "all" {
			run = serveAll
		}
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, "node", os.Getenv(childVariable), err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// usage is what one process needed.
type usage struct {
	Groups        int
	Goroutines    int
	HeapKiB       uint64
	ResidentKiB   int64
	CPUPercent    float64
	LeadersHere   int
	TermsChanged  int
	FormedSeconds float64
}

// TestIdle hosts groups in three processes with memory stores and TCP. They must
// form, keep their leaders while nothing happens, and end in order.
func TestIdle(t *testing.T) {
	nodes := make([]*child, 3)
	var addresses []string
	for i := range nodes {
		nodes[i] = startChild(t, fmt.Sprint(i+1))
	}
	for _, n := range nodes {
		var address string
		n.read(t, &address)
		addresses = append(addresses, address)
	}
	for _, n := range nodes {
		n.write(t, addresses)
	}
	leaders := 0
	for i, n := range nodes {
		var u usage
		n.read(t, &u)
		t.Logf("node %d: %+v", i+1, u)
		leaders += u.LeadersHere
		if u.TermsChanged > 0 {
			t.Errorf("node %d: %d groups changed their term while idle", i+1, u.TermsChanged)
		}
	}
	if leaders != *groups {
		t.Errorf("%d groups have %d leaders", *groups, leaders)
	}
}

// TestIdleInOneProcess hosts all three nodes of each group in one process, with
// memory stores and the network within it: what the runtime itself costs.
func TestIdleInOneProcess(t *testing.T) {
	var u usage
	startChild(t, "all").read(t, &u)
	t.Logf("three nodes: %+v; CPU per node: %.3f %%", u, u.CPUPercent/3)
	if u.TermsChanged > 0 || u.LeadersHere != *groups {
		t.Errorf("%d groups have %d leaders, and %d changed their term while idle", *groups, u.LeadersHere, u.TermsChanged)
	}
}

// child is a node in a process of its own, which ends when its input does.
type child struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(t *testing.T, id string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	limit := 2*time.Minute + time.Duration(*seconds*float64(time.Second)) + time.Duration(*groups)*100*time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	cmd := exec.CommandContext(ctx, self, fmt.Sprintf("-groups=%d", *groups), fmt.Sprintf("-seconds=%g", *seconds))
	cmd.Env = append(os.Environ(), childVariable+"="+id)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("node %s: %v", id, err)
		}
	})
	return &child{in, bufio.NewReader(out)}
}

func (c *child) read(t *testing.T, v any) {
	t.Helper()
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, v); err != nil {
		t.Fatal(err)
	}
}

func (c *child) write(t *testing.T, v any) {
	t.Helper()
	if err := json.NewEncoder(c.in).Encode(v); err != nil {
		t.Fatal(err)
	}
}

// nothing is a state machine without a state.
type nothing struct{ troupe.Volatile }

func (nothing) Apply(_ context.Context, entries []troupe.Entry) ([][]byte, error) {
	return make([][]byte, len(entries)), nil
}
func (nothing) View() (troupe.SnapshotView, error)       { return view{strings.NewReader("")}, nil }
func (nothing) Restore(context.Context, io.Reader) error { return nil }

type view struct{ *strings.Reader }

func (view) Close() error { return nil }

// host starts a node with all groups.
func host(id troupe.NodeID, net troupe.Network) (*troupe.Node, []*troupe.Raft, error) {
	node, err := troupe.NewNode(troupe.NodeConfig{ID: id, Network: net, Log: memory.New(id), Snapshots: memory.NewSnapshots()})
	if err != nil {
		return nil, nil, err
	}
	hosted := make([]*troupe.Raft, *groups)
	for i := range hosted {
		hosted[i], err = node.Start(context.Background(), troupe.Config{Group: troupe.GroupID(i + 1), StateMachine: nothing{}})
		if err != nil {
			return nil, nil, errors.Join(err, node.Close())
		}
	}
	return node, hosted, nil
}

// serve is the child: it hosts the groups, forms those that fall to it, and
// tells what they cost.
func serve() (err error) {
	var id troupe.NodeID
	if _, err := fmt.Sscan(os.Getenv(childVariable), &id); err != nil {
		return err
	}
	net, err := tcp.Listen(tcp.Config{Address: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	node, hosted, err := host(id, net)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	if err := out.Encode(node.Address()); err != nil {
		return err
	}
	var addresses []string
	if err := json.NewDecoder(in).Decode(&addresses); err != nil {
		return err
	}
	begin := time.Now()
	if err := form(context.Background(), id, hosted, addresses); err != nil {
		return err
	}
	u := usage{Groups: len(hosted), FormedSeconds: time.Since(begin).Seconds()}
	measure(&u, hosted)
	if err := out.Encode(u); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, in) // until all have been measured
	return nil
}

// serveAll is the child that hosts all three nodes.
func serveAll() (err error) {
	hub := inproc.NewHub()
	begin := time.Now()
	var all []*troupe.Raft
	var addresses []string
	hosted := make(map[troupe.NodeID][]*troupe.Raft)
	for id := troupe.NodeID(1); id <= 3; id++ {
		node, rafts, err := host(id, hub.Network(""))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, node.Close()) }()
		hosted[id], all = rafts, append(all, rafts...)
		addresses = append(addresses, node.Address())
	}
	formed := make(chan error)
	for id := troupe.NodeID(1); id <= 3; id++ {
		go func() { formed <- form(context.Background(), id, hosted[id], addresses) }()
	}
	if err := errors.Join(<-formed, <-formed, <-formed); err != nil {
		return err
	}
	u := usage{Groups: *groups, FormedSeconds: time.Since(begin).Seconds()}
	measure(&u, all)
	return json.NewEncoder(os.Stdout).Encode(u)
}

// form bootstraps every third group here, and waits until all are formed.
func form(ctx context.Context, id troupe.NodeID, hosted []*troupe.Raft, addresses []string) error {
	var members []troupe.Member
	for i, address := range addresses {
		members = append(members, troupe.At(troupe.NodeID(i+1), address))
	}
	for i, raft := range hosted {
		if i%len(addresses)+1 != int(id) {
			continue
		}
		if err := raft.Bootstrap(ctx, members...); err != nil {
			return fmt.Errorf("group %d: %w", raft.Group(), err)
		}
	}
	for _, raft := range hosted {
		formed := func(s troupe.Status) bool {
			return s.Leader != 0 && len(s.Configuration.Voters) == len(addresses)
		}
		if err := raft.Wait(ctx, formed); err != nil {
			return fmt.Errorf("group %d: %w", raft.Group(), err)
		}
	}
	return nil
}

func measure(u *usage, hosted []*troupe.Raft) {
	terms := make([]troupe.Term, len(hosted))
	for i, raft := range hosted {
		terms[i] = raft.Status().Term
	}
	time.Sleep(time.Duration(*seconds * float64(time.Second) / 4)) // let the start fade away
	runtime.GC()
	before, begin := cpu(), time.Now()
	time.Sleep(time.Duration(*seconds * float64(time.Second)))
	u.CPUPercent = 100 * float64(cpu()-before) / float64(time.Since(begin))
	u.Goroutines = runtime.NumGoroutine()
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	u.HeapKiB = stats.HeapAlloc >> 10
	u.ResidentKiB = residentMax()
	for i, raft := range hosted {
		s := raft.Status()
		if s.Role == troupe.RoleLeader {
			u.LeadersHere++
		}
		if s.Term != terms[i] {
			u.TermsChanged++
		}
	}
}

func cpu() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// residentMax is the largest resident set so far, in the kernel's unit: KiB on
// Linux.
func residentMax() int64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return int64(r.Maxrss)
}
