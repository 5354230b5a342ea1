package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network"
)

// A frame is, numbers little-endian:
//
//	length    uint32  of what follows the checksum
//	checksum  uint32  CRC-32C of what follows
//	kind      uint8
//	payload   the message, or what stands in connection.go
const (
	// FrameOverheadBytes is what a frame adds to its message.
	FrameOverheadBytes = 9
	// FrameBytesDefault is the usual limit of a frame.
	FrameBytesDefault = 8 << 20
	// FrameBytesMax is the highest limit of a frame.
	FrameBytesMax = 1 << 30

	frameHeaderBytes = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendFrame appends a message in its frame, or a keep-alive for nil. It
// fails, and appends nothing, as AppendMessage does, and with
// [network.ErrFrameTooLarge] if the frame is longer than bytesMax.
func AppendFrame(b []byte, m core.Message, bytesMax int) ([]byte, error) {
	begin := len(b)
	kind := KindKeepAlive
	if m != nil {
		kind = KindOf(m)
	}
	out := append(b, make([]byte, FrameOverheadBytes)...)
	out[begin+frameHeaderBytes] = byte(kind)
	if m != nil {
		var err error
		if out, err = AppendMessage(out, m); err != nil {
			return b, err
		}
	}
	if size := len(out) - begin; size > bytesMax {
		return b, fmt.Errorf("%w: %d bytes of a %T, at most %d", network.ErrFrameTooLarge, size, m, bytesMax)
	}
	seal(out[begin:])
	return out, nil
}

// appendFrameOf appends a frame of a kind that is no message.
func appendFrameOf(b []byte, kind Kind, payload []byte) []byte {
	begin := len(b)
	b = append(b, make([]byte, FrameOverheadBytes)...)
	b[begin+frameHeaderBytes] = byte(kind)
	b = append(b, payload...)
	seal(b[begin:])
	return b
}

// seal fills in the length and the checksum of a frame.
func seal(frame []byte) {
	body := frame[frameHeaderBytes:]
	binary.LittleEndian.PutUint32(frame, uint32(len(body)))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(body, castagnoli))
}

// Frame is what came in a frame: a message, or one of the others, or nothing in
// a keep-alive.
type Frame struct {
	Kind Kind
	// Message is set for the kinds of messages, and for them only.
	Message core.Message
	// Proof is set for KindProof.
	Proof *Proof
	// Addresses are set for KindAddresses.
	Addresses []Address
}

// readBufferBytes is how much a FrameReader reads at once.
const readBufferBytes = 64 << 10

// FrameReader reads frames. Not safe for concurrent use.
type FrameReader struct {
	source   io.Reader
	bytesMax int
	buffer   []byte
	// buffer[begin:end] was read and not used.
	begin, end int
}

// NewFrameReader returns a reader of frames of at most bytesMax bytes.
func NewFrameReader(source io.Reader, bytesMax int) *FrameReader {
	return &FrameReader{source: source, bytesMax: bytesMax, buffer: make([]byte, readBufferBytes)}
}

// Next returns what the next frame carries. It returns [io.EOF]
// if the source ended between two frames, the source's own error, or one that
// wraps [network.ErrFrame] or [network.ErrFrameTooLarge]. After an error the
// reader is of no more use.
func (r *FrameReader) Next() (Frame, error) {
	header, err := r.peek(frameHeaderBytes)
	if err != nil {
		if errors.Is(err, io.EOF) && r.begin < r.end {
			return Frame{}, malformed("the stream ended within a frame's header")
		}
		return Frame{}, err
	}
	length := binary.LittleEndian.Uint32(header)
	checksum := binary.LittleEndian.Uint32(header[4:])
	switch {
	case length == 0:
		return Frame{}, malformed("an empty frame")
	case uint64(length)+frameHeaderBytes > uint64(r.bytesMax):
		return Frame{}, fmt.Errorf("%w: %d bytes, at most %d", network.ErrFrameTooLarge, uint64(length)+frameHeaderBytes, r.bytesMax)
	}
	r.begin += frameHeaderBytes
	body, shared, err := r.body(int(length))
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = malformed("the stream ended within a frame of %d bytes", length)
		}
		return Frame{}, err
	}
	if crc32.Checksum(body, castagnoli) != checksum {
		return Frame{}, malformed("the checksum of a frame of kind %d and %d bytes is wrong", body[0], length)
	}
	kind, payload := Kind(body[0]), body[1:]
	if shared && kind.Keeps() {
		payload = append([]byte(nil), payload...)
	}
	frame := Frame{Kind: kind}
	switch kind {
	case KindKeepAlive, KindPing:
	case KindProof:
		frame.Proof, err = decodeProof(payload)
	case KindAddresses:
		frame.Addresses, err = decodeAddresses(payload)
	default:
		frame.Message, err = DecodeMessage(kind, payload)
	}
	if err != nil {
		return Frame{}, err
	}
	return frame, nil
}

// body returns the next n bytes: a part of the buffer if they fit into it, else
// bytes of their own.
func (r *FrameReader) body(n int) (body []byte, shared bool, err error) {
	if n <= len(r.buffer) {
		body, err = r.peek(n)
		r.begin += len(body)
		return body, true, err
	}
	kind, err := r.peek(1)
	if err != nil {
		return nil, false, err
	}
	body, room := newBody(Kind(kind[0]), n)
	body = append(body, r.buffer[r.begin:r.end]...)
	r.begin, r.end = 0, 0
	for len(body) < n {
		if len(body) == cap(body) {
			grown := make([]byte, len(body), min(room, 4*cap(body)))
			copy(grown, body)
			body = grown
		}
		got, err := io.ReadFull(r.source, body[len(body):min(n, cap(body))])
		body = body[:len(body)+got]
		if err != nil {
			return nil, false, err
		}
	}
	return body, false, nil
}

// peek returns the next n bytes, at most the buffer's length. It returns io.EOF
// if the source ends before.
func (r *FrameReader) peek(n int) ([]byte, error) {
	if len(r.buffer)-r.begin < n {
		r.end = copy(r.buffer, r.buffer[r.begin:r.end])
		r.begin = 0
	}
	for empty := 0; r.end-r.begin < n; {
		got, err := r.source.Read(r.buffer[r.end:])
		r.end += got
		if r.end-r.begin >= n {
			break
		}
		if err != nil {
			return nil, err
		}
		if empty++; got > 0 {
			empty = 0
		} else if empty == 100 {
			return nil, io.ErrNoProgress
		}
	}
	return r.buffer[r.begin : r.begin+n], nil
}
