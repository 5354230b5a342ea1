package prometheus

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	client "github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/trouperaft/troupe/metrics"
)

// completed adds to what is gathered the histograms in which nothing was
// recorded yet. OpenTelemetry shows a histogram from its first value on; then a
// rate begins with a gap, and an alert on what never happened has nothing to
// look at. A count of 0 says how it is.
type completed struct {
	gatherer   client.Gatherer
	histograms []family
}

// family is a histogram of the table with the series that are known beforehand.
type family struct {
	row    metrics.Row
	name   string
	series []labels
	// vague tells that the series lack a label which those that are recorded
	// have, so that none of them stands beside a recorded one.
	vague bool
}

// labels are those of a series, sorted by name, as Gather has them.
type labels []*dto.LabelPair

// key is equal for equal labels.
func (l labels) key() string {
	var b strings.Builder
	for _, pair := range l {
		b.WriteString(strconv.Quote(pair.GetName()) + strconv.Quote(pair.GetValue()))
	}
	return b.String()
}

func newCompleted(g client.Gatherer, config *Config) *completed {
	c := &completed{gatherer: g}
	for _, row := range metrics.Table() {
		if row.Kind != metrics.Histogram {
			continue
		}
		f := family{row: row, name: row.PrometheusName()}
		series := []map[string]string{{label(metrics.KeyNode): strconv.FormatUint(uint64(config.Node), 10)}}
		for _, a := range row.Attributes {
			f.vague = f.vague || a.Key == metrics.KeyPeer || a.Key == metrics.KeyGroup && len(config.Groups) == 0
			series = times(series, a, config)
		}
		seen := make(map[string]bool)
		for _, s := range series {
			if l := sorted(s); !seen[l.key()] {
				seen[l.key()] = true
				f.series = append(f.series, l)
			}
		}
		c.histograms = append(c.histograms, f)
	}
	return c
}

// times gives each series each value of an attribute. A peer is not known
// beforehand and left out; the log actor's inbox is not a group's.
func times(series []map[string]string, a metrics.Attribute, config *Config) []map[string]string {
	values := a.Values
	switch {
	case a.Key == metrics.KeyPeer || a.Key == metrics.KeyGroup && len(config.Groups) == 0:
		return series
	case a.Key == metrics.KeyGroup:
		for _, group := range config.Groups {
			values = append(values, strconv.FormatUint(uint64(group), 10))
		}
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

func sorted(series map[string]string) labels {
	var l labels
	for _, name := range slices.Sorted(maps.Keys(series)) {
		value := series[name]
		l = append(l, &dto.LabelPair{Name: &name, Value: &value})
	}
	return l
}

// Gather implements the client library's Gatherer.
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
	if h.vague && len(f.Metric) > 0 {
		return
	}
	recorded := make(map[string]bool, len(f.Metric))
	for _, m := range f.Metric {
		recorded[labels(m.Label).key()] = true
	}
	for _, series := range h.series {
		if !recorded[series.key()] {
			f.Metric = append(f.Metric, h.empty(series))
		}
	}
}

func (h *family) empty(series labels) *dto.Metric {
	m := &dto.Metric{Label: series, Histogram: &dto.Histogram{SampleCount: new(uint64), SampleSum: new(float64)}}
	for _, bound := range h.row.Bounds {
		m.Histogram.Bucket = append(m.Histogram.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: new(uint64)})
	}
	return m
}
