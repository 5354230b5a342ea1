package tcp

import (
	"errors"
	"fmt"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/wire"
)

// Causes of a disconnection, beside those of package network.
var (
	// ErrBroken: Break was called.
	ErrBroken = errors.New("tcp: the connection was broken on request")
	// ErrAddressChanged: SetAddress was called.
	ErrAddressChanged = errors.New("tcp: the peer's address was changed")
	// ErrReplaced: a newer connection of the same peer and class, or a later
	// process of the peer, took its place.
	ErrReplaced = errors.New("tcp: the connection was replaced by a newer one")
	// ErrClosed: the network was closed.
	ErrClosed = errors.New("tcp: the network is closed")
	// ErrOwnID: the peer shows the id of this node.
	ErrOwnID = errors.New("tcp: the peer shows the id of this node")
	// ErrCertificate: the peer has no certificate that tells a node id.
	ErrCertificate = errors.New("tcp: no node id in the peer's certificate")
	// ErrHandshakeTimeout: no connection, or no handshake on it.
	ErrHandshakeTimeout = errors.New("tcp: no handshake")
	// ErrUnanswered: nothing was heard for Config.AnswerTimeout although an
	// answer was due, or nothing moved after that was so on the control connection.
	ErrUnanswered = errors.New("tcp: the peer does not answer")
	// ErrUnproved: whoever answers at the address proves nothing, and the peer
	// may be elsewhere.
	ErrUnproved = errors.New("tcp: the peer has not proved who it is")
	// ErrInboundFull: InboundConnectionsMax is reached.
	ErrInboundFull = errors.New("tcp: too many inbound connections")
)

// CertificateError: a peer claims an id that its certificate does not give it.
type CertificateError struct{ Claimed, Certified membership.NodeID }

// Error implements error.
func (e *CertificateError) Error() string {
	return fmt.Sprintf("tcp: the peer claims to be node %d with the certificate of node %d", e.Claimed, e.Certified)
}

// RefusedError: the peer refused this node. Where the reason has an error in
// package network, the RefusedError wraps it.
type RefusedError struct {
	Peer   membership.NodeID
	Reason string
	cause  error
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("tcp: node %d refused the connection: %s", e.Peer, e.Reason)
}

// Unwrap returns the named error behind the refusal, or nil.
func (e *RefusedError) Unwrap() error { return e.cause }

// refusedBy turns a peer's verdict into an error, nil if it accepted.
func refusedBy(peer membership.NodeID, v wire.Verdict) error {
	refused := &RefusedError{Peer: peer, Reason: v.Reason}
	switch v.Code {
	case wire.CodeAccepted:
		return nil
	case wire.CodeVersion:
		refused.cause = network.ErrVersion
	case wire.CodeStale:
		refused.cause = network.ErrStale
	}
	return refused
}

// verdictOn turns an error of this side into what the peer is told.
func verdictOn(err error) wire.Verdict {
	var wrong *network.WrongPeerError
	switch {
	case err == nil:
		return wire.Verdict{Code: wire.CodeAccepted}
	case errors.Is(err, network.ErrVersion):
		return wire.Verdict{Code: wire.CodeVersion, Reason: err.Error()}
	case errors.Is(err, network.ErrStale):
		return wire.Verdict{Code: wire.CodeStale, Reason: err.Error()}
	case errors.As(err, &wrong):
		return wire.Verdict{Code: wire.CodeWrongPeer, Reason: err.Error()}
	}
	return wire.Verdict{Code: wire.CodeRefused, Reason: err.Error()}
}

// name sorts errors for the log, so that each kind of trouble is logged once.
func name(err error) string {
	var wrong *network.WrongPeerError
	var certificate *CertificateError
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		return "refused: " + refused.Reason
	case errors.As(err, &wrong):
		return fmt.Sprintf("wrong peer %d", wrong.Got)
	case errors.As(err, &certificate):
		return "certificate"
	}
	for _, known := range []error{
		network.ErrVersion, network.ErrStale, network.ErrFrameTooLarge, network.ErrFrame,
		ErrOwnID, ErrCertificate, ErrInboundFull, ErrHandshakeTimeout, ErrUnanswered, ErrUnproved,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return ""
}
