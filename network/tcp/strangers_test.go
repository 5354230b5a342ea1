package tcp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/wire"
)

// TestReplayedHelloProvesNothing: whoever says the hello of a member again, and
// its proof, and sends back what it is shown, is a stranger.
func TestReplayedHelloProvesNothing(t *testing.T) {
	n, e := node(t, 1, Config{})
	n.SetCluster(1, cluster(1))
	hello := wire.NewHello(local(2, 1), core.ClassControl, 1)
	member := dialRaw(t, n)
	member.connectAs(hello)
	proof := wire.AppendProof(nil, member.session.Prove(wire.RoleDialler, 1, cluster(1)))
	member.send(proof)
	member.send(frame(t, heartbeat(2, 1, 1)))
	if m := await(t, "the member's message", e.received); m.Head().Cluster != cluster(1) {
		t.Errorf("received %+v", m)
	}

	stranger := dialRaw(t, n)
	stranger.connectAs(hello)
	stranger.send(proof)
	stranger.send(frame(t, heartbeat(2, 1, 2)))
	if m := await(t, "the stranger's message", e.received); !m.Head().Cluster.IsZero() {
		t.Errorf("a replayed proof counts: %+v", m)
	}
	// The answer to a request would bring a proof, if it went to the stranger.
	if !n.Send(&core.HeartbeatResponse{Header: heartbeat(1, 2, 1).Header, Round: 1}) {
		t.Error("the response was refused")
	}
	_, before := next(t, wire.NewFrameReader(member, wire.FrameBytesDefault))
	var shown *wire.Proof
	for _, f := range before {
		if f.Proof != nil {
			shown = f.Proof
		}
	}
	if shown == nil || !member.session.Verify(wire.RoleListener, shown, cluster(1)) {
		t.Fatalf("before the response came %+v", before)
	}
	stranger.send(wire.AppendProof(nil, *shown))
	stranger.send(frame(t, heartbeat(2, 1, 3)))
	if m := await(t, "the stranger's message", e.received); !m.Head().Cluster.IsZero() {
		t.Errorf("a proof that was shown to another counts: %+v", m)
	}
}

// TestReflectedProofProvesNothing: who is dialled shows the proof back that it
// was shown.
func TestReflectedProofProvesNothing(t *testing.T) {
	_, e, r := calledBy(t)
	mine := r.answer(t, local(2, 1))
	_, before := next(t, wire.NewFrameReader(r, wire.FrameBytesDefault))
	if len(before) != 1 || before[0].Proof == nil || !mine.Verify(wire.RoleDialler, before[0].Proof, cluster(1)) {
		t.Fatalf("before the first message came %+v", before)
	}
	r.send(wire.AppendProof(nil, *before[0].Proof))
	r.send(frame(t, &core.HeartbeatResponse{Header: heartbeat(2, 1, 1).Header, Round: 1}))
	if m := await(t, "the squatter's answer", e.received); !m.Head().Cluster.IsZero() {
		t.Errorf("a reflected proof counts: %+v", m)
	}
	// What it could not know does count.
	r.send(wire.AppendProof(nil, mine.Prove(wire.RoleListener, 1, cluster(1))))
	r.send(frame(t, &core.HeartbeatResponse{Header: heartbeat(2, 1, 1).Header, Round: 2}))
	if m := await(t, "the member's answer", e.received); m.Head().Cluster != cluster(1) {
		t.Errorf("a good proof does not count: %+v", m)
	}
}

// answer shakes hands as the side that was dialled.
func (r raw) answer(t *testing.T, local network.Local) wire.Session {
	t.Helper()
	theirs, err := wire.ReadHello(r)
	if err != nil {
		t.Fatal(err)
	}
	mine := wire.NewHello(local, theirs.Class, theirs.ID)
	r.send((&wire.Verdict{}).Append(mine.Append(nil)))
	if v, err := wire.ReadVerdict(r); err != nil || v.Code != wire.CodeAccepted {
		t.Fatalf("verdict %+v, %v", v, err)
	}
	return wire.NewSession(&theirs, &mine)
}

// TestRefusalMustBeProved: a squatter's word outlives nobody.
func TestRefusalMustBeProved(t *testing.T) {
	for _, c := range []struct {
		name  string
		proof func(s *wire.Session) wire.Proof
		want  bool
	}{
		{"no cluster", func(s *wire.Session) wire.Proof { return s.ProveRefusal(wire.RoleListener, 1, cluster(2)) }, false},
		{"a proof to take part", func(s *wire.Session) wire.Proof { return s.Prove(wire.RoleListener, 1, cluster(1)) }, false},
		{"for another process", func(s *wire.Session) wire.Proof {
			other := *s
			other.Dialler.Nonce++
			return other.ProveRefusal(wire.RoleListener, 1, cluster(1))
		}, false},
		{"a good one", func(s *wire.Session) wire.Proof { return s.ProveRefusal(wire.RoleListener, 1, cluster(1)) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, e, r := calledBy(t)
			theirs, err := wire.ReadHello(r)
			if err != nil {
				t.Fatal(err)
			}
			mine := wire.NewHello(local(2, 1), theirs.Class, theirs.ID)
			session := wire.NewSession(&theirs, &mine)
			v := wire.Verdict{Code: wire.CodeStale, Reason: "old", Proofs: []wire.Proof{c.proof(&session)}}
			r.send(v.Append(mine.Append(nil)))
			if err := await(t, "a disconnection", e.disconnected); !errors.Is(err, network.ErrStale) {
				t.Errorf("disconnected because of %v", err)
			}
			if c.want {
				if by := await(t, "notice that it has been outlived", e.outlived); by != local(2, 1).Identity {
					t.Errorf("by %v", by)
				}
				return
			}
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			if len(e.outlived) > 0 {
				t.Errorf("it was believed")
			}
		})
	}
}

// TestLaterLifeEndsAnEarlierProof: who proves itself after a later life did is
// an old copy.
func TestLaterLifeEndsAnEarlierProof(t *testing.T) {
	n, e := node(t, 1, Config{KeepAliveInterval: time.Minute}) // silence ends nothing here
	n.SetCluster(1, cluster(1))
	earlier, later := dialRaw(t, n), dialRaw(t, n)
	earlier.connectAs(wire.NewHello(local(2, 1), core.ClassControl, 1))
	later.connectAs(wire.NewHello(local(2, 5), core.ClassBulk, 1))
	later.prove()
	if peer := await(t, "the later life", e.learned); peer.Local != local(2, 5) {
		t.Errorf("learned %+v", peer)
	}
	earlier.closed()
	// The twin of a later life is no better, when it proves itself.
	twin := local(2, 5)
	twin.Nonce++
	refused := dialRaw(t, n)
	if _, v := refused.greet(wire.NewHello(twin, core.ClassControl, 1)); v.Code != wire.CodeStale {
		t.Errorf("the twin is told %+v", v)
	}
}

// TestLateProofBringsNothing: a connection proves itself after a newer one of its class did. What
// follows its proof is not received: that would be beside the other, or in place of its answer.
func TestLateProofBringsNothing(t *testing.T) {
	n, e := node(t, 1, Config{})
	n.SetCluster(1, cluster(1))
	late := dialRaw(t, n)
	late.connect(core.ClassControl)
	var served *connection
	for end := time.Now().Add(limit); served == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		n.mu.RLock()
		for c := range n.live {
			served = c
		}
		n.mu.RUnlock()
	}
	if served == nil {
		t.Fatal("nobody serves the connection")
	}
	newer := dialRaw(t, n)
	newer.connect(core.ClassControl)
	newer.prove()
	newer.send(frame(t, heartbeat(2, 1, 1)))
	await(t, "a message", e.received)
	proof := wire.AppendProof(nil, late.session.Prove(wire.RoleDialler, 1, cluster(1)))
	late.send(append(proof, frame(t, heartbeat(2, 1, 2))...))
	<-served.done
	select {
	case m := <-e.received:
		t.Errorf("received %+v", m)
	default:
	}
}

// TestProofsAreBounded: nobody fills the memory with proofs.
func TestProofsAreBounded(t *testing.T) {
	var log lines
	n, e := node(t, 1, Config{Logger: log.logger()})
	r := dialRaw(t, n)
	r.connect(core.ClassControl)
	r.send(frame(t, heartbeat(2, 1, 1)))
	await(t, "a message", e.received)
	n.mu.RLock()
	for c := range n.live {
		c.proofs.mu.Lock()
		for group := range core.GroupID(proofsMax) {
			c.proofs.received[group+1] = [wire.MACBytes]byte{}
		}
		c.proofs.mu.Unlock()
	}
	n.mu.RUnlock()
	// One of them again is no more.
	r.send(wire.AppendProof(nil, wire.Proof{Group: proofsMax}))
	r.send(frame(t, heartbeat(2, 1, 2)))
	await(t, "a message", e.received)
	r.send(wire.AppendProof(nil, wire.Proof{Group: proofsMax + 1}))
	r.closed()
	log.await(t, fmt.Sprintf("proofs of more than %d groups", proofsMax))
}

// TestStrangersHintsAreNotHeeded, but those of who has proved itself are.
func TestStrangersHintsAreNotHeeded(t *testing.T) {
	n, e := node(t, 1, Config{})
	n.SetCluster(1, cluster(1))
	n.SetAddress(3, nowhere)
	told := func(address string) []byte {
		return wire.AppendAddresses(nil, []wire.Address{{Identity: local(3, 1).Identity, Address: address}, {Identity: local(1, 1).Identity, Address: address}})
	}
	r := dialRaw(t, n)
	r.connect(core.ClassControl)
	r.send(told("10.0.0.1:1"))
	r.prove()
	await(t, "the peer is learned", e.learned)
	if got := n.addresses.candidates(3); len(got) != 1 || got[0] != nowhere {
		t.Errorf("after a stranger's hint %v", got)
	}
	r.send(told("nonsense"))
	r.send(told("10.0.0.2:1"))
	r.send(frame(t, heartbeat(2, 1, 1)))
	await(t, "a message", e.received)
	if got := fmt.Sprint(n.addresses.candidates(3)); got != fmt.Sprint([]string{nowhere, "10.0.0.2:1"}) {
		t.Errorf("after a hint of a peer %v", got)
	}
	for i := range 100 {
		n.addresses.hint(3, fmt.Sprintf("10.0.1.%d:1", i), i%2 == 0)
	}
	if got := n.addresses.candidates(3); len(got) != 1+2*hintsMax {
		t.Errorf("%d candidates: %v", len(got), got)
	}
	if len(n.addresses.candidates(1)) > 0 {
		t.Error("a node believes where it is itself")
	}
	// A newer address of the configuration drops them all.
	n.SetAddress(3, "10.0.0.3:1")
	if got := n.addresses.candidates(3); len(got) != 1 {
		t.Errorf("after another address %v", got)
	}
}

// TestLearnedAddressesArePassedOn, when they are learned and when a peer proves
// itself later.
func TestLearnedAddressesArePassedOn(t *testing.T) {
	n, e := node(t, 1, Config{})
	n.SetCluster(1, cluster(1))
	as := func(id uint64, listens string) (raw, *wire.FrameReader) {
		h := wire.NewHello(local(id, 1), core.ClassControl, 1)
		h.Address = listens
		r := dialRaw(t, n)
		r.connectAs(h)
		r.prove()
		if peer := await(t, "a peer is learned", e.learned); peer.ID != local(id, 1).ID || peer.Address != listens {
			t.Errorf("learned %+v", peer)
		}
		return r, wire.NewFrameReader(r, wire.FrameBytesDefault)
	}
	tells := func(reader *wire.FrameReader, id uint64, address string) {
		t.Helper()
		for {
			f, err := reader.Next()
			if err != nil {
				t.Fatal(err)
			}
			if f.Kind != wire.KindAddresses {
				continue
			}
			if len(f.Addresses) != 1 || f.Addresses[0] != (wire.Address{Identity: local(id, 1).Identity, Address: address}) {
				t.Errorf("told %+v", f.Addresses)
			}
			return
		}
	}
	_, two := as(2, "10.0.0.2:1")
	_, three := as(3, "10.0.0.3:1")
	tells(two, 3, "10.0.0.3:1")
	tells(three, 2, "10.0.0.2:1")
}

// TestUnreachableIsLogged by id and address, at once and again, at a decent pace.
func TestUnreachableIsLogged(t *testing.T) {
	var log lines
	other, _ := node(t, 3, Config{Advertise: "10.0.0.3:1"})
	at := other.listener.Addr().String()
	n, _ := node(t, 1, Config{Logger: log.logger(), BackoffMin: time.Millisecond, BackoffMax: time.Millisecond})
	n.SetAddress(2, at)
	n.SetAddress(3, nowhere)
	n.Send(heartbeat(1, 2, 1))
	for deadline := time.Now().Add(3500 * time.Millisecond); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		n.Send(heartbeat(1, 2, 1))
	}
	// At once, after 1 s, after 2 s more.
	found := log.of(t, n).with("level=WARN", "peer=2", "address="+at, "node 3 answered")
	if len(found) < 2 || len(found) > 3 {
		t.Errorf("logged %d times: %s", len(found), strings.Join(found, ""))
	}
	// Who looks for node 3 may find it there, or where it says.
	if got := n.addresses.candidates(3); !slices.Contains(got, at) || !slices.Contains(got, "10.0.0.3:1") {
		t.Errorf("node 3 is looked for at %v", got)
	}
}

// TestStrangerEndsNoLateProof: a member proves itself after a stranger has
// shown the same hello on a newer connection.
func TestStrangerEndsNoLateProof(t *testing.T) {
	n, e := node(t, 1, Config{})
	n.SetCluster(1, cluster(1))
	member, stranger := dialRaw(t, n), dialRaw(t, n)
	member.connect(core.ClassControl)
	member.send(frame(t, heartbeat(2, 1, 1)))
	await(t, "a message", e.received)
	stranger.connect(core.ClassControl)
	stranger.send(frame(t, heartbeat(2, 1, 2)))
	await(t, "the stranger's message", e.received)
	member.prove()
	member.send(frame(t, heartbeat(2, 1, 3)))
	if m := await(t, "the member's message", e.received); m.Head().Cluster != cluster(1) {
		t.Errorf("received %+v", m)
	}
	if !n.Send(&core.HeartbeatResponse{Header: heartbeat(1, 2, 1).Header, Round: 3}) {
		t.Error("the response was refused")
	}
	if m, _ := next(t, wire.NewFrameReader(member, wire.FrameBytesDefault)); m.(*core.HeartbeatResponse).Round != 3 {
		t.Errorf("the member received %+v", m)
	}
}

// TestGuessOfAProvedPeerStays, whatever strangers say of where it is.
func TestGuessOfAProvedPeerStays(t *testing.T) {
	n, e := node(t, 1, Config{})
	n.SetCluster(1, cluster(1))
	n.SetAddress(2, nowhere)
	hello := wire.NewHello(local(2, 1), core.ClassControl, 1)
	hello.Address = ":7777"
	r := dialRaw(t, n)
	r.connectAs(hello)
	r.prove()
	if peer := await(t, "the peer is learned", e.learned); peer.Address != "" {
		t.Errorf("a guess was learned: %+v", peer)
	}
	for i := range 2 * hintsMax {
		stranger := dialRaw(t, n)
		hello.Address = fmt.Sprintf("10.0.0.%d:1", i+1)
		stranger.connectAs(hello)
		stranger.send(frame(t, heartbeat(2, 1, 1)))
		await(t, "the stranger's message", e.received)
	}
	if got := n.addresses.candidates(2); len(got) < 3 || got[0] != nowhere || got[1] != "127.0.0.1:7777" {
		t.Errorf("candidates %v", got)
	}
}
