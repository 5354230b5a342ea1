package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/tracing"
)

// tour shows one thing after the other, each with its trace.
type tour struct {
	settings settings
	cluster  *cluster
	watcher  *watcher
	say      func(format string, arguments ...any)
	load     *load
	written  int
	// down is the node that was killed, and downLast the last entry of its log.
	down     *node
	downLast troupe.Index
}

const (
	// stepLimit is for how long one thing that is shown may take.
	stepLimit = 30 * time.Second
	// completeLimit is for how long the rest of a trace is waited for, once
	// the thing itself is done: a peer may be late.
	completeLimit = 3 * time.Second
)

// walk is the order of things.
func (t *tour) walk(ctx context.Context) error {
	if err := t.form(ctx); err != nil {
		return err
	}
	begin := time.Now()
	t.load = startLoad(ctx, t.cluster, t.settings.rate)
	err := t.steps(ctx)
	if err == nil {
		if rest := t.settings.load - time.Since(begin); rest > 0 && t.settings.rate > 0 {
			t.say("the load goes on for %v more", rest.Round(100*time.Millisecond))
			select {
			case <-time.After(rest):
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
	}
	writes, failed := t.load.stop()
	t.say("the load was %d writes in %v", writes, time.Since(begin).Round(time.Millisecond))
	return cmp.Or(err, failed)
}

// steps shows everything but the forming, beside the load.
func (t *tour) steps(ctx context.Context) error {
	for _, step := range []struct {
		name string
		show func(context.Context) error
	}{
		{"one write", t.writeOne},
		{"a batch", t.writeBatch},
		{"a forwarded write", t.writeForwarded},
		{"a read", t.read},
		{"a snapshot", t.snapshot},
		{"a leader change", t.changeLeader},
		{"a restart", t.recover},
	} {
		limited, cancel := context.WithTimeout(ctx, stepLimit)
		err := step.show(limited)
		ended := limited.Err() != nil
		cancel()
		switch {
		case err != nil && ended && ctx.Err() == nil:
			return fmt.Errorf("%s takes longer than %v: %w", step.name, stepLimit, err)
		case err != nil:
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// own is a span of the program itself: the caller of what it shows. Its
// operation is the one to search for in the UI.
type own struct {
	span trace.Span
	id   trace.TraceID
}

// begin begins such a span on a node, and lets the watcher follow its trace.
func (t *tour) begin(ctx context.Context, n *node, operation string) (context.Context, own, error) {
	ctx, span := n.exporter.tracer.Start(ctx, operation, trace.WithAttributes(tracing.NodeKey.Int64(int64(n.id))))
	if !span.IsRecording() {
		return ctx, own{}, fmt.Errorf("%s on node %d is not recorded", operation, n.id)
	}
	root, ok := span.(sdktrace.ReadOnlySpan)
	if !ok {
		return ctx, own{}, fmt.Errorf("%s is a %T, not a span of the SDK", operation, span)
	}
	t.watcher.follow(root)
	return ctx, own{span, span.SpanContext().TraceID()}, nil
}

func (o own) end(err error) {
	if err != nil {
		o.span.SetStatus(codes.Error, err.Error())
	}
	o.span.End()
}

// write writes a command of the program's own through a node, until it is
// acknowledged.
func (t *tour) write(ctx context.Context, n *node) error {
	t.written++
	return propose(ctx, n, fmt.Appendf(nil, "shown-%d=%d", t.written%keys, t.written))
}

func propose(ctx context.Context, n *node, command []byte) error {
	for {
		raft, _ := n.running()
		if raft == nil {
			return fmt.Errorf("node %d is down", n.id)
		}
		_, err := raft.Propose(ctx, command)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !again(err) {
			return fmt.Errorf("%q on node %d: %w", command, n.id, err)
		}
	}
}

// again reports whether a command that does no harm twice is to be proposed once
// more.
func again(err error) bool {
	var lost *troupe.LostError
	return troupe.MayHaveHappened(err) || errors.As(err, &lost)
}

// show waits for the rest of a trace and prints what it is, where it is, and
// what to look for.
func (t *tour) show(ctx context.Context, id trace.TraceID, what, look string) error {
	limited, cancel := context.WithTimeout(ctx, completeLimit)
	defer cancel()
	spans, missing, _ := t.watcher.spans(limited, id, t.complete)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// What is on its way to a node that is down comes when that is given up.
	missing += max((nodes-1)*count(spans, tracing.Apply)-count(spans, tracing.Replicate), 0)
	late := ""
	if missing > 0 {
		late = fmt.Sprintf(", %d more to come", missing)
	}
	t.say("%s", what)
	t.say("    %s of %s%s, %v", spansOf(len(spans)), nodesOf(spans), late, lengthOf(spans).Round(10*time.Microsecond))
	t.say("    %s", look)
	t.say("    trace %s  %s/trace/%s", id, t.settings.ui, id)
	return nil
}

// complete reports whether nothing more comes of a trace. Whatever others stand
// under is there; each write has come to each peer that is not down, and is on the
// disks; each vote that was given is there; what was received is installed.
func (t *tour) complete(w *watched) bool {
	if w.missing() > 0 || w.isRootAlone() {
		return false
	}
	peers := nodes - 1
	if t.down != nil {
		peers--
	}
	replicated, appended := count(w.ended, tracing.Replicate), count(w.ended, tracing.Append)
	return replicated >= peers*count(w.ended, tracing.Apply) && appended >= replicated &&
		count(w.ended, tracing.LogAppend) >= appended+count(w.ended, tracing.Commit) &&
		count(w.ended, tracing.Vote) >= votes(w.ended) &&
		count(w.ended, tracing.ReadIndex) >= asked(w.ended) &&
		count(w.ended, tracing.SnapshotInstall) >= count(w.ended, tracing.SnapshotReceive)
}

// asked counts the reads that were confirmed by another node: who leads notes on its own
// whom it heard.
func asked(spans []sdktrace.ReadOnlySpan) (n int) {
	for _, s := range spans {
		if s.Name() == tracing.ReadConfirm.Name && !slices.ContainsFunc(s.Events(), func(e sdktrace.Event) bool { return e.Name == "raft.confirmed" }) {
			n++
		}
	}
	return n
}

// votes counts the votes that elections were given.
func votes(spans []sdktrace.ReadOnlySpan) (n int) {
	for _, s := range spans {
		for _, e := range s.Events() {
			if e.Name == tracing.EventVote {
				n++
			}
		}
	}
	return n
}

func spansOf(n int) string {
	if n == 1 {
		return "1 span"
	}
	return fmt.Sprintf("%d spans", n)
}

// nodesOf names the nodes that recorded the spans.
func nodesOf(spans []sdktrace.ReadOnlySpan) string {
	var ids []string
	for _, s := range spans {
		if id, ok := attributeOf(s, tracing.NodeKey); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) == 1 {
		return "node " + ids[0]
	}
	return "nodes " + strings.Join(ids, ", ")
}

// attributeOf returns an attribute as text.
func attributeOf(s sdktrace.ReadOnlySpan, key attribute.Key) (value string, ok bool) {
	for _, a := range s.Attributes() {
		if a.Key == key {
			return a.Value.String(), true
		}
	}
	return "", false
}

// lengthOf is the time from the first beginning to the last end.
func lengthOf(spans []sdktrace.ReadOnlySpan) time.Duration {
	if len(spans) == 0 {
		return 0
	}
	first, last := spans[0].StartTime(), spans[0].EndTime()
	for _, s := range spans[1:] {
		if s.StartTime().Before(first) {
			first = s.StartTime()
		}
		if s.EndTime().After(last) {
			last = s.EndTime()
		}
	}
	return last.Sub(first)
}

// named matches a span by its name and, unless empty, outcome, that began
// at or after a moment.
func named(row *tracing.SpanType, outcome string, since time.Time) func(sdktrace.ReadOnlySpan) bool {
	return func(s sdktrace.ReadOnlySpan) bool {
		if s.Name() != row.Name || s.StartTime().Before(since) {
			return false
		}
		is, _ := attributeOf(s, tracing.OutcomeKey)
		return outcome == "" || is == outcome
	}
}

// count returns how many spans have a name.
func count(spans []sdktrace.ReadOnlySpan, row *tracing.SpanType) (n int) {
	for _, s := range spans {
		if s.Name() == row.Name {
			n++
		}
	}
	return n
}

// largest returns the largest value that an attribute has on spans of a name.
func largest(spans []sdktrace.ReadOnlySpan, row *tracing.SpanType, key attribute.Key) (most int) {
	for _, s := range spans {
		if value, ok := attributeOf(s, key); ok && s.Name() == row.Name {
			if n, err := strconv.Atoi(value); err == nil {
				most = max(most, n)
			}
		}
	}
	return most
}
