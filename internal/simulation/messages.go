package simulation

import (
	"fmt"

	"github.com/trouperaft/troupe/core"
)

// digest is a hash over what a message says. It changes if the message is
// changed after it was sent.
func digest(m core.Message) uint64 {
	h := m.Head()
	d := mix(hashBytes(uint64(h.Group), h.Cluster[:]), truth(h.Introduces))
	d = mix(mix(d, uint64(h.From.ID)), uint64(h.To.ID))
	d = mix(mix(mix(d, uint64(h.From.Incarnation)), uint64(h.To.Incarnation)), uint64(h.Term))
	values := func(vs ...uint64) {
		for _, v := range vs {
			d = mix(d, v)
		}
	}
	switch m := m.(type) {
	case *core.VoteRequest:
		values(1, truth(m.Pre), uint64(m.ElectionTerm), m.Campaign, uint64(m.Last.Term), uint64(m.Last.Index), truth(m.Transfer))
	case *core.VoteResponse:
		values(2, truth(m.Pre), uint64(m.ElectionTerm), m.Campaign, truth(m.Granted), uint64(m.WaitMillis))
	case *core.Heartbeat:
		values(3, m.Round, m.Stream, uint64(m.Commit))
	case *core.HeartbeatResponse:
		values(4, m.Round, m.Stream, uint64(m.PromiseMillis), uint64(m.Match), uint64(m.Applied), uint64(m.Accepted), uint64(m.Unfit))
	case *core.AppendEntries:
		values(5, m.Stream, uint64(m.Prev.Term), uint64(m.Prev.Index), uint64(m.Commit), uint64(len(m.Entries)))
		for i := range m.Entries {
			d = mix(d, contentOf(&m.Entries[i]))
		}
	case *core.AppendResponse:
		values(6, m.Stream, truth(m.Success), uint64(m.Match), uint64(m.Rejected.Term), uint64(m.Rejected.Index), uint64(m.Hint.Term), uint64(m.Hint.Index))
	case *core.SnapshotChunk:
		values(7, m.Stream, m.Transfer, uint64(m.Meta.Term), uint64(m.Meta.Index), m.Meta.SizeBytes, uint64(m.Meta.Checksum), m.Offset, truth(m.Done))
		d = hashBytes(hashBytes(d, m.Data), m.Meta.Cluster[:])
	case *core.SnapshotResponse:
		values(8, m.Stream, m.Transfer, m.Offset, truth(m.Refused))
	case *core.ReadIndexRequest:
		values(9, m.ID, truth(m.Lease))
	case *core.ReadIndexResponse:
		values(10, m.ID, truth(m.OK), uint64(m.Index))
	case *core.IdentifyRequest:
		values(11, m.ID, m.Attempt, truth(m.Release), uint64(m.LengthMillis))
		d = hashBytes(d, m.List[:])
	case *core.IdentifyResponse:
		values(12, m.ID, truth(m.Empty), uint64(m.Last.Term), uint64(m.Last.Index), m.Attempt, truth(m.Granted), uint64(m.WaitMillis), truth(m.SameList),
			uint64(m.GrantedTo.ID), uint64(m.GrantedTo.Incarnation), uint64(m.Known.ID), uint64(m.Known.Incarnation))
	case *core.ProposeRequest:
		values(13, uint64(len(m.Proposals)))
		for _, p := range m.Proposals {
			d = hashBytes(mix(mix(mix(d, p.ID), uint64(p.ExpectedTerm)), truth(p.Refuse)), p.Data)
		}
	case *core.ProposeResponse:
		values(14, uint64(len(m.Results)))
		for _, r := range m.Results {
			d = mix(mix(mix(d, r.ID), uint64(r.Code)), uint64(r.LogID.Term))
			d = hashBytes(mix(d, uint64(r.LogID.Index)), r.Value)
		}
	case *core.Refusal:
		values(15, uint64(m.Reason), uint64(m.Known.ID), uint64(m.Known.Incarnation))
	case *core.TimeoutNow:
		values(16, m.Transfer, truth(m.ByHand))
	case *core.TimeoutNowResponse:
		values(17, m.Transfer, uint64(m.Unfit))
	case *core.TransferRequest:
		values(18, m.ID, uint64(m.Target))
	case *core.TransferResponse:
		values(19, m.ID, uint64(m.Reason), uint64(m.Target), uint64(m.Leader), uint64(m.LeaderTerm), truth(m.Sent))
	case *core.ChangeRequest, *core.ChangeResponse, *core.Removed:
		d = hashChange(d, m)
	default:
		panic(fmt.Sprintf("simulation: unknown message %T", m))
	}
	return d
}

// contentOf hashes all of an entry.
func contentOf(e *core.Entry) uint64 {
	h := mix(mix(uint64(e.Term), uint64(e.Index)), uint64(e.Kind))
	return hashBytes(mix(h, uint64(e.Time)), e.Data)
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// describe writes a message for people: its type, and what it says.
func describe(m core.Message) string {
	switch m := m.(type) {
	case *core.AppendEntries:
		text := fmt.Sprintf("AppendEntries term %d stream %d prev %v commit %d, %d entries", m.Term, m.Stream, m.Prev, m.Commit, len(m.Entries))
		if n := len(m.Entries); n > 0 {
			text += fmt.Sprintf(" %v to %v", m.Entries[0].LogID, m.Entries[n-1].LogID)
		}
		return text
	case *core.SnapshotChunk:
		return fmt.Sprintf("SnapshotChunk term %d stream %d transfer %d of %v at %d, %d bytes, done %v", m.Term, m.Stream, m.Transfer, m.Meta.LogID, m.Offset, len(m.Data), m.Done)
	case *core.ProposeRequest:
		return fmt.Sprintf("ProposeRequest term %d, %d proposals", m.Term, len(m.Proposals))
	case *core.ProposeResponse:
		return fmt.Sprintf("ProposeResponse term %d, %d results", m.Term, len(m.Results))
	}
	return fmt.Sprintf("%T%+v", m, m)[len("*core."):]
}
