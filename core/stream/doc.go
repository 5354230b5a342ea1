// Package stream is the leader's side of the replication to one follower, as a pure state
// machine: what to send next, and what the answers mean (Raft 5.3; dissertation 10.2).
//
// The engine says only that a stream is to begin, by a [core.StartStream], and how far
// the log reaches. From there a [Stream] finds out where the logs agree, sends ahead of
// the answers, goes back when a connection breaks, and says when the follower needs a
// snapshot. Like the engine it has no goroutine, clock, channel or I/O. Step takes one
// [Event] and fills in an [Output]. The caller carries that out, and answers at once where
// it is answered: a read of the log, and the sending of a message.
//
//	s := stream.New(cfg)
//	for ev := next(); ev != nil; {
//		s.Step(now(), ev, &out)
//		ev = nil
//		switch {
//		case out.Send != nil:
//			ev = &stream.Sent{OK: send(out.Send)}
//		case out.Want:
//			ev = read(out.First, out.Last, out.BytesMax) // a *stream.Read
//		}
//	}
//
// The engine knows nothing of streams but their ids, and a stream nothing of the engine.
// What a stream has learned goes back to the engine as events: core.Matched,
// core.SnapshotNeeded, core.LostData and core.HigherTerm.
package stream
