package ops

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz/model"
)

// FuzzParse: a list that parses is written in one way, and what is written parses
// to the same list. The model does it without a panic.
func FuzzParse(f *testing.F) {
	saved, err := os.ReadFile("../testdata/ops/parent-dropped-first.txt")
	require.NoError(f, err)
	f.Add(saved)
	f.Add([]byte("1 put main =a%00 10\n# a comment\n\n2 batch put:main:=b:3 delete:main:=a range:main:-:=%3a nosync\n3 scan main - =z\n4 walk 3 2 18446744073709551615\n"))
	f.Add([]byte("1 put main =%zz 10\n"))
	f.Add([]byte("1 forkmany main a,b,,a nosync\n2 forkmanysnapshot s ,\n3 dropmany a,b\n4 dropprefix =\n5 dropprefix =%2c\n6 dropsubtree main\n"))
	f.Add([]byte("-1 get main =\n2 flush nosync"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		var written bytes.Buffer
		require.NoError(t, Format(&written, list))
		again, err := Parse(bytes.NewReader(written.Bytes()))
		require.NoError(t, err, "%s", written.Bytes())
		require.Equal(t, list, again)
		s := model.New()
		for _, op := range list {
			if op.Size > 1<<16 {
				return // not for the model
			}
			s, _ = Apply(s, op)
		}
	})
}
