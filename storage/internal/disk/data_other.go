//go:build !linux

package disk

import "os"

// SyncsMapped says that SyncData takes what was written through a shared
// mapping of the file with it, whoever mapped it.
const SyncsMapped = false

// SyncData makes the content of a file durable.
func SyncData(f *os.File) error { return f.Sync() }
