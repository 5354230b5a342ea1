package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

// joiningRaft is the part of *troupe.Raft that a joiner uses.
type joiningRaft interface {
	Join(ctx context.Context, config troupe.JoinConfig) error
	Status() troupe.Status
	Done() <-chan struct{}
}

// memberAPI is the part of a client that a joiner uses.
type memberAPI interface {
	Join(ctx context.Context, join api.Join) (api.Members, error)
}

// askLimit is for how long a member may take over a request to let this node in: longer
// than the leader waits for a node that makes no progress.
const askLimit = 40 * time.Second

// joiner makes this node a member, while it serves: it asks the members of --join. What
// goes wrong it tells, and tries again: a node that lost its data may be replaced
// meanwhile, and one that was removed be added by hand.
type joiner struct {
	raft    joiningRaft
	config  troupe.JoinConfig
	members []memberAPI
	as      string
	logger  *slog.Logger
	// retry is the time between two tries of what is refused for good.
	retry  time.Duration
	errors pace
}

func newJoiner(raft joiningRaft, s *settings, logger *slog.Logger) (*joiner, error) {
	j := &joiner{
		raft: raft, as: s.joinAs, logger: logger, retry: 30 * time.Second, errors: pace{changed: 2 * time.Second, same: time.Minute},
		config: troupe.JoinConfig{Learner: s.joinAs == api.AsLearner, Standby: s.joinAs == api.AsStandby, Rejoin: s.rejoin},
	}
	j.config.Ask = j.ask
	for _, address := range s.join {
		c, err := client.New(address, askLimit, nil)
		if err != nil {
			return nil, fmt.Errorf("--join: %w", err)
		}
		j.members = append(j.members, c)
	}
	return j, nil
}

// run returns when the node is a member, was removed, or its group has ended; at the
// latest with ctx.
func (j *joiner) run(ctx context.Context) {
	if len(j.members) == 0 {
		return
	}
	for {
		err := j.raft.Join(ctx, j.config)
		switch {
		case err == nil:
			s := j.raft.Status()
			j.logger.Info("this node is a member", slog.String("as", s.Configuration.Kind(s.Self).String()), slog.String("cluster", s.Cluster.String()))
			return
		case ctx.Err() != nil, j.ended():
			return
		case errors.Is(err, troupe.ErrRemoved):
			j.logger.Error("this node was removed, and does not ask to be let in again without --rejoin")
			return
		}
		j.logger.Error("this node is not let in", slog.String("error", refusal(err)))
		select {
		case <-time.After(j.retry):
		case <-ctx.Done():
		case <-j.raft.Done():
		}
	}
}

// refusal is what is said of an error for good. What a member answered says all of it.
func refusal(err error) string {
	if wrong := (*troupe.ChangeError)(nil); errors.As(err, &wrong) && wrong.Text != "" {
		return wrong.Text
	}
	return err.Error()
}

func (j *joiner) ended() bool {
	select {
	case <-j.raft.Done():
		return true
	default:
		return false
	}
}

// ask asks one member after the other, until one has let this node in or refuses it for
// good.
func (j *joiner) ask(ctx context.Context, request troupe.JoinRequest) error {
	join := api.Join{
		ID: uint64(request.Node), Incarnation: strconv.FormatUint(uint64(request.Incarnation), 16), Address: request.Address, As: j.as, Cluster: request.Cluster,
	}
	var errs []error
	for _, m := range j.members {
		_, err := m.Join(ctx, join)
		if err == nil {
			return nil
		}
		if refused := refusedForGood(err); refused != nil {
			return refused
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if ctx.Err() == nil && j.errors.due(time.Now(), err.Error()) {
		j.logger.Warn("this node was not let in yet, and asks again", slog.Any("error", err))
	}
	return err
}

// refusedForGood is what a member says that does not change by asking again, nil if it
// may.
func refusedForGood(err error) error {
	var answer *api.Error
	if !errors.As(err, &answer) {
		return nil
	}
	reasons := map[string]troupe.ChangeReason{"emptied": troupe.ChangeEmptied, "other_cluster": troupe.ChangeOtherCluster, "address": troupe.ChangeAddress}
	reason, known := reasons[answer.Reason]
	if !known {
		return nil
	}
	return &troupe.ChangeError{Reason: reason, Text: answer.Message}
}
