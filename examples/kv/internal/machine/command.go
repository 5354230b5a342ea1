package machine

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits of the store, checked where requests come in. The machines refuse
// commands that break them.
const (
	// KeyBytesMax is the longest key; the shortest has one byte.
	KeyBytesMax = 512
	// ValueBytesMax is the longest value.
	ValueBytesMax = 1 << 20
)

// errCommand is wrapped by the errors of decode. Such an entry was not written
// by this program, or by a later version of it: the machine stops rather than
// guess, because its copies must not differ.
var errCommand = errors.New("machine: not a command of this version")

type operation uint8

const (
	opPut operation = iota + 1
	opDelete
	opSwap
)

// commandVersion is the first byte of each command.
const commandVersion = 1

// Flags of a compare-and-swap: which of its two values are there at all.
const (
	hasOld = 1 << iota
	hasNew
)

type command struct {
	operation operation
	key       string
	// old and new are nil for "absent". They share memory with the entry.
	old, new []byte
}

// Put is the command that sets a key.
func Put(key string, value []byte) []byte {
	return append(header(opPut, key, len(value)), value...)
}

// Delete is the command that removes a key; an absent one stays absent.
func Delete(key string) []byte { return header(opDelete, key, 0) }

// CompareAndSwap is the command that sets a key to new, or removes it if new is
// nil, if its value is old, or if it is absent and old is nil. [Swapped] reads
// its result.
func CompareAndSwap(key string, old, new []byte) []byte {
	b := header(opSwap, key, 1+binary.MaxVarintLen32+len(old)+len(new))
	var flags byte
	if old != nil {
		flags |= hasOld
	}
	if new != nil {
		flags |= hasNew
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(len(old)))
	b = append(b, old...)
	return append(b, new...)
}

func header(op operation, key string, room int) []byte {
	b := make([]byte, 0, 2+binary.MaxVarintLen32+len(key)+room)
	b = append(b, commandVersion, byte(op))
	b = binary.AppendUvarint(b, uint64(len(key)))
	return append(b, key...)
}

// Swapped reads the result of a CompareAndSwap command.
func Swapped(result []byte) bool { return len(result) == 1 && result[0] == 1 }

var (
	swapped    = []byte{1}
	notSwapped = []byte{0}
)

// decode reads a command. It never panics, and what it returns shares memory
// with data.
func decode(data []byte) (command, error) {
	if len(data) < 2 || data[0] != commandVersion {
		return command{}, fmt.Errorf("%w: unknown version", errCommand)
	}
	c := command{operation: operation(data[1])}
	key, rest, ok := cut(data[2:])
	if !ok || len(key) == 0 || len(key) > KeyBytesMax {
		return command{}, fmt.Errorf("%w: bad key", errCommand)
	}
	c.key = string(key)
	switch c.operation {
	case opPut:
		c.new = rest
	case opDelete:
		ok = len(rest) == 0
	case opSwap:
		ok = c.decodeSwap(rest)
	default:
		return command{}, fmt.Errorf("%w: operation %d", errCommand, c.operation)
	}
	if !ok || len(c.new) > ValueBytesMax {
		return command{}, fmt.Errorf("%w: bad value", errCommand)
	}
	return c, nil
}

// Describe says what a command does, for people.
func Describe(data []byte) string {
	c, err := decode(data)
	if err != nil {
		return err.Error()
	}
	switch c.operation {
	case opPut:
		return fmt.Sprintf("put %q, %d bytes", c.key, len(c.new))
	case opDelete:
		return fmt.Sprintf("delete %q", c.key)
	}
	return fmt.Sprintf("cas %q", c.key)
}

func (c *command) decodeSwap(data []byte) bool {
	if len(data) == 0 || data[0]&^(hasOld|hasNew) != 0 {
		return false
	}
	flags := data[0]
	old, rest, ok := cut(data[1:])
	if !ok {
		return false
	}
	if flags&hasOld != 0 {
		c.old = old
	} else if len(old) > 0 {
		return false
	}
	if flags&hasNew != 0 {
		c.new = rest
	} else if len(rest) > 0 {
		return false
	}
	return true
}

// cut splits a length-prefixed part off data. The parts are never nil.
func cut(data []byte) (part, rest []byte, ok bool) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return nil, nil, false
	}
	end := n + int(size)
	return data[n:end:end], data[end:], true
}
