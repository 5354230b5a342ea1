package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

func appendSnapshotChunk(b []byte, m *core.SnapshotChunk) []byte {
	b = appendHeader(b, &m.Header)
	b = appendUint(b, 2, m.Stream)
	b = appendUint(b, 3, m.Transfer)
	b = appendBytes(b, 4, appendSnapshotMeta(nil, &m.Meta))
	b = appendUint(b, 5, m.Offset)
	b = appendBool(b, 6, m.Done)
	b = appendTrace(b, 8, m.Trace)
	b = appendUint(b, 9, m.HeadBytes)
	return appendBytes(b, 7, m.Data)
}

func decodeSnapshotChunk(b []byte) (*core.SnapshotChunk, error) {
	m := new(core.SnapshotChunk)
	var err error
	for f := (fields{rest: b}); f.next(&err); {
		switch f.number {
		case 1:
			f.header(&m.Header)
		case 2:
			m.Stream = f.uint()
		case 3:
			m.Transfer = f.uint()
		case 4:
			decodeSnapshotMeta(&f, &m.Meta)
		case 5:
			m.Offset = f.uint()
		case 6:
			m.Done = f.bool()
		case 7:
			m.Data = f.bytesAndRoom()
		case 8:
			m.Trace = f.trace()
		case 9:
			m.HeadBytes = f.uint()
		}
	}
	m.Meta.Cluster = m.Cluster
	return m, err
}

func appendSnapshotMeta(b []byte, m *core.SnapshotMeta) []byte {
	b = appendLogID(b, 1, m.LogID)
	b = appendFixed64(b, 2, uint64(m.Time))
	b = appendLogID(b, 4, m.Configuration.LogID)
	if !m.Configuration.Configuration.IsZero() {
		b = protowire.AppendTag(b, 5, protowire.BytesType)
		b = protowire.AppendBytes(b, m.Configuration.Configuration.Encode())
	}
	b = appendUint(b, 6, m.SizeBytes)
	b = appendFixed32(b, 7, m.Checksum)
	return appendUint(b, 8, m.Version)
}

func decodeSnapshotMeta(outer *fields, m *core.SnapshotMeta) {
	for f := (fields{rest: outer.bytes()}); f.next(&outer.err); {
		switch f.number {
		case 1:
			f.logID(&m.LogID)
		case 2:
			m.Time = int64(f.fixed64())
		case 4:
			f.logID(&m.Configuration.LogID)
		case 5:
			c, err := membership.Decode(f.bytes())
			if err != nil {
				f.fail(malformed("snapshot: %v", err))
			}
			m.Configuration.Configuration = c
		case 6:
			m.SizeBytes = f.uint()
		case 7:
			m.Checksum = f.fixed32()
		case 8:
			m.Version = f.uint()
		}
	}
}

// hadToProto writes where each part begins, and where it ends.
func hadToProto(had []core.ByteRange) []uint64 {
	var numbers []uint64
	for _, part := range had {
		numbers = append(numbers, part.From, part.To)
	}
	return numbers
}

func hadFromProto(numbers []uint64) ([]core.ByteRange, error) {
	if len(numbers)%2 != 0 || len(numbers) > 2*core.HadMax {
		return nil, malformed("%d numbers for the parts that a receiver has", len(numbers))
	}
	var had []core.ByteRange
	for i := 0; i < len(numbers); i += 2 {
		had = append(had, core.ByteRange{From: numbers[i], To: numbers[i+1]})
	}
	return had, nil
}
