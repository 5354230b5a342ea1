package actors

import (
	"slices"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
)

// steps is a witness that keeps what it sees.
type steps struct {
	events   []core.Event
	commands [][]core.Command
	streamed []stream.Event
	wanted   []stream.Output
}

func (s *steps) Stepped(_ *core.Engine, event core.Event, commands []core.Command) error {
	s.events, s.commands = append(s.events, event), append(s.commands, slices.Clone(commands))
	return nil
}

func (s *steps) Streamed(_ *stream.Stream, event stream.Event, out *stream.Output) {
	s.streamed, s.wanted = append(s.streamed, event), append(s.wanted, *out)
}

// TestWitnessSeesEachStep: of a burst it sees every event that the engine takes, each
// with its own commands, and of a stream each step of the pump.
func TestWitnessSeesEachStep(t *testing.T) {
	r, seen := newCoreRig(t), &steps{}
	r.core.cfg.Witness = seen
	heartbeat := r.from(2, 1, &core.Heartbeat{Round: 1, Stream: 1})
	vote := r.from(3, 2, &core.VoteRequest{ElectionTerm: 2, Campaign: 1, Last: id(9, 9)})
	r.turn(heartbeat, vote)
	if len(seen.events) != 2 || seen.events[0] != heartbeat || seen.events[1] != vote {
		t.Fatalf("saw %T", seen.events)
	}
	for i, kind := range []string{"the heartbeat", "the request for a vote"} {
		sends := func(c core.Command) bool { _, ok := c.(*core.Send); return ok }
		if n := len(slices.DeleteFunc(seen.commands[i], func(c core.Command) bool { return !sends(c) })); n != 1 {
			t.Errorf("%s is answered by %d messages", kind, n)
		}
	}
	// A stream that is told of entries reads them, sends them, and hears that they
	// have left.
	s := newStreamRig(t)
	s.actor.cfg.Witness = seen
	s.hears(&stream.Grown{Last: 3})
	if len(seen.streamed) != 3 {
		t.Fatalf("saw %T", seen.streamed)
	}
	if _, grown := seen.streamed[0].(*stream.Grown); !grown || !seen.wanted[0].Want {
		t.Errorf("first %T, and it wants to read: %v", seen.streamed[0], seen.wanted[0].Want)
	}
	if _, read := seen.streamed[1].(*stream.Read); !read || seen.wanted[1].Send == nil {
		t.Errorf("then %T, and it sends %v", seen.streamed[1], seen.wanted[1].Send)
	}
	if sent, ok := seen.streamed[2].(*stream.Sent); !ok || !sent.OK {
		t.Errorf("at last %T", seen.streamed[2])
	}
}
