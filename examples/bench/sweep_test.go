package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fakeRuns stands in for the processes of a sweep: it notes who ran, and answers
// with numbers that tell them apart.
func fakeRuns(ran *[]string, fail string) runProgram {
	return func(_ context.Context, program string, arguments ...string) ([]byte, error) {
		flags := make(map[string]string)
		for i := 0; i < len(arguments); i += 2 {
			flags[arguments[i]] = arguments[i+1]
		}
		r := result{Peer: "troupe", Mode: flags["-mode"], Store: flags["-store"], PerSecond: 1000, P99us: 100, Replicated: true, Go: "go9", CPUs: 2}
		r.Clients, _ = strconv.Atoi(flags["-clients"])
		r.PayloadBytes, _ = strconv.Atoi(flags["-payload"])
		if program == "the-peers" {
			r.Peer, r.PerSecond, r.P99us = flags["-peer"], 500, 200
		}
		*ran = append(*ran, fmt.Sprintf("%s %s %d", r.name(), r.Mode, r.Clients))
		if r.name() == fail {
			return nil, errors.New("it broke")
		}
		return json.Marshal(r)
	}
}

func TestSweepRunsByTurns(t *testing.T) {
	dir := t.TempDir()
	s := sweepSettings{
		modes: []string{"mem", "disk"}, clients: []int{4}, payloads: []int{16}, repeats: 2, seconds: 1,
		peerBinary: "the-peers", with: []string{"etcd", "hashicorp"}, dir: dir,
	}
	var ran []string
	var said bytes.Buffer
	w := &sweep{settings: s, out: &said, self: "ourselves", run: fakeRuns(&ran, "hashicorp-bolt")}
	results := filepath.Join(dir, "results.jsonl")
	if err := w.all(t.Context(), results); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"troupe mem 4", "hashicorp mem 4", "etcd mem 4",
		"troupe disk 4", "hashicorp-wal disk 4", "hashicorp-bolt disk 4", "etcd disk 4",
		"hashicorp mem 4", "etcd mem 4", "troupe mem 4",
		"hashicorp-wal disk 4", "hashicorp-bolt disk 4", "etcd disk 4", "troupe disk 4",
	}
	if !slices.Equal(ran, want) {
		t.Errorf("the runs were\n%s\nwant\n%s", strings.Join(ran, "\n"), strings.Join(want, "\n"))
	}
	if w.failures != 2 || !strings.Contains(said.String(), "hashicorp-bolt: it broke") {
		t.Errorf("%d failures were counted, and it said\n%s", w.failures, &said)
	}
	if all, err := readResults(results); err != nil || len(all) != len(want)-2 {
		t.Errorf("%d results, %v", len(all), err)
	}
	var usage usageError
	if err := w.all(t.Context(), results); !errors.As(err, &usage) {
		t.Errorf("results that were there already: %v", err)
	}
	w.settings.add = true
	if err := w.all(t.Context(), results); err != nil {
		t.Error(err)
	}
	if all, err := readResults(results); err != nil || len(all) != 2*(len(want)-2) {
		t.Errorf("after -append: %d results, %v", len(all), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "troupe-sweep-*")); len(left) > 0 {
		t.Errorf("it left %v behind", left)
	}
}

func TestSweepStopsEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	var ran []string
	w := &sweep{settings: sweepSettings{modes: []string{"mem"}, clients: []int{1, 2}, payloads: []int{8}, repeats: 3, dir: dir}, out: io.Discard, self: "x", run: fakeRuns(&ran, "")}
	if err := w.all(ctx, filepath.Join(dir, "results")); !errors.Is(err, context.Canceled) || len(ran) != 1 {
		t.Errorf("%d runs, %v", len(ran), err)
	}
}

// resultsFile writes results as lines of JSON.
func resultsFile(t *testing.T, results ...result) string {
	t.Helper()
	var b bytes.Buffer
	for _, r := range results {
		if err := json.NewEncoder(&b).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "results.jsonl")
	if err := os.WriteFile(name, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

func sample(peer, store, mode string, clients int, perSecond, p99us float64) result {
	return result{
		Peer: peer, Store: store, Mode: mode, Clients: clients, PayloadBytes: 16, PerSecond: perSecond, P50us: p99us / 2, P99us: p99us,
		Allocations: 2.25, Bytes: 1234, CPUus: 3.14, Replicated: true, Seconds: 3,
	}
}

// samples are runs of one cell against two peers, of which one is faster and the
// other has the lower p99, and of one cell without any.
func samples() []result {
	doubtful := sample("etcd", "", "mem", 256, 200_000, 2000)
	doubtful.Errors = 1500
	unfit := sample("troupe", "memory", "mem", 256, 290_000, 1100)
	unfit.Replicated, unfit.TermChanges = false, 2
	return []result{
		sample("troupe", "badger", "disk", 1, 1000, 900),
		sample("hashicorp", "", "mem", 256, 100_000, 500), doubtful,
		unfit, sample("troupe", "memory", "mem", 256, 310_000, 1000), sample("troupe", "memory", "mem", 256, 300_000, 3000),
		sample("etcd", "", "mem", 256, 100_000, 1000),
	}
}

const wantTable = `**mem, 16 B**

| clients | | ops/s (range) | to best peer | p50 ms | p99 ms | to best peer | allocs/op | B/op | CPU µs/op | runs |
|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| 256 | **troupe** | 300,000 (290,000–310,000) | 2.00 | 0.550 | 1.100 | 2.20 | 2.2 | 1,234 | 3.1 | 3 |
| 256 | etcd | 150,000 (100,000–200,000) | 1.00 | 0.750 | 1.500 | 3.00 | 2.2 | 1,234 | 3.1 | 2 |
| 256 | hashicorp | 100,000 (100,000–100,000) | 0.67 | 0.250 | 0.500 | 1.00 | 2.2 | 1,234 | 3.1 | 1 |

**disk, 16 B**

| clients | | ops/s (range) | to best peer | p50 ms | p99 ms | to best peer | allocs/op | B/op | CPU µs/op | runs |
|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| 1 | **troupe-badger** | 1,000 (1,000–1,000) |  | 0.450 | 0.900 |  | 2.2 | 1,234 | 3.1 | 1 |

mem, 16 B, 256 clients, etcd: 1,500 operations failed, and were counted as errors only.

mem, 16 B, 256 clients, troupe: in 1 runs some node did not apply all that was acknowledged.

mem, 16 B, 256 clients, troupe: the term changed 2 times during the runs.
`

func TestTable(t *testing.T) {
	results, err := readResults(resultsFile(t, samples()...))
	if err != nil {
		t.Fatal(err)
	}
	if got := table(summarize(results)); got != wantTable {
		t.Errorf("the table is\n%s", got)
	}
	if _, err := readResults(resultsFile(t)); err == nil {
		t.Error("a file without results was taken")
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("{}\n{\"ops\":\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := readResults(broken); err == nil || !strings.Contains(err.Error(), "broken:2") {
		t.Errorf("a broken line: %v", err)
	}
}

// TestPublish makes everything of the results of an earlier sweep, as a user does.
func TestPublish(t *testing.T) {
	dir := t.TempDir()
	guide := filepath.Join(dir, "bench.md")
	if err := os.WriteFile(guide, []byte("above\n"+guideBegin+"\nold\n"+guideEnd+"\nbelow\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	arguments := []string{"sweep", "-from", resultsFile(t, samples()...), "-out", filepath.Join(dir, "plots"), "-guide", guide}
	for range 2 { // the second replaces what the first has written
		stdout.Reset()
		if code := command(t.Context(), arguments, &stdout, &stderr); code != exitOK {
			t.Fatal(stderr.String())
		}
	}
	if !strings.Contains(stdout.String(), wantTable) {
		t.Errorf("it printed\n%s", &stdout)
	}
	content, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	if !strings.HasPrefix(text, "above\n"+guideBegin+"\n") || !strings.HasSuffix(text, guideEnd+"\nbelow\n") ||
		strings.Count(text, wantTable) != 1 || strings.Contains(text, "old") || !strings.Contains(text, "(plots/p99-mem-16.svg)") {
		t.Errorf("the guide is\n%s", text)
	}
	for _, name := range []string{"table.md", "throughput-mem-16.svg", "p99-mem-16.svg", "throughput-disk-16.svg", "p99-disk-16.svg"} {
		if _, err := os.Stat(filepath.Join(dir, "plots", name)); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(guide, []byte("nothing\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if code := command(t.Context(), arguments, &stdout, &stderr); code != exitFailed {
		t.Errorf("a guide without a place for the table: exit code %d", code)
	}
}

// TestChartsAreWellFormed parses the plots, and asserts that they have a line for
// each contender and that everything lies inside.
func TestChartsAreWellFormed(t *testing.T) {
	results := append(samples(),
		sample("a<b>&\"c\"", "", "mem", 1, 1e7, 3),
		sample("troupe", "memory", "mem", 1, 60_000, 70),
		sample("etcd", "", "mem", 1024, 0, 0), // has no place on a logarithmic axis
	)
	found := charts(summarize(results))
	if len(found) != 4 {
		t.Fatalf("%d plots, want 4", len(found))
	}
	for _, c := range found {
		content := c.svg()
		lines := 0
		decoder := xml.NewDecoder(bytes.NewReader(content))
		for {
			element, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v\n%s", c.file, err, content)
			}
			start, ok := element.(xml.StartElement)
			if !ok {
				continue
			}
			if start.Name.Local == "polyline" {
				lines++
			}
			for _, a := range start.Attr {
				var limit float64
				switch a.Name.Local {
				case "x", "x1", "x2", "cx":
					limit = width
				case "y", "y1", "y2", "cy":
					limit = height
				default:
					continue
				}
				if v, err := strconv.ParseFloat(a.Value, 64); err != nil || math.IsNaN(v) || v < 0 || v > limit {
					t.Errorf("%s: %s has %s=%q", c.file, start.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
		if want := map[bool]int{true: 4, false: 1}[strings.Contains(c.file, "mem")]; lines != want {
			t.Errorf("%s has %d lines, want %d", c.file, lines, want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		low, high float64
		want      []float64
	}{
		{0.9, 11, []float64{1, 2, 5, 10}},
		{1e3, 1e6, []float64{1e3, 1e4, 1e5, 1e6}},
		{3, 4, nil},
	} {
		got := axis{low: test.low, high: test.high}.ticks()
		if !slices.EqualFunc(got, test.want, func(a, b float64) bool { return math.Abs(a-b) < b/1e9 }) {
			t.Errorf("from %g to %g the ticks are %v, want %v", test.low, test.high, got, test.want)
		}
	}
}

// TestPeersAreBuiltOutsideTheWorkspace asserts that a go.work above the peers,
// which does not use them, is no hindrance.
func TestPeersAreBuiltOutsideTheWorkspace(t *testing.T) {
	top := t.TempDir()
	peers := filepath.Join(top, "peers")
	if err := os.Mkdir(peers, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"go.work": "go 1.26\n", "peers/go.mod": "module peers\n\ngo 1.26\n", "peers/main.go": "package main\n\nfunc main() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(top, filepath.FromSlash(name)), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	w := &sweep{settings: sweepSettings{peers: peers}, dir: top}
	if err := w.findPeers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(w.peerBinary); err != nil {
		t.Error(err)
	}
}

// TestKeysAreThePeers asserts that the peers' line of JSON is the begin of ours, but
// for what it says of reads at its end: else they could not be compared.
func TestKeysAreThePeers(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "peers/result.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var theirs []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "result" {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			theirs = append(theirs, strings.Trim(field.Tag.Value, "`"))
		}
		return false
	})
	if len(theirs) < 16 {
		t.Fatalf("only %d keys of the peers were found", len(theirs))
	}
	last := len(theirs) - 1
	if field, found := reflect.TypeFor[result]().FieldByName("Reads"); !found || string(field.Tag) != theirs[last] {
		t.Errorf("the peers' last key is %s", theirs[last])
	}
	for i, want := range theirs[:last] {
		if got := string(reflect.TypeFor[result]().Field(i).Tag); got != want {
			t.Errorf("key %d is %s, and the peers' is %s", i, got, want)
		}
	}
}
