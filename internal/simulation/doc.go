// Package simulation runs the actors of a whole cluster on one goroutine, in an
// order that a seed decides.
//
// The actors are the real ones. What they take from outside is simulated here:
// clock, timers, dispatcher, randomness, network, disk, state machine. The loop runs
// one runnable actor at random. When none is left, virtual time jumps to the next
// event. A seed draws the cluster and its groups, how each of them begins, limits
// and time-outs, the clients and the faults:
//
//   - partitions, also one-way, lost, stalled and slow connections;
//   - crashes that lose all that was not yet durable, and torn batches;
//   - slow, hung and failing disks, processes and groups that stop or stand still,
//     nodes that move, an emptied directory;
//   - an operator that transfers the leadership, lets nodes campaign, pauses their
//     elections, and stops them after they have handed over; members of different
//     priorities;
//   - somebody who has snapshots made and logs purged, and follows logs; snapshots that are
//     lost or rot;
//   - somebody who changes the members, with all this going on, in two clusters of five:
//     adds, promotes, demotes, removes and replaces, cancels, and asks again;
//   - a stranger that forges messages of every kind, and a squatter that answers in
//     the place of a member that is down.
//
// Clients read in every mode. In half of the groups the leader runs a job
// (Config.OnLeading), which may return by itself, late, or after several elections. The
// clocks of a third of the clusters differ by up to the bound on drift, and in a third the
// wall clocks jump, by seconds or by years.
//
// Each seed switches a random half of the faults off, and about half of the seeds have
// a theme: things that a rare situation needs together. At the end all faults are
// repaired, and the cluster has to converge and to serve. TestFormings,
// TestLongPromiseComesDown, TestDriftBeyondTheBound, TestLeadingBeyondTheBound and
// TestSickNodeIsAhead run scenarios of their own.
//
// The checkers see everything at once, as no node can: all disks, all messages, and
// all that was applied anywhere. While the run goes on, they compare it with a
// single history, and the first contradiction ends it. The same seed gives the same
// trace, byte for byte.
//
// A witness on each engine counts situations in which some rule decides. The seeds
// that always run have to meet all of them: situations.go is the list.
package simulation
