package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// fakeRaft is a group of one that applies at once, unless it is told an error.
type fakeRaft struct {
	machine *machine.Memory

	mu sync.Mutex
	// err fails every request.
	err error
	// fatal is what Err returns.
	fatal error
	// hang makes requests wait for the end of their context, and return what
	// this makes of it.
	hang     func(error) error
	status   troupe.Status
	last     core.LogID
	proposed int
	read     []troupe.ReadMode
	admitted troupe.JoinRequest
	members  []troupe.Member
	// changes are those that were asked for last.
	changes []troupe.Change
	// transferred are the targets of transfers. cutOff: this node does not hear of the new
	// leader.
	transferred []troupe.NodeID
	cutOff      bool
	// purged is up to where the log was to be purged.
	purged []troupe.Index
	// backup is what a backup is, before err.
	backup string
}

func newFake() *fakeRaft {
	f := &fakeRaft{machine: machine.NewMemory(), last: core.LogID{Term: 3}}
	f.status.Self = troupe.Identity{ID: 1, Incarnation: 0xabc}
	f.status.Role = troupe.RoleLeader
	f.status.Term, f.status.Leader = 3, 1
	f.status.Configuration = twoMembers()
	return f
}

func twoMembers() troupe.Configuration {
	one, two := troupe.Identity{ID: 1, Incarnation: 0xabc}, troupe.Identity{ID: 2, Incarnation: 0xdef}
	return troupe.Configuration{
		Members: []troupe.Member{{Identity: one, Address: "a:1"}, {Identity: two, Address: "b:2"}},
		Voters:  []membership.Identity{one},
	}
}

func (f *fakeRaft) fail(ctx context.Context) error {
	if f.hang != nil {
		<-ctx.Done()
		return f.hang(ctx.Err())
	}
	return f.err
}

func (f *fakeRaft) Propose(ctx context.Context, command []byte, _ ...troupe.ProposeOption) (troupe.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proposed++
	if err := f.fail(ctx); err != nil {
		return troupe.Result{}, err
	}
	f.last.Index++
	results, err := f.machine.Apply(ctx, []troupe.Entry{{LogID: f.last, Kind: troupe.EntryCommand, Data: bytes.Clone(command)}})
	if err != nil {
		return troupe.Result{}, err
	}
	return troupe.Result{LogID: f.last, Value: results[0]}, nil
}

func (f *fakeRaft) ReadIndex(ctx context.Context, mode troupe.ReadMode, _ ...troupe.ReadOption) (troupe.Index, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read = append(f.read, mode)
	return f.last.Index, f.fail(ctx)
}

func (f *fakeRaft) Bootstrap(ctx context.Context, members ...troupe.Member) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = members
	return f.fail(ctx)
}

func (f *fakeRaft) TransferLeadership(ctx context.Context, to troupe.NodeID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.transferred = append(f.transferred, to)
	if err := f.fail(ctx); err != nil {
		return err
	}
	if !f.cutOff {
		f.status.Leader, f.status.Term = max(to, 2), f.status.Term+1
	}
	return nil
}

func (f *fakeRaft) PauseElections(ctx context.Context, paused bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail(ctx); err != nil {
		return err
	}
	f.status.ElectionsPaused = paused
	return nil
}

func (f *fakeRaft) Elect(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail(ctx)
}

func (f *fakeRaft) ChangeMembers(ctx context.Context, changes []troupe.Change, _ ...troupe.ChangeOption) (troupe.Configuration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes = changes
	return f.status.Configuration, f.fail(ctx)
}

func (f *fakeRaft) Admit(ctx context.Context, request troupe.JoinRequest, _ ...troupe.ChangeOption) (troupe.Configuration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.admitted = request
	return f.status.Configuration, f.fail(ctx)
}

func (f *fakeRaft) CancelChange(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail(ctx)
}

func (f *fakeRaft) Snapshot(ctx context.Context) (troupe.SnapshotMeta, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return troupe.SnapshotMeta{LogID: troupe.LogID{Term: 3, Index: 9}, SizeBytes: 700}, f.fail(ctx)
}

func (f *fakeRaft) Purge(ctx context.Context, upTo troupe.Index) (troupe.Index, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.purged = append(f.purged, upTo)
	return upTo + 1, f.fail(ctx)
}

func (f *fakeRaft) Backup(ctx context.Context, w io.Writer, _ ...troupe.BackupOption) (troupe.BackupMeta, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.backup != "" {
		_, _ = io.WriteString(w, f.backup)
	}
	return troupe.BackupMeta{}, f.fail(ctx)
}

func (f *fakeRaft) Status() troupe.Status { return f.status }
func (f *fakeRaft) Err() error            { return f.fatal }

// exchange is one request and what must come back.
type exchange struct {
	method, target, body string
	status               int
	// want is the whole body, and after an error the code.
	want string
}

func (e exchange) run(t *testing.T, s *Server) *http.Response {
	t.Helper()
	r := httptest.NewRequest(e.method, "/", strings.NewReader(e.body))
	u, err := url.Parse("http://node" + e.target)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = u
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	response := w.Result()
	got := w.Body.String()
	if response.StatusCode != e.status {
		t.Errorf("%s %.60s: status %d, want %d: %.200s", e.method, e.target, response.StatusCode, e.status, got)
		return response
	}
	if e.status == http.StatusOK {
		if got != e.want && got != e.want+"\n" {
			t.Errorf("%s %.60s: %.200s, want %.200s", e.method, e.target, got, e.want)
		}
		return response
	}
	answer := decodeError(t, got)
	if answer.Code != api.Code(e.want) || answer.Message == "" {
		t.Errorf("%s %.60s: %+v, want %s", e.method, e.target, answer, e.want)
	}
	return response
}

// decodeError reads an error body, in which each field must be.
func decodeError(t *testing.T, body string) api.Error {
	t.Helper()
	var fields map[string]any
	err := json.Unmarshal([]byte(body), &fields)
	delete(fields, "reason") // which some codes have
	if err != nil || len(fields) != 4 {
		t.Fatalf("not an error body: %.200s", body)
	}
	var answer api.Error
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func quiet(f *fakeRaft) *Server { return New(f, f.machine, slog.New(slog.DiscardHandler)) }

// TestContract is one conversation with a node.
func TestContract(t *testing.T) {
	s := quiet(newFake())
	largest := strings.Repeat("v", machine.ValueBytesMax)
	longest := strings.Repeat("k", machine.KeyBytesMax)
	for _, e := range []exchange{
		{"GET", "/kv/a", "", 404, "not_found"},
		{"PUT", "/kv/a", "one", 200, `{"term":3,"index":1}`},
		{"GET", "/kv/a", "", 200, "one"},
		{"GET", "/kv/a?read=linearizable", "", 200, "one"},
		{"GET", "/kv/a?read=stale", "", 200, "one"},
		{"GET", "/kv/b?read=stale", "", 404, "not_found"},
		{"HEAD", "/kv/a", "", 200, "one"}, // the recorder keeps what net/http would drop
		{"DELETE", "/kv/a", "", 200, `{"term":3,"index":2}`},
		{"DELETE", "/kv/a", "", 200, `{"term":3,"index":3}`},
		{"GET", "/kv/a", "", 404, "not_found"},

		// Keys.
		{"PUT", "/kv/a%2Fb%2F", "slashes", 200, `{"term":3,"index":4}`},
		{"GET", "/kv/a%2fb%2f", "", 200, "slashes"},
		{"PUT", "/kv/cas", "key cas", 200, `{"term":3,"index":5}`},
		{"GET", "/kv/cas", "", 200, "key cas"},
		{"PUT", "/kv/..", "dots", 200, `{"term":3,"index":6}`},
		{"GET", "/kv/%2e%2e", "", 200, "dots"},
		{"PUT", "/kv/%00%0A%20%25", "control", 200, `{"term":3,"index":7}`},
		{"GET", "/kv/%00%0a%20%25", "", 200, "control"},
		{"PUT", "/kv/%C3%A9", "e acute", 200, `{"term":3,"index":8}`},
		{"GET", "/kv/é", "", 200, "e acute"},
		{"PUT", "/kv/a+b", "plus", 200, `{"term":3,"index":9}`},
		{"GET", "/kv/a%2Bb", "", 200, "plus"},
		{"PUT", "/kv/" + longest, "", 200, `{"term":3,"index":10}`},
		{"GET", "/kv/" + longest, "", 200, ""},
		{"PUT", "/kv/" + longest + "k", "", 400, "bad_request"},
		{"GET", "/kv/", "", 400, "bad_request"},
		{"GET", "/kv/%FF", "", 400, "bad_request"},
		{"GET", "/kv/a/b", "", 400, "bad_request"},
		{"GET", "/kv//", "", 400, "bad_request"},
		{"POST", "/kv//cas", `{"old":null,"new":"x"}`, 400, "bad_request"},

		// Values.
		{"PUT", "/kv/large", largest, 200, `{"term":3,"index":11}`},
		{"GET", "/kv/large", "", 200, largest},
		{"PUT", "/kv/large", largest + "v", 413, "too_large"},
		{"PUT", "/kv/bytes", "\x00\xff\r\n", 200, `{"term":3,"index":12}`},
		{"GET", "/kv/bytes", "", 200, "\x00\xff\r\n"},

		// Compare and swap.
		{"POST", "/kv/c/cas", `{"old":null,"new":"1"}`, 200, `{"swapped":true,"term":3,"index":13}`},
		{"POST", "/kv/c/cas", `{"old":null,"new":"2"}`, 200, `{"swapped":false,"term":3,"index":14}`},
		{"POST", "/kv/c/cas", ` {"new":"\u00e9","old":"1"} `, 200, `{"swapped":true,"term":3,"index":15}`},
		{"GET", "/kv/c", "", 200, "é"},
		{"POST", "/kv/c/cas", `{"old":"é","new":null}`, 200, `{"swapped":true,"term":3,"index":16}`},
		{"GET", "/kv/c", "", 404, "not_found"},
		{"POST", "/kv/c/cas", `{"old":"","new":null}`, 200, `{"swapped":false,"term":3,"index":17}`},
		{"POST", "/kv/c%2Fcas/cas", `{"old":null,"new":"\ud83d\ude00"}`, 200, `{"swapped":true,"term":3,"index":18}`},
		{"GET", "/kv/c%2Fcas", "", 200, "😀"},
		{"POST", "/kv/c/cas", `{"old":null,"new":"\ufffd"}`, 200, `{"swapped":true,"term":3,"index":19}`},
		{"POST", "/kv/c/cas", `{"old":null,"new":"\ud83d"}`, 400, "bad_request"},
		{"POST", "/kv/c/cas", "{\"old\":null,\"new\":\"\xff\"}", 400, "bad_request"},
		{"POST", "/kv/c/cas", `{"old":null}`, 400, "bad_request"},
		{"POST", "/kv/c/cas", `{"new":null}`, 400, "bad_request"},
		{"POST", "/kv/c/cas", `{"old":1,"new":null}`, 400, "bad_request"},
		{"POST", "/kv/c/cas", `{"old":null,"new":null,"more":1}`, 400, "bad_request"},
		{"POST", "/kv/c/cas", `{"old":null,"new":null}{}`, 400, "bad_request"},
		{"POST", "/kv/c/cas", `{"old":null,`, 400, "bad_request"},
		{"POST", "/kv/c/cas", `null`, 400, "bad_request"},
		{"POST", "/kv/c/cas", ``, 400, "bad_request"},
		{"POST", "/kv/c/cas", `{"old":null,"new":"` + largest + `"}`, 200, `{"swapped":false,"term":3,"index":20}`},
		{"POST", "/kv/c/cas", `{"old":null,"new":"` + largest + `v"}`, 413, "too_large"},
		{"POST", "/kv/c/cas", strings.Repeat(" ", swapBytesMax+1), 413, "too_large"},

		// Parameters.
		{"PUT", "/kv/p?timeout=2s", "x", 200, `{"term":3,"index":21}`},
		{"GET", "/kv/p?timeout=5m&read=stale", "", 200, "x"},
		{"GET", "/kv/p?timeout=0", "", 400, "bad_request"},
		{"GET", "/kv/p?timeout=-1s", "", 400, "bad_request"},
		{"GET", "/kv/p?timeout=5m1s", "", 400, "bad_request"},
		{"GET", "/kv/p?timeout=2", "", 400, "bad_request"},
		{"GET", "/kv/p?timeout=", "", 400, "bad_request"},
		{"GET", "/kv/p?timeout=1s&timeout=2s", "", 400, "bad_request"},
		{"GET", "/kv/p?read=lease", "", 200, "x"},
		{"GET", "/kv/p?read=stale&max_staleness=500ms&min_index=21", "", 200, "x"},
		{"GET", "/kv/p?read=fresh", "", 400, "bad_request"},
		{"GET", "/kv/p?max_staleness=1s", "", 400, "bad_request"},
		{"GET", "/kv/p?read=lease&max_staleness=1s", "", 400, "bad_request"},
		{"GET", "/kv/p?read=stale&max_staleness=0", "", 400, "bad_request"},
		{"GET", "/kv/p?read=stale&max_staleness=-1s", "", 400, "bad_request"},
		{"GET", "/kv/p?read=stale&max_staleness=25h", "", 400, "bad_request"},
		{"GET", "/kv/p?read=stale&max_staleness=9999999h", "", 400, "bad_request"},
		{"GET", "/kv/p?read=stale&max_staleness=5", "", 400, "bad_request"},
		{"GET", "/kv/p?read=stale&max_staleness=", "", 400, "bad_request"},
		{"GET", "/kv/p?min_index=0", "", 400, "bad_request"},
		{"GET", "/kv/p?min_index=-1", "", 400, "bad_request"},
		{"GET", "/kv/p?min_index=x", "", 400, "bad_request"},
		{"GET", "/kv/p?read=", "", 400, "bad_request"},
		{"GET", "/kv/p?a;b", "", 400, "bad_request"},
		{"GET", "/kv/p?other=1", "", 200, "x"},

		// Paths and methods.
		{"GET", "/", "", 404, "not_found"},
		{"GET", "/kv", "", 404, "not_found"},
		{"GET", "/status/", "", 404, "not_found"},
		{"POST", "/kv/a", "", 405, "bad_request"},
		{"GET", "/kv/a/cas", "", 405, "bad_request"},
		{"PUT", "/status", "", 405, "bad_request"},
		{"GET", "/cluster/init", "", 405, "bad_request"},

		{"GET", "/healthz", "", 200, `{"ok":true,"leader":1}`},
		{"GET", "/readyz", "", 200, `{"ok":true,"leader":1}`},
	} {
		e.run(t, s)
	}
}

func TestAllow(t *testing.T) {
	response := exchange{"POST", "/kv/a", "", 405, "bad_request"}.run(t, quiet(newFake()))
	if got := response.Header.Get("Allow"); got != "DELETE, GET, HEAD, PUT" {
		t.Errorf("Allow: %s", got)
	}
}

// TestReadModes wants each request to ask for what it says, and a stale read without
// a bound to ask nobody.
func TestReadModes(t *testing.T) {
	f := newFake()
	s := quiet(f)
	exchange{"PUT", "/kv/a", "x", 200, `{"term":3,"index":1}`}.run(t, s)
	for query, want := range map[string][]troupe.ReadMode{
		"":                                {troupe.Linearizable},
		"?read=stale":                     {},
		"?read=linearizable":              {troupe.Linearizable},
		"?read=lease":                     {troupe.Lease},
		"?read=stale&max_staleness=500ms": {troupe.Stale(500 * time.Millisecond)},
		"?read=stale&max_staleness=24h":   {troupe.Stale(24 * time.Hour)},
		"?read=stale&min_index=1":         {troupe.AtLeast(1)},
		"?min_index=1":                    {troupe.Linearizable, troupe.AtLeast(1)},
		"?read=stale&max_staleness=1s&min_index=1": {troupe.Stale(time.Second), troupe.AtLeast(1)},
	} {
		f.read = nil
		exchange{"GET", "/kv/a" + query, "", 200, "x"}.run(t, s)
		if !slices.Equal(f.read, want) {
			t.Errorf("%q reads %v, want %v", query, f.read, want)
		}
	}
}

// TestErrors goes through what the library may answer.
func TestErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, test := range []struct {
		err    error
		code   api.Code
		leader uint64
	}{
		{&troupe.UnknownOutcomeError{Cause: context.DeadlineExceeded}, api.UnknownOutcome, 1},
		{&troupe.UnknownOutcomeError{Cause: troupe.ErrStopped}, api.UnknownOutcome, 1},
		{&troupe.UnknownOutcomeError{Cause: &troupe.FatalError{Cause: broken}}, api.UnknownOutcome, 1},
		{&troupe.FormingError{Cause: context.DeadlineExceeded}, api.Forming, 1},
		{&troupe.FormingError{Begun: true, WaitsFor: []troupe.Waiting{{Node: 3, Why: "unreachable: refused"}}, Cause: context.DeadlineExceeded}, api.Forming, 1},
		{&troupe.NotLeaderError{}, api.NoLeader, 1},
		{troupe.ErrTransferring, api.NoLeader, 1},
		{&troupe.NotLeaderError{Leader: 7}, api.NoLeader, 7},
		{&troupe.LostError{}, api.NoLeader, 1},
		{troupe.ErrNotReady, api.NoLeader, 1},
		{troupe.ErrTermChanged, api.NoLeader, 1},
		{&troupe.ContradictionError{Text: "two leaders"}, api.Contradiction, 1},
		{&troupe.TooStaleError{Age: time.Second, Cause: context.DeadlineExceeded}, api.TooStale, 1},
		{&troupe.TooStaleError{LagEntries: 5}, api.TooStale, 1},
		{&troupe.VersionError{Needs: 3, Have: 2}, api.MachineTooOld, 1},
		{fmt.Errorf("a snapshot: %w", &os.PathError{Op: "write", Path: "1.tmp", Err: syscall.ENOSPC}), api.NoSpace, 1},
		{fmt.Errorf("a snapshot: %w", &storage.NoSpaceError{}), api.NoSpace, 1},
		{&troupe.FatalError{Cause: &storage.NoSpaceError{}}, api.Stopped, 1},
		{&troupe.UnknownOutcomeError{Cause: &troupe.VersionError{Needs: 3, Have: 2}}, api.UnknownOutcome, 1},
		{troupe.ErrOverloaded, api.Overloaded, 1},
		{troupe.ErrStopped, api.Stopped, 1},
		{&troupe.FatalError{Cause: broken}, api.Stopped, 1},
		{machine.ErrClosed, api.Stopped, 1},
		{&troupe.TooLargeError{Size: 2, Max: 1}, api.TooLarge, 1},
		{&troupe.BootstrapError{Node: 2, Reason: "is not empty"}, api.BadRequest, 1},
		{fmt.Errorf("nothing was done: %w", context.DeadlineExceeded), api.Timeout, 1},
		{context.Canceled, api.Timeout, 1},
		{broken, api.Internal, 1},
	} {
		f := newFake()
		f.err = test.err
		e := quiet(f).describe(test.err)
		want := &api.Error{Code: test.code, Message: test.err.Error(), Leader: test.leader, MayHaveHappened: test.code == api.UnknownOutcome || test.code == api.Forming}
		if *e != *want {
			t.Errorf("%v: %+v, want %+v", test.err, e, want)
		}
		exchange{"PUT", "/kv/a", "x", test.code.HTTPStatus(), string(test.code)}.run(t, quiet(f))
	}
}

// TestTimeouts wants the context of a request to end in time, and the error to
// tell a write that may have been appended from one that was not.
func TestTimeouts(t *testing.T) {
	certain := func(err error) error { return fmt.Errorf("nothing was done: %w", err) }
	unknown := func(err error) error { return &troupe.UnknownOutcomeError{Cause: err} }
	outside := func(err error) error { return certain(fmt.Errorf("%w: %w", troupe.ErrNoCluster, err)) }
	for _, test := range []struct {
		method, target string
		hang           func(error) error
		inNone         bool
		status         int
		code           string
	}{
		{"PUT", "/kv/a?timeout=10ms", certain, false, 504, "timeout"},
		{"PUT", "/kv/a?timeout=10ms", unknown, false, 503, "unknown_outcome"},
		{"GET", "/kv/a?timeout=10ms", certain, false, 504, "timeout"},
		{"PUT", "/kv/a?timeout=10ms", outside, true, 503, "no_cluster"},
		{"GET", "/kv/a?timeout=10ms", outside, true, 503, "no_cluster"},
	} {
		f := newFake()
		f.hang = test.hang
		if test.inNone {
			f.status = outsider()
		}
		exchange{test.method, test.target, "x", test.status, test.code}.run(t, quiet(f))
	}
}

func TestInit(t *testing.T) {
	f := newFake()
	s := quiet(f)
	good := `{"members":[{"id":1,"address":"127.0.0.1:9001"},{"id":2,"address":"[::1]:9002"}]}`
	exchange{"POST", "/cluster/init", good, 200, good}.run(t, s)
	if len(f.members) != 2 || f.members[1].ID != 2 || f.members[1].Address != "[::1]:9002" {
		t.Errorf("bootstrap of %v", f.members)
	}
	f.members = nil
	for _, body := range []string{
		``, `[]`, `{}`, `{"members":[]}`, `{"members":[{}]}`,
		`{"members":[{"id":0,"address":"127.0.0.1:1"}]}`,
		`{"members":[{"id":1}]}`,
		`{"members":[{"id":1,"address":"127.0.0.1"}]}`,
		`{"members":[{"id":1,"address":"127.0.0.1:0"}]}`,
		`{"members":[{"id":1,"address":":9001"}]}`,
		`{"members":[{"id":-1,"address":"127.0.0.1:1"}]}`,
		`{"members":[{"id":"1","address":"127.0.0.1:1"}]}`,
		`{"members":[{"id":1,"address":"127.0.0.1:1","priority":1001}]}`,
		`{"members":[{"id":1,"address":"127.0.0.1:1","priority":-1}]}`,
	} {
		exchange{"POST", "/cluster/init", body, 400, "bad_request"}.run(t, s)
	}
	exchange{"POST", "/cluster/init", strings.Repeat(" ", initBytesMax+1), 413, "too_large"}.run(t, s)
	if f.members != nil {
		t.Errorf("bootstrap of %v", f.members)
	}
	f.err = &troupe.BootstrapError{Node: 2, Reason: "cannot be reached"}
	exchange{"POST", "/cluster/init", good, 400, "bad_request"}.run(t, s)
	f.err = &troupe.FormingError{WaitsFor: []troupe.Waiting{{Node: 2, Why: "granted to node 3"}}, Cause: context.DeadlineExceeded}
	exchange{"POST", "/cluster/init", good, 503, "forming"}.run(t, s)
	if e := s.describe(f.err); !e.MayHaveHappened || !strings.Contains(e.Message, "node 2: granted to node 3") {
		t.Errorf("a forming that was not waited for is reported as %+v", e)
	}
}

// outsider is the status of a node that is part of no cluster.
func outsider() troupe.Status {
	s := troupe.Status{Self: troupe.Identity{ID: 1, Incarnation: 0xabc}, LastContact: -1, LastQuorumContact: -1, FirstIndex: 1}
	s.Role = troupe.RoleNone
	return s
}

func TestStatus(t *testing.T) {
	f := newFake()
	f.status.Cluster = troupe.ClusterID{1, 2, 3}
	hash := f.status.Cluster.String()
	s := quiet(f)
	f.status.Priority, f.status.TransferringTo, f.status.NeedsNewTerm = 200, 2, true
	f.status.Unfit, f.status.Leaving, f.status.LeftOffice, f.status.LeftTerm = troupe.UnfitSick, "own disk hangs", "node 2 is in term 5", 3
	f.status.Last, f.status.Committed, f.status.Applied, f.status.SnapshotIndex = 9, 8, 7, 6
	f.status.FirstIndex, f.status.LogBytes, f.status.HeldBytes = 4, 600, 200
	f.status.LetGo = "node 3, which had it up to 2"
	f.status.Version, f.status.VersionMin, f.status.TooOld = 2, 1, troupe.MachineTooOld{Index: 8, Needs: 3}
	f.status.Lease, f.status.LastQuorumContact = 812*time.Millisecond+999, 125*time.Millisecond
	f.status.Peers = []troupe.PeerStatus{
		{Identity: troupe.Identity{ID: 2, Incarnation: 0xdef}, Match: 5, LagEntries: 4, Lag: 1500 * time.Millisecond, Mode: troupe.StreamReplicate,
			InflightMessages: 2, InflightBytes: 99, LastContact: 250 * time.Millisecond, SendErrors: 3},
		{Identity: troupe.Identity{ID: 3}, Mode: troupe.StreamSnapshot, LastContact: -1, SnapshotBytes: 10, SnapshotTotalBytes: 20, LostData: true, Unfit: troupe.UnfitSick},
	}
	exchange{"GET", "/status", "", 200, `{"id":1,"incarnation":"abc","cluster":"` + hash + `","role":"leader","term":3,"leader":1,` +
		`"first_index":4,"last_log_index":9,"commit_index":8,"applied_index":7,"snapshot_index":6,"log_bytes":600,"held_bytes":200,"let_go":"node 3, which had it up to 2","machine_version":2,"machine_version_min":1,"too_old":"entry 8 needs version 3 of the state machine, which is of version 2 here","priority":200,"transferring_to":2,"needs_new_term":true,"unfit":"sick","leaving":"own disk hangs","left_office":"node 2 is in term 5","left_term":3,"last_contact_seconds":0,"lease_ms":812,"last_quorum_contact_seconds":0.125,` +
		`"members":[{"id":1,"address":"a:1","kind":"voter","priority":100},{"id":2,"address":"b:2","kind":"learner","priority":100}],` +
		`"peers":[{"id":2,"mode":"replicate","match_index":5,"lag_entries":4,"lag_seconds":1.5,"inflight_messages":2,"inflight_bytes":99,"last_contact_seconds":0.25,"send_errors":3},` +
		`{"id":3,"mode":"snapshot","match_index":0,"lag_entries":0,"lag_seconds":0,"inflight_messages":0,"inflight_bytes":0,"send_errors":0,"snapshot_bytes":10,"snapshot_total_bytes":20,"lost_data":true,"unfit":"sick"}],` +
		`"joint":false,"forming":false,"unknown_to_group":false}`}.run(t, s)

	c := &f.status.Configuration
	c.Outgoing = []membership.Identity{c.Members[1].Identity}
	f.status.Role, f.status.Leader, f.status.Bootstrapping, f.status.UnknownToGroup = troupe.RolePreCandidate, 0, true, true
	f.status.Peers, f.status.LastContact, f.status.LastQuorumContact, f.status.Lease, f.status.NoLease = nil, -1, -1, 0, "no quorum"
	f.status.TransferringTo, f.status.NeedsNewTerm = 0, false
	f.status.NoLeader = "too few votes in term 3"
	f.status.Unfit, f.status.Leaving, f.status.LeftOffice, f.status.LeftTerm = troupe.Fit, "", "", 0
	f.status.WaitsFor = []troupe.Waiting{{Node: 2, Why: "is a learner, 5000 entries behind"}}
	exchange{"GET", "/status", "", 200, `{"id":1,"incarnation":"abc","cluster":"` + hash + `","role":"candidate","term":3,"leader":0,"no_leader":"too few votes in term 3",` +
		`"first_index":4,"last_log_index":9,"commit_index":8,"applied_index":7,"snapshot_index":6,"log_bytes":600,"held_bytes":200,"let_go":"node 3, which had it up to 2","machine_version":2,"machine_version_min":1,"too_old":"entry 8 needs version 3 of the state machine, which is of version 2 here","priority":200,"transferring_to":0,"lease_ms":0,"no_lease":"no quorum",` +
		`"members":[{"id":1,"address":"a:1","kind":"voter","priority":100},{"id":2,"address":"b:2","kind":"voter","priority":100}],` +
		`"joint":true,"forming":true,"waits_for":[{"id":2,"why":"is a learner, 5000 entries behind"}],"unknown_to_group":true}`}.run(t, s)
	exchange{"GET", "/readyz", "", 503, "no_leader"}.run(t, s)
	exchange{"GET", "/healthz", "", 200, `{"ok":true,"leader":0}`}.run(t, s)

	// Before the cluster is formed.
	f.status = outsider()
	empty := `"cluster":"none","role":"none","term":0,"leader":0,"first_index":1,"last_log_index":0,"commit_index":0,"applied_index":0,"snapshot_index":0,"log_bytes":0,"held_bytes":0,"priority":0,"transferring_to":0,"lease_ms":0,"members":[],"joint":false,"forming":false`
	exchange{"GET", "/status", "", 200, `{"id":1,"incarnation":"abc",` + empty + `,"unknown_to_group":false}`}.run(t, s)
	exchange{"GET", "/readyz", "", 503, "no_cluster"}.run(t, s)
	exchange{"GET", "/healthz", "", 200, `{"ok":true,"leader":0}`}.run(t, s)
	f.status.WaitsFor = []troupe.Waiting{{Node: 3, Why: "unreachable: refused"}}
	exchange{"GET", "/status", "", 200, `{"id":1,"incarnation":"abc",` + empty + `,"waits_for":[{"id":3,"why":"unreachable: refused"}],"unknown_to_group":false}`}.run(t, s)
	if e := s.describe(troupe.ErrNoCluster); e.Code != api.NoCluster || !strings.Contains(e.Message, "node 3: unreachable: refused") {
		t.Errorf("while it waits for node 3: %+v", e)
	}
	f.status.WaitsFor, f.status.UnknownToGroup = nil, true
	exchange{"GET", "/readyz", "", 503, "no_cluster"}.run(t, s)
	if e := s.describe(troupe.ErrNoCluster); !strings.Contains(e.Message, "has lost its data") {
		t.Errorf("a member that was emptied: %+v", e)
	}

	// After the group has failed.
	f.fatal = &troupe.FatalError{Cause: errors.New("disk on fire")}
	exchange{"GET", "/status", "", 200, `{"id":1,"incarnation":"abc",` + empty + `,"unknown_to_group":true,"fatal":"disk on fire"}`}.run(t, s)
	exchange{"GET", "/healthz", "", 503, "stopped"}.run(t, s)
	exchange{"GET", "/readyz", "", 503, "stopped"}.run(t, s)

	f.fatal, f.status.Stopped = nil, true
	exchange{"GET", "/healthz", "", 503, "stopped"}.run(t, s)
}

// TestReadyWhenCaughtUp: a node is not ready before its machine has what was committed when
// it started, or nearly so. That stands in the answer. A lag that comes later is no matter.
func TestReadyWhenCaughtUp(t *testing.T) {
	f := newFake()
	s := quiet(f)
	says := func(code int, text string) {
		t.Helper()
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != code || !strings.Contains(w.Body.String(), text) {
			t.Errorf("%d %s, want %d with %q", w.Code, w.Body, code, text)
		}
	}
	f.err = &troupe.TooStaleError{Age: -1, LagEntries: 8960}
	says(503, "8960 entries behind")
	f.hang = func(err error) error { return fmt.Errorf("nothing was done: %w", err) }
	says(503, "the leader 1 has not told yet")
	f.hang, f.err = nil, nil
	says(200, `"leader":1`)
	if f.read[0] != troupe.Linearizable {
		t.Errorf("it asked for %v", f.read)
	}
	f.err = &troupe.TooStaleError{Age: -1, LagEntries: 8960}
	says(200, `"leader":1`)
}

// TestContradictionIsReported: an operator and a balancer see that the node
// answers no reads.
func TestContradictionIsReported(t *testing.T) {
	f := newFake()
	f.status.Contradiction = &troupe.ContradictionError{Text: "node 2 in term 3: a second leader"}
	s := quiet(f)
	exchange{"GET", "/readyz", "", 503, "contradiction"}.run(t, s)
	exchange{"GET", "/healthz", "", 200, `{"ok":true,"leader":1}`}.run(t, s)
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/status", nil))
	var told api.Status
	if err := json.Unmarshal(answer.Body.Bytes(), &told); err != nil || !strings.Contains(told.Contradiction, "a second leader") || !strings.Contains(told.Contradiction, "empty directory") {
		t.Errorf("%+v, %v", told, err)
	}
}

// TestSlowBody holds a body back on a real connection: the request ends in
// time, and nothing is proposed.
func TestSlowBody(t *testing.T) {
	f := newFake()
	front := httptest.NewServer(quiet(f))
	defer front.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	body, held := io.Pipe()
	defer held.Close()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, front.URL+"/kv/a?timeout=20ms", body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer := decodeError(t, string(text)); answer.Code != api.Timeout || response.StatusCode != 504 {
		t.Fatalf("%d %+v", response.StatusCode, answer)
	}
	if f.proposed != 0 {
		t.Fatal("it was proposed")
	}
}

// TestSnapshot: its answer, and how it fails.
func TestSnapshot(t *testing.T) {
	f := newFake()
	s := quiet(f)
	exchange{"POST", "/cluster/snapshot", ``, 200, `{"term":3,"index":9,"bytes":700}`}.run(t, s)
	exchange{"GET", "/cluster/snapshot", ``, 405, "bad_request"}.run(t, s)
	f.err = fmt.Errorf("compacting: %w", troupe.ErrNotNow)
	exchange{"POST", "/cluster/snapshot", ``, 503, "not_now"}.run(t, s)
	f.err = &troupe.UnknownOutcomeError{Cause: context.DeadlineExceeded}
	exchange{"POST", "/cluster/snapshot", ``, 503, "unknown_outcome"}.run(t, s)
}

// TestPurge: what is asked for, and how it fails.
func TestPurge(t *testing.T) {
	f := newFake()
	s := quiet(f)
	exchange{"POST", "/cluster/purge", `{"up_to":7}`, 200, `{"first_index":8}`}.run(t, s)
	for _, body := range []string{``, `{}`, `{"up_to":0}`, `{"up_to":-1}`, `{"up_to":"7"}`, `{"index":7}`, `[]`} {
		exchange{"POST", "/cluster/purge", body, 400, "bad_request"}.run(t, s)
	}
	if !slices.Equal(f.purged, []troupe.Index{7}) {
		t.Errorf("purged up to %v", f.purged)
	}
	exchange{"POST", "/cluster/purge", strings.Repeat(" ", purgeBytesMax+1), 413, "too_large"}.run(t, s)
	exchange{"GET", "/cluster/purge", ``, 405, "bad_request"}.run(t, s)
	f.err = &troupe.PurgeError{UpTo: 9, Snapshot: 6}
	exchange{"POST", "/cluster/purge", `{"up_to":9}`, 400, "bad_request"}.run(t, s)
}

// TestTransferAndElect: what is asked for, and how it fails.
func TestTransferAndElect(t *testing.T) {
	f := newFake()
	s := quiet(f)
	exchange{"POST", "/cluster/transfer", `{"to":7}`, 200, `{"leader":7,"term":4}`}.run(t, s)
	exchange{"POST", "/cluster/transfer", `{}`, 200, `{"leader":2,"term":5}`}.run(t, s)
	exchange{"POST", "/cluster/transfer", ``, 200, `{"leader":2,"term":6}`}.run(t, s)
	exchange{"POST", "/cluster/elect", ``, 200, `{"leader":2,"term":6}`}.run(t, s)
	if want := []troupe.NodeID{7, 0, 0}; !slices.Equal(f.transferred, want) {
		t.Errorf("transfers to %v, want %v", f.transferred, want)
	}
	for _, body := range []string{`[]`, `{"to":-1}`, `{"to":"2"}`, `{"to":1.5}`, `{"for":2}`, `{"to":2} 3`, `{"to":18446744073709551616}`} {
		exchange{"POST", "/cluster/transfer", body, 400, "bad_request"}.run(t, s)
	}
	exchange{"POST", "/cluster/transfer", strings.Repeat(" ", transferBytesMax+1), 413, "too_large"}.run(t, s)
	exchange{"GET", "/cluster/transfer", ``, 405, "bad_request"}.run(t, s)
	for err, want := range map[error]api.Error{
		&troupe.TransferError{Reason: troupe.TransferLagging, To: 2, Leader: 1}:              {Code: api.TransferFailed, Leader: 1, Reason: "lagging"},
		&troupe.TransferError{Reason: troupe.TransferTimedOut, To: 2, Leader: 1, Sent: true}: {Code: api.TransferFailed, Leader: 1, Reason: "timed_out", MayHaveHappened: true},
		&troupe.ElectError{Reason: troupe.ElectUnderLeader, Leader: 1}:                       {Code: api.ElectionFailed, Leader: 1, Reason: "under_leader"},
		&troupe.ElectError{Reason: troupe.ElectTimedOut, UnderWay: true}:                     {Code: api.ElectionFailed, Leader: 1, Reason: "timed_out", MayHaveHappened: true},
		&troupe.NotLeaderError{}: {Code: api.NoLeader, Leader: 1},
	} {
		f := newFake()
		f.err = err
		want.Message = err.Error()
		if got := quiet(f).describe(err); *got != want {
			t.Errorf("%+v, want %+v", *got, want)
		}
		path := "/cluster/transfer"
		if want.Code == api.ElectionFailed {
			path = "/cluster/elect"
		}
		exchange{"POST", path, ``, want.Code.HTTPStatus(), string(want.Code)}.run(t, quiet(f))
	}
	// Every reason has a word of its own.
	words := map[string]bool{}
	for reason := troupe.TransferReason(1); reason.String() != "the node that was asked does not lead"; reason++ {
		word := transferReasons[reason]
		if word == "" || words[word] {
			t.Errorf("%v: %q", reason, word)
		}
		words[word] = true
	}
	words = map[string]bool{}
	for reason := troupe.ElectRefusal(1); reason.String() != "unknown"; reason++ {
		word := electReasons[reason]
		if word == "" || words[word] {
			t.Errorf("%v: %q", reason, word)
		}
		words[word] = true
	}
}

// TestTransferUnheard: a node that is cut off from the new leader does not name the old
// one.
func TestTransferUnheard(t *testing.T) {
	f := newFake()
	f.cutOff = true
	exchange{"POST", "/cluster/transfer", `{"to":2}`, 200, `{"leader":0,"term":3}`}.run(t, quiet(f))
}

// TestPauseElections: what is asked for, what is shown, and how it fails.
func TestPauseElections(t *testing.T) {
	f := newFake()
	s := quiet(f)
	exchange{"GET", "/node/elections", ``, 200, `{"paused":false}`}.run(t, s)
	for range 2 {
		exchange{"POST", "/node/elections", `{"paused":true}`, 200, `{"paused":true}`}.run(t, s)
	}
	exchange{"GET", "/node/elections", ``, 200, `{"paused":true}`}.run(t, s)
	for _, body := range []string{``, `{}`, `[]`, `{"paused":null}`, `{"paused":1}`, `{"paused":"true"}`, `{"pause":true}`, `{"paused":true} 1`} {
		exchange{"POST", "/node/elections", body, 400, "bad_request"}.run(t, s)
	}
	exchange{"POST", "/node/elections", strings.Repeat(" ", electionsBytesMax+1), 413, "too_large"}.run(t, s)
	exchange{"DELETE", "/node/elections", ``, 405, "bad_request"}.run(t, s)
	if !f.status.ElectionsPaused {
		t.Error("what was refused has changed something")
	}
	f.status.OthersPaused = true
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/status", nil))
	var status api.Status
	if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || !status.ElectionsPaused || !status.OthersPaused {
		t.Errorf("%s: %v", w.Body, err)
	}
	exchange{"POST", "/node/elections", `{"paused":false}`, 200, `{"paused":false}`}.run(t, s)
	f.err = troupe.ErrStopped
	exchange{"POST", "/node/elections", `{"paused":true}`, 503, "stopped"}.run(t, s)
	f.err = &troupe.UnknownOutcomeError{Cause: context.DeadlineExceeded}
	exchange{"POST", "/node/elections", `{"paused":true}`, 503, "unknown_outcome"}.run(t, s)
}
