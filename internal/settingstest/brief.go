package settingstest

import (
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"
)

// Brief sets each duration of right to a nanosecond, one at a time, and asserts that check
// refuses it with an error that names the field. Those of free may be as short.
func Brief[T any](t *testing.T, right T, check func(T) error, free ...string) {
	t.Helper()
	if err := check(right); err != nil {
		t.Fatalf("nothing is wrong yet: %v", err)
	}
	durations := 0
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if !field.IsExported() || field.Type != reflect.TypeFor[time.Duration]() {
			continue
		}
		durations++
		settings := right
		reflect.ValueOf(&settings).Elem().FieldByIndex(field.Index).SetInt(1)
		err := check(settings)
		switch {
		case slices.Contains(free, field.Name):
			if err != nil {
				t.Errorf("%s may be a nanosecond: %v", field.Name, err)
			}
		case err == nil:
			t.Errorf("%s may be a nanosecond", field.Name)
		case !regexp.MustCompile(`\b` + field.Name + `\b`).MatchString(err.Error()):
			t.Errorf("%s is a nanosecond, and the error does not name it: %v", field.Name, err)
		}
	}
	if durations == 0 {
		t.Errorf("%T has no duration", right)
	}
}
