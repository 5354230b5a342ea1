package troupe_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/tcp"
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

// TestBootstrapRefusesAddresses: an address that cannot be right is refused
// before anybody is asked.
func TestBootstrapRefusesAddresses(t *testing.T) {
	c := newCluster(t, 2, config())
	own := c.members[0]
	for name, list := range map[string][]troupe.Member{
		"any address":            {troupe.At(1, "0.0.0.0:9001"), troupe.At(2, address(2))},
		"any address, version 6": {troupe.At(1, address(1)), troupe.At(2, "[::]:9001")},
		"no host":                {troupe.At(1, ":9001"), troupe.At(2, address(2))},
		"another's address":      {troupe.At(1, address(2)), troupe.At(2, address(2))},
	} {
		err := own.raft.Bootstrap(t.Context(), list...)
		if e := asError[*troupe.BootstrapError](t, err); e.Node == 0 || !strings.Contains(e.Reason, "address") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBootstrapNamesTheCause: who does not answer is named together with what
// the network says of it.
func TestBootstrapNamesTheCause(t *testing.T) {
	c := newCluster(t, 1, config())
	err := c.members[0].raft.Bootstrap(within(t, 2*time.Second), troupe.At(1, address(1)), troupe.At(2, "nowhere"))
	if e := asError[*troupe.BootstrapError](t, err); e.Node != 2 || e.Cause == nil || !strings.Contains(e.Error(), e.Cause.Error()) {
		t.Errorf("%v", err)
	}
}

// TestLargeCommandsThroughAFollower: commands of which two do not fit into a
// message are forwarded in one each.
func TestLargeCommandsThroughAFollower(t *testing.T) {
	const command = 100 << 10
	settings := config()
	settings.CommandBytesMax, settings.MessageBytesMax, settings.SnapshotChunkBytes = command, command, command
	var rafts []*troupe.Raft
	var list []troupe.Member
	for id := troupe.NodeID(1); id <= 3; id++ {
		net, err := tcp.Listen(tcp.Config{Address: "127.0.0.1:0", FrameBytesMax: command + 16<<10})
		if err != nil {
			t.Fatal(err)
		}
		settings.StateMachine = &ledger{}
		raft, err := troupe.Start(t.Context(), troupe.NodeConfig{ID: id, Network: net, Log: memory.New(id), Snapshots: memory.NewSnapshots()}, settings)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(raft.Kill)
		rafts, list = append(rafts, raft), append(list, troupe.At(id, net.Address()))
	}
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
