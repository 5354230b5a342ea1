package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestGoBlocksCompile type-checks the blocks of Go in the documents. Those of one
// document are one package, and each is one of three things:
//
//   - a whole file, which begins with its package clause;
//   - statements, which are put into a function with what snippetBegin names;
//   - declarations, which any other block of the document may use.
//
// A whole file brings its imports and wastes nothing. The others get those that
// they name, and may leave a variable unused: they are parts of something.
func TestGoBlocksCompile(t *testing.T) {
	c := newCompiler(t)
	var packages []*goPackage
	for _, s := range sources(t, isDocument) {
		if p := c.parse(t, s); len(p.files) > 0 {
			packages = append(packages, p)
		}
	}
	if len(packages) == 0 || len(c.imports) == 0 {
		t.Fatal("no document shows any Go")
	}
	c.load(t)
	for _, p := range packages {
		c.check(t, p)
	}
}

// snippetBegin and snippetEnd stand around statements, which may declare the
// same names anew.
const (
	snippetBegin = `func _(ctx context.Context, raft *troupe.Raft, node *troupe.Node, command []byte,
		store troupe.LogStore, snapshots troupe.SnapshotStore, network troupe.Network) (_ error) {{` + "\n"
	snippetEnd = "\n}\nreturn\n}\n"
)

// snippetPackages are the packages that a block need not import, by the names by
// which it calls them; those of the modules come in addition.
var snippetPackages = map[string]string{
	"atomic": "sync/atomic", "binary": "encoding/binary", "bufio": "bufio", "bytes": "bytes", "cmp": "cmp", "context": "context",
	"errors": "errors", "filepath": "path/filepath", "flag": "flag", "fmt": "fmt", "http": "net/http", "io": "io", "iter": "iter",
	"json": "encoding/json", "log": "log", "maps": "maps", "net": "net", "os": "os", "signal": "os/signal", "slices": "slices",
	"slog": "log/slog", "strconv": "strconv", "strings": "strings", "sync": "sync", "syscall": "syscall", "testing": "testing",
	"time": "time", "tls": "crypto/tls", "url": "net/url", "x509": "crypto/x509",

	"attribute": "go.opentelemetry.io/otel/attribute", "metric": "go.opentelemetry.io/otel/metric", "otel": "go.opentelemetry.io/otel",
	"trace": "go.opentelemetry.io/otel/trace", "sdkmetric": "go.opentelemetry.io/otel/sdk/metric",
	"sdktrace": "go.opentelemetry.io/otel/sdk/trace",
}

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// goPackage is the Go of one document.
type goPackage struct {
	document string
	files    []*ast.File
	// parts are the files that were made of blocks that are none.
	parts map[*token.File]bool
}

// compiler checks packages against what the go command has compiled.
type compiler struct {
	files   *token.FileSet
	known   map[string]string // names of packages and their import paths
	imports map[string]bool
	types   types.Importer
}

func newCompiler(t *testing.T) *compiler {
	t.Helper()
	c := &compiler{files: token.NewFileSet(), known: maps.Clone(snippetPackages), imports: make(map[string]bool)}
	for _, importPath := range publicPackages(t) {
		c.known[path.Base(importPath)] = importPath
	}
	return c
}

// publicPackages are the packages of all modules that a user may import.
func publicPackages(t *testing.T) []string {
	t.Helper()
	found := make(map[string]bool)
	for _, s := range sources(t, isGo) {
		dir := path.Dir(s.path)
		if within(dir, "examples") || slices.Contains(strings.Split(dir, "/"), "internal") {
			continue
		}
		found[path.Join(module, dir)] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// parse parses the blocks of a document. Positions are those of the document.
func (c *compiler) parse(t *testing.T, s source) *goPackage {
	t.Helper()
	p := &goPackage{document: s.path, parts: make(map[*token.File]bool)}
	name := "part"
	var parts []string
	for _, at := range goBlock.FindAllSubmatchIndex(s.content, -1) {
		block := s.content[at[2]:at[3]]
		line := fmt.Sprintf("//line %s:%d\n", s.path, 1+bytes.Count(s.content[:at[2]], []byte("\n")))
		if !bytes.HasPrefix(block, []byte("package ")) {
			parts = append(parts, line+string(block))
			continue
		}
		file, err := parser.ParseFile(c.files, "", line+string(block), parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		name = file.Name.Name
		p.files = append(p.files, file)
	}
	for _, part := range parts {
		file, err := c.parsePart(name, part)
		if err != nil {
			t.Error(err)
			continue
		}
		p.files = append(p.files, file)
		p.parts[c.files.File(file.FileStart)] = true
	}
	for _, file := range p.files {
		for _, spec := range file.Imports {
			importPath, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(strings.Split(importPath, "/"), "internal") {
				t.Errorf("%s: no user can import %s", c.files.Position(spec.Pos()), importPath)
			}
			c.imports[importPath] = true
		}
	}
	return p
}

// parsePart makes a file of statements or of declarations, with the imports that
// they name.
func (c *compiler) parsePart(name, part string) (*ast.File, error) {
	body := snippetBegin + part + snippetEnd
	scratch, statementsErr := parser.ParseFile(token.NewFileSet(), "", "package p\n"+body, parser.SkipObjectResolution)
	if statementsErr != nil {
		var err error
		body = part
		if scratch, err = parser.ParseFile(token.NewFileSet(), "", "package p\n"+body, parser.SkipObjectResolution); err != nil {
			return nil, fmt.Errorf("neither statements (%w) nor declarations (%w)", statementsErr, err)
		}
	}
	imports := make(map[string]bool)
	ast.Inspect(scratch, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && c.known[x.Name] != "" {
				imports[x.Name] = true
			}
		}
		return true
	})
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n", name)
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		fmt.Fprintf(&b, "import %s %q\n", name, c.known[name])
	}
	return parser.ParseFile(c.files, "", b.String()+body, parser.SkipObjectResolution)
}

// load lets the go command compile what is imported, or say where it has.
func (c *compiler) load(t *testing.T) {
	t.Helper()
	arguments := append([]string{"list", "-export", "-deps", "-json=ImportPath,Export"}, slices.Sorted(maps.Keys(c.imports))...)
	command := exec.CommandContext(t.Context(), "go", arguments...)
	command.Dir, command.Env = root(t), workspace(t)
	output, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list -export: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	exports := make(map[string]string)
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p struct{ ImportPath, Export string }
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
	}
	c.types = importer.ForCompiler(c.files, "gc", func(importPath string) (io.ReadCloser, error) {
		return os.Open(exports[importPath])
	})
}

// check type-checks the Go of one document.
func (c *compiler) check(t *testing.T, p *goPackage) {
	t.Helper()
	config := types.Config{
		Importer: c.types,
		Error: func(err error) {
			var at types.Error
			if errors.As(err, &at) && at.Soft && p.parts[c.files.File(at.Pos)] {
				return // something is not used
			}
			t.Error(err)
		},
	}
	_, _ = config.Check(p.document, c.files, p.files, nil) // Error has reported it
}
