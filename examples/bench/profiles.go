package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"runtime/trace"
)

// profiles are the files that a run writes beside its result.
type profiles struct {
	cpu, trace  *os.File // nil where none is written
	allocations string
}

// startProfiles begins what covers the measured time.
func startProfiles(s *settings) (p *profiles, err error) {
	p = &profiles{allocations: s.memProfile}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop())
		}
	}()
	if s.cpuProfile != "" {
		if p.cpu, err = os.Create(s.cpuProfile); err != nil {
			return p, fmt.Errorf("-cpuprofile: %w", err)
		}
		if err = pprof.StartCPUProfile(p.cpu); err != nil {
			return p, fmt.Errorf("-cpuprofile: %w", err)
		}
	}
	if s.execTrace != "" {
		if p.trace, err = os.Create(s.execTrace); err != nil {
			return p, fmt.Errorf("-exectrace: %w", err)
		}
		if err = trace.Start(p.trace); err != nil {
			return p, fmt.Errorf("-exectrace: %w", err)
		}
	}
	return p, nil
}

// stop ends them and closes their files.
func (p *profiles) stop() error {
	var failures []error
	if p.cpu != nil {
		pprof.StopCPUProfile()
		failures = append(failures, p.cpu.Close())
	}
	if p.trace != nil {
		trace.Stop()
		failures = append(failures, p.trace.Close())
	}
	return errors.Join(failures...)
}

// writeAllocations writes what was allocated since the process began.
func (p *profiles) writeAllocations() error {
	if p.allocations == "" {
		return nil
	}
	file, err := os.Create(p.allocations)
	if err != nil {
		return fmt.Errorf("-memprofile: %w", err)
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}
