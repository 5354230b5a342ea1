package stream

import (
	"fmt"
	"strings"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// What the streams of these tests are between.
var (
	cluster = core.ClusterID{0xc1}
	self    = core.Identity{ID: 1, Incarnation: 0x10}
	peer    = core.Identity{ID: 2, Incarnation: 0x20}
)

// testConfig is that of a stream from self to peer.
func testConfig(start core.StartStream) Config {
	start.Peer = membership.Member{Identity: peer}
	return Config{
		Start: start, Group: 1, Cluster: cluster, Self: self,
		MessageBytesMax: 1 << 20, EntriesPerMessageMax: 8, InflightMessagesMax: 8, InflightBytesMax: 1 << 20,
	}
}

func id(term core.Term, i core.Index) core.LogID { return core.LogID{Term: term, Index: i} }

// command is an entry whose data names it: "e5.3".
func command(id core.LogID) core.Entry {
	return core.Entry{LogID: id, Kind: core.EntryCommand, Data: []byte("e" + id.String())}
}

// printAppend writes a message as "after 2.3 [2.4 e2.4, 2.5 e2.5], commit 3".
func printAppend(m *core.AppendEntries) string {
	parts := make([]string, len(m.Entries))
	for i, e := range m.Entries {
		parts[i] = fmt.Sprintf("%v %s", e.LogID, e.Data)
	}
	return fmt.Sprintf("after %v [%s], commit %d", m.Prev, strings.Join(parts, ", "), m.Commit)
}

// testLog is a log behind purged.
type testLog struct {
	purged  core.LogID
	entries []core.Entry
}

func (l *testLog) last() core.LogID {
	if n := len(l.entries); n > 0 {
		return l.entries[n-1].LogID
	}
	return l.purged
}

func (l *testLog) at(i core.Index) *core.Entry {
	if i <= l.purged.Index || i > l.last().Index {
		return nil
	}
	return &l.entries[i-l.purged.Index-1]
}

// holds reports whether the log holds, or has purged as its last, exactly id.
func (l *testLog) holds(id core.LogID) bool {
	e := l.at(id.Index)
	return e != nil && e.LogID == id || id == l.purged
}

// runs are the first ids of its terms.
func (l *testLog) runs() (runs []core.LogID) {
	before := l.purged.Term
	for _, e := range l.entries {
		if e.Term != before {
			runs, before = append(runs, e.LogID), e.Term
		}
	}
	return runs
}

// read answers what a stream wants.
func (l *testLog) read(first, last core.Index, bytesMax int) *Read {
	r := &Read{}
	switch e := l.at(first - 1); {
	case e != nil:
		r.Prev = e.LogID
	case first-1 == l.purged.Index:
		r.Prev = l.purged
	case first-1 < l.purged.Index:
		return &Read{Err: core.ErrCompacted}
	default:
		return &Read{Err: core.ErrLogChanged}
	}
	for i := first; i <= last; i++ {
		e := l.at(i)
		if e == nil {
			return &Read{Err: core.ErrLogChanged}
		}
		if len(r.Entries) > 0 && core.SizeOf(r.Entries)+e.Size() > bytesMax {
			break
		}
		r.Entries = append(r.Entries, *e)
	}
	return r
}
