// Command plot draws charts, given as JSON on standard input, as SVG files in a folder. It is a module of
// its own, so that nothing else depends on the plotting library.
//
//	plot FOLDER < charts.json
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

type chart struct {
	File, Title, X, Y string
	Lines             []struct {
		Name   string
		Points []struct {
			Alerts int
			Value  float64
		}
	}
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: plot FOLDER < charts.json")
	}
	var charts []chart
	if err := json.NewDecoder(os.Stdin).Decode(&charts); err != nil {
		return fmt.Errorf("read the charts: %w", err)
	}
	for _, c := range charts {
		svg, err := c.draw()
		if err != nil {
			return fmt.Errorf("draw %s: %w", c.File, err)
		}
		if err := os.WriteFile(filepath.Join(args[0], c.File), svg, 0o600); err != nil {
			return fmt.Errorf("write a chart: %w", err)
		}
	}
	return nil
}

// grey can be read on white and on black.
func grey() color.Color { return color.RGBA{0x76, 0x7c, 0x84, 0xff} }

// paint has the colours of the lines; they differ in brightness, too, and stand out from white and black.
func paint(i int) color.Color {
	colours := []color.RGBA{
		{0x1f, 0x7a, 0xe0, 0xff}, {0xd9, 0x6a, 0x06, 0xff}, {0x2a, 0x9d, 0x5c, 0xff}, {0xc2, 0x3b, 0x8e, 0xff}, {0x8a, 0x6d, 0xd6, 0xff}, {0xa0, 0x7d, 0x1c, 0xff},
	}
	return colours[i%len(colours)]
}

func (c chart) draw() ([]byte, error) {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.X, c.Y
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(ticks), plot.TickerFunc(ticks)
	p.Legend.Top, p.Legend.Left = true, true
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = faint(), faint()
	p.Add(grid)
	for i, line := range c.Lines {
		var points plotter.XYs
		for _, at := range line.Points {
			points = append(points, plotter.XY{X: float64(at.Alerts), Y: at.Value})
		}
		drawn, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, fmt.Errorf("line %s: %w", line.Name, err)
		}
		drawn.Color, drawn.Width = paint(i), vg.Points(1.8)
		dots.Color, dots.Shape, dots.Radius = paint(i), shape(i), vg.Points(3)
		p.Add(drawn, dots)
		p.Legend.Add(line.Name, drawn, dots)
	}
	widen(p)
	style(p)
	canvas, err := draw.NewFormattedCanvas(7*vg.Inch, 4*vg.Inch, "svg")
	if err != nil {
		return nil, fmt.Errorf("begin a picture: %w", err)
	}
	p.Draw(draw.Crop(draw.New(canvas), vg.Points(6), -vg.Points(28), vg.Points(6), -vg.Points(6)))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("write a picture: %w", err)
	}
	return bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif")), nil
}

// ticks name the powers of ten as people write them: 0.01, 100, 10,000.
func ticks(low, high float64) []plot.Tick {
	all := plot.LogTicks{Prec: -1}.Ticks(low, high)
	for i, t := range all {
		if t.Value < 1000 || t.IsMinor() {
			continue
		}
		digits := strconv.Itoa(int(math.Round(t.Value)))
		for at := len(digits) - 3; at > 0; at -= 3 {
			digits = digits[:at] + "," + digits[at:]
		}
		all[i].Label = digits
	}
	return all
}

// faint is the colour of the grid.
func faint() color.Color { return color.NRGBA{0x76, 0x7c, 0x84, 0x40} }

// shape tells the lines apart without their colour.
func shape(i int) draw.GlyphDrawer {
	shapes := []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.RingGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}}
	return shapes[i%len(shapes)]
}

// widen ends the vertical axis at powers of ten, so that its ends have names.
func widen(p *plot.Plot) {
	p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(p.Y.Min))), math.Pow(10, math.Ceil(math.Log10(p.Y.Max)))
}

// style gives everything that is written one typeface and one colour.
func style(p *plot.Plot) {
	sans := func(size vg.Length) font.Font { return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size} }
	p.Title.TextStyle.Font, p.Title.TextStyle.Color = sans(13), grey()
	p.Title.Padding = vg.Points(8)
	p.Legend.TextStyle.Font, p.Legend.TextStyle.Color = sans(11), grey()
	p.Legend.Padding, p.Legend.XOffs, p.Legend.YOffs = vg.Points(3), vg.Points(8), -vg.Points(6)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Color = sans(11), grey()
		axis.Tick.Label.Font, axis.Tick.Label.Color = sans(11), grey()
		axis.LineStyle.Color, axis.Tick.LineStyle.Color = grey(), grey()
	}
}
