package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// readModes are what the local machine has to be before a request reads it, none for a
// stale read without a bound.
func readModes(r *http.Request) ([]troupe.ReadMode, error) {
	read, err := query(r, "read")
	if err != nil {
		return nil, err
	}
	staleness, err := maxStaleness(r)
	if err != nil {
		return nil, err
	}
	var modes []troupe.ReadMode
	switch {
	case staleness > 0 && read != "stale":
		return nil, badRequest("max_staleness is for read=stale")
	case read == "", read == "linearizable":
		modes = append(modes, troupe.Linearizable)
	case read == "lease":
		modes = append(modes, troupe.Lease)
	case read == "stale" && staleness > 0:
		modes = append(modes, troupe.Stale(staleness))
	case read == "stale":
	default:
		return nil, badRequest("read is %q; it is linearizable, lease or stale", read)
	}
	index, err := minIndex(r)
	if index > 0 {
		modes = append(modes, troupe.AtLeast(index))
	}
	return modes, err
}

// maxStaleness is the bound of a stale read, 0 if none is given.
func maxStaleness(r *http.Request) (time.Duration, error) {
	text, err := query(r, "max_staleness")
	if err != nil || text == "" {
		return 0, err
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, badRequest("max_staleness: %v", err)
	case d <= 0 || d > api.StalenessMax:
		return 0, badRequest("max_staleness: %v is not more than 0 and at most %v", d, api.StalenessMax)
	}
	return d, nil
}

// minIndex is the entry that a read has to see, 0 if none is given.
func minIndex(r *http.Request) (troupe.Index, error) {
	text, err := query(r, "min_index")
	if err != nil || text == "" {
		return 0, err
	}
	index, err := strconv.ParseUint(text, 10, 64)
	if err != nil || index == 0 {
		return 0, badRequest("min_index: %q is not a number from 1 on", text)
	}
	return troupe.Index(index), nil
}
