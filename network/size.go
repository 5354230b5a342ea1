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
	memberOverheadBytes   = 96
	tagOverheadBytes      = 16
	traceBytes            = 27
	entryTraceBytes       = 40
	foundingBytes         = len(membership.Founding{}) + 2
)

// SizeBytes is what a message counts where messages are bounded in bytes: its
// data and a bound of the rest, never less than its size on the wire.
func SizeBytes(m core.Message) int {
	n := messageOverheadBytes
	switch m := m.(type) {
	case *core.AppendEntries:
		n += core.SizeOf(m.Entries) + len(m.Traces)*entryTraceBytes
	case *core.SnapshotChunk:
		c := &m.Meta.Configuration.Configuration
		n += foundingBytes + len(m.Data) + membersBytes(c.Members) + membersBytes(c.Wanted) + (len(c.Voters)+len(c.Outgoing))*memberOverheadBytes
	case *core.SnapshotResponse:
		n += len(m.Reason)
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

func membersBytes(members []membership.Member) int {
	n := 0
	for i := range members {
		n += memberOverheadBytes + len(members[i].Address)
		for k, v := range members[i].Tags {
			n += tagOverheadBytes + len(k) + len(v)
		}
	}
	return n
}
