package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// attempts watches each attempt to reach the collector. The exporters repeat a
// failed one for as long as an export may take, and tell nobody why meanwhile.
type attempts struct {
	endpoint string
	logger   *slog.Logger

	mu sync.Mutex
	// cause is why the last attempt failed, nil if it went well or there was
	// none. hint is what may have been in its way: of several addresses one may
	// do.
	cause, hint error
	// warned says that the log has been told, when it was at last.
	warned   bool
	warnedAt time.Time
	// cut ends the export under way, nil while there is none. refused: it has had
	// an attempt that failed, and waits for the next one.
	cut     context.CancelCauseFunc
	refused bool
	// ending: there is to be no second attempt.
	ending bool
}

// errNoSecondAttempt ends an export whose attempt has failed, at the end.
var errNoSecondAttempt = errors.New("otlp: the exporter ends")

// end lets exports fail with their first attempt from now on. The exporters wait
// for seconds before they try again, which is longer than an end should take.
func (a *attempts) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ending = true
	a.cutIfRefused()
}

// attempt begins an attempt of the export under way.
func (a *attempts) attempt() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = false
}

// refuse takes that the attempt failed.
func (a *attempts) refuse() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = true
	a.cutIfRefused()
}

// cutIfRefused is called with the lock held.
func (a *attempts) cutIfRefused() {
	if a.ending && a.refused && a.cut != nil {
		a.cut(errNoSecondAttempt)
	}
}

// begin takes an export that begins. cut ends it.
func (a *attempts) begin(cut context.CancelCauseFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut, a.refused = cut, false
}

// over takes that the export has ended.
func (a *attempts) over() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut = nil
}

// warningsApart is how far apart warnings are at least, however often exports
// begin to fail.
const warningsApart = time.Minute

func newAttempts(endpoint string, logger *slog.Logger) *attempts {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &attempts{endpoint: endpoint, logger: logger}
}

// failed takes why an attempt failed. One that was broken off, because its own
// context had ended, says nothing about the collector that an earlier one has not
// said better.
func (a *attempts) failed(ctx context.Context, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ctx.Err() != nil && (a.cause != nil || !tells(err)) {
		return
	}
	begins := a.cause == nil
	a.cause = err
	if now := time.Now(); begins && (a.warnedAt.IsZero() || now.Sub(a.warnedAt) >= warningsApart) {
		a.warned, a.warnedAt = true, now
		a.logger.Warn("spans cannot be exported", slog.String("endpoint", a.endpoint), slog.Any("error", err))
	}
}

// succeeded takes that the collector has taken spans.
func (a *attempts) succeeded(dropped uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.warned {
		a.logger.Info("spans are exported again", slog.String("endpoint", a.endpoint), slog.Uint64("dropped", dropped))
	}
	a.cause, a.hint, a.warned = nil, nil, false
}

// tells reports whether err says more than that a context was cancelled.
func tells(err error) bool {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(many.Unwrap(), tells)
	}
	if inner := errors.Unwrap(err); inner != nil {
		return tells(inner)
	}
	return err != context.Canceled && err != context.DeadlineExceeded && status.Code(err) != codes.Canceled
}

// reason is why the last attempt failed, or err if that is not known.
func (a *attempts) reason(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cause != nil {
		return a.cause
	}
	return err
}

// explain wraps err, which ended the wait for an export, with the endpoint and
// why the last attempt failed, as far as err does not say it.
func (a *attempts) explain(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	cause := a.cause
	if cause == nil {
		cause = a.hint
	}
	if cause == nil || errors.Is(err, cause) {
		return fmt.Errorf("otlp: %s has not taken the spans: %w", a.endpoint, err)
	}
	return fmt.Errorf("otlp: %s has not taken the spans: %w: %w", a.endpoint, err, cause)
}

// intercept is a gRPC client's interceptor.
func (a *attempts) intercept(ctx context.Context, method string, request, reply any, c *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	a.attempt()
	err := invoke(ctx, method, request, reply, c, o...)
	if err != nil {
		a.failed(ctx, err)
		a.refuse()
	}
	return err
}

// watch returns a context whose HTTP requests are watched, as far as they do not
// get to the collector.
func (a *attempts) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) {
			if i.Err != nil {
				a.failed(ctx, i.Err)
			}
		},
		ConnectDone: func(_, _ string, err error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.hint = err
		},
	})
}
