package stage

import "sync/atomic"

// Answer is where a goroutine, which is no actor, waits for what an actor has to
// tell it. It carries no value: whoever gives it writes the value elsewhere before.
// It is given once for each wait, by Give or by Answers, and is then as new. One
// goroutine at a time waits. No method allocates.
type Answer struct {
	state atomic.Uint32
	token chan struct{}
	// next is who is to be told after this one: see Answers.
	next *Answer
}

// States of an Answer.
const (
	answerOpen   uint32 = iota // nobody waits yet
	answerWaited               // somebody waits for the token
	answerSent                 // who waited has the token, and tells the next
	answerGiven                // it was given before anybody waited: no token
	answerLeft                 // nobody will ever wait
)

// NewAnswer returns one that has not been given.
func NewAnswer() *Answer { return &Answer{token: make(chan struct{}, 1)} }

// Await returns true when the answer has been given, and false if done was closed
// before that. Then the caller either waits again or calls Leave. Without done it
// waits for good.
func (a *Answer) Await(done <-chan struct{}) bool {
	if !a.state.CompareAndSwap(answerOpen, answerWaited) && a.state.CompareAndSwap(answerGiven, answerOpen) {
		return true
	}
	if done == nil {
		<-a.token // without the price of a select
	} else {
		select {
		case <-a.token:
		case <-done:
			return false
		}
	}
	a.taken()
	return true
}

// Leave says, after an Await in vain, that nobody waits any more; the answer is then not
// used again. It reports false if it has been given meanwhile, and is as new.
func (a *Answer) Leave() bool {
	if a.state.CompareAndSwap(answerWaited, answerLeft) {
		return true
	}
	<-a.token
	a.taken()
	return false
}

// taken is called by whoever has taken the token.
func (a *Answer) taken() {
	next := a.next
	a.next = nil
	a.state.Store(answerOpen)
	giveAll(next)
}

// Give gives the answer. Anybody may call it, once for each wait; it does not block.
func (a *Answer) Give() { giveAll(a) }

// giveAll gives the answers of a chain: up to the first for which somebody waits,
// who then gives those behind it.
func giveAll(a *Answer) {
	for a != nil {
		next := a.next
		if a.state.Load() == answerOpen {
			a.next = nil // once it is given it belongs to its waiter
			if a.state.CompareAndSwap(answerOpen, answerGiven) {
				a = next
				continue
			}
			a.next = next
		}
		if a.state.CompareAndSwap(answerWaited, answerSent) {
			a.token <- struct{}{}
			return
		}
		a = next // its waiter has left
	}
}

// Answers gives many answers at once. It wakes as many goroutines as there are
// processors, and each wakes the next before it goes its way. So the actor is done
// sooner; and those who wait are not queued all at once: where others compute, Go
// lets one of them, for ten milliseconds, between any sixty that are queued, but
// who was woken by one that then waits again follows at once.
//
// Only its actor uses it.
type Answers struct{ list []*Answer }

// chainMax is how many are woken one after the other at most.
const chainMax = 64

// Add adds an answer that is to be given.
func (s *Answers) Add(a *Answer) { s.list = append(s.list, a) }

// Give gives them all. They belong to their waiters then.
func (s *Answers) Give() {
	n := len(s.list)
	chains := min(n, max(processors(), (n+chainMax-1)/chainMax))
	for i := n - 1 - chains; i >= 0; i-- {
		s.list[i].next = s.list[i+chains]
	}
	for _, first := range s.list[:chains] {
		giveAll(first)
	}
	clear(s.list)
	s.list = s.list[:0]
}
