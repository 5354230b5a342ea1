package core

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// TestSnapshotIsNoSlowRound: the time that a snapshot took does not count for the round in
// which it came, neither when it has come nor when it is restored.
func TestSnapshotIsNoSlowRound(t *testing.T) {
	for _, ends := range []string{"sent", "restored"} {
		r := admitted(t)
		r.propose(make([]string, 10_000)...)
		p := r.e.leaderState.peer(rigPeers[3])
		p.beginCatchUp(r.now, r.e.log.last.Index)
		tick := func() {
			r.fire(TimerHeartbeat)
			r.answers(2, 3, 4)
			r.flush()
			r.match(2, r.e.log.last.Index)
			r.match(3, r.e.log.last.Index)
			r.apply()
		}
		for range 40 {
			tick()
			r.match(4, p.match+10)
		}
		r.propose(make([]string, 20_000)...)
		tick()
		r.match(4, p.catchUp.target)
		limit := r.e.configs.latest().Configuration.Target.CatchUpLimit
		if p.catchUp.before == 0 || p.catchUp.before > limit {
			t.Fatalf("the round before took %v of %v", p.catchUp.before, limit)
		}
		p.snapshot = ends == "sent"
		for begun := r.now; r.now.Sub(begun) < 2*limit; {
			r.step(&PeerProgress{Node: 4, Class: ClassSnapshot, Bytes: uint64(r.now)})
			if ends == "restored" {
				r.from(4, r.e.hard.Term, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, Unfit: UnfitInstalling, Match: p.match})
			}
			tick()
		}
		if ends == "sent" {
			r.step(&SnapshotSent{Peer: p.Identity, Stream: p.stream, LogID: r.e.snapshots.newest.LogID, OK: true})
		}
		r.propose(make([]string, 6_000)...)
		r.match(4, p.match+5_000)
		tick()
		if target := r.e.configs.latest().Configuration.Target; target == nil {
			t.Errorf("%s: given up as soon as the snapshot was there: %+v", ends, r.e.configs.latest().Configuration.Last)
		}
	}
}

// TestNewcomerThatIsMuchSlower: the log grows ten times faster than the newcomer takes it,
// so that each round of catching up takes ten times as long as the one before. The change
// is given up when a round has taken longer than its limit and than the one before. A round
// that is long, and shorter than the one before, is none to give up for, and neither is one
// in which a snapshot is on its way.
func TestNewcomerThatIsMuchSlower(t *testing.T) {
	for name, test := range map[string]struct {
		grows    int // entries in a second, of which the newcomer takes 2,000
		first    int // that it lacks in the beginning
		snapshot bool
		want     bool
	}{
		"slower than the log grows":          {20_000, 10_000, false, true},
		"as slow, and sent a snapshot":       {20_000, 10_000, true, false},
		"faster, and with much to catch up":  {500, 60_000, false, false},
		"faster, and with little to take up": {500, 10_000, false, false},
	} {
		r := admitted(t)
		r.propose(make([]string, test.first)...)
		changing := func() bool {
			return r.e.configs.latest().Configuration.Target != nil && !r.e.configs.latest().Configuration.Joint()
		}
		r.e.leaderState.peer(rigPeers[3]).beginCatchUp(r.now, r.e.log.last.Index)
		for end := r.now.Add(time.Minute); r.now < end && changing(); {
			before := r.now
			r.fire(TimerHeartbeat)
			r.answers(2, 3, 4)
			passed := r.now.Sub(before)
			r.propose(make([]string, int(passed.Seconds()*float64(test.grows)))...)
			r.flush()
			r.match(2, r.e.log.last.Index)
			r.match(3, r.e.log.last.Index)
			r.apply()
			if p := r.e.leaderState.peer(rigPeers[3]); p != nil && p.comes {
				p.snapshot = test.snapshot
				r.match(4, min(p.match+Index(passed.Seconds()*2000), r.e.log.last.Index))
			}
		}
		last := r.e.configs.latest().Configuration.Last
		if given := last.Result == membership.ResultNotCaughtUp; given != test.want {
			t.Errorf("%s: %+v: %s", name, last, r.latest())
		}
	}
}

// TestSleepIsNoSlowNewcomer: rules 15 and 21: a leader that was asleep for longer than the
// limit of a change has not read yet what the newcomer said meanwhile, be it that it has
// caught up, that it comes nearer, or who it is. It gives up the change when the limit is
// over again.
func TestSleepIsNoSlowNewcomer(t *testing.T) {
	const limit = 5 * time.Second
	for name, begin := range map[string]func(t *testing.T) *rig{
		"it lacks nothing": func(t *testing.T) *rig {
			r := admitted(t)
			r.match(4, r.e.log.last.Index-1)
			return r
		},
		"a round that is slower than the one before": func(t *testing.T) *rig {
			r := admitted(t)
			r.propose(make([]string, 10_000)...)
			p := r.e.leaderState.peer(rigPeers[3])
			p.beginCatchUp(r.now, r.e.log.last.Index)
			r.match(4, 100)
			p.catchUp.before = time.Second
			return r
		},
		"it has yet to say who it is": asking,
	} {
		t.Run(name, func(t *testing.T) {
			r := begin(t)
			changing := func() bool {
				return r.e.leaderState.changes.pending != nil || r.e.configs.latest().Configuration.Target != nil
			}
			beats := func(d time.Duration) {
				for end := r.now.Add(d); changing() && r.now < end; {
					r.fire(TimerHeartbeat)
					r.answers(2, 3)
					r.flush()
					r.match(2, r.e.log.last.Index)
					r.match(3, r.e.log.last.Index)
					r.apply()
				}
			}
			beats(limit / 2)
			r.now = r.now.Add(2 * limit)
			beats(time.Millisecond) // much too late
			woke := r.now
			beats(limit - time.Second)
			if !changing() {
				t.Fatalf("given up %v after the awakening: %s", r.now.Sub(woke), r.latest())
			}
			beats(2 * limit)
			if changing() || r.now.Sub(woke) > limit+time.Second {
				t.Errorf("not given up %v after the awakening: %s", r.now.Sub(woke), r.latest())
			}
		})
	}
}
