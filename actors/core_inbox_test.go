package actors

import (
	"testing"

	"github.com/trouperaft/troupe/core"
)

// TestCoreInboxNotices: notices keep the newest only, and wake the core where
// somebody waits for them; what came before does so as soon as somebody waits.
func TestCoreInboxNotices(t *testing.T) {
	wakeUps := 0
	b := &coreInbox{}
	b.Wake = func() { wakeUps++ }
	applied := func(i core.Index) core.LogID { return core.LogID{Term: 1, Index: i} }
	watched := true
	steps := []struct {
		name    string
		do      func()
		wakeUps int
	}{
		{"nobody waits for a flush", func() { b.noteFlushed(1) }, 0},
		{"or for what is applied", func() { b.noteApplied(applied(1)) }, 0},
		{"or for a match that is committed", func() { b.noteMatched(false) }, 0},
		{"the core waits: what came before wakes it", func() { b.attend(attention{flush: true}) }, 1},
		{"it was woken", func() { b.noteFlushed(2) }, 1},
		{"and an item joins", func() { b.Put("item", true) }, 1},
		{"everything is taken", func() {
			items, notices, urgent := b.takeAll()
			if len(items) != 1 || !urgent || notices != (coreNotices{flushed: 2, applied: applied(1), matched: true}) {
				t.Errorf("taken %v and %+v, urgent: %v", items, notices, urgent)
			}
			if items, notices, urgent = b.takeAll(); len(items) != 0 || urgent || notices != (coreNotices{}) {
				t.Errorf("taken twice: %v and %+v", items, notices)
			}
		}, 1},
		{"the core still waits", func() { b.noteFlushed(3) }, 2},
		{"it waits no more", func() { b.takeAll(); b.attend(attention{}); b.noteFlushed(4) }, 2},
		{"a watcher comes without notices", func() { b.takeAll(); b.attendWatchers(func() bool { return watched }) }, 2},
		{"a notice for it", func() { b.noteApplied(applied(5)) }, 3},
		{"every kind is", func() { b.takeAll(); b.noteMatched(false) }, 4},
		{"it goes", func() { b.takeAll(); watched = false; b.attendWatchers(func() bool { return watched }) }, 4},
		{"nobody is there for the notice", func() { b.noteApplied(applied(6)) }, 4},
		{"another comes after it", func() { watched = true; b.attendWatchers(func() bool { return watched }) }, 5},
		{"and goes", func() { b.takeAll(); watched = false; b.attendWatchers(func() bool { return watched }) }, 5},
		{"a match that counts", func() { b.noteMatched(true) }, 6},
		{"a match that does not, before the core waits for it", func() { b.takeAll(); b.noteMatched(false) }, 6},
		{"the core waits for it", func() { b.attend(attention{matches: true}) }, 7},
		{"and for the next", func() { b.takeAll(); b.noteMatched(false) }, 8},
		{"it waits no more", func() { b.takeAll(); b.attend(attention{}); b.noteMatched(false) }, 8},
		{"something is applied, before the application waits for it", func() { b.takeAll(); b.noteApplied(applied(7)) }, 8},
		{"the application waits for it", func() { b.attend(attention{applied: true}) }, 9},
		{"a closed inbox wakes nobody", func() {
			b.takeAll()
			b.Close()
			b.attend(attention{flush: true, matches: true, applied: true})
			b.noteFlushed(9)
			b.noteMatched(true)
		}, 9},
	}
	for _, s := range steps {
		if s.do(); wakeUps != s.wakeUps {
			t.Fatalf("%s: %d wake-ups, want %d", s.name, wakeUps, s.wakeUps)
		}
	}
}

// TestWhoRingsWhen lists the rule case by case.
func TestWhoRingsWhen(t *testing.T) {
	flushed, applied := coreNotices{flushed: 1}, coreNotices{applied: core.LogID{Term: 1, Index: 1}}
	matched, counts := coreNotices{matched: true}, coreNotices{matched: true, counts: true}
	all := coreNotices{flushed: 1, applied: applied.applied, matched: true, counts: true}
	for _, c := range []struct {
		notices coreNotices
		// Nobody attends, to flushes, to matches, to what is applied, to the status, to all.
		nobody, flush, matches, applied, status, all bool
	}{
		{coreNotices{}, false, false, false, false, false, false},
		{flushed, false, true, false, false, true, true},
		{applied, false, false, false, true, true, true},
		{matched, false, false, true, false, true, true},
		{counts, true, true, true, true, true, true},
		{all, true, true, true, true, true, true},
	} {
		for a, want := range map[attention]bool{
			{}: c.nobody, {flush: true}: c.flush, {matches: true}: c.matches, {applied: true}: c.applied, {status: true}: c.status, {true, true, true, true}: c.all,
		} {
			if got := a.wakes(&c.notices); got != want {
				t.Errorf("%+v, attending to %+v: wakes it %v, want %v", c.notices, a, got, want)
			}
		}
	}
}
