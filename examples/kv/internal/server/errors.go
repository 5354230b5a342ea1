package server

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/storage"
)

// describe puts an error into the API's words. What may have happened comes
// first: no other code may hide it.
func (s *Server) describe(err error) *api.Error {
	status := s.raft.Status()
	e := &api.Error{Message: err.Error(), Leader: uint64(status.Leader)}
	var (
		sent      *api.Error
		notLeader *troupe.NotLeaderError
		lost      *troupe.LostError
		failed    *troupe.FatalError
		large     *troupe.TooLargeError
		refused   *troupe.BootstrapError
		forming   *troupe.FormingError
		doubtful  *troupe.ContradictionError
		stale     *troupe.TooStaleError
		transfer  *troupe.TransferError
		elect     *troupe.ElectError
		beyond    *troupe.PurgeError
		old       *troupe.VersionError
		room      *storage.NoSpaceError
	)
	switch {
	case errors.As(err, &transfer):
		e.Code, e.Reason, e.MayHaveHappened = api.TransferFailed, transferReasons[transfer.Reason], transfer.MayHaveHappened()
	case errors.As(err, &elect):
		e.Code, e.Reason, e.MayHaveHappened = api.ElectionFailed, electReasons[elect.Reason], elect.MayHaveHappened()
	case errors.As(err, &forming):
		e.Code, e.MayHaveHappened = api.Forming, true
	case troupe.MayHaveHappened(err):
		e.Code, e.MayHaveHappened = api.UnknownOutcome, true
	case errors.As(err, &sent):
		e.Code, e.Message, e.Reason = sent.Code, sent.Message, sent.Reason
	case errors.Is(err, troupe.ErrRemoved):
		e.Code = api.Removed
	case changeCode(err) != "":
		e.Code = changeCode(err)
	case errors.As(err, &old):
		e.Code = api.MachineTooOld
	case errors.Is(err, troupe.ErrNotNow):
		e.Code = api.NotNow
	case errors.Is(err, troupe.ErrTransferring):
		e.Code = api.NoLeader
	case errors.As(err, &room) && !errors.As(err, &failed), errors.Is(err, syscall.ENOSPC):
		e.Code = api.NoSpace
	case errors.As(err, &failed), errors.Is(err, troupe.ErrStopped), errors.Is(err, machine.ErrClosed):
		e.Code = api.Stopped
	case errors.As(err, &large):
		e.Code = api.TooLarge
	case errors.As(err, &refused), errors.As(err, &beyond):
		e.Code = api.BadRequest
	case errors.Is(err, troupe.ErrNoCluster):
		e.Code, e.Message = api.NoCluster, noCluster(status)
	case errors.As(err, &stale):
		e.Code = api.TooStale
	case errors.As(err, &doubtful):
		e.Code = api.Contradiction
	case errors.Is(err, troupe.ErrOverloaded):
		e.Code = api.Overloaded
	case errors.As(err, &notLeader):
		e.Code = api.NoLeader
		if notLeader.Leader != 0 {
			e.Leader = uint64(notLeader.Leader)
		}
	case errors.As(err, &lost), errors.Is(err, troupe.ErrNotReady), errors.Is(err, troupe.ErrTermChanged):
		// The leader changed under the request, or has just begun.
		e.Code = api.NoLeader
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e.Code = api.Timeout
	default:
		e.Code = api.Internal
	}
	return e
}

// noCluster says why a node is part of no cluster.
func noCluster(status troupe.Status) string {
	switch {
	case status.UnknownToGroup:
		return "this node has lost its data: the cluster knows it under another incarnation, and does not count it until it is replaced, or removed and added again"
	case len(status.WaitsFor) > 0:
		waits := make([]string, len(status.WaitsFor))
		for i, w := range status.WaitsFor {
			waits[i] = w.String()
		}
		return "this node is part of no cluster yet, and waits for " + strings.Join(waits, ", ")
	}
	return "this node is part of no cluster yet"
}

// changeCode is that of an error of a change of the members, "" of another one.
func changeCode(err error) api.Code {
	switch {
	case errors.As(err, new(*troupe.ChangeInProgressError)):
		return api.ChangeInProgress
	case errors.As(err, new(*troupe.NotCaughtUpError)):
		return api.NotCaughtUp
	case errors.As(err, new(*troupe.ConfigurationChangedError)):
		return api.ConfigurationChanged
	case errors.As(err, new(*troupe.ChangeCancelledError)):
		return api.ChangeCancelled
	case errors.Is(err, troupe.ErrNoChange):
		return api.NoChange
	}
	return ""
}
