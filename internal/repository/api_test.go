package repository

import (
	"bytes"
	"flag"
	"fmt"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the exported API to testdata/api.txt")

// behind are the packages that can be imported and are no part of what the module
// promises. Programs come to them through package troupe, whose declarations name
// none of their types; only the simulator, which runs the same actors, needs them
// by name.
var behind = []string{"actors"}

// TestAPI asserts that testdata/api.txt lists the exported API of the module: a
// line for each constant, variable, function, type, field and method. A change
// of the API is a change of that file, which shows it to whoever reads the
// change:
//
//	go test ./internal/repository -run TestAPI -args -update
func TestAPI(t *testing.T) {
	var promised []string
	for _, importPath := range publicPackages(t) {
		ours, _ := house(importPath)
		if !slices.ContainsFunc(behind, func(b string) bool { return within(ours, b) }) {
			promised = append(promised, importPath)
		}
	}
	all := loadTypes(t, promised)
	var b bytes.Buffer
	for _, importPath := range promised {
		writeAPI(&b, all[importPath])
	}
	file := filepath.Join(root(t), "internal", "repository", "testdata", "api.txt")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was, is := apiLines(golden), apiLines(b.Bytes())
	for _, line := range slices.Sorted(maps.Keys(was)) {
		if !is[line] {
			t.Errorf("gone from the API: %s", line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(is)) {
		if !was[line] {
			t.Errorf("new in the API: %s", line)
		}
	}
	if t.Failed() {
		t.Log("if that is meant: go test ./internal/repository -run TestAPI -args -update")
	} else if !bytes.Equal(golden, b.Bytes()) {
		t.Errorf("%s says the same in another order: write it anew, with -update", file)
	}
}

// TestAPINamesNothingBehindIt asserts that no exported declaration of a promised
// package names a type of one that is not: a user could neither find it in the
// list nor look it up where he is told to look.
func TestAPINamesNothingBehindIt(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join(root(t), "internal", "repository", "testdata", "api.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, importPath := range publicPackages(t) {
		ours, _ := house(importPath)
		if slices.ContainsFunc(behind, func(b string) bool { return within(ours, b) }) {
			names[path.Base(ours)] = true
		}
	}
	if len(names) < 2 {
		t.Errorf("only %d packages are behind the API", len(names))
	}
	qualified := regexp.MustCompile(`\b(\w+)\.[A-Z]`)
	for line := range apiLines(golden) {
		for _, match := range qualified.FindAllStringSubmatch(line, -1) {
			if names[match[1]] {
				t.Errorf("package %s is no part of what is promised: %s", match[1], line)
			}
		}
	}
}

// apiLines are the lines, each with its package.
func apiLines(text []byte) map[string]bool {
	lines := make(map[string]bool)
	in := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "package "); ok {
			in = rest
		} else if line != "" {
			lines[in+": "+line] = true
		}
	}
	return lines
}

// loadTypes returns packages as the go command has compiled them.
func loadTypes(t *testing.T, importPaths []string) map[string]*types.Package {
	t.Helper()
	c := newCompiler(t)
	for _, importPath := range importPaths {
		c.imports[importPath] = true
	}
	c.load(t)
	all := make(map[string]*types.Package)
	for _, importPath := range importPaths {
		p, err := c.types.Import(importPath)
		if err != nil {
			t.Fatal(err)
		}
		all[importPath] = p
	}
	return all
}

// writeAPI writes what a package exports, a name after the other.
func writeAPI(w io.Writer, p *types.Package) {
	fmt.Fprintf(w, "package %s\n", p.Path())
	foreign := func(other *types.Package) string {
		if other == p {
			return ""
		}
		return other.Name()
	}
	for _, name := range p.Scope().Names() {
		if !token.IsExported(name) {
			continue
		}
		switch object := p.Scope().Lookup(name).(type) {
		case *types.Const:
			fmt.Fprintf(w, "\tconst %s %s = %s\n", name, types.TypeString(object.Type(), foreign), object.Val())
		case *types.TypeName:
			writeType(w, object, foreign)
		case *types.Func:
			fmt.Fprintf(w, "\tfunc %s%s\n", name, signature(object, foreign))
		default:
			fmt.Fprintf(w, "\t%s\n", types.ObjectString(object, foreign))
		}
	}
	fmt.Fprintln(w)
}

// writeType writes a type with its exported fields and methods. What an alias
// stands for has its lines where it is declared.
func writeType(w io.Writer, object *types.TypeName, foreign types.Qualifier) {
	name := object.Name()
	if object.IsAlias() {
		fmt.Fprintf(w, "\ttype %s = %s\n", name, types.TypeString(types.Unalias(object.Type()), foreign))
		return
	}
	switch of := object.Type().Underlying().(type) {
	case *types.Struct:
		fmt.Fprintf(w, "\ttype %s struct%s\n", name, hidden(of.NumFields() > 0 && exportedFields(of) == 0))
		for i := range of.NumFields() {
			switch f := of.Field(i); {
			case !f.Exported():
			case f.Embedded():
				fmt.Fprintf(w, "\ttype %s struct, embedded %s\n", name, types.TypeString(f.Type(), foreign))
			default:
				fmt.Fprintf(w, "\ttype %s struct, %s %s\n", name, f.Name(), types.TypeString(f.Type(), foreign))
			}
		}
	case *types.Interface:
		fmt.Fprintf(w, "\ttype %s interface%s\n", name, hidden(sealed(of)))
		for i := range of.NumMethods() {
			if m := of.Method(i); m.Exported() {
				fmt.Fprintf(w, "\ttype %s interface, %s%s\n", name, m.Name(), signature(m, foreign))
			}
		}
		return
	default:
		fmt.Fprintf(w, "\ttype %s %s\n", name, types.TypeString(of, foreign))
	}
	// Those of a pointer are all; they come in the order of their names.
	methods := types.NewMethodSet(types.NewPointer(object.Type()))
	for i := range methods.Len() {
		m := methods.At(i)
		if !m.Obj().Exported() || len(m.Index()) > 1 {
			continue // an embedded field has its own lines
		}
		method := m.Obj().(*types.Func)
		receiver := types.TypeString(method.Signature().Recv().Type(), foreign)
		fmt.Fprintf(w, "\tmethod (%s) %s%s\n", receiver, method.Name(), signature(method, foreign))
	}
}

// signature writes what a function takes and returns. The names of results are
// left out: the compiler makes some of its own.
func signature(f *types.Func, foreign types.Qualifier) string {
	s := f.Signature()
	if s.TypeParams().Len() == 0 {
		var results []*types.Var
		for i := range s.Results().Len() {
			results = append(results, types.NewParam(token.NoPos, nil, "", s.Results().At(i).Type()))
		}
		s = types.NewSignatureType(nil, nil, nil, s.Params(), types.NewTuple(results...), s.Variadic())
	}
	return strings.TrimPrefix(types.TypeString(s, foreign), "func")
}

func exportedFields(of *types.Struct) (n int) {
	for i := range of.NumFields() {
		if of.Field(i).Exported() {
			n++
		}
	}
	return n
}

// sealed reports whether other packages cannot implement an interface.
func sealed(of *types.Interface) bool {
	for i := range of.NumMethods() {
		if !of.Method(i).Exported() {
			return true
		}
	}
	return false
}

func hidden(is bool) string {
	if is {
		return ", the rest is not exported"
	}
	return ""
}
