package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/metrics"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
)

// meters is a reader of all nodes of a test.
type meters struct {
	t      testing.TB
	reader *sdk.ManualReader
}

func newMeters(t testing.TB) (*meters, *sdk.MeterProvider) {
	reader := sdk.NewManualReader()
	return &meters{t, reader}, sdk.NewMeterProvider(sdk.WithReader(reader))
}

// point is one series: its sum and, of a histogram, its count.
type point struct {
	set   attribute.Set
	sum   float64
	count uint64
}

// read returns all series by the instruments' names.
func (m *meters) read() map[string][]point {
	m.t.Helper()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &all); err != nil {
		m.t.Fatal(err)
	}
	found := make(map[string][]point)
	for _, scope := range all.ScopeMetrics {
		for _, instrument := range scope.Metrics {
			found[instrument.Name] = pointsOf(instrument.Data)
		}
	}
	return found
}

func pointsOf(data metricdata.Aggregation) (points []point) {
	switch data := data.(type) {
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			points = append(points, point{p.Attributes, p.Sum, p.Count})
		}
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			points = append(points, point{p.Attributes, float64(p.Sum), p.Count})
		}
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			points = append(points, point{p.Attributes, float64(p.Value), 0})
		}
	case metricdata.Gauge[int64]:
		for _, p := range data.DataPoints {
			points = append(points, point{p.Attributes, float64(p.Value), 0})
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			points = append(points, point{p.Attributes, p.Value, 0})
		}
	}
	return points
}

// sum adds up the series of an instrument whose attributes are as given, by key
// and value in turns.
func sum(points []point, attributes ...string) (total point) {
next:
	for _, p := range points {
		for i := 0; i < len(attributes); i += 2 {
			if v, _ := p.set.Value(attribute.Key(attributes[i])); v.AsString() != attributes[i+1] {
				continue next
			}
		}
		total.sum += p.sum
		total.count += p.count
	}
	return total
}

// newMeteredCluster is newCluster with a meter on each node.
func newMeteredCluster(t *testing.T, n int, configure func(*GroupConfig)) ([]*host, *meters) {
	t.Helper()
	m, provider := newMeters(t)
	hub := inproc.NewHub()
	var hosts []*host
	var ids []membership.NodeID
	for i := range n {
		id := membership.NodeID(i + 1)
		h := newHost(t, hub, id, configure)
		h.meter = provider
		h.start()
		hosts, ids = append(hosts, h), append(ids, id)
	}
	if err := bootstrap(t, hosts[0].group, patience, members(ids...)...); err != nil {
		t.Fatal(err)
	}
	leaderOf(t, hosts)
	return hosts, m
}

func calm(c *GroupConfig) { c.ElectionTimeout, c.HungLimit = 10*time.Second, 60*time.Second }

// TestStagesOfWrites runs writes through three nodes, and compares what was
// recorded of each stage with what the machines and the statuses say.
func TestStagesOfWrites(t *testing.T) {
	hosts, m := newMeteredCluster(t, 3, calm)
	leader := leaderOf(t, hosts)
	const clients, each = 16, 50
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				if p := call(t, leader.group, &Proposal{Data: fmt.Appendf(nil, "%d/%d", c, i), WaitForRoom: true}); p.Err != nil {
					t.Error(p.Err)
				}
			}
		})
	}
	wg.Wait()
	call(t, others(hosts, leader)[0].group, &Proposal{Data: []byte("forwarded")})
	if r := read(t, leader.group); r.Err != nil {
		t.Fatal(r.Err)
	}
	converge(t, hosts)
	last := float64(leader.group.Status().Last)
	id := fmt.Sprint(leader.id)
	// The first entry of all is appended before anybody leads. What is recorded at
	// the end of a burst, or after an answer, may come a moment later.
	eventually(t, "the last records", func() bool {
		found := m.read()
		return sum(found["raft.apply.batch.entries"]).sum == 3*last && sum(found["raft.log.batch.entries"]).sum == 3*last && sum(found["raft.propose.batch.entries"]).sum == last-1 &&
			sum(found["raft.propose.duration"]).count+1 >= sum(found["raft.apply.batch.entries"], metrics.KeyNode, id).count
	})
	found := m.read()
	for _, name := range []string{
		"raft.propose.duration", "raft.propose.queue.duration", "raft.commit.duration", "raft.replicate.duration", "raft.replicate.batch.entries",
		"raft.replicate.batch.size", "raft.propose.batch.entries", "raft.propose.batch.size", "raft.read.duration",
	} {
		if own, all := sum(found[name], metrics.KeyNode, id, metrics.KeyGroup, "1"), sum(found[name]); own.count == 0 || own.count != all.count || own.sum <= 0 {
			t.Errorf("%s was recorded %d times on the leader with a sum of %v, and %d times on all", name, own.count, own.sum, all.count)
		}
	}
	for _, h := range hosts {
		for _, name := range []string{"raft.log.append.duration", "raft.log.sync.duration", "raft.log.batch.entries", "raft.log.batch.size", "raft.apply.duration", "raft.apply.call.duration", "raft.apply.batch.entries", "raft.apply.batch.size"} {
			if p := sum(found[name], metrics.KeyNode, fmt.Sprint(h.id)); p.count == 0 || p.sum <= 0 {
				t.Errorf("%s was recorded %d times on node %d, with a sum of %v", name, p.count, h.id, p.sum)
			}
		}
		// Each entry is written and applied once; hard states add writes without entries.
		if n := sum(found["raft.log.batch.entries"], metrics.KeyNode, fmt.Sprint(h.id)).sum; n != last {
			t.Errorf("%v entries were written on node %d, %v are there", n, h.id, last)
		}
		if n := sum(found["raft.entries.applied"], metrics.KeyNode, fmt.Sprint(h.id)).sum; n != last {
			t.Errorf("%v entries were counted as applied on node %d, %v are there", n, h.id, last)
		}
	}
	appended := sum(found["raft.log.appended"], metrics.KeyNode, id).sum
	for _, name := range []string{"raft.log.batch.size", "raft.apply.batch.size"} {
		if n := sum(found[name], metrics.KeyNode, id).sum; n != appended {
			t.Errorf("%s adds up to %v bytes, %v were appended", name, n, appended)
		}
	}
	// The whole is longer than its parts, each of which is shorter than the test.
	whole, commit := sum(found["raft.propose.duration"]), sum(found["raft.commit.duration"])
	if mean := whole.sum / float64(whole.count); mean <= 0 || mean > patience.Seconds() || commit.sum/float64(commit.count) > patience.Seconds() {
		t.Errorf("a write takes %v s, the commit %v s", mean, commit.sum/float64(commit.count))
	}
	if n := sum(found["raft.proposals.forwarded"], metrics.KeyDirection, "sent").sum; n != 1 || n != sum(found["raft.proposals.forwarded"], metrics.KeyDirection, "received").sum {
		t.Errorf("%v proposals were forwarded", n)
	}
	if n := sum(found["raft.reads"], metrics.KeyOutcome, "served").sum; n != 1 {
		t.Errorf("%v reads were served", n)
	}
	for _, actor := range metrics.Actors {
		depth, wait := sum(found["raft.inbox.depth"], metrics.KeyActor, actor), sum(found["raft.inbox.wait.duration"], metrics.KeyActor, actor)
		if depth.count == 0 || depth.count != wait.count || depth.sum < float64(depth.count) || wait.sum > float64(wait.count)*patience.Seconds() {
			t.Errorf("the %s actor: depth %+v, wait %+v", actor, depth, wait)
		}
	}
	checkTraffic(t, found)
}

// checkTraffic compares what was sent with what was received.
func checkTraffic(t *testing.T, found map[string][]point) {
	t.Helper()
	for _, class := range []string{"control", "bulk"} {
		for _, name := range []string{"raft.network.messages", "raft.network.transferred"} {
			sent := sum(found[name], metrics.KeyClass, class, metrics.KeyDirection, "sent").sum
			received := sum(found[name], metrics.KeyClass, class, metrics.KeyDirection, "received").sum
			// A heartbeat may be on its way while the numbers are read.
			if sent == 0 || received == 0 || received < sent*0.9 || received > sent*1.1 {
				t.Errorf("%s, %s: %v sent, %v received", name, class, sent, received)
			}
		}
	}
}

// TestAllInstrumentsAreThere asserts that a node that has done nothing shows all
// counters and gauges.
func TestAllInstrumentsAreThere(t *testing.T) {
	m, provider := newMeters(t)
	h := newHost(t, inproc.NewHub(), 1, nil)
	h.meter = provider
	h.start()
	found := m.read()
	for _, row := range metrics.Table() {
		if row.Kind == metrics.Histogram {
			continue
		}
		points := found[string(row.ID)]
		if len(points) == 0 {
			t.Errorf("%s is not there", row.ID)
			continue
		}
		want := 1
		for _, a := range row.Attributes {
			want *= max(len(a.Values), 1)
			if _, ok := points[0].set.Value(attribute.Key(a.Key)); !ok {
				t.Errorf("%s lacks the attribute %s: %v", row.ID, a.Key, points[0].set)
			}
		}
		if len(points) != want || points[0].set.Len() != len(row.Attributes)+1 {
			t.Errorf("%s has %d series with %d attributes, want %d with %d", row.ID, len(points), points[0].set.Len(), want, len(row.Attributes)+1)
		}
	}
	if n := sum(found["raft.leader.missing"]).sum; n != 1 {
		t.Errorf("the group has no leader, and %v says so", n)
	}
	h.shutdown()
	for name, points := range m.read() {
		if len(points) > 0 && points[0].count == 0 {
			t.Errorf("%s is observed after the end of the node", name)
		}
	}
}

// logging and loggingStore are a network and a store that have lost lines of their
// logs.
type (
	logging      struct{ network.Network }
	loggingStore struct{ storage.LogStore }
)

func (logging) LinesDropped() int64      { return 7 }
func (loggingStore) LinesDropped() int64 { return 30 }

// TestLinesThatOthersLost asserts that the node counts them with its own.
func TestLinesThatOthersLost(t *testing.T) {
	m, provider := newMeters(t)
	h := newHost(t, inproc.NewHub(), 1, nil)
	h.meter, h.around = provider, func(n network.Network) network.Network { return logging{n} }
	h.logs = loggingStore{h.store}
	h.start()
	if n := sum(m.read()["raft.observations.dropped"], metrics.KeyKind, "line").sum; n != 37 {
		t.Errorf("%v lines are lost, want 37", n)
	}
}

func TestMeteredOverloads(t *testing.T) {
	release := make(chan struct{})
	hosts, m := newMeteredCluster(t, 1, func(c *GroupConfig) {
		c.InflightProposalsMax = 1
		c.StateMachine.(*listMachine).onApply = func(command []byte) error { <-release; return nil }
	})
	g := hosts[0].group
	done := make(chan struct{}, 2)
	first := &Proposal{Data: []byte("first"), Completed: func(*Proposal) { done <- struct{}{} }}
	second := &Proposal{Data: []byte("second"), WaitForRoom: true, Completed: func(*Proposal) { done <- struct{}{} }}
	g.Propose(first)
	g.Propose(second)
	if p := call(t, g, &Proposal{Data: []byte("third")}); !errors.Is(p.Err, core.ErrOverloaded) {
		t.Errorf("a third proposal: %v", p.Err)
	}
	found := m.read()
	for name, want := range map[string]float64{"raft.proposals.inflight": 1, "raft.proposals.waiting": 1, "raft.proposals.inflight.size": float64(sizeOf(first.Data))} {
		if got := sum(found[name]).sum; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for outcome, want := range map[string]float64{"refused": 1, "waited": 1, "log_full": 0} {
		if got := sum(found["raft.proposals.overloads"], metrics.KeyOutcome, outcome).sum; got != want {
			t.Errorf("%v overloads with the outcome %s, want %v", got, outcome, want)
		}
	}
	close(release)
	<-done
	<-done
}

// TestMeteredElectionsAndFailures counts elections, leaders, snapshots and the
// end of a group.
func TestMeteredElectionsAndFailures(t *testing.T) {
	hosts, m := newMeteredCluster(t, 3, func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries, c.LogCacheBytesMax = 10, 1, 1
	})
	first := leaderOf(t, hosts)
	late := others(hosts, first)[0]
	late.shutdown()
	for range 40 {
		insist(t, leaderOf(t, []*host{first, others(hosts, first)[1]}).group, make([]byte, 100))
	}
	until(t, first.group, "a purge", func(s Status) bool { return s.Purged > 5 })
	late.restart()
	insist(t, late.group, []byte("caught up"))
	converge(t, hosts)
	first.group.Export(&snapshots.Export{Ctx: t.Context(), To: io.Discard, Begun: func(core.SnapshotMeta) {}, Ended: func(err error) {
		if err != nil {
			t.Errorf("a view was not written out: %v", err)
		}
	}})
	eventually(t, "the snapshot's counts", func() bool {
		found := m.read()
		for _, operation := range metrics.Operations {
			if operation == "record" {
				continue // these machines are volatile
			}
			name := []string{metrics.KeyOperation, operation, metrics.KeyOutcome, "done"}
			if sum(found["raft.snapshots"], name...).sum == 0 || sum(found["raft.snapshot.duration"], name[:2]...).count == 0 || sum(found["raft.snapshot.size"], name[:2]...).sum == 0 {
				return false
			}
		}
		return true
	})
	before := m.read()
	if n := sum(before["raft.elections"], metrics.KeyReason, "start", metrics.KeyOutcome, "won").sum; n != 1 {
		t.Errorf("%v elections at the start", n)
	}
	leader := leaderOf(t, hosts)
	leader.shutdown()
	rest := others(hosts, leader)
	leaderOf(t, rest)
	eventually(t, "a won election and changes of leaders", func() bool {
		found := m.read()
		return sum(found["raft.elections"], metrics.KeyReason, "timeout", metrics.KeyOutcome, "won").sum >= 1 &&
			sum(found["raft.leader.changes"], metrics.KeyNode, fmt.Sprint(rest[0].id)).sum > sum(before["raft.leader.changes"], metrics.KeyNode, fmt.Sprint(rest[0].id)).sum
	})
	victim := rest[0]
	if n := sum(m.read()["raft.group.failures"]).sum; n != 0 {
		t.Errorf("%v groups have failed", n)
	}
	victim.group.fail(errors.New("a test"))
	await(t, victim.group.Done(), "the end of the group")
	found := m.read()
	if n := sum(found["raft.group.failures"], metrics.KeyNode, fmt.Sprint(victim.id)).sum; n != 1 {
		t.Errorf("%v groups have failed", n)
	}
	if n := sum(found["raft.groups"], metrics.KeyNode, fmt.Sprint(victim.id)).sum; n != 0 {
		t.Errorf("%v groups run", n)
	}
}

// TestMeteredLag asserts that the gauges of peers say what the status says.
func TestMeteredLag(t *testing.T) {
	hosts, m := newMeteredCluster(t, 3, calm)
	leader := leaderOf(t, hosts)
	cut := others(hosts, leader)[1]
	leader.hub.Hold(leader.id, cut.id)
	for range 5 {
		call(t, leader.group, &Proposal{Data: []byte("a")})
	}
	peer := []string{metrics.KeyNode, fmt.Sprint(leader.id), metrics.KeyPeer, fmt.Sprint(cut.id)}
	eventually(t, "a lag", func() bool {
		found := m.read()
		return sum(found["raft.peer.lag.entries"], peer...).sum >= 5 && sum(found["raft.peer.lag.duration"], peer...).sum > 0 &&
			sum(found["raft.peer.inflight.messages"], peer...).sum > 0 && sum(found["raft.peer.inflight.size"], peer...).sum > 0 && sum(found["raft.peer.contact.age"], peer...).sum > 0
	})
	leader.hub.Release(leader.id, cut.id)
	eventually(t, "the end of the lag", func() bool { return sum(m.read()["raft.peer.lag.duration"], peer...).sum == 0 })
}

// TestFoldedGroups asserts that many groups have the series of one.
func TestFoldedGroups(t *testing.T) {
	m, provider := newMeters(t)
	h := newHost(t, inproc.NewHub(), 1, calm)
	h.meter, h.foldsGroups = provider, true
	h.start()
	one := len(m.read()["raft.role"])
	for id := membership.GroupID(2); id <= 5; id++ {
		g := h.startGroup(id, &listMachine{})
		if id <= 3 {
			if err := bootstrap(t, g, patience, members(1)...); err != nil {
				t.Fatal(err)
			}
			until(t, g, "a leader", func(s Status) bool { return s.Ready && s.Applied == s.Last })
		}
	}
	found := m.read()
	if n := len(found["raft.role"]); n != one {
		t.Errorf("%d series for five groups, %d for one", n, one)
	}
	for name, points := range found {
		if _, ok := points[0].set.Value(metrics.KeyGroup); ok {
			t.Errorf("%s tells groups apart", name)
		}
	}
	if n := sum(found["raft.role"], metrics.KeyRole, "leader").sum; n != 2 {
		t.Errorf("%v groups lead", n)
	}
	if n := sum(found["raft.leader.missing"]).sum; n != 3 {
		t.Errorf("%v groups have no leader", n)
	}
	if n := sum(found["raft.term"]).sum; n != float64(h.node.table.Load().ordered[1].Status().Term) {
		t.Errorf("the highest term is %v", n)
	}
}
