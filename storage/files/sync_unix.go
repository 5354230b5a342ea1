//go:build unix

package files

import "os"

// syncRead makes a file durable that is open for reading.
func syncRead(f *os.File) error { return f.Sync() }
