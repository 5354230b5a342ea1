package simulation

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The guide has the table of situations under a heading of its own, up to the end of
// the page.
const situationsHeading = "## Situations\n"

var (
	guidePage = filepath.Join("..", "..", "guide", "simulator.md")
	counts    = regexp.MustCompile(`(?m)\| \d+ \| \d+ \|$`)
)

// situationTables writes the tables of the guide.
func situationTables(h *harvest) string {
	var b strings.Builder
	for i, section := range situationSections {
		end := situation(situations)
		if i+1 < len(situationSections) {
			end = situationSections[i+1].first
		}
		fmt.Fprintf(&b, "\n### %s\n\n| situation | what decides | seeds | times |\n|---|---|---|---|\n", section.title)
		for x := section.first; x < end; x++ {
			fmt.Fprintf(&b, "| %s | %s | %d | %d |\n", situationTable[x].name, situationTable[x].meaning, h.met[x], h.sum.Situations[x])
		}
	}
	return b.String()
}

// guideParts returns the guide's page up to the tables, and the tables.
func guideParts(t *testing.T) (before, tables string) {
	t.Helper()
	page, err := os.ReadFile(guidePage)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(page), "\n### ")
	if heading := strings.Index(string(page), situationsHeading); heading < 0 || at < heading {
		t.Fatalf("%s has no tables below %q", guidePage, situationsHeading)
	}
	return string(page[:at]), string(page[at:])
}

// updateGuide writes the tables with the counts of a run.
func updateGuide(t *testing.T, h *harvest) {
	before, _ := guideParts(t)
	if err := os.WriteFile(guidePage, []byte(before+situationTables(h)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGuideShowsTheSituations compares names and meanings. The counts are those of
// the last -update: they change with every schedule.
func TestGuideShowsTheSituations(t *testing.T) {
	_, tables := guideParts(t)
	got, want := counts.ReplaceAllString(tables, ""), counts.ReplaceAllString(situationTables(&harvest{}), "")
	if got == want {
		return
	}
	line, shown, known := firstDifference([]byte(got), []byte(want))
	t.Errorf("%s, line %d of the tables is\n%s\nand the simulator knows\n%s\nThis updates them: go test ./internal/simulation -run TestSeeds -args -update", guidePage, line, shown, known)
}

// TestSituationsAreNamed: each has a name of its own and says what decides.
func TestSituationsAreNamed(t *testing.T) {
	named := map[string]bool{}
	for x, s := range situationTable {
		if s.name == "" || s.meaning == "" || named[s.name] {
			t.Errorf("situation %d is called %q, and %q decides", x, s.name, s.meaning)
		}
		named[s.name] = true
	}
	if situationSections[0].first != 0 {
		t.Error("the first situations have no section")
	}
}
