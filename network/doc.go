// Package network holds the contract by which nodes talk to each other.
//
// Implementations: network/inproc hands messages over within a process,
// network/tcp sends them over TCP, optionally with TLS. network/wire holds the
// encoding. network/networktest is the suite that an implementation has to
// pass.
package network
