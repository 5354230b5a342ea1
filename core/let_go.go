package core

import "fmt"

// LetGo is why the log is not kept any more for somebody who needed it.
type LetGo uint8

const (
	// LetGoBytes: more would be held than Settings.HoldBytesMax.
	LetGoBytes LetGo = iota
	// LetGoTime: he has made no progress for Settings.HoldTimeMax.
	LetGoTime
	// LetGoNode: all groups of the node together would hold more than they are to.
	LetGoNode
	// LetGoRoom: the disk is nearly full, and writes would be refused soon.
	LetGoRoom

	letGoEnd
)

// LetGoCounts are how many were let go of, by why.
type LetGoCounts [letGoEnd]uint64

// tell says it, for people, where at most so much may be held.
func (l LetGo) tell(bytesMax uint64) string {
	switch l {
	case LetGoNode:
		return fmt.Sprintf("the groups of this node would keep more than they may together, and of this one at most %d bytes", bytesMax)
	case LetGoRoom:
		return "the disk of this node is nearly full"
	}
	return fmt.Sprintf("more than %d bytes would be kept", bytesMax)
}
