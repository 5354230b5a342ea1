//go:build !linux

package main

import "time"

// sleepPrecisely is time.Sleep where nothing better is at hand.
func sleepPrecisely(d time.Duration) { time.Sleep(d) }
