package inproc_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/network/networktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNetwork(t *testing.T) {
	networktest.Run(t, func(t *testing.T) networktest.Medium {
		hub := inproc.NewHub()
		made := 0
		return networktest.Medium{
			New: func(membership.NodeID) network.Network {
				made++
				return hub.Network(string(rune('a' + made)))
			},
			Nowhere: "nowhere",
			Stall: func(from, to membership.NodeID) func() {
				hub.Hold(from, to)
				return func() { hub.Release(from, to) }
			},
			QueueBytes: inproc.QueueBytesMax + 1<<20,
		}
	})
}
