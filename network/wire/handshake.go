package wire

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	pb "github.com/trouperaft/troupe/network/wire/internal/troupepb"
)

// A handshake has three parts. The side that dialled sends its Hello; the other
// answers with its own and with its verdict on the first; the side that dialled
// sends its verdict. Frames may follow a verdict at once. A side whose verdict
// is a refusal closes the connection after it, so both know the reason.
//
// A hello proves nothing: whoever has seen one can say it again. So each side
// puts a challenge into its hello, 16 bytes of a cryptographic generator that
// are drawn anew for each connection, and proof.go says what is made of both.
//
// Hellos and verdicts stand in blocks, which no later version changes, numbers
// little-endian:
//
//	magic     "troupe"
//	kind      uint8, a hello or a verdict
//	zero      uint8
//	length    uint32  of the payload
//	checksum  uint32  CRC-32C of the payload
//	payload   the message of troupe.proto
const (
	magic            = "troupe"
	blockHeaderBytes = len(magic) + 10
	// BlockBytesMax is the longest payload of a block; 64 proofs of 47 bytes and
	// a reason fit into it.
	BlockBytesMax = 4096

	blockHello   = 1
	blockVerdict = 2
)

// The versions of the protocol that this package speaks.
const (
	Version         = 4
	RequiredVersion = 4
)

// ChallengeBytes is the length of a challenge.
const ChallengeBytes = 16

// Challenge is drawn for each connection; zero is none.
type Challenge [ChallengeBytes]byte

// NewChallenge draws a challenge.
func NewChallenge() (c Challenge) {
	// It never fails: the process ends first.
	_, _ = rand.Read(c[:])
	return c
}

// Hello is what a node shows of itself.
type Hello struct {
	// Version is the highest version of the protocol that the sender speaks,
	// RequiredVersion the lowest that the other side has to speak.
	Version, RequiredVersion uint32
	network.Local
	Class core.Class
	// Expected is the node that the sender means to talk to.
	Expected membership.NodeID
	// Challenge is what the other side's proofs on this connection are made over.
	Challenge Challenge
	// Address is where the sender listens, "host:port". ":port" says that it
	// listens on every interface and does not know by which one it is reached.
	// Empty is unknown. At most AddressBytesMax bytes; a longer one is left out.
	Address string
	// FrameBytesMax is the longest frame that the sender takes; 0 if it is not known.
	FrameBytesMax uint32
}

// NewHello returns a Hello of this package's version with a fresh challenge.
func NewHello(local network.Local, class core.Class, expected membership.NodeID) Hello {
	return Hello{
		Version: Version, RequiredVersion: RequiredVersion, Local: local, Class: class, Expected: expected,
		Challenge: NewChallenge(),
	}
}

// Append appends the hello's block.
func (h *Hello) Append(b []byte) []byte {
	payload, err := marshal.Marshal(&pb.Hello{
		Version: h.Version, RequiredVersion: h.RequiredVersion,
		Node: uint64(h.ID), Incarnation: uint64(h.Incarnation), StartCounter: h.StartCounter, Nonce: h.Nonce,
		Class: uint32(h.Class), ExpectedNode: uint64(h.Expected),
		Challenge: h.Challenge[:], Address: sentAddress(h.Address), FrameBytesMax: h.FrameBytesMax,
	})
	if err != nil {
		panic(fmt.Sprintf("wire: a hello of numbers has no encoding: %v", err))
	}
	return appendBlock(b, blockHello, payload)
}

// ReadHello reads a hello, and no byte beyond it. It returns the source's
// error, or one that wraps [network.ErrFrame], [network.ErrFrameTooLarge] or,
// with what could be read of the hello, [network.ErrVersion].
func ReadHello(source io.Reader) (Hello, error) {
	payload, err := readBlock(source, blockHello)
	if err != nil {
		return Hello{}, err
	}
	var p pb.Hello
	if err := parse(payload, &p); err != nil {
		return Hello{}, fmt.Errorf("hello: %w", err)
	}
	h := Hello{
		Version: p.Version, RequiredVersion: p.RequiredVersion,
		Local: network.Local{
			Identity:     membership.Identity{ID: membership.NodeID(p.Node), Incarnation: membership.Incarnation(p.Incarnation)},
			StartCounter: p.StartCounter, Nonce: p.Nonce,
		},
		Expected: membership.NodeID(p.ExpectedNode), Address: sentAddress(p.Address), FrameBytesMax: p.FrameBytesMax,
	}
	if p.Class >= uint32(core.ClassControl) && p.Class <= core.Classes {
		h.Class = core.Class(p.Class)
	}
	if h.RequiredVersion > Version || h.Version < RequiredVersion {
		return h, fmt.Errorf("%w: it speaks version %d and asks for at least %d, here it is %d and %d", network.ErrVersion,
			h.Version, h.RequiredVersion, Version, RequiredVersion)
	}
	if h.Class == 0 {
		return h, malformed("hello for class %d", p.Class)
	}
	if h.ID == 0 || h.Incarnation == 0 {
		return h, malformed("hello of nobody: %v", h.Identity)
	}
	if len(p.Challenge) != ChallengeBytes {
		return h, malformed("hello with a challenge of %d bytes, not %d", len(p.Challenge), ChallengeBytes)
	}
	copy(h.Challenge[:], p.Challenge)
	return h, nil
}

// Code sorts verdicts. Numbers are never used again for something else.
type Code uint32

// Codes of a verdict.
const (
	CodeAccepted Code = iota
	// CodeVersion is network.ErrVersion.
	CodeVersion
	// CodeStale is network.ErrStale.
	CodeStale
	// CodeWrongPeer: the hello expected another node.
	CodeWrongPeer
	// CodeRefused: another reason, which the text says.
	CodeRefused
)

// Verdict tells the other side what was made of its hello.
type Verdict struct {
	Code Code
	// Reason is for people, cut at 900 bytes.
	Reason string
	// Proofs go with CodeStale: the refuser knows the clusters of these groups
	// (Session.ProveRefusal). Whoever cannot verify one of them need not believe
	// the refusal. At most ProofsMax are sent.
	Proofs []Proof
}

// ProofsMax bounds the proofs of a verdict, so that it fits into its block.
const ProofsMax = 64

const reasonBytesMax = 900

// Append appends the verdict's block.
func (v *Verdict) Append(b []byte) []byte {
	reason := v.Reason
	if len(reason) > reasonBytesMax {
		reason = reason[:reasonBytesMax]
	}
	p := &pb.Verdict{Code: uint32(v.Code), Reason: validUTF8(reason)}
	for i := range v.Proofs[:min(len(v.Proofs), ProofsMax)] {
		p.Proofs = append(p.Proofs, v.Proofs[i].toProto())
	}
	payload, err := marshal.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("wire: a verdict has no encoding: %v", err))
	}
	return appendBlock(b, blockVerdict, payload)
}

// ReadVerdict reads a verdict, and no byte beyond it. Errors are as those of
// ReadHello, ErrVersion apart.
func ReadVerdict(source io.Reader) (Verdict, error) {
	payload, err := readBlock(source, blockVerdict)
	if err != nil {
		return Verdict{}, err
	}
	var p pb.Verdict
	if err := parse(payload, &p); err != nil {
		return Verdict{}, fmt.Errorf("verdict: %w", err)
	}
	v := Verdict{Code: Code(p.Code), Reason: p.Reason}
	if len(p.Proofs) > ProofsMax {
		return Verdict{}, malformed("verdict with %d proofs, at most %d", len(p.Proofs), ProofsMax)
	}
	for _, proof := range p.Proofs {
		got, err := proofFromProto(proof)
		if err != nil {
			return Verdict{}, fmt.Errorf("verdict: %w", err)
		}
		v.Proofs = append(v.Proofs, got)
	}
	return v, nil
}

func appendBlock(b []byte, kind byte, payload []byte) []byte {
	b = append(append(b, magic...), kind, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli))
	return append(b, payload...)
}

func readBlock(source io.Reader, kind byte) ([]byte, error) {
	var header [blockHeaderBytes]byte
	// The magic first: whoever speaks something else may never send more.
	if n, err := io.ReadFull(source, header[:len(magic)]); err != nil {
		if n > 0 && string(header[:n]) != magic[:n] {
			return nil, malformed("it begins with %q", header[:n])
		}
		return nil, ended(err, n)
	}
	if string(header[:len(magic)]) != magic {
		return nil, malformed("it begins with %q", header[:len(magic)])
	}
	if n, err := io.ReadFull(source, header[len(magic):]); err != nil {
		return nil, ended(err, n+len(magic))
	}
	rest := header[len(magic):]
	length := binary.LittleEndian.Uint32(rest[2:])
	switch {
	case rest[0] != kind || rest[1] != 0:
		return nil, malformed("block %d instead of %d", rest[0], kind)
	case length > BlockBytesMax:
		return nil, fmt.Errorf("%w: %d bytes in a handshake, at most %d", network.ErrFrameTooLarge, length, BlockBytesMax)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(source, payload); err != nil {
		return nil, ended(err, blockHeaderBytes)
	}
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(rest[6:]) {
		return nil, malformed("the checksum of a handshake is wrong")
	}
	return payload, nil
}

// ended names an end of the source that comes within a block after n bytes.
func ended(err error, n int) error {
	if n > 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return malformed("the stream ended within a handshake")
	}
	return err
}
