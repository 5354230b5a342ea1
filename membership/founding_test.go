package membership

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"
)

// TestFoundingIsOfTheList: the same list has the same hash, whatever its order and
// whichever incarnations stand in it, and no two lists have the same.
func TestFoundingIsOfTheList(t *testing.T) {
	build := func() []Member {
		list := members(1, 2, 3)
		list[0].Tags = map[string]string{"k": "v", "zone": "a"}
		list[1].Priority = 7
		return list
	}
	founding := FoundingOf(build())
	if founding.IsZero() {
		t.Fatal("a list has the hash of none")
	}
	for name, change := range map[string]func(list []Member){
		"as it is":             func([]Member) {},
		"another order":        func(list []Member) { slices.Reverse(list) },
		"other incarnations":   func(list []Member) { list[0].Incarnation, list[2].Incarnation = 0, 1<<63 },
		"no tags, and no map":  func(list []Member) { list[2].Tags = map[string]string{} },
		"tags put in anew":     func(list []Member) { list[0].Tags = maps.Clone(list[0].Tags) },
		"incarnations by turn": func(list []Member) { list[0].Incarnation, list[1].Incarnation = 32, 16 },
	} {
		list := build()
		change(list)
		if got := FoundingOf(list); got != founding {
			t.Errorf("%s: another hash", name)
		}
	}
	seen := map[Founding]string{founding: "as it is", {}: "no list"}
	for name, change := range map[string]func(list []Member) []Member{
		"one member less":           func(list []Member) []Member { return list[:2] },
		"one member more":           func(list []Member) []Member { return append(list, member(4, 64)) },
		"another id":                func(list []Member) []Member { list[2].ID = 4; return list },
		"another address":           func(list []Member) []Member { list[2].Address = "host:2"; return list },
		"no address":                func(list []Member) []Member { list[2].Address = ""; return list },
		"another priority":          func(list []Member) []Member { list[1].Priority = 8; return list },
		"priorities changed over":   func(list []Member) []Member { list[0].Priority, list[1].Priority = 7, 0; return list },
		"a tag's other value":       func(list []Member) []Member { list[0].Tags["k"] = "w"; return list },
		"a tag's other key":         func(list []Member) []Member { list[0].Tags = map[string]string{"l": "v", "zone": "a"}; return list },
		"tags' values changed over": func(list []Member) []Member { list[0].Tags = map[string]string{"k": "a", "zone": "v"}; return list },
		"a key longer by its value": func(list []Member) []Member { list[0].Tags = map[string]string{"kv": "", "zone": "a"}; return list },
		"one tag more":              func(list []Member) []Member { list[0].Tags["l"] = ""; return list },
		"one tag less":              func(list []Member) []Member { delete(list[0].Tags, "k"); return list },
		"the tags at another":       func(list []Member) []Member { list[2].Tags, list[0].Tags = list[0].Tags, nil; return list },
	} {
		got := FoundingOf(change(build()))
		if other, ok := seen[got]; ok {
			t.Errorf("%s has the hash of: %s", name, other)
		}
		seen[got] = name
	}
	if !FoundingOf(nil).IsZero() {
		t.Error("no list has a hash")
	}
}

// TestFoundingDoesNotTouchTheList: the caller may use it in its order.
func TestFoundingDoesNotTouchTheList(t *testing.T) {
	list := members(3, 1, 2)
	FoundingOf(list)
	if list[0].ID != 3 || list[0].Incarnation != 48 {
		t.Errorf("the list is now %v", list)
	}
}

// TestFoundingIsStable: it stands on disks and is compared with what other
// versions made of the same list.
func TestFoundingIsStable(t *testing.T) {
	list := members(1, 2)
	list[1].Priority, list[1].Tags = 3, map[string]string{"zone": "a", "k": ""}
	if got, want := FoundingOf(list), (Founding{0x4a, 0x73, 0x71, 0x30, 0x43, 0x6c, 0x52, 0x3f, 0x76, 0x0d, 0x0f, 0x73, 0x1a, 0xeb, 0x0a, 0xe2}); got != want {
		t.Errorf("%#v, want %#v", got, want)
	}
	if got, want := (Founding{0x0a, 0xb1, 0xc2, 0xd3, 4}).String(), "0ab1c2d3"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

// TestFoundingIsCarried: random changes of a cluster's members never change what
// it was founded with.
func TestFoundingIsCarried(t *testing.T) {
	wanted := members(1, 2, 3)
	founding := FoundingOf(wanted)
	property := func(seed uint64) bool {
		r := rand.New(rand.NewPCG(seed, 3))
		c, err := Bootstrap(wanted[0].Identity, wanted)
		for range 20 {
			if err != nil || c.Founding != founding {
				t.Errorf("%v, founded with %v: %v", &c, c.Founding, err)
				return false
			}
			d, err := Decode(c.Encode())
			if err != nil || d.Founding != founding {
				t.Errorf("decoded: founded with %v: %v", d.Founding, err)
				return false
			}
			c = randomChange(r, c)
		}
		return true
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

// randomChange returns what a random change makes of c, or c if that change is
// refused.
func randomChange(r *rand.Rand, c Configuration) Configuration {
	var next Configuration
	var err error
	switch r.IntN(4) {
	case 0:
		next, err = c.AddLearners(member(NodeID(1+r.IntN(6)), Incarnation(1+r.IntN(3))*16))
	case 1:
		var half []Identity
		for _, m := range c.Members {
			if r.IntN(3) > 0 {
				half = append(half, m.Identity)
			}
		}
		next, err = c.EnterJoint(half)
	case 2:
		next, err = c.LeaveJoint(nil)
	default:
		if len(c.Wanted) == 0 {
			return c
		}
		old := c.Wanted[r.IntN(len(c.Wanted))].Identity
		next, err = c.ExchangeWanted(old, Identity{old.ID, Incarnation(1 + r.Uint64N(1000))})
	}
	if err != nil {
		return c
	}
	return next
}
