package repository

import (
	"go/ast"
	"path"
	"regexp"
	"strings"
	"testing"
)

// qualified is a span of code that begins with a name of a package or type and
// an exported one in it: `troupe.Start`, `*core.Engine`, `Raft.Propose(ctx, c)`.
var qualified = regexp.MustCompile("`\\*?([A-Za-z][A-Za-z0-9]*)\\.([A-Z][A-Za-z0-9]*)[^`\n]*`")

// TestDocumentsNameWhatIsThere asserts that the exported names in the prose of
// the documents are declared: those of the modules' packages, the methods and fields
// of their types, and tests.
func TestDocumentsNameWhatIsThere(t *testing.T) {
	public, members := make(map[string]bool), testFunctions(t)
	for _, importPath := range publicPackages(t) {
		public[path.Base(importPath)] = true
	}
	owners := make(map[string]bool) // types and packages of which members are known
	for _, s := range sources(t, func(p string) bool { return isGo(p) && !strings.HasSuffix(p, "_test.go") }) {
		name := path.Base(path.Join(module, path.Dir(s.path)))
		if within(s.path, "examples") || !public[name] {
			continue
		}
		owners[name] = true
		_, file := s.parsed(t, 0)
		for declared := range declarations(file) {
			owner, _, isMethod := strings.Cut(declared, ".")
			if isMethod {
				owners[owner] = true
				members[declared] = true
			} else {
				members[name+"."+declared] = true
			}
		}
		for _, member := range fieldsAndValues(file) {
			owner, _, isField := strings.Cut(member, ".")
			if isField {
				owners[owner] = true
				members[member] = true
			} else {
				members[name+"."+member] = true
			}
		}
	}
	names := 0
	for _, s := range sources(t, isDocument) {
		for i, line := range strings.Split(prose(s.content), "\n") {
			for _, match := range qualified.FindAllStringSubmatch(line, -1) {
				if !owners[match[1]] {
					continue // the standard library's, or another's
				}
				names++
				if !members[match[1]+"."+match[2]] {
					t.Errorf("%s:%d names %s.%s, which is not there", s.path, i+1, match[1], match[2])
				}
			}
		}
	}
	if names < 20 {
		t.Errorf("only %d names were found", names)
	}
}

// fieldsAndValues are the fields (Type.Field), the methods of interfaces, and
// the constants and variables of a file.
func fieldsAndValues(file *ast.File) []string {
	var names []string
	for _, d := range file.Decls {
		general, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range s.Names {
					names = append(names, name.Name)
				}
			case *ast.TypeSpec:
				var fields *ast.FieldList
				switch kind := s.Type.(type) {
				case *ast.StructType:
					fields = kind.Fields
				case *ast.InterfaceType:
					fields = kind.Methods
				}
				if fields == nil {
					continue
				}
				for _, field := range fields.List {
					for _, name := range field.Names {
						names = append(names, s.Name.Name+"."+name.Name)
					}
				}
			}
		}
	}
	return names
}

// measured is the name of a span or an instrument.
var measured = regexp.MustCompile("`(raft\\.[a-z_.]+)`")

// TestGuideExplainsItsSpans asserts that the spans and instruments which the life
// of a write names stand in the pages that list them all.
func TestGuideExplainsItsSpans(t *testing.T) {
	listed := string(page(t, "tracing.md").content) + string(page(t, "metrics.md").content)
	found := measured.FindAllStringSubmatch(prose(page(t, "life-of-a-write.md").content), -1)
	for _, match := range found {
		if !strings.Contains(listed, match[0]) {
			t.Errorf("life-of-a-write.md names %s, which neither tracing.md nor metrics.md does", match[0])
		}
	}
	if len(found) < 7 {
		t.Errorf("only %d names were found", len(found))
	}
}
