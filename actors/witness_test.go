package actors

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
	"github.com/trouperaft/troupe/network/inproc"
)

// eyes is a witness that counts, and finds something broken if it is told to.
type eyes struct {
	starts, appends, sends atomic.Int64
	broken                 atomic.Pointer[error]
}

func (e *eyes) Stepped(_ *core.Engine, event core.Event, commands []core.Command) error {
	if event == nil {
		e.starts.Add(1)
	}
	for _, c := range commands {
		if w, ok := c.(*core.Write); ok && len(w.Append) > 0 {
			e.appends.Add(1)
		}
	}
	if broken := e.broken.Load(); broken != nil {
		return *broken
	}
	return nil
}

func (e *eyes) Streamed(_ *stream.Stream, _ stream.Event, out *stream.Output) {
	if out.Send != nil {
		e.sends.Add(1)
	}
}

// TestWitness: a witness sees what a group's engine and streams do, and what it
// finds stops the group.
func TestWitness(t *testing.T) {
	hub, seen := inproc.NewHub(), &eyes{}
	var hosts []*host
	for _, id := range []core.NodeID{1, 2} {
		h := newHost(t, hub, id, func(c *GroupConfig) {
			if id == 1 {
				c.Witness = seen
			}
		})
		h.start()
		hosts = append(hosts, h)
	}
	if err := bootstrap(t, hosts[0].group, patience, members(1, 2)...); err != nil {
		t.Fatal(err)
	}
	until(t, hosts[0].group, "a leader", func(s Status) bool { return s.Ready })
	if seen.starts.Load() != 1 || seen.appends.Load() == 0 || seen.sends.Load() == 0 {
		t.Errorf("seen: %d starts, %d appends, %d messages of streams", seen.starts.Load(), seen.appends.Load(), seen.sends.Load())
	}
	found := errors.New("what a witness found")
	seen.broken.Store(&found)
	until(t, hosts[0].group, "its end", func(s Status) bool { return s.Stopped })
	if err := hosts[0].group.Err(); err == nil || !strings.Contains(err.Error(), "an invariant is broken: "+found.Error()) {
		t.Errorf("the group ended with %v", err)
	}
}
