package repository

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/trouperaft/troupe"

// root is the directory of the module, and of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// workspace is the environment for a go command that shall see all modules,
// whatever the test itself was started with.
func workspace(t *testing.T) []string {
	t.Helper()
	return append(os.Environ(), "GOFLAGS=", "GOWORK="+filepath.Join(root(t), "go.work"))
}

// source is one file of the repository.
type source struct {
	path    string // from the root, with slashes
	content []byte
}

var generatedLine = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func (s source) generated() bool { return generatedLine.Match(s.content) }

func (s source) lines() int { return bytes.Count(s.content, []byte("\n")) }

// parsed returns the syntax of a Go file.
func (s source) parsed(t *testing.T, mode parser.Mode) (*token.FileSet, *ast.File) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, s.path, s.content, mode|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return files, file
}

// sources returns the text files of the repository for which want is true.
func sources(t *testing.T, want func(path string) bool) []source {
	t.Helper()
	top := root(t)
	var found []source
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if !entry.Type().IsRegular() || !want(name) {
			return nil
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		found = append(found, source{path: name, content: content})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no file was found")
	}
	return found
}

func isGo(path string) bool { return strings.HasSuffix(path, ".go") }

func isText(path string) bool {
	switch filepath.Ext(path) {
	case ".go", ".md", ".mod", ".sum", ".work", ".proto", ".txt", ".yml", ".yaml", ".json", ".sh":
		return true
	}
	return path == "Makefile" || path == ".ci/run" || path == ".ci/modules" || path == ".gitignore" || path == "LICENSE"
}
