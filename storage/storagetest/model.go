package storagetest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// model is what a store has to hold, kept in the plainest way.
type model map[membership.GroupID]*groupModel

type groupModel struct {
	hardState core.HardState
	commit    core.Index
	purged    core.LogID
	entries   []core.Entry
}

func (m model) group(id membership.GroupID) *groupModel {
	g := m[id]
	if g == nil {
		g = &groupModel{}
		m[id] = g
	}
	return g
}

// clone copies m. Entries are immutable and shared.
func (m model) clone() model {
	c := make(model, len(m))
	for id, g := range m {
		h := *g
		h.entries = slices.Clone(g.entries)
		c[id] = &h
	}
	return c
}

func (m model) write(batch *storage.Batch) {
	for i := range batch.Operations {
		m.group(batch.Operations[i].Group).write(&batch.Operations[i])
	}
}

func (g *groupModel) write(op *storage.Operation) {
	if op.HardState != nil {
		g.hardState = *op.HardState
	}
	if op.Reset.Index != 0 {
		g.purged, g.entries = op.Reset, nil
	}
	if op.TruncateFrom != 0 && op.TruncateFrom <= g.last().Index {
		g.entries = slices.Clone(g.entries[:op.TruncateFrom-1-g.purged.Index])
	}
	g.entries = append(g.entries, op.Append...)
	if op.Purge.Index > g.purged.Index {
		n := min(int(op.Purge.Index-g.purged.Index), len(g.entries))
		g.purged, g.entries = op.Purge, g.entries[n:]
	}
	if op.Commit != 0 {
		g.commit = op.Commit
	}
}

func (g *groupModel) last() core.LogID {
	if n := len(g.entries); n > 0 {
		return g.entries[n-1].LogID
	}
	return g.purged
}

// state is what Load has to return.
func (g *groupModel) state() storage.State {
	s := storage.State{HardState: g.hardState, Commit: g.commit, Purged: g.purged, Last: g.last()}
	s.Sizes.Reset(g.purged.Index)
	s.Sizes.Append(g.entries)
	for i := range g.entries {
		e := &g.entries[i]
		s.LastTime = e.Time
		if n := len(s.Terms); n == 0 || s.Terms[n-1].Term != e.Term {
			s.Terms = append(s.Terms, e.LogID)
		}
		if e.Kind == core.EntryConfiguration {
			c, err := membership.Decode(e.Data)
			if err != nil {
				panic(err)
			}
			s.Configurations = append(s.Configurations, core.ConfigurationAt{LogID: e.LogID, Configuration: c})
		}
	}
	return s
}

// commands makes n entries of term from index first on, each of size bytes of
// data that depend on term and index.
func commands(term core.Term, first core.Index, n, size int) []core.Entry {
	entries := make([]core.Entry, n)
	for i := range entries {
		id := core.LogID{Term: term, Index: first + core.Index(i)}
		entries[i] = core.Entry{LogID: id, Kind: core.EntryCommand, Time: int64(id.Index)*1000 + int64(id.Term), Version: versionOf(id), Data: content(id, size)}
	}
	return entries
}

// content makes bytes that depend on id in every part.
func content(id core.LogID, size int) []byte {
	if size == 0 {
		return nil
	}
	data := make([]byte, 0, size+8)
	for x := uint64(id.Term)<<48 ^ uint64(id.Index); len(data) < size; {
		x = x*6364136223846793005 + 1442695040888963407
		data = binary.LittleEndian.AppendUint64(data, x)
	}
	return data[:size:size]
}

// configuration makes an entry with a configuration of n voters.
func configuration(id core.LogID, n int) core.Entry {
	var c membership.Configuration
	for i := range n {
		voter := membership.Identity{ID: membership.NodeID(i + 1), Incarnation: 7}
		c.Members = append(c.Members, membership.Member{Identity: voter, Address: fmt.Sprintf("node-%d", i+1)})
		c.Voters = append(c.Voters, voter)
	}
	return core.Entry{LogID: id, Kind: core.EntryConfiguration, Time: int64(id.Index)*1000 + int64(id.Term), Data: c.Encode()}
}

// fullConfiguration makes an entry with a joint configuration of n members, at
// least 2, that has something of everything.
func fullConfiguration(at core.LogID, n int) core.Entry {
	var c membership.Configuration
	target := &membership.Target{ID: 1<<63 + 5, Automatic: true, KeepAdded: true, Since: 1 << 60, CatchUpLimit: time.Hour}
	for i := range n {
		m := membership.Member{
			Identity: membership.Identity{ID: membership.NodeID(i + 1), Incarnation: membership.Incarnation(i)<<56 + 3},
			Address:  fmt.Sprintf("[2001:db8::%x]:%d", i, 9000+i), Priority: 1<<32 - 1 - uint32(i),
			Tags: map[string]string{"zone": fmt.Sprintf("é%d", i), "": "of no key"},
		}
		c.Members, target.Members = append(c.Members, m), append(target.Members, m)
		if i%4 != 1 {
			c.Voters = append(c.Voters, m.Identity)
		}
		if i%4 != 2 {
			c.Outgoing = append(c.Outgoing, m.Identity)
		}
	}
	target.Members[0].Address = "another"
	target.Voters, target.Added = c.Voters, c.Outgoing
	c.Target, c.Last = target, membership.Outcome{ID: 9, Result: membership.ResultNotCaughtUp, Node: 3, LagEntries: 1 << 62, SilentMillis: -1}
	c.Founding = membership.Founding(cluster(uint64(n)))
	return core.Entry{LogID: at, Kind: core.EntryConfiguration, Time: int64(at.Index)*1000 + int64(at.Term), Data: c.Encode()}
}

// history makes operations that a store has to accept.
type history struct {
	random *rand.Rand
	model  model
	groups int
	// sizeMax is the size of most entries' data, one in fifty is larger.
	sizeMax, largeMax int
}

func newHistory(seed uint64) *history {
	return &history{random: rand.New(rand.NewPCG(seed, 1)), model: model{}, groups: 3, sizeMax: 300, largeMax: 400 << 10}
}

// batch makes the next batch and writes it to the model. With a hard state in
// it, no loss of the batch may go undetected.
func (h *history) batch(hardState bool) *storage.Batch {
	b := &storage.Batch{}
	for range 1 + h.random.IntN(4) {
		op := h.operation(membership.GroupID(1 + h.random.IntN(h.groups)))
		if hardState {
			g := h.model.group(op.Group)
			op.HardState = h.hardState(g.last().Term + 1)
		}
		b.Operations = append(b.Operations, op)
		h.model.group(op.Group).write(&op)
	}
	return b
}

func (h *history) hardState(term core.Term) *core.HardState {
	s := &core.HardState{Term: term, Vote: membership.Identity{ID: membership.NodeID(h.random.IntN(3)), Incarnation: 5}, Cluster: cluster(h.random.Uint64())}
	if h.random.IntN(2) == 0 {
		s.Grant = core.Grant{To: membership.Identity{ID: membership.NodeID(1 + h.random.IntN(3)), Incarnation: membership.Incarnation(h.random.Uint64())},
			Attempt: h.random.Uint64(), List: membership.Founding(cluster(h.random.Uint64())), LengthMillis: h.random.Uint32()}
	}
	if h.random.IntN(4) == 0 {
		s.Removed = core.LogID{Term: term, Index: core.Index(h.random.Uint64())}
	}
	return s
}

// cluster makes a cluster id that depends on n in both halves, and differs in
// them.
func cluster(n uint64) (c core.ClusterID) {
	binary.LittleEndian.PutUint64(c[:8], n)
	binary.LittleEndian.PutUint64(c[8:], n*6364136223846793005+1442695040888963407)
	return c
}

func (h *history) operation(group membership.GroupID) storage.Operation {
	op := storage.Operation{Group: group}
	g := h.model.group(group)
	last := g.last()
	kind := h.random.IntN(20)
	switch {
	case kind == 0:
		op.Purge = g.at(g.purged.Index + core.Index(h.random.Uint64N(uint64(last.Index-g.purged.Index)+1)))
		return op
	case kind == 1:
		index := last.Index + core.Index(h.random.IntN(20))
		if h.random.IntN(2) == 0 {
			index = g.purged.Index + core.Index(h.random.Uint64N(uint64(last.Index-g.purged.Index)+1))
		}
		if index > 0 {
			op.Reset = core.LogID{Term: last.Term + 1, Index: index}
			last = op.Reset
		}
	case kind < 5 && last.Index > g.purged.Index:
		op.TruncateFrom = last.Index - core.Index(h.random.Uint64N(uint64(min(last.Index-g.purged.Index, 30))))
		last = core.LogID{Term: last.Term, Index: op.TruncateFrom - 1}
	case kind == 5:
		op.Commit = last.Index
		return op
	}
	term := max(last.Term, 1)
	if h.random.IntN(4) == 0 {
		term++
	}
	for range h.random.IntN(12) {
		last = core.LogID{Term: term, Index: last.Index + 1}
		op.Append = append(op.Append, h.entry(last))
	}
	return op
}

func (h *history) entry(id core.LogID) core.Entry {
	switch h.random.IntN(50) {
	case 0:
		return commands(id.Term, id.Index, 1, h.random.IntN(h.largeMax+1))[0]
	case 1:
		return configuration(id, 1+h.random.IntN(5))
	case 2:
		return core.Entry{LogID: id, Kind: core.EntryBlank, Time: int64(id.Index)*1000 + int64(id.Term)}
	}
	return commands(id.Term, id.Index, 1, h.random.IntN(h.sizeMax+1))[0]
}

// at returns the id of an entry, or the purged one.
func (g *groupModel) at(i core.Index) core.LogID {
	if i == g.purged.Index {
		return g.purged
	}
	return g.entries[i-g.purged.Index-1].LogID
}

// versionOf is the version of the state machine that an entry of the tests needs: none for
// most, and also one that fills all bits.
func versionOf(id core.LogID) uint64 {
	switch id.Index % 5 {
	case 3:
		return uint64(id.Term)
	case 4:
		return 1<<64 - 1
	}
	return 0
}
