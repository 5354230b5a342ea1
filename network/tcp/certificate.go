package tcp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/trouperaft/troupe/membership"
)

// CertificateNode returns the node id that a certificate is bound to: its only
// URI of the form troupe://node/7.
func CertificateNode(certificate *x509.Certificate) (membership.NodeID, error) {
	var node membership.NodeID
	for _, uri := range certificate.URIs {
		if uri.Scheme != "troupe" || uri.Host != "node" {
			continue
		}
		id, err := strconv.ParseUint(strings.TrimPrefix(uri.Path, "/"), 10, 64)
		if err != nil || id == 0 {
			return 0, fmt.Errorf("%w: %q", ErrCertificate, uri)
		}
		if node != 0 {
			return 0, fmt.Errorf("%w: it names two nodes", ErrCertificate)
		}
		node = membership.NodeID(id)
	}
	if node == 0 {
		return 0, fmt.Errorf("%w: no URI troupe://node/ID", ErrCertificate)
	}
	return node, nil
}

// credentials are the two sides of a node's TLS.
type credentials struct{ client, server *tls.Config }

// newCredentials makes both sides out of the user's configuration.
func newCredentials(c *tls.Config) (*credentials, error) {
	if c == nil {
		return nil, nil
	}
	if len(c.Certificates) == 0 && (c.GetCertificate == nil || c.GetClientCertificate == nil) {
		return nil, errors.New("tcp: TLS has no certificate: set Certificates, or GetCertificate and GetClientCertificate")
	}
	if c.GetConfigForClient != nil {
		return nil, errors.New("tcp: TLS has a GetConfigForClient, which could switch verification off")
	}
	authorities := c.RootCAs
	if authorities == nil {
		authorities = c.ClientCAs
	}
	if authorities == nil {
		// The system's would let in whoever has any certificate.
		return nil, errors.New("tcp: TLS names no authority: set RootCAs or ClientCAs")
	}
	server := c.Clone()
	server.ClientAuth = tls.RequireAndVerifyClientCert
	if server.ClientCAs == nil {
		server.ClientCAs = authorities
	}
	client := c.Clone()
	// Instead of the host name, the node id is verified, after the handshake:
	// nodes move between hosts. The chain is verified here.
	client.InsecureSkipVerify = true
	client.VerifyConnection = func(state tls.ConnectionState) error {
		if err := verifyChain(state, authorities); err != nil {
			return err
		}
		if c.VerifyConnection != nil {
			return c.VerifyConnection(state)
		}
		return nil
	}
	for _, side := range []*tls.Config{client, server} {
		if side.MinVersion == 0 {
			side.MinVersion = tls.VersionTLS13
		}
	}
	return &credentials{client: client, server: server}, nil
}

func verifyChain(state tls.ConnectionState, authorities *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return ErrCertificate
	}
	options := x509.VerifyOptions{
		Roots: authorities, Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(options)
	return err
}
