package repository

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// The limits are a little above the habits (500 and 70): a file or a function
// beyond them holds two ideas.
const (
	fileLinesMax     = 600
	functionLinesMax = 80
	testLinesMax     = 900
)

func TestFilesAreFormatted(t *testing.T) {
	for _, s := range sources(t, isGo) {
		formatted, err := format.Source(s.content)
		if err != nil {
			t.Errorf("%s: %v", s.path, err)
		} else if !bytes.Equal(formatted, s.content) {
			t.Errorf("%s is not formatted: make fix", s.path)
		}
	}
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, s := range sources(t, isGo) {
		if s.generated() {
			continue
		}
		test := strings.HasSuffix(s.path, "_test.go")
		limit := fileLinesMax
		if test {
			limit = testLinesMax
		}
		if n := s.lines(); n > limit {
			t.Errorf("%s has %d lines, at most %d: do two ideas live there?", s.path, n, limit)
		}
		if test {
			continue
		}
		files, file := s.parsed(t, 0)
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Body == nil {
				continue
			}
			if n := functionLines(files, function); n > functionLinesMax {
				t.Errorf("%s: %s has %d lines, at most %d", files.Position(function.Pos()), function.Name.Name, n, functionLinesMax)
			}
		}
	}
}

func functionLines(files *token.FileSet, f *ast.FuncDecl) int {
	return files.Position(f.Body.Rbrace).Line - files.Position(f.Pos()).Line + 1
}

// TestActorsShowTheirCards asserts that each file that holds an actor, which is
// what embeds the shell, opens with its card.
func TestActorsShowTheirCards(t *testing.T) {
	fields := []string{"OWNS", "RECEIVES", "SENDS", "WAITS ON", "BOUND", "DIES WITH"}
	cards := 0
	for _, s := range sources(t, func(p string) bool {
		return inActors(p) && isGo(p) && !strings.HasSuffix(p, "_test.go")
	}) {
		_, file := s.parsed(t, parser.ParseComments)
		if !strings.HasSuffix(s.path, "_actor.go") && !embedsShell(file) {
			continue
		}
		cards++
		var card strings.Builder
		for _, comment := range file.Comments {
			// The card stands before the first declaration that is no import.
			if first := firstDeclaration(file); first == nil || comment.Pos() < first.Pos() {
				card.WriteString(comment.Text())
			}
		}
		for _, field := range fields {
			if !strings.Contains(card.String(), field) {
				t.Errorf("%s does not open with its card: %s is missing", s.path, field)
			}
		}
	}
	if cards < 7 {
		t.Errorf("%d actors were found: the core, log, replication and apply actors, and three for snapshots, have been there", cards)
	}
}

// inActors reports whether a file may hold an actor of the library's.
func inActors(p string) bool { return strings.HasPrefix(p, "actors/") && path.Dir(p) != "actors/stage" }

// embedsShell reports whether a struct of the file embeds stage.Shell.
func embedsShell(file *ast.File) (found bool) {
	ast.Inspect(file, func(node ast.Node) bool {
		if structure, ok := node.(*ast.StructType); ok {
			for _, field := range structure.Fields.List {
				name, ok := field.Type.(*ast.SelectorExpr)
				found = found || len(field.Names) == 0 && ok && name.Sel.Name == "Shell"
			}
		}
		return true
	})
	return found
}

func firstDeclaration(file *ast.File) ast.Decl {
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			continue
		}
		return d
	}
	return nil
}

// TestNoMachinePaths asserts that no file names a directory of the machine on
// which it was written.
func TestNoMachinePaths(t *testing.T) {
	machine := regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])/(wo` + `rk|ro` + `ot|ho` + `me|Us` + `ers)(/|["'` + "`" + `\s)]|$)`)
	proxy := "GOPR" + "OXY="
	for _, s := range sources(t, isText) {
		for i, line := range strings.Split(string(s.content), "\n") {
			if machine.MatchString(line) || strings.Contains(line, proxy) {
				t.Errorf("%s:%d names a machine: %s", s.path, i+1, strings.TrimSpace(line))
			}
		}
	}
}
