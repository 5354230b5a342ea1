package main

import (
	"syscall"
	"time"
)

// usage is what the process has taken of the machine so far.
type usage struct {
	cpu time.Duration // user and system
	// waits is not known here.
	waits int64
}

func takenSoFar() usage {
	var created, exited, system, user syscall.Filetime
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		return usage{}
	}
	if err := syscall.GetProcessTimes(process, &created, &exited, &system, &user); err != nil {
		return usage{}
	}
	return usage{cpu: duration(system) + duration(user)}
}

// duration reads a length of time, which counts 100 ns each.
func duration(t syscall.Filetime) time.Duration {
	return time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime)) * 100
}
