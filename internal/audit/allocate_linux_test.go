package audit

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestSpaceIsGivenBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, config(dir, 1), nil)
	name := filepath.Join(dir, files(t, dir)[0])
	if n := blocks(t, name); l.w.noAlloc || n < chunkSize/512 {
		t.Skipf("this file system does not allocate ahead (%d blocks)", n)
	}
	mustOpen(t, config(dir, 2), nil)
	if n := blocks(t, name); n > 16 {
		t.Errorf("after a crash and a start %d blocks are taken", n)
	}
	l = mustOpen(t, config(dir, 3), nil)
	mustClose(t, l)
	if n := blocks(t, filepath.Join(dir, files(t, dir)[2])); n > 16 {
		t.Errorf("after Close %d blocks are taken", n)
	}
}

func blocks(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks
}
