package wire

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// fields walks over the fields of one protobuf message:
//
//	for f := (fields{rest: b}); f.next(&err); {
//		switch f.number { ... }
//	}
//
// Each known field is taken by one call; one that nobody takes is skipped. The
// first error ends the walk and is left in *err.
type fields struct {
	rest   []byte
	number protowire.Number
	kind   protowire.Type
	taken  bool
	err    error
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", network.ErrFrame, fmt.Sprintf(format, args...))
}

func (f *fields) next(err *error) bool {
	if f.number != 0 && !f.taken && f.err == nil {
		f.advance(protowire.ConsumeFieldValue(f.number, f.kind, f.rest))
	}
	if f.err == nil && len(f.rest) > 0 {
		number, kind, n := protowire.ConsumeTag(f.rest)
		f.number, f.kind, f.taken = number, kind, false
		f.consume(n)
		if f.err == nil {
			return true
		}
	}
	if f.err != nil && *err == nil {
		*err = f.err
	}
	return false
}

// advance takes the field, of which n bytes were read; n is negative if it is
// malformed.
func (f *fields) advance(n int) {
	f.taken = true
	f.consume(n)
}

func (f *fields) consume(n int) {
	if n < 0 {
		f.fail(malformed("field %d: %v", f.number, protowire.ParseError(n)))
		return
	}
	f.rest = f.rest[n:]
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
	f.rest = nil
}

func (f *fields) is(kind protowire.Type) bool {
	if f.kind != kind {
		f.taken = true
		f.fail(malformed("field %d has wire type %d", f.number, f.kind))
		return false
	}
	return true
}

func (f *fields) uint() uint64 {
	if !f.is(protowire.VarintType) {
		return 0
	}
	v, n := protowire.ConsumeVarint(f.rest)
	f.advance(n)
	return v
}

// uint32 refuses what does not fit.
func (f *fields) uint32() uint32 {
	v := f.uint()
	if v > 1<<32-1 {
		f.fail(malformed("field %d is out of range", f.number))
		return 0
	}
	return uint32(v)
}

// uint8 refuses what does not fit.
func (f *fields) uint8() uint8 {
	v := f.uint()
	if v > 1<<8-1 {
		f.fail(malformed("field %d is out of range", f.number))
		return 0
	}
	return uint8(v)
}

func (f *fields) bool() bool { return protowire.DecodeBool(f.uint()) }

func (f *fields) fixed64() uint64 {
	if !f.is(protowire.Fixed64Type) {
		return 0
	}
	v, n := protowire.ConsumeFixed64(f.rest)
	f.advance(n)
	return v
}

func (f *fields) fixed32() uint32 {
	if !f.is(protowire.Fixed32Type) {
		return 0
	}
	v, n := protowire.ConsumeFixed32(f.rest)
	f.advance(n)
	return v
}

// bytes returns a part of what is being decoded, nil if it is empty.
func (f *fields) bytes() []byte {
	if !f.is(protowire.BytesType) {
		return nil
	}
	v, n := protowire.ConsumeBytes(f.rest)
	f.advance(n)
	if n < 0 || len(v) == 0 {
		return nil
	}
	return v[:len(v):len(v)]
}

// bytesAndRoom is bytes, with the room behind them if nothing follows.
func (f *fields) bytesAndRoom() []byte {
	message := f.rest
	v := f.bytes()
	if f.err != nil || v == nil || len(f.rest) > 0 {
		return v
	}
	return message[len(message)-len(v):]
}

// exactly copies bytes of the length of to, and refuses any other length.
func (f *fields) exactly(to []byte) bool {
	v := f.bytes()
	if f.err == nil && len(v) != len(to) {
		f.fail(malformed("field %d has %d bytes, not %d", f.number, len(v), len(to)))
	}
	return f.err == nil && copy(to, v) == len(to)
}

func (f *fields) logID(id *core.LogID) {
	for in := (fields{rest: f.bytes()}); in.next(&f.err); {
		switch in.number {
		case 1:
			id.Term = core.Term(in.uint())
		case 2:
			id.Index = core.Index(in.uint())
		}
	}
}

func (f *fields) header(h *core.Header) {
	for in := (fields{rest: f.bytes()}); in.next(&f.err); {
		switch in.number {
		case 1:
			h.Group = core.GroupID(in.uint())
		case 2:
			if in.exactly(h.Cluster[:]) {
				h.Introduces = true
			}
		case 3:
			h.From.ID = core.NodeID(in.uint())
		case 4:
			h.From.Incarnation = membership.Incarnation(in.fixed64())
		case 5:
			h.To.ID = core.NodeID(in.uint())
		case 6:
			h.To.Incarnation = membership.Incarnation(in.fixed64())
		case 7:
			h.Term = core.Term(in.uint())
		}
	}
}

// Fields of value 0 are left out, as proto3 does.

func appendUint(b []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

func appendBool(b []byte, number protowire.Number, v bool) []byte {
	return appendUint(b, number, protowire.EncodeBool(v))
}

func appendFixed64(b []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, number, protowire.Fixed64Type), v)
}

func appendFixed32(b []byte, number protowire.Number, v uint32) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendFixed32(protowire.AppendTag(b, number, protowire.Fixed32Type), v)
}

func appendBytes(b []byte, number protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), v)
}

func appendString(b []byte, number protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), v)
}

// validUTF8 is what protobuf asks of strings. The replacement is no longer than
// what it replaces.
func validUTF8(v string) string { return strings.ToValidUTF8(v, "?") }

func sizeUint(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(v)
}

func sizeBytes(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(n)
}

func sizeLogID(id core.LogID) int {
	if id == (core.LogID{}) {
		return 0
	}
	return 1 + protowire.SizeBytes(sizeUint(uint64(id.Term))+sizeUint(uint64(id.Index)))
}

func appendLogID(b []byte, number protowire.Number, id core.LogID) []byte {
	if id == (core.LogID{}) {
		return b
	}
	size := sizeUint(uint64(id.Term)) + sizeUint(uint64(id.Index))
	b = protowire.AppendVarint(protowire.AppendTag(b, number, protowire.BytesType), uint64(size))
	b = appendUint(b, 1, uint64(id.Term))
	return appendUint(b, 2, uint64(id.Index))
}

// appendHeader appends field 1 of every message. It is at most 80 bytes long,
// so that one byte holds its length.
func appendHeader(b []byte, h *core.Header) []byte {
	b = append(protowire.AppendTag(b, 1, protowire.BytesType), 0)
	begin := len(b)
	b = appendUint(b, 1, uint64(h.Group))
	if h.Introduces {
		b = appendBytes(b, 2, h.Cluster[:])
	}
	b = appendUint(b, 3, uint64(h.From.ID))
	b = appendFixed64(b, 4, uint64(h.From.Incarnation))
	b = appendUint(b, 5, uint64(h.To.ID))
	b = appendFixed64(b, 6, uint64(h.To.Incarnation))
	b = appendUint(b, 7, uint64(h.Term))
	b[begin-1] = byte(len(b) - begin)
	return b
}
