// Package metrics has the numbers of a node for OpenTelemetry: a table of the
// instruments, and the instruments themselves.
//
// It uses only the API of OpenTelemetry. The application decides where the
// numbers go: it sets its provider in troupe.NodeConfig.Meter.
//
// Counters and gauges are observed: a node keeps plain numbers, and reports
// them when a reader asks. So they cost next to nothing, and exist from the
// start, even if nothing has happened yet. Histograms are recorded once for a
// batch, not for each entry. Readers of the SDK do not show a histogram that
// has recorded nothing. Package metrics/prometheus adds the empty ones.
//
// There are few attributes. But a node with thousands of groups has many values
// of them, and so many series. Readers keep a number of series for each
// instrument, 2,000 by default, and put all others together. Such a node folds
// its groups into one series (troupe.NodeConfig.MeterFoldsGroups). Its figures
// for each group are in troupe.Status. And a reader keeps what a histogram has
// shown until the process ends: the groups of a node share their histograms,
// unless troupe.NodeConfig.MeterGroupHistograms says that they stay.
package metrics
