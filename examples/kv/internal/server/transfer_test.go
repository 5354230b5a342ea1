package server

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// fakeLimiter keeps a rate.
type fakeLimiter struct{ rate uint64 }

func (f *fakeLimiter) SnapshotRate() uint64        { return f.rate }
func (f *fakeLimiter) SetSnapshotRate(rate uint64) { f.rate = rate }

func TestSnapshotRate(t *testing.T) {
	s, node := quiet(newFake()), &fakeLimiter{rate: 7}
	exchange{"GET", "/node/snapshot-rate", "", 404, "not_found"}.run(t, s)
	s.ShowSnapshotRate(node)
	exchange{"GET", "/node/snapshot-rate", "", 200, `{"bytes_per_second":7}`}.run(t, s)
	exchange{"POST", "/node/snapshot-rate", `{"bytes_per_second":1000000}`, 200, `{"bytes_per_second":1000000}`}.run(t, s)
	for _, wrong := range []string{"", "{}", `{"bytes_per_second":-1}`, `{"bytes_per_second":"1"}`, `{"rate":1}`} {
		exchange{"POST", "/node/snapshot-rate", wrong, 400, "bad_request"}.run(t, s)
	}
	if node.rate != 1_000_000 {
		t.Errorf("the node has a rate of %d", node.rate)
	}
}

// TestStatusOfTransfers: a snapshot on its way, on both sides of it, and a machine that
// waits for one.
func TestStatusOfTransfers(t *testing.T) {
	f := newFake()
	s := quiet(f)
	status := func() (answer api.Status) {
		t.Helper()
		recorded := httptest.NewRecorder()
		s.ServeHTTP(recorded, httptest.NewRequestWithContext(t.Context(), "GET", "/status", nil))
		if err := json.Unmarshal(recorded.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if got := status(); got.LacksMachine || got.Receiving != nil {
		t.Errorf("without a transfer: %+v", got)
	}
	f.status.LacksMachine = true
	f.status.Receiving = troupe.SnapshotProgress{
		Snapshot: troupe.LogID{Term: 1, Index: 9}, From: troupe.Identity{ID: 3}, Bytes: 10, TotalBytes: 30, BytesPerSecond: 4, Left: 5 * time.Second,
	}
	f.status.Peers = []troupe.PeerStatus{
		{Identity: troupe.Identity{ID: 2}, Snapshot: true, SnapshotBytes: 1, SnapshotTotalBytes: 7, SnapshotBytesPerSecond: 3, SnapshotLeft: 2 * time.Second, LacksMachine: true},
		{Identity: troupe.Identity{ID: 3}, SnapshotLeft: -1},
	}
	got := status()
	if r := got.Receiving; !got.LacksMachine || r == nil || r.From != 3 || r.SnapshotIndex != 9 || r.Bytes != 10 || r.TotalBytes != 30 || r.BytesPerSecond != 4 || *r.Left != 5 {
		t.Errorf("%+v", got)
	}
	if p := got.Peers[0]; !p.LacksMachine || p.SnapshotBytesPerSecond != 3 || *p.SnapshotLeft != 2 || got.Peers[1].SnapshotLeft != nil {
		t.Errorf("%+v", got.Peers)
	}
}
