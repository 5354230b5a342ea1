// Package foreign hands things to code that is not this module's, a logger or a
// meter, for those who must not wait for it (rule 28 of package core): it may
// block, panic, or end its goroutine.
//
// [One] and [Each] call it, [Queue] lets nobody wait for it, [Go] lets it run for as
// long as it likes, [NewHandler] makes a logger of whatever takes lines without
// waiting, and [NewLogger] one of a queue.
package foreign
