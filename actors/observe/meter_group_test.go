package observe

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/metrics"
)

// TestWhoLostItsData asserts that a leader's gauge tells which member is not counted
// because it lost its data, and that such a member's own gauge tells it of itself.
func TestWhoLostItsData(t *testing.T) {
	peers := func(lost membership.NodeID, ids ...membership.NodeID) (all []core.PeerStatus) {
		for _, id := range ids {
			all = append(all, core.PeerStatus{Identity: core.Identity{ID: id, Incarnation: 1}, LostData: id == lost})
		}
		return all
	}
	for name, test := range map[string]struct {
		status core.EngineStatus
		want   map[string]int64
	}{
		"a leader":            {core.EngineStatus{Role: core.RoleLeader, Peers: peers(0, 2, 3)}, map[string]int64{"1": 0, "2": 0, "3": 0}},
		"a leader that knows": {core.EngineStatus{Role: core.RoleLeader, Peers: peers(3, 2, 3)}, map[string]int64{"1": 0, "2": 0, "3": 1}},
		"a follower":          {core.EngineStatus{Role: core.RoleFollower}, map[string]int64{"1": 0}},
		"who lost its data":   {core.EngineStatus{Role: core.RoleNone, UnknownToGroup: true}, map[string]int64{"1": 1}},
	} {
		reader := sdk.NewManualReader()
		node, err := New(Config{Environment: newStill(), Node: 1, Meter: sdk.NewMeterProvider(sdk.WithReader(reader))})
		if err != nil {
			t.Fatal(err)
		}
		node.Group(1).Open(core.Progress{}, func() (Figures, bool) {
			return Figures{EngineStatus: test.status, Self: core.Identity{ID: 1, Incarnation: 1}}, true
		})
		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		got := make(map[string]int64)
		for _, m := range all.ScopeMetrics[0].Metrics {
			if m.Name == string(metrics.PeerLostData) {
				for _, p := range m.Data.(metricdata.Gauge[int64]).DataPoints {
					peer, _ := p.Attributes.Value(attribute.Key(metrics.KeyPeer))
					got[peer.AsString()] = p.Value
				}
			}
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
		for peer, want := range test.want {
			if got[peer] != want {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
	}
}
