package membership

// A store may hold several replicas of one group, one after the other: a node that was
// removed deletes its replica, and is added again. Each has an identity of its own, for
// it has other data (rule 18). The upper bits of an incarnation count them.
const generationShift = 48

// GenerationsMax is how many replicas of a group a store can hold, one after the other,
// beside the first.
const GenerationsMax = 1<<15 - 1

// Replica returns the identity of the replica of a group that follows n others in the
// store of i: i itself for the first.
func (i Identity) Replica(n uint16) Identity {
	i.Incarnation += Incarnation(n) << generationShift
	return i
}

// SameStore reports whether i and o are of one store: the same identity, or those of
// replicas that follow each other in it.
func (i Identity) SameStore(o Identity) bool {
	return i.ID == o.ID && (i.Incarnation^o.Incarnation)<<(64-generationShift) == 0
}

// Store returns what is the same of all identities of one store, and of no others. It is
// for comparing only.
func (i Identity) Store() Identity {
	i.Incarnation &= 1<<generationShift - 1
	return i
}
