package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/badgerwal"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// The kinds of badger's files that carry a number, and how many digits it has at
// least.
const (
	walSuffix      = ".mem"
	walDigits      = 5
	tableSuffix    = ".sst"
	tableDigits    = 6
	valueLogSuffix = ".vlog"
	valueLogDigits = 6
)

// emptyFiles are those that hold nothing of this store: no value is long enough for
// the value log, and nothing is encrypted. Badger makes them anew.
var emptyFiles = []string{"KEYREGISTRY", "DISCARD"}

// numbered are the numbers of the files of one kind.
type numbered map[uint64]bool

// listing is what stands in a database's directory, beside what is of no concern.
type listing struct {
	wals, tables numbered
	// look: nothing is removed.
	look bool
}

// listFiles reads the directory of a database that nobody uses. A name that badger would
// take for one of its own, and that is none, is an error that says so: badger's own
// would not tell it from damage. What holds nothing is removed, and so are the files
// that a crash left between their creation and their first byte, on which badger's
// Open fails.
func listFiles(dir string) (listing, error) {
	l := listing{wals: numbered{}, tables: numbered{}}
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, fmt.Errorf("badger: %w", err)
	}
	for _, f := range files {
		if err := l.take(dir, f); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l *listing) take(dir string, f fs.DirEntry) error {
	path := filepath.Join(dir, f.Name())
	if f.Type().IsRegular() && strings.HasSuffix(f.Name(), disk.RenewSuffix) {
		return l.remove(path) // a crash left it
	}
	suffix := filepath.Ext(f.Name())
	into, digits := l.kind(suffix)
	known := f.Name() == badger.ManifestFilename || f.Name() == "LOCK"
	empty := suffix == valueLogSuffix
	for _, name := range emptyFiles {
		empty = empty || name == f.Name()
	}
	if into == nil && !known && !empty {
		return nil
	}
	number, err := strconv.ParseUint(strings.TrimSuffix(f.Name(), suffix), 10, 32)
	isNumbered := err == nil && f.Name() == fmt.Sprintf("%0*d%s", digits, number, suffix)
	if !f.Type().IsRegular() || digits > 0 && !isNumbered {
		return fmt.Errorf("badger: %s is none of the store's files, and has a name like one: it has to be moved elsewhere", path)
	}
	info, err := f.Info()
	if err == nil && into != nil && info.Size() == 0 && suffix == walSuffix {
		empty = true
	}
	if err == nil && empty {
		return l.remove(path)
	}
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	if into != nil {
		into[number] = true
	}
	return nil
}

// remove removes what holds nothing, unless the files are only looked at.
func (l *listing) remove(path string) error {
	if l.look {
		return nil
	}
	return removeFile(path)
}

// kind says where the numbers of files with a suffix belong, and how many digits
// they have; 0 for a kind without.
func (l *listing) kind(suffix string) (into numbered, digits int) {
	switch suffix {
	case walSuffix:
		return l.wals, walDigits
	case tableSuffix:
		return l.tables, tableDigits
	case valueLogSuffix:
		return nil, valueLogDigits
	}
	return nil, 0
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	return nil
}

// spare returns an error if the process lacks descriptors for the files: badger's Open
// leaves goroutines and descriptors behind if it ends in the middle.
func (l *listing) spare() error {
	const others = 16 // of badger's own, and some that it has for a moment
	if err := disk.Spare(len(l.wals) + len(l.tables) + others); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	return nil
}

// openError sorts an error of badger's about a file or directory. What the system
// refuses is not damage: whoever hears of damage may wipe a good node.
func openError(name string, err error) error {
	if err, refused := badgerwal.Refusal(err); refused {
		return fmt.Errorf("badger: opening %s: %w", name, err)
	}
	return fmt.Errorf("badger: opening %s: %w: %w", name, core.ErrCorrupt, err)
}
