package simulation

import (
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// squatter answers at the address of a member that is down, in its name: it
// acknowledges all and keeps nothing, grants every vote and allows every read.
type squatter struct {
	endpoint *endpoint
	// empty: to who asks it shows itself as an empty node of another incarnation.
	empty bool
}

// squat lets a squatter answer for a node until that starts again.
func (f *fabric) squat(n *node, empty bool) {
	if f.squatters[n.id] != nil {
		return
	}
	e := &endpoint{fabric: f, address: n.address}
	e.local.Identity = n.member
	e.handler = &squatter{e, empty}
	f.squatters[n.id] = e
}

// unsquat ends it.
func (f *fabric) unsquat(n *node) {
	if e := f.squatters[n.id]; e != nil {
		f.squatters[n.id] = nil
		f.leave(e)
	}
}

// Receive answers at once.
func (q *squatter) Receive(from membership.Identity, m core.Message) {
	asked := m.Head()
	h := core.Header{Group: asked.Group, From: q.endpoint.local.Identity, To: from, Term: asked.Term}
	for _, answer := range q.answers(h, m) {
		q.endpoint.send(answer, digest(answer))
	}
}

func (q *squatter) answers(h core.Header, m core.Message) []core.Message {
	const promise = 1 << 20
	switch m := m.(type) {
	case *core.VoteRequest:
		h.Term = m.ElectionTerm
		if m.Pre {
			h.Term--
		}
		return []core.Message{&core.VoteResponse{Header: h, Pre: m.Pre, ElectionTerm: m.ElectionTerm, Campaign: m.Campaign, Granted: true}}
	case *core.Heartbeat:
		return []core.Message{&core.HeartbeatResponse{Header: h, Round: m.Round, Stream: m.Stream, PromiseMillis: promise, Match: m.Commit, Applied: m.Commit}}
	case *core.AppendEntries:
		return []core.Message{&core.AppendResponse{Header: h, Stream: m.Stream, Success: true, Match: m.Prev.Index + core.Index(len(m.Entries))}}
	case *core.SnapshotChunk:
		r := &core.SnapshotResponse{Header: h, Stream: m.Stream, Transfer: m.Transfer, Offset: m.Offset + uint64(len(m.Data))}
		return []core.Message{r, &core.AppendResponse{Header: h, Stream: m.Stream, Success: true, Match: m.Meta.Index}}
	case *core.ReadIndexRequest:
		return []core.Message{&core.ReadIndexResponse{Header: h, ID: m.ID, OK: true, Index: 1}}
	case *core.IdentifyRequest:
		if q.empty {
			h.From.Incarnation++
			h.Term = 0
		}
		return []core.Message{&core.IdentifyResponse{Header: h, ID: m.ID, Empty: q.empty, Attempt: m.Attempt, Granted: true}}
	case *core.ProposeRequest:
		r := &core.ProposeResponse{Header: h}
		for _, p := range m.Proposals {
			r.Results = append(r.Results, core.ForwardedResult{ID: p.ID, Code: core.ResultApplied, LogID: core.LogID{Term: h.Term, Index: 1}})
		}
		return []core.Message{r}
	}
	return nil
}

// A squatter dials nobody.
func (q *squatter) Connected(membership.Identity, core.Class)   {}
func (q *squatter) Disconnected(core.NodeID, core.Class, error) {}
func (q *squatter) Learned(network.Peer)                        {}
func (q *squatter) Outlived(membership.Identity)                {}
