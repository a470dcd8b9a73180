package main

import (
	"github.com/schollz/progressbar/v3"
)

// progress shows a bar on a terminal and nothing anywhere else.
type progress struct {
	a    *app
	what string
	bar  *progressbar.ProgressBar
}

func (p *progress) started(_ int, bytes int64) {
	if p.a.json || !isTerminal(p.a.errOut) {
		return
	}
	p.bar = progressbar.NewOptions64(max(bytes, 1),
		progressbar.OptionSetWriter(p.a.errOut),
		progressbar.OptionSetDescription(p.what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100e6), // nanoseconds
		progressbar.OptionClearOnFinish(),
	)
}

// did counts what is done. A bar that cannot be drawn is no reason to stop.
func (p *progress) did(_ int, bytes int64) {
	if p.bar != nil {
		_ = p.bar.Add64(bytes)
	}
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
