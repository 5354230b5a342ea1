package wire

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// This file is about changes of the members. Their lists are bounded when the first
// too many is met.

func appendMemberChange(b []byte, number protowire.Number, c *membership.Change) []byte {
	in := appendUint(nil, 1, uint64(c.Op))
	in = appendUint(in, 2, uint64(c.ID))
	in = appendFixed64(in, 3, uint64(c.Incarnation))
	in = appendString(in, 4, c.Address)
	in = appendUint(in, 5, uint64(c.Priority))
	for _, k := range slices.Sorted(maps.Keys(c.Tags)) {
		in = protowire.AppendTag(in, 6, protowire.BytesType)
		in = protowire.AppendBytes(in, appendString(appendString(nil, 1, k), 2, c.Tags[k]))
	}
	var voters []byte
	for _, id := range c.Voters {
		voters = protowire.AppendVarint(voters, uint64(id))
	}
	in = appendBytes(in, 7, voters)
	in = appendBool(in, 8, c.KeepAsLearner)
	in = appendBool(in, 9, c.Force)
	in = appendBool(in, 10, c.Standby)
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, in)
}

func (f *fields) memberChange(c *membership.Change) {
	for in := (fields{rest: f.bytes()}); in.next(&f.err); {
		switch in.number {
		case 1:
			c.Op = membership.Op(in.uint8())
		case 2:
			c.ID = core.NodeID(in.uint())
		case 3:
			c.Incarnation = membership.Incarnation(in.fixed64())
		case 4:
			c.Address = string(in.bytes())
		case 5:
			c.Priority = in.uint32()
		case 6:
			in.tag(c)
		case 7:
			in.voters(c)
		case 8:
			c.KeepAsLearner = in.bool()
		case 9:
			c.Force = in.bool()
		case 10:
			c.Standby = in.bool()
		}
	}
}

func (f *fields) tag(c *membership.Change) {
	var key, value string
	for in := (fields{rest: f.bytes()}); in.next(&f.err); {
		switch in.number {
		case 1:
			key = string(in.bytes())
		case 2:
			value = string(in.bytes())
		}
	}
	if len(c.Tags) > membership.TagsMax {
		f.fail(malformed("more than %d tags", membership.TagsMax))
		return
	}
	if c.Tags == nil {
		c.Tags = map[string]string{}
	}
	c.Tags[key] = value
}

func (f *fields) voters(c *membership.Change) {
	for rest := f.bytes(); len(rest) > 0; {
		id, n := protowire.ConsumeVarint(rest)
		if n < 0 || len(c.Voters) > membership.MembersMax {
			f.fail(malformed("a voter that is no number, or more than %d", membership.MembersMax))
			return
		}
		c.Voters = append(c.Voters, core.NodeID(id))
		rest = rest[n:]
	}
}

func appendChangeRequest(b []byte, m *core.ChangeRequest) ([]byte, error) {
	o := &m.Order
	if len(o.Changes) > membership.ChangesMax {
		return b, fmt.Errorf("wire: %d changes in a message, at most %d", len(o.Changes), membership.ChangesMax)
	}
	b = appendHeader(b, &m.Header)
	b = appendUint(b, 2, m.ID)
	b = appendFixed64(b, 3, uint64(o.ID))
	for i := range o.Changes {
		b = appendMemberChange(b, 4, &o.Changes[i])
	}
	b = appendFixed64(b, 5, uint64(o.Since))
	b = appendFixed64(b, 6, uint64(o.CatchUpLimit))
	b = appendBool(b, 7, o.KeepAdded)
	b = appendBool(b, 8, o.Automatic)
	b = appendUint(b, 9, uint64(o.ExpectedTerm))
	b = appendUint(b, 10, uint64(o.ExpectedIndex))
	b = appendBool(b, 11, o.DryRun)
	b = appendBool(b, 12, o.Cancel)
	return appendTrace(b, 13, m.Trace), nil
}

func decodeChangeRequest(b []byte) (*core.ChangeRequest, error) {
	m := new(core.ChangeRequest)
	o := &m.Order
	var err error
	for f := (fields{rest: b}); f.next(&err); {
		switch f.number {
		case 1:
			f.header(&m.Header)
		case 2:
			m.ID = f.uint()
		case 3:
			o.ID = membership.ChangeID(f.fixed64())
		case 4:
			if len(o.Changes) == membership.ChangesMax {
				f.fail(malformed("more than %d changes", membership.ChangesMax))
				continue
			}
			var c membership.Change
			f.memberChange(&c)
			if c.Op == 0 {
				f.fail(malformed("a change that does nothing"))
				continue
			}
			o.Changes = append(o.Changes, c)
		case 5:
			o.Since = int64(f.fixed64())
		case 6:
			o.CatchUpLimit = time.Duration(f.fixed64())
		case 7:
			o.KeepAdded = f.bool()
		case 8:
			o.Automatic = f.bool()
		case 9:
			o.ExpectedTerm = core.Term(f.uint())
		case 10:
			o.ExpectedIndex = core.Index(f.uint())
		case 11:
			o.DryRun = f.bool()
		case 12:
			o.Cancel = f.bool()
		case 13:
			m.Trace = f.trace()
		}
	}
	return m, err
}

// stepsMax is how many configurations lie on the way of a change, and some.
const stepsMax = 16

func appendChangeResponse(b []byte, m *core.ChangeResponse) ([]byte, error) {
	if len(m.Steps) > stepsMax {
		return b, fmt.Errorf("wire: %d steps in a message, at most %d", len(m.Steps), stepsMax)
	}
	b = appendHeader(b, &m.Header)
	b = appendUint(b, 2, m.ID)
	b = appendUint(b, 3, uint64(m.Code))
	b = appendFixed64(b, 4, uint64(m.Change))
	b = appendLogID(b, 5, m.At)
	b = appendUint(b, 6, uint64(m.Leader))
	for i := range m.Steps {
		b = appendBytes(b, 7, m.Steps[i].Encode())
	}
	b = appendUint(b, 8, uint64(m.Reason))
	if m.Wrong.Op != 0 {
		b = appendMemberChange(b, 9, &m.Wrong)
	}
	b = appendUint(b, 10, uint64(m.Node))
	b = appendUint(b, 11, m.Lag)
	b = appendFixed64(b, 12, uint64(m.Age))
	b = appendFixed64(b, 13, uint64(m.LastContact))
	b = appendBool(b, 14, m.Joint)
	b = appendUint(b, 15, uint64(m.Index))
	return appendString(b, 16, m.Text), nil
}

func decodeChangeResponse(b []byte) (*core.ChangeResponse, error) {
	m := new(core.ChangeResponse)
	var err error
	for f := (fields{rest: b}); f.next(&err); {
		switch f.number {
		case 1:
			f.header(&m.Header)
		case 2:
			m.ID = f.uint()
		case 3:
			m.Code = core.ChangeCode(f.uint8())
		case 4:
			m.Change = membership.ChangeID(f.fixed64())
		case 5:
			f.logID(&m.At)
		case 6:
			m.Leader = core.NodeID(f.uint())
		case 7:
			f.step(m)
		case 8:
			m.Reason = membership.ChangeReason(f.uint8())
		case 9:
			f.memberChange(&m.Wrong)
		case 10:
			m.Node = core.NodeID(f.uint())
		case 11:
			m.Lag = f.uint()
		case 12:
			m.Age = time.Duration(f.fixed64())
		case 13:
			m.LastContact = time.Duration(f.fixed64())
		case 14:
			m.Joint = f.bool()
		case 15:
			m.Index = core.Index(f.uint())
		case 16:
			m.Text = string(f.bytes())
		}
	}
	return m, err
}

func (f *fields) step(m *core.ChangeResponse) {
	if len(m.Steps) == stepsMax {
		f.fail(malformed("more than %d steps", stepsMax))
		return
	}
	c, err := membership.Decode(f.bytes())
	if err != nil {
		f.fail(malformed("step: %v", err))
		return
	}
	m.Steps = append(m.Steps, c)
}

func appendRemoved(b []byte, m *core.Removed) []byte {
	return appendFixed64(appendLogID(appendHeader(b, &m.Header), 2, m.At), 3, uint64(m.Change))
}

func decodeRemoved(b []byte) (*core.Removed, error) {
	m := new(core.Removed)
	var err error
	for f := (fields{rest: b}); f.next(&err); {
		switch f.number {
		case 1:
			f.header(&m.Header)
		case 2:
			f.logID(&m.At)
		case 3:
			m.Change = membership.ChangeID(f.fixed64())
		}
	}
	return m, err
}

func appendChangeTold(b []byte, number protowire.Number, c *core.ChangeTold) []byte {
	in := appendUint(nil, 1, uint64(c.State))
	in = appendFixed64(in, 2, uint64(c.ID))
	in = appendFixed64(in, 3, uint64(c.Since))
	for i := range c.WaitsFor {
		w := &c.WaitsFor[i]
		in = protowire.AppendTag(in, 4, protowire.BytesType)
		in = protowire.AppendBytes(in, appendString(appendUint(nil, 1, uint64(w.Node)), 2, validUTF8(w.Why)))
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, in)
}

// changeTold skips what is over the bound: a later version may tell more.
func (f *fields) changeTold(c *core.ChangeTold) {
	for in := (fields{rest: f.bytes()}); in.next(&f.err); {
		switch in.number {
		case 1:
			c.State = core.ChangeState(in.uint8())
		case 2:
			c.ID = membership.ChangeID(in.fixed64())
		case 3:
			c.Since = int64(in.fixed64())
		case 4:
			if len(c.WaitsFor) < core.ChangeToldWaitsMax {
				c.WaitsFor = append(c.WaitsFor, in.waiting())
			}
		}
	}
}

func (f *fields) waiting() (w core.Waiting) {
	for in := (fields{rest: f.bytes()}); in.next(&f.err); {
		switch in.number {
		case 1:
			w.Node = core.NodeID(in.uint())
		case 2:
			w.Why = string(in.bytes())
		}
	}
	return w
}
