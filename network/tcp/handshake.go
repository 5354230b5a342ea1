package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/wire"
)

// interruptible makes reads and writes of conn fail as soon as ctx ends, until
// release is called.
func interruptible(ctx context.Context, conn net.Conn) (release func()) {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	return func() {
		if !stop() {
			<-interrupted
			return
		}
		_ = conn.SetDeadline(time.Time{})
	}
}

// greeted is what a handshake found out.
type greeted struct {
	stream net.Conn
	peer   network.Local
	class  core.Class
	// newer: a process of the peer before this one was seen.
	newer bool
}

// greet is the handshake of the side that dialled.
func (n *Network) greet(ctx context.Context, raw net.Conn, node membership.NodeID, class core.Class, address string) (greeted, error) {
	release := interruptible(ctx, raw)
	defer release()
	g := greeted{stream: raw, class: class}
	if n.credentials != nil {
		stream := tls.Client(raw, n.credentials.client)
		if err := stream.HandshakeContext(ctx); err != nil {
			return g, fmt.Errorf("tcp: TLS: %w", err)
		}
		g.stream = stream
	}
	mine := wire.NewHello(n.local, class, node)
	if _, err := g.stream.Write(mine.Append(nil)); err != nil {
		return g, err
	}
	hello, err := wire.ReadHello(g.stream)
	if err == nil {
		g.peer = hello.Local
		switch {
		case hello.ID != node:
			err = &network.WrongPeerError{Address: address, Want: node, Got: hello.ID}
		case hello.Class != class:
			err = fmt.Errorf("%w: a hello for %s on a connection for %s", network.ErrFrame, hello.Class, class)
		default:
			g.newer, err = n.meet(g.stream, hello.Local)
		}
	} else if !errors.Is(err, network.ErrVersion) {
		return g, early(err)
	}
	theirs, readErr := wire.ReadVerdict(g.stream)
	if err == nil {
		// What this side found out says more than what it was told.
		if err = early(readErr); err == nil {
			if err = refusedBy(hello.ID, theirs); err != nil {
				return g, err
			}
		}
	}
	verdict := verdictOn(err)
	if _, writeErr := g.stream.Write(verdict.Append(nil)); err == nil {
		err = writeErr
	}
	return g, err
}

// welcome is the handshake of the side that was dialled.
func (n *Network) welcome(ctx context.Context, raw net.Conn) (greeted, error) {
	release := interruptible(ctx, raw)
	defer release()
	g := greeted{stream: raw}
	if n.credentials != nil {
		stream := tls.Server(raw, n.credentials.server)
		if err := stream.HandshakeContext(ctx); err != nil {
			return g, fmt.Errorf("tcp: TLS: %w", err)
		}
		g.stream = stream
	}
	hello, err := wire.ReadHello(g.stream)
	if err != nil && !errors.Is(err, network.ErrVersion) {
		return g, early(err)
	}
	g.peer, g.class = hello.Local, hello.Class
	if err == nil {
		if hello.Expected != n.local.ID {
			err = &network.WrongPeerError{Address: n.address, Want: hello.Expected, Got: n.local.ID}
		} else {
			g.newer, err = n.meet(g.stream, hello.Local)
		}
	}
	mine, verdict := wire.NewHello(n.local, hello.Class, hello.ID), verdictOn(err)
	if _, writeErr := g.stream.Write(verdict.Append(mine.Append(nil))); err == nil {
		err = writeErr
	}
	if err != nil {
		return g, err
	}
	theirs, err := wire.ReadVerdict(g.stream)
	if err != nil {
		return g, early(err)
	}
	return g, refusedBy(hello.ID, theirs)
}

// meet checks who the peer is (rule 17).
func (n *Network) meet(stream net.Conn, peer network.Local) (newer bool, err error) {
	if secured, ok := stream.(*tls.Conn); ok {
		certificates := secured.ConnectionState().PeerCertificates
		if len(certificates) == 0 {
			return false, ErrCertificate
		}
		certified, err := n.config.CertificateNode(certificates[0])
		if err != nil {
			return false, err
		}
		if certified != peer.ID {
			return false, &CertificateError{Claimed: peer.ID, Certified: certified}
		}
	}
	newer, err = n.lives.Meet(peer)
	if err == nil && peer.ID == n.local.ID {
		err = ErrOwnID
	}
	return newer, err
}

// early names the end of a connection within the handshake.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("tcp: the connection was closed during the handshake: %w", err)
	}
	return err
}

// late names an error that comes of the end of the time for a handshake.
func (n *Network) late(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w within %v: %w", ErrHandshakeTimeout, n.config.HandshakeTimeout, err)
	}
	return err
}
