package stage_test

import (
	"testing"

	"github.com/trouperaft/troupe/actors/stage"
)

// player passes what it takes on.
type player struct {
	stage.Shell
	inbox stage.Inbox[int]
	pass  func(int)
	ended chan struct{}
}

func startPlayer(t testing.TB) *player {
	p := &player{ended: make(chan struct{})}
	p.Shell = stage.Shell{
		Env: stage.Production(), Name: "player",
		Next: p.next, Closing: func() { p.inbox.Close() }, Failed: func(err error) { t.Error(err) }, Ended: func() { close(p.ended) },
	}
	p.inbox.Wake = p.Wake
	p.Start()
	t.Cleanup(func() {
		p.Stop()
		<-p.ended
	})
	return p
}

func (p *player) next() bool {
	for _, n := range p.inbox.Take() {
		p.pass(n)
	}
	return false
}

// BenchmarkHop is a turn of an idle actor that another one has called.
func BenchmarkHop(b *testing.B) {
	one, other, done := startPlayer(b), startPlayer(b), make(chan struct{})
	one.pass = func(n int) { other.inbox.Put(n, true) }
	other.pass = func(n int) {
		if n <= 0 {
			close(done)
			return
		}
		one.inbox.Put(n-2, true)
	}
	b.ReportAllocs()
	b.ResetTimer()
	one.inbox.Put(b.N, true)
	<-done
}

// BenchmarkItem is one item of a burst that is put and taken.
func BenchmarkItem(b *testing.B) {
	p := startPlayer(b)
	left, done := b.N, make(chan struct{})
	p.pass = func(int) {
		if left--; left == 0 {
			close(done)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		p.inbox.Put(i, true)
	}
	<-done
}

// BenchmarkNote is a note that wakes nobody.
func BenchmarkNote(b *testing.B) {
	box, newest := stage.Inbox[int]{}, 0
	b.ReportAllocs()
	for i := range b.N {
		box.Note(func() bool {
			newest = i
			return newest < 0
		})
	}
}
