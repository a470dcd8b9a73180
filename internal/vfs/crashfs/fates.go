package crashfs

import "math/rand/v2"

// nothingSurvives leaves exactly what was synced.
type nothingSurvives struct{}

func (nothingSurvives) survives() bool                { return false }
func (nothingSurvives) beginFile(int)                 {}
func (nothingSurvives) length(durable, _ int64) int64 { return durable }
func (nothingSurvives) sector() fate                  { return fateOld }
func (nothingSurvives) random() *rand.Rand            { return nil }
func (nothingSurvives) beginSalvage()                 {}
func (nothingSurvives) salvage() salvage              { return salvageOld }

// allSurvives leaves everything but what a failed sync gave up.
type allSurvives struct{}

func (allSurvives) survives() bool            { return true }
func (allSurvives) beginFile(int)             {}
func (allSurvives) length(_, now int64) int64 { return now }
func (allSurvives) sector() fate              { return fateNew }
func (allSurvives) random() *rand.Rand        { return nil }
func (allSurvives) beginSalvage()             {}
func (allSurvives) salvage() salvage          { return salvageOld }

// randomFates draws. Independent draws per sector alone would almost never
// leave a long unsynced stretch whole, so each file first draws a manner.
type randomFates struct {
	r        *rand.Rand
	survival uint64 // of 16 name operations, how many survive on average
	manner   manner
	intact   int // sectors still to come that are new
	salvages manner
}

// manner is how the volatile sectors of one file fare in one image.
type manner int

const (
	mannerMixed     manner = iota // each sector on its own
	mannerOld                     // nothing arrived
	mannerNew                     // all arrived
	mannerHead                    // all arrived up to a sector, then nothing
	mannerHeadMixed               // all arrived up to a sector, then each on its own
	mannerMostlyNew               // a sector here and there was lost
	mannerCount
)

func (f *randomFates) survives() bool { return f.r.Uint64N(16) < f.survival }

func (f *randomFates) beginFile(dirtySectors int) {
	if dirtySectors == 0 {
		return // most files: no draw is wasted on them
	}
	f.manner = manner(f.r.IntN(int(mannerCount)))
	f.intact = 0
	if f.manner == mannerHead || f.manner == mannerHeadMixed {
		f.intact = f.r.IntN(dirtySectors + 1)
	}
}

func (f *randomFates) length(durable, now int64) int64 {
	switch f.r.IntN(4) {
	case 0:
		return durable
	case 1, 2:
		return now
	}
	return durable + f.r.Int64N(now-durable+1)
}

func (f *randomFates) sector() fate {
	if f.intact > 0 {
		f.intact--
		return fateNew
	}
	switch f.manner {
	case mannerOld, mannerHead:
		return fateOld
	case mannerNew:
		return fateNew
	case mannerMostlyNew:
		if f.r.IntN(8) > 0 {
			return fateNew
		}
	}
	return fate(f.r.IntN(int(fateCount)))
}

func (f *randomFates) random() *rand.Rand { return f.r }

func (f *randomFates) beginSalvage() {
	f.salvages = [...]manner{mannerOld, mannerNew, mannerMixed}[f.r.IntN(3)]
}

func (f *randomFates) salvage() salvage {
	switch f.salvages {
	case mannerOld:
		return salvageOld
	case mannerNew:
		return salvageNew
	}
	return salvage(f.r.IntN(int(salvageCount)))
}
