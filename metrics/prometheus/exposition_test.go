package prometheus

import (
	"net/http/httptest"
	"strings"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/membership"
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
	e, err := New(Config{Node: 1, Groups: []membership.GroupID{7}})
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

// TestNoNode asserts that a configuration without a node is refused by name.
func TestNoNode(t *testing.T) {
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "Config.Node") {
		t.Errorf("got %v", err)
	}
}

// TestManyGroups asserts that each group has its series, and the inbox that they
// share one.
func TestManyGroups(t *testing.T) {
	e, err := New(Config{Node: 1, Groups: []membership.GroupID{7, 8}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	text := e.text(t)
	for _, line := range []string{
		`raft_apply_duration_seconds_count{raft_group="7",raft_node="1"} 0`,
		`raft_apply_duration_seconds_count{raft_group="8",raft_node="1"} 0`,
		`raft_inbox_depth_count{raft_actor="log",raft_node="1"} 0`,
	} {
		if got := strings.Count(text, line+"\n"); got != 1 {
			t.Errorf("%s is there %d times, want 1", line, got)
		}
	}
}

// TestNoGroups asserts that a series without a group stands for those that are
// not known, until one is.
func TestNoGroups(t *testing.T) {
	e, err := New(Config{Node: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	in, err := metrics.New(e.Meter())
	if err != nil {
		t.Fatal(err)
	}
	nobody, one := `raft_apply_duration_seconds_count{raft_node="1"} 0`, `raft_apply_duration_seconds_count{raft_group="7",raft_node="1"} 1`
	if text := e.text(t); strings.Count(text, nobody+"\n") != 1 {
		t.Errorf("%s is not there once", nobody)
	}
	in.Recorder(metrics.ApplyDuration, attribute.NewSet(attribute.String(metrics.KeyNode, "1"), attribute.String(metrics.KeyGroup, "7"))).Duration(1e6)
	if text := e.text(t); strings.Contains(text, nobody) || strings.Count(text, one+"\n") != 1 {
		t.Errorf("%s does not stand in the place of %s", one, nobody)
	}
}

// TestRegistryOfTheCaller asserts that a registry is shown whole and as it is.
func TestRegistryOfTheCaller(t *testing.T) {
	registry := client.NewRegistry()
	orders := client.NewCounter(client.CounterOpts{Name: "orders_total", Help: "Orders."})
	registry.MustRegister(orders)
	orders.Inc()
	e, err := New(Config{Node: 1, Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if text := e.text(t); !strings.Contains(text, "orders_total 1\n") || strings.Contains(text, "go_goroutines") || !strings.Contains(text, "raft_log_sync_duration_seconds_count") {
		t.Errorf("got %s", text)
	}
	families, err := e.Gather()
	if err != nil || len(families) == 0 {
		t.Errorf("%d families: %v", len(families), err)
	}
}
