package server

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// TestJoinOf: what a node says of itself arrives as it was said, and what is wrong is named
// by its field.
func TestJoinOf(t *testing.T) {
	whole := api.Join{ID: 4, Incarnation: "ff", Address: "h:1", Cluster: "abcd"}
	want := troupe.JoinRequest{Node: 4, Incarnation: 255, Address: "h:1", Cluster: "abcd"}
	for as, change := range map[string]func(r *troupe.JoinRequest){
		"":            func(*troupe.JoinRequest) {},
		api.AsVoter:   func(*troupe.JoinRequest) {},
		api.AsLearner: func(r *troupe.JoinRequest) { r.Learner = true },
		api.AsStandby: func(r *troupe.JoinRequest) { r.Standby = true },
	} {
		given, want := whole, want
		given.As = as
		change(&want)
		if got, wrong := joinOf(&given); got != want || wrong != "" {
			t.Errorf("as %q: %+v, %s", as, got, wrong)
		}
	}
	for field, change := range map[string]func(j *api.Join){
		"id":          func(j *api.Join) { j.ID = 0 },
		"incarnation": func(j *api.Join) { j.Incarnation = "xyz" },
		"address":     func(j *api.Join) { j.Address = "" },
		"as":          func(j *api.Join) { j.As = "king" },
	} {
		given := whole
		change(&given)
		if _, wrong := joinOf(&given); !strings.HasPrefix(wrong, field+": ") {
			t.Errorf("%s: %q", field, wrong)
		}
	}
}

// TestJoinRequest: a node that asks is admitted, and the answer is that of a change.
func TestJoinRequest(t *testing.T) {
	f := newFake()
	s := quiet(f)
	body := `{"id":4,"incarnation":"ff","address":"h:1","as":"learner"}`
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("POST", "/cluster/join", strings.NewReader(body)))
	want := troupe.JoinRequest{Node: 4, Incarnation: 255, Address: "h:1", Learner: true}
	if w.Code != 200 || f.admitted != want || !strings.Contains(w.Body.String(), `"committed":true`) {
		t.Errorf("%d %s, and %+v was admitted", w.Code, w.Body, f.admitted)
	}
	exchange{"POST", "/cluster/join", `{"id":4}`, 400, "bad_request"}.run(t, s)
	exchange{"POST", "/cluster/join", strings.Repeat(" ", joinBytesMax+1), 413, "too_large"}.run(t, s)
	exchange{"GET", "/cluster/join", "", 405, "bad_request"}.run(t, s)
}

// TestRefusedJoin: who lost its data is told what to do, and every refusal has its reason.
func TestRefusedJoin(t *testing.T) {
	err := refusedJoin(&api.Join{ID: 4}, &troupe.ChangeError{Reason: troupe.ChangeEmptied})
	if answer, ok := err.(*api.Error); !ok || answer.Reason != "emptied" || answer.Code != api.BadRequest || !strings.Contains(answer.Message, "kv members replace 4") {
		t.Errorf("%v", err)
	}
	if err := refusedJoin(&api.Join{ID: 4}, troupe.ErrNoCluster); err != troupe.ErrNoCluster {
		t.Errorf("%v", err)
	}
}
