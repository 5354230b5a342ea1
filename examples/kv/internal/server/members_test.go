package server

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

// TestMembersView: every field of the answer, on the leader and elsewhere.
func TestMembersView(t *testing.T) {
	f := newFake()
	s := quiet(f)
	f.status.ConfigurationAt, f.status.Committed = troupe.LogID{Term: 3, Index: 7}, 6
	c := &f.status.Configuration
	c.Members[1].Tags = map[string]string{"zone": "b"}
	one := `{"id":1,"incarnation":"abc","address":"a:1","kind":"voter","outgoing":false,"priority":100,"tags":{}}`
	two := `{"id":2,"incarnation":"def","address":"b:2","kind":"learner","outgoing":false,"priority":100,"tags":{"zone":"b"}}`
	none := `{"state":"none","waits_for":[],"since_ms":0,"progress":[]}`
	exchange{"GET", "/cluster/members", "", 200, `{"index":7,"committed":false,"joint":false,"change":` + none + `,"members":[` + one + `,` + two + `]}`}.run(t, s)

	f.status.Committed = 7
	f.status.Change = troupe.ChangeStatus{State: troupe.ChangeCatchingUp, ID: 0x2a, Since: 1_500_000_999}
	c.Target = &membership.Target{ID: 0x2a}
	f.status.WaitsFor = []troupe.Waiting{{Node: 2, Why: "lags"}}
	f.status.Peers = []troupe.PeerStatus{
		{Identity: c.Members[1].Identity, Match: 30, LagEntries: 60, CatchingUp: true, CatchUpFrom: 10, CatchUpAge: 2 * time.Second, CatchUpIdle: 5 * time.Millisecond, CatchUpBytes: 4096, CatchUpPercent: 25, CatchUpRate: 10, CatchUpLeft: 6 * time.Second, SnapshotBytes: 1, SnapshotTotalBytes: 4},
		{Identity: troupe.Identity{ID: 3}, Match: 1},
	}
	exchange{"GET", "/cluster/members", "", 200, `{"index":7,"committed":true,"joint":false,"change":{"state":"catching_up","id":"000000000000002a","waits_for":[2],"since_ms":1500,` +
		`"progress":[{"id":2,"match_index":30,"lag_entries":60,"lag_bytes":4096,"percent":25,"entries_per_second":10,"rest_ms":6000,"age_ms":2000,"idle_ms":5,"snapshot_bytes":1,"snapshot_total_bytes":4}]},` +
		`"members":[` + one + `,` + two + `]}`}.run(t, s)

	// A follower, while the leader asks who the newcomer is: no entry tells of it yet.
	target := c.Target
	c.Target, f.status.Peers, f.status.Change.State, f.status.WaitsFor = nil, nil, troupe.ChangeAsking, []troupe.Waiting{{Node: 9}}
	exchange{"GET", "/cluster/members", "", 200, `{"index":7,"committed":true,"joint":false,"change":{"state":"catching_up","id":"000000000000002a","waits_for":[9],"since_ms":1500,"progress":[]},` +
		`"members":[` + one + `,` + two + `]}`}.run(t, s)

	c.Target = target
	c.Outgoing = []membership.Identity{c.Members[0].Identity, c.Members[1].Identity}
	f.status.Change.State, f.status.Peers, f.status.WaitsFor = troupe.ChangeJoint, nil, nil
	two = strings.NewReplacer("learner", "voter", `"outgoing":false`, `"outgoing":true`).Replace(two)
	exchange{"GET", "/cluster/members", "", 200, `{"index":7,"committed":true,"joint":true,"change":{"state":"joint","id":"000000000000002a","waits_for":[],"since_ms":1500,"progress":[]},` +
		`"members":[` + one + `,` + two + `]}`}.run(t, s)

	f.status = outsider()
	exchange{"GET", "/cluster/members", "", 200, `{"index":0,"committed":false,"joint":false,"change":` + none + `,"members":[]}`}.run(t, s)
}

// TestMemberChanges: what each op asks the library for.
func TestMemberChanges(t *testing.T) {
	f := newFake()
	s := quiet(f)
	kept, forced := troupe.Remove(2), troupe.Replace(2, 0xf00)
	kept.KeepAsLearner = true
	forced.Force, forced.Address = true, "b:3"
	for body, want := range map[string]troupe.Change{
		`{"op":"add","id":4,"address":"d:4"}`:                                          troupe.Add(4, "d:4"),
		`{"op":"add_learner","id":4,"address":"d:4"}`:                                  troupe.AddLearner(4, "d:4"),
		`{"op":"promote","id":2}`:                                                      troupe.Promote(2),
		`{"op":"demote","id":1}`:                                                       troupe.Demote(1),
		`{"op":"remove","id":2,"address":"","priority":null,"tags":null,"members":[]}`: troupe.Remove(2),
		`{"op":"remove","id":2,"keep_as_learner":true}`:                                kept,
		`{"op":"replace","id":2}`:                                                      troupe.Replace(2, 0),
		`{"op":"replace","id":2,"incarnation":"f00","address":"b:3","force":true}`:     forced,
		`{"op":"set_address","id":2,"address":"b:9"}`:                                  troupe.SetAddress(2, "b:9"),
		`{"op":"set_priority","id":2,"priority":0}`:                                    troupe.SetPriority(2, 0),
		`{"op":"set_priority","id":2,"priority":200}`:                                  troupe.SetPriority(2, 200),
		`{"op":"set_tags","id":2,"tags":{}}`:                                           troupe.SetTags(2, map[string]string{}),
		`{"op":"set_tags","id":2,"tags":{"zone":"b"}}`:                                 troupe.SetTags(2, map[string]string{"zone": "b"}),
		`{"op":"set_standby","id":2,"standby":false}`:                                  troupe.SetStandby(2, false),
		`{"op":"set_standby","id":2,"standby":true}`:                                   troupe.SetStandby(2, true),
		`{"op":"set_voters","members":[1,2]}`:                                          troupe.SetVoters(1, 2),
	} {
		code, _ := changed(t, s, "", `{"changes":[`+body+`],"expected_index":1,"expected_term":2,"wait":true,"dry_run":false,"catch_up_limit":"1s"}`)
		if code != 200 || len(f.changes) != 1 || !reflect.DeepEqual(f.changes[0], want) {
			t.Errorf("%s: %d, %v; want %v", body, code, f.changes, want)
		}
	}
	if code, _ := changed(t, s, "", `{"changes":[{"op":"promote","id":2},{"op":"demote","id":1}]}`); code != 200 || len(f.changes) != 2 {
		t.Errorf("two at once: %d, %v", code, f.changes)
	}
	exchange{"POST", "/cluster/members", strings.Repeat(" ", changeBytesMax+1), 413, "too_large"}.run(t, s)
	exchange{"PUT", "/cluster/members", ``, 405, "bad_request"}.run(t, s)
	exchange{"GET", "/cluster/members/cancel", ``, 405, "bad_request"}.run(t, s)
}

// changed asks for a change, and returns the status and the body.
func changed(t *testing.T, s *Server, query, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("POST", "/cluster/members"+query, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

// TestBadChanges: each is refused before the group is asked, and the field is named.
func TestBadChanges(t *testing.T) {
	f := newFake()
	s := quiet(f)
	for body, field := range map[string]string{
		``:                        "body",
		`null`:                    "changes",
		`{"changes":[]}`:          "changes",
		`{"change":[]}`:           "change",
		`{"changes":[{}]}`:        "changes[0].op",
		`{"changes":[{"op":""}]}`: "changes[0].op",
		`{"changes":[{"op":"promote","id":2},{"op":"Add","id":4,"address":"d:4"}]}`: "changes[1].op",
		`{"changes":[{"op":"add","address":"d:4"}]}`:                                "changes[0].id",
		`{"changes":[{"op":"add","id":0,"address":"d:4"}]}`:                         "changes[0].id",
		`{"changes":[{"op":"add","id":-1,"address":"d:4"}]}`:                        "id",
		`{"changes":[{"op":"add","id":4}]}`:                                         "changes[0].address",
		`{"changes":[{"op":"set_address","id":2,"address":""}]}`:                    "changes[0].address",
		`{"changes":[{"op":"promote","id":2,"address":"b:2"}]}`:                     "changes[0].address",
		`{"changes":[{"op":"add","id":4,"address":"host"}]}`:                        "changes[0].address",
		`{"changes":[{"op":"add","id":4,"address":"host:70000"}]}`:                  "changes[0].address",
		`{"changes":[{"op":"add_learner","id":4,"address":":4"}]}`:                  "changes[0].address",
		`{"changes":[{"op":"set_address","id":2,"address":"[::]:9"}]}`:              "changes[0].address",
		`{"changes":[{"op":"add","id":4,"address":"d:4","priority":5}]}`:            "changes[0].priority",
		`{"changes":[{"op":"set_priority","id":2}]}`:                                "changes[0].priority",
		`{"changes":[{"op":"set_priority","id":2,"priority":-1}]}`:                  "priority",
		`{"changes":[{"op":"set_tags","id":2}]}`:                                    "changes[0].tags",
		`{"changes":[{"op":"set_tags","id":2,"tags":{"a":1}}]}`:                     "tags",
		`{"changes":[{"op":"set_standby","id":2}]}`:                                 "changes[0].standby",
		`{"changes":[{"op":"promote","id":2,"standby":true}]}`:                      "changes[0].standby",
		`{"changes":[{"op":"set_voters"}]}`:                                         "changes[0].members",
		`{"changes":[{"op":"set_voters","members":[]}]}`:                            "changes[0].members",
		`{"changes":[{"op":"set_voters","id":1,"members":[1]}]}`:                    "changes[0].id",
		`{"changes":[{"op":"demote","id":1,"keep_as_learner":true}]}`:               "changes[0].keep_as_learner",
		`{"changes":[{"op":"remove","id":1,"force":true}]}`:                         "changes[0].force",
		`{"changes":[{"op":"replace","id":2,"incarnation":"0x1"}]}`:                 "changes[0].incarnation",
		`{"changes":[{"op":"add","id":4,"address":"d:4","incarnation":"1"}]}`:       "changes[0].incarnation",
		`{"changes":[{"op":"promote","id":2}],"catch_up_limit":"5"}`:                "catch_up_limit",
		`{"changes":[{"op":"promote","id":2}],"catch_up_limit":"-5s"}`:              "catch_up_limit",
		`{"changes":[{"op":"promote","id":2}],"expected_index":"5"}`:                "expected_index",
		`{"changes":[{"op":"promote","id":2}],"wait":"yes"}`:                        "wait",
	} {
		code, answer := changed(t, s, "", body)
		if e := decodeError(t, answer); code != 400 || e.Code != api.BadRequest || !strings.Contains(e.Message, field) {
			t.Errorf("%s: %d %+v, want it to name %s", body, code, e, field)
		}
	}
	if f.changes != nil {
		t.Errorf("the group was asked for %v", f.changes)
	}
}

// TestBadChangeReasons: what is refused before the group is asked has the reason that the
// library gives it.
func TestBadChangeReasons(t *testing.T) {
	s := quiet(newFake())
	for body, want := range map[string]string{
		`{"changes":[]}`:                                                      "nothing",
		`{"changes":[{"op":"grow","id":4}]}`:                                  "unknown_op",
		`{"changes":[{"op":"add","id":0,"address":"d:4"}]}`:                   "id_zero",
		`{"changes":[{"op":"add","id":4}]}`:                                   "address",
		`{"changes":[{"op":"add","id":4,"address":"0.0.0.0:9"}]}`:             "address",
		`{"changes":[{"op":"add","id":4,"address":"[::ffff:0.0.0.0]:9"}]}`:    "address",
		`{"changes":[{"op":"add","id":4,"address":"[::%lo]:9"}]}`:             "address",
		`{"changes":[{"op":"promote","id":2,"address":"b:2"}]}`:               "",
		`{"changes":[{"op":"set_voters","members":[]}]}`:                      "last_voter",
		`{"changes":[{"op":"set_priority","id":2}]}`:                          "",
		`{"changes":[{"op":"replace","id":2,"incarnation":"0x1"}]}`:           "",
		`{"changes":[{"op":"set_voters","id":1,"members":[1]}]}`:              "",
		`{"changes":[{"op":"promote","id":2}],"catch_up_limit":"for a year"}`: "",
	} {
		code, answer := changed(t, s, "", body)
		if e := decodeError(t, answer); code != 400 || e.Reason != want {
			t.Errorf("%s: %d %+v, want the reason %q", body, code, e, want)
		}
	}
	// Of a node that is named twice it is the later change that is wrong.
	f := newFake()
	f.err = &troupe.ChangeError{Reason: troupe.ChangeIDTwice, Change: troupe.Promote(2)}
	_, answer := changed(t, quiet(f), "", `{"changes":[{"op":"promote","id":2},{"op":"promote","id":2}]}`)
	if e := decodeError(t, answer); !strings.HasPrefix(e.Message, "changes[1].id: ") {
		t.Errorf("%+v", e)
	}
}

// TestChangeErrors: how a change fails, and what a removed node answers.
func TestChangeErrors(t *testing.T) {
	body := `{"changes":[{"op":"promote","id":2},{"op":"add","id":4,"address":"d:4"}],"expected_term":2}`
	for err, want := range map[error]api.Error{
		&troupe.ChangeInProgressError{Change: 7, What: "add 4"}:                      {Code: "change_in_progress"},
		&troupe.NotCaughtUpError{Node: 4}:                                            {Code: "not_caught_up"},
		&troupe.ConfigurationChangedError{Expected: 1, Index: 2}:                     {Code: "configuration_changed"},
		troupe.ErrTermChanged:                                                        {Code: "term_changed"},
		&troupe.ChangeCancelledError{Change: 7}:                                      {Code: "change_cancelled"},
		troupe.ErrNoChange:                                                           {Code: "no_change"},
		troupe.ErrRemoved:                                                            {Code: "removed"},
		fmt.Errorf("nothing was done: %w", troupe.ErrRemoved):                        {Code: "removed"},
		&troupe.ChangeError{Reason: troupe.ChangeIsVoter, Change: troupe.Promote(2)}: {Code: "bad_request", Reason: "is_voter", Message: "changes[0].id: "},
		&troupe.ChangeError{Reason: troupe.ChangeAddressTwice, Change: troupe.Add(4, "d:4"), Node: 1}: {Code: "bad_request", Reason: "address_twice", Message: "changes[1].address: "},
		&troupe.ChangeError{Reason: troupe.ChangeNoQuorum, Text: "node 3 is silent"}:                  {Code: "bad_request", Reason: "no_quorum", Message: "changes: "},
	} {
		f := newFake()
		f.err = err
		code, answer := changed(t, quiet(f), "", body)
		got := decodeError(t, answer)
		if code != want.Code.HTTPStatus() || got.Code != want.Code || got.Reason != want.Reason || got.MayHaveHappened || got.Leader != 1 ||
			!strings.HasPrefix(got.Message, want.Message) || !strings.Contains(got.Message, err.Error()) {
			t.Errorf("%v: %d %+v", err, code, got)
		}
		if conflict := want.Code != api.BadRequest; conflict != (code == 409) {
			t.Errorf("%v: status %d", err, code)
		}
	}
	f := newFake()
	f.err = troupe.ErrTermChanged
	if code, _ := changed(t, quiet(f), "", `{"changes":[{"op":"promote","id":2}]}`); code != 503 {
		t.Errorf("a leader that changed under the request: %d", code)
	}
	f.err, f.status.Removed, f.status.Leader = troupe.ErrRemoved, true, 0
	s := quiet(f)
	for _, e := range []exchange{
		{"PUT", "/kv/a", "x", 409, "removed"}, {"GET", "/kv/a", "", 409, "removed"}, {"GET", "/readyz", "", 409, "removed"},
		{"GET", "/kv/a?read=stale", "", 404, "not_found"}, {"POST", "/cluster/members/cancel", "", 409, "removed"}, {"GET", "/healthz", "", 200, `{"ok":true,"leader":0}`},
	} {
		e.run(t, s)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/status", nil))
	if !strings.Contains(w.Body.String(), `"removed":true`) {
		t.Errorf("its status is %s", w.Body)
	}
	// Every reason has a word of its own.
	words := map[string]bool{}
	for reason := troupe.ChangeReason(1); reason.String() != "unknown"; reason++ {
		word := changeReasons[reason]
		if word == "" || words[word] {
			t.Errorf("%v: %q", reason, word)
		}
		words[word] = true
	}
}

// TestChangeRealGroup takes groups of real nodes through the life of some changes.
func TestChangeRealGroup(t *testing.T) {
	hub := inproc.NewHub()
	start := func(id troupe.NodeID, address string) *Server {
		log, kv := memory.New(id), machine.NewMemory()
		t.Cleanup(func() { _ = log.Close() })
		raft, err := troupe.Start(t.Context(), troupe.NodeConfig{ID: id, Log: log, Snapshots: memory.NewSnapshots(), Network: hub.Network(address)},
			troupe.Config{StateMachine: kv, ElectionTimeout: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			raft.Kill()
			<-raft.Done()
		})
		return New(raft, kv, slog.New(slog.DiscardHandler))
	}
	one, two := start(1, "one:1"), start(2, "two:2")
	list := `{"members":[{"id":1,"address":"one:1"}]}`
	exchange{"POST", "/cluster/init", list, 200, list}.run(t, one)
	first := look(t, one)
	if first.Index == 0 || !first.Committed || len(first.Members) != 1 {
		t.Fatalf("%+v", first)
	}
	want := func(s *Server, query, body string, status int) api.Members {
		t.Helper()
		code, answer := changed(t, s, query, body)
		var m api.Members
		if err := json.Unmarshal([]byte(answer), &m); err != nil || code != status {
			t.Fatalf("%s: %d %s, want %d", body, code, answer, status)
		}
		return m
	}
	add := func(id int, address string) string {
		return fmt.Sprintf(`{"changes":[{"op":"add","id":%d,"address":%q}]`, id, address)
	}

	// Only asked for, or of another configuration or term.
	if m := want(one, "", add(2, "two:2")+`,"dry_run":true}`, 200); len(m.Steps) != 3 || !m.Steps[1].Joint || m.Steps[2].Members[1].Kind != "voter" || m.Index != first.Index {
		t.Errorf("%+v", m)
	}
	exchange{"POST", "/cluster/members", add(2, "two:2") + fmt.Sprintf(`,"expected_index":%d}`, first.Index+1), 409, "configuration_changed"}.run(t, one)
	exchange{"POST", "/cluster/members", add(2, "two:2") + `,"expected_term":99}`, 409, "term_changed"}.run(t, one)
	for _, address := range []string{"0.0.0.0:1", "host:0", "one:1"} {
		exchange{"POST", "/cluster/members", add(2, address) + `}`, 400, "bad_request"}.run(t, one)
	}
	exchange{"POST", "/cluster/members", `{"changes":[{"op":"remove","id":1}]}`, 400, "bad_request"}.run(t, one)
	exchange{"POST", "/cluster/members", add(9, "nowhere:9") + `,"catch_up_limit":"1ms"}`, 409, "not_caught_up"}.run(t, one)
	exchange{"POST", "/cluster/members/cancel", "", 409, "no_change"}.run(t, one)
	if m := look(t, one); m.Index != first.Index {
		t.Errorf("something was appended: %+v", m)
	}

	// One that goes on, and is given up.
	m := want(one, "?timeout=1s", add(9, "nowhere:9")+`}`, 202)
	if again := want(one, "", add(9, "nowhere:9")+`,"wait":false}`, 202); m.ChangeID == "" || again.ChangeID != m.ChangeID || m.Change.State != "catching_up" || m.Change.SinceMillis == 0 || again.Change.SinceMillis != m.Change.SinceMillis {
		t.Errorf("%+v and %+v", m, again)
	}
	if got := look(t, one); got.Change.ID != m.ChangeID || got.Change.State != "catching_up" || got.Change.SinceMillis == 0 || got.ChangeID != "" {
		t.Errorf("%+v", got)
	}
	exchange{"POST", "/cluster/members", add(2, "two:2") + `}`, 409, "change_in_progress"}.run(t, one)
	if m := want(one, "", `{"changes":[{"op":"set_tags","id":1,"tags":{"zone":"a"}}]}`, 200); m.Members[0].Tags["zone"] != "a" || m.ChangeID != "" || m.Index <= first.Index {
		t.Errorf("beside another: %+v", m)
	}
	w := httptest.NewRecorder()
	one.ServeHTTP(w, httptest.NewRequest("POST", "/cluster/members/cancel", nil))
	var after api.Members
	if err := json.Unmarshal(w.Body.Bytes(), &after); err != nil || w.Code != 200 || after.Change.State != "none" || len(after.Members) != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}

	// One that is carried out, and one that changes nothing, asked of another node.
	m = want(one, "", add(2, "two:2")+fmt.Sprintf(`,"expected_index":%d}`, after.Index), 200)
	if len(m.Members) != 2 || m.Members[1].Kind != "voter" || m.Members[1].Incarnation == "0" || m.Joint || !m.Committed || m.Change.State != "none" {
		t.Errorf("%+v", m)
	}
	if same := want(two, "", add(2, "two:2")+`}`, 200); same.Index != m.Index || !same.Committed {
		t.Errorf("%+v, and before %+v", same, m)
	}
	// A node that removes itself answers, and knows it.
	if m := want(two, "", `{"changes":[{"op":"remove","id":2}]}`, 200); len(m.Members) != 1 {
		t.Errorf("%+v", m)
	}
	exchange{"PUT", "/kv/a", "x", 409, "removed"}.run(t, two)
	look(t, two)
}

func look(t *testing.T, s *Server) api.Members {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/cluster/members", nil))
	var m api.Members
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return m
}
