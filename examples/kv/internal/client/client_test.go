package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is a request as it came in.
type seen struct{ method, path, query, body string }

// answering starts a server that answers everything alike.
func answering(t *testing.T, status int, answer string) (*Client, *seen) {
	t.Helper()
	got := &seen{}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*got = seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body)}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(front.Close)
	c, err := New(front.URL+"/", 2*time.Second, front.Client().Transport)
	if err != nil {
		t.Fatal(err)
	}
	return c, got
}

func TestRequests(t *testing.T) {
	ctx := t.Context()
	one := "1"
	c, got := answering(t, 200, `{"swapped":true,"term":3,"index":7,"id":5}`)
	for _, test := range []struct {
		send func() error
		want seen
	}{
		{func() error {
			w, err := c.Put(ctx, "a/b%é", []byte("v\x00"))
			return check(w.Index == 7 && w.Term == 3, err)
		}, seen{"PUT", "/kv/a%2Fb%25%C3%A9", "timeout=2s", "v\x00"}},
		{func() error { w, err := c.Delete(ctx, ".."); return check(w.Index == 7, err) }, seen{"DELETE", "/kv/..", "timeout=2s", ""}},
		{func() error {
			w, err := c.Swap(ctx, "cas", api.Swap{New: &one})
			return check(w.Swapped && w.Index == 7, err)
		}, seen{"POST", "/kv/cas/cas", "timeout=2s", `{"old":null,"new":"1"}`}},
		{func() error {
			v, err := c.Get(ctx, "k", Read{Mode: "stale", MaxStaleness: time.Second, MinIndex: 7})
			return check(strings.Contains(string(v), "swapped"), err)
		}, seen{"GET", "/kv/k", "max_staleness=1s&min_index=7&read=stale&timeout=2s", ""}},
		{func() error { _, err := c.Get(ctx, "k", Read{}); return err }, seen{"GET", "/kv/k", "timeout=2s", ""}},
		{func() error { s, err := c.Status(ctx); return check(s.ID == 5, err) }, seen{"GET", "/status", "timeout=2s", ""}},
		{func() error { l, err := c.Transfer(ctx, 5); return check(l.Term == 3, err) }, seen{"POST", "/cluster/transfer", "timeout=2s", `{"to":5}`}},
		{func() error { l, err := c.Elect(ctx); return check(l.Term == 3, err) }, seen{"POST", "/cluster/elect", "timeout=2s", ""}},
		{func() error { m, err := c.Members(ctx); return check(m.Index == 7, err) }, seen{"GET", "/cluster/members", "timeout=2s", ""}},
		{func() error {
			m, err := c.ChangeMembers(ctx, api.Change{Changes: []api.MemberChange{{Op: "promote", ID: 4}}})
			return check(m.Index == 7, err)
		}, seen{"POST", "/cluster/members", "timeout=2s", `{"changes":[{"op":"promote","id":4}]}`}},
		{func() error { m, err := c.CancelChange(ctx); return check(m.Index == 7, err) }, seen{"POST", "/cluster/members/cancel", "timeout=2s", ""}},
		{func() error { return c.Init(ctx, []api.InitMember{{ID: 1, Address: "a:1"}}) }, seen{"POST", "/cluster/init", "timeout=2s", `{"members":[{"id":1,"address":"a:1"}]}`}},
	} {
		if err := test.send(); err != nil {
			t.Errorf("%v: %v", test.want, err)
		}
		if *got != test.want {
			t.Errorf("sent %v, want %v", *got, test.want)
		}
	}
}

func check(ok bool, err error) error {
	if err == nil && !ok {
		return errors.New("another answer")
	}
	return err
}

func TestAnswersThatAreErrors(t *testing.T) {
	c, _ := answering(t, 503, `{"code":"unknown_outcome","error":"too late","may_have_happened":true,"leader":2}`)
	_, err := c.Put(t.Context(), "k", nil)
	var answer *api.Error
	if !errors.As(err, &answer) || *answer != (api.Error{Code: api.UnknownOutcome, Message: "too late", MayHaveHappened: true, Leader: 2}) {
		t.Errorf("error %v", err)
	}
	for _, body := range []string{"", "<html>", "{}"} {
		c, _ := answering(t, 502, body)
		if _, err := c.Status(t.Context()); err == nil || errors.As(err, &answer) || !strings.Contains(err.Error(), "502") {
			t.Errorf("%q: error %v", body, err)
		}
	}
	c, _ = answering(t, 200, "<html>")
	if _, err := c.Status(t.Context()); err == nil {
		t.Error("an answer that is no JSON was taken")
	}
}

func TestAddresses(t *testing.T) {
	for address, good := range map[string]bool{
		"127.0.0.1:8001": true, "http://127.0.0.1:8001": true, "https://h/prefix/": true,
		"": false, "ftp://h": false, "http://": false, "http://h?x=1": false, "http://h:port": false,
	} {
		if _, err := New(address, 0, nil); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := New("h:1", -1, nil); err == nil {
		t.Error("a negative time-out was taken")
	}
}
