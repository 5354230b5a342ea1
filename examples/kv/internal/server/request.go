package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
)

func badRequest(format string, args ...any) error {
	return &api.Error{Code: api.BadRequest, Message: fmt.Sprintf(format, args...)}
}

// withKey unescapes a key and checks it.
func (s *Server) withKey(escaped string, handle func(w http.ResponseWriter, r *http.Request, key string) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if strings.Contains(escaped, "/") {
			return badRequest("a slash in a key is written %%2F")
		}
		key, err := url.PathUnescape(escaped)
		switch {
		case err != nil:
			return badRequest("the key is not percent-encoded: %v", err)
		case len(key) == 0 || len(key) > machine.KeyBytesMax:
			return badRequest("a key of %d bytes; it has 1 to %d", len(key), machine.KeyBytesMax)
		case !utf8.ValidString(key):
			return badRequest("the key is not UTF-8")
		}
		return handle(w, r, key)
	}
}

// query returns the one value of a parameter, "" if it is not there.
func query(r *http.Request, name string) (string, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", badRequest("the query: %v", err)
	}
	switch v, there := values[name]; {
	case !there:
		return "", nil
	case len(v) > 1:
		return "", badRequest("%s stands there %d times", name, len(v))
	case v[0] == "":
		return "", badRequest("%s is empty", name)
	default:
		return v[0], nil
	}
}

func timeout(r *http.Request) (time.Duration, error) {
	text, err := query(r, "timeout")
	if err != nil || text == "" {
		return api.TimeoutDefault, err
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, badRequest("timeout: %v", err)
	case d <= 0 || d > api.TimeoutMax:
		return 0, badRequest("timeout: %v is not more than 0 and at most %v", d, api.TimeoutMax)
	}
	return d, nil
}

// body reads a body of at most so many bytes.
func body(w http.ResponseWriter, r *http.Request, bytesMax int64) ([]byte, error) {
	tooLarge := &api.Error{Code: api.TooLarge, Message: fmt.Sprintf("a body of more than %d bytes", bytesMax)}
	if r.ContentLength > bytesMax {
		return nil, tooLarge
	}
	// Not every writer, those of tests for instance, has a deadline to set. It
	// must not outlast the body: it would break the connection under the answer.
	connection := http.NewResponseController(w)
	if deadline, ok := r.Context().Deadline(); ok {
		_ = connection.SetReadDeadline(deadline)
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bytesMax))
	_ = connection.SetReadDeadline(time.Time{})
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &api.Error{Code: api.Timeout, Message: "the body did not come in time; nothing was done"}
	case err != nil:
		return nil, badRequest("the body: %v", err)
	}
	return data, nil
}

// decode reads a JSON body. What is not UTF-8 is refused: encoding/json would
// put U+FFFD in its place.
func decode(w http.ResponseWriter, r *http.Request, bytesMax int64, into any) error {
	data, err := body(w, r, bytesMax)
	if err != nil {
		return err
	}
	if !utf8.Valid(data) {
		return badRequest("the body is not UTF-8")
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badRequest("the body: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the body goes on after its JSON value")
	}
	return nil
}
