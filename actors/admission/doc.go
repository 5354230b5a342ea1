// Package admission bounds what is under way, before it enters any queue.
//
// Queues that block deadlock, and queues that drop lose what was promised. So whoever
// hands something over first takes room for it, and whoever answers it returns the
// room. Between the two it may pass through any number of queues, none of which needs
// a bound of its own. The package knows nothing of what is admitted, and of no actor.
//
// A Room counts entries and bytes. A group's stands under its node's, and room is taken
// in both or in none. What is to be admitted has a Request in it:
//
//	type job struct {
//		room admission.Request[*job]
//		// ...
//	}
//
//	node := admission.New[*job](admission.Limits{EntriesMax: 1000}, nil, nil)
//	group := admission.New(admission.Limits{EntriesMax: 100, BytesMax: 1 << 20}, node, start)
//	switch group.Acquire(&j.room, j, len(j.data), true) {
//	case admission.Granted:
//		start(j)
//	case admission.Queued: // start is called with j later
//	}
//	// ... when j is answered:
//	group.Release(1, j.room.Bytes())
//
// Those who wait in one group are served in the order in which they came. Groups take
// turns at the node's room: each turn is for one request, however many wait in its
// group. A turn that finds too little room is kept until there is enough, so that a
// large request is not passed over for ever by small ones of other groups.
//
// Nothing here blocks, and everything may be called from any goroutine.
package admission
