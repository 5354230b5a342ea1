package repository

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const scenariosFile = "guide/scenarios.md"

// scenario is a row of the guide's page of what other projects test.
type scenario struct {
	section string
	names   []string // in those projects
	here    string
	why     string
}

var (
	scenarioRow  = regexp.MustCompile(`^\| (.+) \| (.+) \| (.+) \|$`)
	scenarioHere = regexp.MustCompile("^`[^`]+`(, `[^`]+`)*$")
	scenarioName = regexp.MustCompile("`([^`]+)`")
)

func scenarios(t *testing.T) []scenario {
	t.Helper()
	var all []scenario
	for _, s := range sources(t, func(p string) bool { return p == scenariosFile }) {
		section := ""
		for line := range strings.Lines(string(s.content)) {
			line = strings.TrimSpace(line)
			if heading, found := strings.CutPrefix(line, "## "); found {
				section = heading
			}
			if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| there |") || strings.HasPrefix(line, "|---") {
				continue
			}
			row := scenarioRow.FindStringSubmatch(line)
			if row == nil {
				t.Fatalf("%s: the row %q has not three columns", s.path, line)
			}
			names, _, _ := strings.Cut(row[1], ":")
			all = append(all, scenario{section, strings.Split(names, ", "), row[2], row[3]})
		}
	}
	return all
}

// TestScenariosNameWhatIsThere asserts that each scenario of another project names
// scripts and tests that exist, or says why it cannot occur.
func TestScenariosNameWhatIsThere(t *testing.T) {
	tests, files := testFunctions(t), make(map[string]bool)
	for _, s := range sources(t, isText) {
		files[s.path] = true
	}
	for _, s := range scenarios(t) {
		switch {
		case s.here == "none" && s.why == "nothing":
			t.Errorf("%s: %v is not here, and no reason is given", scenariosFile, s.names)
		case s.here != "none" && !scenarioHere.MatchString(s.here):
			t.Errorf("%s: %v: %q is no list of scripts and tests", scenariosFile, s.names, s.here)
		}
		for _, match := range scenarioName.FindAllStringSubmatch(s.here, -1) {
			name := match[1]
			if isTest := strings.Contains(name, "Test"); isTest && !tests[name] || !isTest && !files["core/testdata/"+name+".txt"] {
				t.Errorf("%s: %v: there is no %s", scenariosFile, s.names, name)
			}
		}
	}
}

// TestScenariosAreComplete asserts that the page has every scenario of the list, once,
// and no other.
func TestScenariosAreComplete(t *testing.T) {
	list, err := os.ReadFile("testdata/scenarios.txt")
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	section := ""
	for _, s := range scenarios(t) {
		if s.section != section {
			section = s.section
			there = append(there, "## "+section)
		}
		there = append(there, s.names...)
	}
	wanted := strings.Split(strings.TrimSpace(string(list)), "\n")
	for _, name := range wanted {
		if !slices.Contains(there, name) {
			t.Errorf("%s lacks %s", scenariosFile, name)
		}
	}
	if !t.Failed() && !slices.Equal(there, wanted) {
		t.Errorf("%s has other scenarios, or in another order, than its list", scenariosFile)
	}
}
