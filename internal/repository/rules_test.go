package repository

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	// The rules stand in two files, in this order.
	rulesFile = "core/doc.go"
	rulesRest = "core/doc_members.go"
	// mutantsFiles are those of which the names begin so.
	mutantsFiles = "internal/simulation/mutants"
	rulesMax     = 32
)

// rule is one of the safety rules as the documentation of core lists it.
type rule struct {
	number int
	said   map[string][]string // what its list says, by "Code", "Tests" and so on
}

var (
	ruleHeading = regexp.MustCompile(`^Rule (\d+): .+`)
	quotedName  = regexp.MustCompile(`"([^"]+)"`)
	// ruleQuoted finds "rule 3", "rules 3 and 4", "rules 11 to 13".
	ruleQuoted = regexp.MustCompile(`(?i)\brules? (\d+)((?:(?:, | and |, and | to |-)\d+)*)`)
	number     = regexp.MustCompile(`\d+`)
	lineBreak  = regexp.MustCompile(`\s*\n\s*(//)?\s*`)
)

// safetyRules reads the rules from the documentation of core.
func safetyRules(t *testing.T) []rule {
	t.Helper()
	var rules []rule
	for _, s := range sources(t, func(p string) bool { return p == rulesFile || p == rulesRest }) {
		_, file := s.parsed(t, parser.ParseComments)
		for _, block := range new(comment.Parser).Parse(file.Doc.Text()).Content {
			switch block := block.(type) {
			case *comment.Heading:
				match := ruleHeading.FindStringSubmatch(words(block.Text))
				if match == nil {
					t.Fatalf("%s: the heading %q is not that of a rule", s.path, words(block.Text))
				}
				n, _ := strconv.Atoi(match[1])
				rules = append(rules, rule{number: n, said: make(map[string][]string)})
			case *comment.List:
				if len(rules) == 0 {
					t.Fatalf("%s has a list before the first rule", s.path)
				}
				last := &rules[len(rules)-1]
				for _, item := range block.Items {
					key, names := ruleItem(t, last.number, item)
					last.said[key] = names
				}
			}
		}
	}
	return rules
}

// ruleItem reads an item such as "Code: core/commit.go, core/leader_state.go".
func ruleItem(t *testing.T, number int, item *comment.ListItem) (key string, names []string) {
	t.Helper()
	var text strings.Builder
	for _, block := range item.Content {
		if paragraph, ok := block.(*comment.Paragraph); ok {
			text.WriteString(words(paragraph.Text))
		}
	}
	key, value, found := strings.Cut(strings.ReplaceAll(text.String(), "\n", " "), ": ")
	switch {
	case !found || !slices.Contains([]string{"Code", "Tests", "Scripts", "Mutants", "Checkers", "Not yet"}, key):
		t.Fatalf("rule %d: an item of the list is %q", number, text.String())
	case key == "Mutants":
		for _, match := range quotedName.FindAllStringSubmatch(value, -1) {
			names = append(names, match[1])
		}
	case key == "Not yet":
		names = []string{value}
	default:
		names = strings.Split(value, ", ")
	}
	return key, names
}

func words(text []comment.Text) string {
	var b strings.Builder
	for _, t := range text {
		switch t := t.(type) {
		case comment.Plain:
			b.WriteString(string(t))
		case *comment.DocLink:
			b.WriteString(words(t.Text))
		}
	}
	return b.String()
}

// TestRulesAreComplete asserts that the documentation of core has each rule once, in
// order, and says of each who carries it out and what keeps it, or that it is not
// built yet.
func TestRulesAreComplete(t *testing.T) {
	rules := safetyRules(t)
	if len(rules) != rulesMax {
		t.Errorf("%s has %d rules, not %d", rulesFile, len(rules), rulesMax)
	}
	for i, r := range rules {
		if r.number != i+1 {
			t.Fatalf("%s: rule %d stands where rule %d should", rulesFile, r.number, i+1)
		}
		built := len(r.said["Code"]) > 0
		kept := len(r.said["Tests"]) > 0 || len(r.said["Mutants"]) > 0
		switch {
		case built && !kept:
			t.Errorf("rule %d is carried out, and neither a test nor a mutant keeps it", r.number)
		case !built && kept:
			t.Errorf("rule %d is kept by tests, and no file carries it out", r.number)
		case !built && len(r.said["Not yet"]) == 0:
			t.Errorf("rule %d names no file and does not say that it is not built yet", r.number)
		}
	}
}

// TestRulesNameWhatIsThere asserts that the files, tests, scripts, mutants and
// checkers of the rules exist; that one of the files quotes its rule; and that no
// mutant and no checker of a rule is left out.
func TestRulesNameWhatIsThere(t *testing.T) {
	content := make(map[string]string)
	for _, s := range sources(t, isText) {
		content[s.path] = string(s.content)
	}
	tests, mutants, checkers := testFunctions(t), ruleMutants(t), ruleCheckers(t)
	for _, r := range safetyRules(t) {
		quoted := false
		for _, name := range r.said["Code"] {
			text, found := content[name]
			if !found || !isGo(name) || strings.HasSuffix(name, "_test.go") {
				t.Errorf("rule %d: %s is no file of code", r.number, name)
			}
			quoted = quoted || slices.Contains(rulesQuoted(text), r.number)
		}
		if !quoted && len(r.said["Code"]) > 0 {
			t.Errorf("rule %d: none of %v quotes it", r.number, r.said["Code"])
		}
		for _, name := range r.said["Tests"] {
			if !tests[name] {
				t.Errorf("rule %d: there is no test %s", r.number, name)
			}
		}
		for _, name := range r.said["Scripts"] {
			if _, found := content["core/testdata/"+name+".txt"]; !found {
				t.Errorf("rule %d: there is no script %s", r.number, name)
			}
		}
		for _, name := range r.said["Mutants"] {
			if mutants[name] != fmt.Sprintf("rule %d", r.number) {
				t.Errorf("rule %d: the mutant %q breaks %q", r.number, name, mutants[name])
			}
			delete(mutants, name)
		}
		for _, name := range r.said["Checkers"] {
			if _, found := checkers[name]; !found {
				t.Errorf("rule %d: there is no checker %s", r.number, name)
			}
		}
		for name, text := range checkers {
			if slices.Contains(rulesQuoted(text), r.number) && !slices.Contains(r.said["Checkers"], name) {
				t.Errorf("rule %d does not name its checker %s", r.number, name)
			}
		}
	}
	for name, broken := range mutants {
		if strings.HasPrefix(broken, "rule ") {
			t.Errorf("%s does not name the mutant %q", broken, name)
		}
	}
}

// testFunctions are the tests of the tree: those of core by name, others as
// "actors.TestName", those of the root as "troupe.TestName".
func testFunctions(t *testing.T) map[string]bool {
	found := make(map[string]bool)
	for _, s := range sources(t, func(p string) bool { return strings.HasSuffix(p, "_test.go") }) {
		_, file := s.parsed(t, 0)
		room := path.Dir(s.path) + "."
		switch room {
		case "core.":
			room = ""
		case "..":
			room = "troupe."
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				found[room+f.Name.Name] = true
			}
		}
	}
	return found
}

// ruleMutants are the mutants by name, with what each breaks.
func ruleMutants(t *testing.T) map[string]string {
	found := make(map[string]string)
	for _, s := range sources(t, func(p string) bool { return strings.HasPrefix(p, mutantsFiles) }) {
		_, file := s.parsed(t, 0)
		ast.Inspect(file, func(node ast.Node) bool {
			literal, ok := node.(*ast.CompositeLit)
			if !ok || len(literal.Elts) < 5 {
				return true
			}
			name, isName := text(literal.Elts[0])
			broken, isRule := text(literal.Elts[1])
			if isName && isRule {
				found[name] = broken
			}
			return true
		})
	}
	if len(found) < 20 {
		t.Fatalf("%s* have %d mutants", mutantsFiles, len(found))
	}
	return found
}

// ruleCheckers are the rules that the simulator's checkers watch, with their texts.
func ruleCheckers(t *testing.T) map[string]string {
	found := make(map[string]string)
	for _, s := range sources(t, func(p string) bool { return strings.HasPrefix(p, "internal/simulation/check_") }) {
		_, file := s.parsed(t, 0)
		ast.Inspect(file, func(node ast.Node) bool {
			if spec, ok := node.(*ast.ValueSpec); ok && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "rule") {
				if said, isText := text(spec.Values[0]); isText {
					found[spec.Names[0].Name] = said
				}
			}
			return true
		})
	}
	if len(found) < 20 {
		t.Fatalf("the simulator has %d checkers", len(found))
	}
	return found
}

// text is the value of a literal string.
func text(e ast.Expr) (string, bool) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(literal.Value)
	return value, err == nil
}

// rulesQuoted are the numbers of the rules that a text quotes.
func rulesQuoted(text string) []int {
	var numbers []int
	for _, match := range ruleQuoted.FindAllString(lineBreak.ReplaceAllString(text, " "), -1) {
		for _, digits := range number.FindAllString(match, -1) {
			n, _ := strconv.Atoi(digits)
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// TestQuotedRulesExist asserts that code and guide quote rules that there are.
func TestQuotedRulesExist(t *testing.T) {
	quotes := 0
	for _, s := range sources(t, func(p string) bool { return isGo(p) || strings.HasSuffix(p, ".md") }) {
		for _, n := range rulesQuoted(string(s.content)) {
			quotes++
			if n < 1 || n > rulesMax {
				t.Errorf("%s quotes rule %d: there are rules 1 to %d", s.path, n, rulesMax)
			}
		}
	}
	if quotes < 200 {
		t.Errorf("only %d quotes were found", quotes)
	}
}
