package metrics

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

const guidePath = "../guide/metrics.md"

var update = flag.Bool("update", false, "write the table into the guide")

// guideRow is a row of the table as the guide has it.
func guideRow(row *Row) string {
	var keys []string
	for _, a := range row.Attributes {
		key := "`" + a.Key + "`"
		if a.Values != nil {
			key += ": " + strings.Join(a.Values, ", ")
		}
		keys = append(keys, key)
	}
	return fmt.Sprintf("| `%s`<br>`%s` | %s, %s | %s | %s %s |", row.ID, row.PrometheusName(), row.Kind, row.Unit, strings.Join(keys, "; "), row.Description, sentence(row.When))
}

// sentence makes a sentence of a part of one.
func sentence(s string) string { return "*" + strings.ToUpper(s[:1]) + s[1:] + ".*" }

// TestGuideHasTheTable asserts that the guide's table is the one in the code, no
// row more and no row less. With -update it is written.
func TestGuideHasTheTable(t *testing.T) {
	content, err := os.ReadFile(guidePath)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, row := range Table() {
		want = append(want, guideRow(&row))
	}
	head := "| instrument, family | kind, unit | attributes | what, *when* |\n|---|---|---|---|\n"
	before, rest, found := strings.Cut(string(content), head)
	if !found {
		t.Fatalf("the guide has no table that begins with %q", head)
	}
	table, after, _ := strings.Cut(rest, "\n\n")
	if *update {
		text := before + head + strings.Join(want, "\n") + "\n\n" + after
		if err := os.WriteFile(guidePath, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have := make(map[string]bool)
	for _, line := range strings.Split(table, "\n") {
		have[line] = true
	}
	for _, line := range want {
		if !have[line] {
			t.Errorf("the guide lacks the row (go test ./metrics -update writes the table)\n%s", line)
		}
		delete(have, line)
	}
	for line := range have {
		t.Errorf("the guide has a row of its own: %s", line)
	}
	// What the prose and the alerts speak of exists.
	families := make(map[string]bool)
	for _, row := range Table() {
		families[row.PrometheusName()], families[string(row.ID)] = true, true
	}
	for _, word := range strings.FieldsFunc(before+after, func(r rune) bool {
		return r != '_' && r != '.' && (r < 'a' || r > 'z')
	}) {
		word = strings.Trim(word, ".")
		if base := strings.TrimSuffix(word, "_bucket"); strings.HasPrefix(word, "raft_") && !families[base] && !isLabel(word) {
			t.Errorf("the guide speaks of %s, which is no family and no label", word)
		}
	}
}

func isLabel(word string) bool {
	for _, key := range []string{KeyNode, KeyGroup, KeyPeer, KeyActor, KeyClass, KeyDirection, KeyOperation, KeyOutcome, KeyMode, KeyReason, KeyRole} {
		if strings.ReplaceAll(key, ".", "_") == word {
			return true
		}
	}
	return false
}
