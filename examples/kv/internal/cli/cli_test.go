package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
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

// TestLeadership: the commands that move the leadership, and what is wrong with
// priorities.
func TestLeadership(t *testing.T) {
	var got string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.Path + " " + string(body)
		if strings.Contains(got, "9") {
			w.WriteHeader(409)
			_, _ = w.Write([]byte(`{"code":"transfer_failed","error":"no","may_have_happened":true,"leader":1,"reason":"timed_out"}`))
			return
		}
		_, _ = w.Write([]byte(`{"leader":2,"term":3}`))
	}))
	defer front.Close()
	for _, test := range []struct {
		args []string
		sent string
	}{
		{[]string{"transfer"}, `POST /cluster/transfer {"to":0}`},
		{[]string{"transfer", "--to", "2"}, `POST /cluster/transfer {"to":2}`},
		{[]string{"elect"}, "POST /cluster/elect "},
	} {
		code, stdout, stderr := run(t, append(test.args, "--http", front.URL)...)
		if code != 0 || stdout != "{\"leader\":2,\"term\":3}\n" || stderr != "" || got != test.sent {
			t.Errorf("kv %q: %d %q %q, sent %q", test.args, code, stdout, stderr, got)
		}
	}
	for _, test := range []struct {
		args []string
		sent string
	}{
		{[]string{"snapshot"}, "POST /cluster/snapshot "},
		{[]string{"purge", "--up-to", "7"}, `POST /cluster/purge {"up_to":7}`},
	} {
		if code, _, stderr := run(t, append(test.args, "--http", front.URL)...); code != 0 || stderr != "" || got != test.sent {
			t.Errorf("kv %q: %d %q, sent %q", test.args, code, stderr, got)
		}
	}
	if code, _, stderr := run(t, "purge", "--http", front.URL); code != 1 || !strings.Contains(stderr, "--up-to") {
		t.Errorf("a purge up to nothing: %d %q", code, stderr)
	}
	code, _, stderr := run(t, "transfer", "--to", "9", "--http", front.URL)
	if code != 1 || !strings.Contains(stderr, "transfer_failed: no (kv status says who leads)") {
		t.Errorf("%d %q", code, stderr)
	}
	code, _, _ = run(t, "init", "--http", front.URL, "--members", "1=a:1,2=b:2", "--priority", "2=200")
	if want := `POST /cluster/init {"members":[{"id":1,"address":"a:1"},{"id":2,"address":"b:2","priority":200}]}`; code != 0 || got != want {
		t.Errorf("%d, sent %q", code, got)
	}
	for _, wrong := range []string{"2", "2=", "=5", "2=0", "2=1001", "2=-1", "3=100", "x=5", "2=99999999999"} {
		for _, args := range [][]string{
			{"init", "--http", front.URL, "--members", "1=a:1,2=b:2", "--priority", wrong},
			{"serve", "--id", "1", "--store", "memory", "--init", "1=a:1,2=b:2", "--priority", wrong},
		} {
			if code, _, stderr := run(t, args...); code != 1 || !strings.Contains(stderr, "kv: --") {
				t.Errorf("kv %q: %d %q", args, code, stderr)
			}
		}
	}
	if code, _, stderr := run(t, "init", "--members", "1=a:1,2=b:2", "--priority", "2=5", "--priority", "2=6"); code != 1 || !strings.Contains(stderr, "node 2 stands there twice") {
		t.Errorf("%d %q", code, stderr)
	}
	if code, _, stderr := run(t, "serve", "--id", "1", "--store", "memory", "--priority", "1=5"); code != 1 || !strings.Contains(stderr, "there is no --init") {
		t.Errorf("%d %q", code, stderr)
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
	gone, cancel := context.WithCancel(t.Context())
	defer cancel()
	if code := Run(gone, args, strings.NewReader(""), brokenPipe{cancel}, brokenPipe{func() {}}); code != 0 {
		t.Fatalf("without a reader of its ready line and of its log: %d", code)
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

// brokenPipe has no reader any more.
type brokenPipe struct{ tried func() }

func (p brokenPipe) Write([]byte) (int, error) {
	p.tried()
	return 0, errors.New("broken pipe")
}

// TestAnswersAreAwaited for as long as a leader is: who sets a long time-out has a
// slow link.
func TestAnswersAreAwaited(t *testing.T) {
	for set, want := range map[time.Duration]time.Duration{200 * time.Millisecond: time.Second, 5 * time.Second: 5 * time.Second} {
		if got := (&settings{electionTimeout: set}).transport(nil).AnswerTimeout; got != want {
			t.Errorf("with --election-timeout %v answers are awaited for %v", set, got)
		}
	}
}
