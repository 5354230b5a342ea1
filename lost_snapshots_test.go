package troupe_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// TestLostSnapshotsElsewhere: a follower comes back at another address without its
// snapshots, of which the log alone does not tell the members. It shows itself to those whom
// it has met (rule 30), asks for a snapshot (rule 24), and catches up.
func TestLostSnapshotsElsewhere(t *testing.T) {
	settings := config()
	settings.SnapshotEntries, settings.KeepEntries = 20, 5
	nodes := map[troupe.NodeID]troupe.NodeConfig{}
	rafts, list := overTCP(t, 3, settings, tcp.Config{}, func(c *troupe.NodeConfig) { nodes[c.ID] = *c })
	if err := rafts[0].Bootstrap(within(t, 20*time.Second), list...); err != nil {
		t.Fatal(err)
	}
	wait := func(raft *troupe.Raft, what string, ok func(troupe.Status) bool) {
		t.Helper()
		if err := raft.Wait(within(t, 20*time.Second), ok); err != nil {
			t.Fatalf("%s: %v; %+v", what, err, raft.Status())
		}
	}
	for i := range 100 {
		if _, err := rafts[0].Propose(within(t, 20*time.Second), fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	wait(rafts[0], "a leader", func(s troupe.Status) bool { return s.Leader != 0 })
	i := slices.IndexFunc(list, func(m troupe.Member) bool { return m.ID != rafts[0].Status().Leader })
	wait(rafts[i], "the log is purged", func(s troupe.Status) bool { return s.Purged > 50 && s.Applied > 100 })
	for deadline := time.Now().Add(20 * time.Second); !slices.ContainsFunc(nodes[list[i].ID].Log.Peers(), func(p storage.Peer) bool { return p.Address != "" }); {
		if time.Now().After(deadline) {
			t.Fatal("it has kept nobody's address")
		}
		time.Sleep(time.Millisecond)
	}
	if err := rafts[i].Shutdown(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}

	again := nodes[list[i].ID]
	store := again.Log.(*memory.Store)
	net, err := tcp.Listen(tcp.Config{Address: "127.0.0.1:0"})
	if err = errors.Join(err, store.Close(), store.Reopen()); err != nil {
		t.Fatal(err)
	}
	again.Network, again.Snapshots = net, memory.NewSnapshots()
	machine := &ledger{}
	settings.StateMachine = machine
	raft, err := troupe.Start(t.Context(), again, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(raft.Kill)
	if s := raft.Status(); !s.LacksMachine || len(s.Configuration.Members) != 0 {
		t.Fatalf("it lacks nothing, or knows the members: the test is worthless: %+v", s)
	}
	wait(raft, "it is found", func(s troupe.Status) bool { return s.Applied > 100 && !s.LacksMachine })
	members := raft.Members()
	if m, _ := members.Member(raft.Status().Self); m.Address != list[i].Address {
		t.Errorf("its address is written down already: %q", m.Address)
	}
	if _, err := raft.Propose(within(t, 20*time.Second), []byte("last")); err != nil {
		t.Fatal(err)
	}
	if _, err := raft.ReadIndex(within(t, 20*time.Second), troupe.Linearizable); err != nil {
		t.Fatal(err)
	}
	if got := machine.content(); len(got) < 101 || got[0] != "0" || got[len(got)-1] != "last" {
		t.Errorf("it holds %d commands: %v", len(got), got)
	}
}
