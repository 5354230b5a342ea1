// Package simulation runs the actors of a whole cluster on one goroutine, in an
// order that a seed decides.
//
// The actors are the real ones: what they take from outside (clock, timers,
// dispatcher, randomness, network, disk, state machine) is simulated here. The loop
// runs one runnable actor at random; when none is left, virtual time jumps to the
// next event. A seed draws the cluster, its limits and time-outs, the clients and
// the faults: partitions, also one-way, lost connections, delays, crashes that lose
// all that was not yet durable, torn writes, slow, hung and failing disks, paused
// processes, an emptied directory, a stranger that forges messages of every kind, a
// squatter that answers in the place of a member that is down. At the end
// everything heals, and the cluster has to converge and to serve. TestFormings and
// TestLongPromiseComesDown run scenarios of their own.
//
// The checkers see everything at once, as no node can: all disks, all messages,
// all that was applied anywhere. They compare it with a single history, while
// it happens; the first contradiction ends the run. The same seed gives the
// same trace, byte for byte.
package simulation
