package network

import (
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Sizes of what messages carry beside their data, in bytes; upper bounds of
// what the wire makes of them.
const (
	messageOverheadBytes  = 256
	proposalOverheadBytes = 48
	resultOverheadBytes   = 80
	traceBytes            = 27
	entryTraceBytes       = 40
	changeOverheadBytes   = 64
	tagOverheadBytes      = 16
	waitingOverheadBytes  = 24
	idBytes               = 10
	byteRangeBytes        = 2 * 10
)

// SizeBytes is what a message counts where messages are bounded in bytes: its
// data and a bound of the rest, never less than its size on the wire.
func SizeBytes(m core.Message) int {
	n := messageOverheadBytes
	switch m := m.(type) {
	case *core.AppendEntries:
		n += core.SizeOf(m.Entries) + len(m.Traces)*entryTraceBytes
	case *core.Heartbeat:
		if m.Change != nil {
			for _, w := range m.Change.WaitsFor {
				n += waitingOverheadBytes + len(w.Why)
			}
		}
	case *core.SnapshotChunk:
		c := &m.Meta.Configuration.Configuration
		n += len(m.Data) + c.SizeBytes()
	case *core.SnapshotResponse:
		n += len(m.Reason) + len(m.Had)*byteRangeBytes
	case *core.TransferResponse:
		n += len(m.Text)
	case *core.ChangeRequest:
		for i := range m.Order.Changes {
			n += changeSize(&m.Order.Changes[i])
		}
	case *core.ChangeResponse:
		n += len(m.Text) + changeSize(&m.Wrong)
		for i := range m.Steps {
			n += m.Steps[i].SizeBytes()
		}
	case *core.ProposeRequest:
		for i := range m.Proposals {
			n += proposalOverheadBytes + len(m.Proposals[i].Data)
			if !m.Proposals[i].Trace.IsZero() {
				n += traceBytes
			}
		}
	case *core.ProposeResponse:
		for i := range m.Results {
			n += resultOverheadBytes + len(m.Results[i].Value) + len(m.Results[i].Error)
		}
	}
	return n
}

// changeSize is what one change of the members counts.
func changeSize(c *membership.Change) int {
	n := changeOverheadBytes + len(c.Address) + len(c.Voters)*idBytes
	for k, v := range c.Tags {
		n += tagOverheadBytes + len(k) + len(v)
	}
	return n
}
