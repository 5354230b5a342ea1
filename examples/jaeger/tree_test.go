package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing/otlp/otlptest"
)

// arrived is a span as it was received, by whoever it was.
type arrived struct {
	service, name, kind string
	id, parent          string
	tags                map[string]string // those of troupe
	events              []string
	failed              bool
}

// ofReceiver are the spans of one trace, or of all if trace is "".
func ofReceiver(spans []otlptest.Span, trace string) (all []arrived) {
	for _, s := range spans {
		if trace != "" && s.TraceID != trace {
			continue
		}
		a := arrived{service: s.Service, name: s.Name, kind: s.Kind, id: s.SpanID, parent: s.ParentID, tags: make(map[string]string), failed: s.Failed}
		for key, value := range s.Attributes {
			a.tags[key] = fmt.Sprint(value)
		}
		for _, e := range s.Events {
			a.events = append(a.events, e.Name)
		}
		all = append(all, a)
	}
	return all
}

// line is what of a span is compared, parent and children apart.
func (a arrived) line() string {
	var tags []string
	for _, key := range slices.Sorted(maps.Keys(a.tags)) {
		tags = append(tags, strings.TrimPrefix(key, "raft.")+"="+a.tags[key])
	}
	failed := ""
	if a.failed {
		failed = " FAILED"
	}
	events := fmt.Sprint(a.events)
	if a.name == "raft.commit" && events == "[raft.acknowledged raft.acknowledged raft.acknowledged]" {
		// The last of three may come before the leader has counted the first two.
		events = "[raft.acknowledged raft.acknowledged]"
	}
	return fmt.Sprintf("%s %s %s {%s} %s%s", a.name, a.service, a.kind, strings.Join(tags, " "), events, failed)
}

// drawn draws the trees of spans, children below their parent in the order of
// their lines.
func drawn(spans []arrived) string {
	known := make(map[string]bool)
	for _, s := range spans {
		known[s.id] = true
	}
	below := make(map[string][]arrived)
	for _, s := range spans {
		parent := s.parent
		if parent != "" && !known[parent] {
			parent = ""
			s.name = "(parent missing) " + s.name
		}
		below[parent] = append(below[parent], s)
	}
	var text strings.Builder
	var draw func(parent string, depth int)
	draw = func(parent string, depth int) {
		slices.SortFunc(below[parent], func(a, b arrived) int { return cmp.Compare(a.line(), b.line()) })
		for _, s := range below[parent] {
			text.WriteString(strings.Repeat("  ", depth) + s.line() + "\n")
			draw(s.id, depth+1)
		}
	}
	draw("", 0)
	return text.String()
}

// shape is what a write is expected to leave behind.
type shape struct {
	leader, asked troupe.NodeID // the same unless it is forwarded
	id            troupe.LogID
	commandBytes  int
	operation     string
}

// tree is the whole trace of a write alone on a cluster of three.
func (w shape) tree() string {
	entry := fmt.Sprintf("index=%d", w.id.Index)
	term := fmt.Sprintf("term=%d", w.id.Term)
	service := func(n troupe.NodeID) string { return fmt.Sprintf("troupe-node-%d", n) }
	var lines []string
	add := func(depth int, format string, arguments ...any) {
		lines = append(lines, strings.Repeat("  ", depth)+fmt.Sprintf(format, arguments...))
	}
	disk := func(depth int, n troupe.NodeID) {
		add(depth, "raft.log.append %s internal {batch.bytes=%d batch.entries=1 group=1 node=%d} [raft.sync.begin raft.sync.end]",
			service(n), w.commandBytes+core.EntryOverheadBytes, n)
	}
	add(0, "%s %s internal {node=%d} []", w.operation, service(w.asked), w.asked)
	depth, kind, from, queue := 1, "internal", "", "raft.room raft.taken"
	if w.asked != w.leader {
		add(1, "raft.propose %s internal {command.bytes=%d group=1 %s node=%d outcome=applied %s} []", service(w.asked), w.commandBytes, entry, w.asked, term)
		add(2, "raft.forward %s client {batch.entries=1 group=1 node=%d outcome=applied peer=%d} []", service(w.asked), w.asked, w.leader)
		depth, kind, from, queue = 3, "server", fmt.Sprintf(" peer=%d", w.asked), "raft.taken"
	}
	add(depth, "raft.propose %s %s {command.bytes=%d group=1 %s node=%d outcome=applied%s %s} []",
		service(w.leader), kind, w.commandBytes, entry, w.leader, from, term)
	add(depth+1, "raft.apply %s internal {batch.entries=1 group=1 node=%d} []", service(w.leader), w.leader)
	add(depth+1, "raft.commit %s internal {group=1 node=%d} [raft.acknowledged raft.acknowledged]", service(w.leader), w.leader)
	disk(depth+1, w.leader)
	add(depth+1, "raft.queue %s internal {batch.entries=1 group=1 node=%d} [%s]", service(w.leader), w.leader, queue)
	for peer := troupe.NodeID(1); peer <= nodes; peer++ {
		if peer == w.leader {
			continue
		}
		add(depth+1, "raft.replicate %s client {batch.entries=1 first_index=%d group=1 last_index=%d node=%d peer=%d} []",
			service(w.leader), w.id.Index, w.id.Index, w.leader, peer)
		add(depth+2, "raft.append %s server {batch.entries=1 group=1 %s node=%d outcome=written peer=%d %s} []", service(peer), entry, peer, w.leader, term)
		disk(depth+3, peer)
	}
	if w.asked != w.leader {
		add(2, "raft.queue %s internal {group=1 node=%d} [raft.room raft.taken]", service(w.asked), w.asked)
	}
	return strings.Join(lines, "\n") + "\n"
}

// quiet is the example's cluster without a load, so that a write is alone.
type quiet struct {
	tour      *tour
	exporters []*exporter
}

func openQuiet(t *testing.T) *quiet {
	t.Helper()
	s := defaults()
	never := 0.0
	s.ratio = &never
	w := newWatcher()
	exporters, err := openExporters(t.Context(), &s, w, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeExporters(exporters, closeLimit) })
	c, err := openCluster(t.Context(), &s, t.TempDir(), exporters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	if err := c.bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &quiet{&tour{settings: s, cluster: c, watcher: w, say: t.Logf}, exporters}
}

// write writes once, through the leader or through another node, and returns the
// trace and what is expected of it. A write beside an election is done again.
func (q *quiet) write(t *testing.T, forwarded bool) (trace string, expected shape) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stepLimit)
	defer cancel()
	for {
		leader, others, err := q.tour.cluster.leader(ctx)
		if err != nil {
			t.Fatal(err)
		}
		asked, operation := leader, operationWrite
		if forwarded {
			asked, operation = others[0], operationForwarded
		}
		raft, _ := leader.running()
		before := raft.Status()
		q.even(t, ctx, before.Last)
		inSpan, o, err := q.tour.begin(ctx, asked, operation)
		if err != nil {
			t.Fatal(err)
		}
		through, _ := asked.running()
		command := []byte("alone=" + time.Now().UTC().Format(time.RFC3339Nano))
		result, err := through.Propose(inSpan, command)
		o.end(err)
		if err != nil {
			t.Fatal(err)
		}
		if result.LogID != (troupe.LogID{Term: before.Term, Index: before.Last + 1}) || before.Role != troupe.RoleLeader {
			continue
		}
		if err := q.tour.show(ctx, o.id, operation, "the whole of it"); err != nil {
			t.Fatal(err)
		}
		for _, e := range q.exporters {
			if err := e.Flush(ctx); err != nil || e.Dropped() > 0 {
				t.Fatalf("spans were lost: %v, %d dropped", err, e.Dropped())
			}
		}
		return o.id.String(), shape{leader.id, asked.id, result.LogID, len(command), operation}
	}
}

// even waits until no node has anything left to write or to apply.
func (q *quiet) even(t *testing.T, ctx context.Context, last troupe.Index) {
	t.Helper()
	for _, n := range q.tour.cluster.nodes {
		raft, _ := n.running()
		if err := raft.Wait(ctx, func(s troupe.Status) bool { return s.Flushed >= last && s.Applied >= last }); err != nil {
			t.Fatal(err)
		}
	}
}
