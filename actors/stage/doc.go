// Package stage is what an actor runs on: a life, turns, an inbox, a clock and
// timers, and calls for which it waits without holding up anybody. It knows
// nothing of what is played on it, and it is the only package that knows
// protoactor, which gives the actors their lives.
//
// # An actor
//
// An actor is a value in which one thing happens at a time, so that what it owns
// needs no lock. It has an Inbox, which anybody may put something into, and
// embeds a Shell, which gives it a turn when something came. This one appends
// lines to a writer:
//
//	type journal struct {
//		stage.Shell
//		inbox stage.Inbox[line]
//		out   io.Writer
//		ended chan struct{}
//
//		round []line // being written
//		err   error  // of the last write
//	}
//
// It is made like this. Nothing happens before somebody puts a line in.
//
//	func startJournal(env stage.Environment, out io.Writer) *journal {
//		j := &journal{out: out, ended: make(chan struct{})}
//		j.Shell = stage.Shell{
//			Env: env, Name: "journal",
//			Next: j.next, Closing: j.closing, Failed: j.failed, Ended: j.end,
//		}
//		j.inbox.Bell = j.Ring
//		j.Start()
//		return j
//	}
//
//	// Append may be called by anybody, and does not block.
//	func (j *journal) Append(l line) {
//		if !j.inbox.Put(l, true) {
//			l.written(errClosed)
//		}
//	}
//
// The first line rings, and the actor gets a turn. In it, it does one step: it
// takes everything that is there and has it written. It does not wait for the
// writer itself, but lets Do carry out the call and settle when that has ended. While
// the call is under way there is no step, and the inbox fills: the queue is the
// batch.
//
//	// next writes whatever piled up while the last lines were being written.
//	func (j *journal) next() bool {
//		if j.round = j.inbox.Take(); len(j.round) > 0 {
//			j.Do(callWrite, j.write, j.settle)
//		}
//		return false // what comes meanwhile rings
//	}
//
// Who has put something in may wait for an answer, so the end takes some care: each
// line is answered by whoever holds it then, once.
//
//	// failed takes an error of the writer, or a panic.
//	func (j *journal) failed(cause error) {
//		j.answer(cause)
//		j.Stop()
//	}
//
//	func (j *journal) closing() {
//		for _, l := range j.inbox.Close() {
//			l.written(errClosed)
//		}
//	}
//
//	// end comes when no write is under way any more. One that was, when the journal
//	// closed, has not been settled.
//	func (j *journal) end() {
//		j.answer(errClosed)
//		close(j.ended)
//	}
//
// The rest stands in the package's example, which runs.
//
// # What holds
//
//   - The functions of a Shell never run two at a time, and each sees what the
//     last one wrote. Only the call of a Do may run beside Closing.
//   - Nothing is lost and nothing comes twice: what Put has accepted is returned
//     by Take, or by Close. Each sender's items come in the order in which it put
//     them. Between two senders there is no order, nor between two inboxes.
//   - After a step an actor queues behind all that have something to do, so that a
//     busy one does not keep others waiting. So a step is short: what takes long is
//     a Do, and waiting for another actor's answer is a state of the actor, never a
//     call that blocks.
//   - Nothing here bounds an inbox. Its senders must: by credits, by windows, or
//     because there is one notice for each request.
//   - An actor that has failed works no more. Nothing is restarted: what it had
//     promised would be forgotten.
//   - An actor ends when somebody has called Stop, and not before the call that is
//     under way has ended. Whoever started it waits for Ended.
//
// To put something in and have it taken costs some 50 ns of processor time, a turn
// of an idle actor that another one calls 0.2 to 0.4 microseconds (the package's
// benchmarks), and neither allocates. An idle actor has no goroutine.
//
// # Where it runs
//
// Whatever an actor does not decide itself comes from an Environment. Production is
// the real one. A simulation brings its own and makes of Schedule, Do, the clock
// and the timers what it wants. If these are deterministic, so are the actors,
// because nothing else in the stage decides anything. An actor that is to be
// simulated takes time, timers and random numbers from nowhere else, and lets the
// order of no map decide. For a test of a single actor there is package stagetest.
package stage
