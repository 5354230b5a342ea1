package exposition

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/trouperaft/troupe/metrics"
)

// completed adds to what is gathered the histograms in which nothing was
// recorded yet. OpenTelemetry shows a histogram from its first value on; then a
// rate begins with a gap, and an alert on what never happened has nothing to
// look at. A count of 0 says how it is.
type completed struct {
	gatherer   prometheus.Gatherer
	histograms []family
}

// family is a histogram of the table with the series that are known beforehand.
type family struct {
	row    metrics.Row
	name   string
	series []map[string]string
}

func newCompleted(g prometheus.Gatherer, node, group uint64) *completed {
	c := &completed{gatherer: g}
	for _, row := range metrics.Table() {
		if row.Kind != metrics.Histogram {
			continue
		}
		series := []map[string]string{{label(metrics.KeyNode): strconv.FormatUint(node, 10)}}
		for _, a := range row.Attributes {
			series = times(series, a, group)
		}
		c.histograms = append(c.histograms, family{row, row.PrometheusName(), series})
	}
	return c
}

// times gives each series each value of an attribute. A peer is not known
// beforehand and left out; the log actor's inbox is not a group's.
func times(series []map[string]string, a metrics.Attribute, group uint64) []map[string]string {
	values := a.Values
	switch a.Key {
	case metrics.KeyGroup:
		values = []string{strconv.FormatUint(group, 10)}
	case metrics.KeyPeer:
		return series
	}
	var product []map[string]string
	for _, s := range series {
		for _, value := range values {
			next := maps.Clone(s)
			next[label(a.Key)] = value
			if a.Key == metrics.KeyActor && value == metrics.Actors[1] {
				delete(next, label(metrics.KeyGroup))
			}
			product = append(product, next)
		}
	}
	return product
}

func label(key string) string { return strings.ReplaceAll(key, ".", "_") }

// Gather implements prometheus.Gatherer.
func (c *completed) Gather() ([]*dto.MetricFamily, error) {
	families, err := c.gatherer.Gather()
	byName := make(map[string]*dto.MetricFamily, len(families))
	for _, f := range families {
		byName[f.GetName()] = f
	}
	for i := range c.histograms {
		h := &c.histograms[i]
		f := byName[h.name]
		if f == nil {
			f = &dto.MetricFamily{Name: &h.name, Help: &h.row.Description, Type: dto.MetricType_HISTOGRAM.Enum()}
			families = append(families, f)
		}
		h.complete(f)
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return families, err
}

// complete adds the series that f lacks.
func (h *family) complete(f *dto.MetricFamily) {
	recorded := len(f.Metric)
	ofPeers := slices.ContainsFunc(h.row.Attributes, func(a metrics.Attribute) bool { return a.Key == metrics.KeyPeer })
	if ofPeers && recorded > 0 {
		return
	}
	for _, series := range h.series {
		if !slices.ContainsFunc(f.Metric[:recorded], func(m *dto.Metric) bool { return has(m, series) }) {
			f.Metric = append(f.Metric, h.empty(series))
		}
	}
}

func has(m *dto.Metric, series map[string]string) bool {
	return len(m.Label) == len(series) && !slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return series[l.GetName()] != l.GetValue() })
}

func (h *family) empty(series map[string]string) *dto.Metric {
	m := &dto.Metric{Histogram: &dto.Histogram{SampleCount: new(uint64), SampleSum: new(float64)}}
	for _, name := range slices.Sorted(maps.Keys(series)) {
		value := series[name]
		m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &value})
	}
	for _, bound := range h.row.Bounds {
		m.Histogram.Bucket = append(m.Histogram.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: new(uint64)})
	}
	return m
}
