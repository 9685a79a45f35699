package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A Screen is what the demo is shown on.
type Screen struct {
	Out io.Writer
	// Live says that Out is a terminal that understands cursor movements: the
	// state is redrawn in place. Otherwise it is a plain line once a second.
	Live bool
	// Columns is the width of a live screen; lines are cut there. 0 = 80.
	Columns int
	Colour  bool
	Blocks  bool // draw bars from the block characters of Unicode
}

// The times between two states shown.
const (
	liveEvery  = 100 * time.Millisecond
	plainEvery = time.Second
)

// A view draws one run after the other. It is for one goroutine; only the last
// error of its writer counts, and it is told by close.
type view struct {
	Screen
	style
	err   error
	title string
	drawn int // lines of the panel on the screen
}

func newView(s Screen) *view {
	if s.Columns <= 0 {
		s.Columns = 80
	}
	return &view{Screen: s, style: style{colour: s.Colour, blocks: s.Blocks}}
}

// every is how often state wants to be called.
func (v *view) every() time.Duration {
	if v.Live {
		return liveEvery
	}
	return plainEvery
}

func (v *view) write(text string) {
	if _, err := io.WriteString(v.Out, text); err != nil {
		v.err = err
	}
}

// say writes a block of text.
func (v *view) say(text string) { v.write(text) }

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	clearRight = "\x1b[K"
)

// begin starts the panel of a run; end must follow.
func (v *view) begin(title string, r Figures) {
	v.title, v.drawn = title, 0
	if v.Live {
		v.write(hideCursor)
		v.draw(r)
	} else {
		v.write(title + "\n")
	}
}

// state shows where the run is.
func (v *view) state(r Figures) {
	if !v.Live {
		v.write(sentence(r) + "\n")
		return
	}
	v.draw(r)
}

// end shows where the run ended.
func (v *view) end(r Figures) {
	v.state(r)
	if v.Live {
		v.write(showCursor)
	}
	v.write("\n")
}

func (v *view) draw(r Figures) {
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	lines := v.panel(v.title, r)
	for _, line := range lines {
		b.WriteString("\r" + clip(line, v.Columns-1) + clearRight + "\n")
	}
	v.drawn = len(lines)
	v.write(b.String())
}

// clip cuts a line at a number of columns; escape sequences have no width and
// are kept, so that the colour ends where it should. A wrapped line would make
// the next redraw start in the wrong place.
func clip(line string, columns int) string {
	var b strings.Builder
	for len(line) > 0 {
		if n := escape(line); n > 0 {
			b.WriteString(line[:n])
			line = line[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(line)
		if columns > 0 {
			b.WriteRune(r)
		}
		columns--
		line = line[n:]
	}
	return b.String()
}

// escape is the length of the SGR sequence that s begins with, or 0.
func escape(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	return strings.IndexByte(s, 'm') + 1
}
