package simulation

import (
	"fmt"
	"io"
	"time"
)

// trace is the history of a run. It is always hashed, and written out as lines
// only on demand. Nothing that depends on addresses, map order or the wall
// clock may enter it.
type trace struct {
	clock *clock
	hash  uint64
	count uint64
	lines io.Writer // nil: only the hash
}

// kind names what a line of the trace tells.
type kind uint8

const (
	traceRun kind = iota + 1
	traceSend
	traceDeliver
	traceConnection
	traceCall
	traceTorn
	traceDisk
	traceApply
	traceRestore
	traceStatus
	traceLife
	traceFault
	traceClient
	traceVerdict
)

var kindNames = [...]string{
	"", "run", "send", "deliver", "connection", "call", "torn", "disk", "apply", "restore", "status", "life", "fault", "client", "verdict",
}

// add enters one happening at a node, 0 if it is nobody's. The values are
// hashed.
func (t *trace) add(k kind, node uint64, values ...uint64) {
	t.count++
	h := mix(t.hash, uint64(t.clock.now))
	h = mix(h, uint64(k)<<32|node)
	for _, v := range values {
		h = mix(h, v)
	}
	t.hash = h
	if t.lines != nil {
		fmt.Fprintf(t.lines, "%12.6fms n%d %s %x", float64(t.clock.now)/float64(time.Millisecond), node, kindNames[k], values)
		fmt.Fprintln(t.lines)
	}
}

// on reports whether say is worth its arguments.
func (t *trace) on() bool { return t.lines != nil }

// say explains, in words, what add has entered.
func (t *trace) say(format string, arguments ...any) {
	if t.lines != nil {
		fmt.Fprintf(t.lines, "%32s", "")
		fmt.Fprintf(t.lines, format, arguments...)
		fmt.Fprintln(t.lines)
	}
}

// mix folds v into h; equal sequences give equal hashes, and different ones
// almost never.
func mix(h, v uint64) uint64 {
	h ^= v * 0x9e3779b97f4a7c15
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 29
	return h
}

// hashBytes is mix over data.
func hashBytes(h uint64, data []byte) uint64 {
	h = mix(h, uint64(len(data)))
	for len(data) >= 8 {
		h = mix(h, uint64(data[0])|uint64(data[1])<<8|uint64(data[2])<<16|uint64(data[3])<<24|
			uint64(data[4])<<32|uint64(data[5])<<40|uint64(data[6])<<48|uint64(data[7])<<56)
		data = data[8:]
	}
	var tail uint64
	for i, b := range data {
		tail |= uint64(b) << (8 * i)
	}
	return mix(h, tail)
}

// hashString is hashBytes of a text.
func hashString(s string) uint64 { return hashBytes(1, []byte(s)) }
