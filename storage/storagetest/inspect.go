package storagetest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// InspectLogStore runs the suite of stores that can be opened for inspection
// only: inspect does that, and makes nothing where there is no store.
func InspectLogStore(t *testing.T, open, inspect OpenLog) {
	cases := []struct {
		name string
		run  func(*inspection)
	}{
		{"Everything", inspectEverything},
		{"Refused", inspectRefused},
		{"Crashed", inspectCrashed},
		{"NothingIsWritten", inspectionWritesNothing},
		{"NoStore", inspectNoStore},
		{"OtherNode", inspectOtherNode},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := &home{T: t, opener: open, dir: t.TempDir(), model: model{}}
			defer h.close()
			c.run(&inspection{home: h, inspect: inspect})
		})
	}
}

// inspection is a store that is opened in both ways.
type inspection struct {
	*home
	inspect OpenLog
}

// written makes a store with something of everything in it, and leaves it open.
func (i *inspection) written() kept {
	i.Helper()
	i.open()
	made := newHistory(41)
	made.largeMax = 4 << 10
	for n := range 20 {
		i.write(made.batch(n%5 == 0).Operations...)
	}
	i.keep(peer(1, 4))
	i.promise(time.Second)
	return i.kept(time.Second)
}

// inspected opens the store for inspection, in the place of the one that is
// closed, and compares what it holds.
func (i *inspection) inspected(want kept, counter uint64, refused string) {
	i.Helper()
	before := takeImage(i.T, i.dir)
	store, err := i.inspect(i.dir, node)
	if err != nil {
		i.Fatal(err)
	}
	i.store = store
	if err := want.differs(i.T, store); err != nil {
		i.Fatal(err)
	}
	if after := takeImage(i.T, i.dir); !reflect.DeepEqual(before, after) {
		i.Fatalf("an inspection has changed files: there were %d and are %d", len(before), len(after))
	}
	h := store.Header()
	if h.Node != node || h.Incarnation == 0 || h.StartCounter != counter || h.Refused != refused {
		i.Fatalf("header %+v, want start counter %d, refused for %q", h, counter, refused)
	}
	if l := store.Limits(); l.EntryBytesMax < 1 || l.BatchBytesMax < 1 || l.BatchEntriesMax < 1 {
		i.Fatalf("limits %+v", l)
	}
}

func inspectEverything(i *inspection) {
	want := i.written()
	i.reopen()
	i.close()
	for range 3 {
		i.inspected(want, 2, "")
		i.close()
	}
	i.open()
	if n := i.store.Header().StartCounter; n != 3 {
		i.Fatalf("start counter %d after inspections, want 3", n)
	}
	i.check()
}

// inspectRefused: rule 17: neither the attempts to open a refused store nor the
// inspections raise its start counter.
func inspectRefused(i *inspection) {
	want := i.written()
	i.refuse("an old copy")
	i.close()
	for range 3 {
		i.checkRefused()
		i.inspected(want, 1, "an old copy")
		i.close()
	}
	i.checkRefused()
}

// inspectCrashed inspects what a killed process leaves, if the store lives in
// files.
func inspectCrashed(i *inspection) {
	want := i.written()
	for _, refused := range []string{"", "an old copy"} {
		if refused != "" {
			i.refuse(refused)
		}
		im := takeImage(i.T, i.dir)
		if len(im) == 0 {
			i.Skip("the store keeps nothing in its directory")
		}
		copied := &inspection{home: &home{T: i.T, opener: i.opener, dir: im.restore(i.T), model: model{}}, inspect: i.inspect}
		for range 2 {
			copied.inspected(want, 1, refused)
			copied.close()
		}
	}
}

func inspectionWritesNothing(i *inspection) {
	want := i.written()
	i.close()
	i.inspected(want, 1, "")
	ctx := i.Context()
	for what, err := range map[string]error{
		"Write":         i.store.Write(ctx, &storage.Batch{Operations: []storage.Operation{{Group: 1, HardState: &core.HardState{Term: 99}}}}),
		"RecordPromise": i.store.RecordPromise(ctx, time.Hour),
		"Refuse":        i.store.Refuse(ctx, "inspected"),
		"KeepPeer":      i.store.KeepPeer(ctx, peer(9, 9)),
	} {
		if !errors.Is(err, storage.ErrInspection) {
			i.Errorf("%s: %v", what, err)
		}
	}
	if err := want.differs(i.T, i.store); err != nil {
		i.Fatal(err)
	}
	i.reopen()
	if err := want.differs(i.T, i.store); err != nil {
		i.Fatal(err)
	}
}

func inspectNoStore(i *inspection) {
	store, err := i.inspect(i.dir, node)
	if !errors.Is(err, storage.ErrNotFound) {
		if err == nil {
			err = store.Close()
		}
		i.Fatalf("inspected where there is none: %v", err)
	}
	if im := takeImage(i.T, i.dir); len(im) != 0 {
		i.Fatalf("%d files were made", len(im))
	}
	i.open()
	if n := i.store.Header().StartCounter; n != 1 {
		i.Fatalf("start counter %d", n)
	}
}

func inspectOtherNode(i *inspection) {
	i.written()
	i.close()
	store, err := i.inspect(i.dir, node+1)
	var wrong *storage.WrongNodeError
	if !errors.As(err, &wrong) {
		if err == nil {
			err = store.Close()
		}
		i.Fatalf("inspected for another node: %v", err)
	}
}
