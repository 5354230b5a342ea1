package fileset

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// The content of a snapshot that is made of files is a head, and then what is in the files,
// in the order of the head. All numbers are little endian.
//
//	head   magic 8, version 1, length of the list 4, the list, CRC-32C of all that 4
//	list   of each file, in the order of the names: length of the name 2, the name, size 8, flags 1, SHA-256 32
//
// The only flag is 1, of a sealed file. A later version may only be read by those who know
// it.
const (
	magic         = "troupeFS"
	version       = 1
	prefixBytes   = 8 + 1 + 4
	fixedBytes    = 2 + 8 + 1 + 32
	checksumBytes = 4
	flagSealed    = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("fileset: %w: %s", core.ErrCorrupt, fmt.Sprintf(format, args...))
}

// Sorted returns the files in the order in which a snapshot has them.
func Sorted(files []storage.File) []storage.File {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b storage.File) int { return strings.Compare(a.Name, b.Name) })
	return files
}

// Head returns the head of a snapshot of files, which are sorted, and whose checksums are
// known, and not zero. Names that no node may make are a *NameError.
func Head(files []storage.File) ([]byte, error) {
	if len(files) > FilesMax {
		return nil, fmt.Errorf("fileset: %d files: at most %d can be one snapshot", len(files), FilesMax)
	}
	if err := CheckNames(files); err != nil {
		return nil, err
	}
	b := append([]byte(magic), version, 0, 0, 0, 0)
	var total uint64
	for i := range files {
		f := &files[i]
		if i > 0 && f.Name <= files[i-1].Name {
			return nil, errors.New("fileset: the files are not sorted")
		}
		if f.SHA256 == ([sha256.Size]byte{}) {
			return nil, fmt.Errorf("fileset: the checksum of %s is not known", f.Name)
		}
		if total += f.SizeBytes; f.SizeBytes > sizeMax || total > sizeMax {
			return nil, fmt.Errorf("fileset: %s has %d bytes", f.Name, f.SizeBytes)
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(len(f.Name)))
		b = append(b, f.Name...)
		b = binary.LittleEndian.AppendUint64(b, f.SizeBytes)
		var flags byte
		if f.Sealed {
			flags = flagSealed
		}
		b = append(b, flags)
		b = append(b, f.SHA256[:]...)
	}
	if len(b)+checksumBytes > HeadBytesMax {
		return nil, fmt.Errorf("fileset: a list of %d bytes: at most %d can be one snapshot's", len(b), HeadBytesMax)
	}
	binary.LittleEndian.PutUint32(b[9:], uint32(len(b)-prefixBytes))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

// ReadHead reads a head from r, and nothing behind it, and returns it and its files. Damage
// wraps core.ErrCorrupt; names that no node may make are a *NameError. Head and
// files take about three times the length of the head in memory, and nothing needs more on the
// way.
func ReadHead(r io.Reader) (head []byte, files []storage.File, err error) {
	head = make([]byte, prefixBytes)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, nil, cutOff(err)
	}
	if string(head[:8]) != magic {
		return nil, nil, corrupt("it is not made of files")
	}
	length := binary.LittleEndian.Uint32(head[9:])
	if length > HeadBytesMax-prefixBytes-checksumBytes {
		return nil, nil, corrupt("a list of %d bytes", length)
	}
	head = append(head, make([]byte, length+checksumBytes)...)
	if _, err := io.ReadFull(r, head[prefixBytes:]); err != nil {
		return nil, nil, cutOff(err)
	}
	body := head[:len(head)-checksumBytes]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[len(body):]) {
		return nil, nil, corrupt("the list of files has a bad checksum")
	}
	if head[8] != version {
		return nil, nil, fmt.Errorf("fileset: a list of files of version %d: only %d is known", head[8], version)
	}
	files, err = parseList(body[prefixBytes:])
	return head, files, err
}

// cutOff sorts an error of reading what should be there.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt("it is cut off")
	}
	return err
}

// parseList reads a list whose checksum is right: who has written it may mean harm.
func parseList(b []byte) (files []storage.File, err error) {
	files = make([]storage.File, 0, countIn(b))
	var total uint64
	for len(b) > 0 {
		if len(b) < fixedBytes {
			return nil, corrupt("the list of files is cut off")
		}
		n := int(binary.LittleEndian.Uint16(b))
		if len(b) < fixedBytes+n || len(files) == FilesMax {
			return nil, corrupt("the list of files is cut off, or has too many")
		}
		f := storage.File{Name: string(b[2 : 2+n]), SizeBytes: binary.LittleEndian.Uint64(b[2+n:]), Sealed: b[10+n] == flagSealed}
		if b[10+n]&^flagSealed != 0 {
			return nil, corrupt("%q has the flags %#x", f.Name, b[10+n])
		}
		copy(f.SHA256[:], b[11+n:])
		if err := checkName(f.Name); err != nil {
			return nil, err
		}
		if f.SHA256 == ([sha256.Size]byte{}) {
			return nil, corrupt("%q has no checksum", f.Name) // where a file is taken in it would mean any
		}
		if n := len(files); n > 0 && f.Name == files[n-1].Name {
			return nil, &NameError{f.Name, alreadyThere}
		} else if n > 0 && f.Name < files[n-1].Name {
			return nil, corrupt("the list of files is not sorted")
		}
		if total += f.SizeBytes; f.SizeBytes > sizeMax || total > sizeMax {
			return nil, corrupt("%s has %d bytes", f.Name, f.SizeBytes)
		}
		files, b = append(files, f), b[fixedBytes+n:]
	}
	if err := checkTogether(files); err != nil {
		return nil, err
	}
	return files, nil
}

// countIn is how many files a list has, if it is right, so that they are made room for once.
func countIn(b []byte) (n int) {
	for ; len(b) >= fixedBytes && n < FilesMax; n++ {
		b = b[min(len(b), fixedBytes+int(binary.LittleEndian.Uint16(b))):]
	}
	return n
}

// SizeBytes is how long the content of a snapshot of these files is.
func SizeBytes(head []byte, files []storage.File) uint64 {
	n := uint64(len(head))
	for i := range files {
		n += files[i].SizeBytes
	}
	return n
}
