package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trouperaft/troupe/core"
)

func appendProposeRequest(b []byte, m *core.ProposeRequest) ([]byte, error) {
	if len(m.Proposals) > ItemsMax {
		return b, fmt.Errorf("wire: %d proposals in a message, at most %d", len(m.Proposals), ItemsMax)
	}
	for i := range m.Proposals {
		if saysNothing(&m.Proposals[i]) {
			return b, fmt.Errorf("wire: an empty proposal without an id")
		}
	}
	b = appendHeader(b, &m.Header)
	for i := range m.Proposals {
		p := &m.Proposals[i]
		size := sizeUint(p.ID) + sizeUint(uint64(p.ExpectedTerm)) + sizeBytes(len(p.Data)) + sizeTrace(p.Trace) + sizeUint(protowire.EncodeBool(p.Refuse)) + sizeUint(p.Version)
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(size))
		b = appendUint(b, 1, p.ID)
		b = appendUint(b, 2, uint64(p.ExpectedTerm))
		b = appendBytes(b, 3, p.Data)
		b = appendTrace(b, 4, p.Trace)
		b = appendBool(b, 5, p.Refuse)
		b = appendUint(b, 6, p.Version)
	}
	return b, nil
}

func decodeProposeRequest(b []byte) (*core.ProposeRequest, error) {
	m := new(core.ProposeRequest)
	count, err := countField(b, 2)
	if err != nil {
		return nil, err
	}
	if count > 0 {
		m.Proposals = make([]core.ForwardedProposal, 0, count)
	}
	for f := (fields{rest: b}); f.next(&err); {
		switch f.number {
		case 1:
			f.header(&m.Header)
		case 2:
			p := decodeProposal(&f)
			if f.err == nil && saysNothing(&p) {
				f.fail(malformed("an empty proposal without an id"))
			}
			m.Proposals = append(m.Proposals, p)
		}
	}
	return m, err
}

// saysNothing reports whether a proposal has no byte on the wire. Many of them
// would make a short frame into a long list.
func saysNothing(p *core.ForwardedProposal) bool {
	return p.ID == 0 && p.ExpectedTerm == 0 && len(p.Data) == 0 && p.Trace.IsZero() && !p.Refuse && p.Version == 0
}

func decodeProposal(outer *fields) (p core.ForwardedProposal) {
	for f := (fields{rest: outer.bytes()}); f.next(&outer.err); {
		switch f.number {
		case 1:
			p.ID = f.uint()
		case 2:
			p.ExpectedTerm = core.Term(f.uint())
		case 3:
			p.Data = f.bytes()
		case 4:
			p.Trace = f.trace()
		case 5:
			p.Refuse = f.bool()
		case 6:
			p.Version = f.uint()
		}
	}
	return p
}

func appendProposeResponse(b []byte, m *core.ProposeResponse) ([]byte, error) {
	if len(m.Results) > ItemsMax {
		return b, fmt.Errorf("wire: %d results in a message, at most %d", len(m.Results), ItemsMax)
	}
	for i := range m.Results {
		if !knownCode(m.Results[i].Code) {
			return b, fmt.Errorf("wire: a result of code %d", m.Results[i].Code)
		}
	}
	b = appendHeader(b, &m.Header)
	for i := range m.Results {
		r := &m.Results[i]
		text := validUTF8(r.Error)
		size := sizeUint(r.ID) + sizeUint(uint64(r.Code)) + sizeLogID(r.LogID) + sizeBytes(len(r.Value)) + sizeBytes(len(text)) + sizeUint(r.LimitBytes) + sizeUint(uint64(r.Limit)) + sizeUint(uint64(r.NeedsVersion))
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(size))
		b = appendUint(b, 1, r.ID)
		b = appendUint(b, 2, uint64(r.Code))
		b = appendLogID(b, 3, r.LogID)
		b = appendBytes(b, 4, r.Value)
		b = appendString(b, 5, text)
		b = appendUint(b, 6, r.LimitBytes)
		b = appendUint(b, 7, uint64(r.Limit))
		b = appendUint(b, 8, uint64(r.NeedsVersion))
	}
	return b, nil
}

func decodeProposeResponse(b []byte) (*core.ProposeResponse, error) {
	m := new(core.ProposeResponse)
	count, err := countField(b, 2)
	if err != nil {
		return nil, err
	}
	if count > 0 {
		m.Results = make([]core.ForwardedResult, 0, count)
	}
	for f := (fields{rest: b}); f.next(&err); {
		switch f.number {
		case 1:
			f.header(&m.Header)
		case 2:
			r := decodeResult(&f)
			if f.err == nil && !knownCode(r.Code) {
				f.fail(malformed("a result of an unknown code"))
			}
			m.Results = append(m.Results, r)
		}
	}
	return m, err
}

func decodeResult(outer *fields) (r core.ForwardedResult) {
	for f := (fields{rest: outer.bytes()}); f.next(&outer.err); {
		switch f.number {
		case 1:
			r.ID = f.uint()
		case 2:
			code := f.uint32()
			if code > uint32(core.ResultVersion) {
				code = 0
			}
			r.Code = core.ResultCode(code)
		case 3:
			f.logID(&r.LogID)
		case 4:
			r.Value = f.bytes()
		case 5:
			r.Error = validUTF8(string(f.bytes()))
		case 6:
			r.LimitBytes = f.uint()
		case 7:
			r.Limit = core.SizeLimit(min(f.uint32(), uint32(core.LimitMessage)))
		case 8:
			r.NeedsVersion = f.uint32()
		}
	}
	return r
}

func knownCode(c core.ResultCode) bool { return c >= core.ResultApplied && c <= core.ResultVersion }

// itemBytesMin is the least that a proposal or a result takes in its field: one
// number, with its tag.
const itemBytesMin = 2

// countField says how often a field of items occurs, so that the slice for it is
// allocated once. More than ItemsMax is an error, and so is an item that is too
// short: what is allocated is a small multiple of what has arrived.
func countField(b []byte, number protowire.Number) (count int, err error) {
	for f := (fields{rest: b}); f.next(&err); {
		if f.number != number {
			continue
		}
		if count++; count > ItemsMax {
			f.fail(malformed("more than %d items", ItemsMax))
		} else if item := f.bytes(); f.err == nil && len(item) < itemBytesMin {
			f.fail(malformed("an item of %d bytes", len(item)))
		}
	}
	return count, err
}
