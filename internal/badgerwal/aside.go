package badgerwal

import (
	"errors"
	"os"
	"path/filepath"
)

// Aside makes a directory among those for temporary files that badger can open for
// reading in the place of the database in dir: with copies of its write-ahead logs and its
// manifest, and links to its tables. The caller removes it. memTableBytes is how large
// badger's memory tables have to be for the logs, 0 if there are none. Of the database
// nothing is changed.
func (l Limits) Aside(dir string) (aside string, memTableBytes int64, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", 0, err
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return "", 0, err
	}
	if aside, err = os.MkdirTemp("", "troupe-inspect-"); err != nil {
		return "", 0, err
	}
	for _, entry := range names {
		var size int64
		from, to := filepath.Join(dir, entry.Name()), filepath.Join(aside, entry.Name())
		switch filepath.Ext(entry.Name()) {
		case ".mem":
			size, err = l.CopyLog(from, to)
			memTableBytes = max(memTableBytes, size/2)
		case ".sst":
			err = os.Symlink(from, to)
		case "":
			if entry.Name() == "MANIFEST" {
				err = CopyFile(from, to)
			}
		}
		if err != nil {
			return "", 0, errors.Join(err, os.RemoveAll(aside))
		}
	}
	return aside, memTableBytes, nil
}

// CopyLog copies the log of a memory table up to the end of its last transaction, and
// makes no file if it has none. It returns how long the original is: badger makes it twice
// as long as the memory table may grow.
func (l Limits) CopyLog(from, to string) (size int64, err error) {
	log, err := os.ReadFile(from)
	if err != nil {
		return 0, err
	}
	return int64(len(log)), l.WriteLog(to, log)
}

// WriteLog writes a log up to the end of its last transaction.
func (l Limits) WriteLog(name string, log []byte) error {
	end := l.End(log)
	if end <= HeaderBytes || end > len(log) {
		return nil
	}
	return os.WriteFile(name, log[:end], 0o600)
}

// CopyFile copies a small file.
func CopyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
