package troupe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/claim"
	"github.com/trouperaft/troupe/internal/replica"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// RecoverConfig says what [Recover] is to recover. The zero value of a field that is not
// required stands for its default.
type RecoverConfig struct {
	// Log is the survivor's log store. No node may use it, in this process or in another.
	// For a DryRun it may be open for inspection only. Required. Whoever opened it closes
	// it.
	Log LogStore
	// Snapshots is the survivor's snapshot store. Required.
	Snapshots SnapshotStore
	// Network reaches the other members, to ask whether they are alive. It must not be
	// started yet; Recover starts it, and closes it. Required unless Force is set.
	Network Network
	// Groups are the groups that are recovered. Default: all of the log store, which must
	// be a storage.GroupLister then.
	Groups []GroupID
	// Address is where the survivor is reached from now on. Default: where the last
	// configuration has it.
	Address string
	// AskLimit is for how long the other members are waited for. Default 5 s.
	AskLimit time.Duration
	// Force recovers although another member answers, or although this node was removed.
	// Then there may be two clusters that go on from the same data.
	Force bool
	// DryRun writes nothing, and only tells what would be done.
	DryRun bool
}

// GroupRecovery is what a recovery does, or has done, to one group.
type GroupRecovery struct {
	Group GroupID
	// Self is the survivor, and Address where it is reached from now on.
	Self    Identity
	Address string
	// Before is the cluster that is left, and Cluster the one that takes its place. Whoever
	// pins the cluster in Config.Cluster needs the new id: ClusterID.Secret.
	Before, Cluster ClusterID
	// Term, Last, LastTime and Committed are what the survivor holds: its term, the last
	// entry of its log, when that was proposed, and the last index that it knows to be
	// committed. What others acknowledged after Last is lost. What lies between Committed
	// and Last may never have been acknowledged, and appears.
	Term      Term
	Last      LogID
	LastTime  time.Time
	Committed Index
	// NewTerm is the term from which the new cluster begins.
	NewTerm Term
	// Members is the last configuration that the survivor knows.
	Members Configuration
	// Others are the other members, and what became of asking them.
	Others []RecoverPeer
	// Alone: the survivor decides alone in this group already. Nothing is recovered.
	Alone bool
	// Done: the group is recovered, and on the disk.
	Done bool
}

// MayAppear is how many entries may appear that nobody was told about.
func (g *GroupRecovery) MayAppear() uint64 { return uint64(g.Last.Index - g.Committed) }

// RecoverPeer is another member of a group that is recovered.
type RecoverPeer struct {
	Member
	// Voter: it votes in the last configuration.
	Voter bool
	// Alive: a process answers under its id that may hold what the group has decided.
	Alive bool
	// Said is what is known of it, for people.
	Said string
}

// RecoverError: a group is not recovered. Nothing was written for it.
type RecoverError struct {
	Group GroupID
	// Node is the member that stands in the way, 0 if none does.
	Node NodeID
	// Reason says what stands in the way, for people.
	Reason string
	// Cause is why it is so, nil if there is no other error.
	Cause error
}

// Error implements error.
func (e *RecoverError) Error() string {
	text := fmt.Sprintf("troupe: group %d is not recovered: ", e.Group)
	if e.Node != 0 {
		text += fmt.Sprintf("node %d ", e.Node)
	}
	text += e.Reason
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *RecoverError) Unwrap() error { return e.Cause }

// Recover makes a node the only voter of its groups, after so many members were lost for
// good that the others have no quorum. It is the last resort: what this node lacks is
// lost. It works on the stores of a node that does not run, and takes the log store as a
// node does. It asks all other members first, and refuses if one of them answers.
//
// Each recovered group is another cluster, with an id of its own. The term rises by 2^20.
// Its members are this node alone; add others with [Add], once they run with empty
// directories. Members of the cluster before are refused, even if they come back with a
// quorum: they report an EventLeftBehind. Nothing stops them among themselves, so wipe
// them.
//
// After a crash, and after an error, each group is recovered as a whole or not at all.
// Recover may be repeated: groups that are recovered are Alone, and are left as they
// are. What is returned with an error says which those are. A group that holds no data
// is passed over unless it was asked for; if it was, the error is a *RecoverError.
func Recover(ctx context.Context, config RecoverConfig) ([]GroupRecovery, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	orDefault(&config.AskLimit, 5*time.Second)
	if config.Network != nil {
		defer func() { _ = config.Network.Close() }() // where it was not used; ask tells its errors
	}
	header := config.Log.Header()
	release, err := claim.Take(config.Log, func() error { return &StillRunningError{Node: header.Node, Call: "recover", Since: time.Now()} })
	if err != nil {
		return nil, err
	}
	defer release()
	r := &recovery{config: config, self: Identity{ID: header.Node, Incarnation: header.Incarnation}}
	if err := r.plan(ctx); err != nil {
		return r.told(), err
	}
	if err := r.ask(ctx); err != nil {
		return r.told(), err
	}
	if err := r.allowed(); err != nil || config.DryRun {
		return r.told(), err
	}
	for i := range r.groups {
		if err := r.carryOut(ctx, &r.groups[i]); err != nil {
			return r.told(), err
		}
	}
	return r.told(), nil
}

func (c *RecoverConfig) validate() error {
	field, rule := "", "is missing"
	switch {
	case c.Log == nil:
		field = "Log"
	case c.Snapshots == nil:
		field = "Snapshots"
	case c.Network == nil && !c.Force:
		field, rule = "Network", "is missing: without it nobody is asked, which needs Force"
	case c.AskLimit < 0:
		field, rule = "AskLimit", fmt.Sprintf("%v is negative", c.AskLimit)
	case c.Address != "" && undialable(c.Address):
		field, rule = "Address", fmt.Sprintf("%q is where nobody can be reached", c.Address)
	case len(c.Address) > membership.AddressBytesMax:
		field, rule = "Address", fmt.Sprintf("has %d bytes, at most %d", len(c.Address), membership.AddressBytesMax)
	default:
		return nil
	}
	return &ConfigError{Field: "RecoverConfig." + field, Rule: rule}
}

// recovery is one call of Recover.
type recovery struct {
	config RecoverConfig
	self   Identity
	groups []groupRecovery
}

type groupRecovery struct {
	told GroupRecovery
	// key is the one under which the stores have the group.
	key      GroupID
	plan     *core.Recovery
	snapshot core.SnapshotMeta
	// record is zero if there is none.
	record core.SnapshotMeta
	// former: the newest snapshot bears the id of the cluster before, which is left
	// already. formerRecord: the record does.
	former, formerRecord bool
}

func (r *recovery) told() []GroupRecovery {
	told := make([]GroupRecovery, len(r.groups))
	for i := range r.groups {
		told[i] = r.groups[i].told
	}
	return told
}

// plan finds out what is to be done.
func (r *recovery) plan(ctx context.Context) error {
	groups := r.config.Groups
	if len(groups) == 0 {
		lister, ok := r.config.Log.(storage.GroupLister)
		if !ok {
			return &ConfigError{Field: "RecoverConfig.Groups", Rule: "is empty, and the log store does not tell its groups"}
		}
		var err error
		if groups, err = lister.Groups(ctx); err != nil {
			return fmt.Errorf("troupe: the groups cannot be listed: %w", err)
		}
		for i := range groups {
			groups[i] = replica.GroupOf(groups[i])
		}
		slices.Sort(groups)
		groups = slices.Compact(groups)
	}
	for _, id := range groups {
		g, err := r.planGroup(ctx, id)
		switch {
		case errors.Is(err, core.ErrNoCluster) && len(r.config.Groups) == 0:
		case errors.Is(err, core.ErrNoCluster):
			return &RecoverError{Group: id, Reason: "it holds no data here", Cause: err}
		case err != nil:
			return &RecoverError{Group: id, Reason: "its data cannot be used", Cause: err}
		default:
			r.groups = append(r.groups, g)
		}
	}
	if len(r.groups) == 0 {
		return &RecoverError{Reason: "the store holds no group", Cause: core.ErrNoCluster}
	}
	return nil
}

func (r *recovery) planGroup(ctx context.Context, id GroupID) (g groupRecovery, err error) {
	stored, generation, err := replica.Load(ctx, r.config.Log, id)
	if err != nil {
		return g, err
	}
	g.key = replica.Key(id, generation)
	self := r.self.Replica(generation)
	g.snapshot, err = r.config.Snapshots.Newest(ctx, g.key)
	if errors.Is(err, core.ErrCorrupt) { // whether it is missed the log decides, as at a start
		g.snapshot, err = core.SnapshotMeta{}, nil
	}
	if err != nil {
		return g, err
	}
	if store, records := r.config.Snapshots.(storage.Recorder); records {
		g.record, err = store.Recorded(ctx, g.key)
		if errors.Is(err, core.ErrCorrupt) {
			g.record, err = core.SnapshotMeta{}, nil
		}
		if err != nil {
			return g, err
		}
	}
	state := core.State{
		HardState: stored.HardState, Commit: stored.Commit, Purged: stored.Purged, Last: stored.Last, LastTime: stored.LastTime,
		Terms: stored.Terms, Configurations: stored.Configurations, Snapshot: g.snapshot, Record: g.record,
	}
	p, err := core.PlanRecovery(state, self, r.config.Address, drawCluster(), time.Now().UnixNano())
	if err != nil {
		return g, err
	}
	g.plan = p
	last := &p.Configuration.Configuration
	g.former = g.snapshot.Cluster != p.Before && core.FormerSnapshot(&g.snapshot, last)
	g.formerRecord = g.record.Cluster != p.Before && core.FormerSnapshot(&g.record, last)
	g.told = GroupRecovery{
		Group: id, Self: self, Before: p.Before, Term: p.Term, Last: p.Last, LastTime: time.Unix(0, p.LastTime), Committed: p.Commit,
		Members: last.Clone(), Alone: p.Alone,
	}
	if m, member := last.Member(self); member {
		g.told.Address = m.Address
	}
	if p.Alone {
		return g, nil
	}
	g.told.Cluster, g.told.NewTerm = p.HardState.Cluster, p.HardState.Term
	if r.config.Address != "" {
		g.told.Address = r.config.Address
	}
	for _, m := range last.Members {
		if m.Identity != self {
			g.told.Others = append(g.told.Others, RecoverPeer{Member: m, Voter: last.IsVoter(m.Identity), Said: "it was not asked"})
		}
	}
	return g, nil
}

// drawCluster returns the id of a new cluster (rule 27).
func drawCluster() (c ClusterID) {
	_, _ = rand.Read(c[:]) // it never fails
	return c
}

// allowed says what stands in the way, nil if nothing does or Force is set.
func (r *recovery) allowed() error {
	if r.config.Force {
		return nil
	}
	for i := range r.groups {
		g := &r.groups[i].told
		if _, member := g.Members.Member(g.Self); !member {
			return &RecoverError{Group: g.Group, Reason: fmt.Sprintf("this node is no member of it: %v", g.Members), Cause: core.ErrRemoved}
		}
		for _, p := range g.Others {
			if p.Alive {
				return &RecoverError{Group: g.Group, Node: p.ID, Reason: "is alive: " + p.Said}
			}
		}
	}
	return nil
}
