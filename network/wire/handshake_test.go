package wire

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	pb "github.com/trouperaft/troupe/network/wire/internal/troupepb"
)

func hello() Hello {
	h := NewHello(network.Local{
		Identity: membership.Identity{ID: 3, Incarnation: 0xabcdef}, StartCounter: 9, Nonce: 1 << 63,
	}, core.ClassBulk, 4)
	h.Address, h.FrameBytesMax = "[2001:db8::1]:9001", 64<<10
	return h
}

func TestHandshakeRoundTrip(t *testing.T) {
	h, v := hello(), Verdict{Code: CodeStale, Reason: "an old directory", Proofs: []Proof{{Group: 1<<64 - 1, MAC: [MACBytes]byte{1, 31: 2}}, {Group: 2}}}
	stream := bytes.NewReader(append(v.Append(h.Append(nil)), "frames"...))
	if got, err := ReadHello(stream); err != nil || got != h {
		t.Errorf("hello: %+v, %v, want %+v", got, err, h)
	}
	if got, err := ReadVerdict(stream); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("verdict: %+v, %v, want %+v", got, err, v)
	}
	if rest, _ := io.ReadAll(stream); string(rest) != "frames" {
		t.Errorf("%q follows the handshake", rest)
	}
}

// TestLargestBlocksFit: what a handshake may hold fits into its blocks.
func TestLargestBlocksFit(t *testing.T) {
	const most = 1<<64 - 1
	h := NewHello(network.Local{Identity: membership.Identity{ID: most, Incarnation: most}, StartCounter: most, Nonce: most}, core.Classes, most)
	h.Address, h.FrameBytesMax = strings.Repeat("a", AddressBytesMax), 1<<32-1
	if got, err := ReadHello(bytes.NewReader(h.Append(nil))); err != nil || got != h {
		t.Errorf("hello: %+v, %v", got, err)
	}
	h.Address += "a"
	if got, err := ReadHello(bytes.NewReader(h.Append(nil))); err != nil || got.Address != "" {
		t.Errorf("an address that is too long: %q, %v", got.Address, err)
	}
	v := Verdict{Code: CodeStale, Reason: strings.Repeat("x", 5000), Proofs: make([]Proof, ProofsMax+1)}
	for i := range v.Proofs {
		v.Proofs[i].Group = most
	}
	if got, err := ReadVerdict(bytes.NewReader(v.Append(nil))); err != nil || len(got.Proofs) != ProofsMax {
		t.Errorf("verdict: %d proofs, %v", len(got.Proofs), err)
	}
}

// Each connection has a challenge of its own.
func TestChallengesAreFresh(t *testing.T) {
	if a, b := hello(), hello(); a.Challenge == b.Challenge || a.Challenge == (Challenge{}) {
		t.Errorf("challenges %x and %x", a.Challenge, b.Challenge)
	}
}

// withoutChallenge is a hello as version 1 had it.
func withoutChallenge() []byte {
	payload, err := marshal.Marshal(&pb.Hello{Version: Version, RequiredVersion: 1, Node: 3, Incarnation: 4, Class: 1, ExpectedNode: 4})
	if err != nil {
		panic(err)
	}
	return appendBlock(nil, blockHello, payload)
}

func TestLongReasonIsCut(t *testing.T) {
	v := Verdict{Code: CodeRefused, Reason: strings.Repeat("é", 5000)}
	got, err := ReadVerdict(bytes.NewReader(v.Append(nil)))
	if err != nil || len(got.Reason) > reasonBytesMax || !strings.HasPrefix(got.Reason, "éé") {
		t.Errorf("%d bytes, %v", len(got.Reason), err)
	}
}

func TestReadHelloRefuses(t *testing.T) {
	changed := func(change func(h *Hello)) []byte {
		h := hello()
		change(&h)
		return h.Append(nil)
	}
	good := hello()
	flipped := good.Append(nil)
	flipped[len(flipped)-1] ^= 1
	huge := good.Append(nil)
	huge[10] = 0xff
	for _, c := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"nothing", nil, io.EOF},
		{"the version after this", changed(func(h *Hello) { h.Version, h.RequiredVersion = Version+1, Version+1 }), network.ErrVersion},
		{"no version", changed(func(h *Hello) { h.Version = 0 }), network.ErrVersion},
		{"no class", changed(func(h *Hello) { h.Class = 0 }), network.ErrFrame},
		{"an unknown class", changed(func(h *Hello) { h.Class = core.Classes + 1 }), network.ErrFrame},
		{"no node", changed(func(h *Hello) { h.ID = 0 }), network.ErrFrame},
		{"no incarnation", changed(func(h *Hello) { h.Incarnation = 0 }), network.ErrFrame},
		{"no challenge", withoutChallenge(), network.ErrFrame},
		{"a verdict", (&Verdict{}).Append(nil), network.ErrFrame},
		{"a flipped bit", flipped, network.ErrFrame},
		{"too large", huge, network.ErrFrameTooLarge},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), network.ErrFrame},
		{"TLS", []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc}, network.ErrFrame},
		{"three bytes of garbage", []byte{1, 2, 3}, network.ErrFrame},
		{"three bytes of magic", []byte("tro"), network.ErrFrame},
		{"a cut header", good.Append(nil)[:10], network.ErrFrame},
		{"a cut payload", good.Append(nil)[:20], network.ErrFrame},
	} {
		if _, err := ReadHello(bytes.NewReader(c.bytes)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// A later version may say more, as long as it can do with this one.
func TestHelloOfALaterVersion(t *testing.T) {
	h := hello()
	h.Version = Version + 1
	b := h.Append(nil)
	payload := protowire.AppendVarint(protowire.AppendTag(bytes.Clone(b[blockHeaderBytes:]), 99, protowire.VarintType), 5)
	if got, err := ReadHello(bytes.NewReader(appendBlock(nil, blockHello, payload))); err != nil || got != h {
		t.Errorf("%+v, %v", got, err)
	}
}
