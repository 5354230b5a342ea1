package network

import (
	"errors"
	"fmt"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Local is what a node shows of itself when it connects. All of it is a mere
// claim of whoever connects until it is proved (rule 29).
type Local struct {
	membership.Identity
	// StartCounter is the one of the node's store.
	StartCounter uint64
	// Nonce is drawn at random by each process. Two processes that show the
	// same incarnation and counter with different nonces run on copies of one
	// directory.
	Nonce uint64
}

// Peer is what is known of another node for good: everything in it was proved
// (rule 29).
type Peer struct {
	// Local is its newest life.
	Local
	// Address is where it was last reached, or said that it listens; empty if it
	// is not known.
	Address string
}

// Network carries messages between nodes.
//
// Classes are separate connections. Within a connection order is kept, and
// nothing is lost but by its breaking, which the handler is told; across
// connections anything may happen. All groups of two processes share them.
type Network interface {
	// Start opens the network for a node. It is called once, before all else;
	// messages may arrive at h before it returns. Known are the peers that
	// earlier lives of this node learned of (Handler.Learned): their start
	// counters protect from old copies, their addresses are tried.
	Start(local Local, known []Peer, h Handler) error

	// SetCluster tells the cluster that a group of this node belongs to, zero
	// when the group stops or belongs to none. It may be called at any time and
	// again, by anyone, a handler included; it never waits. A message that
	// arrives after it has returned is judged by it.
	//
	// The id is a secret that no message carries (but one whose header says
	// Introduces). The network proves to each peer, per connection and group,
	// that this node knows it, and checks the peer's proofs (rule 29). Neither a
	// proof that is said again on another connection may count, nor one that is
	// sent back to whom it came from, nor one of another life or process: proof.go
	// of package wire has one that is made over all of that.
	// So of each message that Receive is given the header's Cluster is that of
	// SetCluster if the sender has proved on this connection to know it, before
	// the message and also if SetCluster came later than the proof, and then it
	// does not say Introduces; else it is zero, or with Introduces what the message
	// claims. Of a SnapshotChunk, Meta.Cluster is the same. A connection that has proved a group is never
	// ended, replaced or shut out for the sake of one that has proved nothing.
	SetCluster(group membership.GroupID, cluster core.ClusterID)

	// Send hands a message over for its class (m.Class) to node m.Head().To.ID
	// and never blocks. False means that it was dropped: the window of the
	// connection is full, or there is none. The message is immutable from then on.
	// The header's From is of the store of Start (membership.Identity.SameStore), and a
	// group may have another one than others. A request travels on a connection that this node made to the address of
	// SetAddress or one that was learned; a response goes back on the newest
	// connection by which requests of its class come in from that identity and
	// which has proved the message's group, else any group, else on the newest.
	// What is queued for a connection that is then lost, or cannot be made, counts
	// as lost with it: Disconnected says so. From then on false is returned until
	// Connected. Safe for concurrent use.
	Send(m core.Message) bool

	// MessageBytesMax is the largest message that Send takes, in bytes as
	// SizeBytes counts them; 0 if any is taken. Who configures what messages
	// carry stays below it: a larger one is never sent.
	MessageBytesMax() int

	// SetAddress says where requests to a node go: the address of the
	// configuration. It may be called at any time and again: another address
	// closes the connections made to the old one, and is dialled before what was
	// learned. An empty address forgets the node. Connections are made when the first
	// request needs one.
	//
	// A node may have moved. Where a peer that has proved itself says that it
	// listens is learned, kept (Handler.Learned) and dialled by turns with the
	// address set here (rule 30), first as long as no newer address is set. The first
	// address since Start is not newer than what the node kept. The groups of a node
	// share what is set here, and their configurations may differ.
	SetAddress(node membership.NodeID, address string)

	// Sent returns how many bytes of messages, requests and responses, have left
	// for a node on connections of a class since Start: handed to the system
	// below, not merely queued. It grows while a slow peer takes bytes, and
	// stands still while one takes none. Keep-alives do not count, and responses
	// only from when the peer has proved itself. Safe for concurrent use.
	Sent(node membership.NodeID, class core.Class) uint64

	// Break closes the connection of a class that this node made to a peer; the
	// next request makes another.
	Break(node membership.NodeID, class core.Class)

	// Address is where other nodes reach this one, with the real port.
	Address() string

	// Close ends all connections and waits until no handler runs any more. It
	// may be called without Start, and twice.
	Close() error
}

// PeerLimits is a Network whose peers may take less than it does.
type PeerLimits interface {
	// PeerMessageBytesMax is the largest request of a class that a node takes, in bytes
	// as SizeBytes counts them, as it told on the last connection that was made to it; 0
	// if that is not known. Send takes no larger one. Safe for concurrent use; it never
	// waits.
	PeerMessageBytesMax(node membership.NodeID, class core.Class) int
}

// MessageBytesMaxTo returns the largest request of a class that n takes for a node, as far
// as is known; 0 if any is taken.
func MessageBytesMaxTo(n Network, node membership.NodeID, class core.Class) int {
	most := n.MessageBytesMax()
	if limits, ok := n.(PeerLimits); ok {
		if peer := limits.PeerMessageBytesMax(node, class); peer > 0 && (most == 0 || peer < most) {
			most = peer
		}
	}
	return most
}

// Recycling is a Network that reads a piece of a snapshot into the memory of an earlier one.
type Recycling interface {
	// Recycle takes back the Data of a SnapshotChunk that the network has delivered, and
	// that nobody reads any more. It never blocks. Safe for concurrent use. So what the
	// network has delivered belongs to the node alone, which clears the message's Data: it is
	// neither the message that was sent nor delivered twice.
	Recycle(data []byte)
}

// Logging is a Network that has a log of its own. What takes the lines may hang: then
// they are lost, and nobody waits for it (rule 28).
type Logging interface {
	// LinesDropped returns how many lines were lost. Safe for concurrent use.
	LinesDropped() int64
}

// Handler is what a network calls: the node. It never blocks.
type Handler interface {
	// Receive takes a message that came from a peer. The peer is the one that
	// the handshake named; the network has checked that the header's From is of its
	// store (membership.Identity.SameStore), and that To.ID is this node. That the peer is who it says is proved only
	// where the header has a cluster and does not say Introduces
	// (Network.SetCluster).
	Receive(from membership.Identity, m core.Message)

	// Connected says that a connection was made to a peer, of which the
	// handshake told the identity.
	Connected(peer membership.Identity, class core.Class)

	// Disconnected says that the connection made to a node is gone or that one
	// could not be made, and why. What was sent on it and not yet answered may
	// be lost. While a peer cannot be reached it is called once, not at every
	// attempt.
	Disconnected(node membership.NodeID, class core.Class, cause error)

	// Learned says what is now known of a peer: a later life of it, or another
	// address, has proved itself. The node keeps it for Start of its next life.
	// It is told once, in the order in which it was found out, and never within a
	// call of the network's own methods.
	Learned(peer Peer)

	// Outlived says that a peer, which has proved to know the cluster of a group
	// of this node, refuses this process: it has seen a later life of this
	// node's store. This process runs on an old copy of its directory. It may be
	// told again, with each attempt to connect.
	Outlived(by membership.Identity)
}

// Reaching is a Handler that wants to know where peers are reached: what a peer merely
// says of itself may be an address at which nobody reaches it. A network need not tell it.
type Reaching interface {
	// Reached says that this node has made a connection to the address that is learned of
	// the peer, on which that has proved itself; or, with an empty address, that another
	// address is learned now, at which it was not reached yet. It is told as Learned is.
	Reached(peer membership.Identity, address string)
}

// Errors of a handshake. Both sides report them by name.
var (
	// ErrVersion: the peer speaks another version of the protocol.
	ErrVersion = errors.New("network: the peer speaks another version")
	// ErrStale: the peer shows a start counter below the highest seen of its
	// incarnation, or the highest with another nonce: it runs on a copy of an
	// old data directory.
	ErrStale = errors.New("network: the peer runs on a copy of an old data directory")
	// ErrFrame: the peer sent what is no frame of this protocol.
	ErrFrame = errors.New("network: not a frame of this protocol")
	// ErrFrameTooLarge: a frame is over the limit.
	ErrFrameTooLarge = errors.New("network: frame over the limit")
)

// WrongPeerError: another node answered at a peer's address.
type WrongPeerError struct {
	Address   string
	Want, Got membership.NodeID
}

// Error implements error.
func (e *WrongPeerError) Error() string {
	return fmt.Sprintf("network: node %d answered at %s, the address of node %d", e.Got, e.Address, e.Want)
}
