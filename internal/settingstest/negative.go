// Package settingstest has what tests of settings share.
package settingstest

import (
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// Negative sets each signed number of right, durations included, to -1, one at a
// time, and asserts that check refuses it with an error that names the field. Those
// of free may be negative.
func Negative[T any](t *testing.T, right T, check func(T) error, free ...string) {
	t.Helper()
	if err := check(right); err != nil {
		t.Fatalf("nothing is wrong yet: %v", err)
	}
	signed := 0
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		settings := right
		value := reflect.ValueOf(&settings).Elem().FieldByIndex(field.Index)
		if !field.IsExported() || !value.CanInt() {
			continue
		}
		signed++
		value.SetInt(-1)
		err := check(settings)
		switch {
		case slices.Contains(free, field.Name):
			if err != nil {
				t.Errorf("%s may be negative: %v", field.Name, err)
			}
		case err == nil:
			t.Errorf("%s may be negative", field.Name)
		case !regexp.MustCompile(`\b` + field.Name + `\b`).MatchString(err.Error()):
			t.Errorf("%s is negative, and the error does not name it: %v", field.Name, err)
		}
	}
	if signed == 0 {
		t.Errorf("%T has no signed number", right)
	}
}
