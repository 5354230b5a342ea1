package storagetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// DurableLogStore damages copies of the directory of a store that keeps all it
// has in there. The copies are what a killed process leaves: the store goes on
// unawares. What opens must be everything acknowledged, or else an error that
// wraps core.ErrCorrupt comes from opening, or for some groups from Load or Read: the
// others must be whole then. cases is how many damages of each kind of directory are
// tried.
func DurableLogStore(t *testing.T, open OpenLog, cases int) {
	t.Run("Undamaged", func(t *testing.T) { undamaged(t, open) })
	t.Run("CopiedWhileWriting", func(t *testing.T) { copiedWhileWriting(t, open) })
	t.Run("CopiedAfterEach", func(t *testing.T) { copiedAfterEach(t, open) })
	t.Run("DamagedRefused", func(t *testing.T) { damagedRefused(t, open, cases) })
	for _, kind := range []struct {
		name string
		// closed: the store was closed and opened once in the middle.
		closed bool
		// tail: batches follow the last hard state.
		tail bool
		// promised: a longer promise comes last, so that nothing may be lost.
		promised bool
	}{
		{name: "Damaged"},
		{name: "DamagedAfterReopen", closed: true},
		{name: "DamagedTail", closed: true, tail: true},
		{name: "DamagedPromise", tail: true, promised: true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			h, allowed := written(t, open, kind.closed, kind.tail)
			defer h.close()
			if kind.promised {
				h.promise(time.Hour)
				allowed = []kept{h.kept(time.Hour)}
			}
			im := takeImage(t, h.dir)
			if _, refused := openImage(t, open, im, allowed); refused != nil {
				t.Fatalf("undamaged: %v", refused)
			}
			random := rand.New(rand.NewPCG(11, 12))
			opened, refused := 0, 0
			for turn := range cases {
				bad, what := im.damage(random, turn)
				may := allowed
				if len(bad) < len(im) {
					may = withoutPeers(allowed)
				}
				found, err := openImage(t, open, bad, may)
				switch {
				case err == nil:
					opened++
				case errors.Is(err, core.ErrCorrupt):
					refused++
				default:
					t.Errorf("%s: %v, which does not wrap core.ErrCorrupt (state %d of %d)", what, err, found, len(allowed))
				}
			}
			t.Logf("%d damages: %d harmless, %d refused", cases, opened, refused)
			if refused == 0 {
				t.Error("no damage was refused")
			}
		})
	}
}

// kept is what a store holds at some time.
type kept struct {
	model
	promise time.Duration
	peers   []storage.Peer
}

// kept is what the store of h holds now, with the promise that was recorded.
func (h *home) kept(promise time.Duration) kept {
	return kept{model: h.model.clone(), promise: promise, peers: h.store.Peers()}
}

// withoutPeers are the states and the same without peers: a store may not know
// that they were removed.
func withoutPeers(allowed []kept) (more []kept) {
	for _, k := range allowed {
		k.peers = nil
		more = append(more, k)
	}
	return append(more, allowed...)
}

func (k *kept) differs(t *testing.T, store storage.LogStore) error {
	t.Helper()
	if got := store.Header().Promise; got != k.promise {
		return fmt.Errorf("%w: promise %v, want %v", errDiffers, got, k.promise)
	}
	if got := store.Peers(); !slices.Equal(got, k.peers) {
		return fmt.Errorf("%w: peers %+v, want %+v", errDiffers, got, k.peers)
	}
	return k.model.differs(t, store)
}

// written makes a store with a history, and the states that may be found in an
// image of it, the newest last.
func written(t *testing.T, open OpenLog, closed, tail bool) (*home, []kept) {
	t.Helper()
	h := &home{T: t, opener: open, dir: t.TempDir(), model: model{}}
	h.open()
	made := newHistory(21)
	made.largeMax = 40 << 10
	for i := range 60 {
		h.write(made.batch(i%20 == 0).Operations...)
		if closed && i == 30 {
			h.reopen()
		}
		if i%20 == 10 {
			h.promise(time.Duration(60-i) * time.Second)
			h.keep(peer(membership.NodeID(i), 1))
		}
	}
	h.write(made.batch(true).Operations...)
	const promise = 10 * time.Second
	allowed := []kept{h.kept(promise)}
	if tail {
		for range 20 {
			h.write(made.batch(false).Operations...)
			allowed = append(allowed, h.kept(promise))
		}
	}
	return h, allowed
}

// openImage opens the image in a directory of its own and returns which of the
// states it finds, or an error of the store, or errDiffers.
func openImage(t *testing.T, open OpenLog, im image, allowed []kept) (found int, err error) {
	t.Helper()
	store, err := open(im.restore(t), node)
	if err != nil {
		return -1, err
	}
	defer func() {
		if e := store.Close(); e != nil && err == nil {
			err = e
		}
	}()
	for i := len(allowed) - 1; i >= 0; i-- {
		if err = allowed[i].differs(t, store); err == nil || !errors.Is(err, errDiffers) {
			return i, err
		}
	}
	return -1, err
}

func undamaged(t *testing.T, open OpenLog) {
	for _, closed := range []bool{false, true} {
		h, allowed := written(t, open, closed, true)
		im := takeImage(t, h.dir)
		h.close()
		for range 2 {
			found, err := openImage(t, open, im, allowed)
			if err != nil || found != len(allowed)-1 {
				t.Errorf("state %d of %d: %v", found, len(allowed), err)
			}
		}
	}
}

// copiedWhileWriting copies the directory of a store that is being written to.
// A copy that took long is not what any crash leaves, so that it may be
// refused; but it may not lack what was acknowledged before it began. Promises
// rise and fall meanwhile: one of them is recorded.
func copiedWhileWriting(t *testing.T, open OpenLog) {
	h := &home{T: t, opener: open, dir: t.TempDir(), model: model{}}
	h.open()
	defer h.close()
	made := newHistory(31)
	made.largeMax = 4 << 10
	promise := time.Duration(0)
	for range 4 {
		h.write(made.batch(true).Operations...)
		allowed := []kept{h.kept(promise)}
		var im image
		var err error
		copied := make(chan struct{})
		go func() {
			defer close(copied)
			im, err = copyDir(h.dir)
		}()
		for i := range 30 {
			h.write(made.batch(i%5 == 4).Operations...)
			allowed = append(allowed, h.kept(promise))
			if i%3 == 0 {
				promise = time.Duration(1+i*7%30) * time.Second
				h.promise(promise)
				allowed = append(allowed, h.kept(promise))
			}
		}
		<-copied
		if err != nil {
			t.Fatal(err)
		}
		if _, err := openImage(t, open, im, allowed); err != nil && !errors.Is(err, core.ErrCorrupt) {
			t.Error(err)
		}
	}
}

// copiedAfterEach copies the directory after each of the calls that write: what
// was acknowledged is there, as soon as it was.
func copiedAfterEach(t *testing.T, open OpenLog) {
	h := &home{T: t, opener: open, dir: t.TempDir(), model: model{}}
	h.open()
	defer h.close()
	promise := time.Duration(0)
	check := func(after string) {
		t.Helper()
		if _, err := openImage(t, open, takeImage(t, h.dir), []kept{h.kept(promise)}); err != nil {
			t.Errorf("after %s: %v", after, err)
		}
	}
	for i, d := range []time.Duration{time.Minute, time.Second, 0, time.Hour} {
		h.append(1, core.Index(3*i+1), 3)
		check("entries")
		h.write(storage.Operation{Group: 1, Commit: core.Index(3*i + 1)})
		check("a commit")
		h.write(storage.Operation{Group: 1, Purge: id(1, core.Index(3*i+1))})
		check("a purge")
		promise = d
		h.promise(d)
		check(fmt.Sprintf("the promise of %v", d))
		grant := core.Grant{To: peer(2, 1).Identity, Attempt: uint64(i%2) + 1, LengthMillis: 10_000}
		h.write(storage.Operation{Group: 1, HardState: &core.HardState{Grant: grant}})
		check("a grant")
		h.keep(peer(1, uint64(i)+1))
		check("a peer")
	}
}

// damagedRefused damages a store that was refused: in no state may it be opened
// again.
func damagedRefused(t *testing.T, open OpenLog, cases int) {
	h, _ := written(t, open, true, true)
	defer h.close()
	h.refuse("an old copy")
	im := takeImage(t, h.dir)
	random := rand.New(rand.NewPCG(13, 14))
	for turn := range cases {
		bad, what := im.damage(random, turn)
		store, err := open(bad.restore(t), node)
		var refused *storage.RefusedError
		switch {
		case err == nil:
			t.Errorf("%s: opened", what)
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		case errors.As(err, &refused) && refused.Reason != "an old copy":
			t.Errorf("%s: refused for %q", what, refused.Reason)
		case !errors.As(err, &refused) && !errors.Is(err, core.ErrCorrupt):
			t.Errorf("%s: %v", what, err)
		}
	}
}
