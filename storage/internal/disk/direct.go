package disk

import "unsafe"

// DirectBytes is what offsets and lengths of direct reads are multiples of.
const DirectBytes = 4 << 10

// Aligned returns memory that can be read into directly.
func Aligned(size int) []byte {
	b := make([]byte, size+DirectBytes)
	skip := 0
	if over := int(uintptr(unsafe.Pointer(&b[0])) % DirectBytes); over > 0 {
		skip = DirectBytes - over
	}
	return b[skip : skip+size : skip+size]
}
