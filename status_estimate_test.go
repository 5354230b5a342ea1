package troupe

import (
	"testing"
	"time"
)

// TestCatchUpEstimate: of entries it is the rate so far that tells how long the rest takes,
// of a snapshot on its way that of the snapshot.
func TestCatchUpEstimate(t *testing.T) {
	for name, test := range map[string]struct {
		p             PeerStatus
		percent, rate float64
		left          time.Duration
	}{
		"it does not catch up":    {PeerStatus{Match: 5, LagEntries: 7, CatchUpAge: time.Second}, 0, 0, 0},
		"nothing has come":        {PeerStatus{CatchingUp: true, LagEntries: 7, CatchUpAge: time.Second}, 0, 0, -1},
		"it has just begun":       {PeerStatus{CatchingUp: true, LagEntries: 7}, 0, 0, -1},
		"a quarter":               {PeerStatus{CatchingUp: true, Match: 30, CatchUpFrom: 10, LagEntries: 60, CatchUpAge: 2 * time.Second}, 25, 10, 6 * time.Second},
		"it has all":              {PeerStatus{CatchingUp: true, Match: 30, CatchUpFrom: 10, CatchUpAge: 2 * time.Second}, 100, 10, 0},
		"it had all":              {PeerStatus{CatchingUp: true, Match: 30, CatchUpFrom: 30, CatchUpAge: time.Second}, 100, 0, 0},
		"it went back":            {PeerStatus{CatchingUp: true, Match: 3, CatchUpFrom: 30, LagEntries: 27, CatchUpAge: time.Second}, 0, 0, -1},
		"for ever":                {PeerStatus{CatchingUp: true, Match: 1, LagEntries: 1 << 62, CatchUpAge: time.Hour}, 100.0 / (1 + 1<<62), 1.0 / 3600, 1 << 62},
		"a snapshot":              {PeerStatus{CatchingUp: true, LagEntries: 7, CatchUpAge: time.Second, SnapshotTotalBytes: 9, SnapshotLeft: time.Minute}, 0, 0, time.Minute},
		"a snapshot stands still": {PeerStatus{CatchingUp: true, LagEntries: 7, CatchUpAge: time.Second, SnapshotTotalBytes: 9, SnapshotLeft: -1}, 0, 0, -1},
	} {
		p := test.p
		p.estimate()
		if p.CatchUpPercent != test.percent || p.CatchUpRate != test.rate || p.CatchUpLeft != test.left {
			t.Errorf("%s: %v %%, %v a second, %v left", name, p.CatchUpPercent, p.CatchUpRate, p.CatchUpLeft)
		}
	}
}
