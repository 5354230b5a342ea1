package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	pb "github.com/trouperaft/troupe/network/wire/internal/troupepb"
)

// This file translates the messages that are rare to the types of package
// troupepb, and back.

var (
	marshal   = proto.MarshalOptions{Deterministic: true}
	unmarshal = proto.UnmarshalOptions{DiscardUnknown: true}
)

func appendProto(b []byte, m core.Message) ([]byte, error) {
	p, err := toProto(m)
	if err != nil {
		return b, err
	}
	out, err := marshal.MarshalAppend(b, p)
	if err != nil {
		return b, fmt.Errorf("wire: %w", err)
	}
	return out, nil
}

func toProto(m core.Message) (proto.Message, error) {
	h := headerToProto(m.Head())
	switch m := m.(type) {
	case *core.VoteRequest:
		return &pb.VoteRequest{
			Header: h, Pre: m.Pre, ElectionTerm: uint64(m.ElectionTerm), Campaign: m.Campaign,
			Last: logIDToProto(m.Last), Transfer: m.Transfer, Trace: traceToProto(m.Trace),
		}, nil
	case *core.VoteResponse:
		return &pb.VoteResponse{
			Header: h, Pre: m.Pre, ElectionTerm: uint64(m.ElectionTerm), Campaign: m.Campaign,
			Granted: m.Granted, WaitMillis: m.WaitMillis,
		}, nil
	case *core.SnapshotResponse:
		return &pb.SnapshotResponse{
			Header: h, Stream: m.Stream, Transfer: m.Transfer, Offset: m.Offset,
			Refused: m.Refused, Reason: validUTF8(m.Reason), Had: hadToProto(m.Had),
		}, nil
	case *core.ReadIndexRequest:
		return &pb.ReadIndexRequest{Header: h, Id: m.ID, Lease: m.Lease, Trace: traceToProto(m.Trace)}, nil
	case *core.ReadIndexResponse:
		return &pb.ReadIndexResponse{Header: h, Id: m.ID, Ok: m.OK, Index: uint64(m.Index)}, nil
	case *core.IdentifyRequest:
		return &pb.IdentifyRequest{
			Header: h, Id: m.ID, Attempt: m.Attempt, Release: m.Release, List: foundingToProto(m.List), LengthMillis: m.LengthMillis,
		}, nil
	case *core.IdentifyResponse:
		return &pb.IdentifyResponse{
			Header: h, Id: m.ID, Empty: m.Empty, Last: logIDToProto(m.Last), Attempt: m.Attempt, Granted: m.Granted,
			GrantedToNode: uint64(m.GrantedTo.ID), GrantedToIncarnation: uint64(m.GrantedTo.Incarnation),
			WaitMillis: m.WaitMillis, SameList: m.SameList,
			KnownNode: uint64(m.Known.ID), KnownIncarnation: uint64(m.Known.Incarnation),
		}, nil
	case *core.TimeoutNow:
		return &pb.TimeoutNow{Header: h, Transfer: m.Transfer, ByHand: m.ByHand, Trace: traceToProto(m.Trace)}, nil
	case *core.TimeoutNowResponse:
		return &pb.TimeoutNowResponse{Header: h, Transfer: m.Transfer, Unfit: uint32(m.Unfit)}, nil
	case *core.TransferRequest:
		return &pb.TransferRequest{Header: h, Id: m.ID, Target: uint64(m.Target), Trace: traceToProto(m.Trace)}, nil
	case *core.TransferResponse:
		return &pb.TransferResponse{
			Header: h, Id: m.ID, Reason: uint32(m.Reason), Target: uint64(m.Target), Leader: uint64(m.Leader),
			LeaderTerm: uint64(m.LeaderTerm), Sent: m.Sent, Text: validUTF8(m.Text),
		}, nil
	case *core.Refusal:
		if !knownReason(uint32(m.Reason)) {
			return nil, fmt.Errorf("wire: a refusal for reason %d", m.Reason)
		}
		return &pb.Refusal{
			Header: h, Reason: uint32(m.Reason), KnownNode: uint64(m.Known.ID),
			KnownIncarnation: uint64(m.Known.Incarnation),
		}, nil
	}
	return nil, fmt.Errorf("wire: no encoding of a %T", m)
}

func decodeProto(kind Kind, payload []byte) (core.Message, error) {
	switch kind {
	case KindVoteRequest:
		var p pb.VoteRequest
		err := parse(payload, &p)
		return &core.VoteRequest{
			Header: headerFromProto(p.Header), Pre: p.Pre, ElectionTerm: core.Term(p.ElectionTerm),
			Campaign: p.Campaign, Last: logIDFromProto(p.Last), Transfer: p.Transfer, Trace: traceOf(p.Trace),
		}, err
	case KindVoteResponse:
		var p pb.VoteResponse
		err := parse(payload, &p)
		return &core.VoteResponse{
			Header: headerFromProto(p.Header), Pre: p.Pre, ElectionTerm: core.Term(p.ElectionTerm),
			Campaign: p.Campaign, Granted: p.Granted, WaitMillis: p.WaitMillis,
		}, err
	case KindSnapshotResponse:
		var p pb.SnapshotResponse
		if err := parse(payload, &p); err != nil {
			return nil, err
		}
		had, err := hadFromProto(p.Had)
		return &core.SnapshotResponse{
			Header: headerFromProto(p.Header), Stream: p.Stream, Transfer: p.Transfer,
			Offset: p.Offset, Refused: p.Refused, Reason: p.Reason, Had: had,
		}, err
	case KindReadIndexRequest:
		var p pb.ReadIndexRequest
		err := parse(payload, &p)
		return &core.ReadIndexRequest{Header: headerFromProto(p.Header), ID: p.Id, Lease: p.Lease, Trace: traceOf(p.Trace)}, err
	case KindReadIndexResponse:
		var p pb.ReadIndexResponse
		err := parse(payload, &p)
		return &core.ReadIndexResponse{Header: headerFromProto(p.Header), ID: p.Id, OK: p.Ok, Index: core.Index(p.Index)}, err
	case KindIdentifyRequest:
		var p pb.IdentifyRequest
		err := parse(payload, &p)
		m := &core.IdentifyRequest{Header: headerFromProto(p.Header), ID: p.Id, Attempt: p.Attempt, Release: p.Release, LengthMillis: p.LengthMillis}
		if err == nil {
			err = exactly("list", m.List[:], p.List)
		}
		return m, err
	case KindIdentifyResponse:
		var p pb.IdentifyResponse
		err := parse(payload, &p)
		return &core.IdentifyResponse{
			Header: headerFromProto(p.Header), ID: p.Id, Empty: p.Empty, Last: logIDFromProto(p.Last), Attempt: p.Attempt, Granted: p.Granted,
			GrantedTo:  core.Identity{ID: core.NodeID(p.GrantedToNode), Incarnation: membership.Incarnation(p.GrantedToIncarnation)},
			WaitMillis: p.WaitMillis, SameList: p.SameList,
			Known: core.Identity{ID: core.NodeID(p.KnownNode), Incarnation: membership.Incarnation(p.KnownIncarnation)},
		}, err
	case KindRefusal:
		var p pb.Refusal
		err := parse(payload, &p)
		if err == nil && !knownReason(p.Reason) {
			err = malformed("a refusal for an unknown reason")
		}
		return &core.Refusal{
			Header: headerFromProto(p.Header), Reason: core.RefusalReason(p.Reason),
			Known: core.Identity{ID: core.NodeID(p.KnownNode), Incarnation: membership.Incarnation(p.KnownIncarnation)},
		}, err
	}
	return decodeTransfer(kind, payload)
}

// decodeTransfer is decodeProto for what is said in a transfer of leadership.
func decodeTransfer(kind Kind, payload []byte) (core.Message, error) {
	switch kind {
	case KindTimeoutNow:
		var p pb.TimeoutNow
		err := parse(payload, &p)
		return &core.TimeoutNow{Header: headerFromProto(p.Header), Transfer: p.Transfer, ByHand: p.ByHand, Trace: traceOf(p.Trace)}, err
	case KindTimeoutNowResponse:
		var p pb.TimeoutNowResponse
		err := parse(payload, &p)
		if err == nil {
			err = small("unfit", p.Unfit)
		}
		return &core.TimeoutNowResponse{Header: headerFromProto(p.Header), Transfer: p.Transfer, Unfit: core.Unfit(p.Unfit)}, err
	case KindTransferRequest:
		var p pb.TransferRequest
		err := parse(payload, &p)
		return &core.TransferRequest{Header: headerFromProto(p.Header), ID: p.Id, Target: core.NodeID(p.Target), Trace: traceOf(p.Trace)}, err
	case KindTransferResponse:
		var p pb.TransferResponse
		err := parse(payload, &p)
		if err == nil {
			err = small("reason", p.Reason)
		}
		return &core.TransferResponse{
			Header: headerFromProto(p.Header), ID: p.Id, Reason: core.TransferReason(p.Reason), Target: core.NodeID(p.Target),
			Leader: core.NodeID(p.Leader), LeaderTerm: core.Term(p.LeaderTerm), Sent: p.Sent, Text: p.Text,
		}, err
	}
	return nil, malformed("unknown kind")
}

func parse(payload []byte, p proto.Message) error {
	if err := unmarshal.Unmarshal(payload, p); err != nil {
		return malformed("%v", err)
	}
	if m, ok := p.(interface{ GetHeader() *pb.Header }); ok {
		var cluster core.ClusterID
		return exactly("introduction", cluster[:], m.GetHeader().GetIntroduction())
	}
	return nil
}

// small refuses what does not fit into a byte. One that fits and is not known is a
// later version's, and is handed on.
func small(name string, v uint32) error {
	if v > 1<<8-1 {
		return malformed("%s is out of range", name)
	}
	return nil
}

func knownReason(r uint32) bool {
	return r >= uint32(core.RefusedIncarnation) && r <= uint32(core.RefusedLeftBehind)
}

func headerToProto(h *core.Header) *pb.Header {
	p := &pb.Header{
		Group: uint64(h.Group), Term: uint64(h.Term),
		FromNode: uint64(h.From.ID), FromIncarnation: uint64(h.From.Incarnation),
		ToNode: uint64(h.To.ID), ToIncarnation: uint64(h.To.Incarnation),
	}
	if h.Introduces {
		p.Introduction = h.Cluster[:]
	}
	return p
}

func headerFromProto(p *pb.Header) core.Header {
	h := core.Header{
		Group: core.GroupID(p.GetGroup()), Term: core.Term(p.GetTerm()),
		From: core.Identity{ID: core.NodeID(p.GetFromNode()), Incarnation: membership.Incarnation(p.GetFromIncarnation())},
		To:   core.Identity{ID: core.NodeID(p.GetToNode()), Incarnation: membership.Incarnation(p.GetToIncarnation())},
	}
	if id := p.GetIntroduction(); len(id) == len(h.Cluster) {
		h.Introduces = true
		copy(h.Cluster[:], id)
	}
	return h
}

// foundingToProto leaves a zero hash out.
func foundingToProto(f membership.Founding) []byte {
	if f == (membership.Founding{}) {
		return nil
	}
	return f[:]
}

// exactly copies a field that has one length only, if it is there.
func exactly(name string, to, field []byte) error {
	if len(field) != 0 && len(field) != len(to) {
		return malformed("%s has %d bytes, not %d", name, len(field), len(to))
	}
	copy(to, field)
	return nil
}

func logIDToProto(id core.LogID) *pb.LogID {
	if id == (core.LogID{}) {
		return nil
	}
	return &pb.LogID{Term: uint64(id.Term), Index: uint64(id.Index)}
}

func logIDFromProto(p *pb.LogID) core.LogID {
	return core.LogID{Term: core.Term(p.GetTerm()), Index: core.Index(p.GetIndex())}
}
