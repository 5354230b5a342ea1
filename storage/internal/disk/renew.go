package disk

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// RenewSuffix ends the name of a file that is being renewed. A crash may leave it.
const RenewSuffix = ".new"

// Renew makes the content of a file durable at a new place. It proves more than a sync
// of the file: if the disk has refused a part of it once, the system remembers that
// part as written, and a later sync says that all is well. The file's name is to be
// made durable by the caller. Zeros are not written, so that holes stay.
func Renew(name string) error {
	aside := name + RenewSuffix
	old, err := os.Open(name)
	if err != nil {
		return err
	}
	err = copyFile(aside, old)
	// Windows replaces no file that is open.
	if err = errors.Join(err, old.Close()); err == nil {
		err = os.Rename(aside, name)
	}
	if err != nil {
		if removed := os.Remove(aside); !errors.Is(removed, os.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}
	return err
}

// copyFile makes a durable copy of a file.
func copyFile(name string, from *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	err = copyContent(f, from, info.Size())
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

const copyBytes = 256 << 10

var zeros [copyBytes]byte

func copyContent(to, from *os.File, size int64) error {
	if err := to.Truncate(size); err != nil {
		return err
	}
	b := make([]byte, copyBytes)
	for at := int64(0); at < size; at += copyBytes {
		n, err := from.ReadAt(b, at)
		if err != nil && err != io.EOF {
			return err
		}
		if bytes.Equal(b[:n], zeros[:n]) {
			continue
		}
		if _, err := to.WriteAt(b[:n], at); err != nil {
			return err
		}
	}
	return nil
}
