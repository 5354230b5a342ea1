package main

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
)

// guideTable returns the rows of the table below a heading of the guide's page.
func guideTable(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	content, err := os.ReadFile("../../guide/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(content), "# "+heading+"\n")
	if !found {
		t.Fatalf("the guide has no section %q", heading)
	}
	rest, _, _ = strings.Cut(rest, "\n#")
	for _, line := range strings.Split(rest, "\n") {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// TestGuideListsTheFlags asserts that the guide has a row for each flag, with its
// default; where that is empty, it says in words what happens.
func TestGuideListsTheFlags(t *testing.T) {
	ofRun, _, _ := runFlags(new(settings))
	ofHandover, _ := handoverFlags(new(handoverSettings))
	ofTransfer, _ := transferFlags(new(transferSettings))
	ofCatchup, _, _ := catchupFlags(new(catchupSettings))
	ofBuild, _ := buildFlags(new(buildSettings))
	for heading, flags := range map[string]*flag.FlagSet{"Flags of a build": ofBuild, "Flags of a catch-up": ofCatchup, "Flags of a run": ofRun, "Flags of a sweep": sweepFlags(new(sweepSettings)), "Flags of a hand-over": ofHandover, "Flags of a transfer": ofTransfer} {
		listed := make(map[string]string)
		for _, row := range guideTable(t, heading) {
			if _, twice := listed[row[0]]; twice {
				t.Errorf("%s: %s stands there twice", heading, row[0])
			}
			listed[row[0]] = row[1]
		}
		flags.VisitAll(func(f *flag.Flag) {
			name, want := "`-"+f.Name+"`", "`"+f.DefValue+"`"
			got, found := listed[name]
			delete(listed, name)
			switch {
			case !found:
				t.Errorf("%s lacks %s", heading, name)
			case f.DefValue == "" && (got == "" || strings.HasPrefix(got, "`")):
				t.Errorf("%s: what happens without %s is %q", heading, name, got)
			case f.DefValue != "" && got != want:
				t.Errorf("%s: the default of %s is %s, and the guide says %s", heading, name, want, got)
			}
		})
		for name := range listed {
			t.Errorf("%s has %s, which is no flag", heading, name)
		}
	}
}

// TestGuideListsTheKeys asserts that the guide explains each key, in the order
// in which they are printed.
func TestGuideListsTheKeys(t *testing.T) {
	rows := guideTable(t, "How to read the JSON")
	keys := keysOf(reflect.TypeFor[result](), "")
	for i, key := range keys {
		if i >= len(rows) || rows[i][0] != "`"+key+"`" {
			t.Fatalf("row %d does not explain `%s`", i+1, key)
		}
	}
	if len(rows) > len(keys) {
		t.Errorf("the guide explains %s, which is no key", rows[len(keys)][0])
	}
}

func keysOf(of reflect.Type, prefix string) (keys []string) {
	for i := range of.NumField() {
		field := of.Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Type.Kind() == reflect.Pointer {
			keys = append(keys, keysOf(field.Type.Elem(), prefix+key+".")...)
		} else {
			keys = append(keys, prefix+key)
		}
	}
	return keys
}

// TestGuideHasAPlaceForTheTable asserts that a sweep can fill it in.
func TestGuideHasAPlaceForTheTable(t *testing.T) {
	content, err := os.ReadFile("../../guide/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, mark := range []string{guideBegin + "\n", guideEnd + "\n"} {
		if strings.Count(string(content), mark) != 1 {
			t.Errorf("the guide has %d lines %s", strings.Count(string(content), mark), strings.TrimSpace(mark))
		}
	}
}
