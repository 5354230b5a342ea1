package membership

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

// randomConfiguration returns a valid configuration.
func randomConfiguration(seed uint64) Configuration {
	r := rand.New(rand.NewPCG(seed, 2))
	text := func(n int) string {
		b := make([]byte, r.IntN(n))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	draw := func() Member {
		m := Member{Identity: Identity{NodeID(1 + r.Uint64N(20)), Incarnation(r.Uint64())}, Address: text(12), Priority: r.Uint32() >> r.IntN(33), Standby: r.IntN(2) == 0}
		for range r.IntN(3) {
			if m.Tags == nil {
				m.Tags = map[string]string{}
			}
			m.Tags[text(5)] = text(9)
		}
		return m
	}
	half := func(all []Member) []Identity {
		var ids []Identity
		for _, m := range all {
			if n := len(ids); n > 0 && ids[n-1].ID == m.ID || n > 0 && r.IntN(2) == 0 {
				continue
			}
			ids = append(ids, m.Identity)
		}
		return ids
	}
	distinct := func(list []Member, same func(a, b Member) bool) []Member {
		return slices.CompactFunc(sortMembers(list), same)
	}
	var c Configuration
	for range 1 + r.IntN(6) {
		c.Members = append(c.Members, draw())
	}
	c.Members = distinct(c.Members, func(a, b Member) bool { return a.Identity == b.Identity })
	c.Voters = half(c.Members)
	if r.IntN(2) == 0 {
		c.Outgoing = half(c.Members)
	}
	if t := (&Target{ID: ChangeID(r.Uint64() | 1), KeepAdded: r.IntN(2) == 0, Automatic: r.IntN(2) == 0}); r.IntN(3) > 0 {
		for range 1 + r.IntN(4) {
			t.Members = append(t.Members, draw())
		}
		t.Members = distinct(t.Members, func(a, b Member) bool { return a.ID == b.ID })
		t.Voters = half(t.Members)
		switch {
		case r.IntN(2) == 0:
			t = &Target{Founding: true, Members: t.Members, Voters: identitiesOf(t.Members)}
		case r.IntN(2) == 0:
			t.Added = half(t.Members)
			fallthrough
		default:
			t.Since, t.CatchUpLimit = int64(r.Uint64()), time.Duration(r.IntN(100_000))*time.Millisecond
		}
		c.Outgoing = nil // else the halves and the target would have to agree
		c.Target, c.Founding = t, FoundingOf(t.Members)
	}
	if r.IntN(2) == 0 {
		c.Last = Outcome{ID: ChangeID(r.Uint64() | 1), Result: Result(1 + r.IntN(6)), Node: NodeID(r.IntN(5)), LagEntries: r.Uint64() >> r.IntN(65), SilentMillis: int64(r.IntN(1000)) - 1}
	}
	if r.IntN(3) == 0 {
		c.Recovered = &Recovery{From: [16]byte{byte(r.Uint32()), 15: 7}, Index: r.Uint64() | 1, Without: half(c.Members)}
	}
	return c
}

func TestEncodingRoundTrip(t *testing.T) {
	property := func(seed uint64) bool {
		c := randomConfiguration(seed)
		if err := c.Validate(); err != nil {
			t.Errorf("the test made an invalid configuration: %v", err)
			return false
		}
		data := c.Encode()
		d, err := Decode(data)
		return err == nil && c.Equal(&d) && d.Equal(&c) && slices.Equal(data, d.Encode())
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 3000}); err != nil {
		t.Error(err)
	}
}

// TestEncodingVersions: a reader of version 1 reads all but a change under way, which
// it would not finish.
func TestEncodingVersions(t *testing.T) {
	c := cluster([]NodeID{1, 2, 3})
	c.Last = Outcome{ID: 3, Result: ResultCancelled}
	for want, target := range map[byte]*Target{encodingVersionTarget: target(1, 2), encodingVersion: {Founding: true, Members: members(1), Voters: voters(1)}} {
		if c.Target = target; c.Encode()[0] != want {
			t.Errorf("%+v is written in version %d, want %d", target, c.Encode()[0], want)
		}
	}
	if c.Target = nil; c.Encode()[0] != encodingVersion {
		t.Error("version 1 is enough where nothing is under way")
	}
}

// TestTargetEqualSeesEverything likewise.
func TestTargetEqualSeesEverything(t *testing.T) {
	changes := map[string]func(t *Target){
		"id": func(t *Target) { t.ID++ }, "automatic": func(t *Target) { t.Automatic = true }, "members": func(t *Target) { t.Members[1].Address = "x" },
		"voters": func(t *Target) { t.Voters = t.Voters[:1] }, "added": func(t *Target) { t.Added = voters(2) }, "keep": func(t *Target) { t.KeepAdded = true },
		"since": func(t *Target) { t.Since++ }, "limit": func(t *Target) { t.CatchUpLimit += time.Millisecond },
	}
	a := cluster([]NodeID{1, 2})
	a.Target = target(1, 2)
	for name, change := range changes {
		b := a.Clone()
		change(b.Target)
		if a.Equal(&b) || b.Equal(&a) || slices.Equal(a.Encode(), b.Encode()) {
			t.Errorf("%s: the difference was not seen", name)
		}
	}
}

// TestEqualSeesEverything: Equal and the encoding tell the same things apart.
func TestEqualSeesEverything(t *testing.T) {
	changes := map[string]func(c *Configuration){
		"address":       func(c *Configuration) { c.Members[0].Address = "other" },
		"priority":      func(c *Configuration) { c.Members[0].Priority++ },
		"standby":       func(c *Configuration) { c.Members[0].Standby = !c.Members[0].Standby },
		"a tag's value": func(c *Configuration) { c.Members[0].Tags = map[string]string{"k": "w"} },
		"a tag's key":   func(c *Configuration) { c.Members[0].Tags = map[string]string{"l": "v"} },
		"one tag more":  func(c *Configuration) { c.Members[0].Tags = map[string]string{"k": "v", "l": ""} },
		"no tags":       func(c *Configuration) { c.Members[0].Tags = nil },
		"incarnation":   func(c *Configuration) { c.Members[3].Incarnation++ },
		"voters":        func(c *Configuration) { c.Voters = voters(1, 2) },
		"outgoing":      func(c *Configuration) { c.Outgoing = voters(1) },
		"a target":      func(c *Configuration) { c.Target = target(1) },
		"a founding":    func(c *Configuration) { c.Target = &Target{Founding: true, Members: members(1), Voters: voters(1)} },
		"an outcome":    func(c *Configuration) { c.Last = Outcome{ID: 1, Result: ResultDone} },
		"members":       func(c *Configuration) { c.Members = c.Members[:3] },
		"founding":      func(c *Configuration) { c.Founding[15]++ },
		"no recovery":   func(c *Configuration) { c.Recovered = nil },
		"a hash":        func(c *Configuration) { c.Recovered.From[15]++ },
		"an index":      func(c *Configuration) { c.Recovered.Index++ },
		"left behind":   func(c *Configuration) { c.Recovered.Without = voters(8) },
		"no founding":   func(c *Configuration) { c.Founding = Founding{} },
	}
	build := func() Configuration {
		c := cluster([]NodeID{1, 2, 3}, 4)
		c.Members[0].Tags = map[string]string{"k": "v"}
		c.Founding = FoundingOf(c.Members)
		c.Recovered = &Recovery{From: [16]byte{1}, Index: 7, Without: voters(8, 9)}
		return c
	}
	a, same := build(), build()
	if !a.Equal(&same) || !slices.Equal(a.Encode(), same.Encode()) {
		t.Fatal("equal configurations differ")
	}
	for name, change := range changes {
		b := build()
		change(&b)
		if a.Equal(&b) || b.Equal(&a) || slices.Equal(a.Encode(), b.Encode()) {
			t.Errorf("%s: the difference was not seen", name)
		}
	}
}

// TestDecodeSkipsUnknownFields: what a later version adds does not keep this one
// from reading.
func TestDecodeSkipsUnknownFields(t *testing.T) {
	c := cluster([]NodeID{1, 2, 3})
	data := appendField(c.Encode(), 99, []byte("from a later version"))
	data = appendField(data, 1<<40, nil)
	d, err := Decode(data)
	if err != nil || !c.Equal(&d) {
		t.Errorf("%v, %v", &d, err)
	}
	inner := appendField(appendMember(nil, member(4, 7)), 77, []byte{1, 2, 3})
	d, err = Decode(appendField(c.Encode(), fieldMember, inner))
	if _, ok := d.Member(Identity{4, 7}); err != nil || !ok {
		t.Errorf("a field within a member: %v, %v", &d, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	c := cluster([]NodeID{1, 2, 3})
	whole := c.Encode()
	overflow := strings.Repeat("\xff", 10) + "\x7f"
	tests := map[string][]byte{
		"nothing":                     nil,
		"another version":             append([]byte{3}, whole[1:]...),
		"a version alone":             {encodingVersion},
		"a length beyond the end":     append(slices.Clone(whole), 99, 5, 1),
		"a tag that does not end":     append(slices.Clone(whole), 0x80),
		"a length that does not end":  append(slices.Clone(whole), 99, 0x80),
		"a length that overflows":     append(append(slices.Clone(whole), 99), overflow...),
		"a number with bytes behind":  appendField(slices.Clone(whole), fieldMember, appendField(nil, fieldID, []byte{4, 0})),
		"a priority beyond 32 bits":   appendField(slices.Clone(whole), fieldMember, appendNumber(appendIdentity(nil, Identity{4, 1}), fieldPriority, 1<<32)),
		"a key longer than its field": appendField(slices.Clone(whole), fieldMember, appendField(appendIdentity(nil, Identity{4, 1}), fieldTag, binary.AppendUvarint(nil, 3))),
		"a tag without a length":      appendField(slices.Clone(whole), fieldMember, appendField(appendIdentity(nil, Identity{4, 1}), fieldTag, nil)),
		"a founding hash of no byte":  appendField(slices.Clone(whole), fieldFounding, nil),
		"a shorter founding hash":     appendField(slices.Clone(whole), fieldFounding, make([]byte, 15)),
		"a longer founding hash":      appendField(slices.Clone(whole), fieldFounding, make([]byte, 17)),
		"a target and a founding": append(appendField(slices.Clone(whole), fieldTarget, appendTarget(nil, target(1, 2))),
			appendField(nil, fieldWanted, appendMember(nil, member(1, 16)))...),
		"two targets":               appendField(appendField(slices.Clone(whole), fieldTarget, appendTarget(nil, target(1))), fieldTarget, appendTarget(nil, target(1))),
		"a target of nobody":        appendField(slices.Clone(whole), fieldTarget, nil),
		"a limit beyond a duration": appendField(slices.Clone(whole), fieldTarget, appendNumber(nil, fieldCatchUpLimit, 1<<63)),
		"a result of 0":             appendField(slices.Clone(whole), fieldLast, appendField(nil, fieldResult, []byte{0})),
		"a result beyond a byte":    appendField(slices.Clone(whole), fieldLast, appendNumber(nil, fieldResult, 256)),
		"a hash of 15 bytes":        appendField(slices.Clone(whole), fieldRecovered, appendField(nil, fieldFrom, make([]byte, 15))),
		"a recovery by no entry":    appendField(slices.Clone(whole), fieldRecovered, nil),
		"two recoveries":            appendField(appendField(slices.Clone(whole), fieldRecovered, appendNumber(nil, fieldIndex, 1)), fieldRecovered, appendNumber(nil, fieldIndex, 1)),
		"what does not validate":    appendField(slices.Clone(whole), fieldVoter, appendIdentity(nil, Identity{9, 9})),
	}
	for name, data := range tests {
		if c, err := Decode(data); !errors.Is(err, ErrEncoding) || !c.IsZero() {
			t.Errorf("%s: %v, %v", name, &c, err)
		}
	}
	for n := range whole {
		if _, err := Decode(whole[:n]); err != nil && !errors.Is(err, ErrEncoding) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// TestDecodeRefusesTooMany: the first too many is refused when it is met, and what
// stands behind it is not read. Configurations come from the network.
func TestDecodeRefusesTooMany(t *testing.T) {
	one := cluster([]NodeID{1})
	begin := one.Encode()
	garbage := bytes.Repeat([]byte{0x80}, 20)
	in := func(field uint64) func(i int) []byte {
		return func(i int) []byte { return appendField(nil, field, []byte{1, 1, byte(i & 0x7f)}) }
	}
	asItIs := func(b []byte) []byte { return b }
	inTarget := func(b []byte) []byte { return appendField(nil, fieldTarget, b) }
	for name, list := range map[string]struct {
		item func(i int) []byte
		room int // for how many, beside what is there
		wrap func([]byte) []byte
		want string
	}{
		"members":         {in(fieldMember), MembersMax - 1, asItIs, "more than 255 members"},
		"voters":          {in(fieldVoter), MembersMax - 1, asItIs, "more than 255 voters"},
		"outgoing voters": {in(fieldOutgoing), MembersMax, asItIs, "more than 255 outgoing voters"},
		"wanted":          {in(fieldWanted), MembersMax, asItIs, "more than 255 wanted members"},
		"of a target":     {in(fieldMember), MembersMax, inTarget, "more than 255 wanted members"},
		"to vote":         {in(fieldVoter), MembersMax, inTarget, "more than 255 wanted voters"},
		"added":           {in(fieldAdded), MembersMax, inTarget, "more than 255 added members"},
		"tags": {in(fieldTag), TagsMax, func(b []byte) []byte {
			return appendField(nil, fieldMember, append(appendIdentity(nil, Identity{4, 1}), b...))
		}, "member 4: more than 64 tags"},
	} {
		var items []byte
		for i := range list.room {
			items = append(items, list.item(i)...)
		}
		_, err := Decode(append(slices.Clone(begin), list.wrap(append(slices.Clone(items), garbage...))...))
		if err == nil || !strings.Contains(err.Error(), "truncated") {
			t.Errorf("%s, as many as there may be: %v; want what is behind them to be read", name, err)
		}
		items = append(items, list.item(list.room)...)
		c, err := Decode(append(slices.Clone(begin), list.wrap(append(items, garbage...))...))
		if !errors.Is(err, ErrEncoding) || !strings.Contains(err.Error(), list.want) || !c.IsZero() {
			t.Errorf("%s, one too many: %v", name, err)
		}
	}
}

// TestDecodeKeepsNoReference: the bytes belong to the caller.
func TestDecodeKeepsNoReference(t *testing.T) {
	c := cluster([]NodeID{1, 2, 3})
	c.Members[0].Tags = map[string]string{"k": "v"}
	data := c.Encode()
	d, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		data[i] = 0xff
	}
	if !c.Equal(&d) {
		t.Error("the configuration changed with the bytes")
	}
}

// FuzzDecode: no input makes Decode panic, and what it accepts is valid and
// comes back from its own encoding.
func FuzzDecode(f *testing.F) {
	for seed := range uint64(8) {
		c := randomConfiguration(seed)
		f.Add(c.Encode())
	}
	f.Add([]byte{encodingVersion, fieldMember, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrEncoding) {
				t.Errorf("%v does not wrap ErrEncoding", err)
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("an invalid configuration was decoded: %v", err)
		}
		d, err := Decode(c.Encode())
		if err != nil || !c.Equal(&d) {
			t.Errorf("%+v came back as %+v, %v", c, d, err)
		}
	})
}
