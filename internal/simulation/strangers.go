package simulation

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// strangerID is the node that a stranger says it is, if it does not say that it
// is a member.
const strangerID core.NodeID = nodesMax + 4

// stranger is no member. It knows all that a greeting, a status and the headers
// of messages tell: who the members are, their terms and their logs' ends, but
// never a cluster id. So whatever it says must change nothing.
type stranger struct {
	sim  *sim
	rand *rand.Rand
	self membership.Identity
	// group is whose messages it forges now, forged counts them.
	group  *group
	forged int
}

func newStranger(s *sim, r *rand.Rand) *stranger {
	return &stranger{sim: s, rand: r, self: membership.Identity{ID: strangerID, Incarnation: membership.Incarnation(r.Uint64() | 1)}}
}

// talks sends forged messages until the time is over.
func (g *stranger) talks(until core.Instant) {
	s := g.sim
	pause := time.Duration(float64(s.plan.heartbeat) * g.rand.ExpFloat64() / 10)
	s.clock.after(pause, nil, func() {
		if s.clock.now >= until || s.faults.healed {
			return
		}
		g.group = s.groups[g.rand.IntN(len(s.groups))]
		if r := g.group.on(s.nodes[g.rand.IntN(len(s.nodes))]); r != nil && !r.endpoint.closed {
			g.sends(r)
		}
		g.talks(until)
	})
}

// sends hands a forged message to a node, as a network does that has not been
// proved anything.
func (g *stranger) sends(r *replica) {
	h := core.Header{Group: g.group.id, From: g.someone(), To: r.identity(), Term: core.Term(g.number())}
	if chance(g.rand, 10) {
		h.To.Incarnation = pick(g.rand, 0, 1, h.To.Incarnation+1)
	}
	if h.From.ID == r.node.id {
		h.From = g.self // a network refuses its own name
	}
	// An empty group follows whoever names its incarnation: rule 17.
	if chance(g.rand, 30) && !r.store.hard.Cluster.IsZero() {
		h.Introduces = true
		for i := range h.Cluster {
			h.Cluster[i] = byte(g.rand.Uint64())
		}
	}
	m := claimed(g.forge(h), false, core.ClusterID{})
	if asks, ok := m.(*core.IdentifyRequest); ok && g.sim.plan.changes && r.store.hard.Cluster.IsZero() {
		// A node that grants a stranger's attempt follows nobody for minutes (rule 31).
		asks.Attempt = 0
	}
	g.sim.trace.add(traceDeliver, uint64(r.node.id), uint64(h.From.ID), digest(m), 1)
	if g.sim.trace.on() {
		g.sim.trace.say("forged, from %v: %s", h.From, describe(m))
	}
	g.forged++
	g.sim.saw(forgedMessage)
	before := r.store.hard.Cluster
	g.sim.let(r.life, func() { r.endpoint.handler.Receive(h.From, m) })
	if h.Introduces && h.Cluster == before {
		panic("simulation: the stranger has guessed the cluster")
	}
}

// someone is who the stranger says it is: itself, a member, or a member that
// never was.
func (g *stranger) someone() membership.Identity {
	switch g.rand.IntN(4) {
	case 0:
		return g.self
	case 1:
		return membership.Identity{ID: g.sim.nodes[g.rand.IntN(len(g.sim.nodes))].id, Incarnation: membership.Incarnation(g.rand.Uint64() | 1)}
	}
	stores := g.group.check.stores
	return stores[g.rand.IntN(len(stores))].identity
}

// number is a term, an index or whatever counts: one that fits well, one beside
// it, a small one, or a wild one.
func (g *stranger) number() uint64 {
	r := g.rand
	var st core.EngineStatus
	if n := g.sim.nodes[r.IntN(len(g.sim.nodes))]; n.life != nil {
		st = n.life.replicas[g.group.id-1].status.EngineStatus
	}
	fits := pick(r, uint64(st.Term), uint64(st.Term), uint64(st.Term), uint64(st.Last), uint64(st.Committed))
	switch r.IntN(4) {
	case 0:
		return fits
	case 1:
		return fits + pick[uint64](r, 1, 1, 2, 1<<32, 1<<32+1, 1<<40)
	case 2:
		return r.Uint64N(10)
	}
	return pick[uint64](r, core.CounterMax-1, core.CounterMax, core.CounterMax+1, 1<<63, math.MaxUint64, math.MaxUint64-1, r.Uint64())
}

func (g *stranger) yes() bool { return chance(g.rand, 50) }

func (g *stranger) index() core.Index { return core.Index(g.number()) }

func (g *stranger) id() core.LogID { return core.LogID{Term: core.Term(g.number()), Index: g.index()} }

func (g *stranger) millis() uint32 {
	return pick[uint32](g.rand, 0, 1, 1000, math.MaxUint32, g.rand.Uint32())
}

// forge makes a message of any kind.
func (g *stranger) forge(h core.Header) core.Message {
	term, n := core.Term(g.number()), g.number
	switch g.rand.IntN(22) {
	case 0:
		return &core.VoteRequest{Header: h, Pre: g.yes(), ElectionTerm: term, Campaign: n(), Last: g.id(), Transfer: g.yes()}
	case 1:
		return &core.VoteResponse{Header: h, Pre: g.yes(), ElectionTerm: term, Campaign: n(), Granted: g.yes(), WaitMillis: g.millis()}
	case 2:
		return &core.Heartbeat{Header: h, Round: n(), Stream: n(), Commit: g.index()}
	case 3:
		return &core.HeartbeatResponse{Header: h, Round: n(), Stream: n(), PromiseMillis: g.millis(), Match: g.index(), Applied: g.index()}
	case 4:
		return g.forgeAppend(h)
	case 5:
		return &core.AppendResponse{Header: h, Stream: n(), Success: g.yes(), Match: g.index(), Rejected: g.id(), Hint: g.id()}
	case 6:
		return g.forgeChunk(h)
	case 7:
		return &core.SnapshotResponse{Header: h, Stream: n(), Transfer: n(), Offset: n(), Refused: g.yes()}
	case 8:
		return &core.ReadIndexRequest{Header: h, ID: n()}
	case 9:
		return &core.ReadIndexResponse{Header: h, ID: n(), OK: g.yes(), Index: g.index()}
	case 10:
		return &core.IdentifyRequest{Header: h, ID: n(), Attempt: n(), Release: g.yes(), LengthMillis: g.millis(), List: g.sim.founding(g.yes())}
	case 11:
		return &core.IdentifyResponse{
			Header: h, ID: n(), Empty: g.yes(), Last: g.id(), Attempt: n(), Granted: g.yes(), GrantedTo: g.someone(), WaitMillis: g.millis(),
			SameList: g.yes(), Known: g.someone(),
		}
	case 12:
		// Nobody proposes commands by numbers like that.
		data := command{operation: operationPut, id: 1<<63 + uint64(g.rand.Uint32())}.encode(0)
		return &core.ProposeRequest{Header: h, Proposals: []core.ForwardedProposal{{ID: n(), ExpectedTerm: pick(g.rand, 0, term), Data: data}}}
	case 13:
		return &core.ProposeResponse{Header: h, Results: []core.ForwardedResult{{ID: n(), Code: core.ResultCode(1 + g.rand.IntN(8)), LogID: g.id()}}}
	case 14:
		return &core.TimeoutNow{Header: h, Transfer: n(), ByHand: g.yes()}
	case 15:
		return &core.TimeoutNowResponse{Header: h, Transfer: n(), Unfit: core.Unfit(g.rand.IntN(8))}
	case 16:
		return &core.TransferRequest{Header: h, ID: n(), Target: core.NodeID(g.rand.IntN(6))}
	case 18:
		order := core.ChangeOrder{Cancel: g.yes()}
		order.ID, order.Changes = membership.ChangeID(n()|1), []membership.Change{{Op: membership.OpRemove, ID: g.someone().ID}}
		return &core.ChangeRequest{Header: h, ID: n(), Order: order}
	case 19:
		return &core.ChangeResponse{Header: h, ID: n(), Code: core.ChangeCode(1 + g.rand.IntN(14)), Change: membership.ChangeID(n()), At: g.id()}
	case 20:
		return &core.Removed{Header: h, At: g.id()}
	case 17:
		return &core.TransferResponse{Header: h, ID: n(), Reason: core.TransferReason(g.rand.IntN(25)), Target: core.NodeID(g.rand.IntN(6)), LeaderTerm: term}
	}
	return &core.Refusal{Header: h, Reason: core.RefusalReason(1 + g.rand.IntN(2)), Known: g.someone()}
}

// forgeAppend makes entries that continue Prev in the term of the message.
func (g *stranger) forgeAppend(h core.Header) *core.AppendEntries {
	m := &core.AppendEntries{Header: h, Stream: g.number(), Prev: g.id(), Commit: g.index(), CommitOnly: g.yes()}
	if g.yes() {
		m.Prev = core.LogID{}
	}
	for i := range g.rand.IntN(3) {
		m.Entries = append(m.Entries, core.Entry{LogID: core.LogID{Term: h.Term, Index: m.Prev.Index + 1 + core.Index(i)}, Kind: core.EntryBlank})
	}
	return m
}

func (g *stranger) forgeChunk(h core.Header) *core.SnapshotChunk {
	state := machineState{applied: g.id()}
	content := state.encode()
	meta := core.SnapshotMeta{LogID: state.applied, Cluster: h.Cluster, SizeBytes: uint64(len(content))}
	meta.Configuration.Configuration.Members = []membership.Member{{Identity: g.self}}
	meta.Configuration.Configuration.Voters = []membership.Identity{g.self}
	return &core.SnapshotChunk{Header: h, Stream: g.number(), Transfer: g.number(), Meta: meta, Data: content, Done: g.yes()}
}

// founding is the hash of the list that the cluster is formed with, or another.
func (s *sim) founding(same bool) membership.Founding {
	if !same {
		return membership.Founding{1}
	}
	return membership.FoundingOf(s.members())
}
