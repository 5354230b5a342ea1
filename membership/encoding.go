package membership

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The encoding is one version byte, then fields of (tag, length, bytes), tag
// and length as varints. A reader skips fields whose tag it does not know, so
// that a later version can add some; what an old reader must not skip makes the
// version byte a higher one, and nothing else does: so older readers go on reading
// what they can. Version 2 has the target of a change that is not a founding: who
// leads has to finish it.
//
// Field 6 of a member is for its kind, which is derived from the halves today. One
// that is no voter and no learner, such as a witness, will need it, and version 3.
const (
	encodingVersion       = 1
	encodingVersionTarget = 2
)

const (
	fieldMember   = 1
	fieldVoter    = 2
	fieldOutgoing = 3
	// fieldWanted are the members of a founding target, all of which are to vote.
	fieldWanted   = 4
	fieldFounding = 5
	fieldTarget   = 6
	fieldLast     = 7
	// fieldRecovered: a reader that does not know it counts the same votes, so that it
	// needs no higher version.
	fieldRecovered = 8

	fieldID          = 1
	fieldIncarnation = 2
	fieldAddress     = 3
	fieldPriority    = 4
	fieldTag         = 5
	fieldStandby     = 7

	// Of a target, beside fieldMember and fieldVoter.
	fieldTargetID     = 3
	fieldAdded        = 4
	fieldKeepAdded    = 5
	fieldAutomatic    = 6
	fieldSince        = 7
	fieldCatchUpLimit = 8

	// Of an outcome.
	fieldOutcomeID    = 1
	fieldResult       = 2
	fieldOutcomeNode  = 3
	fieldLagEntries   = 4
	fieldSilentMillis = 5
	fieldNothingHeard = 6

	// Of a recovery.
	fieldFrom    = 1
	fieldIndex   = 2
	fieldWithout = 3
)

// ErrEncoding is wrapped by every error of [Decode].
var ErrEncoding = errors.New("membership: not an encoded configuration")

// Encode returns c as bytes, the same for equal configurations.
func (c *Configuration) Encode() []byte {
	b := []byte{encodingVersion}
	if c.Target != nil && !c.Target.Founding {
		b[0] = encodingVersionTarget
	}
	for _, m := range c.Members {
		b = appendField(b, fieldMember, appendMember(nil, m))
	}
	for _, id := range c.Voters {
		b = appendField(b, fieldVoter, appendIdentity(nil, id))
	}
	for _, id := range c.Outgoing {
		b = appendField(b, fieldOutgoing, appendIdentity(nil, id))
	}
	switch t := c.Target; {
	case t == nil:
	case t.Founding:
		for _, m := range t.Members {
			b = appendField(b, fieldWanted, appendMember(nil, m))
		}
	default:
		b = appendField(b, fieldTarget, appendTarget(nil, t))
	}
	if !c.Founding.IsZero() {
		b = appendField(b, fieldFounding, c.Founding[:])
	}
	if !c.Last.IsZero() {
		b = appendField(b, fieldLast, appendOutcome(nil, &c.Last))
	}
	if c.Recovered != nil {
		b = appendField(b, fieldRecovered, appendRecovery(nil, c.Recovered))
	}
	return b
}

func appendRecovery(b []byte, r *Recovery) []byte {
	b = appendField(b, fieldFrom, r.From[:])
	b = appendNumber(b, fieldIndex, r.Index)
	for _, id := range r.Without {
		b = appendField(b, fieldWithout, appendIdentity(nil, id))
	}
	return b
}

func appendTarget(b []byte, t *Target) []byte {
	for _, m := range t.Members {
		b = appendField(b, fieldMember, appendMember(nil, m))
	}
	for _, id := range t.Voters {
		b = appendField(b, fieldVoter, appendIdentity(nil, id))
	}
	b = appendNumber(b, fieldTargetID, uint64(t.ID))
	for _, id := range t.Added {
		b = appendField(b, fieldAdded, appendIdentity(nil, id))
	}
	b = appendTruth(b, fieldKeepAdded, t.KeepAdded)
	b = appendTruth(b, fieldAutomatic, t.Automatic)
	b = appendNumber(b, fieldSince, uint64(t.Since))
	return appendNumber(b, fieldCatchUpLimit, uint64(t.CatchUpLimit/time.Millisecond))
}

func appendOutcome(b []byte, o *Outcome) []byte {
	b = appendNumber(b, fieldOutcomeID, uint64(o.ID))
	b = appendNumber(b, fieldResult, uint64(o.Result))
	b = appendNumber(b, fieldOutcomeNode, uint64(o.Node))
	b = appendNumber(b, fieldLagEntries, o.LagEntries)
	if o.SilentMillis < 0 {
		return appendTruth(b, fieldNothingHeard, true)
	}
	return appendNumber(b, fieldSilentMillis, uint64(o.SilentMillis))
}

func appendField(b []byte, tag uint64, data []byte) []byte {
	b = binary.AppendUvarint(b, tag)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

func appendNumber(b []byte, tag, n uint64) []byte {
	if n == 0 {
		return b
	}
	return appendField(b, tag, binary.AppendUvarint(nil, n))
}

func appendTruth(b []byte, tag uint64, yes bool) []byte {
	if yes {
		return appendNumber(b, tag, 1)
	}
	return b
}

func appendIdentity(b []byte, id Identity) []byte {
	b = appendNumber(b, fieldID, uint64(id.ID))
	return appendNumber(b, fieldIncarnation, uint64(id.Incarnation))
}

func appendMember(b []byte, m Member) []byte {
	b = appendIdentity(b, m.Identity)
	if m.Address != "" {
		b = appendField(b, fieldAddress, []byte(m.Address))
	}
	b = appendNumber(b, fieldPriority, uint64(m.Priority))
	for _, k := range slices.Sorted(maps.Keys(m.Tags)) {
		tag := binary.AppendUvarint(nil, uint64(len(k)))
		tag = append(append(tag, k...), m.Tags[k]...)
		b = appendField(b, fieldTag, tag)
	}
	return appendTruth(b, fieldStandby, m.Standby)
}

// Decode reads what Encode wrote and validates it. It never panics on any
// input and keeps no reference to data. What stands there more often than a
// configuration may have it is refused before the first too many is decoded:
// configurations come from the network.
func Decode(data []byte) (Configuration, error) {
	if len(data) == 0 || data[0] != encodingVersion && data[0] != encodingVersionTarget {
		return Configuration{}, fmt.Errorf("%w: unknown version", ErrEncoding)
	}
	var c Configuration
	var wanted []Member
	err := fields(data[1:], func(tag uint64, data []byte) error {
		switch tag {
		case fieldMember:
			return appendDecoded(&c.Members, "members", data, decodeMember)
		case fieldWanted:
			return appendDecoded(&wanted, "wanted members", data, decodeMember)
		case fieldVoter:
			return appendDecoded(&c.Voters, "voters", data, decodeIdentity)
		case fieldOutgoing:
			return appendDecoded(&c.Outgoing, "outgoing voters", data, decodeIdentity)
		case fieldFounding:
			if len(data) != len(c.Founding) {
				return fmt.Errorf("%w: a founding hash of %d bytes", ErrEncoding, len(data))
			}
			c.Founding = Founding(data)
		case fieldTarget:
			return decodeTarget(&c.Target, data)
		case fieldLast:
			return decodeOutcome(&c.Last, data)
		case fieldRecovered:
			return decodeRecovery(&c.Recovered, data)
		}
		return nil
	})
	if err != nil {
		return Configuration{}, err
	}
	if len(wanted) > 0 {
		if c.Target != nil {
			return Configuration{}, fmt.Errorf("%w: two targets", ErrEncoding)
		}
		c.Target = &Target{Founding: true, Members: wanted, Voters: identitiesOf(wanted)}
	}
	if err := c.Validate(); err != nil {
		return Configuration{}, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return c, nil
}

func decodeTarget(into **Target, data []byte) error {
	if *into != nil {
		return fmt.Errorf("%w: two targets", ErrEncoding)
	}
	t := &Target{}
	*into = t
	return fields(data, func(tag uint64, data []byte) error {
		switch tag {
		case fieldMember:
			return appendDecoded(&t.Members, "wanted members", data, decodeMember)
		case fieldVoter:
			return appendDecoded(&t.Voters, "wanted voters", data, decodeIdentity)
		case fieldAdded:
			return appendDecoded(&t.Added, "added members", data, decodeIdentity)
		}
		n, err := uint64(0), error(nil)
		if tag >= fieldTargetID && tag <= fieldCatchUpLimit {
			n, err = decodeNumber(data)
		}
		switch tag {
		case fieldTargetID:
			t.ID = ChangeID(n)
		case fieldKeepAdded:
			t.KeepAdded = n != 0
		case fieldAutomatic:
			t.Automatic = n != 0
		case fieldSince:
			t.Since = int64(n)
		case fieldCatchUpLimit:
			if n > catchUpLimitMillisMax {
				return fmt.Errorf("%w: catch-up limit out of range", ErrEncoding)
			}
			t.CatchUpLimit = time.Duration(n) * time.Millisecond
		}
		return err
	})
}

func decodeRecovery(into **Recovery, data []byte) error {
	if *into != nil {
		return fmt.Errorf("%w: two recoveries", ErrEncoding)
	}
	r := &Recovery{}
	*into = r
	return fields(data, func(tag uint64, data []byte) (err error) {
		switch tag {
		case fieldFrom:
			if len(data) != len(r.From) {
				return fmt.Errorf("%w: a hash of a cluster id of %d bytes", ErrEncoding, len(data))
			}
			r.From = [16]byte(data)
		case fieldIndex:
			r.Index, err = decodeNumber(data)
		case fieldWithout:
			return appendDecoded(&r.Without, "members left behind", data, decodeIdentity)
		}
		return err
	})
}

// catchUpLimitMillisMax is what fits a duration.
const catchUpLimitMillisMax = uint64(1<<63-1) / uint64(time.Millisecond)

func decodeOutcome(o *Outcome, data []byte) error {
	*o = Outcome{}
	return fields(data, func(tag uint64, data []byte) error {
		if tag < fieldOutcomeID || tag > fieldNothingHeard {
			return nil
		}
		n, err := decodeNumber(data)
		switch tag {
		case fieldOutcomeID:
			o.ID = ChangeID(n)
		case fieldResult:
			if n == 0 || n > 255 {
				return fmt.Errorf("%w: result out of range", ErrEncoding)
			}
			o.Result = Result(n)
		case fieldOutcomeNode:
			o.Node = NodeID(n)
		case fieldLagEntries:
			o.LagEntries = n
		case fieldSilentMillis:
			o.SilentMillis = int64(min(n, 1<<63-1))
		case fieldNothingHeard:
			if n != 0 {
				o.SilentMillis = -1
			}
		}
		return err
	})
}

func appendDecoded[T any](list *[]T, name string, data []byte, decode func([]byte) (T, error)) error {
	if len(*list) == MembersMax {
		return fmt.Errorf("%w: more than %d %s", ErrEncoding, MembersMax, name)
	}
	item, err := decode(data)
	if err == nil {
		*list = append(*list, item)
	}
	return err
}

// decodeIdentity reads as much of a member as counts in a half.
func decodeIdentity(data []byte) (id Identity, err error) {
	err = fields(data, func(tag uint64, data []byte) error { return id.take(tag, data) })
	return id, err
}

// take reads a field if it is one of an identity.
func (i *Identity) take(tag uint64, data []byte) error {
	if tag != fieldID && tag != fieldIncarnation {
		return nil
	}
	n, err := decodeNumber(data)
	if tag == fieldID {
		i.ID = NodeID(n)
	} else {
		i.Incarnation = Incarnation(n)
	}
	return err
}

func decodeNumber(data []byte) (uint64, error) {
	n, size := binary.Uvarint(data)
	if size != len(data) {
		return 0, fmt.Errorf("%w: bad number", ErrEncoding)
	}
	return n, nil
}

func decodeMember(data []byte) (Member, error) {
	var m Member
	var tags [TagsMax][]byte
	count := 0
	err := fields(data, func(tag uint64, data []byte) error {
		switch tag {
		case fieldPriority:
			n, err := decodeNumber(data)
			if n > 1<<32-1 {
				return fmt.Errorf("%w: priority out of range", ErrEncoding)
			}
			m.Priority = uint32(n)
			return err
		case fieldStandby:
			n, err := decodeNumber(data)
			m.Standby = n != 0
			return err
		case fieldAddress:
			m.Address = string(data)
		case fieldTag:
			if count == TagsMax {
				return fmt.Errorf("%w: member %d: more than %d tags", ErrEncoding, m.ID, TagsMax)
			}
			tags[count] = data
			count++
		}
		return m.take(tag, data)
	})
	if err == nil && count > 0 {
		m.Tags, err = decodeTags(tags[:count])
	}
	return m, err
}

// decodeTags makes the map once, in its size: one that grows costs twice as much.
func decodeTags(encoded [][]byte) (map[string]string, error) {
	tags := make(map[string]string, len(encoded))
	for _, data := range encoded {
		n, size := binary.Uvarint(data)
		if size <= 0 || n > uint64(len(data)-size) {
			return nil, fmt.Errorf("%w: bad tag", ErrEncoding)
		}
		tags[string(data[size:size+int(n)])] = string(data[size+int(n):])
	}
	return tags, nil
}

func fields(data []byte, field func(tag uint64, data []byte) error) error {
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return fmt.Errorf("%w: truncated", ErrEncoding)
		}
		data = data[n:]
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return fmt.Errorf("%w: truncated", ErrEncoding)
		}
		if err := field(tag, data[n:n+int(size)]); err != nil {
			return err
		}
		data = data[n+int(size):]
	}
	return nil
}
