package manifest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// CURRENT is one line of five words that names the manifest:
//
//	TINE-CURRENT 1 12 000102030405060708090a0b0c0d0e0f 5f0e3b6a9c1d2e4f
//
// a magic word, the format version, the manifest's number, the store's id, and
// the XXH64 of everything before it. Each content has exactly one spelling, and
// none of its bytes is ever used as a path.
const (
	currentMagic    = "TINE-CURRENT"
	currentVersion  = 1
	currentTempName = ids.CurrentName + ".tmp"
	maxCurrentBytes = 256 // of any version
)

// current is what CURRENT says.
type current struct {
	number ids.FileNum
	store  [16]byte
}

func (c current) String() string {
	line := fmt.Sprintf("%s %d %d %x ", currentMagic, currentVersion, uint64(c.number), c.store)
	return fmt.Sprintf("%s%016x\n", line, xxhash.Sum64String(line))
}

// parseCurrent reads CURRENT's content. It returns a CorruptError, or an error
// that wraps errs.ErrNewerFormat.
func parseCurrent(content string) (current, error) {
	corrupt := func(format string, args ...any) (current, error) {
		return current{}, errs.Corruptf(ids.CurrentName, 0, format, args...)
	}
	line, ended := strings.CutSuffix(content, "\n")
	words := strings.Split(line, " ")
	if !ended || len(words) < 3 || words[0] != currentMagic {
		return corrupt("not a line that names a manifest")
	}
	checksum := words[len(words)-1]
	if fmt.Sprintf("%016x", xxhash.Sum64String(strings.TrimSuffix(line, checksum))) != checksum {
		return corrupt("checksum does not match")
	}
	version, err := strconv.ParseUint(words[1], 10, 32)
	switch {
	case err != nil:
		return corrupt("no format version")
	case version > currentVersion:
		return current{}, fmt.Errorf("%s: format version %d, this program knows %d: %w", ids.CurrentName, version, currentVersion, errs.ErrNewerFormat)
	case version == 0:
		return corrupt("format version 0 never was")
	case len(words) != 5:
		return corrupt("%d words instead of 5", len(words))
	}
	number, err := strconv.ParseUint(words[2], 10, 64)
	if err != nil || number == 0 {
		return corrupt("no manifest number")
	}
	c := current{number: ids.FileNum(number)}
	store, err := hex.DecodeString(words[3])
	if err != nil || len(store) != len(c.store) {
		return corrupt("no store id")
	}
	copy(c.store[:], store)
	if c.String() != content {
		return corrupt("not in its one spelling")
	}
	return c, nil
}

// readCurrent reads and parses CURRENT. Without one it returns ErrNoStore,
// unless there are tables that only a manifest can have named.
func readCurrent(fsys vfs.FS, dir string) (current, error) {
	file, err := fsys.Open(path.Join(dir, ids.CurrentName))
	if errors.Is(err, fs.ErrNotExist) {
		return current{}, noStore(fsys, dir)
	}
	if err != nil {
		return current{}, fmt.Errorf("open %s: %w", ids.CurrentName, err)
	}
	defer file.Close()
	content := make([]byte, maxCurrentBytes)
	n, err := file.ReadAt(content, 0)
	if err == nil {
		return current{}, errs.Corruptf(ids.CurrentName, maxCurrentBytes, "too long")
	}
	if !errors.Is(err, io.EOF) {
		return current{}, fmt.Errorf("read %s: %w", ids.CurrentName, err)
	}
	return parseCurrent(string(content[:n]))
}

// noStore tells a directory without a store from a store that lost its CURRENT:
// taking the second for the first would end with its tables removed as orphans.
func noStore(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoStore
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, name := range names {
		if kind, _ := ids.ParseFileName(name); kind == ids.FileTable {
			return errs.Corruptf(ids.CurrentName, -1, "missing, but there is a table file %s", name)
		}
	}
	return ErrNoStore
}

// stageCurrent writes and syncs a CURRENT beside the one in force. If it fails,
// nothing has changed.
func stageCurrent(fsys vfs.FS, dir string, c current) error {
	name := path.Join(dir, currentTempName)
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove stale %s: %w", currentTempName, err)
	}
	file, err := fsys.Create(name)
	if err != nil {
		return fmt.Errorf("create %s: %w", currentTempName, err)
	}
	err = func() error {
		if _, err := file.WriteAt([]byte(c.String()), 0); err != nil {
			return fmt.Errorf("write %s: %w", currentTempName, err)
		}
		if err := file.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", currentTempName, err)
		}
		return nil
	}()
	if closeErr := file.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close %s: %w", currentTempName, closeErr)
	}
	if err != nil {
		_ = fsys.Remove(name) // best effort: the next stage removes it first
	}
	return err
}

// installCurrent puts the staged CURRENT in force and makes that durable. If it
// fails, either may be in force after a power loss.
func installCurrent(fsys vfs.FS, dir string) error {
	if err := fsys.Rename(path.Join(dir, currentTempName), path.Join(dir, ids.CurrentName)); err != nil {
		return fmt.Errorf("rename %s to %s: %w", currentTempName, ids.CurrentName, err)
	}
	if err := fsys.SyncDir(dir); err != nil {
		return fmt.Errorf("sync directory after renaming %s: %w", ids.CurrentName, err)
	}
	return nil
}
