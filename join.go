package troupe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// JoinRequest is what a node says of itself that is to become a member: [Raft.Join] makes
// it, the application carries it to a member, over HTTP for instance, and [Raft.Admit]
// takes it there. It is plain data and holds no secret.
type JoinRequest struct {
	// Node and Incarnation are who asks.
	Node        NodeID
	Incarnation Incarnation
	// Address is where the members' networks reach it.
	Address string
	// Cluster is the cluster to which it belongs, or may belong, as ClusterID prints; ""
	// if any will do.
	Cluster string
	// Learner: it is not to vote. Standby: it is a learner that may take the place of a
	// voter that is lost ([Autopilot]).
	Learner, Standby bool
}

// JoinConfig says how [Raft.Join] asks. Only Ask must be set.
type JoinConfig struct {
	// Ask carries a request to a member, lets that member Admit it, and returns what it
	// answered: nil if the node is a member, or on its way to be one. An answer of
	// *ChangeError should arrive as one, by its Reason: some are final. It is called by
	// Join itself, by one goroutine, and should end with its context.
	Ask func(ctx context.Context, request JoinRequest) error
	// Address is where the members reach this node. Default: what the network says,
	// [Node.Address].
	Address string
	// Learner: this node gets all entries, and is not to vote. Standby: neither, but it may
	// take the place of a voter that is lost ([Autopilot]).
	Learner, Standby bool
	// Rejoin: ask once in any case, and also if this node was removed. Otherwise only
	// somebody else can add it again.
	Rejoin bool
	// RetryMin and RetryMax bound the time between two requests, which doubles. Defaults
	// 500 ms and 30 s.
	RetryMin, RetryMax time.Duration
}

func (c *JoinConfig) complete(r *Raft) error {
	if c.Address == "" {
		c.Address = r.Node().Address()
	}
	c.Learner = c.Learner || c.Standby
	orDefault(&c.RetryMin, 500*time.Millisecond)
	orDefault(&c.RetryMax, max(30*time.Second, c.RetryMin))
	switch {
	case c.Ask == nil:
		return &ConfigError{Field: "JoinConfig.Ask", Rule: "is missing"}
	case c.RetryMin < 0 || c.RetryMax < c.RetryMin:
		return &ConfigError{Field: "JoinConfig.RetryMin", Rule: fmt.Sprintf("%v and RetryMax %v are no range", c.RetryMin, c.RetryMax)}
	case undialable(c.Address) || len(c.Address) > membership.AddressBytesMax:
		return &ConfigError{Field: "JoinConfig.Address", Rule: fmt.Sprintf("nobody can be reached at %q", c.Address)}
	}
	return nil
}

// Join makes this node a member of a cluster that is there: it asks a member, again until
// it is in, and returns nil then. The node becomes a learner, and a voter as soon as it has
// caught up. The name and the secret of the cluster it learns from the leader.
//
// It may be called at every start of a node. A member does not ask, nor does a learner that
// was made one by others. A node that is on its way waits, and asks again if its change was
// given up. While it runs, [Status.Joining] says what it waits for.
//
// It ends early with ctx; with what Err says, or ErrStopped, if the group stops; with
// ErrRemoved on a node that was removed, unless Rejoin is set; and with a *ChangeError that
// waiting does not mend: the cluster knows the node with other data, which has to be
// replaced by hand ([ChangeEmptied]), the node belongs to another cluster
// ([ChangeOtherCluster]), or nobody can be reached at its address ([ChangeAddress]).
func (r *Raft) Join(ctx context.Context, config JoinConfig) error {
	if err := config.complete(r); err != nil {
		return err
	}
	j := join{raft: r, config: config}
	defer r.joining.Store(nil)
	for pause := config.RetryMin; ; pause = min(2*pause, config.RetryMax) {
		s := r.Status()
		step, err := j.next(&s)
		switch {
		case err != nil:
			return err
		case step == joinDone:
			return nil
		case step == joinWait:
			err = r.Wait(ctx, func(s Status) bool { return !j.stays(&s, joinWait) })
			pause = config.RetryMin / 2
		default:
			err = j.ask(ctx, &s, pause)
		}
		if err != nil {
			return err
		}
	}
}

// join is one call of Join.
type join struct {
	raft   *Raft
	config JoinConfig
	// asked: this node was on its way to be a member while Join has run. in: it was one.
	asked, in bool
}

// joinStep is what is to be done next.
type joinStep int

const (
	joinDone joinStep = iota
	joinWait
	joinAsk
)

// next decides by what this node knows of itself.
func (j *join) next(s *Status) (joinStep, error) {
	c := &s.Configuration
	_, member := c.Member(s.Self)
	switch {
	case s.Removed && (!j.config.Rejoin || j.in):
		return joinDone, ErrRemoved
	case s.LeftOut && !j.config.Rejoin:
		j.raft.waits("word that it was removed: by its own log it is a member no more")
		return joinWait, nil
	case s.Removed || !member, j.config.Rejoin && !j.asked:
		// By its own log it may be a member long after it was removed.
		return joinAsk, nil
	}
	if j.asked = j.asked || wanted(c, s.Self); j.asked {
		j.in = true
	}
	switch {
	case c.IsVoter(s.Self) && !c.Joint(), j.config.Learner:
		return joinDone, nil
	case c.Joint() || wanted(c, s.Self):
		j.raft.waits("it is a member, and the change that lets it vote is under way: " + c.String())
		return joinWait, nil
	case !j.asked:
		return joinDone, nil // a learner since before, and whoever made it one may promote it
	}
	return joinAsk, nil
}

// wanted reports whether the change that is under way makes the node a voter.
func wanted(c *Configuration, self Identity) bool {
	if c.Target == nil {
		return false
	}
	for _, id := range c.Target.Voters {
		if id == self {
			return true
		}
	}
	return false
}

// stays reports whether the same is to be done still.
func (j *join) stays(s *Status, step joinStep) bool {
	now, err := j.next(s)
	return err == nil && now == step
}

// ask asks once. Then it waits until something else is to be done, for a time: the answer
// may be lost, and the change given up.
func (j *join) ask(ctx context.Context, s *Status, pause time.Duration) error {
	request := JoinRequest{Node: s.Self.ID, Incarnation: s.Self.Incarnation, Address: j.config.Address, Learner: j.config.Learner, Standby: j.config.Standby}
	if cluster := s.Cluster; !cluster.IsZero() {
		request.Cluster = cluster.String()
	} else if pinned := j.raft.config.Cluster; !pinned.IsZero() {
		request.Cluster = pinned.String()
	}
	j.asked = true
	err := j.config.Ask(ctx, request)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("troupe: the node is not in yet: %w", ctx.Err())
	case err == nil:
		j.raft.waits("the leader, which was asked and lets it in")
		pause = max(pause, j.config.RetryMax/8)
	case final(err):
		return err
	default:
		j.raft.waits(fmt.Sprintf("it was not let in yet, and asks again in %v: %v", pause, err))
	}
	limited, cancel := context.WithTimeout(ctx, pause)
	defer cancel()
	err = j.raft.Wait(limited, func(s Status) bool { return !j.stays(&s, joinAsk) })
	if limited.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// final reports whether an answer stays as it is however often one asks.
func final(err error) bool {
	var wrong *ChangeError
	return errors.As(err, &wrong) && (wrong.Reason == ChangeEmptied || wrong.Reason == ChangeOtherCluster || wrong.Reason == ChangeAddress)
}

// waits says what Join waits for.
func (r *Raft) waits(text string) { r.joining.Store(&text) }

// Admit lets a node in that has asked by [Raft.Join]. Any member may be asked. It is the
// change that [Add] and [AddLearner] make, but who asks is named by its incarnation; the
// leader has to reach it at its address before anything is appended; a node that does not
// catch up stays a learner; and the change yields to another one that somebody asks for
// by hand, while it is catching up. What is so already is no error. The options of
// [Raft.ChangeMembers] may be given.
//
// Whoever calls it has decided that the node may come in: nothing here asks for a secret.
func (r *Raft) Admit(ctx context.Context, request JoinRequest, options ...ChangeOption) (Configuration, error) {
	s := r.Status()
	change := admission(&s.Configuration, &request)
	switch {
	case request.Node == 0 || request.Incarnation == 0:
		return Configuration{}, &ChangeError{Reason: ChangeIDZero, Change: change}
	case s.Removed:
		return Configuration{}, ErrRemoved
	case s.Cluster.IsZero() || s.Configuration.IsZero():
		return Configuration{}, ErrNoCluster
	case request.Cluster != "" && request.Cluster != s.Cluster.String():
		text := fmt.Sprintf("it belongs to the cluster %s, and this is %v", request.Cluster, s.Cluster)
		return Configuration{}, &ChangeError{Reason: ChangeOtherCluster, Change: change, Text: text}
	}
	c, err := r.ChangeMembers(ctx, []Change{change}, append(options, automatic)...)
	var wrong *ChangeError
	if errors.As(err, &wrong) && wrong.Reason == ChangeIsVoter {
		return r.Members(), nil // which this node had not heard
	}
	return c, err
}

// admission is the change that lets a node in, as far as this node knows the members.
func admission(c *Configuration, request *JoinRequest) Change {
	change := Change{Op: membership.OpAdd, ID: request.Node, Incarnation: request.Incarnation, Address: request.Address}
	if request.Learner || request.Standby {
		change.Op, change.Standby = membership.OpAddLearner, request.Standby
	}
	id := Identity{ID: request.Node, Incarnation: request.Incarnation}
	if m, member := c.Member(id); member {
		// It may have moved since; its address is learned by the network.
		change.Address = m.Address
		if c.IsVoter(id) {
			change.Op = membership.OpAdd
		}
	}
	return change
}

// automatic marks a change that nobody asks for by hand. The node that comes is to stay a
// learner if it catches up too slowly: it asks again.
func automatic(o *changeOptions) { o.order.Automatic, o.order.KeepAdded = true, true }
