package badger

import (
	"context"
	"slices"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

var _ storage.GroupLister = (*Store)(nil)

// Groups implements storage.GroupLister. It names damaged groups, too.
func (s *Store) Groups(ctx context.Context) ([]membership.GroupID, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.life.RUnlock()
	s.write.Lock()
	defer s.write.Unlock()
	var groups []membership.GroupID
	for id, g := range s.groups {
		if g.record.batch != 0 { // else it was only looked at
			groups = append(groups, id)
		}
	}
	for id := range s.damaged {
		if !slices.Contains(groups, id) {
			groups = append(groups, id)
		}
	}
	slices.Sort(groups)
	return groups, nil
}
