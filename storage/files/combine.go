package files

import "hash/crc32"

// powers has x^(2^k) modulo the polynomial of CRC-32C, bits reflected.
var powers = func() (p [66]uint32) {
	p[0] = 1 << 30
	for k := 1; k < len(p); k++ {
		p[k] = multiply(p[k-1], p[k-1])
	}
	return p
}()

// multiply multiplies two polynomials modulo that of CRC-32C.
func multiply(a, b uint32) (product uint32) {
	for m := uint32(1 << 31); m != 0; m >>= 1 {
		if a&m != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ crc32.Castagnoli
		} else {
			b >>= 1
		}
	}
	return product
}

// combine returns the CRC-32C of what has the checksum a, with n bytes behind it that have
// the checksum b: a is multiplied by x^(8n).
func combine(a, b uint32, n uint64) uint32 {
	for k := 3; n > 0; k, n = k+1, n>>1 {
		if n&1 != 0 {
			a = multiply(powers[k], a)
		}
	}
	return a ^ b
}
