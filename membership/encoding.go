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
	fieldFounding = 5

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
	if !c.Founding.IsZero() {
		b = appendField(b, fieldFounding, c.Founding[:])
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
// input and keeps no reference to data. What stands there more often than a
// configuration may have it is refused before the first too many is decoded:
// configurations come from the network.
func Decode(data []byte) (Configuration, error) {
	if len(data) == 0 || data[0] != encodingVersion {
		return Configuration{}, fmt.Errorf("%w: unknown version", ErrEncoding)
	}
	var c Configuration
	err := fields(data[1:], func(tag uint64, data []byte) error {
		switch tag {
		case fieldMember:
			return appendDecoded(&c.Members, "members", data, decodeMember)
		case fieldWanted:
			return appendDecoded(&c.Wanted, "wanted members", data, decodeMember)
		case fieldVoter:
			return appendDecoded(&c.Voters, "voters", data, decodeIdentity)
		case fieldOutgoing:
			return appendDecoded(&c.Outgoing, "outgoing voters", data, decodeIdentity)
		case fieldFounding:
			if len(data) != len(c.Founding) {
				return fmt.Errorf("%w: a founding hash of %d bytes", ErrEncoding, len(data))
			}
			c.Founding = Founding(data)
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
