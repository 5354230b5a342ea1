package badger

import (
	"flag"
	"os"
	"runtime"
	"testing"

	"github.com/trouperaft/troupe/storage/internal/disk"
)

// TestMain lets the tests work in memory where the system has a directory for
// that: what they prove are kills and damaged files, which do not need a disk,
// and they open hundreds of stores. Benchmarks use the disk.
func TestMain(m *testing.M) {
	flag.Parse()
	const memory = "/dev/shm"
	benchmark := flag.Lookup("test.bench").Value.String() != ""
	if runtime.GOOS == "linux" && os.Getenv("TMPDIR") == "" && !benchmark {
		if free, err := disk.FreeBytes(memory); err == nil && free > 2<<30 {
			_ = os.Setenv("TMPDIR", memory)
		}
	}
	os.Exit(m.Run())
}
