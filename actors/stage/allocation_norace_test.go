//go:build !race

package stage_test

import (
	"testing"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/actors/stage/stagetest"
)

// TestTurnsAllocateNothing asserts that items, notes, turns and calls cost no
// memory once an actor is under way.
func TestTurnsAllocateNothing(t *testing.T) {
	s := &stage.Shell{Env: stage.Production(), Closing: func() {}, Failed: func(err error) { t.Error(err) }}
	box, newest, turns, ended := stage.Inbox[int]{Wake: s.Wake}, 0, make(chan struct{}, 1), make(chan struct{})
	var items []int
	call, settle := func() {}, func() { turns <- struct{}{} }
	s.Next = func() bool {
		items = box.TakeNoted(func(bool) int { return newest })
		if len(items) > 0 {
			s.Do(1, call, settle)
		}
		return false
	}
	s.Ended = func() { close(ended) }
	s.Start()
	turn := func() {
		box.Note(func() bool {
			newest++
			return false
		})
		box.Leave(1)
		box.Put(2, false)
		<-turns
	}
	for range 100 {
		turn()
	}
	if n := testing.AllocsPerRun(1000, turn); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
	s.Stop()
	<-ended
}

// TestLivesAllocateLittle holds what the documentation says of a life.
func TestLivesAllocateLittle(t *testing.T) {
	env := stagetest.NewHand()
	live := func() {
		s := &stage.Shell{Env: env, Next: func() bool { return false }, Closing: func() {}, Ended: func() {}}
		s.Start()
		s.Stop()
		env.Settle()
	}
	if n := testing.AllocsPerRun(100, live); n > 30 {
		t.Errorf("%v allocations a life", n)
	}
}
