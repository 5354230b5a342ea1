// Package stage is what an actor runs on: start and end, turns, an inbox, a
// clock and timers, and calls for which the actor waits without holding up
// anybody. It knows nothing of Raft. It is the only package that uses
// protoactor, which starts, runs and stops the actors.
//
// # An actor
//
// An actor is a value in which one thing happens at a time, so that what it
// owns needs no lock. It has an Inbox, into which anybody may put something. It
// embeds a Shell, which gives the actor a turn when something has come. This
// actor appends lines to a writer:
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
// This function makes it. Nothing happens before somebody puts a line in.
//
//	func startJournal(env stage.Environment, out io.Writer) *journal {
//		j := &journal{out: out, ended: make(chan struct{})}
//		j.Shell = stage.Shell{
//			Env: env, Name: "journal",
//			Next: j.next, Closing: j.closing, Failed: j.failed, Ended: j.end,
//		}
//		j.inbox.Wake = j.Wake
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
// The first line wakes the actor, and it gets a turn. In a turn it does one step:
// it takes everything that is there and has it written. The actor itself does
// not wait for the writer. Do carries out the call, and calls settle when the
// call has ended. While the call is under way there is no step, and the inbox
// fills: the queue is the batch.
//
//	// next writes whatever piled up while the last lines were being written.
//	func (j *journal) next() bool {
//		if j.round = j.inbox.Take(); len(j.round) > 0 {
//			j.Do(callWrite, j.write, j.settle)
//		}
//		return false // what comes meanwhile wakes it
//	}
//
// Whoever has put something in may wait for an answer. So the end takes some
// care: each line is answered once, by whoever holds it at that moment.
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
// The rest is in the package's example, which runs.
//
// # What holds
//
//   - The functions of a Shell never run two at a time, and each sees what the
//     last one wrote. Only the call of a Do may run beside Closing.
//   - Nothing is lost and nothing comes twice: Take or Close returns what Put
//     has accepted. Each sender's items come in the order in which it put them.
//     There is no order between two senders, nor between two inboxes.
//   - After a step an actor queues behind all others that have something to do,
//     so that a busy actor does not keep them waiting. So keep a step short:
//     use Do for what takes long. An actor that waits for another actor's
//     answer keeps that as its state, and never makes a call that blocks.
//   - Nothing here bounds an inbox. Its senders must bound it: by admission, by
//     windows, or because there is one notice for each request.
//   - An actor that has failed takes no more steps. Nothing is restarted,
//     because a restarted actor would have forgotten what it promised.
//   - An actor ends when somebody has called Stop and the call that is under
//     way has ended. Whoever started the actor waits for Ended.
//
// To put an item in and have it taken costs some 50 ns of processor time. A
// turn of an idle actor that another one wakes costs 0.2 to 0.4 microseconds.
// Neither allocates. The package's benchmarks measure both. An idle actor has
// no goroutine.
//
// # Who waits for an actor
//
// A goroutine that wants an actor's answer waits for an Answer. An actor that
// answers many at once, as one does that works in batches, gives them with
// Answers: they wake each other, which costs the actor less and brings them back
// sooner where other goroutines compute.
//
// # Where it runs
//
// Everything that an actor does not decide itself comes from an Environment.
// Production is the real one. A simulation brings its own, with its own
// Schedule, Do, clock and timers. If these are deterministic, so are the
// actors, because nothing else in the stage decides anything. An actor that is
// to be simulated must take time, timers and random numbers from nowhere else,
// and must not depend on the order of a map. To test a single actor, use
// package stagetest.
package stage
