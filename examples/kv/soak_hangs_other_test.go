//go:build unix && !linux

package main

import "errors"

// What these faults need is Linux's.

func mountMemory(string, uint64) error              { return errors.ErrUnsupported }
func resizeMemory(string, uint64) error             { return errors.ErrUnsupported }
func unmountMemory(string) error                    { return errors.ErrUnsupported }
func usedBytes(string) (uint64, error)              { return 0, errors.ErrUnsupported }
func limitFiles(int) (lift func() error, err error) { return nil, errors.ErrUnsupported }
