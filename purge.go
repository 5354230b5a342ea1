package troupe

import (
	"context"
	"fmt"
)

// Purge removes the entries up to and including upTo from this node's log, whatever
// [Config.KeepEntries] and [Config.KeepBytes] keep. Other nodes keep theirs. It returns
// the first index that the log holds then, as soon as that is durable. What is held for
// others ([Config.HoldBytesMax]) stays while it is held and goes by itself afterwards, so
// that the first index may be lower than asked for.
//
// Only what this node's newest snapshot contains can go, or its state machine, as a record
// says: beyond that the error is a *PurgeError, and nothing happened; neither did it if 64 others wait, and the error is
// [ErrOverloaded]. An index that is purged already is no error. If ctx
// ends first the error is an *UnknownOutcomeError: the log is purged all the same, soon,
// or the group has ended before.
func (r *Raft) Purge(ctx context.Context, upTo Index) (first Index, err error) {
	if err := ctx.Err(); err != nil {
		return 0, nothingDone(err)
	}
	type answer struct {
		first Index
		err   error
	}
	answers := make(chan answer, 1)
	r.group.Purge(upTo, func(first Index, err error) { answers <- answer{first, err} })
	select {
	case a := <-answers:
		return a.first, a.err
	case <-ctx.Done():
		return 0, &UnknownOutcomeError{Cause: fmt.Errorf("the request to purge the log is under way: %w", ctx.Err())}
	}
}
