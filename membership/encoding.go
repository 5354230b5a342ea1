package membership

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// The encoding is one version byte, then fields of (tag, length, bytes), tag
// and length as varints. A reader skips fields whose tag it does not know, so
// that a later version can add some; a change that an old reader must not skip
// gets a new version byte.
const encodingVersion = 1

const (
	fieldMember   = 1
	fieldVoter    = 2
	fieldOutgoing = 3
	fieldWanted   = 4

	fieldID          = 1
	fieldIncarnation = 2
	fieldAddress     = 3
	fieldPriority    = 4
	fieldTag         = 5
)

// ErrEncoding is wrapped by every error of [Decode].
var ErrEncoding = errors.New("membership: not an encoded configuration")

// Encode returns c as bytes, the same for equal configurations.
func (c *Configuration) Encode() []byte {
	b := []byte{encodingVersion}
	for _, m := range c.Members {
		b = appendField(b, fieldMember, appendMember(nil, m))
	}
	for _, id := range c.Voters {
		b = appendField(b, fieldVoter, appendIdentity(nil, id))
	}
	for _, id := range c.Outgoing {
		b = appendField(b, fieldOutgoing, appendIdentity(nil, id))
	}
	for _, m := range c.Wanted {
		b = appendField(b, fieldWanted, appendMember(nil, m))
	}
	return b
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
	return b
}

// Decode reads what Encode wrote and validates it. It never panics on any
// input and keeps no reference to data.
func Decode(data []byte) (Configuration, error) {
	if len(data) == 0 || data[0] != encodingVersion {
		return Configuration{}, fmt.Errorf("%w: unknown version", ErrEncoding)
	}
	var c Configuration
	err := fields(data[1:], func(tag uint64, data []byte) error {
		switch tag {
		case fieldMember, fieldWanted:
			m, err := decodeMember(data)
			if tag == fieldMember {
				c.Members = append(c.Members, m)
			} else {
				c.Wanted = append(c.Wanted, m)
			}
			return err
		case fieldVoter, fieldOutgoing:
			m, err := decodeMember(data)
			if tag == fieldVoter {
				c.Voters = append(c.Voters, m.Identity)
			} else {
				c.Outgoing = append(c.Outgoing, m.Identity)
			}
			return err
		}
		return nil
	})
	if err != nil {
		return Configuration{}, err
	}
	if err := c.Validate(); err != nil {
		return Configuration{}, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return c, nil
}

func decodeMember(data []byte) (Member, error) {
	var m Member
	err := fields(data, func(tag uint64, data []byte) error {
		switch tag {
		case fieldID, fieldIncarnation, fieldPriority:
			n, size := binary.Uvarint(data)
			if size != len(data) {
				return fmt.Errorf("%w: bad number", ErrEncoding)
			}
			switch tag {
			case fieldID:
				m.ID = NodeID(n)
			case fieldIncarnation:
				m.Incarnation = Incarnation(n)
			default:
				if n > 1<<32-1 {
					return fmt.Errorf("%w: priority out of range", ErrEncoding)
				}
				m.Priority = uint32(n)
			}
		case fieldAddress:
			m.Address = string(data)
		case fieldTag:
			n, size := binary.Uvarint(data)
			if size <= 0 || n > uint64(len(data)-size) {
				return fmt.Errorf("%w: bad tag", ErrEncoding)
			}
			if m.Tags == nil {
				m.Tags = make(map[string]string)
			}
			m.Tags[string(data[size:size+int(n)])] = string(data[size+int(n):])
		}
		return nil
	})
	return m, err
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
