package simulation

import (
	"errors"
	"slices"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network"
)

// moved is a simulation whose nodes 1 to 3 listen and belong to one cluster. Node 2
// is not where node 1 looks for it.
func moved(t *testing.T) (s *sim, ears []*ear) {
	t.Helper()
	s, one, two := wired(t)
	three := &ear{}
	l := s.nodes[2].life
	if err := l.endpoint.Start(network.Local{Identity: l.identity(), StartCounter: 1, Nonce: 3}, nil, three); err != nil {
		t.Fatal(err)
	}
	for _, n := range s.nodes {
		n.life.endpoint.SetCluster(1, core.ClusterID{1})
	}
	s.nodes[1].life.endpoint.address = "elsewhere"
	return s, []*ear{one, two, three}
}

// calls lets a node send something to another, more often than it has places to look.
func (s *sim) calls(from, to int) {
	a, b := s.nodes[from-1].life, s.nodes[to-1].life
	for range 4 {
		a.endpoint.Send(&core.Heartbeat{Header: core.Header{Group: 1, From: a.identity(), To: b.identity(), Term: core.Term(from)}})
		s.play()
		s.clock.now = s.clock.now.Add(redialAfter)
	}
}

func TestNodeThatMovedIsLookedForInVain(t *testing.T) {
	s, ears := moved(t)
	s.calls(1, 2)
	if !slices.Equal(ears[0].heard, []string{"down 2 control"}) || len(ears[1].heard) > 0 {
		t.Errorf("heard %v and %v", ears[0].heard, ears[1].heard)
	}
}

// TestNodeThatMovedCalls: who moved proves itself on a connection that it makes, and
// is found from then on. The next life is told.
func TestNodeThatMovedCalls(t *testing.T) {
	s, ears := moved(t)
	s.nodes[1].life.endpoint.SetAddress(1, address(1))
	s.calls(2, 1)
	s.calls(1, 2)
	if len(ears[1].heard) == 0 || len(ears[0].learned) != 1 || ears[0].learned[0].Address != "elsewhere" {
		t.Errorf("heard %v, learned %+v", ears[1].heard, ears[0].learned)
	}
	if s.seen[memberMoved] != 1 {
		t.Errorf("%d moves were seen", s.seen[memberMoved])
	}
	next := &endpoint{fabric: s.fabric, life: s.nodes[0].life}
	if err := next.Start(network.Local{}, ears[0].learned, &ear{}); err != nil {
		t.Fatal(err)
	}
	next.SetAddress(2, address(2))
	if got, want := next.places[2].candidates(), []string{"elsewhere", address(2)}; !slices.Equal(got, want) {
		t.Errorf("the next life looks at %v, want %v", got, want)
	}
	next.SetAddress(2, "a third place")
	if got, want := next.places[2].candidates(), []string{"a third place", "elsewhere"}; !slices.Equal(got, want) {
		t.Errorf("after another address it looks at %v, want %v", got, want)
	}
}

// TestNodeThatMovedIsHinted: node 3 knows where node 2 is, and tells node 1.
func TestNodeThatMovedIsHinted(t *testing.T) {
	s, ears := moved(t)
	s.nodes[1].life.endpoint.SetAddress(3, address(3))
	s.nodes[2].life.endpoint.SetAddress(1, address(1))
	s.calls(2, 3)
	s.calls(3, 1)
	s.calls(1, 2)
	if len(ears[1].heard) < 2 || s.seen[movedByHint] != 1 {
		t.Errorf("heard %v, found by %d hints", ears[1].heard, s.seen[movedByHint])
	}
}

// TestAnotherNodeAtAnOldAddress: whoever answers there is another node.
func TestAnotherNodeAtAnOldAddress(t *testing.T) {
	s, _ := moved(t)
	s.nodes[2].life.endpoint.address = address(2)
	e := s.nodes[0].life.endpoint
	told := &causes{ear: &ear{}}
	e.handler = told
	s.calls(1, 2)
	var wrong *network.WrongPeerError
	if !errors.As(told.cause, &wrong) || wrong.Want != 2 || wrong.Got != 3 {
		t.Errorf("down because of %v", told.cause)
	}
}

// causes keeps why a node cannot be reached.
type causes struct {
	*ear
	cause error
}

func (c *causes) Disconnected(_ core.NodeID, _ core.Class, cause error) { c.cause = cause }
