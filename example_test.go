package troupe_test

import (
	"context"
	"fmt"
	"log"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

// Three nodes in one process, with everything in memory. A program has one
// node, a network and stores that survive it.
func Example() {
	ctx := context.Background()
	hub := inproc.NewHub()
	var nodes []*troupe.Raft
	var members []troupe.Member
	for id := troupe.NodeID(1); id <= 3; id++ {
		network := hub.Network(fmt.Sprintf("node-%d", id))
		raft, err := troupe.Start(ctx,
			troupe.NodeConfig{ID: id, Network: network, Log: memory.New(id), Snapshots: memory.NewSnapshots()},
			troupe.Config{StateMachine: &ledger{}})
		if err != nil {
			log.Fatal(err)
		}
		defer raft.Kill()
		nodes = append(nodes, raft)
		members = append(members, troupe.At(id, network.Address()))
	}
	if err := nodes[0].Bootstrap(ctx, members...); err != nil {
		log.Fatal(err)
	}

	// Any node takes writes.
	result, err := nodes[1].Propose(ctx, []byte("hello"))
	if err != nil {
		log.Fatal(err, troupe.MayHaveHappened(err))
	}
	fmt.Printf("the state machine of node 2 answered %s\n", result.Value)

	// When ReadIndex has returned, the machine of node 3 has the write as well.
	index, err := nodes[2].ReadIndex(ctx, troupe.Linearizable)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("node 3 has applied it: %t\n", index >= result.LogID.Index)
	configuration := nodes[2].Members()
	fmt.Println(configuration.String())

	// Output:
	// the state machine of node 2 answered 1
	// node 3 has applied it: true
	// voters 1 2 3
}

// A watch yields the newest status each time that it has changed.
func ExampleRaft_Watch() {
	ctx := context.Background()
	network := inproc.NewHub().Network("node-1")
	raft, err := troupe.Start(ctx,
		troupe.NodeConfig{ID: 1, Network: network, Log: memory.New(1), Snapshots: memory.NewSnapshots()},
		troupe.Config{StateMachine: &ledger{}})
	if err != nil {
		log.Fatal(err)
	}
	defer raft.Kill()
	if err := raft.Bootstrap(ctx, troupe.At(1, "")); err != nil {
		log.Fatal(err)
	}
	for status := range raft.Watch(ctx) {
		if status.Ready {
			fmt.Println("node", status.Leader, "is the", status.Role)
			break
		}
	}

	// Output:
	// node 1 is the leader
}
