package tcp

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/wire"
)

// member is a node that others may have to find again.
type member struct {
	*Network
	*events
	id, life uint64
	// known are the peers that it learned of in all its lives.
	known []network.Peer
}

// at starts a life of a member at an address.
func (m *member) at(t *testing.T, address string, config Config) {
	t.Helper()
	m.life++
	config.Address, config.BackoffMin, config.BackoffMax = address, time.Millisecond, 20*time.Millisecond
	n, err := Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	m.Network, m.events = n, newEvents()
	if err := n.Start(local(m.id, m.life), m.known, m); err != nil {
		t.Fatal(err)
	}
	n.SetCluster(1, cluster(1))
}

// stop ends a life and keeps what was learned in it.
func (m *member) stop(t *testing.T) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for len(m.learned) > 0 {
		peer := <-m.learned
		kept := m.known[:0:0]
		for _, k := range m.known {
			if k.ID != peer.ID {
				kept = append(kept, k)
			}
		}
		m.known = append(kept, peer)
	}
}

// heartbeatTo makes a request with the members' lives left out of it.
func (m *member) heartbeatTo(o *member, round uint64) core.Message {
	return heartbeat(m.id, o.id, round)
}

// threeMembers starts three members that have found each other, with the addresses
// of their configuration.
func threeMembers(t *testing.T) (members []*member, addresses []string) {
	t.Helper()
	for id := range uint64(3) {
		m := &member{id: id + 1}
		m.at(t, "127.0.0.1:0", Config{})
		members, addresses = append(members, m), append(addresses, m.Address())
	}
	configure(members, addresses)
	meet(t, members...)
	return members, addresses
}

// configure tells all the addresses of the configuration, which move never.
func configure(members []*member, addresses []string) {
	for _, m := range members {
		for i, address := range addresses {
			if uint64(i+1) != m.id {
				m.SetAddress(membership.NodeID(i+1), address)
			}
		}
	}
}

// meet waits until each member has heard each other one, proved.
func meet(t *testing.T, members ...*member) {
	t.Helper()
	heard := make(map[[2]uint64]bool)
	round := uint64(time.Now().UnixNano())
	for deadline := time.Now().Add(limit); len(heard) < len(members)*(len(members)-1); time.Sleep(2 * time.Millisecond) {
		for _, m := range members {
			for _, o := range members {
				if m != o {
					m.Send(m.heartbeatTo(o, round))
				}
			}
			for len(m.received) > 0 {
				got := <-m.received
				if h, ok := got.(*core.Heartbeat); ok && h.Round == round && h.Cluster == cluster(1) {
					heard[[2]uint64{uint64(h.From.ID), m.id}] = true
				}
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("only these have found each other: %v", heard)
		}
	}
}

// free returns an address that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestOneMoves(t *testing.T) {
	members, addresses := threeMembers(t)
	members[2].stop(t)
	members[2].at(t, "127.0.0.1:0", Config{})
	configure(members, addresses)
	meet(t, members...)
	// Who learned it knows it in its next life, without a word of the other.
	members[0].stop(t)
	moved := members[2].Address()
	members[0].at(t, "127.0.0.1:0", Config{})
	members[0].SetAddress(3, addresses[2])
	members[0].Send(members[0].heartbeatTo(members[2], 1))
	if peer := await(t, "a connection", members[0].connected); peer != local(3, 1).Identity {
		t.Errorf("connected with %v", peer)
	}
	for _, k := range members[0].known {
		if k.ID == 3 && k.Address != moved {
			t.Errorf("kept %+v, and it is at %s", k, moved)
		}
	}
}

func TestTwoSwap(t *testing.T) {
	members, addresses := threeMembers(t)
	two, three := members[1], members[2]
	two.stop(t)
	three.stop(t)
	two.at(t, addresses[2], Config{})
	three.at(t, addresses[1], Config{})
	configure(members, addresses)
	meet(t, members...)
}

func TestAllMoveAndEachIsToldOneOther(t *testing.T) {
	members, addresses := threeMembers(t)
	places := []string{free(t), free(t), free(t)}
	for _, m := range members {
		m.stop(t)
	}
	for i, m := range members {
		next := (i + 1) % len(members)
		m.at(t, places[i], Config{Peers: map[membership.NodeID]string{membership.NodeID(next + 1): places[next]}})
	}
	configure(members, addresses)
	meet(t, members...)
}

func TestAllMoveAndResolve(t *testing.T) {
	members, addresses := threeMembers(t)
	for _, m := range members {
		m.stop(t)
	}
	var places [3]atomic.Pointer[string]
	for i, m := range members {
		m.at(t, "127.0.0.1:0", Config{Resolve: func(_ context.Context, node membership.NodeID, known string) (string, error) {
			place := places[node-1].Load()
			if place == nil {
				return "", fmt.Errorf("node %d is not known yet, it was at %s", node, known)
			}
			return *place, nil
		}})
		address := m.Address()
		places[i].Store(&address)
	}
	configure(members, addresses)
	meet(t, members...)
	// What Resolve says is not passed on as what was learned, but where they say
	// that they listen is.
	for _, m := range members {
		m.stop(t)
		for _, k := range m.known {
			if want := *places[k.ID-1].Load(); k.Address != want {
				t.Errorf("node %d keeps %+v, and it is at %s", m.id, k, want)
			}
		}
	}
}

// TestStrangerAtAnOldAddress shows the id of the member that was there, and any
// counter it likes.
func TestStrangerAtAnOldAddress(t *testing.T) {
	for _, c := range []struct {
		name string
		life uint64
		// hint: the member does not call, others only know a hint.
		hint bool
	}{
		{name: "in the life that was there", life: 1},
		{name: "in a life to come", life: 1 << 60},
		{name: "and the member is silent", life: 1 << 60, hint: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			members, addresses := threeMembers(t)
			one, three := members[0], members[2]
			three.stop(t)
			config := Config{}
			if c.hint {
				three.at(t, "127.0.0.1:0", config)
				one.stop(t)
				config.Peers = map[membership.NodeID]string{3: three.Address()}
				one.at(t, "127.0.0.1:0", config)
			}
			stranger, err := Listen(Config{Address: addresses[2]})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stranger.Close() })
			taken := new(counter)
			if err := stranger.Start(local(3, c.life), nil, taken); err != nil {
				t.Fatal(err)
			}
			one.SetAddress(3, addresses[2])
			for deadline := time.Now().Add(limit); taken.received.Load() == 0; time.Sleep(time.Millisecond) {
				one.Send(one.heartbeatTo(three, 1))
				if time.Now().After(deadline) {
					t.Fatal("the stranger is not asked")
				}
			}
			if c.hint {
				for deadline := time.Now().Add(limit); len(three.received) == 0; time.Sleep(time.Millisecond) {
					one.Send(one.heartbeatTo(three, 1))
					// Strangers that call all the time change nothing.
					r := dialRaw(t, one.Network)
					r.greet(wire.NewHello(local(3, c.life), core.ClassBulk, 1))
					_ = r.Close()
					if time.Now().After(deadline) {
						t.Fatal("the member is not found")
					}
				}
				return
			}
			three.at(t, "127.0.0.1:0", Config{})
			three.SetAddress(1, one.Address())
			meet(t, one, three)
		})
	}
}

// TestMemberListensEverywhere: an unspecified host is never named, and the
// member is found all the same.
func TestMemberListensEverywhere(t *testing.T) {
	one, two := &member{id: 1}, &member{id: 2}
	one.at(t, "127.0.0.1:0", Config{})
	two.at(t, "0.0.0.0:0", Config{})
	one.SetAddress(2, nowhere)
	two.SetAddress(1, one.Address())
	meet(t, one, two)
	_, port, _ := net.SplitHostPort(two.Address())
	for {
		peer := await(t, "the peer is learned", one.learned)
		if host, _, _ := net.SplitHostPort(peer.Address); peer.Address != "" && host != "127.0.0.1" {
			t.Errorf("learned %+v", peer)
		}
		if peer.Address == "127.0.0.1:"+port {
			return
		}
	}
}

func TestSaidAddress(t *testing.T) {
	for _, c := range []struct{ listens, from, whole, guess string }{
		{"10.0.0.1:9001", "10.0.0.7:5000", "10.0.0.1:9001", ""},
		{"node-1.example:9001", "10.0.0.7:5000", "node-1.example:9001", ""},
		{"[2001:db8::1]:9001", "[2001:db8::7]:5000", "[2001:db8::1]:9001", ""},
		{"0.0.0.0:9001", "10.0.0.7:5000", "", "10.0.0.7:9001"},
		{"[::]:9001", "[2001:db8::7]:5000", "", "[2001:db8::7]:9001"},
		{"[::]:9001", "[fe80::1%eth0]:5000", "", "[fe80::1%eth0]:9001"},
		{":9001", "10.0.0.7:5000", "", "10.0.0.7:9001"},
		{"nonsense", "10.0.0.7:5000", "", ""},
		{"host:", "10.0.0.7:5000", "", ""},
		{"0.0.0.0:0", "10.0.0.7:5000", "", ""},
		{":9001", "pipe", "", ""},
	} {
		said := announced(c.listens)
		if host, _, err := net.SplitHostPort(said); err == nil && host != "" && unspecified(host) {
			t.Errorf("%s: %q is announced", c.listens, said)
		}
		if whole, guess := saidAddress(said, remote(c.from)); whole != c.whole || guess != c.guess {
			t.Errorf("%s from %s: %q, %q; want %q, %q", c.listens, c.from, whole, guess, c.whole, c.guess)
		}
		// As a stranger may say it.
		if whole, guess := saidAddress(c.listens, remote(c.from)); whole != c.whole || guess != c.guess {
			t.Errorf("%s said from %s: %q, %q", c.listens, c.from, whole, guess)
		}
	}
}

// remote is an address of a connection.
type remote string

func (remote) Network() string  { return "tcp" }
func (p remote) String() string { return string(p) }

// TestLearnedAddressIsNewOnce: a process that is reached at one address and
// says another has no new address with each connection.
func TestLearnedAddressIsNewOnce(t *testing.T) {
	a := newAddresses(&Config{})
	a.start(1, nil)
	a.configure(2, "configured:1")
	for i, c := range []struct {
		life          uint64
		dialled, said string
		address       string
		isNew         bool
	}{
		{1, "configured:1", "", "configured:1", true},
		{1, "", "said:1", "said:1", true},
		{1, "configured:1", "", "said:1", false},
		{1, "hint:1", "", "said:1", false},
		{1, "", "said:1", "said:1", false},
		// Its next life is found elsewhere, before it has said where it is.
		{2, "hint:1", "", "hint:1", true},
		{2, "", "said:2", "said:2", true},
		{2, "", "", "said:2", false},
		// It is back where the configuration says, and says so.
		{3, "", "configured:1", "configured:1", true},
	} {
		known := a.learn(local(2, c.life), c.dialled, c.said)
		address, isNew := known.address, known.moved
		if address != c.address || isNew != c.isNew {
			t.Errorf("step %d: %q, %t; want %q, %t", i, address, isNew, c.address, c.isNew)
		}
	}
	if got := a.candidates(2); len(got) != 1 {
		t.Errorf("candidates %v", got)
	}
}

// TestAddressIsReached: what a peer says of itself is learned, and counts as reached when
// this node has made a connection there; another address has to be reached anew.
func TestAddressIsReached(t *testing.T) {
	a := newAddresses(&Config{})
	a.configure(2, "configured:1")
	for i, c := range []struct {
		life          uint64
		dialled, said string
		reached       bool
		confirmed     bool
	}{
		{1, "", "said:1", false, false},
		{1, "configured:1", "", false, false},
		{1, "said:1", "", true, true},
		{1, "said:1", "", true, false},
		{2, "", "said:1", true, false},
		{2, "", "said:2", false, false},
		{2, "said:2", "", true, true},
	} {
		if known := a.learn(local(2, c.life), c.dialled, c.said); known.reached != c.reached || known.confirmed != c.confirmed {
			t.Errorf("step %d: %+v", i, known)
		}
	}
	a.configure(2, "configured:2")
	if known := a.learn(local(2, 2), "", "said:2"); known.reached {
		t.Errorf("after another address was configured: %+v", known)
	}
}

// TestFormerAddressStays: an address that is configured later is dialled first, and one
// that was learned before stays a hint. It is forgotten with the node.
func TestFormerAddressStays(t *testing.T) {
	a := newAddresses(&Config{})
	a.configure(2, "configured:1")
	a.learn(local(2, 1), "", "said:1")
	a.hint(2, "hint:1", true)
	for i, c := range []struct {
		configured string
		want       []string
	}{
		{"configured:2", []string{"configured:2", "said:1"}},
		{"said:1", []string{"said:1"}},
		{"", nil},
	} {
		a.configure(2, c.configured)
		if got := a.candidates(2); !slices.Equal(got, c.want) {
			t.Errorf("step %d: %q, want %q", i, got, c.want)
		}
	}
}
