package storagetest

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

func header(h *home) {
	got := h.store.Header()
	if got.Node != node || got.Incarnation == 0 || got.StartCounter != 1 || got.Promise != 0 || got.Refused != "" {
		h.Fatalf("header %+v", got)
	}
}

func startCounterRises(h *home) {
	for n := uint64(1); n < 5; n++ {
		if got := h.store.Header().StartCounter; got != n {
			h.Fatalf("start counter %d, want %d", got, n)
		}
		h.reopen()
	}
}

func (h *home) promise(d time.Duration) {
	h.Helper()
	if err := h.store.RecordPromise(h.Context(), d); err != nil {
		h.Fatal(err)
	}
}

func (h *home) checkPromise(want time.Duration) {
	h.Helper()
	if got := h.store.Header().Promise; got != want {
		h.Fatalf("promise %v, want %v", got, want)
	}
}

func promiseKept(h *home) {
	h.promise(time.Second)
	h.checkPromise(0) // the header keeps what it said at opening
	h.promise(3 * time.Second)
	for range 2 {
		h.reopen()
		h.checkPromise(3 * time.Second)
	}
	h.append(1, 1, 3)
	h.check()
	h.checkPromise(3 * time.Second)
}

// promiseLowered: rule 13: what was served comes down, in the same life as it
// was recorded and in a later one, down to nothing, and rises again.
func promiseLowered(h *home) {
	h.promise(3 * time.Second)
	h.promise(2 * time.Second)
	h.reopen()
	h.checkPromise(2 * time.Second)
	h.promise(time.Second)
	h.checkPromise(2 * time.Second) // the header keeps what it said at opening
	h.reopen()
	h.checkPromise(time.Second)
	h.promise(time.Second)
	h.reopen()
	h.checkPromise(time.Second)
	h.promise(0)
	for range 2 {
		h.reopen()
		h.checkPromise(0)
	}
	h.promise(time.Hour)
	h.promise(time.Second)
	h.promise(time.Minute)
	h.reopen()
	h.checkPromise(time.Minute)
}

func promiseOfEveryLength(h *home) {
	for _, d := range []time.Duration{1<<63 - 1, 1, 1<<32 + 1, time.Millisecond - 1} {
		h.promise(d)
		h.reopen()
		h.checkPromise(d)
	}
	if err := h.store.RecordPromise(h.Context(), -1); err == nil {
		h.Fatal("a negative promise was recorded")
	}
	h.reopen()
	h.checkPromise(time.Millisecond - 1)
}

// promiseBesideWrites: neither undoes the other.
func promiseBesideWrites(h *home) {
	made := newHistory(17)
	for i := range 20 {
		d := time.Duration(20-i) * time.Second
		h.write(made.batch(true).Operations...)
		h.promise(d)
		h.write(made.batch(i%2 == 0).Operations...)
		if i%5 == 4 {
			h.check()
			h.checkPromise(d)
		}
	}
}

func (h *home) refuse(reason string) {
	h.Helper()
	if err := h.store.Refuse(h.Context(), reason); err != nil {
		h.Fatal(err)
	}
}

// checkRefused tries to open the closed store, and returns the reason that it
// tells.
func (h *home) checkRefused() string {
	h.Helper()
	store, err := h.opener(h.dir, node)
	var refused *storage.RefusedError
	if !errors.As(err, &refused) {
		if err == nil {
			err = store.Close()
		}
		h.Fatalf("a refused store was opened: %v", err)
	}
	if refused.Reason == "" || refused.Store == "" {
		h.Fatalf("error %+v", refused)
	}
	return refused.Reason
}

// refused: rule 17: nothing is written any more, in this life or another one.
func refused(h *home) {
	h.append(1, 1, 3)
	h.promise(time.Second)
	h.reopen()
	h.refuse("node 2 has seen start 9")
	var refused *storage.RefusedError
	err := h.store.Write(h.Context(), &storage.Batch{Operations: []storage.Operation{{Group: 1, HardState: &core.HardState{Term: 9}}}})
	if !errors.As(err, &refused) || refused.Reason != "node 2 has seen start 9" {
		h.Fatalf("Write: %v", err)
	}
	if err := h.store.RecordPromise(h.Context(), time.Hour); !errors.As(err, &refused) {
		h.Fatalf("RecordPromise: %v", err)
	}
	if err := h.model.differs(h.T, h.store); err != nil {
		h.Fatalf("what it holds is not read any more: %v", err)
	}
	if got := h.store.Header().Refused; got != "" {
		h.Fatalf("refused for %q: the header must keep what it said at opening", got)
	}
	h.close()
	for range 3 {
		if got := h.checkRefused(); got != "node 2 has seen start 9" {
			h.Fatalf("refused for %q", got)
		}
	}
	other := &home{T: h.T, opener: h.opener, dir: h.TempDir(), model: model{}}
	other.open()
	other.close()
}

func refusedForTheFirstReason(h *home) {
	h.refuse("the first")
	h.refuse("the second")
	h.close()
	if got := h.checkRefused(); got != "the first" {
		h.Fatalf("refused for %q", got)
	}
}

func refusedWithoutAReason(h *home) {
	if err := h.store.Refuse(h.Context(), ""); err == nil {
		h.Fatal("a refusal without a reason")
	}
	h.append(1, 1, 3)
	h.check()
	if got := h.store.Header().StartCounter; got != 2 {
		h.Fatalf("start counter %d, want 2", got)
	}
}

func refusedForALongReason(h *home) {
	long := "x" + strings.Repeat("é", storage.RefusalBytesMin) // a character lies across the bound
	h.refuse(long)
	h.close()
	if got := h.checkRefused(); !strings.HasPrefix(long, got) || !utf8.ValidString(got) || len(got) <= storage.RefusalBytesMin-4 {
		h.Fatalf("refused for %q", got)
	}
}
