package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// BackupStall is for how long a server may send no bytes of a backup.
const BackupStall = time.Minute

// Backup writes a backup to w. It lasts for as long as bytes come. Local takes what the
// asked node has applied, without a leader.
func (c *Client) Backup(ctx context.Context, w io.Writer, local bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parameters := url.Values{"timeout": {c.timeout.String()}}
	if local {
		parameters.Set("local", "true")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/cluster/backup?"+parameters.Encode(), nil)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	patience := time.AfterFunc(c.timeout+answerMargin, func() { cancel(fmt.Errorf("no answer in %v", c.timeout+answerMargin)) })
	defer patience.Stop()
	response, err := (&http.Client{Transport: c.http.Transport}).Do(request)
	if err != nil {
		return fmt.Errorf("client: %w", because(ctx, err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		answer := &api.Error{}
		if err != nil || json.Unmarshal(data, answer) != nil || answer.Code == "" {
			return fmt.Errorf("client: %s answered %s", c.base, response.Status)
		}
		return answer
	}
	patience.Stop()
	stalled := time.AfterFunc(BackupStall, func() { cancel(fmt.Errorf("no bytes for %v", BackupStall)) })
	defer stalled.Stop()
	if _, err := io.Copy(w, stallingReader{response.Body, stalled}); err != nil {
		return fmt.Errorf("client: the backup was cut off: %w", because(ctx, err))
	}
	return nil
}

// because is the cause for which ctx has ended, if it has, or err.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// stallingReader puts a timer off whenever bytes come.
type stallingReader struct {
	from  io.Reader
	timer *time.Timer
}

// Read implements io.Reader.
func (r stallingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if n > 0 {
		r.timer.Reset(BackupStall)
	}
	return n, err
}
