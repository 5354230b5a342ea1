package troupe

import (
	"context"
	"fmt"
	"time"

	"github.com/trouperaft/troupe/core"
)

// SnapshotPolicy says when a node makes snapshots, and how much of its log it keeps below
// one. The fields are those of [Config]. 0 stands for what the group was started with.
// Never, and a negative Interval, turn a rule off.
type SnapshotPolicy struct {
	Entries, LogBytes      uint64
	Interval               time.Duration
	KeepEntries, KeepBytes uint64
}

// Snapshot makes a snapshot of this node's state machine now, on the leader or any other
// member, and returns what it describes when it is durable. If one is being made already,
// its end is waited for. If nothing was applied since the newest one, that is the answer.
// The group goes on working meanwhile, and its log is purged afterwards as the policy
// says.
//
// The error is [ErrNotNow] if the machine gives no view now, [ErrNoCluster] if there is
// nothing yet, [ErrOverloaded] while 64 others wait, or why it could not be built or stored. If ctx ends first it is an
// *UnknownOutcomeError, and the snapshot is made all the same.
func (r *Raft) Snapshot(ctx context.Context) (SnapshotMeta, error) {
	if err := ctx.Err(); err != nil {
		return SnapshotMeta{}, nothingDone(err)
	}
	type answer struct {
		meta SnapshotMeta
		err  error
	}
	answers := make(chan answer, 1)
	r.group.Snapshot(func(meta SnapshotMeta, err error) { answers <- answer{meta, err} })
	select {
	case a := <-answers:
		return a.meta, a.err
	case <-ctx.Done():
		return SnapshotMeta{}, &UnknownOutcomeError{Cause: fmt.Errorf("the snapshot is being made: %w", ctx.Err())}
	}
}

// SetSnapshotPolicy changes when this node makes snapshots and what its log keeps, from
// now on until the group is started again. It returns when that is so; what has become due
// by it begins at once. If ctx ends first the error is an *UnknownOutcomeError: the policy
// is changed all the same, soon, or the group has ended before.
func (r *Raft) SetSnapshotPolicy(ctx context.Context, p SnapshotPolicy) error {
	if err := ctx.Err(); err != nil {
		return nothingDone(err)
	}
	done := make(chan error, 1)
	r.group.SetSnapshotPolicy(r.config.policy(p), func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return &UnknownOutcomeError{Cause: fmt.Errorf("the request to change the policy is under way: %w", ctx.Err())}
	}
}

// policy is p as the engine wants it. c has its defaults.
func (c *Config) policy(p SnapshotPolicy) core.SnapshotPolicy {
	orDefault(&p.Entries, c.SnapshotEntries)
	orDefault(&p.LogBytes, c.SnapshotLogBytes)
	orDefault(&p.Interval, c.SnapshotInterval)
	orDefault(&p.KeepEntries, c.KeepEntries)
	orDefault(&p.KeepBytes, c.KeepBytes)
	return core.SnapshotPolicy{
		Entries: orOff(p.Entries), LogBytes: orOff(p.LogBytes), Interval: max(p.Interval, 0),
		KeepEntries: p.KeepEntries, KeepBytes: orOff(p.KeepBytes),
	}
}
