package powerloss

import (
	"bytes"
	"testing"
)

// needles are what some files begin with, so that a write of them is known.
var needles = [][]byte{[]byte("Bdgr\x00\x00\x00\x08"), []byte("troupeWM"), []byte("troupePE"), []byte("troupeSN")}

// TestRefusedWrites: the disk refuses single writes, of the log, of a table, or of one
// of the small files, and says that all is well from then on. The process may end. What
// is acknowledged, or was loaded after that, outlives the loss of power.
func TestRefusedWrites(t *testing.T) {
	onEach(t, func(t *testing.T, fs fileSystem) {
		eachSeed(t, func(t *testing.T, seed uint64) {
			r := newRecording(t, fs, seed)
			r.refusing = chooseRefusal
			r.run()
			if r.refusals == 0 {
				t.Error("the disk has refused nothing: what is this test for?")
			}
		})
	})
}

// chooseRefusal lets the disk refuse a write now and then: of the batch that comes next,
// in the log or in the table that is made later, or of a small file.
func chooseRefusal(r *recording, now *told) {
	needle, times := now.Needle, 1
	switch r.random.IntN(100) {
	case 0, 1:
	case 2, 3:
		times = 2 // the first is that of the log
	case 4, 5:
		needle = needles[r.random.IntN(len(needles))]
	default:
		return
	}
	if needle == nil {
		return
	}
	r.stand.disk.refuse(func(_ int64, data []byte) bool {
		if bytes.Contains(data, needle) {
			times--
		}
		return times == 0
	})
}
