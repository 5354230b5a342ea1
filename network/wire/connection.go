package wire

import (
	"fmt"

	"github.com/trouperaft/troupe/membership"
	pb "github.com/trouperaft/troupe/network/wire/internal/troupepb"
)

// This file has the frames that are no messages: they concern the connection,
// and the core never sees them. Their payloads are, by kind:
//
//	0    keep-alive: empty. The sender lives.
//	128  proof: the Proof of troupe.proto, of the sender. proof.go says what is
//	     in it. It stands before the group's first message on the connection,
//	     also of responses; whoever verifies one answers with its own at once.
//	129  addresses: the Addresses of troupe.proto. On control connections, after
//	     the proof that the receiver gave. From who has proved nothing they are
//	     not heeded.
//	130  ping: empty. It asks for any frame at once.
//
// On a control connection the side that was dialled acknowledges requests: a
// vote request by any frame at once, others within half a second by an answer
// or a keep-alive.

const (
	// AddressesMax bounds the entries of an Addresses frame.
	AddressesMax = 256
	// AddressBytesMax bounds an address.
	AddressBytesMax = 280
)

// Address says where a node was seen.
type Address struct {
	membership.Identity
	Address string
}

// AppendProof appends the frame of a proof.
func AppendProof(b []byte, p Proof) []byte {
	payload, err := marshal.Marshal(p.toProto())
	if err != nil {
		panic(fmt.Sprintf("wire: a proof has no encoding: %v", err))
	}
	return appendFrameOf(b, KindProof, payload)
}

// AppendPing appends the frame that asks for a sign of life.
func AppendPing(b []byte) []byte { return appendFrameOf(b, KindPing, nil) }

// AppendAddresses appends the frame of the first AddressesMax of addresses.
func AppendAddresses(b []byte, addresses []Address) []byte {
	p := new(pb.Addresses)
	for i := range addresses[:min(len(addresses), AddressesMax)] {
		a := &addresses[i]
		p.Addresses = append(p.Addresses, &pb.Address{
			Node: uint64(a.ID), Incarnation: uint64(a.Incarnation), Address: sentAddress(a.Address),
		})
	}
	payload, err := marshal.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("wire: addresses have no encoding: %v", err))
	}
	return appendFrameOf(b, KindAddresses, payload)
}

// sentAddress leaves out what is no address.
func sentAddress(address string) string {
	if len(address) > AddressBytesMax {
		return ""
	}
	return validUTF8(address)
}

func decodeProof(payload []byte) (*Proof, error) {
	var p pb.Proof
	if err := parse(payload, &p); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	proof, err := proofFromProto(&p)
	if err != nil {
		return nil, err
	}
	return &proof, nil
}

func decodeAddresses(payload []byte) ([]Address, error) {
	var p pb.Addresses
	if err := parse(payload, &p); err != nil {
		return nil, fmt.Errorf("addresses: %w", err)
	}
	if len(p.Addresses) > AddressesMax {
		return nil, malformed("%d addresses, at most %d", len(p.Addresses), AddressesMax)
	}
	var addresses []Address
	for _, a := range p.Addresses {
		identity := membership.Identity{ID: membership.NodeID(a.GetNode()), Incarnation: membership.Incarnation(a.GetIncarnation())}
		if identity.ID == 0 || identity.Incarnation == 0 {
			return nil, malformed("an address of nobody: %v", identity)
		}
		addresses = append(addresses, Address{Identity: identity, Address: sentAddress(a.GetAddress())})
	}
	return addresses, nil
}
