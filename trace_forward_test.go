package troupe_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
)

// refusing is a network that does not take some messages.
type refusing struct {
	troupe.Network
	refuse func(core.Message) bool
}

func (r *refusing) Send(m core.Message) bool { return !r.refuse(m) && r.Network.Send(m) }

// rules say, for all members of a cluster, which messages are refused. The zero
// value refuses none.
type rules struct {
	mu     sync.Mutex
	refuse func(core.Message) bool
}

func (r *rules) set(refuse func(core.Message) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
}

func (r *rules) asked(m core.Message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refuse != nil && r.refuse(m)
}

func (r *rules) prepare(m *member) {
	m.network = func(n troupe.Network) troupe.Network { return &refusing{n, r.asked} }
}

// TestTraceOfAWriteWhoseLeaderIsLost asserts the tree of a write that a follower
// cannot send to its leader, which is killed then: it goes to the next one, or
// is appended by the follower itself, which has won. Each way names the peer that
// it goes to, none stays open, and nothing has failed.
func TestTraceOfAWriteWhoseLeaderIsLost(t *testing.T) {
	for _, test := range []struct {
		name string
		wins bool // the follower that is asked
	}{{"another leads", false}, {"it leads itself", true}} {
		t.Run(test.name, func(t *testing.T) {
			settings := config()
			settings.ElectionTimeout = 2 * electionTimeout // the leader stays until it is killed, also beside other work
			var network rules
			c := newTraced(t, 3, settings, nobody, network.prepare)
			c.form(t)
			old, asked := c.leader(), c.follower()
			next := asked
			if !test.wins {
				next = c.members[slices.IndexFunc(c.members, func(m *member) bool { return m != old && m != asked })]
			}
			refused := make(chan struct{}, 1000)
			network.set(func(m core.Message) bool {
				switch h := m.Head(); m.(type) {
				case *core.ProposeRequest:
					if h.To.ID == old.id {
						refused <- struct{}{}
						return true
					}
				case *core.VoteRequest:
					return h.From.ID != next.id
				}
				return false
			})
			ctx, id := sampledCaller(within(t, 30*time.Second), true)
			answer := make(chan error, 1)
			go func() {
				_, err := asked.raft.Propose(ctx, []byte("kept"))
				answer <- err
			}()
			for range 2 {
				<-refused
			}
			old.raft.Kill()
			if err := <-answer; err != nil {
				t.Fatal(err)
			}
			peer := c.others(old)[0]
			if peer == next.id {
				peer = c.others(old)[1]
			}
			queue := fmt.Sprintf("  raft.queue internal at %d\n", asked.id)
			ways := fmt.Sprintf("  raft.forward client at %d peer %d: it was not sent, and the leader has changed\n", asked.id, old.id) + queue
			if test.wins {
				ways += stages("  ", next.id, peer)
			} else {
				ways += queue + fmt.Sprintf("  raft.forward client at %[1]d peer %[2]d applied\n    raft.propose server at %[2]d peer %[1]d applied\n", asked.id, next.id) +
					stages("      ", next.id, peer)
			}
			want := fmt.Sprintf("raft.propose internal at %d applied\n", asked.id) + inOrder(ways)
			if _, err := c.collector.Wait(within(t, 20*time.Second), func(spans []span) bool { return draw(spans, id) == want }); err != nil {
				t.Errorf("%v: got\n%swant\n%s", err, draw(c.collector.Spans(), id), want)
			}
			// If the new leader had the entry ready for the old one before it knew that
			// this is gone, the way to it ends with the group, and fails nothing.
			spans := c.stop(t)
			late := fmt.Sprintf("raft.replicate client at %d peer %d: the group has stopped\n", next.id, old.id)
			if got := draw(spans, id); strings.Count(got, late) > 1 || withoutLine(got, late) != want {
				t.Errorf("at the end\n%swant\n%sand perhaps %s", got, want, late)
			}
			inTable(t, spans)
			waysFollowEachOther(t, spans, id, asked.id, old.id)
		})
	}
}

// TestTraceOfAWriteWithoutAPeer asserts that a write which was applied has not
// failed because one peer stays behind to the end.
func TestTraceOfAWriteWithoutAPeer(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = 20 * electionTimeout // the peer hears nothing, and shall not mind
	c := newTraced(t, 3, settings, nobody)
	c.form(t)
	leader := c.leader()
	peer, away := c.others(leader)[0], c.others(leader)[1]
	c.hub.Hold(leader.id, away)
	ctx, id := sampledCaller(within(t, 20*time.Second), true)
	if _, err := leader.raft.Propose(ctx, []byte("a")); err != nil {
		t.Fatal(err)
	}
	want := written(leader.id, peer)
	if _, err := c.collector.Wait(within(t, 20*time.Second), func(spans []span) bool { return draw(spans, id) == want }); err != nil {
		t.Errorf("%v: got\n%swant\n%s", err, draw(c.collector.Spans(), id), want)
	}
	underWay := func(p troupe.PeerStatus) bool { return p.ID == away && p.InflightMessages > 0 }
	for limit := within(t, 20*time.Second); !slices.ContainsFunc(leader.raft.Status().Peers, underWay); time.Sleep(time.Millisecond) {
		if limit.Err() != nil {
			t.Fatal("nothing is sent to who stays behind")
		}
	}
	spans := c.stop(t)
	late := fmt.Sprintf("  raft.replicate client at %d peer %d: the group has stopped\n", leader.id, away)
	root, rest, _ := strings.Cut(want, "\n")
	if got, want := draw(spans, id), root+"\n"+inOrder(rest+late); got != want {
		t.Errorf("at the end\n%swant\n%s", got, want)
	}
	inTable(t, spans)
}

// inOrder sorts the blocks of a drawing that are indented by two spaces, as draw
// does.
func inOrder(drawing string) string {
	var blocks []string
	for line := range strings.Lines(drawing) {
		if strings.HasPrefix(line, "    ") {
			blocks[len(blocks)-1] += line
		} else {
			blocks = append(blocks, line)
		}
	}
	slices.Sort(blocks)
	return strings.Join(blocks, "")
}

// withoutLine drops a line of a drawing, however far it is indented.
func withoutLine(drawing, without string) string {
	var kept strings.Builder
	for line := range strings.Lines(drawing) {
		if strings.TrimLeft(line, " ") != without {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// waysFollowEachOther asserts that the waits and ways of a write do not overlap,
// and that the way to the lost leader says how often it was refused.
func waysFollowEachOther(t *testing.T, spans []span, traceID string, asked, lost troupe.NodeID) {
	t.Helper()
	ways := slices.DeleteFunc(slices.Clone(spans), func(s span) bool {
		return s.TraceID != traceID || s.Instance != fmt.Sprint(asked) || s.Name != "raft.queue" && s.Name != "raft.forward"
	})
	slices.SortFunc(ways, func(a, b span) int { return cmp.Compare(a.StartUnixNano, b.StartUnixNano) })
	for i := range ways[1:] {
		if before, after := ways[i], ways[i+1]; before.EndUnixNano > after.StartUnixNano {
			t.Errorf("%s begins %d ns before %s ends", after.Name, before.EndUnixNano-after.StartUnixNano, before.Name)
		}
	}
	for _, s := range ways {
		if s.EndUnixNano == s.StartUnixNano {
			t.Errorf("a %s took no time at all: %v", s.Name, s.Attributes)
		}
		refused := 0
		for _, e := range s.Events {
			if e.Name == "raft.refused" {
				refused++
			}
		}
		if toLost := s.Attributes["raft.peer"] == int64(lost); toLost != (refused >= 2) {
			t.Errorf("%s to %v was refused %d times", s.Name, s.Attributes["raft.peer"], refused)
		}
	}
}
