package otlp

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"

	"github.com/trouperaft/troupe/tracing"
)

// settings are what Options and the environment come to.
type settings struct {
	disabled bool
	http     bool
	// endpoint is a URL.
	endpoint string
	// sampler is for the writes and reads that have no caller's span, callers
	// for spans of others that have no parent.
	sampler tracing.Sampler
	callers sdktrace.Sampler
	batch   batchSettings
}

const (
	variableDisabled   = "OTEL_SDK_DISABLED"
	variableExporter   = "OTEL_TRACES_EXPORTER"
	variableSampler    = "OTEL_TRACES_SAMPLER"
	variableSamplerArg = "OTEL_TRACES_SAMPLER_ARG"
	// The two halves of a variable that may be said of traces alone.
	variablePrefix = "OTEL_EXPORTER_OTLP_"
	variableTraces = "OTEL_EXPORTER_OTLP_TRACES_"
)

// variable returns the value of the first variable that is set and not empty.
func variable(names ...string) (name, value string) {
	for _, name := range names {
		if value := strings.TrimSpace(os.Getenv(name)); value != "" {
			return name, value
		}
	}
	return "", ""
}

// ofTraces returns a variable of the exporter, that of traces first.
func ofTraces(suffix string) (name, value string) {
	return variable(variableTraces+suffix, variablePrefix+suffix)
}

func wrong(name, value, wanted string) error {
	return fmt.Errorf("otlp: %s is %q; it is %s", name, value, wanted)
}

func readSettings(o *Options) (*settings, error) {
	s := &settings{}
	if _, err := readBool(&s.disabled, variableDisabled); err != nil {
		return nil, err
	}
	switch name, value := variable(variableExporter); value {
	case "none":
		s.disabled = true
	case "", "otlp":
	default:
		return nil, wrong(name, value, "otlp or none")
	}
	if s.disabled {
		return s, nil
	}
	switch name, value := ofTraces("PROTOCOL"); value {
	case "", "grpc":
	case "http/protobuf":
		s.http = true
	default:
		return nil, wrong(name, value, "grpc or http/protobuf")
	}
	for _, read := range []func(*Options) error{s.readEndpoint, s.readSampler, s.readBatch, s.checkRest} {
		if err := read(o); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func readBool(into *bool, names ...string) (set bool, err error) {
	name, value := variable(names...)
	switch strings.ToLower(value) {
	case "":
		return false, nil
	case "true", "false":
		*into = strings.EqualFold(value, "true")
		return true, nil
	}
	return false, wrong(name, value, "true or false")
}

// readEndpoint makes a URL of what was given.
func (s *settings) readEndpoint(o *Options) error {
	insecure := true
	insecureSet, err := readBool(&insecure, variableTraces+"INSECURE", variablePrefix+"INSECURE")
	if err != nil {
		return err
	}
	name, value := "Options.Endpoint", o.Endpoint
	if value == "" {
		name, value = ofTraces("ENDPOINT")
	} else {
		insecureSet = false
	}
	if value == "" {
		name, value = "the default endpoint", "127.0.0.1:4317"
		if s.http {
			value = "127.0.0.1:4318"
		}
	}
	const wanted = "HOST:PORT, http://HOST:PORT or https://HOST:PORT"
	if !strings.Contains(value, "://") {
		if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
			return wrong(name, value, wanted)
		}
		scheme := "http://"
		if insecureSet && !insecure {
			scheme = "https://"
		}
		value = scheme + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return wrong(name, value, wanted)
	}
	// The general variable names the collector, that of traces the place itself.
	if s.http && (name != variableTraces+"ENDPOINT" || u.Path == "") {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/v1/traces"
	}
	s.endpoint = u.String()
	return nil
}

// exporter makes the client. The rest of the variables it reads itself.
func (s *settings) exporter(ctx context.Context, a *attempts) (sdktrace.SpanExporter, error) {
	if s.http {
		return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(s.endpoint))
	}
	return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(s.endpoint), otlptracegrpc.WithDialOption(grpc.WithChainUnaryInterceptor(a.intercept)))
}

// readSampler chooses the samplers. That of writes and reads: the option, the
// variable, the default. That of others: the variable, else OpenTelemetry's own
// default, which takes all. A caller is followed by every one of them.
func (s *settings) readSampler(o *Options) error {
	if err := s.readSamplerVariable(); err != nil || o.Ratio == nil {
		return err
	}
	if !(*o.Ratio >= 0 && *o.Ratio <= 1) {
		return fmt.Errorf("otlp: Options.Ratio is %v; it is from 0 to 1", *o.Ratio)
	}
	s.sampler = tracing.NewRatioSampler(*o.Ratio)
	return nil
}

func (s *settings) readSamplerVariable() error {
	set := func(ratio float64) {
		s.sampler, s.callers = tracing.NewRatioSampler(ratio), sdktrace.TraceIDRatioBased(ratio)
	}
	name, value := variable(variableSampler)
	switch strings.ToLower(value) {
	case "":
		s.sampler, s.callers = tracing.NewRateSampler(tracing.TracesPerSecondDefault), sdktrace.AlwaysSample()
	case "always_on", "parentbased_always_on":
		set(1)
	case "always_off", "parentbased_always_off":
		set(0)
	case "traceidratio", "parentbased_traceidratio":
		ratio := 1.0
		if name, value := variable(variableSamplerArg); value != "" {
			var err error
			if ratio, err = strconv.ParseFloat(value, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
				return wrong(name, value, "a number from 0 to 1")
			}
		}
		set(ratio)
	default:
		return wrong(name, value, "always_on, always_off, traceidratio, or one of these behind parentbased_")
	}
	return nil
}

func (s *settings) readBatch(*Options) error {
	var delayMillis, timeoutMillis int
	for _, v := range []struct {
		name         string
		into         *int
		least, usual int
	}{
		{"OTEL_BSP_MAX_QUEUE_SIZE", &s.batch.queueSpansMax, 1, sdktrace.DefaultMaxQueueSize},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &s.batch.batchSpansMax, 1, sdktrace.DefaultMaxExportBatchSize},
		{"OTEL_BSP_SCHEDULE_DELAY", &delayMillis, 0, delayMillisDefault},
		{"OTEL_BSP_EXPORT_TIMEOUT", &timeoutMillis, 1, sdktrace.DefaultExportTimeout},
	} {
		*v.into = v.usual
		if name, value := variable(v.name); value != "" {
			n, err := strconv.Atoi(value)
			if err != nil || n < v.least {
				return wrong(name, value, fmt.Sprintf("a whole number from %d on", v.least))
			}
			*v.into = n
		}
	}
	s.batch.batchSpansMax = min(s.batch.batchSpansMax, s.batch.queueSpansMax)
	s.batch.delay = time.Duration(delayMillis) * time.Millisecond
	s.batch.timeout = time.Duration(timeoutMillis) * time.Millisecond
	return nil
}

// delayMillisDefault is shorter than OpenTelemetry's 5,000: a trace is looked at
// soon after it was made.
const delayMillisDefault = 1000

// checkRest refuses what the exporter would pass over in silence.
func (s *settings) checkRest(*Options) error {
	if name, value := ofTraces("TIMEOUT"); value != "" {
		if n, err := strconv.Atoi(value); err != nil || n < 0 {
			return wrong(name, value, "a whole number of milliseconds")
		}
	}
	if name, value := ofTraces("COMPRESSION"); value != "" && value != "gzip" && value != "none" {
		return wrong(name, value, "gzip or none")
	}
	if name, value := ofTraces("HEADERS"); value != "" {
		for _, pair := range strings.Split(value, ",") {
			key, _, ok := strings.Cut(pair, "=")
			if !ok || strings.TrimSpace(key) == "" {
				return wrong(name, value, "a list of KEY=VALUE, with commas between")
			}
		}
	}
	return nil
}
