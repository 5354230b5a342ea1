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
			m.Data = f.bytes()
		case 8:
			m.Trace = f.trace()
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
