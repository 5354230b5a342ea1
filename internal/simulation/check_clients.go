package simulation

import (
	"bytes"
	"context"
	"errors"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// Names of what is checked about clients. The history of what was applied is
// the order in which all writes happened; every operation is placed in it. That
// order explains what the clients saw if each operation lies behind all that
// was committed when it began, and its result is the one that the history has
// there: this is linearizability, with its witness.
const (
	ruleOnce        = "clients: an operation was completed twice"
	ruleNever       = "clients: an operation was never completed"
	ruleDeadAnswers = "clients: a crashed process answers"
	ruleWriteLost   = "clients: an acknowledged write is not in the history"
	ruleWriteResult = "clients: a write has another result than the history"
	ruleWriteOrder  = "clients: a write lies before what was committed when it began"
	ruleWriteTwice  = "clients: a command was applied twice"
	rulePhantom     = "clients: a command was applied that nobody proposed"
	ruleRefused     = "clients: a command took effect of which it was said that it never would"
	ruleStaleRead   = "clients: a linearizable read is stale"
	ruleStaleLease  = "clients: a lease read is stale"
	ruleTooStale    = "clients: a stale read is older than it may be"
	ruleAtLeast     = "clients: a read up to an index came before it"
	ruleReadEarly   = "clients: a read was allowed before the machine had applied its index"
	ruleGroupFailed = "a group has failed"
	ruleBadError    = "clients: an error that does not belong here"
)

// happened finds the work behind a command that is applied for the first time.
func (c *checker) happened(r *replica, e *core.Entry) *work {
	command := decodeCommand(e.Data)
	w := c.works[command.id]
	switch {
	case w == nil:
		c.fail(rulePhantom, "%v applies command %d at %v", r, command.id, e.LogID)
	case w.index != 0:
		c.fail(ruleWriteTwice, "%v applies command %d at %v and at %d", r, command.id, e.LogID, w.index)
	case w.refused != nil:
		c.fail(ruleRefused, "%v applies command %d at %v, its client was told: %v", r, command.id, e.LogID, w.refused)
	case e.Index <= w.floor:
		c.fail(ruleWriteOrder, "%v applies command %d at %v, and %d was committed when it began", r, command.id, e.LogID, w.floor)
	default:
		w.index = e.Index
	}
	return w
}

// acknowledgedWrite checks a proposal that succeeded.
func (c *checker) acknowledgedWrite(w *work, id core.LogID, value []byte) {
	i := int(id.Index)
	if i < 1 || i > len(c.history) || c.history[i-1].work != w {
		c.fail(ruleWriteLost, "%v: command %d at %v", w.replica, w.command.id, id)
		return
	}
	f := &c.history[i-1]
	if f.id != id || !bytes.Equal(f.result, value) {
		c.fail(ruleWriteResult, "%v: command %d at %v, with %x; the history has %v, with %x", w.replica, w.command.id, id, value, f.id, f.result)
	}
	if id.Index <= w.floor {
		c.fail(ruleWriteOrder, "%v: command %d at %v, and %d was committed when it began", w.replica, w.command.id, id, w.floor)
	}
}

// failedWrite checks a proposal that did not succeed.
func (c *checker) failedWrite(w *work, err error) {
	c.expected(w, err)
	if core.MayHaveHappened(err) {
		return
	}
	w.refused = err
	if w.index != 0 {
		c.fail(ruleRefused, "%v: command %d is in the history at %d, its client is told: %v", w.replica, w.command.id, w.index, err)
	}
}

// expected fails if err is none that a client may see.
func (c *checker) expected(w *work, err error) {
	for _, known := range []error{core.ErrOverloaded, core.ErrStopped, core.ErrTermChanged, core.ErrNotReady, core.ErrNoCluster, context.Canceled} {
		if errors.Is(err, known) {
			return
		}
	}
	var (
		notLeader *core.NotLeaderError
		unknown   *core.UnknownOutcomeError
		lost      *core.LostError
		fatal     *core.FatalError
		large     *core.TooLargeError
		stale     *core.TooStaleError
	)
	switch {
	case errors.Is(err, core.ErrTransferring) && w.proposal != nil && w.proposal.FailWithoutLeader:
	case errors.As(err, &stale) && w.isRead && w.read.LimitLag && stale.LagEntries > w.read.LagMax:
	case errors.As(err, &notLeader), errors.As(err, &unknown), errors.As(err, &lost):
	case errors.As(err, &fatal):
		if !w.replica.disk.failing {
			c.fail(ruleGroupFailed, "%v: %v", w.replica, err)
		}
	case errors.As(err, &large) && w.tooLarge:
	case errors.Is(err, core.ErrRemoved) && (w.replica.removed || w.replica.status.Removed || w.replica.store.hard.Removed.Index > 0):
		// An earlier life may have heard of it: what would have brought the node in again may
		// have been truncated in this very step.
	default:
		c.fail(ruleBadError, "%v: %v", w.replica, err)
	}
}

// served checks a read that succeeded: the client looks at the machine of its node
// now.
func (c *checker) served(w *work, index core.Index) {
	applied := w.replica.machine.state.applied.Index
	if applied < index {
		c.fail(ruleReadEarly, "%v: at %d, applied is %d", w.replica, index, applied)
	}
	// A leader that has committed in its own term has committed all that was
	// committed before, so the index itself lies behind it.
	rule := ruleStaleRead
	switch w.read.Mode {
	case actors.ReadLease:
		rule = ruleStaleLease
	case actors.ReadStale:
		rule = ruleTooStale
	case actors.ReadAtLeast:
		if index < w.read.AtLeast {
			c.fail(ruleAtLeast, "%v: at %d, wanted is %d", w.replica, index, w.read.AtLeast)
		}
		return
	}
	if index < w.floor {
		c.fail(rule, "%v: at %d, and %d was committed when it began (%v before, if it may be stale)", w.replica, index, w.floor, w.read.StaleMax)
	}
}

// answeredAll checks that a group that stopped has answered everybody.
func (c *checker) answeredAll(r *replica) {
	for _, w := range r.work {
		if !w.completed {
			c.fail(ruleNever, "%v stopped and left %v unanswered", r, w)
			return
		}
	}
	c.answeredRequests(r)
	c.group.jobs.stopped(r)
}
