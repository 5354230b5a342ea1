package wire

import "github.com/trouperaft/troupe/core"

// Kind says in a frame what it carries: a message, or from 128 on what concerns
// the connection itself. Numbers are never used again for something else.
type Kind uint8

// Kinds of frames.
const (
	// KindKeepAlive carries nothing: the sender lives.
	KindKeepAlive Kind = iota
	KindVoteRequest
	KindVoteResponse
	KindHeartbeat
	KindHeartbeatResponse
	KindAppendEntries
	KindAppendResponse
	KindSnapshotChunk
	KindSnapshotResponse
	KindReadIndexRequest
	KindReadIndexResponse
	KindIdentifyRequest
	KindIdentifyResponse
	KindProposeRequest
	KindProposeResponse
	KindRefusal
	KindTimeoutNow
	KindTimeoutNowResponse
	KindTransferRequest
	KindTransferResponse
	KindChangeRequest
	KindChangeResponse
	KindRemoved

	kindEnd
)

// Kinds of frames that are no message.
const (
	// KindProof carries a Proof.
	KindProof Kind = 128 + iota
	// KindAddresses carries Addresses.
	KindAddresses
	// KindPing carries nothing. It asks for any frame at once, a keep-alive if
	// there is nothing else to say.
	KindPing
)

// Keeps reports whether a decoded message of this kind holds parts of the bytes
// it was decoded from.
func (k Kind) Keeps() bool {
	switch k {
	case KindAppendEntries, KindSnapshotChunk, KindProposeRequest, KindProposeResponse:
		return true
	}
	return false
}

// KindOf returns the kind of a message, KindKeepAlive for nil.
func KindOf(m core.Message) Kind {
	switch m.(type) {
	case *core.VoteRequest:
		return KindVoteRequest
	case *core.VoteResponse:
		return KindVoteResponse
	case *core.Heartbeat:
		return KindHeartbeat
	case *core.HeartbeatResponse:
		return KindHeartbeatResponse
	case *core.AppendEntries:
		return KindAppendEntries
	case *core.AppendResponse:
		return KindAppendResponse
	case *core.SnapshotChunk:
		return KindSnapshotChunk
	case *core.SnapshotResponse:
		return KindSnapshotResponse
	case *core.ReadIndexRequest:
		return KindReadIndexRequest
	case *core.ReadIndexResponse:
		return KindReadIndexResponse
	case *core.IdentifyRequest:
		return KindIdentifyRequest
	case *core.IdentifyResponse:
		return KindIdentifyResponse
	case *core.ProposeRequest:
		return KindProposeRequest
	case *core.ProposeResponse:
		return KindProposeResponse
	case *core.Refusal:
		return KindRefusal
	case *core.TimeoutNow:
		return KindTimeoutNow
	case *core.TimeoutNowResponse:
		return KindTimeoutNowResponse
	case *core.TransferRequest:
		return KindTransferRequest
	case *core.TransferResponse:
		return KindTransferResponse
	case *core.ChangeRequest:
		return KindChangeRequest
	case *core.ChangeResponse:
		return KindChangeResponse
	case *core.Removed:
		return KindRemoved
	}
	return KindKeepAlive
}
