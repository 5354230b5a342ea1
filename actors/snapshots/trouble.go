package snapshots

import (
	"fmt"
	"strings"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// trouble is what is known of a peer to which no snapshot gets through, because it
// cannot be stored there or cannot be read here. It is offered again after a pause that
// grows, and told once. The pause is counted from the failure: a snapshot that must be made
// anew after it, because the log has passed what was there, does not wait once more.
type trouble struct {
	failures int
	pause    time.Duration
	until    stage.Instant
}

// The pause in election time-outs: the first is a half, and each is twice the one
// before.
const pauseMax = 16

// grow takes one more failure.
func (t *trouble) grow(now stage.Instant, electionTimeout time.Duration) {
	t.failures++
	t.pause = min(max(2*t.pause, electionTimeout/2), pauseMax*electionTimeout)
	t.until = now + stage.Instant(t.pause)
}

// left is what is left of the pause.
func (t *trouble) left(now stage.Instant) time.Duration { return t.until.Sub(now) }

// Ended takes how a transfer has ended. news says whether that is to be told: a failure
// is while there was none since the last success. text is what else there is to say.
func (j *Jobs) Ended(ev *core.SnapshotSent) (text string, news bool) {
	spared := ""
	if s := j.sender(ev.Peer, ev.Stream); s != nil && s.aside.Load() == nil {
		if p := s.figures.read(s.Env.Now()); p.SparedBytes > 0 {
			spared = fmt.Sprintf("%d of %d bytes were there", p.SparedBytes, p.TotalBytes)
		}
		j.StreamStopped(ev.Peer, ev.Stream)
	}
	t := j.troubles[ev.Peer]
	switch {
	case ev.OK && t == nil:
		return spared, true
	case ev.OK:
		delete(j.troubles, ev.Peer)
		return strings.TrimPrefix(fmt.Sprintf("%s, after %d failures", spared, t.failures), ", "), true
	case ev.Gone:
		return "", false // nothing has failed
	case ev.Reason == "":
		return "", t == nil // the connection broke, or stood still: the stream waits for it
	case t == nil:
		t = &trouble{}
		j.troubles[ev.Peer] = t
	}
	t.grow(j.group.Env.Now(), j.group.ElectionTimeout)
	return ev.Reason, t.failures == 1
}
