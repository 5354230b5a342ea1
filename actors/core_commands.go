package actors

import (
	"fmt"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// execute carries out the commands of a step, in their order. What is only news
// of a newer number is told at the end of the burst.
func (c *coreActor) execute() {
	for i := 0; i < len(c.out.Commands); i++ {
		c.carryOut(c.out.Commands[i])
	}
	c.out.Reset()
	if c.group.node.cfg.CheckInvariants {
		if err := c.engine.CheckInvariants(); err != nil {
			panic(fmt.Errorf("an invariant is broken: %w", err))
		}
	}
}

func (c *coreActor) carryOut(cmd core.Command) {
	switch cmd := cmd.(type) {
	case *core.Write:
		c.write(cmd)
	case *core.Send:
		c.send(cmd.Message)
	case *core.Replicate:
		c.grown = *cmd
		observe.Committed{Index: cmd.Commit}.Tell(c.group.watch)
	case *core.Apply:
		c.applyUpTo = max(c.applyUpTo, cmd.UpTo)
	case *core.PeerAlive:
		c.peerAlive(cmd)
	case *core.ArmTimer:
		c.armTimer(cmd)
	case *core.CancelTimer:
		c.timers[cmd.Timer].cancel()
	case *core.StartStream:
		c.startStream(cmd)
	case *core.StopStream:
		c.stopStream(streamKey{cmd.Peer, cmd.Stream})
	case *core.ReadReady:
		c.reads.ready(c, cmd)
	case *core.ReadFailed:
		c.reads.failed(c, cmd)
	case *core.BuildSnapshot:
		c.group.apply.inbox.Put(applyItem{view: true}, true)
	case *core.SendSnapshot:
		c.transfers.send(cmd)
	case *core.ReceiveChunk:
		c.transfers.receive(cmd.Chunk)
	case *core.InstallSnapshot:
		meta := cmd.Meta
		c.group.apply.inbox.Put(applyItem{install: &meta}, true)
	case *core.BreakConnection:
		c.group.node.cfg.Network.Break(cmd.Node, cmd.Class)
	case *core.Changed:
		c.onChanged(cmd)
	case *core.DialMembers:
		c.dial(cmd.Members)
	case *core.BootstrapEnded:
		c.endBootstraps(cmd.Err)
	case *core.ConfigurationChanged:
		c.onConfiguration(cmd.At)
	case *core.Notice:
		c.group.tell(cmd)
	default:
		panic(fmt.Sprintf("unknown command %T", cmd))
	}
}

// send sends a message that depends on no write.
func (c *coreActor) send(message core.Message) {
	observe.Sending{Message: message, Last: c.engine.Last(), Read: c.reads.asking.traced()}.Begin(c.group.watch)
	c.group.node.cfg.Network.Send(message)
}

// write lets the tail serve what is being written, and queues it.
func (c *coreActor) write(w *core.Write) {
	if w.SaveHardState {
		c.group.setCluster(w.HardState.Cluster)
		c.group.term.Store(uint64(w.HardState.Term))
	}
	c.group.tail.submit(w)
	observe.Submitted{Write: w}.Tell(c.group.watch)
	for _, message := range w.Then {
		observe.Sending{Message: message, Waits: true}.Begin(c.group.watch)
	}
	c.group.node.log.inbox.Put(logItem{log: c.group.log, write: *w}, true)
}

func (c *coreActor) onChanged(cmd *core.Changed) {
	c.changed = *cmd
	observe.Changed{Changed: cmd}.Tell(c.group.watch)
	c.proposals.onChanged()
}

// onConfiguration lets requests reach every member of the configuration in
// force, and of the one that a bootstrap wants.
func (c *coreActor) onConfiguration(at core.ConfigurationAt) {
	c.config = at
	c.group.tellOfConfiguration(&at)
	c.dial(at.Configuration.Members)
}

func (c *coreActor) dial(members []membership.Member) {
	n := c.group.node
	for _, m := range members {
		if m.ID != n.identity.ID && m.Address != "" {
			n.cfg.Network.SetAddress(m.ID, m.Address)
			if cause, down := n.unreachable.Load(m.ID); down {
				c.put(&core.PeerDown{Node: m.ID, Class: core.ClassControl, Cause: cause.(error)})
			}
		}
	}
}

func (c *coreActor) peerAlive(cmd *core.PeerAlive) {
	for _, s := range c.streams {
		if s.key == (streamKey{cmd.Peer, cmd.Stream}) {
			s.inbox.Put(&core.StreamAlive{Match: cmd.Match, Sent: cmd.Sent}, true)
			return
		}
	}
}

func (c *coreActor) startStream(cmd *core.StartStream) {
	c.tellGrowth() // what was said before is not for the new stream
	c.toldLast = 0 // which has to be told in this burst
	c.stopStream(streamKey{cmd.Peer.Identity, cmd.Stream})
	s := newReplicationActor(c.group, cmd, c.group.tail.now())
	c.streams = append(c.streams, s)
	c.group.spawn(&s.Shell)
	c.group.setStreams(c.streams)
}

func (c *coreActor) stopStream(key streamKey) {
	for i, s := range c.streams {
		if s.key != key {
			continue
		}
		c.tellGrowth()
		c.streams = append(c.streams[:i:i], c.streams[i+1:]...)
		c.group.setStreams(c.streams)
		s.Stop()
		c.transfers.streamStopped(key)
		return
	}
}
