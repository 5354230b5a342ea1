package storagetest

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/trouperaft/troupe/core"
)

// DurableLogStore damages copies of the directory of a store that keeps all it
// has in there. The copies are what a killed process leaves: the store goes on
// unawares. What opens must be everything acknowledged, or else an error that
// wraps core.ErrCorrupt comes from opening, Load or Read. cases is how many
// damages of each kind of directory are tried.
func DurableLogStore(t *testing.T, open OpenLog, cases int) {
	t.Run("Undamaged", func(t *testing.T) { undamaged(t, open) })
	t.Run("CopiedWhileWriting", func(t *testing.T) { copiedWhileWriting(t, open) })
	for _, kind := range []struct {
		name string
		// closed: the store was closed and opened once in the middle.
		closed bool
		// tail: batches follow the last hard state.
		tail bool
	}{
		{name: "Damaged"},
		{name: "DamagedAfterReopen", closed: true},
		{name: "DamagedTail", closed: true, tail: true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			im, allowed := writtenImage(t, open, kind.closed, kind.tail)
			if _, refused := openImage(t, open, im, allowed); refused != nil {
				t.Fatalf("undamaged: %v", refused)
			}
			random := rand.New(rand.NewPCG(11, 12))
			opened, refused := 0, 0
			for turn := range cases {
				bad, what := im.damage(random, turn)
				found, err := openImage(t, open, bad, allowed)
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

// writtenImage writes a history and returns the directory as it is then, and
// the states that may be found in an image of it, the newest last.
func writtenImage(t *testing.T, open OpenLog, closed, tail bool) (image, []model) {
	t.Helper()
	h := &home{T: t, opener: open, dir: t.TempDir(), model: model{}}
	h.open()
	defer h.close()
	made := newHistory(21)
	made.largeMax = 40 << 10
	for i := range 60 {
		h.write(made.batch(i%20 == 0).Operations...)
		if closed && i == 30 {
			h.reopen()
		}
	}
	h.write(made.batch(true).Operations...)
	allowed := []model{h.model.clone()}
	if tail {
		for range 20 {
			h.write(made.batch(false).Operations...)
			allowed = append(allowed, h.model.clone())
		}
	}
	return takeImage(t, h.dir), allowed
}

// openImage opens the image in a directory of its own and returns which of the
// states it finds, or an error of the store, or errDiffers.
func openImage(t *testing.T, open OpenLog, im image, allowed []model) (found int, err error) {
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
		im, allowed := writtenImage(t, open, closed, true)
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
// refused; but it may not lack what was acknowledged before it began.
func copiedWhileWriting(t *testing.T, open OpenLog) {
	h := &home{T: t, opener: open, dir: t.TempDir(), model: model{}}
	h.open()
	defer h.close()
	made := newHistory(31)
	made.largeMax = 4 << 10
	for range 4 {
		h.write(made.batch(true).Operations...)
		allowed := []model{h.model.clone()}
		var im image
		var err error
		copied := make(chan struct{})
		go func() {
			defer close(copied)
			im, err = copyDir(h.dir)
		}()
		for i := range 30 {
			h.write(made.batch(i%5 == 4).Operations...)
			allowed = append(allowed, h.model.clone())
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
