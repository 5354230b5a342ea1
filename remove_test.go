package troupe_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// host is a node with some groups.
type host struct {
	*testing.T
	hub       *inproc.Hub
	id        troupe.NodeID
	store     *memory.Store
	snapshots *memory.Snapshots
	node      *troupe.Node
	groups    map[troupe.GroupID]*hosted
	timeout   time.Duration
}

// hosted is one group on a host.
type hosted struct {
	raft    *troupe.Raft
	machine *ledger
}

func newHost(t *testing.T, hub *inproc.Hub, id troupe.NodeID) *host {
	h := &host{T: t, hub: hub, id: id, store: memory.New(id), snapshots: memory.NewSnapshots(), timeout: electionTimeout}
	t.Cleanup(h.kill)
	return h
}

func (h *host) kill() {
	if h.node != nil {
		h.node.Kill()
	}
}

// start starts the node and its groups, again if it ran before.
func (h *host) start(groups ...troupe.GroupID) {
	h.Helper()
	if h.node != nil {
		h.kill()
		if err := errors.Join(h.store.Close(), h.store.Reopen()); err != nil {
			h.Fatal(err)
		}
	}
	var err error
	if h.node, err = troupe.NewNode(troupe.NodeConfig{ID: h.id, Network: h.hub.Network(address(h.id)), Log: h.store, Snapshots: h.snapshots, CheckInvariants: true}); err != nil {
		h.Fatal(err)
	}
	h.groups = make(map[troupe.GroupID]*hosted)
	for _, group := range groups {
		h.startGroup(group)
	}
}

func (h *host) startGroup(group troupe.GroupID) *hosted {
	h.Helper()
	g := &hosted{machine: &ledger{}}
	var err error
	g.raft, err = h.node.Start(h.Context(), troupe.Config{Group: group, StateMachine: g.machine, ElectionTimeout: h.timeout, SnapshotEntries: 5, KeepEntries: 1})
	if err != nil {
		h.Fatalf("node %d: %v", h.id, err)
	}
	h.groups[group] = g
	return g
}

func (h *host) propose(group troupe.GroupID, command string) {
	h.Helper()
	if _, err := h.groups[group].raft.Propose(within(h.T, 20*time.Second), []byte(command)); err != nil {
		h.Fatalf("propose %q on node %d: %v", command, h.id, err)
	}
}

func (h *host) read(group troupe.GroupID) []string {
	h.Helper()
	if _, err := h.groups[group].raft.ReadIndex(within(h.T, 20*time.Second), troupe.Linearizable); err != nil {
		h.Fatalf("read on node %d: %v", h.id, err)
	}
	return h.groups[group].machine.content()
}

func (h *host) changes(group troupe.GroupID, changes ...troupe.Change) troupe.Configuration {
	h.Helper()
	c, err := h.groups[group].raft.ChangeMembers(within(h.T, 20*time.Second), changes)
	if err != nil {
		h.Fatalf("%v: %v", changes, err)
	}
	return c
}

// removed waits until a group knows that this node was removed.
func (h *host) removed(group troupe.GroupID) {
	h.Helper()
	if err := h.groups[group].raft.Wait(within(h.T, 20*time.Second), func(s troupe.Status) bool { return s.Removed }); err != nil {
		h.Fatal(err)
	}
}

func (h *host) self(group troupe.GroupID) troupe.Identity { return h.groups[group].raft.Status().Self }

// formedHosts are three nodes that are the members of each group.
func formedHosts(t *testing.T, electionTimeout time.Duration, groups ...troupe.GroupID) []*host {
	t.Helper()
	hub := inproc.NewHub()
	var hosts []*host
	var list []troupe.Member
	for id := troupe.NodeID(1); id <= 3; id++ {
		h := newHost(t, hub, id)
		h.timeout = electionTimeout
		h.start(groups...)
		hosts, list = append(hosts, h), append(list, troupe.At(id, address(id)))
	}
	for _, group := range groups {
		if err := hosts[0].groups[group].raft.Bootstrap(within(t, 20*time.Second), list...); err != nil {
			t.Fatal(err)
		}
	}
	return hosts
}

// TestNodeRemove: a node that was removed from one of its groups deletes its data and is
// added again, as another identity, twice. Its other group goes on all the while. Then it
// is the survivor of both.
func TestNodeRemove(t *testing.T) {
	hosts := formedHosts(t, electionTimeout, 1, 2)
	one, three := hosts[0], hosts[2]
	var want []string
	identities := []troupe.Identity{three.node.Identity()}
	for round := range 2 {
		for i := range 12 {
			command := fmt.Sprint(round, " ", i)
			hosts[i%3].propose(1, command)
			want = append(want, command)
		}
		three.read(1)
		if err := three.node.Remove(t.Context(), 1); !errors.Is(err, troupe.ErrNotRemoved) {
			t.Fatalf("a member is deleted: %v", err)
		}
		one.changes(1, troupe.Remove(3))
		three.removed(1)
		if err := three.node.Remove(within(t, 20*time.Second), 1); err != nil {
			t.Fatal(err)
		}
		three.propose(2, fmt.Sprint("beside ", round))
		again := three.startGroup(1)
		s := again.raft.Status()
		if s.Role != troupe.RoleNone || s.Last != 0 || s.Term != 0 || !s.Cluster.IsZero() || !s.Self.SameStore(three.node.Identity()) || slices.Contains(identities, s.Self) {
			t.Fatalf("begun anew, it is %+v", s)
		}
		identities = append(identities, s.Self)
		if c := one.changes(1, troupe.Add(3, address(3))); !votersAre(&c, 1, 2, 3) || !c.IsVoter(s.Self) {
			t.Fatalf("%+v", c)
		}
		if got := three.read(1); !slices.Equal(got, want) {
			t.Errorf("it has %q, want %q", got, want)
		}
		three.start(1, 2)
		if three.self(1) != s.Self || three.self(2) != three.node.Identity() {
			t.Errorf("started again, it is %v and %v", three.self(1), three.self(2))
		}
		first := three.groups[1].raft.Status().FirstIndex
		for e, err := range three.groups[1].raft.Entries(within(t, 20*time.Second), first) {
			if err != nil || e.Index != first || e.Term == 0 {
				t.Errorf("its log begins with %v, %v, want entry %d", e.LogID, err, first)
			}
			break
		}
	}
	three.propose(1, "last")
	three.read(1)
	checkTombstones(t, three)

	for _, h := range hosts {
		h.kill()
	}
	recovered, err := troupe.Recover(t.Context(), troupe.RecoverConfig{Log: three.store, Snapshots: three.snapshots, Force: true})
	if err != nil || len(recovered) != 2 || !recovered[0].Done || !recovered[1].Done || recovered[0].Self != identities[2] {
		t.Fatalf("%+v, %v", recovered, err)
	}
	three.start(1, 2)
	if got := three.read(1); !slices.Equal(got, append(want, "last")) {
		t.Errorf("recovered, it has %q", got)
	}
	if got := three.read(2); !slices.Equal(got, []string{"beside 0", "beside 1"}) {
		t.Errorf("recovered, the other group has %q", got)
	}
}

// checkTombstones wants nothing to be left of the first replica of group 1 but that it
// was there.
func checkTombstones(t *testing.T, h *host) {
	t.Helper()
	state, err := h.store.Load(t.Context(), 1)
	if err != nil || state.Last != state.Purged || !state.HardState.Cluster.IsZero() || !state.HardState.Vote.IsZero() || state.HardState.Term == 0 {
		t.Errorf("its log has left %+v, %v", state, err)
	}
	if meta, err := h.snapshots.Newest(t.Context(), 1); err != nil || meta.Index != 0 {
		t.Errorf("its snapshots have left %+v, %v", meta, err)
	}
}

// TestNodeRemoveRefuses: nothing is deleted before the removal is committed. The node saw
// the entry that removes it, and then it was taken back.
func TestNodeRemoveRefuses(t *testing.T) {
	hub := inproc.NewHub()
	var hosts []*host
	c := membership.Configuration{}
	for id := troupe.NodeID(1); id <= 3; id++ {
		h := newHost(t, hub, id)
		self := troupe.Identity{ID: id, Incarnation: h.store.Header().Incarnation}
		c.Members, c.Voters = append(c.Members, membership.Member{Identity: self, Address: address(id)}), append(c.Voters, self)
		hosts = append(hosts, h)
	}
	without := c.Clone()
	without.Members, without.Voters = without.Members[:2], without.Voters[:2]
	for i, h := range hosts {
		entries := []core.Entry{{LogID: core.LogID{Term: 1, Index: 1}, Kind: core.EntryConfiguration, Data: c.Encode()}}
		if i == 2 {
			entries = append(entries, core.Entry{LogID: core.LogID{Term: 1, Index: 2}, Kind: core.EntryConfiguration, Data: without.Encode()})
			h.timeout = time.Minute // the others are to lead
		}
		err := h.store.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{{
			Group: 1, HardState: &core.HardState{Term: 1, Cluster: troupe.ClusterID{7}}, Commit: 1, Append: entries,
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	three := hosts[2]
	refused := func(when string) {
		t.Helper()
		if err := three.node.Remove(within(t, 20*time.Second), 1); !errors.Is(err, troupe.ErrNotRemoved) {
			t.Fatalf("%s: %v", when, err)
		}
	}
	three.start(1)
	if s := three.groups[1].raft.Status(); len(s.Configuration.Members) != 2 || s.Removed {
		t.Fatalf("it has seen its removal, and is %+v", s)
	}
	refused("the removal is not committed")
	hosts[0].start(1)
	hosts[1].start(1)
	hosts[0].propose(1, "after")
	if got := three.read(1); !slices.Equal(got, []string{"after"}) {
		t.Errorf("it has %q", got)
	}
	if s := three.groups[1].raft.Status(); !votersAre(&s.Configuration, 1, 2, 3) {
		t.Errorf("its removal was taken back, and it is %+v", s)
	}
	refused("the removal was taken back")
	three.propose(1, "as before")
	three.groups[1].raft.Kill()
	refused("it does not run")
	if err := three.node.Remove(t.Context(), 9); !errors.Is(err, troupe.ErrNotRemoved) {
		t.Errorf("a group that was never there: %v", err)
	}
}

// askedVoter asks a node for its vote, in the name of another.
type askedVoter struct {
	network.Handler
	answers chan core.Message
}

func (v askedVoter) Receive(_ membership.Identity, m core.Message) {
	switch m.(type) {
	case *core.VoteResponse, *core.Refusal: // the leader speaks to it, too
		v.answers <- m
	}
}

func (v askedVoter) Connected(membership.Identity, core.Class)         {}
func (v askedVoter) Disconnected(membership.NodeID, core.Class, error) {}
func (v askedVoter) Learned(network.Peer)                              {}
func (v askedVoter) Outlived(membership.Identity)                      {}

// TestDeletedReplicaVotesOnce: a node that voted in a term, was removed, deleted, and
// added again in the same term is another voter. Whoever asks the one that it was gets no
// vote, and neither does another candidate of that term while its leader is heard.
func TestDeletedReplicaVotesOnce(t *testing.T) {
	hosts := formedHosts(t, time.Minute, 1) // so that the term stays
	one, two, three := hosts[0], hosts[1], hosts[2]
	one.propose(1, "before")
	term := one.groups[1].raft.Status().Term
	old := three.self(1)
	one.changes(1, troupe.Remove(3))
	three.removed(1)
	if err := three.node.Remove(within(t, 20*time.Second), 1); err != nil {
		t.Fatal(err)
	}
	three.startGroup(1)
	one.changes(1, troupe.Add(3, address(3)))
	three.read(1)
	s := three.groups[1].raft.Status()
	if s.Term != term || s.Self == old {
		t.Fatalf("term %d as %v; it was term %d as %v", s.Term, s.Self, term, old)
	}
	candidate := two.self(1)
	two.kill()
	answers := askedVoter{answers: make(chan core.Message, 16)}
	asker := three.hub.Network(address(2))
	if err := asker.Start(network.Local{Identity: candidate, StartCounter: 99, Nonce: 1}, nil, answers); err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	asker.SetCluster(1, s.Cluster)
	asker.SetAddress(3, address(3))
	for _, to := range []troupe.Identity{old, s.Self} {
		asker.Send(&core.VoteRequest{
			Header:       core.Header{Group: 1, Cluster: s.Cluster, From: candidate, To: to, Term: term},
			ElectionTerm: term, Campaign: 1, Last: core.LogID{Term: term, Index: 1 << 20},
		})
		select {
		case m := <-answers.answers:
			vote, voted := m.(*core.VoteResponse)
			refusal, refused := m.(*core.Refusal)
			if to == old && (!refused || refusal.Reason != core.RefusedIncarnation || refusal.Known != s.Self) || to != old && (!voted || vote.Granted) {
				t.Errorf("%v answers %+v", to, m)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%v does not answer", to)
		}
	}
}

// TestNodeRemoveOfASingleGroup: it goes with its node, and is not deleted by itself. An id
// that marks later replicas is nobody's.
func TestNodeRemoveOfASingleGroup(t *testing.T) {
	c := formed(t, 2, config())
	gone := c.follower()
	if _, err := c.leader().raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Remove(gone.id)}); err != nil {
		t.Fatal(err)
	}
	if err := gone.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Removed }); err != nil {
		t.Fatal(err)
	}
	if err := gone.raft.Node().Remove(t.Context(), 1); err == nil || errors.Is(err, troupe.ErrNotRemoved) {
		t.Errorf("the only group of a node is deleted: %v", err)
	}
	if err := (troupe.Config{Group: 1 << 63, StateMachine: &ledger{}}).Validate(); asError[*troupe.ConfigError](t, err).Field != "Config.Group" {
		t.Errorf("a group id of 2^63: %v", err)
	}
}
