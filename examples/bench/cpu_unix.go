//go:build unix

package main

import (
	"syscall"
	"time"
)

// usage is what the process has taken of the machine so far.
type usage struct {
	cpu time.Duration // user and system
	// waits is how often a thread went to sleep of its own accord.
	waits int64
}

func takenSoFar() usage {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return usage{}
	}
	return usage{cpu: time.Duration(u.Utime.Nano() + u.Stime.Nano()), waits: int64(u.Nvcsw)}
}
