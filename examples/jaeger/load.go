package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/trouperaft/troupe"
)

// load writes at a steady rate through all running nodes, leader or not. What is
// traced of it is the sampler's decision.
type load struct {
	cluster *cluster
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu     sync.Mutex
	begun  int // since startLoad
	failed error
}

const (
	// clientsMax is how many writes are under way at a time: with all of them
	// waiting, as for a leader, those that were due are left out.
	clientsMax = 64
	// keys bounds what the state machine holds.
	keys = 1000
)

func startLoad(ctx context.Context, c *cluster, rate float64) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cluster: c, cancel: cancel}
	if rate > 0 {
		l.done.Go(func() { l.run(ctx, time.Duration(float64(time.Second)/rate)) })
	}
	return l
}

func (l *load) run(ctx context.Context, interval time.Duration) {
	due := time.NewTicker(interval)
	defer due.Stop()
	clients := make(chan struct{}, clientsMax)
	for {
		select {
		case <-due.C:
		case <-ctx.Done():
			return
		}
		select {
		case clients <- struct{}{}:
			l.done.Go(func() {
				defer func() { <-clients }()
				l.one(ctx)
			})
		default:
		}
	}
}

// one writes a command, through another node if one goes down.
func (l *load) one(ctx context.Context) {
	l.mu.Lock()
	l.begun++
	ticket := l.begun
	l.mu.Unlock()
	command := fmt.Appendf(nil, "load-%d=%d", ticket%keys, ticket)
	for attempt := ticket; ; attempt++ {
		up := l.cluster.up()
		n := up[attempt%len(up)]
		raft, _ := n.running()
		if raft == nil {
			continue // it went down this moment, and is not up any more
		}
		_, err := raft.Propose(ctx, command)
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case errors.Is(err, troupe.ErrStopped), again(err):
		default:
			l.mu.Lock()
			l.failed = fmt.Errorf("%q on node %d: %w", command, n.id, err)
			l.mu.Unlock()
			return
		}
	}
}

// stop ends the load, and says how many writes it has begun.
func (l *load) stop() (writes int, err error) {
	l.cancel()
	l.done.Wait()
	return l.begun, l.failed
}
