package cli

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// TestFlagsAnywhere wants flags to be taken before the command, before the
// arguments, between and behind them.
func TestFlagsAnywhere(t *testing.T) {
	var got string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.URL.RequestURI()
		_, _ = w.Write([]byte(`{"term":1,"index":2}`))
	}))
	defer front.Close()
	for _, args := range [][]string{
		{"--http", front.URL, "put", "k", "v", "--timeout", "1s"},
		{"put", "--http", front.URL, "--timeout=1s", "k", "v"},
		{"put", "k", "--http", front.URL, "v", "--timeout", "1s"},
		{"put", "--timeout", "1s", "--http=" + front.URL, "--", "k", "v"},
		{"--timeout", "1s", "put", "k", "v", "--http", strings.TrimPrefix(front.URL, "http://")},
	} {
		got = ""
		code, stdout, stderr := run(t, args...)
		if code != 0 || stdout != "{\"term\":1,\"index\":2}\n" || stderr != "" || got != "PUT /kv/k?timeout=1s" {
			t.Errorf("kv %q: %d %q %q, sent %q", args, code, stdout, stderr, got)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"serve", "--help"}, {"help", "cas"}} {
		code, stdout, stderr := run(t, args...)
		if code != 0 || !strings.Contains(stdout, "Usage:") || stderr != "" {
			t.Errorf("kv %q: %d %q %q", args, code, stdout, stderr)
		}
	}
}

func TestErrors(t *testing.T) {
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		_, _ = w.Write([]byte(`{"code":"unknown_outcome","error":"too late","may_have_happened":true,"leader":0}`))
	}))
	defer front.Close()
	code, stdout, stderr := run(t, "put", "k", "v", "--http", front.URL)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "unknown_outcome: too late (the write may have been carried out") {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
}

// TestCancelled runs a whole node until its context ends.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := &notice{seen: cancel}
	var stderr bytes.Buffer
	args := []string{"serve", "--id", "3", "--store", "memory", "--http", "127.0.0.1:0", "--raft", "127.0.0.1:0"}
	if code := Run(ctx, args, strings.NewReader(""), ready, &stderr); code != 0 || !strings.HasPrefix(ready.String(), `{"ready":true,"id":3,`) {
		t.Fatalf("%d %q %s", code, ready, &stderr)
	}
	if code := Run(t.Context(), args, strings.NewReader(""), brokenPipe{}, &stderr); code != 1 {
		t.Fatalf("without a reader of its ready line: %d %s", code, &stderr)
	}
}

// notice says when something was written.
type notice struct {
	bytes.Buffer
	seen func()
}

func (n *notice) Write(p []byte) (int, error) {
	defer n.seen()
	return n.Buffer.Write(p)
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestAnswersAreAwaited for as long as a leader is: who sets a long time-out has a
// slow link.
func TestAnswersAreAwaited(t *testing.T) {
	for set, want := range map[time.Duration]time.Duration{200 * time.Millisecond: time.Second, 5 * time.Second: 5 * time.Second} {
		if got := (&settings{electionTimeout: set}).transport(nil).AnswerTimeout; got != want {
			t.Errorf("with --election-timeout %v answers are awaited for %v", set, got)
		}
	}
}
