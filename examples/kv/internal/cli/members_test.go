package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestMembers: what each command sends, and what is wrong with arguments.
func TestMembers(t *testing.T) {
	var got string
	status := http.StatusOK
	const none = `{"index":7,"committed":true,"joint":false,"change":{"state":"none","waits_for":[],"since_ms":0,"progress":[]},"members":[]}` + "\n"
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.RequestURI() + " " + string(body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, none)
	}))
	defer front.Close()
	for args, want := range map[string]string{
		"members":                                            "GET /cluster/members?timeout=5s ",
		"member":                                             "GET /cluster/members?timeout=5s ",
		"members list":                                       "GET /cluster/members?timeout=5s ",
		"members cancel":                                     "POST /cluster/members/cancel?timeout=5s ",
		"member add 4=h:1":                                   `{"op":"add","id":4,"address":"h:1"}`,
		"member add 4=h:1 5=h:2":                             `{"op":"add","id":4,"address":"h:1"},{"op":"add","id":5,"address":"h:2"}`,
		"member add-learner 4=h:1":                           `{"op":"add_learner","id":4,"address":"h:1"}`,
		"member promote 4 5":                                 `{"op":"promote","id":4},{"op":"promote","id":5}`,
		"member remove 4 5 --keep-as-learner":                `{"op":"remove","id":4,"keep_as_learner":true},{"op":"remove","id":5,"keep_as_learner":true}`,
		"member set 4 --address h:2":                         `{"op":"set_address","id":4,"address":"h:2"}`,
		"member set 4 --priority 0":                          `{"op":"set_priority","id":4,"priority":0}`,
		"member set --tag a=b=c 4 --tag d=":                  `{"op":"set_tags","id":4,"tags":{"a":"b=c","d":""}}`,
		"member set 4 --no-tags --standby=false":             `{"op":"set_tags","id":4,"tags":{}},{"op":"set_standby","id":4,"standby":false}`,
		"member set --voters 1,2":                            `{"op":"set_voters","members":[1,2]}`,
		"member set 4 --standby --priority 7 --address h:2":  `{"op":"set_address","id":4,"address":"h:2"},{"op":"set_priority","id":4,"priority":7},{"op":"set_standby","id":4,"standby":true}`,
		"member set --voters 1 --voters 2 --keep-as-learner": `{"op":"set_voters","members":[1,2],"keep_as_learner":true}`,
		"member promote 4":                                   `{"op":"promote","id":4}`,
		"member demote 4":                                    `{"op":"demote","id":4}`,
		"member remove 4":                                    `{"op":"remove","id":4}`,
		"member remove --keep-as-learner 4":                  `{"op":"remove","id":4,"keep_as_learner":true}`,
		"member replace 4":                                   `{"op":"replace","id":4}`,
		"member replace 4 --address h:2 --force":             `{"op":"replace","id":4,"address":"h:2","force":true}`,
		"member replace 4 --incarnation f00":                 `{"op":"replace","id":4,"incarnation":"f00"}`,
		"member set-address 4=h:2":                           `{"op":"set_address","id":4,"address":"h:2"}`,
		"member set-priority 4=0":                            `{"op":"set_priority","id":4,"priority":0}`,
		"member set-tags 4":                                  `{"op":"set_tags","id":4,"tags":{}}`,
		"member set-tags 4 a=b=c d=":                         `{"op":"set_tags","id":4,"tags":{"a":"b=c","d":""}}`,
		"member set-voters 1 2 --keep-as-learner":            `{"op":"set_voters","members":[1,2],"keep_as_learner":true}`,
	} {
		if strings.HasPrefix(want, "{") {
			want = `POST /cluster/members?timeout=1m0s {"changes":[` + want + `]}`
		}
		code, stdout, stderr := run(t, append(strings.Fields(args), "--http", front.URL)...)
		if code != 0 || stdout != none || stderr != "" || got != want {
			t.Errorf("kv %s: %d %q %q, sent %q, want %q", args, code, stdout, stderr, got, want)
		}
	}
	status = http.StatusAccepted // one that goes on is no error
	args := "members promote 4 --no-wait --dry-run --expected-index 7 --expected-term 3 --catch-up-limit 2s --timeout 3s"
	want := `POST /cluster/members?timeout=3s {"changes":[{"op":"promote","id":4}],"expected_index":7,"expected_term":3,"dry_run":true,"wait":false,"catch_up_limit":"2s"}`
	if code, stdout, stderr := run(t, append(strings.Fields(args), "--http", front.URL)...); code != 0 || stdout != none || got != want {
		t.Errorf("%d %q %q, sent %q", code, stdout, stderr, got)
	}
	got = ""
	for _, args := range []string{
		"members grow", "member add 4", "member add 0=h:1", "member add 4=0.0.0.0:1", "member add 4=[::ffff:0.0.0.0]:1", "member add 4=h:0", "member add", "member add 4=h:1 5", "member promote x", "member promote 4 x",
		"member set", "member set 4", "member set 4 5", "member set x --priority 1", "member set --priority 1", "member set 4 --priority 1001", "member set 4 --priority -1",
		"member set 4 --address=", "member set 4 --address 0.0.0.0:1", "member set 4 --address h:0", "member set 4 --tag a", "member set 4 --tag a=1 --tag a=2",
		"member set 4 --tag a=1 --no-tags", "member set 4 --voters 1", "member set --voters 1 --priority 3", "member set --voters 1,x", "member set --voters=", "member set 4 --keep-as-learner", "member set 4 --standby=x",
		"member promote 0", "member promote", "member replace 4 --address h", "member set-address 4=", "member set-priority 4", "member set-priority 4=1001",
		"member set-priority 4=-1", "member set-tags", "member set-tags 4 a", "member set-tags 4 a=1 a=2", "member set-voters", "member set-voters 1,2", "members cancel 4",
	} {
		if code, _, stderr := run(t, append(strings.Fields(args), "--http", front.URL)...); code != 1 || !strings.HasPrefix(stderr, "kv: ") || got != "" {
			t.Errorf("kv %s: %d %q, sent %q", args, code, stderr, got)
		}
	}
}
