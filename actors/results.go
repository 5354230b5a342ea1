package actors

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// resultBatches gathers the results of proposals that other nodes forwarded, so
// that each node is answered once for a batch.
type resultBatches struct{ batches []resultBatch }

type resultBatch struct {
	to      core.Identity
	results []core.ForwardedResult
}

// add takes the result of a forwarded proposal, whose stage is done.
func (b *resultBatches) add(p *Proposal, id core.LogID, value []byte, err error) {
	i := 0
	for i < len(b.batches) && b.batches[i].to != p.from {
		i++
	}
	if i == len(b.batches) {
		b.batches = append(b.batches, resultBatch{to: p.from})
	}
	p.ended(id, err)
	b.batches[i].results = append(b.batches[i].results, resultOf(p.id, id, value, err))
}

// resultSender is where results go.
type resultSender struct {
	header   func(to core.Identity) core.Header
	bytesMax int
	// takes is the largest message of a class that can be sent to a node, 0 if any.
	takes func(membership.NodeID, core.Class) int
	send  func(core.Message) bool
	// unsent takes a message that the network did not take.
	unsent func(*core.ProposeResponse)
}

// send sends what was gathered, in messages of limited size. What the network
// does not take now the core actor tries again.
func (b *resultBatches) send(to *resultSender) {
	for _, batch := range b.batches {
		for len(batch.results) > 0 {
			n, bytes := 0, 0
			for n < len(batch.results) && (n == 0 || bytes < to.bytesMax) {
				bytes += len(batch.results[n].Value) + core.EntryOverheadBytes
				n++
			}
			m := &core.ProposeResponse{Header: to.header(batch.to), Results: batch.results[:n:n]}
			if most := to.takes(batch.to.ID, m.Class()); most > 0 && network.SizeBytes(m) > most {
				m = withoutValues(m) // it would be refused for ever
			}
			if !to.send(m) {
				to.unsent(m)
			}
			batch.results = batch.results[n:]
		}
	}
	clear(b.batches)
	b.batches = b.batches[:0]
}

// withoutValues returns results of which those with a value say no more than that they
// are not known. Whoever asked learns at least that much.
func withoutValues(m *core.ProposeResponse) *core.ProposeResponse {
	bare := &core.ProposeResponse{Header: m.Header, Results: slices.Clone(m.Results)}
	for i := range bare.Results {
		if r := &bare.Results[i]; len(r.Value) > 0 {
			*r = core.ForwardedResult{ID: r.ID, Code: core.ResultUnknown, LogID: r.LogID, Error: fmt.Sprintf("the state machine's result of %d bytes could not be sent", len(r.Value))}
		}
	}
	return bare
}

// resultOf says on the wire how a proposal ended.
func resultOf(forwarded uint64, id core.LogID, value []byte, err error) core.ForwardedResult {
	r := core.ForwardedResult{ID: forwarded, LogID: id, Value: value, Code: core.ResultApplied}
	var notLeader *core.NotLeaderError
	var lost *core.LostError
	var tooLarge *core.TooLargeError
	var version *core.VersionError
	switch {
	case err == nil:
		return r
	case core.MayHaveHappened(err):
		r.Code = core.ResultUnknown
	case errors.As(err, &notLeader), errors.Is(err, core.ErrNotReady):
		r.Code = core.ResultNotLeader
	case errors.Is(err, core.ErrOverloaded):
		r.Code = core.ResultOverloaded
	case errors.Is(err, core.ErrTermChanged):
		r.Code = core.ResultTermChanged
	case errors.As(err, &lost):
		r.Code = core.ResultLost
	case errors.As(err, &tooLarge):
		r.Code, r.LimitBytes, r.Limit = core.ResultTooLarge, uint64(tooLarge.Max), tooLarge.Limit
	case errors.As(err, &version):
		r.Code, r.NeedsVersion, r.LimitBytes = core.ResultVersion, uint32(min(version.Needs, math.MaxUint32)), version.Have
	default:
		r.Code = core.ResultStopped
	}
	r.Error = err.Error()
	return r
}

// forwardedError turns a result that is not ResultApplied back into an error.
// Those that let the proposal be tried elsewhere are told apart by the caller.
func forwardedError(r *core.ForwardedResult, from membership.NodeID, size int) error {
	switch r.Code {
	case core.ResultOverloaded:
		return core.ErrOverloaded
	case core.ResultTermChanged:
		return core.ErrTermChanged
	case core.ResultLost:
		return &core.LostError{LogID: r.LogID}
	case core.ResultTooLarge:
		return &core.TooLargeError{Size: size, Max: int(min(r.LimitBytes, math.MaxInt)), Limit: r.Limit, Node: from}
	case core.ResultVersion:
		return &core.VersionError{Needs: uint64(r.NeedsVersion), Have: r.LimitBytes, Node: from}
	}
	return &core.UnknownOutcomeError{Cause: errors.New("the leader says: " + r.Error)}
}
