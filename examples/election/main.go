// Election runs a job on exactly one of several nodes: on the one that leads. When that
// ends or is cut off, another one goes on. Run it in three terminals, within ten seconds,
// with -id 1, 2 and 3, and end one after the other with ctrl-C:
//
//	go run ./examples/election -id 1 127.0.0.1:9001 127.0.0.1:9002 127.0.0.1:9003
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

// job works while this node leads. The term is its fencing token: where the job writes,
// requests of a term below the highest seen are to be refused.
func job(ctx context.Context, _ *troupe.Raft, term troupe.Term) {
	fmt.Printf("term %d: the job runs here\n", term)
	for ctx.Err() == nil { // asked before each step: it sees at once that the lease is over
		fmt.Printf("term %d: a step\n", term)
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	fmt.Printf("term %d: the job has stopped: %v\n", term, context.Cause(ctx))
}

// nothing is what the group replicates: that it elects a leader is all that is needed.
type nothing struct{ troupe.Volatile }

func (nothing) Apply(context.Context, []troupe.Entry) ([][]byte, error) { return nil, nil }
func (nothing) View() (troupe.SnapshotView, error)                      { return nothing{}, nil }
func (nothing) Restore(context.Context, io.Reader) error                { return nil }
func (nothing) WriteTo(io.Writer) (int64, error)                        { return 0, nil }
func (nothing) Close() error                                            { return nil }

func main() {
	id := flag.Uint64("id", 1, "which of the addresses is this node's, from 1 on")
	data := flag.String("data", "election-data", "where the nodes keep their votes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var members []troupe.Member
	for i, address := range flag.Args() {
		members = append(members, troupe.At(troupe.NodeID(i+1), address))
	}
	dir := filepath.Join(*data, fmt.Sprint(*id))
	store := must(badger.Open(filepath.Join(dir, "log"), badger.Options{Node: troupe.NodeID(*id)}))
	defer store.Close()
	snapshots := must(files.Open(filepath.Join(dir, "snapshots"), nil))
	defer snapshots.Close()
	raft := must(troupe.Start(ctx, troupe.NodeConfig{
		ID: troupe.NodeID(*id), Log: store, Snapshots: snapshots,
		Network: must(tcp.Listen(tcp.Config{Address: flag.Arg(int(*id) - 1)})),
	}, troupe.Config{StateMachine: nothing{}, OnLeading: job}))
	defer raft.Shutdown(context.Background()) // hands over, and waits for the job
	if err := raft.Bootstrap(ctx, members...); err != nil {
		log.Print(err)
	}
	<-ctx.Done()
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
