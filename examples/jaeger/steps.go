package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/tracing"
)

// Operations of the program's own spans.
const (
	operationWrite        = "example.write"
	operationBatch        = "example.batch"
	operationForwarded    = "example.forwarded_write"
	operationRead         = "example.read"
	operationLeaderChange = "example.write_during_leader_change"
)

// form makes a cluster of the three nodes.
func (t *tour) form(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	begin := time.Now().Add(-time.Millisecond)
	if err := t.cluster.bootstrap(ctx); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	span, err := t.watcher.find(ctx, named(tracing.Bootstrap, "", begin))
	if err != nil {
		return err
	}
	return t.show(ctx, span.SpanContext().TraceID(), "the cluster is formed",
		"raft.bootstrap, with the moment at which it existed as an event; the rest is the wait for the other members")
}

// writeOne is the plain case.
func (t *tour) writeOne(ctx context.Context) error {
	leader, _, err := t.cluster.leader(ctx)
	if err != nil {
		return err
	}
	inSpan, o, err := t.begin(ctx, leader, operationWrite)
	if err != nil {
		return err
	}
	err = t.write(inSpan, leader)
	o.end(err)
	if err != nil {
		return err
	}
	return t.show(ctx, o.id, fmt.Sprintf("one write, on the leader, node %d", leader.id),
		"raft.log.append of the leader and raft.replicate to both peers side by side; under each peer's raft.append its own disk, with the sync between two events")
}

const (
	batchWrites = 16
	// batchAttempts: writers that begin together are mostly, but not always,
	// taken together.
	batchAttempts = 20
)

// writeBatch lets many writers write at once, until the core actor has taken
// all of them in one go.
func (t *tour) writeBatch(ctx context.Context) error {
	var batch []sdktrace.ReadOnlySpan
	for range batchAttempts {
		leader, _, err := t.cluster.leader(ctx)
		if err != nil {
			return err
		}
		o, err := t.writeTogether(ctx, leader)
		if err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, completeLimit)
		spans, _, err := t.watcher.spans(limited, o.id, t.complete)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && largest(spans, tracing.Queue, tracing.BatchEntriesKey) > largest(batch, tracing.Queue, tracing.BatchEntriesKey) {
			batch = spans
		}
		if largest(batch, tracing.Queue, tracing.BatchEntriesKey) >= batchWrites {
			break
		}
	}
	if batch == nil {
		return errors.New("none of the batches was complete in time")
	}
	return t.show(ctx, batch[0].SpanContext().TraceID(),
		fmt.Sprintf("%d writes at once, in a batch of %d", batchWrites, largest(batch, tracing.Queue, tracing.BatchEntriesKey)),
		"each write has its own stages, at the same times: raft.batch.entries and raft.batch.bytes say how many shared a sync, a message, an apply")
}

// writeTogether begins writes at the same moment.
func (t *tour) writeTogether(ctx context.Context, leader *node) (own, error) {
	inSpan, o, err := t.begin(ctx, leader, operationBatch)
	if err != nil {
		return o, err
	}
	commands := make([][]byte, batchWrites)
	for i := range commands {
		t.written++
		commands[i] = fmt.Appendf(nil, "shown-%d=%d", t.written%keys, t.written)
	}
	failures := make([]error, batchWrites)
	together := make(chan struct{})
	var writers sync.WaitGroup
	for i := range commands {
		writers.Go(func() {
			<-together
			failures[i] = propose(inSpan, leader, commands[i])
		})
	}
	close(together)
	writers.Wait()
	err = errors.Join(failures...)
	o.end(err)
	return o, err
}

// writeForwarded writes on a node that does not lead.
func (t *tour) writeForwarded(ctx context.Context) error {
	leader, others, err := t.cluster.leader(ctx)
	if err != nil {
		return err
	}
	inSpan, o, err := t.begin(ctx, others[0], operationForwarded)
	if err != nil {
		return err
	}
	err = t.write(inSpan, others[0])
	o.end(err)
	if err != nil {
		return err
	}
	return t.show(ctx, o.id, fmt.Sprintf("a write on node %d, forwarded to the leader, node %d", others[0].id, leader.id),
		"raft.forward, and under it a second raft.propose, of the leader, with the stages of a write")
}

// read reads, on a node that does not lead, what was just written.
func (t *tour) read(ctx context.Context) error {
	_, others, err := t.cluster.leader(ctx)
	if err != nil {
		return err
	}
	reader := others[len(others)-1]
	inSpan, o, err := t.begin(ctx, reader, operationRead)
	if err != nil {
		return err
	}
	raft, machine := reader.running()
	_, err = raft.ReadIndex(inSpan, troupe.Linearizable)
	o.end(err)
	if err != nil {
		return fmt.Errorf("a read on node %d: %w", reader.id, err)
	}
	key, want := fmt.Sprintf("shown-%d", t.written%keys), fmt.Sprint(t.written)
	if is := machine.value(key); is != want {
		return fmt.Errorf("a linearizable read on node %d: %s is %q, and %q was acknowledged", reader.id, key, is, want)
	}
	return t.show(ctx, o.id, fmt.Sprintf("a linearizable read, on node %d", reader.id),
		"raft.read.confirm, and under it raft.read.index of the leader, until that is sure that it still leads; raft.read.apply_wait, until this node has applied up to that index")
}

// snapshot writes until the leader has made a snapshot.
func (t *tour) snapshot(ctx context.Context) error {
	leader, _, err := t.cluster.leader(ctx)
	if err != nil {
		return err
	}
	raft, _ := leader.running()
	before := raft.Status().SnapshotIndex
	if err := t.fill(ctx, func() bool { return raft.Status().SnapshotIndex > before }); err != nil {
		return err
	}
	span, err := t.watcher.find(ctx, func(s sdktrace.ReadOnlySpan) bool {
		id, _ := attributeOf(s, tracing.NodeKey)
		return s.Name() == tracing.SnapshotBuild.Name && id == fmt.Sprint(leader.id)
	})
	if err != nil {
		return err
	}
	index, _ := attributeOf(span, tracing.IndexKey)
	return t.show(ctx, span.SpanContext().TraceID(), fmt.Sprintf("a snapshot, of the log up to entry %s", index),
		"raft.snapshot.build: its size, and for how long it was written while writes went on; each node makes its own")
}

// fill writes without showing it until enough was written.
func (t *tour) fill(ctx context.Context, enough func() bool) error {
	for !enough() {
		n := t.cluster.up()[0]
		var writers sync.WaitGroup
		failures := make([]error, batchWrites)
		for i := range failures {
			writers.Go(func() { failures[i] = propose(ctx, n, fmt.Appendf(nil, "fill-%d=", i)) })
		}
		writers.Wait()
		if err := errors.Join(failures...); err != nil {
			return err
		}
	}
	return nil
}

// changeLeader kills the leader while writes are on their way.
func (t *tour) changeLeader(ctx context.Context) error {
	leader, others, err := t.cluster.leader(ctx)
	if err != nil {
		return err
	}
	raft, _ := leader.running()
	last := raft.Status().Last
	begin := time.Now()
	writes := make([]own, len(others))
	failures := make([]error, len(others))
	killed := make(chan struct{})
	var writers sync.WaitGroup
	for i, n := range others {
		writers.Go(func() { writes[i], failures[i] = t.writeUntil(ctx, n, killed) })
	}
	err = leader.kill()
	t.down, t.downLast = leader, last
	close(killed)
	writers.Wait()
	if err := errors.Join(append(failures, err)...); err != nil {
		return err
	}
	t.say("node %d was killed while it led; writes were held up for %v", leader.id, time.Since(begin).Round(time.Millisecond))
	elected, err := t.watcher.find(ctx, named(tracing.Election, tracing.OutcomeWon, begin))
	if err != nil {
		return err
	}
	successor, _ := attributeOf(elected, tracing.NodeKey)
	term, _ := attributeOf(elected, tracing.TermKey)
	if err := t.show(ctx, elected.SpanContext().TraceID(), fmt.Sprintf("the election, which made node %s the leader of term %s", successor, term),
		"raft.election, and raft.vote on each node that was asked: first the pre-vote, then the vote with its sync"); err != nil {
		return err
	}
	for i, o := range writes {
		if err := t.show(ctx, o.id, fmt.Sprintf("a write on node %d during the leader change", others[i].id),
			"a raft.propose that failed was under way to the killed node, and was repeated; raft.queue is the wait for a leader"); err != nil {
			return err
		}
	}
	return nil
}

// writeUntil writes until one has ended after the leader was killed, and returns
// that one: it was held up.
func (t *tour) writeUntil(ctx context.Context, n *node, killed <-chan struct{}) (own, error) {
	for {
		inSpan, o, err := t.begin(ctx, n, operationLeaderChange)
		if err != nil {
			return o, err
		}
		err = propose(inSpan, n, fmt.Appendf(nil, "shown-by-%d=", n.id))
		o.end(err)
		if err != nil {
			return o, err
		}
		select {
		case <-killed:
			return o, nil
		default:
		}
	}
}

// recover starts the killed node again, when the leader has what that lacks
// neither in its log nor in memory any more.
func (t *tour) recover(ctx context.Context) error {
	leader, _, err := t.cluster.leader(ctx)
	if err != nil {
		return err
	}
	raft, _ := leader.running()
	if err := t.fill(ctx, func() bool { return raft.Status().Purged > t.downLast+logCacheEntriesMax }); err != nil {
		return err
	}
	begin := time.Now()
	back := t.down
	if err := back.start(ctx); err != nil {
		return fmt.Errorf("restart of node %d: %w", back.id, err)
	}
	t.down = nil
	recovered, err := t.watcher.find(ctx, named(tracing.Recover, "", begin))
	if err != nil {
		return err
	}
	if err := t.show(ctx, recovered.SpanContext().TraceID(), fmt.Sprintf("the restart of node %d", back.id),
		"raft.recover: its events say how long each thing took that was read"); err != nil {
		return err
	}
	// A transfer that was received may have ended with its leader, before its end.
	installed, err := t.watcher.find(ctx, named(tracing.SnapshotInstall, "", begin))
	if err != nil {
		return err
	}
	index, _ := attributeOf(installed, tracing.IndexKey)
	return t.show(ctx, installed.SpanContext().TraceID(), fmt.Sprintf("what node %d lacked, as a snapshot up to entry %s", back.id, index),
		"raft.snapshot.send of the leader; below it, on the other node, raft.snapshot.receive and raft.snapshot.install")
}
