package membership

import (
	"maps"
	"slices"
	"testing"
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
