package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// damagedSuffix ends the name under which a damaged snapshot is kept, which nothing
// removes: somebody may want to look at it, and the node makes another.
const damagedSuffix = ".damaged"

// setAside gives the file that a reader found damaged another name, so that it is not
// offered again where an older one is good. Another may have taken its place meanwhile.
func (s *Store) setAside(name string, found fs.FileInfo, cause error) {
	if !errors.Is(cause, core.ErrCorrupt) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := os.Lstat(name)
	if err != nil || !now.Mode().IsRegular() || !os.SameFile(now, found) {
		return
	}
	delete(s.verified, name)
	kept, err := freeName(name)
	if err == nil {
		err = os.Rename(name, kept)
	}
	if err != nil {
		s.logger.Error("files: a damaged snapshot cannot be set aside", "file", name, "error", err)
		return
	}
	s.logger.Error("files: a damaged snapshot was set aside", "file", kept, "error", cause)
}

// freeName is a name beside that of a damaged file that nothing has.
func freeName(name string) (string, error) {
	for n := 1; ; n++ {
		kept := name + damagedSuffix
		if n > 1 {
			kept = fmt.Sprintf("%s.%d%s", name, n, damagedSuffix)
		}
		switch _, err := os.Lstat(kept); {
		case errors.Is(err, fs.ErrNotExist):
			return kept, nil
		case err != nil:
			return "", err
		}
	}
}

// parseAside reads of which snapshot a file is that was set aside.
func parseAside(name string) (core.LogID, bool) {
	name, _, ok := strings.Cut(name, ".snap")
	if !ok {
		return core.LogID{}, false
	}
	return parseName(name + ".snap")
}

// removeUnfinished removes what crashes left, of all groups. What cannot be removed is
// told, and hurts nothing but room.
func (s *Store) removeUnfinished() {
	names, err := filepath.Glob(filepath.Join(s.dir, "*", "*"+unfinishedSuffix))
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	if err != nil {
		s.logger.Warn("files: an unfinished snapshot cannot be removed", "error", err)
	}
}

// sweepAll removes the files that no snapshot needs, of all groups.
func (s *Store) sweepAll() {
	groups, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, entry := range groups {
		if group, err := strconv.ParseUint(entry.Name(), 10, 64); err == nil && entry.IsDir() {
			s.sweepQuietly(membership.GroupID(group))
		}
	}
}
