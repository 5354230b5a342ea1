package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/tracing/otlp/otlptest"
)

func TestTraceFlagsAreChecked(t *testing.T) {
	for _, test := range []struct{ says, flags string }{
		{"--trace-ratio: nothing is traced without --otlp", "--trace-ratio 0.5"},
		{"--trace-ratio: 2 is not from 0 to 1", "--otlp 127.0.0.1:4317 --trace-ratio 2"},
		{"--otlp: ", "--otlp nowhere"},
	} {
		args := append(strings.Fields("serve --id 1 --store memory --http 127.0.0.1:0 --raft 127.0.0.1:0"), strings.Fields(test.flags)...)
		if code, _, stderr := run(t, args...); code != 1 || !strings.Contains(stderr, test.says) {
			t.Errorf("%s: %d %q", test.flags, code, stderr)
		}
	}
}

// lines hands each line that is written to a channel.
type lines struct {
	rest bytes.Buffer
	out  chan string
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest.Write(b)
	for {
		line, err := l.rest.ReadString('\n')
		if err != nil {
			l.rest.WriteString(line)
			return len(b), nil
		}
		l.out <- line
	}
}

// TestServeExportsTraces runs a node with --otlp and follows a caller's
// traceparent.
func TestServeExportsTraces(t *testing.T) {
	collector, err := otlptest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer collector.Close()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdout := &lines{out: make(chan string, 8)}
	ended := make(chan int, 1)
	go func() {
		args := strings.Fields("serve --id 1 --store memory --http 127.0.0.1:0 --raft 127.0.0.1:0 --election-timeout 100ms --trace-ratio 0 --otlp " + collector.GRPC)
		ended <- Run(ctx, args, strings.NewReader(""), stdout, &bytes.Buffer{})
	}()
	var ready api.Ready
	select {
	case line := <-stdout.out:
		if err := json.Unmarshal([]byte(line), &ready); err != nil {
			t.Fatal(err)
		}
	case code := <-ended:
		t.Fatalf("serve ended with %d", code)
	}
	limited, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	send := func(method, path, body, caller string) {
		t.Helper()
		r, err := http.NewRequestWithContext(limited, method, "http://"+ready.HTTP+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("traceparent", caller)
		r.Close = true
		answer, err := http.DefaultClient.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %v, %v", method, path, answer, err)
		}
		answer.Body.Close()
	}
	send("POST", "/cluster/init", fmt.Sprintf(`{"members":[{"id":1,"address":%q}]}`, ready.Raft), "")
	const traced, other = "0af7651916cd43dd8448eb211c80319c", "1af7651916cd43dd8448eb211c80319c"
	send("PUT", "/kv/a", "1", "00-"+other+"-b7ad6b7169203331-00")
	send("PUT", "/kv/b", "2", "00-"+traced+"-b7ad6b7169203331-01")
	send("GET", "/kv/b", "", "00-"+traced+"-b7ad6b7169203331-01")
	spans, err := collector.Wait(limited, func(spans []otlptest.Span) bool {
		found := 0
		for _, s := range spans {
			if s.TraceID == traced && s.ParentID == "b7ad6b7169203331" {
				found++
			}
		}
		return found == 2
	})
	if err != nil {
		t.Errorf("the caller is not followed: %v, %+v", err, spans)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("serve ended with %d", code)
	}
	for _, s := range collector.Spans() {
		if s.TraceID != traced && s.Name == "raft.propose" {
			t.Errorf("a write is traced whose caller is not: %+v", s)
		}
	}
}

// TestServeEndsWithoutCollector asserts that spans which nobody takes are no failure
// of a node's end.
func TestServeEndsWithoutCollector(t *testing.T) {
	collector, err := otlptest.Start()
	if err != nil {
		t.Fatal(err)
	}
	nowhere := collector.GRPC
	collector.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdout, stderr := &lines{out: make(chan string, 8)}, &bytes.Buffer{}
	ended := make(chan int, 1)
	go func() {
		args := strings.Fields("serve --id 1 --store memory --http 127.0.0.1:0 --raft 127.0.0.1:0 --trace-ratio 1 --otlp " + nowhere)
		ended <- Run(ctx, args, strings.NewReader(""), stdout, stderr)
	}()
	<-stdout.out // it is ready, and its start was traced
	stop()
	if code := <-ended; code != 0 || !strings.Contains(stderr.String(), "spans cannot be exported") {
		t.Errorf("serve ended with %d, and its log is\n%s", code, stderr)
	}
}
