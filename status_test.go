package troupe_test

import (
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// references adds where the slices and maps of v are kept, by the path to each.
// Errors are left out: nobody changes them.
func references(v reflect.Value, path string, found map[uintptr]string) {
	switch v.Kind() {
	case reflect.Slice:
		if v.Cap() > 0 {
			found[v.Pointer()] = path
		}
		for i := range v.Len() {
			references(v.Index(i), path+"[]", found)
		}
	case reflect.Map:
		if !v.IsNil() {
			found[v.Pointer()] = path
		}
		for _, k := range v.MapKeys() {
			references(v.MapIndex(k), path+"[]", found)
		}
	case reflect.Pointer, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		if !v.IsNil() {
			found[v.Pointer()] = path
		}
	case reflect.Struct:
		for i := range v.NumField() {
			references(v.Field(i), path+"."+v.Type().Field(i).Name, found)
		}
	}
}

// taggedCluster is a formed cluster whose members have tags.
func taggedCluster(t *testing.T, nodes int) (*cluster, []troupe.Member) {
	t.Helper()
	c := newCluster(t, nodes, config())
	list := c.list()
	for i := range list {
		list[i].Tags = map[string]string{"zone": "a"}
	}
	if err := c.members[0].raft.Bootstrap(within(t, 20*time.Second), list...); err != nil {
		t.Fatal(err)
	}
	return c, list
}

// TestStatusSharesNothing: no two of the values that a handle returns have a slice
// or a map in common, so that none has one of the engine's.
func TestStatusSharesNothing(t *testing.T) {
	c, _ := taggedCluster(t, 3)
	raft := c.leader().raft
	next := func() (s troupe.Status) {
		for s = range raft.Watch(within(t, 20*time.Second)) {
			break
		}
		return s
	}
	waited := func() (s troupe.Status) {
		if err := raft.Wait(within(t, 20*time.Second), func(now troupe.Status) bool { s = now; return true }); err != nil {
			t.Fatal(err)
		}
		return s
	}
	members := func() (s troupe.Status) {
		s.Configuration = raft.Members()
		return s
	}
	check := func(name string, returned ...func() troupe.Status) {
		all := map[uintptr]string{}
		statuses := make([]troupe.Status, 0, 2*len(returned)) // kept, so that no address is used again
		for _, f := range slices.Concat(returned, returned) {
			s := f()
			statuses = append(statuses, s)
			s.Err = nil
			found := map[uintptr]string{}
			references(reflect.ValueOf(s), "Status", found)
			if len(found) < 5 {
				t.Errorf("%s: %d references, not even those of three members: %v", name, len(found), found)
			}
			for at, path := range found {
				if other, ok := all[at]; ok {
					t.Errorf("%s: %s is shared with %s", name, path, other)
				}
				all[at] = path
			}
		}
		runtime.KeepAlive(statuses)
	}
	check("while it runs", raft.Status, members, next, waited)
	raft.Kill()
	check("after the end", raft.Status, members, next)
}

// TestMembersMayBeChanged: whoever sorts what he was given sorts his own copy. The
// engine looks members up by their order.
func TestMembersMayBeChanged(t *testing.T) {
	c, list := taggedCluster(t, 3)
	leader := c.leader()
	want := leader.raft.Members()
	spoil := func(k troupe.Configuration) {
		slices.Reverse(k.Members) // as for a page that shows the newest first
		slices.Reverse(k.Voters)
		for i := range k.Members {
			k.Members[i].Tags["zone"] = "b"
		}
		clear(k.Voters)
	}
	spoil(leader.raft.Members())
	spoil(leader.raft.Status().Configuration)
	for s := range leader.raft.Watch(within(t, 20*time.Second)) {
		spoil(s.Configuration)
		break
	}
	for i := range list {
		list[i].Tags["zone"] = "c" // what Bootstrap was given
	}
	leader.propose(t, "after")
	if got := leader.raft.Members(); !got.Equal(&want) {
		t.Errorf("the configuration is %+v, was %+v", got, want)
	}
	if got := want.Members[2].Tags["zone"]; got != "a" {
		t.Errorf("the tag of node 3 is %q", got)
	}
}

// TestEventsHoldNoReference: an event is given to several takers as it is.
func TestEventsHoldNoReference(t *testing.T) {
	var walk func(of reflect.Type, path string)
	walk = func(of reflect.Type, path string) {
		switch of.Kind() {
		case reflect.Struct:
			for i := range of.NumField() {
				walk(of.Field(i).Type, path+"."+of.Field(i).Name)
			}
		case reflect.Array:
			walk(of.Elem(), path+"[]")
		case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
			t.Errorf("%s is a %v: two takers of an event would share it", path, of)
		}
	}
	walk(reflect.TypeFor[troupe.Event](), "Event")
}
