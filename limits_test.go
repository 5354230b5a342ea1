package troupe_test

import (
	"bytes"
	"context"
	"fmt"
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
		err := c.members[0].raft.Bootstrap(within(t, 2*time.Second), troupe.At(1, address(1)), troupe.At(2, "nowhere"))
		if e := asError[*troupe.BootstrapError](t, err); e.Node != 2 || e.Cause == nil || !strings.Contains(e.Cause.Error(), "nowhere") {
			t.Errorf("%v", err)
		}
	}
}

// TestLargeCommandsThroughAFollower: commands of which two do not fit into a
// message are forwarded in one each.
func TestLargeCommandsThroughAFollower(t *testing.T) {
	const command = 100 << 10
	settings := config()
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
