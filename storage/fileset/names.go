package fileset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trouperaft/troupe/storage"
)

// Bounds of a snapshot that is made of files.
const (
	// FilesMax is how many files it may have.
	FilesMax = 16384
	// NameBytesMax is how long the name of one may be.
	NameBytesMax = 255
	// PartsMax is how many parts, which slashes separate, a name may have.
	PartsMax = 16
	// HeadBytesMax is how long the list of the files may be.
	HeadBytesMax = 2 << 20
	// sizeMax bounds all files together.
	sizeMax = 1 << 62
)

// NameError: a list of files names one that no node may make.
type NameError struct {
	Name    string
	Problem string
}

// Error implements error.
func (e *NameError) Error() string { return fmt.Sprintf("fileset: the name %q %s", e.Name, e.Problem) }

// CheckNames checks the names of a snapshot's files: else the error is a *NameError.
//
// A name has parts, at most PartsMax, which slashes separate. A part is of printable ASCII without space, and
// without \ : * ? " < > and |. It is neither "." nor "..", does not end with a dot, and is
// no device of Windows, such as NUL. No name is there twice, none differs from another in
// case alone, nor does a directory, and none is that of a directory.
func CheckNames(files []storage.File) error {
	for i := range files {
		if err := checkName(files[i].Name); err != nil {
			return err
		}
	}
	return checkTogether(files)
}

// checkName checks a name by itself.
func checkName(name string) error {
	if problem := malformed(name); problem != "" {
		return &NameError{name[:min(len(name), NameBytesMax)], problem}
	}
	return nil
}

// checkTogether checks names that are right by themselves. It needs little memory, whatever
// directories they have: in the order in which it looks at them what is in one directory, in
// any case, is together, and behind a file of its name.
func checkTogether(files []storage.File) error {
	order := make([]int, len(files))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareFolded(files[a].Name, files[b].Name) })
	for i := 1; i < len(order); i++ {
		name := files[order[i]].Name
		if problem := clash(files[order[i-1]].Name, name); problem != "" {
			return &NameError{name, problem}
		}
	}
	return nil
}

// compareFolded compares names where no case is told apart, slashes before all else.
func compareFolded(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := folded(a[i]), folded(b[i]); x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

func folded(c byte) byte {
	switch {
	case c == '/':
		return 0
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

// clash says why a name cannot be beside the one before it.
func clash(before, name string) string {
	for i := range len(before) {
		switch {
		case folded(before[i]) != folded(name[i]): // it is no shorter, or is another before it ends
			return ""
		case name[i] == '/' && before[:i] != name[:i]:
			return "is in a directory that is there in another case"
		}
	}
	switch {
	case len(name) == len(before):
		return alreadyThere
	case name[len(before)] == '/':
		return "is in a directory that is a file, too"
	}
	return ""
}

const alreadyThere = "is there already, in this or in another case"

// malformed says what is wrong with a name by itself.
func malformed(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > NameBytesMax:
		return fmt.Sprintf("has more than %d bytes", NameBytesMax)
	case name[0] == '/':
		return "is absolute"
	case strings.Count(name, "/") >= PartsMax:
		return fmt.Sprintf("has more than %d parts", PartsMax)
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "":
			return "has an empty part"
		case part == "." || part == "..":
			return "has a part that leads elsewhere"
		case part[len(part)-1] == '.':
			return "has a part that ends with a dot"
		case isDevice(part):
			return "has a part that is a device"
		}
		for i := range len(part) {
			if c := part[i]; c <= ' ' || c > '~' || strings.IndexByte(`\:*?"<>|`, c) >= 0 {
				return fmt.Sprintf("has the byte %#02x", c)
			}
		}
	}
	return ""
}

// isDevice: Windows takes such a name for a device, whatever its ending.
func isDevice(part string) bool {
	stem, _, _ := strings.Cut(part, ".")
	for _, device := range [...]string{"con", "prn", "aux", "nul", "conin$", "conout$"} {
		if strings.EqualFold(stem, device) {
			return true
		}
	}
	return len(stem) == 4 && (strings.EqualFold(stem[:3], "com") || strings.EqualFold(stem[:3], "lpt")) && stem[3] >= '0' && stem[3] <= '9'
}
