package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	pb "github.com/trouperaft/troupe/network/wire/internal/troupepb"
)

// Rule 29: a side of a connection proves to know the cluster id of a group,
// without saying it, by
//
//	key   = HMAC-SHA256(key: the cluster id, 16 bytes; message: "troupe network proof v2")
//	proof = HMAC-SHA256(key, message of 106 bytes)
//
// The message has fixed widths, numbers little-endian:
//
//	role                uint8   1: the prover dialled; 2: it was dialled;
//	                            3 and 4: the same, in a verdict that refuses
//	class               uint8   of the connection
//	group               uint64
//	dialler's node      uint64
//	    incarnation     uint64
//	    start counter   uint64
//	    nonce           uint64  of the process
//	listener's node     uint64
//	    incarnation     uint64
//	    start counter   uint64
//	    nonce           uint64
//	dialler's challenge   16 bytes
//	listener's challenge  16 bytes
//
// Both sides know all of it from the two hellos. The challenges make a proof
// good for one connection only, the role keeps it from being sent back to whoever made
// it, and a node accepts nobody who shows its own id. The nonces of the
// processes are in it because a proof decides which process of a store is the
// true one: without them a refusal of one process could be shown to another.
// For the same reason the proof in a refusal has a role of its own: one that
// was made to take part never says that somebody is refused.
//
// A proof stands in a frame of its own (KindProof), before the group's first
// message on the connection, and again when the group's cluster id has changed.
// A side that has verified one answers with its own, if it has sent none yet. A
// proof that does not verify counts for nothing, and ends nothing: the peer may
// be of another cluster.
const proofLabel = "troupe network proof v2"

const (
	// MACBytes is the length of a proof's MAC.
	MACBytes = sha256.Size

	provenBytes = 2 + 8 + 8*8 + 2*ChallengeBytes
)

// Proof says that its sender knows the cluster id of a group.
type Proof struct {
	Group core.GroupID
	MAC   [MACBytes]byte
}

// Role is the side of a connection that proves something.
type Role uint8

// Roles.
const (
	RoleDialler  Role = 1
	RoleListener Role = 2
	// refusing is added to the role in a refusal.
	refusing Role = 2
)

// Other is the role of the other side.
func (r Role) Other() Role { return RoleDialler + RoleListener - r }

// Session is what proofs of one connection are made over: the two hellos.
type Session struct {
	Class              core.Class
	Dialler, Listener  network.Local
	DiallersChallenge  Challenge
	ListenersChallenge Challenge
}

// NewSession returns the session of two hellos.
func NewSession(dialler, listener *Hello) Session {
	return Session{
		Class: dialler.Class, Dialler: dialler.Local, Listener: listener.Local,
		DiallersChallenge: dialler.Challenge, ListenersChallenge: listener.Challenge,
	}
}

// Prove makes the proof of one side that it knows the cluster of a group.
func (s *Session) Prove(role Role, group core.GroupID, cluster core.ClusterID) Proof {
	return Proof{Group: group, MAC: s.mac(role, group, cluster)}
}

// Verify reports whether a proof was made by that side, who knows the cluster.
func (s *Session) Verify(role Role, p *Proof, cluster core.ClusterID) bool {
	if cluster.IsZero() {
		return false
	}
	mac := s.mac(role, p.Group, cluster)
	return hmac.Equal(mac[:], p.MAC[:])
}

// ProveRefusal makes the proof that goes with a refusal of an old copy.
func (s *Session) ProveRefusal(role Role, group core.GroupID, cluster core.ClusterID) Proof {
	return s.Prove(role+refusing, group, cluster)
}

// VerifyRefusal is Verify for proofs of ProveRefusal.
func (s *Session) VerifyRefusal(role Role, p *Proof, cluster core.ClusterID) bool {
	return s.Verify(role+refusing, p, cluster)
}

func (s *Session) mac(role Role, group core.GroupID, cluster core.ClusterID) (mac [MACBytes]byte) {
	derive := hmac.New(sha256.New, cluster[:])
	derive.Write([]byte(proofLabel))
	b := make([]byte, 0, provenBytes)
	b = append(b, byte(role), byte(s.Class))
	b = binary.LittleEndian.AppendUint64(b, uint64(group))
	for _, side := range []*network.Local{&s.Dialler, &s.Listener} {
		for _, n := range []uint64{uint64(side.ID), uint64(side.Incarnation), side.StartCounter, side.Nonce} {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
	}
	b = append(b, s.DiallersChallenge[:]...)
	b = append(b, s.ListenersChallenge[:]...)
	prove := hmac.New(sha256.New, derive.Sum(nil))
	prove.Write(b)
	prove.Sum(mac[:0])
	return mac
}

func (p *Proof) toProto() *pb.Proof { return &pb.Proof{Group: uint64(p.Group), Mac: p.MAC[:]} }

func proofFromProto(p *pb.Proof) (Proof, error) {
	proof := Proof{Group: membership.GroupID(p.GetGroup())}
	switch {
	case proof.Group == 0:
		return Proof{}, malformed("a proof of group 0")
	case len(p.GetMac()) != MACBytes:
		return Proof{}, malformed("a proof of %d bytes, not %d", len(p.GetMac()), MACBytes)
	}
	copy(proof.MAC[:], p.Mac)
	return proof, nil
}
