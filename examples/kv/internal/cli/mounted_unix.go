//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"syscall"
)

// mounted reports whether a file system is mounted at a directory: no other directory can
// take its place.
func mounted(dir string) bool {
	own, err := os.Stat(dir)
	if err != nil {
		return false
	}
	above, err := os.Stat(filepath.Join(dir, ".."))
	if err != nil {
		return false
	}
	a, ok := own.Sys().(*syscall.Stat_t)
	b, is := above.Sys().(*syscall.Stat_t)
	return ok && is && a.Dev != b.Dev
}
