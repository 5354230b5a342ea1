package actors

import (
	"fmt"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
	"github.com/trouperaft/troupe/membership"
)

// execute carries out the commands of a step, in their order. What is only
// a newer number is passed on at the end of the burst.
func (c *coreActor) execute(ev core.Event) {
	for i := 0; i < len(c.out.Commands); i++ {
		c.carryOut(c.out.Commands[i])
	}
	if w := c.cfg.Witness; w != nil {
		if err := w.Stepped(c.engine, ev, c.out.Commands); err != nil {
			panic(fmt.Errorf("an invariant is broken: %w", err))
		}
	}
	c.out.Reset()
}

func (c *coreActor) carryOut(cmd core.Command) {
	switch cmd := cmd.(type) {
	case *core.Write:
		c.submit(cmd)
	case *core.Send:
		c.send(cmd.Message)
	case *core.Replicate:
		c.logNotice.note(cmd)
		observe.Committed{Index: cmd.Commit}.Tell(c.watch)
	case *core.Apply:
		c.applyTo = max(c.applyTo, cmd.UpTo)
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
		if cmd.Record {
			c.apply.giveRecord(*cmd)
		} else {
			c.apply.giveView()
		}
	case *core.SendSnapshot:
		c.jobs.Send(cmd)
	case *core.ReceiveChunk:
		c.jobs.Receive(cmd.Chunk)
	case *core.InstallSnapshot:
		c.apply.installNow(cmd.Meta)
	case *core.BreakConnection:
		c.network.Break(cmd.Node, cmd.Class)
	case *core.Changed:
		c.onChanged(cmd)
	case *core.DialMembers:
		if cmd.Kept {
			c.introduce(cmd.Members)
		} else {
			c.dial(cmd.Members)
		}
	case *core.BootstrapEnded:
		c.endBootstraps(cmd.Err)
	case *core.ElectEnded:
		c.leadership.electEnded(cmd)
	case *core.TransferEnded:
		c.leadership.transferEnded(cmd)
	case *core.ChangeEnded:
		c.changes.changeEnded(cmd)
	case *core.SnapshotMade:
		c.upkeep.snapshotMade(cmd)
	case *core.PurgeEnded:
		c.upkeep.purgeEnded(cmd)
	case *core.ConfigurationChanged:
		c.onConfiguration(cmd.At)
	case *core.Notice:
		c.notify(cmd)
	default:
		panic(fmt.Sprintf("unknown command %T", cmd))
	}
}

// send sends a message that depends on no write.
func (c *coreActor) send(message core.Message) {
	sending := observe.Sending{Message: message, Last: c.engine.Last()}
	if _, asks := message.(*core.ReadIndexRequest); asks {
		sending.Read = c.reads.asking.traced()
	}
	sending.Begin(c.watch)
	c.network.Send(message)
}

// submit lets the in-memory log serve what is being written, and queues it.
func (c *coreActor) submit(w *core.Write) {
	if w.SaveHardState {
		c.seen.setCluster(w.HardState.Cluster)
		c.seen.term.Store(uint64(w.HardState.Term))
	}
	c.memoryLog.Submit(w)
	observe.Submitted{Write: w}.Tell(c.watch)
	for _, message := range w.Then {
		observe.Sending{Message: message, Waits: true}.Begin(c.watch)
	}
	c.write(w)
}

func (c *coreActor) onChanged(cmd *core.Changed) {
	c.changed = *cmd
	observe.Changed{Changed: cmd}.Tell(c.watch)
	c.proposals.onChanged()
}

// onConfiguration lets requests reach every member of the configuration in
// force, and of the one that a bootstrap wants.
func (c *coreActor) onConfiguration(at core.ConfigurationAt) {
	c.config = at
	c.tellOfConfiguration(&at)
	c.dial(reachable(&at.Configuration))
}

// reachable are the members, each node once: the network knows a node by its id. Of two
// incarnations it is the one that is to stay.
func reachable(c *membership.Configuration) []membership.Member {
	members := make([]membership.Member, 0, len(c.Members))
	for _, m := range c.Members {
		stays := true
		if c.Target != nil {
			_, stays = c.Target.Member(m.Identity)
		}
		switch n := len(members); {
		case n == 0 || members[n-1].ID != m.ID:
			members = append(members, m)
		case stays:
			members[n-1] = m
		}
	}
	return members
}

// dial tells the network where members are. An address that this group has told before is
// no news, and is not told again: another group of the node may have told a newer one
// since, or the network has learned where the member is now (rule 30).
func (c *coreActor) dial(members []membership.Member) {
	told := make(map[membership.NodeID]string, len(members))
	for _, m := range members {
		if m.ID == c.self.ID || m.Address == "" {
			continue
		}
		if told[m.ID] = m.Address; c.told[m.ID] != m.Address {
			c.network.SetAddress(m.ID, m.Address)
		}
		if cause := c.unreachable(m.ID); cause != nil {
			c.put(&core.PeerDown{Node: m.ID, Class: core.ClassControl, Cause: cause})
		}
	}
	c.told = told
}

// introduce tells the network where nodes once were, of which no configuration says it.
func (c *coreActor) introduce(nodes []membership.Member) {
	for i := range nodes {
		if nodes[i].Address != "" {
			c.network.Introduce(nodes[i].ID, nodes[i].Address)
		}
	}
}

func (c *coreActor) peerAlive(cmd *core.PeerAlive) {
	if s := c.streams.find(streamKey{cmd.Peer, cmd.Stream}); s != nil {
		s.inbox.Put(&stream.Alive{Match: cmd.Match, Sent: cmd.Sent}, true)
	}
}

func (c *coreActor) startStream(cmd *core.StartStream) {
	c.notifyStreams() // what was said before is not for the new stream
	c.logNotice.streamStarts()
	c.stopStream(streamKey{cmd.Peer.Identity, cmd.Stream})
	c.streams.start(cmd)
}

func (c *coreActor) stopStream(key streamKey) {
	if c.streams.find(key) == nil {
		return
	}
	c.notifyStreams()
	c.streams.stop(key)
	c.jobs.StreamStopped(key.peer, key.stream)
}
