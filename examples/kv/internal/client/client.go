// Package client speaks to a server of the key-value store; package api says
// what the server answers.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
)

// Client sends requests to one server. It is safe for concurrent use.
//
// An answer of the server that is not 200 or 202 is returned as an *api.Error. Any
// other error means that no answer came, or none that could be read: what became
// of a write is then not known, unless no connection could be made.
type Client struct {
	base    string
	timeout time.Duration
	http    *http.Client
}

// answerMargin is for how much longer than the server a client waits, so that
// it is the server that says how a request ended.
const answerMargin = 3 * time.Second

// New returns a client of the server at an address, a URL or host:port. Each
// request may take timeout on the server, api.TimeoutDefault if it is 0. A nil
// transport is http.DefaultTransport.
func New(address string, timeout time.Duration, transport http.RoundTripper) (*Client, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("client: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("client: %q is not the address of a server, http://host:port", address)
	case timeout < 0 || timeout > api.TimeoutMax:
		return nil, fmt.Errorf("client: a time-out of %v; it is at most %v", timeout, api.TimeoutMax)
	case timeout == 0:
		timeout = api.TimeoutDefault
	}
	return &Client{
		base:    strings.TrimSuffix(u.String(), "/"),
		timeout: timeout,
		http:    &http.Client{Timeout: timeout + answerMargin, Transport: transport},
	}, nil
}

// Put sets a key.
func (c *Client) Put(ctx context.Context, key string, value []byte) (api.Written, error) {
	var answer api.Written
	err := c.exchange(ctx, http.MethodPut, keyPath(key), value, &answer)
	return answer, err
}

// Delete removes a key.
func (c *Client) Delete(ctx context.Context, key string) (api.Written, error) {
	var answer api.Written
	err := c.exchange(ctx, http.MethodDelete, keyPath(key), nil, &answer)
	return answer, err
}

// Swap compares and swaps.
func (c *Client) Swap(ctx context.Context, key string, swap api.Swap) (api.Swapped, error) {
	var answer api.Swapped
	request, err := json.Marshal(swap)
	if err != nil {
		return answer, fmt.Errorf("client: %w", err)
	}
	err = c.exchange(ctx, http.MethodPost, keyPath(key)+"/cas", request, &answer)
	return answer, err
}

// Read says how current a read has to be; package api says what the fields do. The
// zero value is the server's default.
type Read struct {
	Mode         string
	MaxStaleness time.Duration
	MinIndex     uint64
}

// Get returns the value of a key.
func (c *Client) Get(ctx context.Context, key string, read Read) ([]byte, error) {
	parameters := url.Values{}
	if read.Mode != "" {
		parameters.Set("read", read.Mode)
	}
	if read.MaxStaleness != 0 {
		parameters.Set("max_staleness", read.MaxStaleness.String())
	}
	if read.MinIndex != 0 {
		parameters.Set("min_index", strconv.FormatUint(read.MinIndex, 10))
	}
	return c.send(ctx, http.MethodGet, keyPath(key), parameters, nil)
}

// Init forms a cluster.
func (c *Client) Init(ctx context.Context, members []api.InitMember) error {
	request, err := json.Marshal(api.Init{Members: members})
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return c.exchange(ctx, http.MethodPost, "/cluster/init", request, &api.Init{})
}

// Transfer hands the leadership to a node, 0 for the best.
func (c *Client) Transfer(ctx context.Context, to uint64) (api.Leadership, error) {
	var answer api.Leadership
	request, err := json.Marshal(api.Transfer{To: to})
	if err != nil {
		return answer, fmt.Errorf("client: %w", err)
	}
	err = c.exchange(ctx, http.MethodPost, "/cluster/transfer", request, &answer)
	return answer, err
}

// Elect lets the server's node campaign.
func (c *Client) Elect(ctx context.Context) (api.Leadership, error) {
	var answer api.Leadership
	err := c.exchange(ctx, http.MethodPost, "/cluster/elect", nil, &answer)
	return answer, err
}

// PauseElections says whether the server's node neither campaigns nor is handed the
// leadership from now on.
func (c *Client) PauseElections(ctx context.Context, paused bool) (api.Elections, error) {
	var answer api.Elections
	request, err := json.Marshal(api.Elections{Paused: &paused})
	if err != nil {
		return answer, fmt.Errorf("client: %w", err)
	}
	err = c.exchange(ctx, http.MethodPost, "/node/elections", request, &answer)
	return answer, err
}

// SetSnapshotRate changes how many bytes a second the server's node sends of snapshots.
func (c *Client) SetSnapshotRate(ctx context.Context, bytesPerSecond uint64) (api.SnapshotRate, error) {
	var answer api.SnapshotRate
	request, err := json.Marshal(api.SnapshotRate{BytesPerSecond: &bytesPerSecond})
	if err != nil {
		return answer, fmt.Errorf("client: %w", err)
	}
	err = c.exchange(ctx, http.MethodPost, "/node/snapshot-rate", request, &answer)
	return answer, err
}

// Snapshot makes a snapshot on the server's node.
func (c *Client) Snapshot(ctx context.Context) (api.Snapshot, error) {
	var answer api.Snapshot
	err := c.exchange(ctx, http.MethodPost, "/cluster/snapshot", nil, &answer)
	return answer, err
}

// Purge purges the log of the server's node up to an index.
func (c *Client) Purge(ctx context.Context, upTo uint64) (api.Purged, error) {
	var answer api.Purged
	request, err := json.Marshal(api.Purge{UpTo: upTo})
	if err != nil {
		return answer, fmt.Errorf("client: %w", err)
	}
	err = c.exchange(ctx, http.MethodPost, "/cluster/purge", request, &answer)
	return answer, err
}

// Members asks the server for the members of the cluster.
func (c *Client) Members(ctx context.Context) (api.Members, error) {
	var answer api.Members
	err := c.exchange(ctx, http.MethodGet, "/cluster/members", nil, &answer)
	return answer, err
}

// ChangeMembers changes the members. The answer has a ChangeID if the change goes on.
func (c *Client) ChangeMembers(ctx context.Context, change api.Change) (api.Members, error) {
	var answer api.Members
	request, err := json.Marshal(change)
	if err != nil {
		return answer, fmt.Errorf("client: %w", err)
	}
	err = c.exchange(ctx, http.MethodPost, "/cluster/members", request, &answer)
	return answer, err
}

// Join asks the server to let a node in. The answer has a ChangeID if that goes on.
func (c *Client) Join(ctx context.Context, join api.Join) (api.Members, error) {
	var answer api.Members
	request, err := json.Marshal(join)
	if err != nil {
		return answer, fmt.Errorf("client: %w", err)
	}
	err = c.exchange(ctx, http.MethodPost, "/cluster/join", request, &answer)
	return answer, err
}

// CancelChange gives up the change that is catching up.
func (c *Client) CancelChange(ctx context.Context) (api.Members, error) {
	var answer api.Members
	err := c.exchange(ctx, http.MethodPost, "/cluster/members/cancel", nil, &answer)
	return answer, err
}

// Status asks the server for its status.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	var answer api.Status
	err := c.exchange(ctx, http.MethodGet, "/status", nil, &answer)
	return answer, err
}

func keyPath(key string) string { return "/kv/" + url.PathEscape(key) }

// exchange sends a request and reads a JSON answer.
func (c *Client) exchange(ctx context.Context, method, path string, body []byte, into any) error {
	data, err := c.send(ctx, method, path, url.Values{}, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("client: the answer of %s: %w", c.base, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, parameters url.Values, body []byte) ([]byte, error) {
	parameters.Set("timeout", c.timeout.String())
	request, err := http.NewRequestWithContext(ctx, method, c.base+path+"?"+parameters.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 2*machine.ValueBytesMax))
	switch {
	case err != nil:
		return nil, fmt.Errorf("client: the answer of %s: %w", c.base, err)
	case response.StatusCode == http.StatusOK, response.StatusCode == http.StatusAccepted:
		return data, nil
	}
	answer := &api.Error{}
	if err := json.Unmarshal(data, answer); err != nil || answer.Code == "" {
		return nil, fmt.Errorf("client: %s answered %s", c.base, response.Status)
	}
	return nil, answer
}
