package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// jaegerAPI is the API over HTTP of a running Jaeger.
type jaegerAPI struct {
	base   string
	client *http.Client
}

func newJaegerAPI(t *testing.T, base string) jaegerAPI {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return jaegerAPI{strings.TrimRight(base, "/"), &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

// jaegerTrace is what /api/traces answers for each trace.
type jaegerTrace struct {
	TraceID string
	Spans   []struct {
		SpanID, OperationName, ProcessID string
		References                       []struct{ RefType, SpanID string }
		Tags                             []jaegerTag
		Logs                             []struct{ Fields []jaegerTag }
	}
	Processes map[string]struct {
		ServiceName string
		Tags        []jaegerTag
	}
}

type jaegerTag struct {
	Key   string
	Value any
}

// get reads the data of an answer; a trace that is not known yet is none.
func (a jaegerAPI) get(t *testing.T, path string, data any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := a.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode == http.StatusNotFound {
		return
	}
	answer := struct{ Data any }{data}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %v\n%s", path, response.Status, err, body)
	}
}

// indexLimit is for how long Jaeger may take to show what it was sent.
const indexLimit = 10 * time.Second

// until asks again and again: Jaeger tells nobody when a span can be read.
func until(t *testing.T, ask func() bool) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), indexLimit)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !ask() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// trace reads a trace when it has so many spans, or what there is in time.
func (a jaegerAPI) trace(t *testing.T, id string, spans int) (all []arrived) {
	t.Helper()
	until(t, func() bool {
		var traces []jaegerTrace
		a.get(t, "/api/traces/"+id, &traces)
		all = nil
		for i := range traces {
			all = append(all, traces[i].spans()...)
		}
		return len(all) >= spans
	})
	return all
}

func (j *jaegerTrace) spans() (all []arrived) {
	for _, s := range j.Spans {
		a := arrived{service: j.Processes[s.ProcessID].ServiceName, name: s.OperationName, id: s.SpanID, tags: make(map[string]string)}
		for _, tag := range s.Tags {
			switch value := fmt.Sprint(tag.Value); {
			case strings.HasPrefix(tag.Key, "raft."):
				a.tags[tag.Key] = value
			case tag.Key == "span.kind":
				a.kind = value
			case tag.Key == "error":
				a.failed = value == "true"
			}
		}
		for _, reference := range s.References {
			if reference.RefType == "CHILD_OF" {
				a.parent = reference.SpanID
			}
		}
		for _, entry := range s.Logs {
			for _, field := range entry.Fields {
				if field.Key == "event" {
					a.events = append(a.events, fmt.Sprint(field.Value))
				}
			}
		}
		all = append(all, a)
	}
	return all
}

// TestReadBack asks a Jaeger that runs: JAEGER_QUERY_URL is its API, and
// OTEL_EXPORTER_OTLP_ENDPOINT where it takes spans.
func TestReadBack(t *testing.T) {
	base := os.Getenv("JAEGER_QUERY_URL")
	if base == "" {
		t.Skip("JAEGER_QUERY_URL is not set: start Jaeger as README.md says, and set it to http://127.0.0.1:16686")
	}
	readBack(t, newJaegerAPI(t, base))
}

// readBack asserts that what was exported can be read, as it was meant.
func readBack(t *testing.T, api jaegerAPI) {
	t.Run("a write", func(t *testing.T) {
		q := openQuiet(t)
		for _, forwarded := range []bool{false, true} {
			id, expected := q.write(t, forwarded)
			want := expected.tree()
			if got := drawn(api.trace(t, id, strings.Count(want, "\n"))); got != want {
				t.Errorf("Jaeger has\n%swant\n%s", got, want)
			}
			found := url.Values{"service": {fmt.Sprintf("troupe-node-%d", expected.leader)}, "limit": {"20"},
				"tags": {fmt.Sprintf(`{"raft.index":"%d","raft.command.bytes":"%d"}`, expected.id.Index, expected.commandBytes)}}
			var traces []jaegerTrace
			if !until(t, func() bool {
				api.get(t, "/api/traces?"+found.Encode(), &traces)
				return slices.ContainsFunc(traces, func(j jaegerTrace) bool { return j.TraceID == id })
			}) {
				t.Errorf("a search for %v finds %d traces, and not this one", found, len(traces))
			}
		}
	})
	t.Run("all that is shown", func(t *testing.T) {
		s := quick(t)
		s.ui = api.base
		var out bytes.Buffer
		if err := run(t.Context(), s, &out, t.Output()); err != nil {
			t.Fatalf("%v after:\n%s", err, &out)
		}
		for i, p := range assertShown(t, out.String(), s.ui) {
			var spans int
			if _, err := fmt.Sscan(p.spans, &spans); err != nil {
				t.Fatal(err)
			}
			all := api.trace(t, p.trace, spans)
			tree := drawn(all)
			if len(all) < spans || !p.late && len(all) > spans || strings.Contains(tree, "(parent missing)") ||
				!slices.ContainsFunc(all, func(a arrived) bool { return a.name == shownInOrder[i].span }) {
				t.Errorf("%q: %d spans were promised, and Jaeger has\n%s", p.what, spans, tree)
			}
		}
	})
	var services []string
	api.get(t, "/api/services", &services)
	for node := 1; node <= nodes; node++ {
		service := fmt.Sprintf("troupe-node-%d", node)
		if !slices.Contains(services, service) {
			t.Errorf("Jaeger knows the services %v, and not %s", services, service)
		}
		var operations []struct{ Name string }
		api.get(t, "/api/operations?service="+service, &operations)
		for _, name := range []string{"raft.recover", "raft.log.append"} {
			if !slices.ContainsFunc(operations, func(o struct{ Name string }) bool { return o.Name == name }) {
				t.Errorf("%s has the operations %v, and not %s", service, operations, name)
			}
		}
	}
}

var endpointPattern = regexp.MustCompile(`(?m)^ *endpoint: *(\S+)$`)

func TestConfigurationListensOnLoopback(t *testing.T) {
	content, err := os.ReadFile("jaeger.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var endpoints []string
	for _, m := range endpointPattern.FindAllStringSubmatch(string(content), -1) {
		if !strings.HasPrefix(m[1], "127.0.0.1:") {
			t.Errorf("Jaeger would listen on %s", m[1])
		}
		endpoints = append(endpoints, m[1])
	}
	for _, want := range []string{"127.0.0.1:4317", "127.0.0.1:4318", strings.TrimPrefix(defaults().ui, "http://")} {
		if !slices.Contains(endpoints, want) {
			t.Errorf("Jaeger would listen on %v, and not on %s", endpoints, want)
		}
	}
}

// TestConfigurationRunsJaeger starts the program JAEGER_BINARY with the
// configuration of this directory, on other ports.
func TestConfigurationRunsJaeger(t *testing.T) {
	binary := os.Getenv("JAEGER_BINARY")
	if binary == "" {
		t.Skip("JAEGER_BINARY is not set: README.md says how to build that program")
	}
	if output, err := exec.CommandContext(t.Context(), binary, "validate", "--config", "jaeger.yaml").CombinedOutput(); err != nil {
		t.Fatalf("validate: %v\n%s", err, output)
	}
	ports := freePorts(t, 5)
	arguments := []string{"--config", "jaeger.yaml"}
	for i, key := range []string{
		"receivers.otlp.protocols.grpc", "receivers.otlp.protocols.http",
		"extensions.jaeger_query.http", "extensions.jaeger_query.grpc", "extensions.healthcheckv2.http",
	} {
		arguments = append(arguments, "--set="+key+".endpoint="+ports[i])
	}
	jaeger := exec.Command(binary, arguments...)
	jaeger.Stdout, jaeger.Stderr = t.Output(), t.Output()
	if err := jaeger.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- jaeger.Wait() }()
	defer func() {
		_ = jaeger.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Jaeger ended with: %v", err)
			}
		case <-time.After(indexLimit):
			_ = jaeger.Process.Kill()
			t.Errorf("Jaeger does not end: %v", <-ended)
		}
	}()
	health := newJaegerAPI(t, "http://"+ports[4])
	if !until(t, func() bool {
		response, err := health.client.Get(health.base + "/status")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	}) {
		t.Fatal("Jaeger is not ready in time")
	}
	environment(t, "http://"+ports[0])
	readBack(t, newJaegerAPI(t, "http://"+ports[2]))
}

// freePorts are addresses at which nobody listens a moment later.
func freePorts(t *testing.T, count int) (addresses []string) {
	t.Helper()
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses
}
