package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// askedMember answers each request with the same.
type askedMember struct {
	err   error
	asked []api.Join
}

func (m *askedMember) Join(_ context.Context, join api.Join) (api.Members, error) {
	m.asked = append(m.asked, join)
	return api.Members{}, m.err
}

// TestJoinerAsks: one member after the other, until one lets the node in, or refuses it for
// good.
func TestJoinerAsks(t *testing.T) {
	away, empty := errors.New("connection refused"), &api.Error{Code: api.NoCluster}
	emptied := &api.Error{Code: api.BadRequest, Reason: "emptied", Message: "use replace"}
	for name, test := range map[string]struct {
		answers []error
		asked   int // of them
		reason  troupe.ChangeReason
		in      bool
	}{
		"the first":          {[]error{nil, away}, 1, 0, true},
		"the last":           {[]error{away, empty, nil}, 3, 0, true},
		"nobody":             {[]error{away, empty}, 2, 0, false},
		"who lost its data":  {[]error{away, emptied, nil}, 2, troupe.ChangeEmptied, false},
		"a change under way": {[]error{&api.Error{Code: api.ChangeInProgress}}, 1, 0, false},
	} {
		j := &joiner{as: api.AsLearner, logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
		var members []*askedMember
		for _, err := range test.answers {
			m := &askedMember{err: err}
			members, j.members = append(members, m), append(j.members, m)
		}
		err := j.ask(t.Context(), troupe.JoinRequest{Node: 4, Incarnation: 255, Address: "h:1"})
		var wrong *troupe.ChangeError
		if errors.As(err, &wrong) && refusal(err) != emptied.Message { // once, and not twice
			t.Errorf("%s: it says %q", name, refusal(err))
		}
		if errors.As(err, &wrong) != (test.reason != 0) || wrong != nil && wrong.Reason != test.reason || (err == nil) != test.in {
			t.Errorf("%s: %v", name, err)
		}
		for i, m := range members {
			if want := i < test.asked; want != (len(m.asked) == 1) {
				t.Errorf("%s: member %d was asked %v", name, i, m.asked)
			} else if want && m.asked[0] != (api.Join{ID: 4, Incarnation: "ff", Address: "h:1", As: "learner"}) {
				t.Errorf("%s: %+v", name, m.asked[0])
			}
		}
	}
}
