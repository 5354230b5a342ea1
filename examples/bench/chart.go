package main

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// chart is a plot with logarithmic axes: a line for each contender.
type chart struct {
	file, title    string
	xTitle, yTitle string
	lines          []line
}

type line struct {
	name   string
	strong bool // ours
	points []point
}

// point is a median with the range of the runs. All values are above 0.
type point struct{ x, y, low, high float64 }

// charts are the plots of the summaries: throughput and p99 for each mode and
// payload.
func charts(all []summary) (found []*chart) {
	for begin := 0; begin < len(all); {
		first, end := all[begin], begin
		for end < len(all) && all[end].mode == first.mode && all[end].payloadBytes == first.payloadBytes {
			end++
		}
		where := fmt.Sprintf("mode %s, %d B", first.mode, first.payloadBytes)
		suffix := fmt.Sprintf("-%s-%d.svg", first.mode, first.payloadBytes)
		speed := &chart{file: "throughput" + suffix, title: "Operations a second, " + where, yTitle: "operations a second"}
		p99 := &chart{file: "p99" + suffix, title: "99th percentile of the latency, " + where, yTitle: "p99 in ms"}
		for i := range all[begin:end] {
			s := &all[begin+i]
			x := float64(s.clients)
			speed.add(s, point{x, s.perSecond, s.slowest, s.fastest})
			p99.add(s, point{x, s.p99us / 1000, s.p99Low / 1000, s.p99High / 1000})
		}
		for _, c := range []*chart{speed, p99} {
			c.xTitle = "clients"
			// A contender has the same colour in both.
			slices.SortFunc(c.lines, func(a, b line) int {
				return cmp.Or(-cmp.Compare(number(a.strong), number(b.strong)), cmp.Compare(a.name, b.name))
			})
			if len(c.lines) > 0 {
				found = append(found, c)
			}
		}
		begin = end
	}
	return found
}

// add adds a point to the line of its contender. A logarithmic axis has no place
// for 0.
func (c *chart) add(s *summary, p point) {
	if p.low <= 0 {
		return
	}
	i := slices.IndexFunc(c.lines, func(l line) bool { return l.name == s.name })
	if i < 0 {
		i = len(c.lines)
		c.lines = append(c.lines, line{name: s.name, strong: !s.peer})
	}
	c.lines[i].points = append(c.lines[i].points, p)
}

// The size of a plot, in pixels: the whole, and the margins around the axes.
const (
	width, height          = 760, 440
	left, right, top, base = 80, 170, 40, 50
)

// colours tell the lines apart, also for those who see few colours.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#000000"}

// axis maps the logarithm of [low, high] to pixels from begin to end.
type axis struct{ low, high, begin, end float64 }

func (a axis) at(value float64) float64 {
	return a.begin + (a.end-a.begin)*math.Log(value/a.low)/math.Log(a.high/a.low)
}

// ticks are the values 1, 2 and 5 times a power of ten within the axis; beyond
// two decades, the powers alone.
func (a axis) ticks() (values []float64) {
	steps := []float64{1, 2, 5}
	if a.high/a.low > 100 {
		steps = steps[:1]
	}
	for power := math.Floor(math.Log10(a.low)); power <= math.Log10(a.high); power++ {
		for _, step := range steps {
			if v := step * math.Pow(10, power); v >= a.low*0.999 && v <= a.high*1.001 {
				values = append(values, v)
			}
		}
	}
	return values
}

// axes are wide enough for all points.
func (c *chart) axes() (x, y axis) {
	x = axis{low: math.Inf(1), begin: left, end: width - right}
	y = axis{low: math.Inf(1), begin: height - base, end: top}
	for _, l := range c.lines {
		for _, p := range l.points {
			x.low, x.high = min(x.low, p.x), max(x.high, p.x)
			y.low, y.high = min(y.low, p.low), max(y.high, p.high)
		}
	}
	if x.low == x.high {
		x.low, x.high = x.low/2, x.high*2
	}
	y.low, y.high = y.low/1.3, y.high*1.3
	return x, y
}

// svg draws the plot.
func (c *chart) svg() []byte {
	var b bytes.Buffer
	x, y := c.axes()
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", escaped(c.title))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	label(&b, left, top-18, `font-size="15" font-weight="bold"`, c.title)
	label(&b, (left+width-right)/2, height-12, `text-anchor="middle"`, c.xTitle)
	label(&b, 18, (top+height-base)/2, fmt.Sprintf(`text-anchor="middle" transform="rotate(-90 18 %d)"`, (top+height-base)/2), c.yTitle)
	for _, v := range y.ticks() {
		stroke(&b, left, y.at(v), width-right, y.at(v), `stroke="#dddddd"`)
		label(&b, left-8, y.at(v)+4, `text-anchor="end"`, short(v))
	}
	for _, v := range c.measuredAt() {
		stroke(&b, x.at(v), top, x.at(v), height-base, `stroke="#eeeeee"`)
		label(&b, x.at(v), height-base+18, `text-anchor="middle"`, short(v))
	}
	stroke(&b, left, top, left, height-base, `stroke="#333333"`)
	stroke(&b, left, height-base, width-right, height-base, `stroke="#333333"`)
	for i, l := range c.lines {
		l.draw(&b, x, y, colours[i%len(colours)])
		row := float64(top + 10 + 20*i)
		stroke(&b, width-right+14, row, width-right+38, row, l.style(colours[i%len(colours)]))
		label(&b, width-right+44, row+4, "", l.name)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// measuredAt are the places on the x axis where there are points.
func (c *chart) measuredAt() (values []float64) {
	for _, l := range c.lines {
		for _, p := range l.points {
			values = append(values, p.x)
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

func (l *line) style(colour string) string {
	thickness := 1.5
	if l.strong {
		thickness = 3
	}
	return fmt.Sprintf(`stroke="%s" stroke-width="%g" fill="none"`, colour, thickness)
}

func (l *line) draw(w io.Writer, x, y axis, colour string) {
	fmt.Fprint(w, `<polyline points="`)
	for i, p := range l.points {
		if i > 0 {
			fmt.Fprint(w, " ")
		}
		fmt.Fprintf(w, "%.1f,%.1f", x.at(p.x), y.at(p.y))
	}
	fmt.Fprintf(w, `" %s/>`+"\n", l.style(colour))
	for _, p := range l.points {
		stroke(w, x.at(p.x), y.at(p.low), x.at(p.x), y.at(p.high), fmt.Sprintf(`stroke="%s" stroke-opacity="0.5"`, colour))
		fmt.Fprintf(w, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x.at(p.x), y.at(p.y), colour)
	}
}

func stroke(w io.Writer, x1, y1, x2, y2 float64, style string) {
	fmt.Fprintf(w, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
}

func label(w io.Writer, x, y float64, style, text string) {
	fmt.Fprintf(w, `<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, style, escaped(text))
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes all
	return b.String()
}

// short writes a tick's value: 20k rather than 20000.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
