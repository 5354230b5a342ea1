package tcp

import (
	"crypto/tls"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// counter is a handler that counts.
type counter struct{ received atomic.Int64 }

func (c *counter) Receive(membership.Identity, core.Message)         { c.received.Add(1) }
func (c *counter) Connected(membership.Identity, core.Class)         {}
func (c *counter) Disconnected(membership.NodeID, core.Class, error) {}
func (c *counter) Learned(network.Peer)                              {}
func (c *counter) Outlived(membership.Identity)                      {}

// oneWay sends b.N messages from one node to another and waits until all have
// been received.
func oneWay(b *testing.B, m core.Message, sender, receiver *tls.Config) {
	from, to := listen(b, Config{TLS: sender}), listen(b, Config{TLS: receiver})
	var c counter
	if err := from.Start(local(1, 1), nil, &counter{}); err != nil {
		b.Fatal(err)
	}
	if err := to.Start(local(2, 1), nil, &c); err != nil {
		b.Fatal(err)
	}
	from.SetCluster(1, cluster(1))
	to.SetCluster(1, cluster(1))
	from.SetAddress(2, to.Address())
	send := func() {
		for !from.Send(m) {
			time.Sleep(20 * time.Microsecond)
		}
	}
	wait := func(n int64) {
		for c.received.Load() < n {
			time.Sleep(20 * time.Microsecond)
		}
	}
	send()
	wait(1)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		send()
	}
	wait(int64(b.N) + 1)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func appendOf(count, bytes int) core.Message {
	m := &core.AppendEntries{Header: heartbeat(1, 2, 1).Header}
	for i := range count {
		m.Entries = append(m.Entries, core.Entry{
			LogID: core.LogID{Term: 1, Index: core.Index(i + 1)}, Kind: core.EntryCommand, Time: int64(i), Data: make([]byte, bytes),
		})
	}
	return m
}

func BenchmarkHeartbeats(b *testing.B) { oneWay(b, heartbeat(1, 2, 1), nil, nil) }

func BenchmarkAppendOneEntry(b *testing.B) { oneWay(b, appendOf(1, 128), nil, nil) }

func BenchmarkAppend64KiB(b *testing.B) {
	b.SetBytes(64 << 10)
	oneWay(b, appendOf(512, 128), nil, nil)
}

func BenchmarkAppend64KiBTLS(b *testing.B) {
	a := newAuthority(b)
	b.SetBytes(64 << 10)
	oneWay(b, appendOf(512, 128), a.issue(nodeURI(1)), a.issue(nodeURI(2)))
}

// BenchmarkRoundTrip sends the next request when the response has come.
func BenchmarkRoundTrip(b *testing.B) {
	from, to := listen(b, Config{}), listen(b, Config{})
	asker, answerer := newEvents(), &echo{network: to}
	if err := from.Start(local(1, 1), nil, asker); err != nil {
		b.Fatal(err)
	}
	if err := to.Start(local(2, 1), nil, answerer); err != nil {
		b.Fatal(err)
	}
	from.SetCluster(1, cluster(1))
	to.SetCluster(1, cluster(1))
	from.SetAddress(2, to.Address())
	m := heartbeat(1, 2, 1)
	b.ReportAllocs()
	for b.Loop() {
		from.Send(m)
		<-asker.received
	}
}

type echo struct {
	counter
	network *Network
}

func (e *echo) Receive(from membership.Identity, m core.Message) {
	e.network.Send(&core.HeartbeatResponse{Header: core.Header{Group: 1, From: m.Head().To, To: from, Term: 1}})
}

// BenchmarkHeartbeatsOfManyGroups alternates between groups, so that no
// connection finds the group of the last message again.
func BenchmarkHeartbeatsOfManyGroups(b *testing.B) {
	const groups = 64
	from, to := listen(b, Config{}), listen(b, Config{})
	var c counter
	if err := from.Start(local(1, 1), nil, &counter{}); err != nil {
		b.Fatal(err)
	}
	if err := to.Start(local(2, 1), nil, &c); err != nil {
		b.Fatal(err)
	}
	from.SetAddress(2, to.Address())
	var messages [groups]core.Message
	for i := range messages {
		m := heartbeat(1, 2, 1)
		m.Group = core.GroupID(i + 1)
		messages[i] = m
		from.SetCluster(m.Group, cluster(1))
		to.SetCluster(m.Group, cluster(1))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		for !from.Send(messages[i%groups]) {
			time.Sleep(20 * time.Microsecond)
		}
	}
	for c.received.Load() < int64(b.N) {
		time.Sleep(20 * time.Microsecond)
	}
}
