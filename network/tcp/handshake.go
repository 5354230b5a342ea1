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
	// session and role are what proofs are made of.
	session wire.Session
	role    wire.Role
	// said is where the peer says that it listens, guess what may be made of it
	// if it names no host.
	said, guess string
	// takes is the longest frame to the peer.
	takes int
}

// hello is what this node says of itself on one connection.
func (n *Network) hello(class core.Class, expected membership.NodeID) wire.Hello {
	h := wire.NewHello(n.local, class, expected)
	h.Address, h.FrameBytesMax = announced(n.address), uint32(n.config.FrameBytesMax)
	return h
}

// heardOf takes the peer's hello, of which everything is a claim.
func (n *Network) heardOf(g *greeted, hello, dialler, listener *wire.Hello, raw net.Conn) {
	g.peer = hello.Local
	g.takes = n.config.FrameBytesMax
	if told := int(hello.FrameBytesMax); told > 0 {
		g.takes = min(g.takes, max(told, frameBytesLeast))
	}
	g.session = wire.NewSession(dialler, listener)
	g.said, g.guess = saidAddress(hello.Address, raw.RemoteAddr())
}

// greet is the handshake of the side that dialled.
func (n *Network) greet(ctx context.Context, raw net.Conn, node membership.NodeID, class core.Class, address string) (greeted, error) {
	release := interruptible(ctx, raw)
	defer release()
	g := greeted{stream: raw, class: class, role: wire.RoleDialler}
	if n.credentials != nil {
		stream := tls.Client(raw, n.credentials.client)
		if err := stream.HandshakeContext(ctx); err != nil {
			return g, fmt.Errorf("tcp: TLS: %w", err)
		}
		g.stream = stream
	}
	mine := n.hello(class, node)
	if _, err := g.stream.Write(mine.Append(nil)); err != nil {
		return g, err
	}
	hello, err := wire.ReadHello(g.stream)
	if err == nil {
		n.heardOf(&g, &hello, &mine, &hello, raw)
		switch {
		case hello.ID != node:
			// It may be found here by who looks for it.
			n.hint(hello.ID, address, false)
			n.hint(hello.ID, g.said, false)
			err = &network.WrongPeerError{Address: address, Want: node, Got: hello.ID}
		case hello.Class != class:
			err = fmt.Errorf("%w: a hello for %s on a connection for %s", network.ErrFrame, hello.Class, class)
		default:
			err = n.meet(g.stream, hello.Local)
		}
	} else if !errors.Is(err, network.ErrVersion) {
		return g, early(err)
	}
	theirs, readErr := wire.ReadVerdict(g.stream)
	if err == nil {
		// What this side found out says more than what it was told.
		if err = early(readErr); err == nil {
			if err = n.refusedBy(&g, theirs); err != nil {
				return g, err
			}
		}
	}
	verdict := n.verdictOn(&g, err)
	if _, writeErr := g.stream.Write(verdict.Append(nil)); err == nil {
		err = writeErr
	}
	return g, err
}

// welcome is the handshake of the side that was dialled.
func (n *Network) welcome(ctx context.Context, raw net.Conn) (greeted, error) {
	release := interruptible(ctx, raw)
	defer release()
	g := greeted{stream: raw, role: wire.RoleListener}
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
	mine := n.hello(hello.Class, hello.ID)
	g.class = hello.Class
	n.heardOf(&g, &hello, &hello, &mine, raw)
	if err == nil {
		if hello.Expected != n.local.ID {
			err = &network.WrongPeerError{Address: n.address, Want: hello.Expected, Got: n.local.ID}
		} else {
			err = n.meet(g.stream, hello.Local)
		}
	}
	verdict := n.verdictOn(&g, err)
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
	return g, n.refusedBy(&g, theirs)
}

// meet checks who the peer says it is (rule 17). What it says is compared with
// what others have proved, and remembered only when it is proved itself (rule 29).
func (n *Network) meet(stream net.Conn, peer network.Local) error {
	if secured, ok := stream.(*tls.Conn); ok {
		certificates := secured.ConnectionState().PeerCertificates
		if len(certificates) == 0 {
			return ErrCertificate
		}
		certified, err := n.config.CertificateNode(certificates[0])
		if err != nil {
			return err
		}
		if certified != peer.ID {
			return &CertificateError{Claimed: peer.ID, Certified: certified}
		}
	}
	// Nobody accepts its own identity: its own proofs could be shown to it.
	if peer.ID == n.local.ID {
		return ErrOwnID
	}
	return n.lives.Check(peer)
}

// verdictOn turns an error of this side into what the peer is told. The refusal
// of an old copy is proved, so that the copy can believe it (rule 17).
func (n *Network) verdictOn(g *greeted, err error) wire.Verdict {
	v := verdictOn(err)
	if v.Code == wire.CodeStale {
		v.Proofs = n.clusters.proveRefusal(&g.session, g.role)
	}
	return v
}

// refusedBy turns a peer's verdict into an error, nil if it accepted.
func (n *Network) refusedBy(g *greeted, v wire.Verdict) error {
	if v.Code == wire.CodeStale && n.clusters.believes(&g.session, g.role.Other(), v.Proofs) {
		by := g.peer.Identity
		if n.troubles.tell(fmt.Sprintf("outlived %v", by)) {
			n.log.Error("this process runs on a copy of an old data directory, as a peer has proved", "peer", by.ID, "cause", v.Reason)
		}
		n.tell(func() { n.handler.Outlived(by) })
	}
	return refusedBy(g.peer.ID, v)
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
