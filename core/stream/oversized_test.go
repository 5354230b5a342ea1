package stream

import (
	"testing"

	"github.com/trouperaft/troupe/core"
)

// turnDown sends what the stream wants, of which the network takes messages with at most
// most bytes of entries, and returns what the stream wants of the core at the end.
func (r *streamRig) turnDown(ev Event, most int) (sent []string, through core.Index) {
	r.t.Helper()
	for range 1000 {
		r.step(ev)
		if r.out.NeedSnapshot {
			through = r.out.Through
		}
		switch {
		case r.out.Send != nil && core.SizeOf(r.out.Send.Entries) > most:
			ev = &Sent{TooLarge: true}
		case r.out.Send != nil:
			sent = append(sent, printAppend(r.out.Send))
			ev = &Sent{OK: true}
		case r.out.Want:
			ev = r.log.read(r.out.First, r.out.Last, r.out.BytesMax)
		default:
			return sent, through
		}
	}
	r.t.Fatal("the stream tries for ever")
	return nil, 0
}

// TestEntriesThatNoMessageTakes: several in a message are sent one by one; for one that is
// too large alone a snapshot is asked for that reaches so far, again and again, until it
// has arrived or another connection may take more.
func TestEntriesThatNoMessageTakes(t *testing.T) {
	setup := func() *streamRig {
		r := replicating(t)
		last := r.log.last().Index
		r.pump(&Alive{Match: last, Sent: r.now})
		for i := range core.Index(4) {
			e := command(id(5, last+1+i))
			e.Data = make([]byte, 100)
			r.log.entries = append(r.log.entries, e)
		}
		return r
	}
	t.Run("several", func(t *testing.T) {
		r := setup()
		size := r.log.entries[len(r.log.entries)-1].Size()
		sent, through := r.turnDown(r.grown(), 2*size)
		if len(sent) != 2 || through != 0 {
			t.Errorf("%d messages, and a snapshot through %d is asked for", len(sent), through)
		}
	})
	t.Run("one", func(t *testing.T) {
		r := setup()
		at := &r.log.entries[len(r.log.entries)-3] // the second of the four
		at.Data = make([]byte, 5000)
		sent, through := r.turnDown(r.grown(), 1000)
		if len(sent) != 1 || through != at.Index || r.s.Mode() != core.StreamSnapshot {
			t.Errorf("%q was sent, and a snapshot through %d is asked for, in mode %v", sent, through, r.s.Mode())
		}
		if _, through = r.turnDown(&Alive{Sent: r.now}, 1000); through != at.Index {
			t.Errorf("it is asked for again through %d", through)
		}
		// A snapshot that does not reach so far.
		if _, through = r.turnDown(&SnapshotSent{LogID: id(5, at.Index-1), OK: true}, 1000); through != at.Index {
			t.Errorf("behind one that is too short it is asked for through %d", through)
		}
		sent, through = r.turnDown(&SnapshotSent{LogID: at.LogID, OK: true}, 1000)
		if len(sent) != 1 || through != 0 || r.s.Mode() != core.StreamProbe {
			t.Errorf("behind it %q was sent, a snapshot through %d is asked for, in mode %v", sent, through, r.s.Mode())
		}
		r.turnDown(r.answer(core.AppendResponse{Success: true, Match: at.Index}), 1000)
		if r.s.oversized != 0 {
			t.Errorf("entry %d still counts as too large", r.s.oversized)
		}
	})
	t.Run("another connection", func(t *testing.T) {
		r := setup()
		at := &r.log.entries[len(r.log.entries)-3]
		at.Data = make([]byte, 5000)
		r.turnDown(r.grown(), 1000)
		if sent, through := r.turnDown(&Down{}, 10_000); len(sent) != 1 || through != 0 || r.s.Mode() != core.StreamProbe {
			t.Errorf("%q was sent, and a snapshot through %d is asked for", sent, through)
		}
	})
}
