package files

import (
	"context"
	"errors"
	"fmt"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// names are those of a group's snapshots, and the group's own. They are open, so that
// it takes no descriptor to make them durable.
type names []*disk.Names

// names opens the names of a group. It waits for descriptors. They are closed by sync.
func (s *Store) names(ctx context.Context, group membership.GroupID) (open names, err error) {
	for _, dir := range []string{s.groupDir(group), s.dir} {
		var n *disk.Names
		err := patiently(ctx, func() (err error) {
			n, err = disk.OpenNames(dir)
			return err
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("files: %w", err), open.close())
		}
		open = append(open, n)
	}
	return open, nil
}

// sync makes the names durable, and closes them.
func (n names) sync() (err error) {
	for _, dir := range n {
		err = errors.Join(err, dir.Sync())
	}
	if err != nil {
		err = fmt.Errorf("files: %w", err)
	}
	return errors.Join(err, n.close())
}

func (n names) close() (err error) {
	for _, dir := range n {
		err = errors.Join(err, dir.Close())
	}
	return err
}
