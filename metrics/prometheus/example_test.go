package prometheus_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/metrics/prometheus"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

// A node whose numbers are at /metrics.
func Example() {
	ctx := context.Background()
	numbers, err := prometheus.New(prometheus.Config{Node: 1, Groups: []troupe.GroupID{1}})
	if err != nil {
		log.Fatal(err)
	}
	defer numbers.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", numbers)
	server := httptest.NewServer(mux) // a program has an http.Server
	defer server.Close()

	raft, err := troupe.Start(ctx, troupe.NodeConfig{
		ID: 1, Network: inproc.NewHub().Network("node-1"), Log: memory.New(1), Snapshots: memory.NewSnapshots(), Meter: numbers.Meter(), MeterGroupHistograms: true,
	}, troupe.Config{StateMachine: nothing{}})
	if err != nil {
		log.Fatal(err)
	}
	defer raft.Kill()
	if err := raft.Bootstrap(ctx, troupe.At(1, "")); err != nil {
		log.Fatal(err)
	}
	if _, err := raft.Propose(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}

	response, err := http.Get(server.URL + "/metrics")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		// No snapshot has been installed: the histogram says so.
		if strings.HasPrefix(line, "raft_role{") && strings.Contains(line, `"leader"`) || strings.HasPrefix(line, "raft_snapshot_duration_seconds_count{") && strings.Contains(line, `"install"`) {
			fmt.Print(line)
		}
	}

	// Output:
	// raft_role{raft_group="1",raft_node="1",raft_role="leader"} 1
	// raft_snapshot_duration_seconds_count{raft_group="1",raft_node="1",raft_operation="install"} 0
}

// nothing is a state machine without a state.
type nothing struct{ troupe.Volatile }

func (nothing) Apply(_ context.Context, entries []troupe.Entry) ([][]byte, error) {
	return make([][]byte, len(entries)), nil
}
func (nothing) View() (troupe.SnapshotView, error)           { return empty{strings.NewReader("")}, nil }
func (nothing) Restore(_ context.Context, _ io.Reader) error { return nil }

type empty struct{ *strings.Reader }

func (empty) Close() error { return nil }
