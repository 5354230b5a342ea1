package exposition

import (
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/metrics"
)

func (e *Exposition) text(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestEmptyHistograms asserts that a series that was recorded takes the place of
// the empty one, and leaves the others.
func TestEmptyHistograms(t *testing.T) {
	e, err := New(1, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	in, err := metrics.New(e.Meter())
	if err != nil {
		t.Fatal(err)
	}
	empty := []string{
		`raft_snapshot_size_bytes_count{raft_group="7",raft_node="1",raft_operation="build"} 0`,
		`raft_snapshot_size_bytes_count{raft_group="7",raft_node="1",raft_operation="send"} 0`,
		`raft_inbox_depth_count{raft_actor="log",raft_node="1"} 0`,
		`raft_replicate_duration_seconds_count{raft_group="7",raft_node="1"} 0`,
	}
	for _, line := range empty {
		if text := e.text(t); strings.Count(text, line+"\n") != 1 {
			t.Errorf("%s is not there once", line)
		}
	}
	own := []attribute.KeyValue{attribute.String(metrics.KeyNode, "1"), attribute.String(metrics.KeyGroup, "7")}
	in.Recorder(metrics.SnapshotSize, attribute.NewSet(append(own, attribute.String(metrics.KeyOperation, "build"))...)).Count(2000)
	in.Recorder(metrics.ReplicateDuration, attribute.NewSet(append(own, attribute.String(metrics.KeyPeer, "2"))...)).Duration(1e6)
	text := e.text(t)
	for line, want := range map[string]int{
		empty[0]: 0, empty[1]: 1, empty[2]: 1, empty[3]: 0,
		`raft_snapshot_size_bytes_count{raft_group="7",raft_node="1",raft_operation="build"} 1`: 1,
		`raft_replicate_duration_seconds_count{raft_group="7",raft_node="1",raft_peer="2"} 1`:   1,
	} {
		if got := strings.Count(text, line+"\n"); got != want {
			t.Errorf("%s is there %d times, want %d", line, got, want)
		}
	}
}
