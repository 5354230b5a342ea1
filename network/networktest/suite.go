// Package networktest is the suite that every implementation of network.Network
// has to pass.
package networktest

import (
	"testing"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// Medium makes networks that reach each other.
type Medium struct {
	// New returns a network for a node, not started, at an address of its own. A
	// node may have several, one after the other or side by side.
	New func(node membership.NodeID) network.Network
	// Nowhere is an address at which nobody is.
	Nowhere string
	// Stall keeps what from sends to to from being received, until release is
	// called. If it is nil, the suite blocks in Handler.Receive instead, which a
	// network may take from a suite but a handler must never do.
	Stall func(from, to membership.NodeID) (release func())
	// QueueBytes is an upper bound of what a network takes in for a peer that
	// does not receive, in bytes: queues and all buffers on the way.
	QueueBytes int
}

// Run runs the suite. It makes a medium for each test, which ends with it.
func Run(t *testing.T, medium func(t *testing.T) Medium) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, m Medium)
	}{
		{"Order", testOrder},
		{"EveryMessage", testEveryMessage},
		{"ResponseNeedsNoAddress", testResponseNeedsNoAddress},
		{"LaterReplicas", testLaterReplicas},
		{"ResponsesWithinReceive", testResponsesWithinReceive},
		{"ConcurrentSenders", testConcurrentSenders},
		{"ManyGroups", testManyGroups},
		{"LargeMessages", testLargeMessages},
		{"FullWindow", testFullWindow},
		{"RefusesOthersMessages", testRefusesOthersMessages},
		{"UnknownNode", testUnknownNode},
		{"Unreachable", testUnreachable},
		{"WrongPeer", testWrongPeer},
		{"Break", testBreak},
		{"BreakWhileSending", testBreakWhileSending},
		{"AddressChange", testAddressChange},
		{"AddressForgotten", testAddressForgotten},
		{"PeerRestart", testPeerRestart},
		{"LaterLifeReplacesEarlier", testLaterLife},
		{"CopyOfADirectory", testCopyOfADirectory},
		{"ProofOfACluster", testProofOfACluster},
		{"AnotherCluster", testAnotherCluster},
		{"Introduction", testIntroduction},
		{"StrangerReplacesNothing", testStrangerReplacesNothing},
		{"ClaimsLockNobodyOut", testClaimsLockNobodyOut},
		{"KnownPeersOverARestart", testKnownPeers},
		{"KnownAddress", testKnownAddress},
		{"LearnedIsToldOnce", testLearned},
		{"MovedPeer", testMovedPeer},
		{"Sent", testSent},
		{"CloseWhileSending", testCloseWhileSending},
		{"Close", testClose},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, medium(t)) })
	}
}
