//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

var handOvers = flag.Int("hand-overs", handOversShort, "how many times TestHandOvers hands the leadership over at least, with a fifth as many kills and pauses")

// handOversShort are done in seconds.
const handOversShort = 4

// handOverFaults is what TestHandOvers does beside hand-overs.
var handOverFaults = []soakFault{
	{"kill", 5, (*soak).drawKill},
	{"pause", 5, (*soak).drawLongPause},
	{"terminated", 2, (*soak).drawTerminated},
}

// TestHandOvers moves the leadership of three processes about under load, as fast as it
// goes, while they are killed, paused for 5 s and told to end. Checked is what TestSoak
// checks; there the links fail too.
//
//	go test ./examples/kv -run TestHandOvers -v -timeout 0 -args -hand-overs=100
func TestHandOvers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	s := &soak{
		seed: *soakSeed, size: 3, length: soakPhase, faults: handOverFaults,
		pause: [2]time.Duration{2 * time.Second, 8 * time.Second}, hands: [2]time.Duration{50 * time.Millisecond, 800 * time.Millisecond},
	}
	if _, ok := t.Deadline(); ok && *handOvers > handOversShort {
		t.Fatal("-hand-overs takes longer than the test may: add -timeout 0")
	}
	defer noGoroutineLeft(t, runtime.NumGoroutine())
	if *handOvers <= handOversShort {
		s.length = soakPhaseShort
	}
	s.replay = fmt.Sprintf("-run TestHandOvers -v -timeout 0 -args -hand-overs=%d -soak-seed=%d", *handOvers, *soakSeed)
	s.more = func(int) bool {
		kills, pauses, terminated := s.done("kills"), s.done("pauses"), s.done("terminations")
		return s.done("hand-overs") < *handOvers || min(kills, pauses) < *handOvers/5 || terminated < *handOvers/20
	}
	s.run(t)
}

// did counts what was done.
func (s *soak) did(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

func (s *soak) done(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[what]
}

// leads takes who led a term, and reports it as an error if another one did.
func (s *soak) leads(term, leader uint64) error {
	if term == 0 || leader == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, known := s.leaders[term]; known && other != leader {
		return fmt.Errorf("nodes %d and %d both led term %d", other, leader, term)
	}
	s.leaders[term] = leader
	return nil
}

// drawLongPause pauses for longer than any lease or election time-out.
func (s *soak) drawLongPause(r *rand.Rand) (string, func(context.Context) error) {
	return s.pauses(s.pick(r), 5*time.Second)
}

// drawTerminated lets a process end in order, and start again.
func (s *soak) drawTerminated(r *rand.Rand) (string, func(context.Context) error) {
	n, away := s.pick(r), between(r, 0, 2*time.Second)
	return fmt.Sprintf("node %d for %v", n.id, away), func(ctx context.Context) error {
		return n.alone(ctx, func() error {
			if err := n.ends(syscall.SIGTERM); err != nil {
				return err
			}
			n.where.Store(nil)
			fmt.Fprintf(n.history, "---- %s: has ended\n", time.Now().Format(time.RFC3339Nano))
			s.did("terminations")
			sleep(ctx, away)
			return n.up()
		})
	}
}

// drawHandOver asks a node to hand the leadership to a node, or to the best.
func (s *soak) drawHandOver(r *rand.Rand) (string, func(context.Context) error) {
	asked, to := s.pick(r), uint64(r.IntN(s.size+1))
	return fmt.Sprintf("to node %d, asked of node %d", to, asked.id), func(ctx context.Context) error {
		return s.handOver(ctx, asked, to)
	}
}

// handOver is one attempt. Whatever it fails for has to be a reason that the faults
// explain.
func (s *soak) handOver(ctx context.Context, asked *soakNode, to uint64) error {
	begun := time.Now()
	l, err := asked.client.Transfer(ctx, to)
	var answer *api.Error
	switch {
	case err == nil:
		s.did("hand-overs")
		return s.leads(l.Term, l.Leader)
	case !errors.As(err, &answer), answer.Code == api.TransferFailed, slices.Contains([]api.Code{api.NoLeader, api.Timeout, api.Stopped}, answer.Code),
		s.excused(asked.node, begun, answer.Code):
		return nil
	}
	return err
}

// handsOn hands the leadership over again and again, until ctx ends.
func (s *soak) handsOn(ctx context.Context, r *rand.Rand) error {
	for s.load.failure() == nil && sleep(ctx, between(r, s.hands[0], s.hands[1])) {
		if err := s.handOver(ctx, s.pick(r), uint64(r.IntN(s.size+1))); err != nil {
			return err
		}
	}
	return nil
}
