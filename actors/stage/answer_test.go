package stage

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnswerIsGivenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAnswer()
		for round := range 3 { // it is as new after each
			a.Give()
			if !a.Await(nil) {
				t.Fatalf("round %d: an answer that was given is not there", round)
			}
			done := make(chan struct{})
			close(done)
			if a.Await(done) {
				t.Fatalf("round %d: the answer came twice", round)
			}
			a.Give() // between two waits
			if !a.Await(done) && !a.Await(nil) {
				t.Fatalf("round %d: an answer between two waits is lost", round)
			}
			got := make(chan bool)
			go func() { got <- a.Await(nil) }()
			synctest.Wait()
			a.Give()
			if !<-got {
				t.Fatalf("round %d: who waits is not answered", round)
			}
		}
	})
}

func TestAnswerThatIsLeft(t *testing.T) {
	done := make(chan struct{})
	close(done)
	late := NewAnswer()
	if late.Await(done); !late.Leave() {
		t.Error("an answer that was not given cannot be left")
	}
	late.Give() // blocks nobody

	early := NewAnswer()
	early.Await(done)
	early.Give()
	if early.Leave() {
		t.Error("an answer that was given is left")
	}
	early.Give()
	if !early.Await(nil) {
		t.Error("an answer that could not be left is not as new")
	}
}

// TestAnswersReachAll: those who wait, those who come late, and those behind somebody
// who has left.
func TestAnswersReachAll(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, chainMax, 5*chainMax + 3} {
		synctest.Test(t, func(t *testing.T) {
			var s Answers
			var answered atomic.Int32
			var late []*Answer
			left := int32(0)
			gone := make(chan struct{})
			for i := range n {
				a := NewAnswer()
				switch rand.IntN(3) {
				case 0:
					go func() {
						a.Await(nil)
						answered.Add(1)
					}()
				case 1:
					late = append(late, a)
				default:
					left++
					go func() {
						if a.Await(gone) || !a.Leave() {
							t.Errorf("answer %d came early", i)
						}
					}()
				}
				s.Add(a)
			}
			synctest.Wait()
			close(gone)
			synctest.Wait()
			s.Give()
			for _, a := range late {
				a.Await(nil)
			}
			if synctest.Wait(); answered.Load()+int32(len(late))+left != int32(n) {
				t.Errorf("%d answers: %d were waited for and came, %d came before the wait, %d were left", n, answered.Load(), len(late), left)
			}
		})
	}
}

// TestAnswersWhileWaitersComeAndGo: an actor answers rounds of clients who lose
// patience at any moment, and come again with the same answer if they have got it.
func TestAnswersWhileWaitersComeAndGo(t *testing.T) {
	const clients, rounds = 64, 300
	asked := make(chan *Answer, clients)
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			a := NewAnswer()
			for range rounds {
				asked <- a
				done := make(chan struct{})
				patience := time.AfterFunc(time.Duration(rand.IntN(50))*time.Microsecond, func() { close(done) })
				answered := a.Await(done)
				if answered = answered || a.Await(done); !answered && a.Leave() {
					a = NewAnswer()
				}
				patience.Stop()
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	var s Answers
	deadline := time.After(time.Minute)
	for {
		select {
		case a := <-asked:
			s.Add(a)
			for range len(asked) {
				s.Add(<-asked)
			}
			s.Give()
		case <-ended:
			return
		case <-deadline:
			t.Fatal("somebody waits for an answer that was given")
		}
	}
}
