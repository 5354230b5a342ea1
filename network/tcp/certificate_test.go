package tcp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/networktest"
	"github.com/trouperaft/troupe/network/wire"
)

// authority signs certificates for a test.
type authority struct {
	t           testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.certificate)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes the TLS of a node out of the URIs in its certificate.
func (a *authority) issue(uris ...string) *tls.Config {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: strings.Join(uris, " ")},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, uri := range uris {
		u, err := url.Parse(uri)
		if err != nil {
			a.t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	key := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: a.pool}
}

func nodeURI(id uint64) string { return fmt.Sprintf("troupe://node/%d", id) }

func TestNetworkTLS(t *testing.T) {
	trusted := newAuthority(t)
	networktest.Run(t, func(t *testing.T) networktest.Medium {
		return networktest.Medium{
			New: func(node membership.NodeID) network.Network {
				config := suiteConfig
				config.TLS = trusted.issue(nodeURI(uint64(node)))
				return listen(t, config)
			},
			Nowhere:    nowhere,
			QueueBytes: 64<<20 + 16<<20,
		}
	})
}

func TestCertificateNode(t *testing.T) {
	for _, c := range []struct {
		uris []string
		want membership.NodeID
	}{
		{[]string{"troupe://node/7"}, 7},
		{[]string{"spiffe://example/x", "troupe://node/18446744073709551615"}, 1<<64 - 1},
		{nil, 0},
		{[]string{"troupe://node/0"}, 0},
		{[]string{"troupe://node/"}, 0},
		{[]string{"troupe://node/-1"}, 0},
		{[]string{"troupe://node/7/8"}, 0},
		{[]string{"troupe://other/7"}, 0},
		{[]string{"https://node/7"}, 0},
		{[]string{"troupe://node/7", "troupe://node/8"}, 0},
	} {
		certificate := new(x509.Certificate)
		for _, uri := range c.uris {
			u, err := url.Parse(uri)
			if err != nil {
				t.Fatal(err)
			}
			certificate.URIs = append(certificate.URIs, u)
		}
		got, err := CertificateNode(certificate)
		if got != c.want || errors.Is(err, ErrCertificate) != (c.want == 0) {
			t.Errorf("%q: %d, %v, want %d", c.uris, got, err, c.want)
		}
	}
}

func TestTLSBindsTheNode(t *testing.T) {
	trusted, other := newAuthority(t), newAuthority(t)
	for _, c := range []struct {
		name           string
		server, client *tls.Config
		// want is in what the client's handler is told, log in the server's log.
		want, log string
	}{
		{name: "both true", server: trusted.issue(nodeURI(2)), client: trusted.issue(nodeURI(1))},
		{
			name: "the server is another node", server: trusted.issue(nodeURI(3)), client: trusted.issue(nodeURI(1)),
			want: "claims to be node 2 with the certificate of node 3", log: "claims to be node 2 with the certificate of node 3",
		},
		{
			name: "the client is another node", server: trusted.issue(nodeURI(2)), client: trusted.issue(nodeURI(3)),
			want: "claims to be node 1 with the certificate of node 3", log: "claims to be node 1 with the certificate of node 3",
		},
		{
			name: "the client is no node", server: trusted.issue(nodeURI(2)), client: trusted.issue(),
			want: "no node id", log: "no node id",
		},
		{
			name: "the server is no node", server: trusted.issue(nodeURI(2), nodeURI(3)), client: trusted.issue(nodeURI(1)),
			want: "no node id",
		},
		{
			name: "the server's authority is unknown", server: other.issue(nodeURI(2)), client: trusted.issue(nodeURI(1)),
			want: "unknown authority",
		},
		{
			name: "the client has no TLS", server: trusted.issue(nodeURI(2)),
			want: "tcp", log: "TLS",
		},
		{
			name: "the server has no TLS", client: trusted.issue(nodeURI(1)),
			want: "TLS", log: network.ErrFrame.Error(),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log lines
			b, received := node(t, 2, Config{TLS: c.server, Logger: log.logger()})
			a, e := node(t, 1, Config{TLS: c.client})
			a.SetAddress(2, b.Address())
			a.Send(heartbeat(1, 2, 1))
			if c.want == "" {
				await(t, "a message", received.received)
				return
			}
			if err := await(t, "a disconnection", e.disconnected); !strings.Contains(err.Error(), c.want) {
				t.Errorf("disconnected because of %v, want %q", err, c.want)
			}
			if c.log != "" {
				log.await(t, "inbound connection refused", c.log)
			}
			if len(received.received) > 0 || len(e.connected) > 0 {
				t.Error("a connection was made")
			}
		})
	}
}

// The authority that a client does not come from is only known to the server.
func TestTLSRefusesUnknownClients(t *testing.T) {
	trusted, other := newAuthority(t), newAuthority(t)
	var log lines
	b, received := node(t, 2, Config{TLS: trusted.issue(nodeURI(2)), Logger: log.logger()})
	config := other.issue(nodeURI(1))
	config.RootCAs = trusted.pool
	a, e := node(t, 1, Config{TLS: config})
	a.SetAddress(2, b.Address())
	a.Send(heartbeat(1, 2, 1))
	await(t, "a disconnection", e.disconnected)
	log.await(t, "inbound connection refused", "unknown authority")
	if len(received.received) > 0 {
		t.Error("a message passed")
	}
}

// A hello in the name of another must not make the network believe that the
// other was restarted.
func TestImpostorChangesNothing(t *testing.T) {
	trusted := newAuthority(t)
	b, received := node(t, 2, Config{TLS: trusted.issue(nodeURI(2))})
	a, _ := node(t, 1, Config{TLS: trusted.issue(nodeURI(1))})
	a.SetAddress(2, b.Address())
	a.Send(heartbeat(1, 2, 1))
	await(t, "a message", received.received)

	config := trusted.issue(nodeURI(3))
	config.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", b.Address(), config)
	if err != nil {
		t.Fatal(err)
	}
	impostor := newRaw(t, conn)
	if _, v := impostor.greet(wire.NewHello(local(1, 99), core.ClassControl, 2)); v.Code != wire.CodeRefused {
		t.Errorf("the impostor was told %+v", v)
	}
	if !a.Send(heartbeat(1, 2, 2)) {
		t.Error("the true node's message was refused")
	}
	await(t, "a message", received.received)
	a.Break(2, core.ClassControl)
	a.Send(heartbeat(1, 2, 3))
	await(t, "a message on a new connection", received.received)
}

func TestCustomCertificateNode(t *testing.T) {
	trusted := newAuthority(t)
	byName := func(c *x509.Certificate) (membership.NodeID, error) {
		return membership.NodeID(len(c.Subject.CommonName)), nil
	}
	b, received := node(t, 6, Config{TLS: trusted.issue("spiffe"), CertificateNode: byName})
	a, _ := node(t, 4, Config{TLS: trusted.issue("urn:"), CertificateNode: byName})
	a.SetAddress(6, b.Address())
	a.Send(heartbeat(4, 6, 1))
	await(t, "a message", received.received)
}

func TestTLSIsValidated(t *testing.T) {
	good := newAuthority(t).issue(nodeURI(1))
	for want, change := range map[string]func(c *tls.Config){
		"no certificate": func(c *tls.Config) { c.Certificates = nil },
		"no authority":   func(c *tls.Config) { c.RootCAs = nil },
		"GetConfigForClient": func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }
		},
	} {
		c := good.Clone()
		change(c)
		n, err := Listen(Config{Address: "127.0.0.1:0", TLS: c})
		if err == nil {
			_ = n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
