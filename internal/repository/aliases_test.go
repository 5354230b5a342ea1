package repository

import (
	"go/ast"
	"go/parser"
	"go/types"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAliasesListTheirFields asserts that the doc of an alias in package troupe
// lists the exported fields of the struct that it stands for, in their order: go
// doc shows none of them. A list is an item for each, or for several together:
//
//   - Name: what it is;
//   - Name, Other: what they are.
//
// Of an interface the methods may be listed; then all are, by the alphabet.
func TestAliasesListTheirFields(t *testing.T) {
	docs := aliasDocs(t)
	scope := loadTypes(t, []string{module})[module].Scope()
	structs, interfaces := 0, 0
	for _, name := range scope.Names() {
		object, ok := scope.Lookup(name).(*types.TypeName)
		if !ok || !object.IsAlias() || !object.Exported() {
			continue
		}
		var want []string
		listed := listedNames(docs[name])
		switch of := object.Type().Underlying().(type) {
		case *types.Struct:
			structs++
			for i := range of.NumFields() {
				if of.Field(i).Exported() {
					want = append(want, of.Field(i).Name())
				}
			}
		case *types.Interface:
			if len(listed) == 0 {
				continue
			}
			interfaces++
			for i := range of.NumMethods() {
				want = append(want, of.Method(i).Name())
			}
		default:
			continue
		}
		if !slices.Equal(listed, want) {
			t.Errorf("the doc of troupe.%s lists %v, and there are %v", name, listed, want)
		}
	}
	if structs < 10 || interfaces < 2 {
		t.Errorf("%d structs and %d interfaces were looked at", structs, interfaces)
	}
}

// item is how an item of a list begins that names fields.
var item = regexp.MustCompile(`^  - ([A-Z][A-Za-z]*(?:, [A-Z][A-Za-z]*)*): `)

func listedNames(doc string) (names []string) {
	for line := range strings.Lines(doc) {
		if match := item.FindStringSubmatch(line); match != nil {
			names = append(names, strings.Split(match[1], ", ")...)
		}
	}
	return names
}

// aliasDocs are the doc comments of the aliases of package troupe.
func aliasDocs(t *testing.T) map[string]string {
	t.Helper()
	docs := make(map[string]string)
	for _, s := range sources(t, func(p string) bool {
		return isGo(p) && !strings.Contains(p, "/") && !strings.HasSuffix(p, "_test.go")
	}) {
		_, file := s.parsed(t, parser.ParseComments)
		for _, d := range file.Decls {
			general, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range general.Specs {
				if of, ok := spec.(*ast.TypeSpec); ok && of.Assign.IsValid() {
					doc := of.Doc
					if doc == nil {
						doc = general.Doc
					}
					docs[of.Name.Name] = doc.Text()
				}
			}
		}
	}
	return docs
}

// TestEveryNoticeIsAnEvent asserts that each kind of notice has the name of an
// event in package troupe, which its users compare with.
func TestEveryNoticeIsAnEvent(t *testing.T) {
	all := loadTypes(t, []string{module, module + "/core"})
	kinds := 0
	for _, name := range all[module+"/core"].Scope().Names() {
		notice, ok := all[module+"/core"].Scope().Lookup(name).(*types.Const)
		kind, found := strings.CutPrefix(name, "Notice")
		if !ok || !found {
			continue
		}
		kinds++
		event, ok := all[module].Scope().Lookup("Event" + kind).(*types.Const)
		if !ok || event.Val().ExactString() != notice.Val().ExactString() {
			t.Errorf("package troupe has no Event%s with the value of core.%s", kind, name)
		}
	}
	if kinds < 17 {
		t.Errorf("only %d kinds were found", kinds)
	}
}
