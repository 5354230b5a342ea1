package fileset

import (
	"fmt"
	"strings"

	"github.com/trouperaft/troupe/storage"
)

// Bounds of a snapshot that is made of files.
const (
	// FilesMax is how many files it may have.
	FilesMax = 16384
	// NameBytesMax is how long the name of one may be.
	NameBytesMax = 255
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
// A name has parts, which slashes separate. A part is of printable ASCII without space, and
// without \ : * ? " < > and |. It is neither "." nor "..", does not end with a dot, and is
// no device of Windows, such as NUL. No name is there twice, none differs from another in
// case alone, nor does a directory, and none is that of a directory.
func CheckNames(files []storage.File) error {
	names := newNames(len(files))
	for i := range files {
		if err := names.add(files[i].Name); err != nil {
			return err
		}
	}
	return nil
}

// names are those that were checked, as they are where no case is told apart.
type names struct {
	files map[string]bool
	// directories has the spelling of each.
	directories map[string]string
}

func newNames(n int) *names {
	return &names{files: make(map[string]bool, n), directories: make(map[string]string)}
}

// add checks one more name.
func (n *names) add(name string) error {
	refuse := func(problem string) error { return &NameError{name[:min(len(name), NameBytesMax)], problem} }
	if problem := malformed(name); problem != "" {
		return refuse(problem)
	}
	folded := strings.ToLower(name)
	switch {
	case n.files[folded]:
		return refuse("is there already, in this or in another case")
	case n.directories[folded] != "":
		return refuse("is that of a directory, too")
	}
	n.files[folded] = true
	for i, c := range folded {
		if c != '/' {
			continue
		}
		switch spelling := n.directories[folded[:i]]; {
		case n.files[folded[:i]]:
			return refuse("is in a directory that is a file, too")
		case spelling != "" && spelling != name[:i]:
			return refuse("is in a directory that is there in another case")
		}
		n.directories[folded[:i]] = name[:i]
	}
	return nil
}

// malformed says what is wrong with a name by itself.
func malformed(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > NameBytesMax:
		return fmt.Sprintf("has more than %d bytes", NameBytesMax)
	case name[0] == '/':
		return "is absolute"
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
	stem, _, _ := strings.Cut(strings.ToLower(part), ".")
	switch stem {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && stem[3] >= '0' && stem[3] <= '9'
}
