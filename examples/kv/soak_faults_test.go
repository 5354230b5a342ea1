//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"
)

// soakFault is one kind of what is done to a cluster. draw takes all that is
// left to chance from r, says what it will do, and returns what does it. That
// ends by itself, or soon after its context: then nothing of it is left, but
// for what its text says.
type soakFault struct {
	name string
	// share is how often it is drawn, beside the others' shares.
	share int
	draw  func(s *soak, r *rand.Rand) (text string, do func(ctx context.Context) error)
}

// soakFaults is all that TestSoak does.
var soakFaults = []soakFault{
	{"kill", 6, (*soak).drawKill},                // kill -9; it comes back with its data
	{"terminated", 4, (*soak).drawTerminated},    // SIGTERM, by which a leader hands over; it comes back
	{"handed over", 6, (*soak).drawHandOver},     // POST /cluster/transfer
	{"power cut", 1, (*soak).drawPowerCut},       // kill -9 of all at once
	{"pause", 5, (*soak).drawPause},              // SIGSTOP for up to 5 s, then SIGCONT
	{"one way", 5, (*soak).drawOneWay},           // from one node to another nothing passes; the other way all
	{"mute", 2, (*soak).drawMute},                // nothing leaves a node
	{"deaf", 2, (*soak).drawDeaf},                // nothing reaches a node
	{"cut off", 2, (*soak).drawCutOff},           // both
	{"slow", 4, (*soak).drawSlow},                // lines to and from a node are slow and long
	{"dark", 4, (*soak).drawDark},                // connections lose everything, and are not closed
	{"swallowed data", 4, (*soak).drawSwallowed}, // entries and snapshots are lost, heartbeats pass
	{"moved", 2, (*soak).drawMoved},              // it comes back at another address, which the others learn
	{"emptied", 2, (*soak).drawEmptied},          // it comes back without its directory, later with it again
	{"stranger", 3, (*soak).drawStranger},        // random bytes, hellos of others, silence at the raft ports
}

// drawFault draws one of the soak's table.
func (s *soak) drawFault(r *rand.Rand) (text string, do func(ctx context.Context) error) {
	all := 0
	for _, f := range s.faults {
		all += f.share
	}
	at := r.IntN(all)
	for _, f := range s.faults {
		if at -= f.share; at < 0 {
			text, do = f.draw(s, r)
			return f.name + ": " + text, do
		}
	}
	panic("unreachable")
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(r.Int64N(int64(most-least)))).Round(time.Millisecond)
}

func (s *soak) pick(r *rand.Rand) *soakNode { return s.nodes[r.IntN(len(s.nodes))] }

// pickTwo returns two different nodes.
func (s *soak) pickTwo(r *rand.Rand) (a, b *soakNode) {
	order := r.Perm(len(s.nodes))
	return s.nodes[order[0]], s.nodes[order[1]]
}

func (s *soak) drawKill(r *rand.Rand) (string, func(context.Context) error) {
	n, away := s.pick(r), between(r, 0, 4*time.Second)
	return fmt.Sprintf("node %d for %v", n.id, away), func(ctx context.Context) error {
		return n.alone(ctx, func() error {
			n.down()
			s.did("kills")
			sleep(ctx, away)
			return n.up()
		})
	}
}

func (s *soak) drawPowerCut(r *rand.Rand) (string, func(context.Context) error) {
	away := between(r, 0, 2*time.Second)
	return fmt.Sprintf("all nodes for %v", away), func(ctx context.Context) error {
		return s.allAlone(ctx, func() error {
			for _, n := range s.nodes {
				n.down()
			}
			sleep(ctx, away)
			return s.each(func(n *soakNode) error { return n.up() })
		})
	}
}

func (s *soak) drawPause(r *rand.Rand) (string, func(context.Context) error) {
	n, d := s.pick(r), between(r, 200*time.Millisecond, 5*time.Second)
	return s.pauses(n, d)
}

// pauses stops a process for a while. It goes on before its time if the phase ends.
func (s *soak) pauses(n *soakNode, d time.Duration) (string, func(context.Context) error) {
	return fmt.Sprintf("node %d for %v", n.id, d), func(ctx context.Context) error {
		return n.alone(ctx, func() error {
			stopped := n.process.command.Process
			if err := stopped.Signal(syscall.SIGSTOP); err != nil {
				return err
			}
			if sleep(ctx, d) {
				s.did("pauses")
			}
			return stopped.Signal(syscall.SIGCONT)
		})
	}
}

// troubled is a fault of the links alone.
func (s *soak) troubled(d time.Duration, troubles ...*trouble) func(context.Context) error {
	return func(ctx context.Context) error {
		s.links.begin(troubles...)
		defer s.links.end(troubles...)
		sleep(ctx, d)
		return nil
	}
}

// drawHow draws whether what does not pass is late or lost.
func drawHow(r *rand.Rand, t *trouble) string {
	if r.IntN(2) == 0 {
		t.hold = true
		return "held"
	}
	t.dark = true
	return "lost"
}

func (s *soak) drawOneWay(r *rand.Rand) (string, func(context.Context) error) {
	a, b := s.pickTwo(r)
	d, t := between(r, time.Second, 12*time.Second), &trouble{from: a.id, to: b.id}
	return fmt.Sprintf("%d to %d for %v, %s", a.id, b.id, d, drawHow(r, t)), s.troubled(d, t)
}

func (s *soak) drawMute(r *rand.Rand) (string, func(context.Context) error) {
	n := s.pick(r)
	d, t := between(r, time.Second, 8*time.Second), &trouble{from: n.id}
	return fmt.Sprintf("node %d for %v, %s", n.id, d, drawHow(r, t)), s.troubled(d, t)
}

func (s *soak) drawDeaf(r *rand.Rand) (string, func(context.Context) error) {
	n := s.pick(r)
	d, t := between(r, time.Second, 8*time.Second), &trouble{to: n.id}
	return fmt.Sprintf("node %d for %v, %s", n.id, d, drawHow(r, t)), s.troubled(d, t)
}

func (s *soak) drawCutOff(r *rand.Rand) (string, func(context.Context) error) {
	n := s.pick(r)
	d, in, out := between(r, time.Second, 8*time.Second), &trouble{to: n.id}, &trouble{from: n.id}
	how := drawHow(r, in)
	out.hold, out.dark = in.hold, in.dark
	return fmt.Sprintf("node %d for %v, %s", n.id, d, how), s.troubled(d, in, out)
}

func (s *soak) drawSlow(r *rand.Rand) (string, func(context.Context) error) {
	n := s.pick(r)
	d, rate, delay := between(r, 3*time.Second, 15*time.Second), (50+r.IntN(450))<<10, between(r, 20*time.Millisecond, 200*time.Millisecond)
	return fmt.Sprintf("node %d for %v, %d KiB/s, %v each way", n.id, d, rate>>10, delay), s.troubled(d,
		&trouble{to: n.id, bytesPerSecond: rate, delay: delay}, &trouble{from: n.id, bytesPerSecond: rate, delay: delay})
}

func (s *soak) drawDark(r *rand.Rand) (string, func(context.Context) error) {
	a, b := s.pickTwo(r)
	d := between(r, 100*time.Millisecond, 5*time.Second)
	return fmt.Sprintf("those between %d and %d that carry anything within %v", a.id, b.id, d),
		s.troubled(d, &trouble{from: a.id, to: b.id, dark: true}, &trouble{from: b.id, to: a.id, dark: true})
}

func (s *soak) drawSwallowed(r *rand.Rand) (string, func(context.Context) error) {
	n := s.pick(r)
	d, t := between(r, time.Second, 10*time.Second), &trouble{data: true, dark: true}
	where := "from"
	if r.IntN(2) == 0 {
		t.from = n.id
	} else {
		t.to, where = n.id, "to"
	}
	return fmt.Sprintf("%s node %d for %v", where, n.id, d), s.troubled(d, t)
}

func (s *soak) drawMoved(r *rand.Rand) (string, func(context.Context) error) {
	n, away := s.pick(r), between(r, 0, 2*time.Second)
	return fmt.Sprintf("node %d after %v, if it is the phase's first", n.id, away), func(ctx context.Context) error {
		// One at a time: two that move while they do not hear of each other cannot
		// find each other but through a third.
		if !s.mayMove.CompareAndSwap(true, false) {
			return nil
		}
		return n.alone(ctx, func() error {
			n.down()
			if err := n.move(); err != nil {
				return err
			}
			sleep(ctx, away)
			return n.up()
		})
	}
}

func (s *soak) drawEmptied(r *rand.Rand) (string, func(context.Context) error) {
	n, d := s.pick(r), between(r, 2*time.Second, 8*time.Second)
	return fmt.Sprintf("node %d for %v", n.id, d), func(ctx context.Context) error {
		return n.alone(ctx, func() error {
			if err := n.empty(); err != nil {
				return err
			}
			counted := n.notCounted(ctx, d)
			return errors.Join(counted, n.refill())
		})
	}
}

// empty takes the node's directory away.
func (n *soakNode) empty() error {
	n.down()
	n.hasLost()
	if err := os.Rename(n.dir, n.dir+".away"); err != nil {
		return err
	}
	return n.up()
}

// refill gives the node its directory back, as a disk that was not mounted.
func (n *soakNode) refill() error {
	n.down()
	if err := errors.Join(os.RemoveAll(n.dir), os.Rename(n.dir+".away", n.dir)); err != nil {
		return err
	}
	if err := n.up(); err != nil {
		return err
	}
	n.hasFound()
	return nil
}

// notCounted looks for a time how an emptied node does: it must have no part in
// the cluster (rule 18).
func (n *soakNode) notCounted(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end) && sleep(ctx, 100*time.Millisecond); {
		s, err := n.status()
		if err != nil {
			continue // a machine of two cores has its moments
		}
		if s.Role != "none" || s.Fatal != "" {
			return fmt.Errorf("node %d has lost its data, and has a part in the cluster: %+v", n.id, s)
		}
	}
	return nil
}

func (s *soak) drawStranger(r *rand.Rand) (string, func(context.Context) error) {
	n, calls := s.pick(r), 5+r.IntN(40)
	kind := r.IntN(len(strangerKinds))
	noise := make([]byte, 1+r.IntN(32<<10))
	_, _ = rand.NewChaCha8([32]byte{byte(r.Uint32()), byte(r.Uint32())}).Read(noise)
	return fmt.Sprintf("%d times %s at node %d", calls, strangerKinds[kind], n.id), func(ctx context.Context) error {
		var heard [][]byte
		for _, c := range s.links.heard(n.id) {
			heard = append(heard, c.said.bytes())
		}
		for i := range calls {
			address := n.advertised()
			if where := n.where.Load(); where != nil && i%2 == 0 {
				address = *where // past the links
			}
			var said []byte
			switch {
			case kind == strangerNoise || len(heard) == 0:
				said = noise
			case kind == strangerHello:
				said = append(helloOf(heard[i%len(heard)]), noise...)
			case kind == strangerReplay:
				said = heard[i%len(heard)]
			case kind == strangerHalf:
				said = helloOf(heard[i%len(heard)])
				said = said[:len(said)/2]
			}
			if !call(ctx, address, said) {
				return nil
			}
		}
		return nil
	}
}

// What a stranger says.
const (
	strangerNoise = iota
	strangerHello
	strangerReplay
	strangerHalf
)

var strangerKinds = []string{"noise", "a peer's hello and noise", "a peer's words again", "half a hello and silence"}

// helloOf is the first block of what was heard: its length stands in its bytes
// 8 to 11.
func helloOf(heard []byte) []byte {
	const header = 16
	if len(heard) < header {
		return nil
	}
	length := int(heard[8]) | int(heard[9])<<8
	return append([]byte(nil), heard[:min(len(heard), header+length)]...)
}

// call says something at an address, and hears what comes for a moment.
func call(ctx context.Context, address string, said []byte) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return sleep(ctx, 10*time.Millisecond)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
	_, _ = conn.Write(said)
	_, _ = io.Copy(io.Discard, conn)
	return ctx.Err() == nil
}
