package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trouperaft/troupe/tracing/otlp/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment lets nothing but the endpoint be set for the exporters.
func environment(t *testing.T, endpoint string) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
}

func receive(t *testing.T) *otlptest.Receiver {
	t.Helper()
	r, err := otlptest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	environment(t, "http://"+r.GRPC)
	return r
}

// quick are settings for a run that is over in a second or two.
func quick(t *testing.T) settings {
	t.Helper()
	s := defaults()
	s.dir, s.load, s.rate = t.TempDir(), 100*time.Millisecond, 50
	s.electionTimeout = time.Second // only the killed leader is to be missed, also beside other work: who asks again has more spans than were waited for
	return s
}

// assertEmpty asserts that the temporary directory was removed.
func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the run left %v behind (%v)", left, err)
	}
}

// printed is one thing that a run has shown.
type printed struct {
	what, spans, trace, link string
	late                     bool
}

var (
	printedPattern = regexp.MustCompile(`(?m)^ *[0-9.]+s  (\S.*)\n.*  (\d+) spans? of nodes? .*\n.*\n.*    trace ([0-9a-f]{32})  (\S+)$`)
	countPattern   = regexp.MustCompile(`(?m)^.*s  node (\d): (\d+) spans exported, (\d+) dropped$`)
)

func parse(out string) (all []printed) {
	for _, m := range printedPattern.FindAllStringSubmatch(out, -1) {
		all = append(all, printed{what: m[1], spans: m[2], trace: m[3], link: m[4], late: strings.Contains(m[0], "more to come")})
	}
	return all
}

// shownInOrder are the beginnings of what is shown, with a span that its trace
// must have.
var shownInOrder = []struct{ what, span string }{
	{"the cluster is formed", "raft.bootstrap"},
	{"one write, on the leader", operationWrite},
	{"16 writes at once, in a batch of", operationBatch},
	{"a write on node", operationForwarded},
	{"a linearizable read", operationRead},
	{"a snapshot, of the log up to", "raft.snapshot.build"},
	{"the election", "raft.election"},
	{"a write on node", operationLeaderChange},
	{"a write on node", operationLeaderChange},
	{"the restart of node", "raft.recover"},
	{"what node", "raft.snapshot.install"},
}

// assertShown asserts that everything was shown, and returns it.
func assertShown(t *testing.T, out, ui string) []printed {
	t.Helper()
	all := parse(out)
	if len(all) != len(shownInOrder) {
		t.Fatalf("%d things were shown, want %d:\n%s", len(all), len(shownInOrder), out)
	}
	for i, p := range all {
		if want := shownInOrder[i].what; !strings.HasPrefix(p.what, want) {
			t.Errorf("the text of number %d is %q, want %q", i+1, p.what, want)
		}
		if want := ui + "/trace/" + p.trace; p.link != want {
			t.Errorf("the link of %q is %s, want %s", p.what, p.link, want)
		}
	}
	return all
}

// assertCounted asserts that as many spans of each node arrived as were exported
// by what is printed at the end, and returns the parts of these lines.
func assertCounted(t *testing.T, out string, spans []otlptest.Span) [][]string {
	t.Helper()
	byService := make(map[string]int)
	for _, s := range spans {
		byService[s.Service]++
	}
	counts := countPattern.FindAllStringSubmatch(out, -1)
	if len(counts) != nodes {
		t.Errorf("%d nodes are counted, want %d:\n%s", len(counts), nodes, out)
	}
	for _, m := range counts {
		if got := byService["troupe-node-"+m[1]]; fmt.Sprint(got) != m[2] {
			t.Errorf("%d spans of node %s arrived, and %s exported were printed", got, m[1], m[2])
		}
	}
	return counts
}

func TestEveryPrintedTraceIsExported(t *testing.T) {
	receiver := receive(t)
	s := quick(t)
	s.ui = "http://ui.test"
	var out, failures bytes.Buffer
	if err := run(t.Context(), s, &out, &failures); err != nil {
		t.Fatalf("%v after:\n%s%s", err, &out, &failures)
	}
	spans := receiver.Spans()
	for i, p := range assertShown(t, out.String(), s.ui) {
		all := ofReceiver(spans, p.trace)
		if !slices.ContainsFunc(all, func(a arrived) bool { return a.name == shownInOrder[i].span }) {
			t.Errorf("%q: trace %s has no span %s:\n%s", p.what, p.trace, shownInOrder[i].span, drawn(all))
		}
		if tree := drawn(all); strings.Contains(tree, "(parent missing)") {
			t.Errorf("%q: a span's parent was not exported:\n%s", p.what, tree)
		}
		if !p.late && fmt.Sprint(len(all)) != p.spans {
			t.Errorf("%q: %d spans were exported, and %s were promised:\n%s", p.what, len(all), p.spans, drawn(all))
		}
	}
	for _, m := range assertCounted(t, out.String(), spans) {
		if m[3] != "0" {
			t.Errorf("spans were dropped: %s", m[0])
		}
	}
	if failures.Len() > 0 {
		t.Errorf("stderr: %s", &failures)
	}
	assertEmpty(t, s.dir)
}

func TestTreeOfAWrite(t *testing.T) {
	receiver := receive(t)
	q := openQuiet(t)
	for _, forwarded := range []bool{false, true} {
		trace, expected := q.write(t, forwarded)
		if got, want := drawn(ofReceiver(receiver.Spans(), trace)), expected.tree(); got != want {
			t.Errorf("the trace is\n%swant\n%s", got, want)
		}
	}
}

func TestInterrupted(t *testing.T) {
	receiver := receive(t)
	s := quick(t)
	s.load = time.Hour
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := &triggered{on: "one write, on the leader", do: interrupt}
	if err := run(ctx, s, out, t.Output()); !errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %v", err)
	}
	assertEmpty(t, s.dir)
	assertCounted(t, out.text.String(), receiver.Spans())
}

func TestInterruptedExitsWithAnError(t *testing.T) {
	receive(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var out, failures bytes.Buffer
	if code := command(ctx, nil, &out, &failures); code != exitFailed || !strings.Contains(failures.String(), "interrupted") {
		t.Errorf("exit code %d, stderr %q", code, &failures)
	}
}

// triggered does something once when a text is written.
type triggered struct {
	text bytes.Buffer
	on   string
	do   func()
}

func (w *triggered) Write(p []byte) (int, error) {
	if w.do != nil && bytes.Contains(p, []byte(w.on)) {
		w.do()
		w.do = nil
	}
	return w.text.Write(p)
}

func TestLostSpansAreAnError(t *testing.T) {
	receiver := receive(t)
	s := quick(t)
	// Not one of the errors after which an export is tried again.
	out := &triggered{on: "a linearizable read", do: func() { receiver.Fail(status.Error(codes.InvalidArgument, "refused")) }}
	var failures bytes.Buffer
	err := run(t.Context(), s, out, &failures)
	if err == nil || !strings.Contains(err.Error(), "spans are lost") {
		t.Errorf("the error is %v", err)
	}
	if !strings.Contains(failures.String(), "refused") {
		t.Errorf("stderr does not tell why: %q", &failures)
	}
	lost := false
	for _, m := range assertCounted(t, out.text.String(), receiver.Spans()) {
		lost = lost || m[3] != "0"
	}
	if !lost {
		t.Errorf("no node has dropped spans:\n%s", &out.text)
	}
}

func TestNoCollector(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	environment(t, "http://"+listener.Addr().String())
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	var out, failures bytes.Buffer
	if code := command(t.Context(), nil, &out, &failures); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	for _, part := range []string{"no collector takes spans at http://" + listener.Addr().String() + ": dial tcp", "docker run", "examples/jaeger/jaeger.yaml", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		if !strings.Contains(failures.String(), part) {
			t.Errorf("stderr does not say %q:\n%s", part, &failures)
		}
	}
	if out.Len() > 0 {
		t.Errorf("it goes on: %s", &out)
	}
}

// TestSilentCollector has something that listens, and is no collector.
func TestSilentCollector(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	environment(t, "http://"+listener.Addr().String())
	s := quick(t)
	s.answerLimit = 200 * time.Millisecond
	var out bytes.Buffer
	err = run(t.Context(), s, &out, t.Output())
	var none *collectorError
	if !errors.As(err, &none) || !strings.Contains(err.Error(), "within 200ms") {
		t.Errorf("the error is %v", err)
	}
	assertEmpty(t, s.dir)
}

func TestRefusingCollector(t *testing.T) {
	receiver := receive(t)
	receiver.Fail(status.Error(codes.PermissionDenied, "not you"))
	s := quick(t)
	var out, failures bytes.Buffer
	err := run(t.Context(), s, &out, &failures)
	var none *collectorError
	if !errors.As(err, &none) || !strings.Contains(failures.String(), "not you") {
		t.Errorf("the error is %v, stderr %q", err, &failures)
	}
	assertEmpty(t, s.dir)
}

func TestTracingTurnedOff(t *testing.T) {
	receive(t)
	t.Setenv("OTEL_SDK_DISABLED", "true")
	var out, failures bytes.Buffer
	if code := command(t.Context(), nil, &out, &failures); code != exitUsage || !strings.Contains(failures.String(), "OTEL_SDK_DISABLED") {
		t.Errorf("exit code %d, stderr %q", code, &failures)
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		arguments string
		code      int
		says      string
	}{
		{"-help", exitOK, "-trace-ratio"},
		{"-seconds 0", exitUsage, "-seconds"},
		{"-seconds NaN", exitUsage, "-seconds"},
		{"-seconds 86401", exitUsage, "-seconds"},
		{"-rate -1", exitUsage, "-rate"},
		{"-rate 10001", exitUsage, "-rate"},
		{"-trace-ratio 1.1", exitUsage, "-trace-ratio"},
		{"-trace-ratio much", exitUsage, "-trace-ratio"},
		{"-ui 127.0.0.1:16686", exitUsage, "-ui"},
		{"-ui ftp://127.0.0.1", exitUsage, "-ui"},
		{"-speed 9", exitUsage, "-speed"},
		{"more", exitUsage, "more"},
	} {
		var out, failures bytes.Buffer
		if code := command(t.Context(), strings.Fields(c.arguments), &out, &failures); code != c.code || !strings.Contains(failures.String(), c.says) {
			t.Errorf("%s: exit code %d, stderr %q", c.arguments, code, &failures)
		}
	}
	s, err := parseSettings(strings.Fields("-seconds 1.5 -rate 0 -ui http://127.0.0.1:1/jaeger/ -trace-ratio 0.5"), t.Output())
	if err != nil || s.load != 1500*time.Millisecond || s.rate != 0 || s.ui != "http://127.0.0.1:1/jaeger" || s.ratio == nil || *s.ratio != 0.5 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := parseSettings(nil, t.Output()); err != nil || s.ratio != nil || s.ui != "http://127.0.0.1:16686" {
		t.Errorf("without flags: %+v, %v", s, err)
	}
}
