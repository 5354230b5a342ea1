package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// settings are what the flags say, and what tests change.
type settings struct {
	load  time.Duration
	rate  float64 // writes a second
	ui    string
	ratio *float64 // nil: the environment, or the default

	// dir is where the temporary directory is made, "" the system's place.
	dir string
	// electionTimeout is that of the nodes, 0 the default.
	electionTimeout time.Duration
	// answerLimit is for how long a collector may keep the first spans.
	answerLimit time.Duration
}

func defaults() settings {
	return settings{load: 10 * time.Second, rate: 20, ui: "http://127.0.0.1:16686", answerLimit: 5 * time.Second}
}

// usageError is the caller's mistake, rather than the world's.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func misuse(format string, arguments ...any) error {
	return usageError{fmt.Errorf(format, arguments...)}
}

const usageText = `Jaeger runs a cluster of three nodes under a light load, and exports its traces
to OTEL_EXPORTER_OTLP_ENDPOINT (default 127.0.0.1:4317, gRPC). It prints which
trace shows what, with links.

`

const (
	secondsMax = 86_400
	rateMax    = 10_000
)

// parseSettings reads the flags. Its error is a usageError, or flag.ErrHelp when
// the usage was asked for and has been written to out.
func parseSettings(arguments []string, out io.Writer) (settings, error) {
	s := defaults()
	flags := flag.NewFlagSet("jaeger", flag.ContinueOnError)
	seconds := flags.Float64("seconds", s.load.Seconds(), "for how many `seconds` the load goes on at least; it goes on until everything has been shown")
	flags.Float64Var(&s.rate, "rate", s.rate, "writes a second, beside what is shown; 0 for none")
	flags.StringVar(&s.ui, "ui", s.ui, "`URL` of Jaeger's UI, with which links begin")
	flags.Func("trace-ratio", "part of the load that is traced, `0 to 1` (default OTEL_TRACES_SAMPLER, or at most 10 new traces a second); what is shown is always traced", func(text string) error {
		ratio, err := strconv.ParseFloat(text, 64)
		if err != nil || !(ratio >= 0 && ratio <= 1) {
			return errors.New("not a number from 0 to 1")
		}
		s.ratio = &ratio
		return nil
	})
	flags.SetOutput(io.Discard) // errors are reported once, by the caller
	flags.Usage = func() {}
	err := flags.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usageText)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return s, err
	case err != nil:
		return s, usageError{err}
	case flags.NArg() > 0:
		return s, misuse("unexpected argument %q", flags.Arg(0))
	case !(*seconds > 0 && *seconds <= secondsMax):
		return s, misuse("-seconds %v: not above 0 and up to %d", *seconds, secondsMax)
	case !(s.rate >= 0 && s.rate <= rateMax):
		return s, misuse("-rate %v: not between 0 and %d", s.rate, rateMax)
	}
	s.load = time.Duration(*seconds * float64(time.Second))
	s.ui = strings.TrimRight(s.ui, "/")
	if u, err := url.Parse(s.ui); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return s, misuse("-ui %q: not http://HOST:PORT or https://HOST:PORT", s.ui)
	}
	return s, nil
}
