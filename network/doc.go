// Package network holds the contract by which nodes talk to each other.
//
// What a connection says about itself is a claim until the other side has
// proved that it knows the cluster of a group to which this node belongs. Until
// then its messages arrive without a cluster. The connection replaces no other,
// gets nobody refused, and no address is learned from it.
//
// There are two implementations: network/inproc hands messages over within a
// process, and network/tcp sends them over TCP, optionally with TLS.
// network/wire holds the encoding. network/networktest is the suite that an
// implementation has to pass.
package network
