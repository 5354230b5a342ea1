package metrics

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	names, families := make(map[ID]bool), make(map[string]bool)
	histograms := 0
	name := regexp.MustCompile(`^raft(\.[a-z]+)+$`)
	unit := regexp.MustCompile(`^(s|By|\{[a-z]+\})$`)
	for i, row := range Table() {
		if !name.MatchString(string(row.ID)) || !unit.MatchString(row.Unit) || row.Kind == 0 {
			t.Errorf("row %d: %+v", i, row)
		}
		if names[row.ID] || families[row.PrometheusName()] {
			t.Errorf("%s is there twice", row.ID)
		}
		names[row.ID], families[row.PrometheusName()] = true, true
		if !strings.HasSuffix(row.Description, ".") || strings.Contains(row.Description, "|") || row.When == "" {
			t.Errorf("%s: description %q, when %q", row.ID, row.Description, row.When)
		}
		for _, noun := range []string{"seconds", "bytes", "total"} {
			if strings.Contains(string(row.ID), noun) {
				t.Errorf("%s has a unit in its name", row.ID)
			}
		}
		if (row.Kind == Histogram) != (len(row.Bounds) > 0) {
			t.Errorf("%s: a %v with %d bounds", row.ID, row.Kind, len(row.Bounds))
		}
		if row.Kind != Histogram {
			continue
		}
		histograms++
		if !slices.IsSorted(row.Bounds) || len(slices.Compact(slices.Clone(row.Bounds))) != len(row.Bounds) {
			t.Errorf("%s: bounds %v", row.ID, row.Bounds)
		}
	}
	if len(names) < 20 || histograms < 10 {
		t.Errorf("%d instruments, %d histograms", len(names), histograms)
	}
	for _, wanted := range []string{"raft_log_sync_duration_seconds", "raft_peer_lag_entries", "raft_elections_total", "raft_log_appended_bytes_total"} {
		if !families[wanted] {
			t.Errorf("no family %s", wanted)
		}
	}
}

// TestEachIDHasARow asserts that the table has a row for each constant of type ID,
// and one alone.
func TestEachIDHasARow(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "rows.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[ID]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "ID" {
				name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				ids[ID(name)] = true
			}
		}
		return true
	})
	for _, row := range Table() {
		if !ids[row.ID] {
			t.Errorf("the row of %s has no constant, or is there twice", row.ID)
		}
		delete(ids, row.ID)
	}
	for id := range ids {
		t.Errorf("%s has no row", id)
	}
}

// TestDurationBounds asserts that a quantile from 50 us to 10 s is known to
// within a factor of two, and 100 us more closely.
func TestDurationBounds(t *testing.T) {
	if first, last := durationBounds[0], durationBounds[len(durationBounds)-1]; first > 50e-6 || last < 10 {
		t.Errorf("bounds reach from %v to %v", first, last)
	}
	for i, bound := range durationBounds[1:] {
		if bound > 2*durationBounds[i]*1.0001 {
			t.Errorf("from %v to %v", durationBounds[i], bound)
		}
	}
	i, found := slices.BinarySearch(durationBounds, 100e-6)
	if !found || durationBounds[i-1] < 70e-6 || durationBounds[i+1] > 150e-6*1.0001 {
		t.Errorf("around 100 us: %v", durationBounds[i-1:i+2])
	}
}

// TestTableIsTheCallers asserts that what a caller does to a table concerns nobody.
func TestTableIsTheCallers(t *testing.T) {
	Table()[0].Kind = Gauge
	if Table()[0].Kind == Gauge {
		t.Error("the table was changed")
	}
}
