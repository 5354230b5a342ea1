package cli

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/trouperaft/troupe"
)

// formingRaft is the part of *troupe.Raft that a former uses.
type formingRaft interface {
	Bootstrap(ctx context.Context, members ...troupe.Member) error
	Status() troupe.Status
	Done() <-chan struct{}
}

// former forms the cluster of --init, or joins its forming, while the node
// serves. What goes wrong it tells, and tries again: other members may come
// later, and a node that lost its data may be replaced meanwhile.
type former struct {
	raft    formingRaft
	members []troupe.Member
	logger  *slog.Logger
	// look is how often a former that waits looks for whom. retryMin and
	// retryMax bound the time between two tries.
	look               time.Duration
	retryMin, retryMax time.Duration
	waits, errors      pace
}

func newFormer(raft formingRaft, members []troupe.Member, logger *slog.Logger) *former {
	return &former{
		raft: raft, members: members, logger: logger,
		look: 2 * time.Second, retryMin: time.Second, retryMax: 30 * time.Second,
		waits: pace{changed: 5 * time.Second, same: time.Minute}, errors: pace{changed: 0, same: 5 * time.Minute},
	}
}

// run returns when the node belongs to a cluster or its group has ended, at the
// latest with ctx.
func (f *former) run(ctx context.Context) {
	if len(f.members) == 0 {
		return
	}
	for pause := f.retryMin; ; pause = min(2*pause, f.retryMax) {
		err := f.bootstrap(ctx)
		if unreachable(err) {
			pause = f.retryMin // it has waited long enough, and status says for whom only while it asks
		}
		switch {
		case err == nil:
			f.logger.Info("this node belongs to the cluster of --init", slog.String("cluster", f.raft.Status().Cluster.String()))
			return
		case f.ended(ctx):
			return
		}
		f.tell(err)
		if f.raft.Status().Role != troupe.RoleNone {
			return // it belongs to a cluster, and will not leave it
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		case <-f.raft.Done():
		}
	}
}

func (f *former) ended(ctx context.Context) bool {
	select {
	case <-ctx.Done():
	case <-f.raft.Done():
	default:
		return false
	}
	return true
}

// bootstrap tries once, and tells meanwhile for whom it waits.
func (f *former) bootstrap(ctx context.Context) error {
	formed := make(chan error, 1)
	go func() { formed <- f.raft.Bootstrap(ctx, f.members...) }()
	look := time.NewTicker(f.look)
	defer look.Stop()
	for {
		select {
		case err := <-formed:
			return err
		case now := <-look.C:
			f.tellWaits(now)
		}
	}
}

func (f *former) tellWaits(now time.Time) {
	waits := f.raft.Status().WaitsFor
	if len(waits) == 0 {
		return
	}
	texts := make([]string, len(waits))
	for i, w := range waits {
		texts[i] = w.String()
	}
	if text := strings.Join(texts, "; "); f.waits.due(now, text) {
		f.logger.Info("the cluster of --init is being formed", slog.String("waits_for", text))
	}
}

func (f *former) tell(err error) {
	what, level := "the cluster of --init is not formed, and is tried again", slog.LevelWarn
	status := f.raft.Status()
	switch {
	case status.UnknownToGroup:
		what, level = "this node has lost its data: the cluster knows it under another incarnation, and does not count it", slog.LevelError
	case status.Role != troupe.RoleNone:
		what, level = "this node belongs to a cluster that was founded with another list than --init", slog.LevelError
	case !unreachable(err):
		what, level = "the cluster of --init cannot be formed", slog.LevelError
	}
	if f.errors.due(time.Now(), err.Error()) {
		f.logger.Log(context.Background(), level, what, slog.Any("error", err))
	}
}

// unreachable reports whether nobody has said no: a member is out of reach.
func unreachable(err error) bool {
	var refused *troupe.BootstrapError
	return errors.As(err, &refused) && refused.Cause != nil
}

// pace says when a text is due: one that has changed sooner than one
// that has not.
type pace struct {
	changed, same time.Duration
	last          string
	saidAt        time.Time
}

func (p *pace) due(now time.Time, text string) bool {
	after := p.same
	if text != p.last {
		after = p.changed
	}
	if !p.saidAt.IsZero() && now.Sub(p.saidAt) < after {
		return false
	}
	p.last, p.saidAt = text, now
	return true
}
