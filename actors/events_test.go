package actors

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network/inproc"
)

// eventLog keeps what a group tells.
type eventLog struct {
	mu  sync.Mutex
	all []Event
}

func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

func (l *eventLog) kinds() []core.NoticeKind {
	l.mu.Lock()
	defer l.mu.Unlock()
	var kinds []core.NoticeKind
	for _, e := range l.all {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (l *eventLog) has(kind core.NoticeKind) bool { return slices.Contains(l.kinds(), kind) }

// TestEventsInOrder forms a cluster of one, makes a snapshot and lets the group
// fail: each listener hears the same, in the order in which it happened.
func TestEventsInOrder(t *testing.T) {
	h := newHost(t, inproc.NewHub(), 1, func(c *GroupConfig) { c.SnapshotEntries = 5 })
	h.start()
	var one, two eventLog
	defer h.group.Events(one.add)()
	cancel := h.group.Events(two.add)
	if err := bootstrap(t, h.group, patience, members(1)...); err != nil {
		t.Fatal(err)
	}
	leaderOf(t, []*host{h})
	cancel()
	heard := len(two.kinds())
	for range 10 {
		call(t, h.group, &Proposal{Data: []byte("a")})
	}
	eventually(t, "a snapshot", func() bool { return one.has(core.NoticeSnapshotBuilt) })
	h.group.fail(errors.New("a test"))
	h.group.fail(errors.New("once more"))
	await(t, h.group.Done(), "the end")
	kinds := one.kinds()
	last := 0
	for _, kind := range []core.NoticeKind{
		core.NoticeConfigurationChanged, core.NoticeElectionStarted, core.NoticeElected, core.NoticeSnapshotBuilt, core.NoticeFailed,
	} {
		i := slices.Index(kinds, kind)
		if i < last {
			t.Errorf("%v is at %d of %v", kind, i, kinds)
		}
		last = i
	}
	if n := len(slices.DeleteFunc(slices.Clone(kinds), func(k core.NoticeKind) bool { return k != core.NoticeFailed })); n != 1 {
		t.Errorf("the failure was reported %d times", n)
	}
	if !slices.Equal(two.kinds(), kinds[:heard]) || heard == 0 {
		t.Errorf("the other listener heard %v, want the beginning of %v and no more", two.kinds(), kinds)
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	for _, e := range one.all {
		if e.Node != 1 || e.Group != 1 || e.At == 0 || !strings.HasPrefix(e.String(), e.Kind.String()) {
			t.Errorf("%+v", e)
		}
	}
	if e := one.all[slices.Index(kinds, core.NoticeFailed)]; !strings.Contains(e.Text, "a test") {
		t.Errorf("the failure is reported as %q", e)
	}
	if e := one.all[slices.Index(kinds, core.NoticeSnapshotBuilt)]; e.Index < 5 {
		t.Errorf("the snapshot is reported as %q", e)
	}
}

// TestEventsOfTransfers asserts that both sides tell of a snapshot that was sent.
func TestEventsOfTransfers(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) {
		calm(c)
		c.SnapshotEntries, c.KeepEntries, c.LogCacheBytesMax = 10, 1, 1
	})
	leader := leaderOf(t, hosts)
	late := others(hosts, leader)[0]
	late.shutdown()
	var sender, receiver eventLog
	defer leader.group.Events(sender.add)()
	for range 40 {
		call(t, leader.group, &Proposal{Data: make([]byte, 100)})
	}
	until(t, leader.group, "a purge", func(s Status) bool { return s.Purged > 5 })
	late.restart()
	defer late.group.Events(receiver.add)()
	eventually(t, "the snapshot's events", func() bool {
		return sender.has(core.NoticeSnapshotSent) && receiver.has(core.NoticeSnapshotInstalled)
	})
}
