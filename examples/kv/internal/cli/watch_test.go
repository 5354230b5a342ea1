package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// statusServer answers with a status, or with what is no status.
func statusServer(t *testing.T, answer any) string {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e, failed := answer.(*api.Error); failed {
			w.WriteHeader(e.Code.HTTPStatus())
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// gone is an address at which nobody listens any more.
func gone(t *testing.T) string {
	t.Helper()
	front := httptest.NewServer(http.NotFoundHandler())
	front.Close()
	return front.URL
}

// until cancels when so many lines were written.
func until(lines int, cancel func()) *notice {
	n := &notice{}
	n.seen = func() {
		if bytes.Count(n.Bytes(), []byte("\n")) >= lines {
			cancel()
		}
	}
	return n
}

// TestWatchLines: a pipe gets a line of JSON for each node each time, whoever answers,
// and the end of it is no error.
func TestWatchLines(t *testing.T) {
	leads := statusServer(t, api.Status{ID: 1, Role: "leader", Term: 3, Leader: 1, LeaseMillis: 812, TransferringTo: 2})
	fails := statusServer(t, &api.Error{Code: api.Stopped, Message: "it is ending"})
	away := gone(t)
	for _, args := range [][]string{
		{"status", "--watch", "--interval", "10ms", "--http", leads + "," + away, "--http", fails},
		{"--http=" + leads, "--timeout", "300ms", "status", "--http", away, "--interval=20ms", "--http", fails, "--watch"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := until(9, cancel)
		var stderr bytes.Buffer
		if code := Run(ctx, args, strings.NewReader(""), out, &stderr); code != 0 || stderr.Len() > 0 {
			t.Fatalf("kv %q: %d %s", args, code, &stderr)
		}
		for i, text := range strings.Split(strings.TrimSpace(out.String()), "\n") {
			var line watchLine
			if err := json.Unmarshal([]byte(text), &line); err != nil || line.Time.IsZero() {
				t.Fatalf("%q: %v", text, err)
			}
			want := []string{leads, away, fails}[i%3]
			if "http://"+line.HTTP != want {
				t.Errorf("line %d is of %s, want %s", i, line.HTTP, want)
			}
			switch line.Error {
			case "":
				if s := line.Status; want != leads || s == nil || s.ID != 1 || s.Term != 3 || s.LeaseMillis != 812 || s.TransferringTo != 2 {
					t.Errorf("%q", text)
				}
			default:
				if says := map[string]string{away: "refused", fails: "stopped: it is ending"}[want]; says == "" || !strings.Contains(line.Error, says) || line.Status != nil {
					t.Errorf("%q", text)
				}
			}
		}
	}
}

// TestWatchDoesNotWait: a node that takes its time costs the others' rows no more than
// the interval, or the least patience.
func TestWatchDoesNotWait(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer slow.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := until(2, cancel)
	begun := time.Now()
	code := Run(ctx, []string{"status", "--watch", "--interval", "10ms", "--timeout", "5m", "--http", slow.URL + "," + gone(t)}, strings.NewReader(""), out, out)
	if took := time.Since(begun); code != 0 || !strings.Contains(out.String(), "no answer in 1s") || took > 10*patienceMin {
		t.Errorf("%d after %v: %s", code, took, out)
	}
	// Ctrl-C does not wait for an answer either.
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	out = until(1<<30, func() {})
	if code := Run(ctx, []string{"status", "--watch", "--interval", "1h", "--timeout", "5m", "--http", slow.URL}, strings.NewReader(""), out, out); code != 0 || out.Len() > 0 {
		t.Errorf("%d %s", code, out)
	}
}

// TestTable: a row for each node, with all that is not as usual.
func TestTable(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got := table(at, []seen{
		{"h:1", api.Status{ID: 1, Role: "leader", Term: 12, Leader: 1, LastLogIndex: 101, CommitIndex: 100, AppliedIndex: 99, LeaseMillis: 812, Priority: 200,
			LastQuorumContact: new(0.0125), TransferringTo: 2, Leaving: "its disk hangs", Unfit: "sick", OthersPaused: true, LeftOffice: "no quorum", LeftTerm: 9, Peers: []api.Peer{{ID: 2, Oversized: 77}, {ID: 3, Unfit: "its elections are paused", Mode: "snapshot"}, {ID: 4, LostData: true}}}, nil},
		{"host:20", api.Status{ID: 20, Role: "follower", Term: 12, Leader: 1, Priority: 100, LastContact: new(1.5), NoLease: "x", Fatal: "a\x1b[2Jb\nc"}, nil},
		{"h:3", api.Status{ID: 3, Role: "none", Removed: true, UnknownToGroup: true, Joint: true, Forming: true, NeedsNewTerm: true, Contradiction: "two leaders", WaitsFor: []api.Waiting{{ID: 9, Why: "silent"}}}, nil},
		{"h:4", api.Status{}, errors.New("no\nroute")},
	})
	want := `03:04:05  Ctrl-C ends it
HTTP     ID  ROLE      TERM  LEADER  LAST  COMMIT  APPLIED  LEASE  PRIORITY  CONTACT  NOTES
h:1      1   leader    12    1       101   100     99       812ms  200       12ms     hands over to 2; leaves office: its disk hangs; is not to lead: sick; nobody would take over: the others' elections are paused; left office in term 9: no quorum; entry 77 is too large for 2; 3: its elections are paused; 3 gets a snapshot; 4 has lost its data
host:20  20  follower  12    1       0     0       0        -      100       1.5s     failed: a [2Jb c; no lease: x
h:3      3   none      0     -       0     0       0        -      0         -        was removed; has lost its data; two leaders; needs a new term; is being formed; waits for 9: silent; the members change
h:4      -   -         -     -       -     -       -        -      -         -        no route`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("\n%s\nwant\n%s", text, want)
	}
}

// TestRedraw: each table is written over the one before, whatever is longer, in one
// write.
func TestRedraw(t *testing.T) {
	writes := 0
	out := &notice{seen: func() { writes++ }}
	w := &watcher{out: out}
	for i := range 3 {
		out.Reset()
		if err := w.redraw(time.Now(), []seen{{address: fmt.Sprint(i)}, {address: "b", err: errors.New("x")}}); err != nil || writes != i+1 {
			t.Fatalf("%d writes: %v", writes, err)
		}
		text := out.String()
		up := strings.Contains(text, "\x1b[4A")
		if up != (i > 0) || strings.Count(text, "\n") != 4 || strings.Count(text, "\x1b[K\n") != 4 || !strings.HasPrefix(text, "\x1b[?7l") || !strings.HasSuffix(text, "\x1b[?7h") {
			t.Errorf("table %d: %q", i, text)
		}
	}
	if err := (&watcher{out: brokenPipe{func() {}}}).redraw(time.Now(), nil); err == nil {
		t.Error("a terminal that is gone")
	}
	if code, _, stderr := run(t, "status", "--watch", "--http", gone(t), "--interval", "0s"); code != 1 || !strings.Contains(stderr, "--interval") {
		t.Errorf("%d %q", code, stderr)
	}
}

// TestStatusOfSeveral: a line for each that answers, and an error if one does not.
func TestStatusOfSeveral(t *testing.T) {
	one, two := statusServer(t, api.Status{ID: 1}), statusServer(t, api.Status{ID: 2})
	code, stdout, stderr := run(t, "status", "--http", one+","+two)
	if code != 0 || strings.Count(stdout, "\n") != 2 || !strings.HasPrefix(stdout, `{"id":1,`) || !strings.Contains(stdout, "\n{\"id\":2,") || stderr != "" {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
	code, stdout, stderr = run(t, "status", "--http", gone(t), "--http", two)
	if code != 1 || !strings.HasPrefix(stdout, `{"id":2,`) || !strings.Contains(stderr, "refused") {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
	for _, wrong := range [][]string{
		{"--interval", "1s"}, {"--watch", "--interval", "0s"}, {"--watch", "--interval", "-1s"}, {"--watch", "--interval", "2h"}, {"--watch", "--interval", "soon"},
		{"--watch", "--timeout", "0s"}, {"--watch", "--http", "ftp://h"}, {"--watch", "--http", ""}, {"--watch", "more"},
	} {
		if code, stdout, stderr := run(t, append([]string{"status"}, wrong...)...); code != 1 || stdout != "" || !strings.HasPrefix(stderr, "kv: ") {
			t.Errorf("kv status %q: %d %q %q", wrong, code, stdout, stderr)
		}
	}
	if code, stdout, _ := run(t, "status", "--help"); code != 0 || !strings.Contains(stdout, "--interval") || !strings.Contains(stdout, "Ctrl-C") {
		t.Errorf("%d %q", code, stdout)
	}
}
