package simulation

import (
	"bytes"
	"testing"

	"github.com/trouperaft/troupe/actors/stage"
)

// TestSameSeedSameTrace runs seeds twice and compares their traces byte for
// byte, and once without lines, which must not change anything.
func TestSameSeedSameTrace(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() || raceEnabled {
		seeds = 3
	}
	system := stage.NewSystem()
	hashes := map[uint64]uint64{}
	for seed := uint64(1); seed <= seeds; seed++ {
		var first, second bytes.Buffer
		a := Run(seed, Options{Trace: &first, System: system})
		b := Run(seed, Options{Trace: &second, System: system})
		if !bytes.Equal(first.Bytes(), second.Bytes()) || a.Hash != b.Hash {
			n, one, other := firstDifference(first.Bytes(), second.Bytes())
			t.Fatalf("seed %d: hashes %x and %x; the traces differ in line %d:\n%s\n%s", seed, a.Hash, b.Hash, n, one, other)
		}
		if a.Situations != b.Situations {
			t.Fatalf("seed %d meets other situations when it runs again", seed)
		}
		if c := Run(seed, Options{System: system}); c.Hash != a.Hash {
			t.Fatalf("seed %d: hash %x with its trace written, %x without", seed, a.Hash, c.Hash)
		}
		if a.Failure != nil {
			t.Errorf("seed %d: %v\nreplay: %s", seed, a.Failure, replay(seed))
		}
		if other, ok := hashes[a.Hash]; ok {
			t.Errorf("seeds %d and %d have the same hash", seed, other)
		}
		hashes[a.Hash] = seed
	}
}

// firstDifference returns the first line in which two traces differ.
func firstDifference(a, b []byte) (line int, one, other []byte) {
	for line = 1; ; line++ {
		one, a, _ = bytes.Cut(a, []byte("\n"))
		other, b, _ = bytes.Cut(b, []byte("\n"))
		if !bytes.Equal(one, other) || len(a) == 0 && len(b) == 0 {
			return line, one, other
		}
	}
}
