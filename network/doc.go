// Package network holds the contract by which nodes talk to each other.
//
// What a connection says of itself is a claim, until it has proved to know the
// cluster of a group that this node belongs to. Until then its messages arrive
// without a cluster, and it replaces no other connection, gets nobody refused, and
// teaches no address.
//
// Implementations: network/inproc hands messages over within a process,
// network/tcp sends them over TCP, optionally with TLS. network/wire holds the
// encoding. network/networktest is the suite that an implementation has to
// pass.
package network
