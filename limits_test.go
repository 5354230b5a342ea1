package troupe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// TestSettingsFitTheNetwork: what could never be sent is refused at the start,
// by the name of the setting, and not tried for ever.
func TestSettingsFitTheNetwork(t *testing.T) {
	net, err := tcp.Listen(tcp.Config{Address: "127.0.0.1:0", FrameBytesMax: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	node, err := troupe.NewNode(troupe.NodeConfig{ID: 1, Network: net, Log: memory.New(1), Snapshots: memory.NewSnapshots()})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Kill()
	fits := troupe.Config{StateMachine: &ledger{}, CommandBytesMax: 1 << 19, MessageBytesMax: 1 << 19, SnapshotChunkBytes: 1 << 19}
	for name, spoil := range map[string]func(*troupe.Config){
		"CommandBytesMax":    func(c *troupe.Config) { c.CommandBytesMax = 1 << 20 },
		"MessageBytesMax":    func(c *troupe.Config) { c.MessageBytesMax = 1<<20 - 100 },
		"SnapshotChunkBytes": func(c *troupe.Config) { c.SnapshotChunkBytes = 8 << 20 },
	} {
		settings := fits
		spoil(&settings)
		_, err := node.Start(t.Context(), settings)
		if e := asError[*troupe.ConfigError](t, err); !strings.HasSuffix(e.Field, name) || !strings.Contains(e.Rule, "network") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := node.Start(t.Context(), fits); err != nil {
		t.Error(err)
	}
}

// TestBootstrapNamesTheCause: who does not answer is named together with what
// the network says of it, also by a second attempt, which the network tells
// nothing new.
func TestBootstrapNamesTheCause(t *testing.T) {
	c := newCluster(t, 1, config())
	for range 2 {
		err := c.members[0].raft.Bootstrap(saying(t, 2*time.Second), troupe.At(1, address(1)), troupe.At(2, "nowhere"))
		if e := asError[*troupe.BootstrapError](t, err); e.Node != 2 || e.Cause == nil || !strings.Contains(e.Cause.Error(), "nowhere") {
			t.Errorf("%v", err)
		}
	}
}

// TestLargeCommandsThroughAFollower: commands of which two do not fit into a
// message are forwarded in one each.
func TestLargeCommandsThroughAFollower(t *testing.T) {
	const command = 100 << 10
	settings := slowElections() // whoever takes a command answers it
	settings.CommandBytesMax, settings.MessageBytesMax, settings.SnapshotChunkBytes = command, command, command
	rafts, list := overTCP(t, 3, settings, tcp.Config{FrameBytesMax: command + 16<<10}, nil)
	if err := rafts[0].Bootstrap(within(t, 20*time.Second), list...); err != nil {
		t.Fatal(err)
	}
	follower := rafts[1]
	if follower.Status().Role == troupe.RoleLeader {
		follower = rafts[2]
	}
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			data := bytes.Repeat([]byte{byte('a' + i)}, command*3/5-i)
			if _, err := follower.Propose(within(t, 20*time.Second), data); err != nil {
				t.Errorf("%d bytes: %v", len(data), err)
			}
		})
	}
	group.Wait()
}

// tightLog takes entries of tightBytes at most, and says so.
type tightLog struct{ troupe.LogStore }

const tightBytes = 16 << 10

func (s tightLog) Limits() storage.Limits {
	l := s.LogStore.Limits()
	l.EntryBytesMax, l.BatchBytesMax = tightBytes, 4*tightBytes
	return l
}

func (s tightLog) Write(ctx context.Context, b *storage.Batch) error {
	for _, o := range b.Operations {
		for i := range o.Append {
			if n := len(o.Append[i].Data); n > tightBytes {
				return fmt.Errorf("tight: an entry of %d bytes, at most %d", n, tightBytes)
			}
		}
	}
	return s.LogStore.Write(ctx, b)
}

// TestConfigurationFitsTheLimits: members whose configuration no entry of the
// store, or no message of the network, would hold are refused before anything is
// written, and fewer bytes of them are taken afterwards.
func TestConfigurationFitsTheLimits(t *testing.T) {
	const least = 64 << 10 // the smallest frame
	for name, test := range map[string]struct {
		network tcp.Config
		prepare func(*troupe.NodeConfig)
	}{
		"an entry of the store":    {tcp.Config{}, func(c *troupe.NodeConfig) { c.Log = tightLog{c.Log} }},
		"a message of the network": {tcp.Config{FrameBytesMax: least}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			settings := config()
			settings.CommandBytesMax, settings.MessageBytesMax, settings.SnapshotChunkBytes = tightBytes/2, tightBytes/2, tightBytes/2
			rafts, list := overTCP(t, 3, settings, test.network, test.prepare)
			for i := range list {
				list[i].Tags = make(map[string]string)
				for tag := range membership.TagsMax {
					list[i].Tags[fmt.Sprintf("%0*d", membership.TagBytesMax, tag)] = strings.Repeat("v", membership.TagBytesMax)
				}
			}
			asError[*troupe.BootstrapError](t, rafts[0].Bootstrap(within(t, 20*time.Second), list...))
			if s := rafts[0].Status(); s.Last != 0 || s.Role != troupe.RoleNone || rafts[0].Err() != nil {
				t.Errorf("nothing was to be written, and the status is %+v, the error %v", s, rafts[0].Err())
			}
			for i := range list {
				list[i].Tags = nil
			}
			if err := rafts[0].Bootstrap(within(t, 20*time.Second), list...); err != nil {
				t.Errorf("without tags: %v", err)
			}
		})
	}
}

// lowered is a cluster over tcp whose nodes stop and start again with other limits.
type lowered struct {
	t               *testing.T
	nodes           []loweredNode
	electionTimeout time.Duration
}

type loweredNode struct {
	log     *memory.Store
	snaps   *memory.Snapshots
	address string
	machine *ledger
	raft    *troupe.Raft
}

func (l *lowered) start(i, frame int, settings troupe.Config) {
	l.t.Helper()
	n := &l.nodes[i]
	net, err := tcp.Listen(tcp.Config{Address: n.address, FrameBytesMax: frame})
	if err != nil {
		l.t.Fatal(err)
	}
	n.address, n.machine = net.Address(), &ledger{}
	settings.StateMachine, settings.ElectionTimeout = n.machine, l.electionTimeout
	n.raft, err = troupe.Start(l.t.Context(), troupe.NodeConfig{ID: troupe.NodeID(i + 1), Network: net, Log: n.log, Snapshots: n.snaps}, settings)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(n.raft.Kill)
}

// again kills what still runs and starts all with other limits.
func (l *lowered) again(frame int, settings troupe.Config) {
	l.t.Helper()
	for i := range l.nodes {
		l.nodes[i].raft.Kill()
	}
	for i := range l.nodes {
		if err := errors.Join(l.nodes[i].log.Close(), l.nodes[i].log.Reopen()); err != nil {
			l.t.Fatal(err)
		}
		l.start(i, frame, settings)
	}
}

func newLowered(t *testing.T, electionTimeout time.Duration, frames ...int) *lowered {
	t.Helper()
	l := &lowered{t: t, nodes: make([]loweredNode, 3), electionTimeout: electionTimeout}
	var members []troupe.Member
	for i, frame := range frames {
		l.nodes[i] = loweredNode{log: memory.New(troupe.NodeID(i + 1)), snaps: memory.NewSnapshots(), address: "127.0.0.1:0"}
		settings := troupe.Config{}
		if frame != 0 {
			settings = smallLimits
		}
		l.start(i, frame, settings)
		members = append(members, troupe.At(troupe.NodeID(i+1), l.nodes[i].address))
	}
	if err := l.nodes[0].raft.Bootstrap(within(t, 20*time.Second), members...); err != nil {
		t.Fatal(err)
	}
	return l
}

// The smallest frame, and limits that fit it.
const smallFrame = 64 << 10

var smallLimits = troupe.Config{CommandBytesMax: 10_000, MessageBytesMax: 20_000, SnapshotChunkBytes: 10_000}

// TestLimitsAreLowered: a member lacks entries that no message takes any more, since the
// limits were lowered over a restart. It gets a snapshot in their place, and whoever looks
// is told.
func TestLimitsAreLowered(t *testing.T) {
	l := newLowered(t, 3*time.Second, 0, 0, 0) // whoever takes a command answers it
	l.nodes[2].raft.Kill()                     // it lags
	for i := range 3 {
		if _, err := l.nodes[0].raft.Propose(within(t, 20*time.Second), bytes.Repeat([]byte{byte('a' + i)}, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	l.again(smallFrame, smallLimits)
	r, err := l.nodes[0].raft.Propose(within(t, 20*time.Second), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.nodes[2].raft.Wait(within(t, 30*time.Second), func(s troupe.Status) bool { return s.Applied >= r.LogID.Index }); err != nil {
		t.Fatalf("node 3 is at entry %d of %d", l.nodes[2].raft.Status().Applied, r.LogID.Index)
	}
	if s := l.nodes[2].raft.Status(); s.SnapshotIndex == 0 {
		t.Errorf("the entries went through: %+v", s)
	}
	for _, n := range l.nodes {
		// The leader knows it when it has heard of the snapshot.
		err := n.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool {
			return !slices.ContainsFunc(s.Peers, func(p troupe.PeerStatus) bool { return p.Oversized != 0 })
		})
		if err != nil {
			t.Errorf("an entry is still too large for somebody: %+v", n.raft.Status().Peers)
		}
	}
}

// TestLimitsDiffer: one member's network takes less than the others'. It gets a snapshot in
// place of what it does not take, in pieces that it takes, and what it passes on is refused
// by the limit of who leads.
func TestLimitsDiffer(t *testing.T) {
	l := newLowered(t, time.Minute, 0, 0, smallFrame) // whoever takes a command answers it
	if _, err := l.nodes[0].raft.Propose(within(t, 20*time.Second), make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	r, err := l.nodes[0].raft.Propose(within(t, 20*time.Second), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.nodes[2].raft.Wait(within(t, 30*time.Second), func(s troupe.Status) bool { return s.Applied >= r.LogID.Index }); err != nil {
		t.Fatalf("node 3 is at entry %d of %d", l.nodes[2].raft.Status().Applied, r.LogID.Index)
	}
}

// TestTooLargeNamesTheLimit: whose limit refused a command is told: this node's, the
// leader's, or that of a message to the leader.
func TestTooLargeNamesTheLimit(t *testing.T) {
	l := newLowered(t, time.Minute, 0, 0, smallFrame) // whoever is told to lead stays
	small, large := l.nodes[2].raft, l.nodes[0].raft
	_, err := small.Propose(t.Context(), make([]byte, 10_001))
	if e := asError[*troupe.TooLargeError](t, err); e.Max != 10_000 || e.Node != 0 || e.Limit != troupe.LimitCommand || !strings.Contains(err.Error(), "CommandBytesMax") {
		t.Errorf("of this node: %+v", e)
	}
	if err := large.TransferLeadership(within(t, 20*time.Second), 3); err != nil {
		t.Fatal(err)
	}
	_, err = large.Propose(within(t, 20*time.Second), make([]byte, 20_000))
	if e := asError[*troupe.TooLargeError](t, err); e.Size != 20_000 || e.Max != 10_000 || e.Node != 3 || e.Limit != troupe.LimitCommand {
		t.Errorf("of the leader: %+v", e)
	}
	_, err = large.Propose(within(t, 20*time.Second), make([]byte, 1<<20))
	if e := asError[*troupe.TooLargeError](t, err); e.Size != 1<<20 || e.Max >= smallFrame || e.Max < smallFrame/2 || e.Node != 3 || e.Limit != troupe.LimitMessage {
		t.Errorf("of a message to the leader: %+v", e)
	}
}
