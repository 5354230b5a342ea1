package simulation

import (
	"context"
	"errors"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Names of what is checked about the answers to orders that change the members.
const (
	ruleChangeAnswer = "membership: a change is said to be done, and is not"
	ruleChangeError  = "membership: an error that does not belong here"
)

// changed checks the answer to an order.
func (c *checker) changed(r *replica, o *core.ChangeOrder, out *actors.ChangeOutcome, err error) {
	if err != nil {
		c.notChanged(r, err)
		return
	}
	at := &out.At.Configuration
	switch {
	case out.GoesOn || o.DryRun:
		return
	case out.At.Index > c.committed:
		c.fail(ruleChangeAnswer, "%v: %v by %v, committed is %d", r, o.Changes, out.At.LogID, c.committed)
		return
	case o.Cancel || len(o.Changes) != 1 || out.Change == 0 || at.Last.ID != out.Change || at.Target != nil || at.Joint():
		return // another may be under way by now
	}
	m := &o.Changes[0]
	ids := at.Incarnations(m.ID)
	votes := len(ids) == 1 && at.IsVoter(ids[0])
	wrong := false
	switch m.Op {
	case membership.OpAdd, membership.OpPromote:
		wrong = !votes
	case membership.OpAddLearner, membership.OpDemote:
		wrong = len(ids) != 1 || votes
	case membership.OpRemove:
		wrong = votes || len(ids) > 0 && !m.KeepAsLearner
	}
	if wrong {
		c.fail(ruleChangeAnswer, "%v: %v by %v, %v", r, m, out.At.LogID, at)
	}
}

// notChanged fails if err is none that who asks may be told.
func (c *checker) notChanged(r *replica, err error) {
	for _, known := range []error{
		core.ErrRemoved, core.ErrNoChange, core.ErrNotReady, core.ErrNoCluster, core.ErrOverloaded, core.ErrStopped, core.ErrTermChanged, context.Canceled,
	} {
		if errors.Is(err, known) {
			return
		}
	}
	var (
		refused   *membership.ChangeError
		progress  *core.ChangeInProgressError
		behind    *core.NotCaughtUpError
		changed   *core.ConfigurationChangedError
		cancelled *core.ChangeCancelledError
		unknown   *core.UnknownOutcomeError
		fatal     *core.FatalError
	)
	switch {
	case errors.As(err, &refused) && refused.Reason != 0, errors.As(err, &progress), errors.As(err, &behind), errors.As(err, &changed):
	case errors.As(err, &cancelled), errors.As(err, &unknown):
	case errors.As(err, &fatal) && r.disk.failing:
	default:
		c.fail(ruleChangeError, "%v: %v", r, err)
	}
}
