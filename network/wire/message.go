package wire

import (
	"fmt"

	"github.com/trouperaft/troupe/core"
)

// AppendMessage appends a message, without a frame. It fails, and appends
// nothing, if no decoder would take the message: an id that is 0, entries that
// do not follow each other, an unknown kind, result code or reason.
func AppendMessage(b []byte, m core.Message) ([]byte, error) {
	if KindOf(m) == KindKeepAlive {
		return b, fmt.Errorf("wire: no kind of frame carries a %T", m)
	}
	if err := checkHeader(m.Head()); err != nil {
		return b, fmt.Errorf("wire: %w", err)
	}
	switch m := m.(type) {
	case *core.Heartbeat:
		return appendHeartbeat(b, m), nil
	case *core.HeartbeatResponse:
		return appendHeartbeatResponse(b, m), nil
	case *core.AppendEntries:
		return appendAppendEntries(b, m)
	case *core.AppendResponse:
		return appendAppendResponse(b, m), nil
	case *core.SnapshotChunk:
		return appendSnapshotChunk(b, m), nil
	case *core.ProposeRequest:
		return appendProposeRequest(b, m)
	case *core.ProposeResponse:
		return appendProposeResponse(b, m)
	case *core.ChangeRequest:
		return appendChangeRequest(b, m)
	case *core.ChangeResponse:
		return appendChangeResponse(b, m)
	case *core.Removed:
		return appendRemoved(b, m), nil
	}
	return appendProto(b, m)
}

// DecodeMessage reads what AppendMessage wrote for a message of this kind. If
// the kind [Kind.Keeps], the message holds parts of payload, which must not be
// changed or used again.
func DecodeMessage(kind Kind, payload []byte) (core.Message, error) {
	m, err := decodeMessage(kind, payload)
	if err == nil {
		err = checkHeader(m.Head())
		if err != nil {
			err = malformed("%v", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("message of kind %d: %w", kind, err)
	}
	return m, nil
}

func decodeMessage(kind Kind, payload []byte) (core.Message, error) {
	switch kind {
	case KindHeartbeat:
		return decodeHeartbeat(payload)
	case KindHeartbeatResponse:
		return decodeHeartbeatResponse(payload)
	case KindAppendEntries:
		return decodeAppendEntries(payload)
	case KindAppendResponse:
		return decodeAppendResponse(payload)
	case KindSnapshotChunk:
		return decodeSnapshotChunk(payload)
	case KindProposeRequest:
		return decodeProposeRequest(payload)
	case KindProposeResponse:
		return decodeProposeResponse(payload)
	case KindChangeRequest:
		return decodeChangeRequest(payload)
	case KindChangeResponse:
		return decodeChangeResponse(payload)
	case KindRemoved:
		return decodeRemoved(payload)
	}
	return decodeProto(kind, payload)
}

// checkHeader is what the wire asks of every message. To.Incarnation may be 0:
// who may send that is for the receiver to judge.
func checkHeader(h *core.Header) error {
	switch {
	case h.Group == 0:
		return fmt.Errorf("a message of group 0")
	case h.From.ID == 0 || h.From.Incarnation == 0:
		return fmt.Errorf("a message from nobody: %v", h.From)
	case h.To.ID == 0:
		return fmt.Errorf("a message to nobody")
	}
	return nil
}
