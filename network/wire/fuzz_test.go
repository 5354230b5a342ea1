package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand"
	"reflect"
	"testing"

	"github.com/trouperaft/troupe/network"
)

// fuzzKind asserts of any payload that it is refused with a typed error, or is
// a message that can be sent on and arrives equal.
func fuzzKind(f *testing.F, kind Kind) {
	random := rand.New(rand.NewSource(int64(kind)))
	for range 8 {
		b, err := AppendMessage(nil, drawn(f, kind, random))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := DecodeMessage(kind, payload)
		if err != nil {
			if !errors.Is(err, network.ErrFrame) || m != nil {
				t.Fatalf("%v, %v", m, err)
			}
			return
		}
		b, err := AppendMessage(nil, m)
		if err != nil {
			t.Fatalf("%+v was read and cannot be written: %v", m, err)
		}
		if bound := network.SizeBytes(m); len(b)+FrameOverheadBytes > bound {
			t.Fatalf("%d bytes, SizeBytes says at most %d", len(b), bound)
		}
		again, err := DecodeMessage(kind, b)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, again, m)
		}
	})
}

func FuzzVoteRequest(f *testing.F)       { fuzzKind(f, KindVoteRequest) }
func FuzzVoteResponse(f *testing.F)      { fuzzKind(f, KindVoteResponse) }
func FuzzHeartbeat(f *testing.F)         { fuzzKind(f, KindHeartbeat) }
func FuzzHeartbeatResponse(f *testing.F) { fuzzKind(f, KindHeartbeatResponse) }
func FuzzAppendEntries(f *testing.F)     { fuzzKind(f, KindAppendEntries) }
func FuzzAppendResponse(f *testing.F)    { fuzzKind(f, KindAppendResponse) }
func FuzzSnapshotChunk(f *testing.F)     { fuzzKind(f, KindSnapshotChunk) }
func FuzzSnapshotResponse(f *testing.F)  { fuzzKind(f, KindSnapshotResponse) }
func FuzzReadIndexRequest(f *testing.F)  { fuzzKind(f, KindReadIndexRequest) }
func FuzzReadIndexResponse(f *testing.F) { fuzzKind(f, KindReadIndexResponse) }
func FuzzIdentifyRequest(f *testing.F)   { fuzzKind(f, KindIdentifyRequest) }
func FuzzIdentifyResponse(f *testing.F)  { fuzzKind(f, KindIdentifyResponse) }
func FuzzProposeRequest(f *testing.F)    { fuzzKind(f, KindProposeRequest) }
func FuzzProposeResponse(f *testing.F)   { fuzzKind(f, KindProposeResponse) }
func FuzzRefusal(f *testing.F)           { fuzzKind(f, KindRefusal) }

func FuzzFrames(f *testing.F) {
	random := rand.New(rand.NewSource(1))
	var all []byte
	for kind := range messages {
		frame, err := AppendFrame(nil, drawn(f, kind, random), FrameBytesDefault)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
		all = append(all, frame...)
	}
	f.Add(AppendProof(nil, Proof{Group: 7, MAC: [MACBytes]byte{1, 2, 3}}))
	f.Add(AppendPing(AppendAddresses(nil, []Address{{Identity: identity(random), Address: "host:1"}, {Identity: identity(random)}})))
	f.Add(all)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		reader := NewFrameReader(bytes.NewReader(stream), 1<<16)
		for {
			frame, err := reader.Next()
			if err == nil {
				sendOn(t, frame)
				continue
			}
			if !errors.Is(err, io.EOF) && !errors.Is(err, network.ErrFrame) && !errors.Is(err, network.ErrFrameTooLarge) {
				t.Fatalf("an error without a type: %v", err)
			}
			return
		}
	})
}

// sendOn asserts that what was read can be sent on and arrives equal.
func sendOn(t *testing.T, frame Frame) {
	var b []byte
	switch frame.Kind {
	case KindProof:
		b = AppendProof(nil, *frame.Proof)
	case KindAddresses:
		b = AppendAddresses(nil, frame.Addresses)
	default:
		return
	}
	if again, err := NewFrameReader(bytes.NewReader(b), FrameBytesDefault).Next(); err != nil || !reflect.DeepEqual(again, frame) {
		t.Fatalf("%v\ngot  %+v\nwant %+v", err, again, frame)
	}
}

func FuzzHandshake(f *testing.F) {
	h := hello()
	v := Verdict{Code: CodeRefused, Reason: "no"}
	f.Add(h.Append(nil))
	f.Add(v.Append(h.Append(nil)))
	f.Add(v.Append(nil))
	stale := Verdict{Code: CodeStale, Reason: "no", Proofs: []Proof{{Group: 1}, {Group: 1 << 40, MAC: [MACBytes]byte{9}}}}
	f.Add(stale.Append(h.Append(nil)))
	f.Add([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc})
	f.Fuzz(func(t *testing.T, b []byte) {
		stream := bytes.NewReader(b)
		h, err := ReadHello(stream)
		if err == nil {
			if again, err := ReadHello(bytes.NewReader(h.Append(nil))); err != nil || again != h {
				t.Fatalf("%+v, %v, want %+v", again, err, h)
			}
			_, err = ReadVerdict(stream)
		}
		for _, known := range []error{nil, io.EOF, network.ErrFrame, network.ErrFrameTooLarge, network.ErrVersion} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("an error without a type: %v", err)
	})
}
