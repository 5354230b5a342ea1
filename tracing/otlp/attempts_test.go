package otlp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// lines is a logger, and what it has logged, line by line.
func lines() (*slog.Logger, <-chan string) {
	c := make(chan string, 100)
	return slog.New(slog.NewTextHandler(toLines(c), nil)), c
}

type toLines chan string

func (c toLines) Write(b []byte) (int, error) {
	c <- string(b)
	return len(b), nil
}

// nowhere is an address that nobody listens on.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestUnreachableCollector asserts that the log, Flush and Shutdown tell what is
// wrong, and with which endpoint, long before the exporter gives up.
func TestUnreachableCollector(t *testing.T) {
	refused := func(t *testing.T) string { return nowhere(t) }
	for _, test := range []struct {
		name, protocol, says string
		endpoint             func(t *testing.T) string
		retried              bool
	}{
		{"grpc", "grpc", "connection refused", refused, true},
		{"http", "http/protobuf", "connection refused", refused, false},
		{"not a collector", "http/protobuf", "404", func(t *testing.T) string {
			s := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(s.Close)
			return strings.TrimPrefix(s.URL, "http://")
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", test.protocol)
			logger, logged := lines()
			e := setup(t, Options{Endpoint: test.endpoint(t), Logger: logger})
			makeSpans(e, 1)
			// Whoever flushes waits for no longer than his context says, which
			// ends when the log has told the cause.
			ctx, cancel := context.WithCancel(within(t, 20*time.Second))
			defer cancel()
			told := make(chan string, 1)
			go func() {
				select {
				case line := <-logged:
					told <- line
				case <-ctx.Done():
					told <- ""
				}
				if test.retried {
					cancel()
				}
			}()
			err := e.Flush(ctx)
			if line := <-told; !strings.Contains(line, "WARN") || !strings.Contains(line, test.says) || !strings.Contains(line, "endpoint="+e.Endpoint()) {
				t.Errorf("the log says %q", line)
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), e.Endpoint()) || errors.Is(err, context.Canceled) != test.retried {
				t.Errorf("Flush says %v", err)
			}
			makeSpans(e, 1)
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := e.Shutdown(ended); err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), e.Endpoint()) {
				t.Errorf("Shutdown says %v", err)
			}
			if len(logged) != 0 {
				t.Errorf("the log goes on: %q", <-logged)
			}
		})
	}
}

// TestWarningsAreFew asserts one warning for a time of trouble, and at most one
// a minute.
func TestWarningsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, logged := lines()
		a := newAttempts("http://there", logger)
		ctx, cause := context.Background(), errors.New("cannot")
		want := func(n int) {
			t.Helper()
			if len(logged) != n {
				t.Errorf("%d lines, want %d", len(logged), n)
			}
			for len(logged) > 0 {
				<-logged
			}
		}
		a.succeeded(0)
		want(0)
		a.failed(ctx, cause)
		a.failed(ctx, cause)
		want(1)
		a.succeeded(2)
		a.succeeded(2)
		want(1)
		for range 10 {
			time.Sleep(warningsApart / 20)
			a.failed(ctx, cause)
			a.succeeded(3)
		}
		want(0)
		time.Sleep(warningsApart)
		a.failed(ctx, cause)
		want(1)
	})
}

// TestNameOfTheCollectorIsUnknown asserts that a name without an address is told
// at once, though a request over HTTP is repeated; one address of several that
// does not answer is only a hint.
func TestNameOfTheCollectorIsUnknown(t *testing.T) {
	logger, logged := lines()
	a := newAttempts("http://there", logger)
	watched := httptrace.ContextClientTrace(a.watch(context.Background()))
	watched.DNSDone(httptrace.DNSDoneInfo{})
	watched.ConnectDone("tcp", "[::1]:1", errors.New("refused"))
	if err := a.explain(context.Canceled); !strings.Contains(err.Error(), "refused") || len(logged) != 0 {
		t.Errorf("a hint: %v, %d lines", err, len(logged))
	}
	watched.DNSDone(httptrace.DNSDoneInfo{Err: errors.New("no such host")})
	if err := a.explain(context.Canceled); !strings.Contains(err.Error(), "no such host") || len(logged) != 1 {
		t.Errorf("no address: %v, %d lines", err, len(logged))
	}
	a.succeeded(0)
	if err := a.explain(context.Canceled); err.Error() != "otlp: http://there has not taken the spans: context canceled" {
		t.Errorf("after a success: %v", err)
	}
}

// TestExplain asserts which of several causes is told.
func TestExplain(t *testing.T) {
	cause := errors.New("cannot")
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		errs []error
		want string
	}{
		{"nothing is known", nil, nil, "over"},
		{"an answer", context.Background(), []error{cause}, "over: cannot"},
		{"the last one counts", context.Background(), []error{io.EOF, cause}, "over: cannot"},
		{"broken off", ended, []error{context.Canceled, fmt.Errorf("%w: %w", context.Canceled, status.Error(codes.Canceled, "x"))}, "over"},
		{"broken off, with a cause", ended, []error{fmt.Errorf("%w: %w", context.Canceled, cause)}, "over: context canceled: cannot"},
	} {
		a := newAttempts("http://there", nil)
		for _, err := range test.errs {
			a.failed(test.ctx, err)
		}
		if got := a.explain(errors.New("over")).Error(); got != "otlp: http://there has not taken the spans: "+test.want {
			t.Errorf("%s: %s", test.name, got)
		}
	}
}
