//go:build !linux

package disk

import "os"

// OpenDirect opens a file of which each piece is to be read by itself.
func OpenDirect(name string) (*os.File, error) { return os.Open(name) }
