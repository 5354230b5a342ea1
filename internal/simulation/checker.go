package simulation

import (
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// checker sees a group on all nodes at once and compares what happens with one
// history.
type checker struct {
	sim   *sim
	group *group

	// stores are those of all directories that ever were, of the lost ones too:
	// what they held was promised.
	stores []*store
	// leaders tells who led a term, and votes whom a voter chose in a term.
	leaders map[core.Term]membership.Identity
	votes   map[vote]membership.Identity
	// promises not to vote for others.
	promises map[membership.Identity]promise
	// told are who was told to campaign in a term (rule 14), and flagged the
	// candidates that asked for votes with the flag.
	told, flagged map[vote]bool
	// entries is every entry that was ever written or sent.
	entries map[core.LogID]entryFacts

	// committed is the highest index known to be committed, by the leader of
	// committedIn; certain are the LogIDs of which that is known without their
	// having been applied yet.
	committed   core.Index
	committedIn core.Term
	certain     map[core.Index]core.LogID
	// advances are all moves of committed, and committedBy is the configuration
	// of the last: a quorum of it held everything up to committed.
	advances    []advance
	committedBy membership.Configuration
	// moves are all moves of committed, with their times.
	moves []move
	// matched is up to where an incarnation has acknowledged the log of a term's
	// leader.
	matched map[vote]core.Index

	// history is what was applied anywhere, from index 1 on.
	history []fact
	works   map[uint64]*work
	// configurations are those that were applied, in order. seen are all that were ever
	// written or sent, and admitted all members of these.
	configurations []core.ConfigurationAt
	seen           map[core.LogID]*configurationFact
	admitted       map[membership.Identity]bool
	// departed is in which term an incarnation was removed last. inherits: what is told
	// was there before the run.
	departed map[membership.Identity]core.Term
	inherits bool

	// cluster is the one that there is, zero before it is begun. granted are all
	// grants that ever stood on a disk (rule 31), held is how long the last may not
	// be replaced, and attempts are those under way, until their grants have run out.
	cluster  core.ClusterID
	granted  map[grant]bool
	held     map[pair]hold
	attempts map[membership.Identity]hold
	// ackKnown is since when a leader knows that a peer has acknowledged.
	ackKnown map[introduction]core.Instant

	elections, restores, snapshots, changesDone int
}

// vote is one incarnation in one term: its vote, or its acknowledgements.
type vote struct {
	voter membership.Identity
	term  core.Term
}

// advance is what was found to be committed by somebody of a term.
type advance struct {
	to core.Index
	in core.Term
}

// move is when an index was known to be committed.
type move struct {
	at    core.Instant
	index core.Index
}

// promise is the lease promise that a heartbeat's answer gave: no vote for
// anybody else in a later term.
type promise struct {
	leader membership.Identity
	term   core.Term
	// by is the life that gave it, at given, for a time on its clock.
	by     *life
	given  core.Instant
	length time.Duration
}

// until is when the promise ends. Its life measures it by its own clock. A later
// life measures its quiet period by another one, and the fastest will do: whoever
// counts on a promise counts with that (rule 12).
func (p *promise) until(voter *life) core.Instant {
	if voter == p.by {
		return p.given.Add(voter.environment.real(p.length))
	}
	return p.given.Add(p.length - p.length*time.Duration(voter.sim.plan.driftPercent)/100)
}

// entryFacts is what one LogID stands for, the same everywhere.
type entryFacts struct {
	content uint64
	before  core.LogID
	time    int64
}

// fact is one applied entry and what came of it.
type fact struct {
	id        core.LogID
	content   uint64
	chain     uint64
	registers [keys]uint64
	result    []byte
	work      *work
}

func newChecker(g *group) *checker {
	return &checker{
		sim: g.sim, group: g, told: map[vote]bool{}, flagged: map[vote]bool{}, leaders: map[core.Term]membership.Identity{}, votes: map[vote]membership.Identity{}, promises: map[membership.Identity]promise{},
		entries: map[core.LogID]entryFacts{}, certain: map[core.Index]core.LogID{}, matched: map[vote]core.Index{}, works: map[uint64]*work{}, granted: map[grant]bool{}, held: map[pair]hold{}, attempts: map[membership.Identity]hold{},
		seen: map[core.LogID]*configurationFact{}, admitted: map[membership.Identity]bool{}, departed: map[membership.Identity]core.Term{},
	}
}

func (c *checker) fail(rule, format string, arguments ...any) {
	c.sim.fail(rule, format, arguments...)
}

// store returns what an incarnation holds of the group, nil if it never was.
func (c *checker) store(id membership.Identity) *store {
	for _, d := range c.stores {
		if d.identity == id {
			return d
		}
	}
	return nil
}

// certainID returns the committed LogID at an index, if it is known.
func (c *checker) certainID(i core.Index) (core.LogID, bool) {
	if i > 0 && int(i) <= len(c.history) {
		return c.history[i-1].id, true
	}
	id, ok := c.certain[i]
	return id, ok
}

// opened takes note of a directory.
func (c *checker) opened(d *store) {
	if c.store(d.identity) == nil {
		c.stores = append(c.stores, d)
	}
}

// began takes note of a new life.
func (c *checker) began(r *replica) {
	r.status.Term = r.store.hard.Term
}
