package tracing

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../guide/tracing.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func quoted[T ~string](names []T) string {
	if len(names) == 0 {
		return "none"
	}
	var all []string
	for _, n := range names {
		all = append(all, "`"+string(n)+"`")
	}
	return strings.Join(all, ", ")
}

// section is how the page begins what it says of a span.
func section(r *SpanType) string {
	var under []string
	for _, u := range r.Under {
		if u == "" {
			under = append(under, "the caller's span or nothing")
		} else {
			under = append(under, "`"+u+"`")
		}
	}
	kind := map[trace.SpanKind]string{trace.SpanKindInternal: "internal", trace.SpanKindServer: "server", trace.SpanKindClient: "client"}[r.Kind]
	return fmt.Sprintf("### `%s`, %s\n\nUnder %s; by %s. Attributes: %s. Events: %s.\n",
		r.Name, kind, strings.Join(under, " or "), r.By, quoted(r.Attributes), quoted(r.Events))
}

func everyEvent() (events []string) {
	for _, r := range Spans() {
		for _, e := range r.Events {
			if !slices.Contains(events, e) {
				events = append(events, e)
			}
		}
	}
	return events
}

func everyAttribute() (keys []attribute.Key) {
	add := func(more []attribute.Key) {
		for _, k := range more {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	for _, r := range Spans() {
		add(r.Attributes)
	}
	for _, e := range everyEvent() {
		add(EventAttributes(e))
	}
	return keys
}

// TestPageHasTheTable asserts that the guide's page says of each span, event and
// attribute what the table says, and knows no others.
func TestPageHasTheTable(t *testing.T) {
	text := page(t)
	for _, r := range Spans() {
		if s := section(r); !strings.Contains(text, s) {
			t.Errorf("the page lacks, to the letter:\n%s", s)
		}
	}
	known := map[string]bool{"raft.trace.dropped": true, "raft.observations.dropped": true}
	for _, r := range Spans() {
		known[r.Name] = true
	}
	for _, e := range everyEvent() {
		known[e] = true
		if row := fmt.Sprintf("| `%s` | %s | ", e, quoted(EventAttributes(e))); !strings.Contains(text, "\n"+row) {
			t.Errorf("the page's events lack the row: %s", row)
		}
	}
	for _, k := range everyAttribute() {
		known[string(k)] = true
		if row := fmt.Sprintf("| `%s` | ", k); !strings.Contains(text, "\n"+row) {
			t.Errorf("the page's attributes lack the row: %s", row)
		}
	}
	if n := strings.Count(text, "\n### `raft."); n != len(Spans()) {
		t.Errorf("the page has %d sections, the table %d rows", n, len(Spans()))
	}
	for _, name := range regexp.MustCompile("`(raft\\.[a-z_.]+)`").FindAllStringSubmatch(text, -1) {
		if !known[name[1]] {
			t.Errorf("the page names %s, which is nothing of the table", name[1])
		}
	}
}

// TestTableIsWhole asserts that every parent in the table is a span of it, and
// that every span says who recorded it.
func TestTableIsWhole(t *testing.T) {
	for _, r := range Spans() {
		for _, u := range r.Under {
			if u != "" && !slices.ContainsFunc(Spans(), func(o *SpanType) bool { return o.Name == u }) {
				t.Errorf("%s stands under %s, which is not in the table", r.Name, u)
			}
		}
		if !slices.Contains(r.Attributes, NodeKey) || !slices.Contains(r.Attributes, GroupKey) || r.By == "" {
			t.Errorf("%s does not say who recorded it", r.Name)
		}
	}
}

// TestPageNamesTheVariables asserts that the page lists the variables of the
// environment that package otlp reads, and no others.
func TestPageNamesTheVariables(t *testing.T) {
	source, err := os.ReadFile("otlp/settings.go")
	if err != nil {
		t.Fatal(err)
	}
	text := page(t)
	for _, name := range regexp.MustCompile(`"(OTEL_[A-Z_]+[A-Z])"`).FindAllStringSubmatch(string(source), -1) {
		if !strings.Contains(text, "`"+name[1]+"`") {
			t.Errorf("the page does not name %s", name[1])
		}
	}
	for _, suffix := range regexp.MustCompile(`ofTraces\("([A-Z]+)"\)`).FindAllStringSubmatch(string(source), -1) {
		if !strings.Contains(text, "`OTEL_EXPORTER_OTLP_"+suffix[1]+"`") {
			t.Errorf("the page does not name OTEL_EXPORTER_OTLP_%s", suffix[1])
		}
	}
}
