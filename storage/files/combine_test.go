package files

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// TestCombine compares the checksum of two pieces with that of both together.
func TestCombine(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 1<<17)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	for range 200 {
		all := b[:random.IntN(len(b)+1)]
		cut := random.IntN(len(all) + 1)
		first, second := crc32.Checksum(all[:cut], castagnoli), crc32.Checksum(all[cut:], castagnoli)
		if got, want := combine(first, second, uint64(len(all)-cut)), crc32.Checksum(all, castagnoli); got != want {
			t.Fatalf("%d and %d bytes: %08x, want %08x", cut, len(all)-cut, got, want)
		}
	}
	// More zeros than there is memory: the same, in two steps.
	const half = 1 << 61
	zeros := combine(1, 0, half)
	if got, want := combine(1, 0, 2*half), combine(zeros, 0, half); got != want {
		t.Errorf("2^62 bytes: %08x, want %08x", got, want)
	}
}
