package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trouperaft/troupe/core"
)

func appendHeartbeat(b []byte, m *core.Heartbeat) []byte {
	b = appendHeader(b, &m.Header)
	b = appendUint(b, 2, m.Round)
	b = appendUint(b, 3, m.Stream)
	b = appendUint(b, 4, uint64(m.Commit))
	b = appendUint(b, 5, m.VersionMin)
	if m.Change != nil {
		b = appendChangeTold(b, 6, m.Change)
	}
	return b
}

func decodeHeartbeat(b []byte) (*core.Heartbeat, error) {
	m := new(core.Heartbeat)
	var err error
	for f := (fields{rest: b}); f.next(&err); {
		switch f.number {
		case 1:
			f.header(&m.Header)
		case 2:
			m.Round = f.uint()
		case 3:
			m.Stream = f.uint()
		case 4:
			m.Commit = core.Index(f.uint())
		case 5:
			m.VersionMin = f.uint()
		case 6:
			m.Change = new(core.ChangeTold)
			f.changeTold(m.Change)
		}
	}
	return m, err
}

func appendHeartbeatResponse(b []byte, m *core.HeartbeatResponse) []byte {
	b = appendHeader(b, &m.Header)
	b = appendUint(b, 2, m.Round)
	b = appendUint(b, 3, m.Stream)
	b = appendUint(b, 4, uint64(m.PromiseMillis))
	b = appendUint(b, 5, uint64(m.Match))
	b = appendUint(b, 6, uint64(m.Applied))
	b = appendUint(b, 7, uint64(m.Accepted))
	b = appendUint(b, 8, uint64(m.Unfit))
	b = appendUint(b, 9, uint64(m.Lacks))
	return appendUint(b, 10, m.Version)
}

func decodeHeartbeatResponse(b []byte) (*core.HeartbeatResponse, error) {
	m := new(core.HeartbeatResponse)
	var err error
	for f := (fields{rest: b}); f.next(&err); {
		switch f.number {
		case 1:
			f.header(&m.Header)
		case 2:
			m.Round = f.uint()
		case 3:
			m.Stream = f.uint()
		case 4:
			m.PromiseMillis = f.uint32()
		case 5:
			m.Match = core.Index(f.uint())
		case 6:
			m.Applied = core.Index(f.uint())
		case 7:
			m.Accepted = core.Index(f.uint())
		case 8:
			m.Unfit = core.Unfit(f.uint8())
		case 9:
			m.Lacks = core.Index(f.uint())
		case 10:
			m.Version = f.uint()
		}
	}
	return m, err
}

func appendAppendEntries(b []byte, m *core.AppendEntries) ([]byte, error) {
	if err := checkEntries(m.Prev, m.Entries); err != nil {
		return b, err
	}
	if len(m.Traces) > ItemsMax {
		return b, fmt.Errorf("wire: %d traces in a message, at most %d", len(m.Traces), ItemsMax)
	}
	b = appendHeader(b, &m.Header)
	b = appendUint(b, 2, m.Stream)
	b = appendLogID(b, 3, m.Prev)
	b = appendUint(b, 4, uint64(m.Commit))
	b = appendBool(b, 6, m.CommitOnly)
	b = appendEntryTraces(b, 7, m.Traces)
	if len(m.Entries) == 0 {
		return b, nil
	}
	b = protowire.AppendTag(b, 5, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(entriesBlockSize(m.Prev, m.Entries)))
	return appendEntriesBlock(b, m.Prev, m.Entries), nil
}

func decodeAppendEntries(b []byte) (*core.AppendEntries, error) {
	m := new(core.AppendEntries)
	var block []byte
	var err error
	for f := (fields{rest: b}); f.next(&err); {
		switch f.number {
		case 1:
			f.header(&m.Header)
		case 2:
			m.Stream = f.uint()
		case 3:
			f.logID(&m.Prev)
		case 4:
			m.Commit = core.Index(f.uint())
		case 5:
			block = f.bytes()
		case 6:
			m.CommitOnly = f.bool()
		case 7:
			m.Traces = appendDecoded(m.Traces, &f)
		}
	}
	// The block comes last in what is sent, but only with all fields read is
	// Prev known for sure.
	if err == nil && block != nil {
		m.Entries, err = decodeEntriesBlock(block, m.Prev)
	}
	return m, err
}

func appendAppendResponse(b []byte, m *core.AppendResponse) []byte {
	b = appendHeader(b, &m.Header)
	b = appendUint(b, 2, m.Stream)
	b = appendBool(b, 3, m.Success)
	b = appendUint(b, 4, uint64(m.Match))
	b = appendLogID(b, 5, m.Rejected)
	return appendLogID(b, 6, m.Hint)
}

func decodeAppendResponse(b []byte) (*core.AppendResponse, error) {
	m := new(core.AppendResponse)
	var err error
	for f := (fields{rest: b}); f.next(&err); {
		switch f.number {
		case 1:
			f.header(&m.Header)
		case 2:
			m.Stream = f.uint()
		case 3:
			m.Success = f.bool()
		case 4:
			m.Match = core.Index(f.uint())
		case 5:
			f.logID(&m.Rejected)
		case 6:
			f.logID(&m.Hint)
		}
	}
	return m, err
}
