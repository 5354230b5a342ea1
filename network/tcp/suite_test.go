package tcp

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/networktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nowhere is a port of the loopback interface on which nothing listens.
const nowhere = "127.0.0.1:1"

// listen gives a handshake all the time that a busy machine may need, unless the test is
// about that.
func listen(t testing.TB, config Config) *Network {
	t.Helper()
	if config.HandshakeTimeout == 0 {
		config.HandshakeTimeout = limit
	}
	config.Address = "127.0.0.1:0"
	n, err := Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// suiteConfig waits long for answers: a case of the suite stalls a peer's handler,
// which no handler may do, and asserts that nothing is lost meanwhile.
var suiteConfig = Config{BackoffMin: time.Millisecond, AnswerTimeout: time.Minute}

func TestNetwork(t *testing.T) {
	networktest.Run(t, func(t *testing.T) networktest.Medium {
		return networktest.Medium{
			New:     func(membership.NodeID) network.Network { return listen(t, suiteConfig) },
			Nowhere: nowhere,
			// The queue, and what the two sockets buffer.
			QueueBytes: 64<<20 + 16<<20,
		}
	})
}
