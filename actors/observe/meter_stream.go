package observe

import (
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/metrics"
)

// streamMeter takes the numbers of a stream.
type streamMeter struct {
	env                      stage.Environment
	duration, entries, bytes histogram
	// sentAt are messages that were sent and not answered, oldest first.
	sentAt []stageMark
}

func newStreamMeter(m *groupMeter, peer core.Identity) *streamMeter {
	id := attributePeer(peer.ID)
	return &streamMeter{
		env: m.env, duration: m.histogram(metrics.ReplicateDuration, id),
		entries: m.histogram(metrics.ReplicateEntries, id), bytes: m.histogram(metrics.ReplicateSize, id),
	}
}

// sent takes a message that the network took, or not.
func (m *streamMeter) sent(e *Sent) {
	message := e.Message
	if !e.Taken || len(message.Entries) == 0 {
		return
	}
	m.entries.count(len(message.Entries))
	m.bytes.count(core.SizeOf(message.Entries))
	// What was on its way behind Prev is sent again.
	n := len(m.sentAt)
	for n > 0 && m.sentAt[n-1].last > message.Prev.Index {
		n--
	}
	m.sentAt = append(m.sentAt[:n], stageMark{last: message.Entries[len(message.Entries)-1].Index, at: instant(m.env)})
}

// matched takes the peer's new match.
func (m *streamMeter) matched(match core.Index) {
	done := 0
	for done < len(m.sentAt) && m.sentAt[done].last <= match {
		done++
	}
	if done > 0 {
		m.duration.took(instant(m.env).Sub(m.sentAt[0].at))
		left := copy(m.sentAt, m.sentAt[done:])
		m.sentAt = m.sentAt[:left]
	}
}
