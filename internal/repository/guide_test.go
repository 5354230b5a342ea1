package repository

import (
	"fmt"
	"go/ast"
	"go/parser"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// page returns a page of the guide.
func page(t *testing.T, name string) source {
	t.Helper()
	for _, s := range sources(t, isDocument) {
		if s.path == "guide/"+name {
			return s
		}
	}
	t.Fatalf("the guide has no page %s", name)
	return source{}
}

// section returns the lines of a document below the heading, up to the next one
// of any level.
func section(t *testing.T, s source, title string) []string {
	t.Helper()
	var lines []string
	inside, found := false, false
	for _, line := range strings.Split(prose(s.content), "\n") {
		if match := heading.FindStringSubmatch(line); match != nil {
			inside = match[1] == title
			found = found || inside
			continue
		}
		if inside {
			lines = append(lines, line)
		}
	}
	if !found {
		t.Fatalf("%s has no section %q", s.path, title)
	}
	return lines
}

// rows returns the cells of the rows of the tables in lines, headers left out.
func rows(lines []string) [][]string {
	var all [][]string
	for i, line := range lines {
		ruled := func(j int) bool { return j < len(lines) && strings.HasPrefix(lines[j], "|--") }
		if !strings.HasPrefix(line, "|") || ruled(i) || ruled(i+1) {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for c := range cells {
			cells[c] = strings.TrimSpace(cells[c])
		}
		all = append(all, cells)
	}
	return all
}

// TestGuideListsTheSettings asserts that the tables of the guide have a row for
// each setting, in the order of the code, and tell its default.
func TestGuideListsTheSettings(t *testing.T) {
	embedding := page(t, "embedding.md")
	for _, test := range []struct {
		section  string
		defaults any
	}{
		{"Settings of a node", troupe.NodeConfig{}.WithDefaults()},
		{"Settings of a group", troupe.Config{}.WithDefaults()},
	} {
		table := rows(section(t, embedding, test.section))
		value := reflect.ValueOf(test.defaults)
		for i := range value.NumField() {
			name := value.Type().Field(i).Name
			if i >= len(table) || table[i][0] != "`"+name+"`" {
				t.Errorf("%s, %q: row %d is not `%s`", embedding.path, test.section, i+1, name)
				break
			}
			required := value.Field(i).IsZero() && table[i][1] == "required"
			if want := setting(name, value.Field(i)); want != "" && table[i][1] != want && !required {
				t.Errorf("%s: the default of `%s` is %q, and the code says %q", embedding.path, name, table[i][1], want)
			}
		}
		if len(table) > value.NumField() {
			t.Errorf("%s, %q: %d rows for %d settings", embedding.path, test.section, len(table), value.NumField())
		}
	}
}

// setting writes a default for people, "" if it is no number.
func setting(name string, value reflect.Value) string {
	if d, ok := value.Interface().(time.Duration); ok {
		if d%time.Second == 0 {
			return fmt.Sprintf("%d s", d/time.Second)
		}
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	var n uint64
	switch {
	case value.CanUint():
		n = value.Uint()
	case value.CanInt():
		n = uint64(value.Int())
	default:
		return ""
	}
	const mib = 1 << 20
	switch {
	case name == "SnapshotBytesPerSecond" && n == 0:
		return "16 MiB beside writes"
	case strings.Contains(name, "Bytes") && n%mib == 0:
		return fmt.Sprintf("%d MiB", n/mib)
	case strings.Contains(name, "Bytes") && n%1024 == 0:
		return fmt.Sprintf("%d KiB", n/1024)
	}
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// cardFields are what an actor's card says, in its order.
var cardFields = []string{"OWNS", "RECEIVES", "SENDS", "WAITS ON", "BOUND", "DIES WITH"}

// card is what the comment at the top of an actor's file says, by field.
func card(comment string) map[string]string {
	said := make(map[string]string)
	field := ""
	for _, line := range strings.Split(comment, "\n") {
		text, preformatted := strings.CutPrefix(line, "\t")
		if !preformatted {
			field = ""
			continue
		}
		if i := slices.IndexFunc(cardFields, func(f string) bool { return strings.HasPrefix(text, f+" ") }); i >= 0 {
			field = cardFields[i]
			text = strings.TrimPrefix(text, field)
		}
		said[field] = strings.TrimSpace(said[field] + " " + strings.TrimSpace(text))
	}
	delete(said, "")
	return said
}

var cardLink = regexp.MustCompile(`\(\.\./(actors/[a-z_/]+\.go)\)`)

// TestGuideShowsTheCards asserts that the actor map repeats the card of each
// actor. A card is a table below a link to the actor's file.
func TestGuideShowsTheCards(t *testing.T) {
	actorMap := page(t, "actors.md")
	shown := make(map[string][]string)
	file := ""
	for _, line := range strings.Split(prose(actorMap.content), "\n") {
		if heading.MatchString(line) {
			file = ""
		}
		if match := cardLink.FindStringSubmatch(line); match != nil {
			file = match[1]
		}
		if cells := strings.Split(strings.Trim(line, "|"), "|"); file != "" && len(cells) == 2 && slices.Contains(cardFields, strings.TrimSpace(cells[0])) {
			shown[file] = append(shown[file], line)
		}
	}
	cards := 0
	for _, s := range sources(t, func(p string) bool {
		return inActors(p) && isGo(p) && !strings.HasSuffix(p, "_test.go")
	}) {
		_, syntax := s.parsed(t, parser.ParseComments)
		if !embedsShell(syntax) {
			continue
		}
		cards++
		said := make(map[string]string)
		for _, comment := range syntax.Comments {
			if found := card(comment.Text()); len(found) == len(cardFields) {
				said = found
			}
		}
		var want []string
		for _, field := range cardFields {
			want = append(want, fmt.Sprintf("| %s | %s |", field, said[field]))
		}
		if !slices.Equal(shown[s.path], want) {
			t.Errorf("%s does not show the card of %s, which is\n%s", actorMap.path, s.path, strings.Join(want, "\n"))
		}
		delete(shown, s.path)
	}
	for path := range shown {
		t.Errorf("%s shows a card of %s, which has no actor", actorMap.path, path)
	}
	if cards == 0 {
		t.Error("no card was found")
	}
}

// pointer is how the guide points into the code: `core/commit.go:Engine.advanceCommit`.
var pointer = regexp.MustCompile("`([a-z0-9_/]+\\.go):([A-Za-z0-9_.]+)`")

// TestGuidePointsIntoTheCode asserts that what the guide points to is declared
// in the file where it says so.
func TestGuidePointsIntoTheCode(t *testing.T) {
	code := make(map[string]source)
	for _, s := range sources(t, isGo) {
		code[s.path] = s
	}
	declared := make(map[string]map[string]bool)
	pointers := 0
	for _, s := range sources(t, isDocument) {
		for i, line := range strings.Split(prose(s.content), "\n") {
			for _, match := range pointer.FindAllStringSubmatch(line, -1) {
				pointers++
				file, found := code[match[1]]
				if !found {
					t.Errorf("%s:%d points to %s, which is not there", s.path, i+1, match[1])
					continue
				}
				if declared[file.path] == nil {
					_, syntax := file.parsed(t, 0)
					declared[file.path] = declarations(syntax)
				}
				if !declared[file.path][match[2]] {
					t.Errorf("%s:%d points to %s, which %s does not declare", s.path, i+1, match[2], file.path)
				}
			}
		}
	}
	if pointers < 20 {
		t.Errorf("only %d pointers were found", pointers)
	}
}

// declarations are the functions, methods (Type.Method) and types of a file.
func declarations(file *ast.File) map[string]bool {
	names := make(map[string]bool)
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names[d.Name.Name] = true
			} else if receiver := receiverName(d.Recv.List[0].Type); receiver != "" {
				names[receiver+"."+d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok {
					names[s.Name.Name] = true
				}
			}
		}
	}
	return names
}

func receiverName(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.StarExpr:
		return receiverName(e.X)
	case *ast.IndexExpr:
		return receiverName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
