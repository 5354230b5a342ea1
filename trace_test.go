package troupe_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing"
)

type attributeKey = attribute.Key

var nobody = tracing.NewRatioSampler(0)

// TestTraceOfOneWrite asserts the tree of a write that the default sampler has
// chosen, and what its spans say.
func TestTraceOfOneWrite(t *testing.T) {
	c := newTraced(t, 3, slowElections(), nil)
	c.form(t)
	leader := c.leader()
	result := leader.propose(t, "hello")
	spans, err := c.collector.Wait(within(t, 20*time.Second), func(spans []span) bool { return len(tracesOf(spans, "raft.propose")) == 1 })
	if err != nil {
		t.Fatal(err)
	}
	traces := tracesOf(spans, "raft.propose")
	c.wait(t, traces, written(leader.id, c.others(leader)...))
	spans = c.collector.Spans()
	stages := make(map[string]span)
	for _, s := range spans {
		if s.TraceID != traces[0] {
			continue
		}
		if s.Instance == fmt.Sprint(leader.id) {
			stages[s.Name] = s
		}
		switch s.Name {
		case "raft.propose":
			if s.Attributes["raft.term"] != int64(result.LogID.Term) || s.Attributes["raft.index"] != int64(result.LogID.Index) || s.Attributes["raft.command.bytes"] != int64(5) {
				t.Errorf("raft.propose says %v, the result was %v", s.Attributes, result.LogID)
			}
		case "raft.log.append":
			if s.Attributes["raft.batch.entries"] != int64(1) || s.Attributes["raft.batch.bytes"] != int64(5+48) || !eventsAre(s, "raft.sync.begin", "raft.sync.end") {
				t.Errorf("raft.log.append says %v, %v", s.Attributes, s.Events)
			}
		case "raft.queue":
			if !eventsAre(s, "raft.room", "raft.taken") || s.Attributes["raft.batch.entries"] != int64(1) {
				t.Errorf("raft.queue says %v, %v", s.Attributes, s.Events)
			}
		case "raft.append":
			if s.Attributes["raft.index"] != int64(result.LogID.Index) {
				t.Errorf("raft.append says %v", s.Attributes)
			}
		case "raft.replicate":
			if s.Attributes["raft.first_index"] != int64(result.LogID.Index) || s.Attributes["raft.last_index"] != int64(result.LogID.Index) {
				t.Errorf("raft.replicate says %v", s.Attributes)
			}
		}
	}
	for _, order := range [][2]string{{"raft.queue", "raft.log.append"}, {"raft.queue", "raft.commit"}, {"raft.queue", "raft.replicate"}, {"raft.commit", "raft.apply"}} {
		if before, after := stages[order[0]], stages[order[1]]; before.EndUnixNano > after.StartUnixNano {
			t.Errorf("%s begins %d ns before %s ends", after.Name, before.EndUnixNano-after.StartUnixNano, before.Name)
		}
	}
	if root := stages["raft.propose"]; stages["raft.apply"].EndUnixNano > root.EndUnixNano || stages["raft.queue"].StartUnixNano < root.StartUnixNano {
		t.Error("the stages lie outside of their root")
	}
}

func eventsAre(s span, want ...string) bool {
	var got []string
	for _, e := range s.Events {
		got = append(got, e.Name)
	}
	return strings.Join(got, " ") == strings.Join(want, " ")
}

// TestTracesOfOneBatch asserts that each of 16 sampled writes that share a batch
// has a complete tree of its own.
func TestTracesOfOneBatch(t *testing.T) {
	const writes = 16
	c := newTraced(t, 3, slowElections(), nobody)
	m := c.members[0]
	// While there is no cluster they wait for a leader, and are taken together
	// as soon as there is one.
	var clients, waiting sync.WaitGroup
	var traces []string
	for range writes {
		ctx, id := sampledCaller(within(t, 30*time.Second), true)
		traces = append(traces, id)
		waiting.Add(1)
		clients.Go(func() {
			if _, err := m.raft.Propose(handedOver{ctx, sync.OnceFunc(waiting.Done)}, []byte("a")); err != nil {
				t.Errorf("propose: %v", err)
			}
		})
	}
	waiting.Wait()
	c.form(t)
	clients.Wait()
	want := make([]string, writes)
	for i := range want {
		want[i] = written(m.id, c.others(m)...)
	}
	c.wait(t, traces, want...)
	for _, s := range c.collector.Spans() {
		ofLeader := s.Instance == "1" && (s.Name == "raft.queue" || s.Name == "raft.log.append")
		if n := s.Attributes["raft.batch.entries"]; ofLeader && n != int64(writes) {
			t.Errorf("%s was part of a batch of %v", s.Name, n)
		}
	}
}

// TestTraceOfAForwardedWrite asserts the tree over the node that was asked, the
// leader and the peers.
func TestTraceOfAForwardedWrite(t *testing.T) {
	c := newTraced(t, 3, slowElections(), nobody)
	c.form(t)
	leader, follower := c.leader(), c.follower()
	ctx, id := sampledCaller(within(t, 20*time.Second), true)
	if _, err := follower.raft.Propose(ctx, []byte("a")); err != nil {
		t.Fatal(err)
	}
	unsampled, never := sampledCaller(within(t, 20*time.Second), false)
	if _, err := follower.raft.Propose(unsampled, []byte("b")); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`raft.propose internal at %[1]d applied
  raft.forward client at %[1]d peer %[2]d applied
    raft.propose server at %[2]d peer %[1]d applied
%[3]s  raft.queue internal at %[1]d
`, follower.id, leader.id, stages("      ", leader.id, c.others(leader)...))
	c.wait(t, []string{id, never}, want, "\n")
}

// TestTraceOfAWriteThatIsLost asserts the tree of a write whose leader is cut
// off, and whose place another leader's entry takes.
func TestTraceOfAWriteThatIsLost(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = 2 * electionTimeout // the leader stays until it is cut off, also beside other work
	var network rules
	c := newTraced(t, 3, settings, nobody, network.prepare)
	c.form(t)
	old := c.leader()
	others := c.others(old)
	network.set(beforeEntries(old, func() {
		for _, o := range others {
			c.hub.Hold(old.id, o)
		}
	}))
	ctx, id := sampledCaller(within(t, 30*time.Second), true)
	answer := make(chan error, 1)
	go func() {
		_, err := old.raft.Propose(ctx, []byte("lost"))
		answer <- err
	}()
	c.followsAnother(t, old)
	for _, o := range others {
		c.hub.Release(old.id, o)
	}
	asError[*troupe.LostError](t, <-answer)
	want := fmt.Sprintf(`raft.propose internal at %[1]d never happens FAILED
  raft.commit internal at %[1]d FAILED: stepped down
  raft.log.append internal at %[1]d
  raft.queue internal at %[1]d
  raft.replicate client at %[1]d peer %[2]d FAILED: stepped down
    raft.append server at %[2]d peer %[1]d nothing to write
  raft.replicate client at %[1]d peer %[3]d FAILED: stepped down
    raft.append server at %[3]d peer %[1]d nothing to write
`, old.id, others[0], others[1])
	c.wait(t, []string{id}, want)
}

// TestTraceOverAChangeOfLeaders asserts the tree of a write whose leader steps
// down without knowing that everybody has it.
func TestTraceOverAChangeOfLeaders(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = 2 * electionTimeout // the leader stays until it is cut off, also beside other work
	var network rules
	c := newTraced(t, 3, settings, nobody, network.prepare)
	c.form(t)
	old := c.leader()
	others := c.others(old)
	last := old.raft.Status().Last
	network.set(beforeEntries(old, func() {
		for _, o := range others {
			c.hub.Hold(o, old.id) // they get the entry, and their answers stay away
		}
	}))
	ctx, id := sampledCaller(within(t, 30*time.Second), true)
	answer := make(chan error, 1)
	go func() {
		_, err := old.raft.Propose(ctx, []byte("kept"))
		answer <- err
	}()
	for _, o := range others {
		if err := c.members[o-1].raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Last > last }); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Role != troupe.RoleLeader }); err != nil {
		t.Fatal(err)
	}
	for _, o := range others {
		c.hub.Release(o, old.id)
	}
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	peer := "  raft.replicate client at %[1]d peer %[2]d FAILED: stepped down\n    raft.append server at %[2]d peer %[1]d written\n      raft.log.append internal at %[2]d\n"
	want := fmt.Sprintf(`raft.propose internal at %[1]d applied
  raft.apply internal at %[1]d
  raft.commit internal at %[1]d FAILED: stepped down
  raft.log.append internal at %[1]d
  raft.queue internal at %[1]d
`, old.id) + fmt.Sprintf(peer, old.id, others[0]) + fmt.Sprintf(peer, old.id, others[1])
	c.wait(t, []string{id}, want)
}

// beforeEntries is a rule of the network that refuses nothing. It calls do, once, before a
// leader sends the next entries: so the leader is no time without its followers before it
// has them.
func beforeEntries(leader *member, do func()) func(core.Message) bool {
	do = sync.OnceFunc(do)
	return func(m core.Message) bool {
		if a, ok := m.(*core.AppendEntries); ok && a.From.ID == leader.id && len(a.Entries) > 0 {
			do()
		}
		return false
	}
}

// followsAnother waits until a node that led follows another.
func (c *tracedCluster) followsAnother(t *testing.T, old *member) {
	t.Helper()
	if err := old.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Leader != 0 && s.Leader != old.id }); err != nil {
		t.Fatal(err)
	}
}
