package cli

import (
	"errors"
	"strconv"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// inspected is what inspect writes with --json.
type inspected struct {
	Data string `json:"data"`
	// Identity and HardState are absent if the log store cannot be opened.
	Identity  *inspectedIdentity  `json:"identity"`
	HardState *inspectedHardState `json:"hard_state"`
	// FirstIndex is 1 more than LastIndex if the log has no entries.
	FirstIndex     uint64                   `json:"first_index"`
	LastIndex      uint64                   `json:"last_index"`
	Terms          []inspectedTerm          `json:"terms"`
	Configurations []inspectedConfiguration `json:"configurations"`
	Snapshots      []inspectedSnapshot      `json:"snapshots"`
	Machine        *inspectedMachine        `json:"machine,omitempty"`
	// Entries are there with --entries.
	Entries []inspectedEntry  `json:"entries,omitempty"`
	Damage  []inspectedDamage `json:"damage"`
	// damage is the first that is no refusal of the system.
	damage *storage.Damage
}

type inspectedIdentity struct {
	Node         uint64 `json:"node"`
	Incarnation  string `json:"incarnation"`
	StartCounter uint64 `json:"start_counter"`
	PromiseMS    int64  `json:"promise_ms"`
	// Cluster is a hash of the cluster's id, as in a status.
	Cluster string `json:"cluster"`
	// Refused is why the directory must not take part any more, absent if it may.
	Refused string `json:"refused,omitempty"`
}

type inspectedHardState struct {
	Term uint64 `json:"term"`
	// Vote is ID/INCARNATION, absent if there is none.
	Vote string `json:"vote,omitempty"`
	// Removed is the entry, TERM.INDEX, by which the node was removed; absent if it never
	// was.
	Removed string `json:"removed,omitempty"`
	Commit  uint64 `json:"commit"`
}

// inspectedTerm is a run of entries of one term.
type inspectedTerm struct {
	Term       uint64 `json:"term"`
	FirstIndex uint64 `json:"first_index"`
}

type inspectedConfiguration struct {
	Term    uint64 `json:"term"`
	Index   uint64 `json:"index"`
	Joint   bool   `json:"joint"`
	Members string `json:"members"`
}

type inspectedSnapshot struct {
	File string `json:"file"`
	// Record: it is no snapshot, and says how far the machine is durable.
	Record   bool   `json:"record,omitempty"`
	Term     uint64 `json:"term"`
	Index    uint64 `json:"index"`
	Time     string `json:"time,omitempty"`
	Bytes    uint64 `json:"bytes"`
	Members  string `json:"members,omitempty"`
	Verified bool   `json:"verified"`
	// SetAside: the node has found it damaged, and keeps it under another name. It stands in
	// damage only while it is needed.
	SetAside bool   `json:"set_aside,omitempty"`
	Error    string `json:"error,omitempty"`
}

func (s *inspectedSnapshot) state() string {
	switch {
	case s.SetAside:
		return "damaged, and set aside by the node"
	case s.Error != "":
		return "damaged"
	case s.Verified:
		return "whole"
	}
	return "not verified"
}

type inspectedMachine struct {
	Term     uint64 `json:"term"`
	Index    uint64 `json:"index"`
	Pairs    uint64 `json:"pairs"`
	Verified bool   `json:"verified"`
}

type inspectedEntry struct {
	Term  uint64 `json:"term"`
	Index uint64 `json:"index"`
	Kind  string `json:"kind"`
	Time  string `json:"time"`
	Bytes int    `json:"bytes"`
	// Text is the command, or the members.
	Text string `json:"text,omitempty"`
}

type inspectedDamage struct {
	Error  string `json:"error"`
	Advice string `json:"advice"`
}

func (f *inspected) damaged(d storage.Damage) {
	f.Damage = append(f.Damage, inspectedDamage{d.Err.Error(), d.Advice})
	if f.damage == nil && errors.Is(d.Err, core.ErrCorrupt) {
		f.damage = &d
	}
}

// take shows what the stores hold.
func (f *inspected) take(i *storage.Inspection) {
	f.Terms, f.Configurations, f.Snapshots = []inspectedTerm{}, []inspectedConfiguration{}, []inspectedSnapshot{}
	if f.Damage == nil {
		f.Damage = []inspectedDamage{}
	}
	if h := &i.Header; h.Node != 0 {
		f.Identity = &inspectedIdentity{
			Node: uint64(h.Node), Incarnation: strconv.FormatUint(uint64(h.Incarnation), 16), StartCounter: h.StartCounter,
			PromiseMS: h.Promise.Milliseconds(), Cluster: i.Log.HardState.Cluster.String(), Refused: h.Refused,
		}
		f.HardState = &inspectedHardState{Term: uint64(i.Log.HardState.Term), Commit: uint64(i.Log.Commit)}
		if vote := i.Log.HardState.Vote; !vote.IsZero() {
			f.HardState.Vote = vote.String()
		}
		if at := i.Log.HardState.Removed; at != (core.LogID{}) {
			f.HardState.Removed = at.String()
		}
		f.FirstIndex, f.LastIndex = uint64(i.Log.Purged.Index)+1, uint64(i.Log.Last.Index)
	}
	for _, t := range i.Log.Terms {
		f.Terms = append(f.Terms, inspectedTerm{uint64(t.Term), uint64(t.Index)})
	}
	for _, c := range i.Log.Configurations {
		f.Configurations = append(f.Configurations, inspectedConfiguration{
			uint64(c.Term), uint64(c.Index), c.Configuration.Joint(), c.Configuration.String(),
		})
	}
	for _, s := range i.Snapshots {
		shown := inspectedSnapshot{
			File: s.Name, Record: s.Record, Term: uint64(s.Meta.Term), Index: uint64(s.Meta.Index), Bytes: s.Meta.SizeBytes, Verified: s.Verified, SetAside: s.SetAside,
		}
		if s.Err != nil {
			shown.Error = s.Err.Error()
		} else {
			shown.Time, shown.Members = timeOf(s.Meta.Time), s.Meta.Configuration.Configuration.String()
		}
		f.Snapshots = append(f.Snapshots, shown)
	}
	for _, d := range i.Damage {
		f.damaged(d)
	}
}

func timeOf(nanoseconds int64) string {
	return time.Unix(0, nanoseconds).UTC().Format(time.RFC3339Nano)
}

func entryOf(e *core.Entry) inspectedEntry {
	shown := inspectedEntry{Term: uint64(e.Term), Index: uint64(e.Index), Kind: e.Kind.String(), Time: timeOf(e.Time), Bytes: len(e.Data)}
	switch e.Kind {
	case core.EntryCommand:
		shown.Text = machine.Describe(e.Data)
	case core.EntryConfiguration:
		if c, err := membership.Decode(e.Data); err == nil {
			shown.Text = c.String()
		}
	}
	return shown
}
