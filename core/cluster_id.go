package core

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// ClusterID names the cluster that a group belongs to: 128 bits of a
// cryptographic generator, drawn by bootstrap. Zero is a group that belongs to
// none yet.
//
// It is a secret: who knows it takes part (rules 27, 29). So nothing prints it.
// String, which fmt and log/slog use, and the text and JSON encodings give a
// hash of it, by which two ids can be told apart; Secret gives the id itself.
type ClusterID [16]byte

// IsZero reports whether c names no cluster.
func (c ClusterID) IsZero() bool { return c == ClusterID{} }

// String returns eight hexadecimal digits of a hash of the id, "none" for zero.
func (c ClusterID) String() string {
	if c.IsZero() {
		return "none"
	}
	sum := sha256.Sum256(append([]byte("troupe cluster id shown as a hash:"), c[:]...))
	return hex.EncodeToString(sum[:4])
}

// Format writes String, whatever the verb.
func (c ClusterID) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// MarshalText returns String.
func (c ClusterID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Secret returns the id as 32 hexadecimal digits, for who has to pin it.
func (c ClusterID) Secret() string { return hex.EncodeToString(c[:]) }

// ParseClusterID reads what Secret returned.
func ParseClusterID(text string) (ClusterID, error) {
	var c ClusterID
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(c) {
		return ClusterID{}, fmt.Errorf("troupe: a cluster id has %d hexadecimal digits", 2*len(c))
	}
	copy(c[:], b)
	return c, nil
}
