package wire

import (
	"encoding/binary"
	"math/rand"
	"reflect"
	"testing"
	"testing/quick"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// messages are an empty message of each kind.
var messages = map[Kind]core.Message{
	KindVoteRequest:       &core.VoteRequest{},
	KindVoteResponse:      &core.VoteResponse{},
	KindHeartbeat:         &core.Heartbeat{},
	KindHeartbeatResponse: &core.HeartbeatResponse{},
	KindAppendEntries:     &core.AppendEntries{},
	KindAppendResponse:    &core.AppendResponse{},
	KindSnapshotChunk:     &core.SnapshotChunk{},
	KindSnapshotResponse:  &core.SnapshotResponse{},
	KindReadIndexRequest:  &core.ReadIndexRequest{},
	KindReadIndexResponse: &core.ReadIndexResponse{},
	KindIdentifyRequest:   &core.IdentifyRequest{},
	KindIdentifyResponse:  &core.IdentifyResponse{},
	KindProposeRequest:    &core.ProposeRequest{},
	KindProposeResponse:   &core.ProposeResponse{},
	KindRefusal:           &core.Refusal{},

	KindTimeoutNow:         &core.TimeoutNow{},
	KindTimeoutNowResponse: &core.TimeoutNowResponse{},
	KindTransferRequest:    &core.TransferRequest{},
	KindTransferResponse:   &core.TransferResponse{},
	KindChangeRequest:      &core.ChangeRequest{},
	KindChangeResponse:     &core.ChangeResponse{},
	KindRemoved:            &core.Removed{},
}

// drawn returns a message of a kind with every field drawn at random, as far
// as the wire takes it.
func drawn(t testing.TB, kind Kind, random *rand.Rand) core.Message {
	t.Helper()
	value, ok := quick.Value(reflect.TypeOf(messages[kind]).Elem(), random)
	if !ok {
		t.Fatalf("kind %d cannot be drawn", kind)
	}
	pointer := reflect.New(value.Type())
	pointer.Elem().Set(value)
	m := pointer.Interface().(core.Message)
	*m.Head() = core.Header{
		Group: core.GroupID(1 + random.Uint64()>>random.Intn(64)),
		From:  identity(random), To: identity(random), Term: core.Term(number(random)),
	}
	if random.Intn(2) == 0 {
		m.Head().Cluster, m.Head().Introduces = cluster(random.Uint64()), true
	}
	switch m := m.(type) {
	case *core.AppendEntries:
		m.Prev = core.LogID{Term: core.Term(number(random) / 2), Index: core.Index(number(random) / 2)}
		m.Entries = entriesAfter(m.Prev, random)
		if len(m.Traces) == 0 {
			m.Traces = nil
		}
	case *core.SnapshotChunk:
		m.Meta.Configuration.Configuration = configuration(random)
		m.Meta.Cluster = m.Cluster
		m.Data = emptyIsNil(m.Data)
	case *core.SnapshotResponse:
		if len(m.Had) == 0 {
			m.Had = nil
		}
	case *core.ProposeRequest:
		for i := range m.Proposals {
			m.Proposals[i].Data = emptyIsNil(m.Proposals[i].Data)
			if random.Intn(2) == 0 {
				m.Proposals[i].Trace = core.TraceContext{}
			}
		}
		if len(m.Proposals) == 0 {
			m.Proposals = nil
		}
	case *core.ProposeResponse:
		for i := range m.Results {
			m.Results[i].Value = emptyIsNil(m.Results[i].Value)
			m.Results[i].Code = core.ResultApplied + core.ResultCode(random.Intn(int(core.ResultVersion)))
			m.Results[i].Limit = core.SizeLimit(random.Intn(int(core.LimitMessage) + 1))
		}
		if len(m.Results) == 0 {
			m.Results = nil
		}
	case *core.VoteRequest:
		if random.Intn(2) == 0 {
			m.Trace = core.TraceContext{}
		}
	case *core.TimeoutNow:
		if random.Intn(2) == 0 {
			m.Trace = core.TraceContext{}
		}
	case *core.TransferRequest:
		if random.Intn(2) == 0 {
			m.Trace = core.TraceContext{}
		}
	case *core.ReadIndexRequest:
		if random.Intn(2) == 0 {
			m.Trace = core.TraceContext{}
		}
	case *core.ChangeRequest:
		if random.Intn(2) == 0 {
			m.Trace = core.TraceContext{}
		}
		for i := range m.Order.Changes {
			drawChange(&m.Order.Changes[i])
		}
		if len(m.Order.Changes) == 0 {
			m.Order.Changes = nil
		}
	case *core.ChangeResponse:
		m.Steps = nil
		for range random.Intn(3) {
			if c := configuration(random); !c.IsZero() {
				m.Steps = append(m.Steps, c)
			}
		}
		if drawChange(&m.Wrong); random.Intn(2) == 0 {
			m.Wrong = membership.Change{}
		}
	case *core.Heartbeat:
		if c := m.Change; c != nil {
			if c.WaitsFor = c.WaitsFor[:min(len(c.WaitsFor), core.ChangeToldWaitsMax)]; len(c.WaitsFor) == 0 {
				c.WaitsFor = nil
			}
		}
	case *core.Refusal:
		m.Reason = core.RefusedIncarnation + core.RefusalReason(random.Intn(int(core.RefusedLeftBehind)))
	}
	return m
}

// drawChange makes a drawn change one that the wire takes.
func drawChange(c *membership.Change) {
	c.Op |= 1
	if len(c.Tags) == 0 {
		c.Tags = nil
	}
	if len(c.Voters) == 0 {
		c.Voters = nil
	}
}

// number draws small numbers as often as large ones.
func number(random *rand.Rand) uint64 { return random.Uint64() >> random.Intn(64) }

func identity(random *rand.Rand) core.Identity {
	return core.Identity{ID: core.NodeID(1 + number(random)/2), Incarnation: membership.Incarnation(1 + number(random)/2)}
}

func emptyIsNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func entriesAfter(prev core.LogID, random *rand.Rand) []core.Entry {
	var entries []core.Entry
	at := core.Entry{LogID: prev}
	for range random.Intn(20) {
		at.Index++
		at.Term += core.Term(random.Intn(3))
		if at.Term == 0 {
			at.Term = 1
		}
		at.Kind = core.EntryBlank + core.EntryKind(random.Intn(3))
		if at.Time = int64(number(random)); random.Intn(2) == 0 {
			at.Time = -at.Time
		}
		at.Data, at.Version = nil, 0
		if random.Intn(4) == 0 {
			at.Version = number(random)
		}
		if n := random.Intn(300); n > 50 {
			at.Data = make([]byte, n)
			random.Read(at.Data)
		}
		entries = append(entries, at)
	}
	return entries
}

func configuration(random *rand.Rand) membership.Configuration {
	var c membership.Configuration
	for i := range random.Intn(4) {
		m := membership.Member{
			Identity: core.Identity{ID: core.NodeID(i + 1), Incarnation: membership.Incarnation(random.Uint64())},
			Address:  "127.0.0.1:9001", Priority: random.Uint32(), Tags: map[string]string{"zone": "a", "rack": ""},
		}
		c.Members = append(c.Members, m)
		c.Voters = append(c.Voters, m.Identity)
	}
	if !c.IsZero() && random.Intn(2) == 0 {
		random.Read(c.Founding[:])
	}
	return c
}

// cluster makes an id that ends with n.
func cluster(n uint64) (c core.ClusterID) {
	binary.BigEndian.PutUint64(c[8:], n)
	return c
}
