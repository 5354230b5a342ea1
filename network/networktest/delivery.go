package networktest

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

var classes = []core.Class{core.ClassControl, core.ClassBulk, core.ClassSnapshot}

func testOrder(t *testing.T, m Medium) {
	a, b := m.pair(t)
	const count = 2000
	for i := range uint64(count) {
		for _, class := range classes {
			a.sendUntil(a.request(b, class, i+1))
		}
	}
	next := make(map[core.Class]uint64)
	for _, m := range b.awaitReceived(count * len(classes)) {
		if next[m.Class()]++; number(m) != next[m.Class()] {
			t.Fatalf("%s: number %d came as number %d", m.Class(), number(m), next[m.Class()])
		}
	}
	for _, class := range classes {
		a.awaitConnected(class, 1)
		if connected, disconnected := a.counts(class); connected != 1 || disconnected != 0 {
			t.Errorf("%s: connected %d times, disconnected %d", class, connected, disconnected)
		}
		if connected, disconnected := b.counts(class); connected != 0 || disconnected != 0 {
			t.Errorf("%s: the side that was called was told of %d connections and %d disconnections", class, connected, disconnected)
		}
	}
}

// testEveryMessage sends one of each type with fields set, responses after
// requests of their class.
func testEveryMessage(t *testing.T, m Medium) {
	a, b := m.pair(t)
	id := core.LogID{Term: 2, Index: 9}
	voter := membership.Member{Identity: identity(1), Address: "somewhere", Tags: map[string]string{"k": "v"}}
	configuration := membership.Configuration{Members: []membership.Member{voter}, Voters: []membership.Identity{voter.Identity}}
	h, r := a.head(b, 4), b.head(a, 4)
	requests := []core.Message{
		&core.VoteRequest{Header: h, Pre: true, ElectionTerm: 4, Campaign: 5, Last: id, Transfer: true, Trace: core.TraceContext{1, 24: 1}},
		&core.Heartbeat{Header: h, Round: 1, Stream: 2, Commit: 3},
		&core.AppendEntries{Header: h, Stream: 6, Prev: id, Commit: 4, Entries: []core.Entry{
			{LogID: core.LogID{Term: 2, Index: 10}, Kind: core.EntryCommand, Time: 77, Data: []byte("a command")},
			{LogID: core.LogID{Term: 3, Index: 11}, Kind: core.EntryBlank, Time: 78},
			{LogID: core.LogID{Term: 3, Index: 12}, Kind: core.EntryConfiguration, Time: 79, Data: configuration.Encode()},
		}},
		&core.SnapshotChunk{Header: h, Stream: 1, Transfer: 2, Offset: 3, Data: []byte("a piece"), Done: true, HeadBytes: 4, Meta: core.SnapshotMeta{
			LogID: id, Time: 1, Cluster: cluster(7), SizeBytes: 1 << 40, Checksum: 0xffffffff,
			Configuration: core.ConfigurationAt{LogID: id, Configuration: configuration},
		}},
		&core.ReadIndexRequest{Header: h, ID: 1, Trace: core.TraceContext{2, 24: 1}},
		&core.IdentifyRequest{
			Header: core.Header{Group: 4, Cluster: cluster(7), From: a.local.Identity, To: membership.Identity{ID: 2}}, ID: 1,
			Attempt: 2, Release: true, List: membership.Founding{3}, LengthMillis: 4,
		},
		&core.ProposeRequest{Header: h, Proposals: []core.ForwardedProposal{{ID: 1, ExpectedTerm: 2, Data: []byte("x")}, {ID: 2}}},
	}
	responses := []core.Message{
		&core.VoteResponse{Header: r, Pre: true, ElectionTerm: 4, Campaign: 5, Granted: true, WaitMillis: 6},
		&core.HeartbeatResponse{Header: r, Round: 1, Stream: 2, PromiseMillis: 3, Match: 4, Applied: 5, Accepted: 6},
		&core.AppendResponse{Header: r, Stream: 1, Success: true, Match: 2, Rejected: id, Hint: core.LogID{Term: 1, Index: 1}},
		&core.SnapshotResponse{Header: r, Stream: 1, Transfer: 2, Offset: 3, Refused: true, Reason: "why", Had: []core.ByteRange{{From: 5, To: 7}, {From: 9, To: 10}}},
		&core.ReadIndexResponse{Header: r, ID: 1, OK: true, Index: 2},
		&core.IdentifyResponse{
			Header: r, ID: 1, Empty: true, Last: id, Attempt: 2, Granted: true, GrantedTo: identity(3), WaitMillis: 4, SameList: true,
		},
		&core.ProposeResponse{Header: r, Results: []core.ForwardedResult{
			{ID: 1, Code: core.ResultApplied, LogID: id, Value: []byte("v")}, {ID: 2, Code: core.ResultLost, Error: "lost"},
		}},
		&core.Refusal{Header: r, Reason: core.RefusedIncarnation, Known: identity(1)},
	}
	exchange := func(from, to *node, messages []core.Message) {
		for _, m := range messages {
			from.sendUntil(m)
		}
		got := make(map[reflect.Type]core.Message)
		for _, m := range to.awaitReceived(len(messages)) {
			got[reflect.TypeOf(m)] = m
		}
		for _, m := range messages {
			if g := got[reflect.TypeOf(m)]; !reflect.DeepEqual(g, m) {
				t.Errorf("got  %+v\nwant %+v", g, m)
			}
		}
	}
	exchange(a, b, requests)
	exchange(b, a, responses)
}

func testResponseNeedsNoAddress(t *testing.T, m Medium) {
	a, b := m.pair(t)
	for _, class := range classes {
		b.refused(b.response(a.request(b, class, 1)))
	}
	for i, class := range classes {
		request := a.request(b, class, 5)
		a.sendUntil(request)
		b.awaitReceived(i + 1)
		b.sendUntil(b.response(request))
		if m := a.awaitReceived(i + 1)[i]; number(m) != 5 || m.Class() != class || !m.Response() {
			t.Errorf("the response to %T is %+v", request, m)
		}
		b.refused(b.request(a, class, 6))
	}
	// To an earlier incarnation of the same node there is no way back.
	stray := b.response(a.request(b, core.ClassControl, 1))
	stray.Head().To.Incarnation++
	b.refused(stray)
}

// testLaterReplicas: a group of which a store had replicas before has another identity
// than the store's others. What it sends arrives as it is, and is answered on the
// connection that it came by.
func testLaterReplicas(t *testing.T, m Medium) {
	a, b := m.pair(t)
	for i, class := range classes {
		request := a.request(b, class, 5)
		h := request.Head()
		h.From, h.To = h.From.Replica(3), h.To.Replica(7)
		a.sendUntil(request)
		if got := b.awaitReceived(i + 1)[i].Head(); got.From != h.From || got.To != h.To {
			t.Errorf("a %T from %v to %v is from %v to %v", request, h.From, h.To, got.From, got.To)
		}
		b.sendUntil(b.response(request))
		if got := a.awaitReceived(i + 1)[i].Head(); got.From != h.To || got.To != h.From {
			t.Errorf("the answer to %v from %v is to %v from %v", h.From, h.To, got.To, got.From)
		}
	}
}

// testResponsesWithinReceive has both sides send from within Receive, as deep
// as the network lets them.
func testResponsesWithinReceive(t *testing.T, m Medium) {
	const count = 2000
	b := m.startWith(t, 2, 1, 22, func(n *node, m core.Message) { n.Send(n.response(m)) })
	a := m.startWith(t, 1, 1, 11, func(n *node, m core.Message) {
		if next := number(m) + 1; next <= count {
			n.Send(n.request(b, core.ClassControl, next))
		}
	})
	a.SetAddress(2, b.Address())
	a.sendUntil(a.request(b, core.ClassControl, 1))
	for i, m := range a.awaitReceived(count) {
		if number(m) != uint64(i+1) {
			t.Fatalf("response %d came as number %d", number(m), i+1)
		}
	}
	b.awaitReceived(count)
}

func testConcurrentSenders(t *testing.T, m Medium) {
	a, b := m.pair(t)
	const senders, count = 8, 500
	var running sync.WaitGroup
	for s := range uint64(senders) {
		running.Go(func() {
			for i := range uint64(count) {
				request := a.request(b, classes[s%3], s<<32|(i+1))
				for deadline := time.Now().Add(limit); !a.Send(request); time.Sleep(100 * time.Microsecond) {
					if time.Now().After(deadline) {
						t.Errorf("sender %d: message %d is not taken", s, i)
						return
					}
				}
			}
		})
	}
	running.Wait()
	next := make(map[uint64]uint64)
	for _, m := range b.awaitReceived(senders * count) {
		s := number(m) >> 32
		if next[s]++; number(m)&0xffffffff != next[s] {
			t.Fatalf("sender %d: message %d came as number %d", s, number(m)&0xffffffff, next[s])
		}
	}
}

func testManyGroups(t *testing.T, m Medium) {
	a, b := m.pair(t)
	const groups, count = 200, 20
	for i := range uint64(count) {
		for g := range uint64(groups) {
			a.sendUntil(&core.Heartbeat{Header: a.head(b, g+1), Round: i + 1})
		}
	}
	next := make(map[core.GroupID]uint64)
	for _, m := range b.awaitReceived(groups * count) {
		g := m.Head().Group
		if next[g]++; number(m) != next[g] {
			t.Fatalf("group %d: message %d came as number %d", g, number(m), next[g])
		}
	}
	a.awaitConnected(core.ClassControl, 1)
	if connected, _ := a.counts(core.ClassControl); connected != 1 {
		t.Errorf("%d groups share %d connections, want one", groups, connected)
	}
}

func testLargeMessages(t *testing.T, m Medium) {
	a, b := m.pair(t)
	pattern := func(size int, seed byte) []byte {
		// 251 is prime: no shift by a buffer's size leaves it as it is.
		block := make([]byte, 251)
		for i := range block {
			block[i] = seed + byte(i)
		}
		return bytes.Repeat(block, size/len(block)+1)[:size]
	}
	for i, size := range []int{1, 64<<10 - 100, 64 << 10, 1<<20 + 1, 7 << 20} {
		chunk := &core.SnapshotChunk{Header: a.head(b, 1), Data: pattern(size, byte(i))}
		a.sendUntil(chunk)
		if got := b.awaitReceived(i + 1)[i].(*core.SnapshotChunk); !bytes.Equal(got.Data, pattern(size, byte(i))) {
			t.Errorf("a chunk of %d bytes came changed", size)
		}
	}
	request := &core.AppendEntries{Header: a.head(b, 1), Prev: core.LogID{Term: 1, Index: 1}}
	for i := range 5000 {
		request.Entries = append(request.Entries, core.Entry{
			LogID: core.LogID{Term: 2, Index: core.Index(2 + i)}, Kind: core.EntryCommand, Time: int64(i), Data: pattern(700, byte(i)),
		})
	}
	a.sendUntil(request)
	if got := b.awaitReceived(6)[5].(*core.AppendEntries); !reflect.DeepEqual(got, request) {
		t.Error("an append of 5,000 entries came changed")
	}
	response := &core.ProposeResponse{Header: b.head(a, 1), Results: []core.ForwardedResult{{ID: 1, Code: core.ResultApplied, Value: pattern(4<<20, 1)}}}
	b.sendUntil(response)
	if got := a.awaitReceived(1)[0]; !reflect.DeepEqual(got, core.Message(response)) {
		t.Error("a large response came changed")
	}
}

// testFullWindow sends to a peer that does not receive: Send returns false
// before the bound of the medium, never waits, and loses nothing it took.
func testFullWindow(t *testing.T, m Medium) {
	stalled := make(chan struct{})
	var b *node
	if m.Stall == nil {
		b = m.startWith(t, 2, 1, 22, func(*node, core.Message) { <-stalled })
	} else {
		b = m.start(t, 2, 1, 22)
		release := m.Stall(1, 2)
		go func() { <-stalled; release() }()
	}
	resume := sync.OnceFunc(func() { close(stalled) })
	t.Cleanup(resume)
	a := m.start(t, 1, 1, 11)
	a.SetAddress(2, b.Address())

	data := make([]byte, 256<<10)
	taken := 0
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		// Full for good is when a while brings no room: what is on its way may
		// still move into buffers below the network.
		for full := 0; full < 50 && taken*len(data) <= 2*m.QueueBytes; {
			if a.Send(&core.SnapshotChunk{Header: a.head(b, 1), Transfer: uint64(taken + 1), Data: data}) {
				taken++
				full = 0
			} else {
				full++
				time.Sleep(time.Millisecond)
			}
		}
	}()
	select {
	case <-filled:
	case <-time.After(limit):
		t.Fatal("Send does not return")
	}
	if taken*len(data) > m.QueueBytes {
		t.Errorf("%d bytes were taken, want at most %d", taken*len(data), m.QueueBytes)
	}
	// The other classes are not held up by it, unless the whole peer is.
	if m.Stall == nil && !a.Send(a.request(b, core.ClassControl, 1)) {
		t.Error("a full snapshot connection holds up the control connection")
	}
	resume()
	want := taken
	if m.Stall == nil {
		want++
	}
	at := uint64(0)
	for _, m := range b.awaitReceived(want) {
		if m.Class() != core.ClassSnapshot {
			continue
		}
		if at++; number(m) != at {
			t.Fatalf("number %d came as number %d", number(m), at)
		}
	}
}

func testRefusesOthersMessages(t *testing.T, m Medium) {
	a, b := m.pair(t)
	forged := a.request(b, core.ClassControl, 1)
	forged.Head().From = identity(3)
	a.refused(forged)
	earlier := a.request(b, core.ClassControl, 1)
	earlier.Head().From.Incarnation++
	a.refused(earlier)
	a.refused(a.request(a, core.ClassControl, 1))
	a.sendUntil(a.request(b, core.ClassControl, 2))
	if m := b.awaitReceived(1)[0]; number(m) != 2 {
		t.Errorf("received %+v", m)
	}
	if got := fmt.Sprint(b.received[0].Head().From); got != fmt.Sprint(a.local.Identity) {
		t.Errorf("from %v", got)
	}
}
