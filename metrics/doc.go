// Package metrics has the numbers of a node for OpenTelemetry: a table of the
// instruments, and the instruments themselves.
//
// It knows the API alone. Which provider takes the numbers, and where they go, is
// the application's: it gives its provider to troupe.NodeConfig.Meter.
//
// Counters and gauges are observed: a node adds to plain numbers of its own and
// tells them when a reader asks, so that they cost next to nothing and are there
// from the start, also while nothing has happened. Histograms are recorded once
// for a batch, not for each entry. A histogram that has recorded nothing is not
// shown by a reader of the SDK; package metrics/prometheus puts the empty ones in.
//
// The attributes are few. Those of a node with thousands of groups are not:
// readers keep a number of series for each instrument, 2,000 by default, and put
// all others together. Such a node folds its groups into one series
// (troupe.NodeConfig.MeterFoldsGroups); its per-group figures are in
// troupe.Status.
package metrics
