// Package tcp is the network between processes: frames over TCP, optionally
// with TLS that binds certificates to node ids.
//
// Each class of messages has connections of its own. A node connects to a peer
// when the first request needs it. Requests go out on that connection, and the
// responses come back on it. So between two nodes there may be two connections
// of a class, one made by each. Each connection has one goroutine that writes
// and one that reads. Send puts the message into a bounded queue. The writer
// takes all that is queued, encodes it and writes it with one call.
//
// While a peer cannot be reached, Send returns false. The network tries again
// by itself, with a backoff, as long as requests are wanted, and at once when
// the peer connects from its side. It tries by turns all addresses at which the
// node may be: that of SetAddress, the one where it proved itself last, and
// hints (rule 30).
//
// What a connection says about itself is a claim. In band, before the first
// message of a group, each side proves that it knows the group's cluster (rule
// 29; package wire has the format). Until then a message has no cluster, a
// start counter does not count, no address is learned, and a newer connection
// does not replace older ones.
//
// A connection counts as dead when nothing is heard on it: for AnswerTimeout if
// an answer is due, for SilenceMax otherwise.
package tcp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"time"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network/wire"
)

// Config configures a network. Only Address must be set. Limits and times that
// are 0 take the defaults named with them.
type Config struct {
	// Address is where to listen, "host:port". Port 0 takes a free one.
	Address string
	// Advertise is where other nodes reach this one, if that is not Address.
	// Port 0 stands for the port that is listened on. The handshake tells it to
	// peers, which dial it from then on (rule 30). Where it is empty and Address
	// names no host, or that of every interface, only the port is told, and
	// peers try it on the host that this node's connections come from.
	Advertise string

	// TLS, if set, makes all connections TLS, with certificates on both sides.
	// It needs a certificate and the authorities of the peers': RootCAs,
	// ClientCAs, or one for both. Certificates must be good for servers and for
	// clients. Host names are not verified; the node id in the certificate is.
	TLS *tls.Config
	// CertificateNode reads the node id out of a verified certificate; nil is
	// the CertificateNode function of this package.
	CertificateNode func(*x509.Certificate) (membership.NodeID, error)

	// Logger gets the log, from a goroutine of its own: if it hangs or panics, lines
	// are lost (LinesDropped) and nothing else. Default: nothing is logged.
	Logger *slog.Logger

	// Dial, if set, makes connections instead of a net.Dialer. It must heed its
	// context.
	Dial func(ctx context.Context, node membership.NodeID, address string) (net.Conn, error)
	// Resolve, if set, says where to dial, and is asked at each dial: address is
	// the one that would be dialled, of SetAddress or learned. While it returns
	// an error or what is no host:port, or hangs for half of HandshakeTimeout,
	// the known address is used and the log tells of it. It may be called
	// concurrently; one that does not return is left behind. An address that it
	// gave is nothing that is learned or passed on. Override makes one of a map.
	Resolve func(ctx context.Context, node membership.NodeID, address string) (string, error)
	// Peers are hints where nodes may be, for a node all of whose peers have
	// moved while it was away. They are tried after the address of SetAddress and
	// the one that was learned, and are believed only if the node proves itself
	// there.
	Peers map[membership.NodeID]string

	// FrameBytesMax is the largest frame, sent or received: 8 MiB, at least 64
	// KiB, at most 1 GiB. Peers should agree on it.
	FrameBytesMax int
	// QueueMessagesMax and QueueBytesMax bound what waits to be written on one
	// connection: 8,192 messages and 64 MiB. QueueBytesMax must not be below
	// FrameBytesMax.
	QueueMessagesMax int
	QueueBytesMax    int
	// InboundConnectionsMax is how many connections others may have made here,
	// handshakes under way included: 1,024.
	InboundConnectionsMax int

	// HandshakeTimeout bounds the making of a connection: 3 s, at least 10 ms.
	HandshakeTimeout time.Duration
	// KeepAliveInterval is after what time without a message something is sent
	// all the same: 5 s, at least 10 ms. SilenceMax is after what time without hearing anything,
	// or without getting rid of anything, a connection is broken: 15 s, at least
	// three times KeepAliveInterval. The intervals of both sides should agree.
	//
	// Slow is not silent: only while no byte at all comes, or none leaves, the
	// time counts.
	KeepAliveInterval time.Duration
	SilenceMax        time.Duration
	// AnswerTimeout is after what time without hearing anything, although an
	// answer is due, a control connection that this node made is replaced by a
	// new one: 1 s, as an election time-out, at least 10 ms. A peer acknowledges a request within
	// half of its own AnswerTimeout, so those of both sides should agree. An idle
	// connection owes no answer.
	AnswerTimeout time.Duration
	// BackoffMin and BackoffMax are the bounds of the time between two attempts
	// to connect: 50 ms and 2 s, at least 1 ms.
	BackoffMin time.Duration
	BackoffMax time.Duration
}

const (
	// answerTimeoutLeast is a time in which some machine may answer, or send something.
	answerTimeoutLeast = 10 * time.Millisecond
	// backoffLeast lets whoever is dialled breathe.
	backoffLeast = time.Millisecond
)

// frameBytesLeast leaves room for every message without data.
const frameBytesLeast = 64 << 10

// withDefaults returns the configuration with its defaults filled in, or an
// error that names the field and the rule that it breaks.
func (c Config) withDefaults() (Config, error) {
	number := func(v *int, otherwise int) {
		if *v == 0 {
			*v = otherwise
		}
	}
	duration := func(v *time.Duration, otherwise time.Duration) {
		if *v == 0 {
			*v = otherwise
		}
	}
	number(&c.FrameBytesMax, wire.FrameBytesDefault)
	number(&c.QueueMessagesMax, 8192)
	number(&c.QueueBytesMax, max(64<<20, c.FrameBytesMax))
	number(&c.InboundConnectionsMax, 1024)
	duration(&c.HandshakeTimeout, 3*time.Second)
	duration(&c.KeepAliveInterval, 5*time.Second)
	duration(&c.SilenceMax, 3*c.KeepAliveInterval)
	duration(&c.AnswerTimeout, time.Second)
	duration(&c.BackoffMin, 50*time.Millisecond)
	duration(&c.BackoffMax, max(2*time.Second, c.BackoffMin))
	c.Peers = maps.Clone(c.Peers)
	if c.CertificateNode == nil {
		c.CertificateNode = CertificateNode
	}
	return c, c.validate()
}

func (c *Config) validate() error {
	switch {
	case c.Address == "":
		return fmt.Errorf("tcp: Address is empty")
	case c.FrameBytesMax < frameBytesLeast || c.FrameBytesMax > wire.FrameBytesMax:
		return fmt.Errorf("tcp: FrameBytesMax %d is not between %d and %d", c.FrameBytesMax, frameBytesLeast, wire.FrameBytesMax)
	case c.QueueMessagesMax < 1:
		return fmt.Errorf("tcp: QueueMessagesMax %d is not positive", c.QueueMessagesMax)
	case c.QueueBytesMax < c.FrameBytesMax:
		return fmt.Errorf("tcp: QueueBytesMax %d is below FrameBytesMax %d", c.QueueBytesMax, c.FrameBytesMax)
	case c.InboundConnectionsMax < 1:
		return fmt.Errorf("tcp: InboundConnectionsMax %d is not positive", c.InboundConnectionsMax)
	case c.HandshakeTimeout < answerTimeoutLeast:
		return fmt.Errorf("tcp: HandshakeTimeout %v is below %v", c.HandshakeTimeout, answerTimeoutLeast)
	case c.KeepAliveInterval < answerTimeoutLeast:
		return fmt.Errorf("tcp: KeepAliveInterval %v is below %v", c.KeepAliveInterval, answerTimeoutLeast)
	case c.SilenceMax < 3*c.KeepAliveInterval:
		return fmt.Errorf("tcp: SilenceMax %v is below three times KeepAliveInterval %v", c.SilenceMax, c.KeepAliveInterval)
	case c.AnswerTimeout < answerTimeoutLeast:
		return fmt.Errorf("tcp: AnswerTimeout %v is below %v", c.AnswerTimeout, answerTimeoutLeast)
	case c.BackoffMin < backoffLeast:
		return fmt.Errorf("tcp: BackoffMin %v is below %v", c.BackoffMin, backoffLeast)
	case c.BackoffMax < c.BackoffMin:
		return fmt.Errorf("tcp: BackoffMin %v and BackoffMax %v are no range", c.BackoffMin, c.BackoffMax)
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("tcp: Address: %w", err)
	}
	if c.Advertise != "" {
		if _, _, err := net.SplitHostPort(c.Advertise); err != nil {
			return fmt.Errorf("tcp: Advertise: %w", err)
		}
	}
	for node, address := range c.Peers {
		if !dialable(address) {
			return fmt.Errorf("tcp: Peers: %q of node %d is no host:port", address, node)
		}
	}
	return nil
}
