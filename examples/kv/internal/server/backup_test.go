package server

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/trouperaft/troupe"
)

// TestBackup: a backup is the answer, an error before its first byte is one of the API's,
// and one that is cut off breaks the connection, so that nobody takes it for whole.
func TestBackup(t *testing.T) {
	f := newFake()
	front := httptest.NewServer(New(f, f.machine, slog.New(slog.DiscardHandler)))
	defer front.Close()
	get := func(method, query string) (status int, body string, err error) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, front.URL+"/cluster/backup"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := front.Client().Do(request)
		if err != nil {
			return 0, "", err
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		return response.StatusCode, string(b), err
	}
	f.backup = "the file"
	if status, body, err := get(http.MethodGet, ""); status != 200 || body != "the file" || err != nil {
		t.Errorf("%d %q %v", status, body, err)
	}
	if len(f.read) != 1 || f.read[0] != troupe.Linearizable {
		t.Errorf("before it, reads %v were made", f.read)
	}
	if status, body, err := get(http.MethodGet, "?local=true"); status != 200 || body != "the file" || err != nil || len(f.read) != 1 {
		t.Errorf("local: %d %q %v, reads %v", status, body, err, f.read)
	}
	if status, body, err := get(http.MethodHead, ""); status != 200 || body != "" || err != nil {
		t.Errorf("HEAD: %d %q %v", status, body, err)
	}
	if status, body, err := get(http.MethodGet, "?local=yes"); status != 400 || !strings.Contains(body, "local") || err != nil {
		t.Errorf("local=yes: %d %q %v", status, body, err)
	}
	f.err = errors.New("the disk")
	if _, body, err := get(http.MethodGet, "?local=true"); err == nil {
		t.Errorf("one that was cut off looks whole: %q", body)
	}
	f.mu.Lock() // the handler of the one that was cut off may not have returned
	f.backup, f.err = "", troupe.ErrOverloaded
	f.mu.Unlock()
	if status, body, err := get(http.MethodGet, "?local=true"); status != 429 || !strings.Contains(body, "overloaded") || err != nil {
		t.Errorf("refused: %d %q %v", status, body, err)
	}
}
