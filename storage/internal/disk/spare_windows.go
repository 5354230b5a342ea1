package disk

import (
	"errors"
	"os"
)

// Spare returns an error if this process cannot open n more files now.
func Spare(n int) (err error) {
	files := make([]*os.File, 0, n)
	for range n {
		var f *os.File
		if f, err = os.Open(os.DevNull); err != nil {
			break
		}
		files = append(files, f)
	}
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}
